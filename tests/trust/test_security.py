"""SECURITY.md: every guarantee names an existing test, and the page of figures is up to date."""

import ast
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.native
ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "SECURITY.md"
TEXT = PAGE.read_text("utf-8") if PAGE.exists() else ""  # only in the source tree
LINES = re.findall(r"^\| (.+?) \| (.+?) \| `(.+?)::(.+?)` \|$", TEXT, re.M)


def test_every_line_has_a_test():
    rows = [line for line in TEXT.splitlines() if line.startswith("| ")]
    assert len(LINES) == len(rows) - 2 >= 20  # without the header


@pytest.mark.parametrize(("comes", "cannot", "file", "name"), LINES)
def test_the_test_exists(comes, cannot, file, name):
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}, (comes, cannot)


def test_the_figures_are_those_of_the_runs():
    import gen_trust  # from tools/

    assert gen_trust.PAGE.read_text("utf-8") == gen_trust.page(gen_trust.read(gen_trust.RESULTS))

"""docs/move.md: its rows are those that tools/moves/ runs against the packages, and our calls in it exist."""

import ast
import operator
import re
from pathlib import Path

import check_moves
import pytest

import graphattend as ga

pytestmark = pytest.mark.native

MOVES = Path(check_moves.__file__).parent / "moves"


def rows_in(path: Path) -> tuple[str, list[str]]:
    """Return the title and the rows of a module's section, without importing the compared package."""
    tree = ast.parse(path.read_text("utf-8"))
    (title,) = [
        value.elts[1].value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(value := node.value, ast.Tuple)
    ]
    calls = [d for node in tree.body if isinstance(node, ast.FunctionDef) for d in node.decorator_list]
    return title, [call.args[0].value for call in calls if call.func.id == "row"]


@pytest.mark.parametrize("name", check_moves.MODULES)
def test_every_row_of_a_python_package_is_run(name: str) -> None:
    title, rows = rows_in(MOVES / f"{name}_rows.py")
    assert len(rows) >= 5
    assert rows == check_moves.cells(title)
    assert name in check_moves.versions(title)


def test_rows_of_npm_packages_are_run_or_tell_what_is_not_there() -> None:
    script = (MOVES / "javascript.mjs").read_text("utf-8")
    for title in ("onnxruntime-web and transformers.js", "ruvector-attention-wasm"):
        for cell in check_moves.cells(title):
            other = cell in ("`await pipeline(task, model)`", "`output.cross_attentions`")  # need a model
            assert (cell in script) != other, cell


def test_every_section_names_the_version_it_was_checked_with() -> None:
    titles = re.findall(r"^## (.*)$", check_moves.PAGE.read_text("utf-8"), re.MULTILINE)
    assert len(titles) == 6
    assert all(check_moves.versions(title) for title in titles)


def test_our_calls_exist() -> None:
    text = check_moves.PAGE.read_text("utf-8")
    names = set(re.findall(r"\bga((?:\.\w+)+)", text))
    assert len(names) > 20
    for name in names:
        assert operator.attrgetter(name[1:])(ga) is not None
    created = re.findall(r'ga\.create\("(\w+)", \w+((?:, \w+=)*)', text)
    assert len(created) > 10
    for key, _ in created:
        assert key in ga.list_mechanisms()
    for key, option in re.findall(r'ga\.create\("(\w+)", \w+.*?(\w+)=', text):
        assert option in ga.schema(key)["properties"]


def test_a_difference_is_seen() -> None:
    assert check_moves.difference([1.0, 2.0], [1.0, 2.0]) == 0
    assert check_moves.difference([1.0, 2.0], [1.0, 2.3]) == pytest.approx(0.3 / 3.3)
    with pytest.raises(ValueError, match="shapes"):
        check_moves.difference([1.0, 2.0], [[1.0, 2.0]])

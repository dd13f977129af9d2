"""README.md: its table is that of the registry, and its JavaScript runs."""

import re
import subprocess
from pathlib import Path

import build_js
import gen_readme
import pyodide_dist
import pytest

import graphattend as ga

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.native


def test_table_of_mechanisms_is_fresh() -> None:
    text = gen_readme.README.read_text(encoding="utf-8")
    assert gen_readme.written(text) == text, "run tools/gen_readme.py"
    for key in ga.list_mechanisms():
        assert f"| `{key}` |" in text


def test_javascript_runs(tmp_path: Path) -> None:
    build_js.build()
    blocks = re.findall(r"^```js\n(.*?)^```", gen_readme.README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 1
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "graphattend").symlink_to(ROOT / "js")
    (tmp_path / "pyodide").symlink_to(pyodide_dist.assemble())
    (tmp_path / "example.mjs").write_text(blocks[0], encoding="utf-8")
    done = subprocess.run(["node", "example.mjs"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    numbers = [float(n) for n in re.findall(r"-?\d\.\d+", done.stdout.partition("[")[2])]
    assert len(numbers) == 2 + 3
    assert sum(numbers[2:]) == pytest.approx(1, abs=1e-5)

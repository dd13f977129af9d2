"""README.md: its table and picture are current, its numbers are correct, and its JavaScript runs."""

import json
import re
import subprocess
from pathlib import Path

import build_js
import gen_readme
import numpy as np
import pytest

import graphattend as ga

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.native


def blocks(language: str) -> list[str]:
    text = gen_readme.README.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_the_table_and_the_picture_are_current() -> None:
    assert gen_readme.current(), "run tools/gen_readme.py"
    assert gen_readme.PICTURE.stat().st_size < 500_000


def test_the_mechanisms_are_counted() -> None:
    assert len(ga.list_mechanisms()) == 17
    assert "Seventeen attention mechanisms" in gen_readme.README.read_text(encoding="utf-8")


def test_javascript_runs(tmp_path: Path) -> None:
    build_js.build()
    (block,) = blocks("js")
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "graphattend").symlink_to(ROOT / "js")
    printed = block.replace(
        "console.log(", "const print = (...xs) => console.log(JSON.stringify(xs.map((x) => [...x])));\nprint("
    )
    (tmp_path / "example.mjs").write_text(printed, encoding="utf-8")
    done = subprocess.run(["node", "example.mjs"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    output, weights = json.loads(done.stdout)
    points = np.array([[0, 0], [0.5, 0], [-0.3, 0.2]])
    distances = ga.geometry.Poincare().dist(np.array([0.1, 0.1]), points)
    np.testing.assert_allclose(weights, np.exp(-distances) / np.exp(-distances).sum(), atol=1e-6)
    assert np.hypot(*output) < 1

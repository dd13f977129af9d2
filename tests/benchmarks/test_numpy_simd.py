"""The measurements of NumPy's WASM-SIMD wheel, and the pages that show them."""

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.native


@pytest.fixture
def tables(monkeypatch):
    """Import benchmarks/numpy_simd/tables.py."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks" / "numpy_simd"))
    sys.modules.pop("tables", None)
    import tables

    return tables


def test_the_pages_show_what_was_measured(tables):
    results = json.loads(tables.RESULTS.read_text("utf-8"))
    for path in tables.PAGES:
        text = path.read_text("utf-8")
        assert text == tables.page(text, results), f"{path.name}: run benchmarks/numpy_simd/tables.py"


def test_what_stays_below_its_target_has_a_reason(tables):
    missed = tables.missed(json.loads(tables.RESULTS.read_text("utf-8")))
    assert [m for m in missed if not any(m.startswith(name) for name in tables.REASONS)] == []


def test_a_target_that_is_missed_is_said(tables):
    times = {"official": 10.0, "accelerated": 5.0, "simd": 4.0, "simd, accelerated": 4.0}
    run = {"runtime": "Here", "results": {"sum f32 1e6": times, "exp f32 1e5": times | {"simd": 2.0}}}
    results = {"node": run, "chromium": run}
    assert tables.missed(results) == ["sum f32 1e6 in Here 2.5× (wanted 3×)"] * 2
    page = tables.page(f"before\n{tables.START}\nold\n{tables.END}\nafter\n", results)
    assert "old" not in page
    assert page.startswith("before\n")
    assert page.endswith("after\n")
    assert "| `exp f32 1e5` | 5× | 10 | 2× | 5× | 2.5× |" in page
    assert "- `sum f32 1e6`: " in page

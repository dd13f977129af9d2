"""The benchmark's report: ratios, verdicts and tables computed from figures."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

pytestmark = pytest.mark.native  # reads the repository's own scripts
ROOT = Path(__file__).resolve().parents[2]


#: Calls per second: a mixture takes 1.25 times as long as its experts, another mechanism ten times as dot products.
MOE = {"graphattend": [6_000.0, 8_000.0], "sdpa": [40_000.0], "expert 0": [20_000.0], "expert 2": [20_000.0]}
MOE |= {"reading": [16_000.0], "weights": [4_000.0], "attention_weights": [6_000.0], "backward": [1_000.0]}
MANIFOLD = {"graphattend": [20.0], "sdpa": [200.0], "reading": [4_000.0], "memory": [30e6, 25e6]}


@pytest.fixture
def results():
    """Return artificial results of two rounds in Chromium and native NumPy."""
    query = {"graphattend": [30_000.0, 40_000.0], "kernel": [44_000.0, 50_000.0], "peak": [29.5e9, 20e9]}
    query |= {"onnxruntime": [10_000.0, 16_000.0], "tfjs": [20_000.0, 8_000.0], "javascript": [4_000.0, 4_000.0]}
    facts = {"python": "3.14", "numpy": "2", "backend": "wasm-relaxed-simd", "numpy_ms": 200.0, "graphattend_ms": 80.0}
    product = {"graphattend": [100.0, 99.0], "peak": [29.5e9, 10e9]}
    return {
        "runtimes": {"native": facts | {"backend": "numpy"}, "chromium": facts | {"extra_memory": 2e6}},
        "workloads": {
            "query-1000": {"native": {"graphattend": [80_000.0, 20_000.0]}, "chromium": query},
            "gemm-512": {"native": {}, "chromium": product},
            "mechanism:moe": {"native": {"graphattend": [12_345.0]}, "chromium": MOE},
            "attend:manifold": {"native": {}, "chromium": MANIFOLD},
            "float64:flash": {"native": {}, "chromium": {"graphattend": [20_000.0], "float32": [40_000.0]}},
        },
        "flops": {
            "query-1000": 512_000.0,
            "gemm-512": 2.0 * 512**3,
            "mechanism:moe": 0.0,
            "attend:manifold": 0.0,
            "float64:flash": 0.0,
        },
        "reads": {"mechanism:moe": 1.0, "attend:manifold": 40.0},
        "load": 1.0,
        "cores": 2,
        "accelerate": {"chromium": {"exp f32 1e6": 3.9}},
        "payload_kb": {"loaded": 50.0},
        "javascript": {"python_us": 30.0, "resident_us": 100.0, "loop_us": 450.0, "copied_us": 300.0},
    }


def by_name(results):
    from benchmarks.targets import targets

    return {target.what: target for target in targets(results)}


def test_each_contender_counts_with_its_fastest_round(results):
    from benchmarks.results_file import against_fastest, ratio

    assert ratio(results, "query-1000", "chromium", "onnxruntime") == pytest.approx(2.5)
    assert against_fastest(results, "query-1000", "chromium") == (pytest.approx(2.0), "tfjs-wasm")
    assert ratio(results, "query-1000", "chromium", "graphattend", other_runtime="native") == pytest.approx(0.5)


def test_targets_are_met_missed_or_not_measured(results):
    found = by_name(results)
    assert found["1 query, N = 1 000, against the fastest peer"].met is True
    assert found["1 query, N = 1 000, against the same class natively"].met is False
    assert found["accelerate_numpy(): exp f32 1e6"].met is False
    assert found["resident tensors, over Python's own time"].met is False
    assert found["arrays copied in, against a plain loop"].met is True
    assert found["connect() to the first result, of bare Pyodide + NumPy"].met is None
    assert found["accelerate_numpy(): tanh f32 1e6"].met is None
    assert found["flash at N = 10 000, extra memory"].met is False
    assert found["kernel payload, gzipped"].met is True
    assert found["float64 against float32, flash, 1 query"].measured == "2 times as slow"
    assert found["float64 against float32, flash, 1 query"].met is True


def test_every_mechanism_stands_beside_dot_products_and_its_bound(results):
    from benchmarks.mechanism_rows import cells

    moe = cells(results, "mechanism", "moe", "chromium")
    assert moe["of its experts"].value == pytest.approx(1.25)
    assert moe["of its experts"].met is False
    assert moe["share of its bound"].value == pytest.approx(0.5)
    assert moe["with weights"].met is False
    assert moe["backward"].value == pytest.approx(7)
    manifold = cells(results, "attend", "manifold", "chromium")
    assert manifold["of dot products"] == (pytest.approx(10), 15.0, False)
    assert manifold["share of its bound"].value == pytest.approx(0.2)
    assert manifold["MB beyond the result"].value == pytest.approx(25)
    assert manifold["backward"].met is None
    target = next(t for t in by_name(results).values() if t.what == "mechanisms over a graph, share of its bound")
    assert target.measured == "0 of 1; not: manifold 20 %"


def test_operations_a_second_are_scaled_by_the_peak_loop(results):
    target = by_name(results)["the fused kernel alone, a second"]
    assert target.measured == "100 000 (here 50 000)"
    assert by_name(results)["matrix product 512³, share of the peak loop"].measured == "91 %"


def test_the_tables_show_every_target_and_mechanism(results):
    from benchmarks.report import full
    from benchmarks.targets import targets

    text = full(results)
    assert "| 1 query, N = 1 000 | 2.5× | 2× | 10× | – | – | – | 0.5× | 69 % |" in text
    assert "| `moe` | 8 000 | 12 300 |" in text
    assert "**missed**" in text
    assert "**not measured**" in text
    for target in targets(results):
        assert f"| {target.what} |" in text


def test_a_busy_machine_is_told(results):
    from benchmarks.report import full

    assert "rough" not in full(results)
    results["load"] = 9.0
    assert "load average 9 on 2 cores" in full(results)


def test_what_is_known_about_a_miss_is_told(results):
    from benchmarks.report import target_table
    from benchmarks.targets import REASONS

    results["workloads"]["query-10000"] = {"chromium": {"graphattend": [1.0], "onnxruntime": [2.0]}}
    rows = [
        line for line in target_table(results).splitlines() if line.startswith("| 1 query, N = 10 000, against the")
    ]
    (row,) = [line for line in rows if "| Chromium |" in line]
    assert f"| 0.5× (onnxruntime-web) | **missed**: {REASONS['1 query, N = 10 000']} |" in row


def test_text_goes_between_the_markers_only(tmp_path):
    from benchmarks.report import END, START, insert

    path = tmp_path / "page.md"
    path.write_text(f"before\n{START}\nold\n{END}\nafter\n")
    assert insert(path, "new")
    assert insert(path, "new")
    assert path.read_text() == f"before\n{START}\nnew\n{END}\nafter\n"
    path.write_text("no markers\n")
    assert not insert(path, "new")
    assert path.read_text() == "no markers\n"
    assert not insert(tmp_path / "missing.md", "new")


def test_the_picture_has_a_bar_for_each_contender(results):
    from benchmarks.chart import COLOURS, chart

    root = ElementTree.fromstring(chart(results))
    styles = [path.get("style", "") for path in root.iter("{http://www.w3.org/2000/svg}path")]
    fills = [colour for style in styles for colour in COLOURS.values() if f"fill: {colour}" in style]
    # Once as a bar and once in the legend; NumPy was not measured and is in neither.
    assert {name: fills.count(colour) for name, colour in COLOURS.items()} == {
        "graphattend": 2,
        "onnxruntime": 2,
        "tfjs": 2,
        "javascript": 2,
        "numpy": 0,
    }

"""The navigator benchmark's measures, table and picture."""

import importlib.util
import pathlib
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import graphattend as ga

ROOT = pathlib.Path(__file__).parents[1]


@pytest.fixture(scope="module")
def bench():
    script = ROOT / "benchmarks" / "navigator.py"
    if not script.is_file():  # inside Pyodide only the tests may be there
        pytest.skip("the benchmarks are not here")
    sys.path.insert(0, str(ROOT))
    try:
        spec = importlib.util.spec_from_file_location("navigator_benchmark", script)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(ROOT))
    return module


def test_recall_counts_the_true_neighbours_within_the_budget(bench):
    x = np.random.default_rng(0).standard_normal((100, 4))
    graph, navigator = ga.NeighborGraph.knn(x, 8), ga.RLNavigator(4)
    queries = x[:12] + 0.05
    found = bench.recalls(lambda q, budget: navigator.greedy_search(graph, x, q, budget=budget), queries, x)
    for i, budget in enumerate(bench.BUDGETS):
        hits = 0
        for query in queries:
            true = np.argsort(((x - query) ** 2).sum(axis=1))[:10]
            alone = navigator.greedy_search(graph, x, query, k=10, budget=budget)
            hits += len(set(true.tolist()) & set(alone.indices.tolist()))
        assert found["recall_at_10"][i] == pytest.approx(hits / 120)


@pytest.fixture
def result(bench):
    count = len(bench.BUDGETS)
    rows = [
        {"search": "greedy", "rank": None, "recall_at_1": [0.5] * count, "recall_at_10": [0.25] * count},
        {"search": "trained", "rank": 8, "recall_at_1": [0.75] * count, "recall_at_10": [0.5] * count},
    ]
    return {"budgets": list(bench.BUDGETS), "rows": rows}


def test_the_best_of_every_column_is_bold(bench, result):
    greedy, trained = bench.table(result, "recall_at_1").splitlines()[2:]
    assert "| 0.500 |" in greedy
    assert trained.startswith("| navigator, rank 8, trained | **0.750** |")


def test_the_picture_has_a_line_per_search_and_panel(bench, result):
    lines = ET.fromstring(bench.picture(result)).findall("{http://www.w3.org/2000/svg}polyline")
    assert len(lines) == 4

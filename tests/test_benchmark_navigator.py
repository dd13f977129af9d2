"""The navigator benchmark's measures, table and picture."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest

import graphattend as ga
from benchmarks import navigator as bench

pytestmark = pytest.mark.native  # reads the repository's own scripts


def test_recall_counts_the_true_neighbours_within_the_budget():
    x = np.random.default_rng(0).standard_normal((100, 4))
    graph, navigator = ga.NeighborGraph.knn(x, 8), ga.RLNavigator(4)
    queries = x[:12] + 0.05
    found = bench.recalls(lambda q, budget: navigator.greedy_search(graph, x, q, budget=budget), queries, x)
    for i, budget in list(enumerate(bench.WORKS))[:20]:
        hits = 0
        for query in queries:
            true = np.argsort(((x - query) ** 2).sum(axis=1))[:10]
            alone = navigator.greedy_search(graph, x, query, k=10, budget=budget)
            hits += len(set(true.tolist()) & set(alone.indices.tolist()))
        assert found["recall_at_10"][i] == pytest.approx(hits / 120)


def test_budgets_below_the_switch_are_searched_apart():
    x = np.random.default_rng(0).standard_normal((60, 4))
    graph, navigator, asked = ga.NeighborGraph.knn(x, 8), ga.RLNavigator(4), set()

    def search(query, budget):
        asked.add(budget)
        return navigator.greedy_search(graph, x, query, budget=budget)

    apart, whole = (bench.recalls(search, x[:5], x, switch=switch) for switch in (16, 0))
    assert asked == {15.0, 400.0}
    np.testing.assert_array_equal(apart["recall_at_10"], whole["recall_at_10"])


def test_the_bounded_look_counts_all_it_does():
    """On a line its estimates are exact. Work: 1 + 1 for the query, 1/4 per node estimated, 1 per node measured."""
    x = np.arange(5.0)[:, None] * np.ones(4)
    graph = ga.NeighborGraph.from_edge_index([[0, 1, 1, 2, 2, 3, 3, 4], [1, 0, 2, 1, 3, 2, 4, 3]], 5)
    nodes, work = bench.bounded_look(graph, x, 1)(x[2] + 0.1, 0, 1)
    assert nodes == [2]
    assert work == 2 + 4 / 4 + 3  # nodes 0, 1, 2 are measured, node 3 only estimated


def test_the_bounded_look_stops_summing_where_a_neighbour_is_ruled_out():
    """With 8 axes in steps of 4, node 0 and its near neighbour cost 8/9 each, the far neighbour 4/9."""
    x = np.concatenate([np.zeros((1, 9)), np.full((1, 9), 0.1), np.full((1, 9), 50.0), np.eye(9)])
    graph = ga.NeighborGraph.from_edge_index([[1, 2], [0, 0]], len(x))
    nodes, work = bench.bounded_look(graph, x, 8)(x[1], 0, 1)
    assert nodes == [1]
    assert work == pytest.approx(9 + 8 / 9 + 1 + 8 / 9 + 1 + 4 / 9)


def test_the_aim_is_interpolated_or_not_reached():
    assert bench.needed([10, 20], [0.9, 1.0]) == pytest.approx(15)
    assert bench.needed([10, 20], [0.8, 0.9]) is None


@pytest.fixture
def result():
    count = len(bench.BUDGETS)
    rows = [
        {"search": "greedy", "rank": None, "recall_at_1": [0.5] * count, "recall_at_10": [0.25] * count},
        {"search": "trained", "rank": 8, "recall_at_1": [0.75] * count, "recall_at_10": [0.5] * count},
    ]
    aim = [{"search": "greedy", "rank": None, "work": 171.2}, {"search": "bounded", "rank": 16, "work": None}]
    gain = [{"search": "axes", "rank": 8, "recall_at_1": 0.0, "recall_at_10": -0.00125}]
    return {"budgets": list(bench.BUDGETS), "rows": rows, "runs": [{"seed": 0, "aim": aim, "least_gain": gain}]}


def test_the_best_of_every_column_is_bold(result):
    greedy, trained = bench.table(result, "recall_at_1").splitlines()[2:]
    assert "| 0.500 |" in greedy
    assert trained.startswith("| navigator, rank 8, trained | **0.750** |")


def test_the_aim_has_a_row_per_search(result):
    rows = bench.aim_table(result).splitlines()[2:]
    assert rows == ["| greedy best-first | 171 |", "| greedy best-first, bounded look, rank 16 | not reached |"]


def test_the_least_gain_has_a_row_per_navigator(result):
    assert bench.gain_table(result).splitlines()[2:] == ["| navigator, rank 8, principal axes | -0.0013 |"]


def test_the_page_is_written_between_its_marks():
    page = "a\n<!-- x begin -->\nold\n<!-- x end -->\nb"
    assert bench.write(page, "x", "new") == page.replace("old", "new")


def test_the_picture_has_a_line_per_search_and_panel(result):
    lines = ET.fromstring(bench.picture(result)).findall("{http://www.w3.org/2000/svg}polyline")
    assert len(lines) == 4

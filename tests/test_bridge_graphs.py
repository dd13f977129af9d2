"""Graphs from the data of JavaScript callers."""

import numpy as np
import pytest

from graphattend import InvalidConfigError, LoadError
from graphattend._bridge_calls import graph, knn

PATH = ([0, 1, 3, 4], [1, 0, 2, 1])  # a - b - c in both directions


@pytest.mark.parametrize(
    "given",
    [
        {
            "nodes": [{"id": "a"}, {"id": "b"}, {"id": "c"}],
            "links": [{"source": "a", "target": "b"}, {"source": "b", "target": "c"}],
        },
        {
            "nodes": ["a", "b", "c"],
            "edges": [{"source": {"id": "a"}, "target": "b"}, {"source": "b", "target": {"id": "c"}}],
        },
        {"edges": [["a", "b"], ["b", "c"]]},
        {"edges": np.array([0, 1, 1, 2]), "numNodes": 3},
        "a b\nb c\n",
        "source,target\na,b\nb,c\n",
        np.frombuffer(b"a,b\nb,c\n", np.uint8),
    ],
)
def test_the_same_graph(given: object) -> None:
    found = graph(given, {"directed": False})
    assert (found.indptr.tolist(), found.indices.tolist()) == PATH


def test_directed_edges_go_one_way() -> None:
    given = {"nodes": [{}, {}], "links": [{"source": 0, "target": 1, "value": 5}]}
    found = graph(given, {"directed": True})
    assert found.indices.tolist() == [0]
    assert found.edge_weights.tolist() == [5]
    assert graph(given).indices.tolist() == [1, 0]


def test_both_ways_keep_what_belongs_to_an_edge() -> None:
    found = graph({"edges": [["a", "b"], ["b", "b"]], "edgeWeights": np.array([2.0, 3.0])}, {"directed": False})
    edges = zip(found.indices.tolist(), found.edge_weights.tolist(), strict=True)
    assert sorted(edges) == [(0, 2), (1, 2), (1, 3)]


def test_what_is_no_graph_is_named() -> None:
    with pytest.raises(InvalidConfigError, match=r"graph\.links\[0\]"):
        graph({"nodes": ["a"], "links": [{"from": "a"}]})
    with pytest.raises(InvalidConfigError, match="no node z"):
        graph({"edges": [["a", "z"]], "names": ["a"]})
    with pytest.raises(LoadError, match=r"^graph: "):
        graph('{"nodes": 3')


def test_neighbours() -> None:
    assert knn(np.array([[0.0], [1.0], [3.0]]), 1).indices.tolist() == [1, 0, 1]


@pytest.mark.parametrize("name", ["nodes", "links", "edges"])
def test_parts_of_a_graph_that_are_no_lists(name: str) -> None:
    given = {"nodes": [{"id": 0}, {"id": 1}], name: "0 1"}
    with pytest.raises(InvalidConfigError, match=rf"^graph\.{name}: expected a list, got str") as caught:
        graph({"links": []} | given if name == "nodes" else given)
    assert caught.value.argument == f"graph.{name}"

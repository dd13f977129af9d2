"""NeighborGraph: construction, order, immutability, equality, and every wrong argument."""

import doctest
import importlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphattend import errors
from graphattend.graph import GraphMetadata, NeighborGraph


@pytest.mark.parametrize(
    "module",
    ["neighbor_graph", "_conversion_methods", "_measure_methods", "metadata", "constructors", "properties", "spectral"],
)
def test_examples_run(module):
    if module == "_conversion_methods":  # its examples convert from and to both libraries
        pytest.importorskip("networkx")
        pytest.importorskip("scipy")
    assert doctest.testmod(importlib.import_module(f"graphattend.graph.{module}")).failed == 0


def edge_lists(max_nodes=8, max_edges=20):
    """Draw (num_nodes, (2, K) edge index)."""
    return st.integers(1, max_nodes).flatmap(
        lambda v: st.lists(st.tuples(st.integers(0, v - 1), st.integers(0, v - 1)), max_size=max_edges).map(
            lambda edges: (v, np.array(edges, dtype=np.int64).reshape(-1, 2).T)
        )
    )


@settings(max_examples=60, deadline=None)
@given(edge_lists())
def test_rows_hold_the_sources_in_column_order(case):
    size, edges = case
    graph = NeighborGraph.from_edge_index(edges, size, edge_weights=np.arange(float(edges.shape[1])))
    for i in range(size):
        row = slice(graph.indptr[i], graph.indptr[i + 1])
        expected = [k for k in range(edges.shape[1]) if edges[1, k] == i]
        assert graph.indices[row].tolist() == edges[0, expected].tolist()
        assert graph.edge_weights[row].tolist() == [float(k) for k in expected]
        assert graph.degree()[i] == len(expected)
    assert graph.targets.tolist() == sorted(edges[1].tolist())


def test_per_edge_data_follow_their_columns():
    graph = NeighborGraph.from_edge_index(
        [[2, 0, 1], [1, 0, 0]],
        3,
        edge_features=np.float32([[2, 1], [0, 0], [1, 0]]),
        edge_weights=[21.0, 0.0, 10.0],
        distances=[2.0, 0.0, 1.0],
        layers=[0, 3, 1],
        names=["a", "b", "c"],
    )
    assert graph.indices.tolist() == [0, 1, 2]
    assert graph.edge_features.tolist() == [[0, 0], [1, 0], [2, 1]]
    assert graph.edge_features.dtype == np.float32
    assert graph.edge_weights.tolist() == [0, 10, 21]
    assert graph.edge_weights.dtype == np.float64
    assert graph.distances.tolist() == [0, 1, 2]
    assert graph.layers.tolist() == [0, 3, 1]
    assert graph.names == ("a", "b", "c")
    assert repr(graph) == (
        "NeighborGraph(num_nodes=3, num_edges=3, edge_dim=2, edge_weights, distances, layers, names)"
    )


def test_the_value_cannot_change():
    indptr, indices, weights = np.array([0, 1, 2]), np.array([1, 0]), np.array([1.0, 2.0])
    graph = NeighborGraph(indptr, indices, edge_weights=weights)
    weights[0], indices[0], indptr[1] = 9.0, 0, 2
    assert graph == NeighborGraph([0, 1, 2], [1, 0], edge_weights=[1.0, 2.0])
    for a in (graph.indptr, graph.indices, graph.edge_weights, graph.targets):
        with pytest.raises(ValueError, match="read-only"):
            a[0] = 0
    with pytest.raises(AttributeError):
        graph.indices = indices


def test_equality_sees_every_field():
    base = {"indptr": [0, 1, 2], "indices": [1, 0]}
    others = [
        {"indices": [0, 0]},
        {"edge_features": [[1.0], [2.0]]},
        {"edge_weights": [1.0, 2.0]},
        {"distances": [1.0, 2.0]},
        {"layers": [0, 1]},
        {"names": ["a", "b"]},
    ]
    graph = NeighborGraph(**base)
    assert graph == NeighborGraph(**base)
    for other in others:
        assert graph != NeighborGraph(**{**base, **other})
    assert NeighborGraph(**base, edge_weights=np.float32([1, 2])) != NeighborGraph(**base, edge_weights=[1.0, 2.0])
    assert graph != "graph"


def test_a_graph_without_edges():
    graph = NeighborGraph.from_edge_index(np.empty((2, 0)), 3)
    assert graph.num_edges == 0
    assert graph.degree().tolist() == [0, 0, 0]


BAD = [
    ({"indptr": []}, errors.EmptyInputError),
    ({"indptr": [0]}, errors.EmptyInputError),
    ({"indptr": [[0, 1]]}, errors.DimensionMismatchError),
    ({"indptr": [0, 2, 1]}, errors.InvalidConfigError),
    ({"indptr": [1, 1, 2]}, errors.InvalidConfigError),
    ({"indptr": [0, 1, 3]}, errors.DimensionMismatchError),
    ({"indptr": [0.0, 1.0, 2.0]}, errors.InvalidConfigError),
    ({"indptr": None}, errors.InvalidConfigError),
    ({"indices": [1, 2]}, errors.OutOfBoundsError),
    ({"indices": [1, -1]}, errors.OutOfBoundsError),
    ({"indices": ["1", "0"]}, errors.InvalidConfigError),
    ({"indices": [True, False]}, errors.InvalidConfigError),
    ({"indices": [[1], [0]]}, errors.DimensionMismatchError),
    ({"edge_features": [1.0, 2.0]}, errors.DimensionMismatchError),
    ({"edge_features": [[1.0]]}, errors.DimensionMismatchError),
    ({"edge_features": np.empty((2, 0))}, errors.EmptyInputError),
    ({"edge_features": [[1.0], [np.nan]]}, errors.NumericalInstabilityError),
    ({"edge_features": [[1.0], [2.0, 3.0]]}, errors.InvalidConfigError),
    ({"edge_weights": [1.0]}, errors.DimensionMismatchError),
    ({"edge_weights": [1.0, np.inf]}, errors.NumericalInstabilityError),
    ({"edge_weights": ["a", "b"]}, errors.InvalidConfigError),
    ({"edge_weights": [1j, 2j]}, errors.InvalidConfigError),
    ({"edge_weights": [True, False]}, errors.InvalidConfigError),
    ({"edge_weights": [None, 1.0]}, errors.InvalidConfigError),
    ({"edge_weights": 1.0}, errors.DimensionMismatchError),
    ({"distances": [1.0, -1.0]}, errors.InvalidConfigError),
    ({"distances": [1.0, np.nan]}, errors.NumericalInstabilityError),
    ({"layers": [0, -1]}, errors.InvalidConfigError),
    ({"layers": [0]}, errors.DimensionMismatchError),
    ({"layers": [0.5, 1.0]}, errors.InvalidConfigError),
    ({"names": ["a"]}, errors.DimensionMismatchError),
    ({"names": "ab"}, errors.InvalidConfigError),
    ({"names": [1, 2]}, errors.InvalidConfigError),
]


@pytest.mark.parametrize(("change", "error"), BAD, ids=[str(i) for i in range(len(BAD))])
def test_bad_fields(change, error):
    with pytest.raises(error) as caught:
        NeighborGraph(**{"indptr": [0, 1, 2], "indices": [1, 0], **change})
    assert caught.value.argument == next(iter(change))


BAD_EDGES = [
    ([[0, 1]], 2, errors.DimensionMismatchError),
    ([0, 1], 2, errors.DimensionMismatchError),
    ([[0], [1], [2]], 3, errors.DimensionMismatchError),
    ([[0, 1], [1, 2]], 2, errors.OutOfBoundsError),
    ([[0, 1], [1, -1]], 2, errors.OutOfBoundsError),
    ([[0.0, 1.0], [1.0, 0.0]], 2, errors.InvalidConfigError),
    ([[0], [1, 0]], 2, errors.InvalidConfigError),
    ("edges", 2, errors.InvalidConfigError),
    ([[0, 1], [1, 0]], 0, errors.EmptyInputError),
    ([[0, 1], [1, 0]], -1, errors.InvalidConfigError),
    ([[0, 1], [1, 0]], 2.0, errors.InvalidConfigError),
    ([[0, 1], [1, 0]], 10**12, errors.InvalidConfigError),
]


@pytest.mark.parametrize(("edges", "size", "error"), BAD_EDGES, ids=[str(i) for i in range(len(BAD_EDGES))])
def test_bad_edge_index(edges, size, error):
    with pytest.raises(error):
        NeighborGraph.from_edge_index(edges, size)


@pytest.mark.parametrize("name", ["edge_weights", "distances", "edge_features"])
def test_bad_edge_data(name):
    with pytest.raises(errors.DimensionMismatchError) as caught:
        NeighborGraph.from_edge_index([[0, 1], [1, 0]], 2, **{name: np.ones((3, 1))})
    assert caught.value.argument == name
    with pytest.raises(errors.DimensionMismatchError):
        NeighborGraph.from_edge_index([[0, 1], [1, 0]], 2, **{name: 1.0})


def test_metadata_is_a_frozen_carrier():
    metadata = GraphMetadata(query_layer=2)
    assert metadata.edge_features is None
    with pytest.raises(AttributeError):
        metadata.query_layer = 1


@pytest.mark.parametrize("indptr", [[1, 2, 3], [0, 2, 1, 3]])
def test_offsets_start_at_0_and_never_fall(indptr):
    with pytest.raises(errors.InvalidConfigError, match="indptr: expected offsets that start at 0 and never fall"):
        NeighborGraph(indptr, [0, 0, 1])

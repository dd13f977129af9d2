"""Graphs from networkx, SciPy, points and faiss, and graphs derived from other graphs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphattend import errors
from graphattend.graph import NeighborGraph, knn


def random_graph(seed, size=12, edges=40):
    rng = np.random.default_rng(seed)
    return NeighborGraph.from_edge_index(
        rng.integers(0, size, (2, edges)),
        size,
        edge_features=rng.standard_normal((edges, 3)),
        edge_weights=rng.random(edges),
        distances=rng.random(edges).astype(np.float32),
        layers=rng.integers(0, 4, size),
        names=[f"node {i}" for i in range(size)],
    )


def edges_of(graph):
    """Return every edge with all its data, as a sorted list."""
    columns = [graph.indices, graph.targets, graph.edge_weights, graph.distances, *graph.edge_features.T]
    return sorted(zip(*(c.tolist() for c in columns), strict=True))


def test_networkx_keeps_order_names_and_direction():
    nx = pytest.importorskip("networkx")
    theirs = nx.DiGraph()
    theirs.add_nodes_from(["b", "a", 3])
    theirs.add_edge("b", "a", weight=2, length=0.5, kind=[1, 0])
    theirs.add_edge(3, "a", length=1, kind=[0, 1])
    ours = NeighborGraph.from_networkx(theirs, distance="length", edge_features="kind")
    assert ours.names == ("b", "a", "3")
    assert ours.to_edge_index().tolist() == [[0, 2], [1, 1]]
    assert ours.edge_weights.tolist() == [2, 1]
    assert ours.distances.tolist() == [0.5, 1]
    assert ours.edge_features.tolist() == [[1, 0], [0, 1]]
    assert NeighborGraph.from_networkx(theirs, weight="length").edge_weights.tolist() == [0.5, 1]
    assert NeighborGraph.from_networkx(theirs, edge_features="length").edge_features.tolist() == [[0.5], [1]]
    assert NeighborGraph.from_networkx(nx.path_graph(3)).names is None


@pytest.mark.parametrize("seed", range(3))
def test_networkx_round_trip(seed):
    nx = pytest.importorskip("networkx")
    graph = random_graph(seed)
    theirs = graph.to_networkx()
    assert isinstance(theirs, nx.MultiDiGraph)
    back = NeighborGraph.from_networkx(theirs, distance="distance", edge_features="features")
    assert back.names == graph.names
    assert edges_of(back) == edges_of(graph)
    assert [theirs.nodes[n]["layer"] for n in graph.names] == graph.layers.tolist()
    single = NeighborGraph.from_edge_index([[1, 2], [0, 0]], 3)
    assert type(single.to_networkx()) is nx.DiGraph
    assert NeighborGraph.from_networkx(single.to_networkx()) == single


def test_the_number_of_nodes_may_be_left_out():
    edges = [[1, 0, 4], [0, 1, 2]]
    assert NeighborGraph.from_edge_index(edges) == NeighborGraph.from_edge_index(edges, 5)
    for bad, error in [([[], []], errors.EmptyInputError), ([[0], [-1]], errors.OutOfBoundsError)]:
        with pytest.raises(error):
            NeighborGraph.from_edge_index(bad)


def test_networkx_refusals():
    nx = pytest.importorskip("networkx")
    cases = [
        ("graph", {}, errors.InvalidConfigError),
        (nx.Graph, {}, (errors.InvalidConfigError, errors.EmptyInputError)),
        (nx.empty_graph(0), {}, errors.EmptyInputError),
        (nx.path_graph(3), {"distance": "length"}, errors.InvalidConfigError),
        (nx.Graph([(0, 1, {"weight": "heavy"})]), {}, errors.InvalidConfigError),
        (nx.Graph([(0, 1, {"weight": None})]), {}, errors.InvalidConfigError),
        (nx.Graph([(0, 1, {"weight": float("nan")})]), {}, errors.NumericalInstabilityError),
        (nx.Graph([(0, 1, {"weight": True})]), {}, errors.InvalidConfigError),
    ]
    for theirs, options, error in cases:
        with pytest.raises(error):
            NeighborGraph.from_networkx(theirs, **options)
    with pytest.raises(errors.InvalidConfigError):
        NeighborGraph([0, 0, 0], [], names=["a", "a"]).to_networkx()


def test_scipy():
    sparse = pytest.importorskip("scipy.sparse")
    dense = np.array([[0, 2.0, 0], [0, 0, 0], [3.0, 0, 1.0]])
    for form in ("coo", "csr", "csc", "lil", "dok", "bsr"):
        graph = NeighborGraph.from_scipy(sparse.csr_array(dense).asformat(form))
        assert graph == NeighborGraph([0, 1, 1, 3], [1, 0, 2], edge_weights=[2.0, 3.0, 1.0])
        np.testing.assert_array_equal(graph.to_scipy().toarray(), dense)
    assert NeighborGraph.from_scipy(sparse.csr_matrix(dense)).num_edges == 3
    assert NeighborGraph.from_scipy(sparse.csr_array(dense != 0)).edge_weights is None
    twice = sparse.coo_array((np.ones(2), (np.zeros(2, int), np.ones(2, int))), shape=(2, 2))
    assert NeighborGraph.from_scipy(twice).edge_weights.tolist() == [2]
    assert NeighborGraph.from_scipy(sparse.csr_array(dense.astype(int))).edge_weights.dtype == np.float64
    for bad, error in [
        (dense, errors.InvalidConfigError),
        (sparse.csr_array(np.ones((2, 3))), errors.DimensionMismatchError),
        (sparse.csr_array(np.ones((2, 2), complex)), errors.InvalidConfigError),
        (sparse.csr_array(np.array([[np.nan]])), errors.NumericalInstabilityError),
    ]:
        with pytest.raises(error):
            NeighborGraph.from_scipy(bad)


def brute_force(x, k, dist):
    d = dist(x[:, None], x[None])
    np.fill_diagonal(d, np.inf)
    order = np.argsort(d, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(d, order, 1)


def euclidean(x, y):
    return np.sqrt(((x - y) ** 2).sum(axis=-1))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 30), st.integers(1, 5), st.booleans())
def test_knn_is_exact_also_with_ties(seed, size, dim, whole):
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 3, (size, dim)).astype(float) if whole else rng.standard_normal((size, dim)) + 1e3
    k = int(rng.integers(1, size))
    graph = NeighborGraph.knn(x, k)
    order, d = brute_force(x, k, euclidean)
    assert graph.indices.reshape(size, k).tolist() == order.tolist()
    np.testing.assert_allclose(graph.distances.reshape(size, k), d, rtol=1e-14)


def test_knn_in_small_chunks(monkeypatch):
    x = np.random.default_rng(0).standard_normal((50, 4))
    whole = NeighborGraph.knn(x, 7)
    monkeypatch.setattr(knn, "_DISTANCES", 150)
    monkeypatch.setattr(knn, "_COORDINATES", 40)
    assert NeighborGraph.knn(x, 7) == whole
    assert NeighborGraph.knn(x.astype(np.float32), 7).distances.dtype == np.float32


class Cosine:
    def dist(self, x, y):
        return 1 - (x * y).sum(-1) / np.sqrt((x * x).sum(-1) * (y * y).sum(-1))


def test_knn_by_another_distance():
    x = np.random.default_rng(0).standard_normal((30, 4))
    graph = NeighborGraph.knn(x, 3, manifold=Cosine())
    order, d = brute_force(x, 3, Cosine().dist)
    assert graph.indices.reshape(30, 3).tolist() == order.tolist()
    np.testing.assert_allclose(graph.distances.reshape(30, 3), np.maximum(d, 0), atol=1e-15)


@pytest.mark.parametrize(
    ("x", "k", "manifold", "error"),
    [
        ([1.0, 2.0], 1, None, errors.DimensionMismatchError),
        ([[1.0], [2.0]], 0, None, errors.InvalidConfigError),
        ([[1.0], [2.0]], 2, None, errors.InvalidConfigError),
        ([[1.0]], 1, None, errors.InvalidConfigError),
        ([[1.0], [2.0]], 1.0, None, errors.InvalidConfigError),
        (np.empty((0, 2)), 1, None, errors.EmptyInputError),
        (np.empty((2, 0)), 1, None, errors.EmptyInputError),
        ([[1.0], [np.nan]], 1, None, errors.NumericalInstabilityError),
        ([[1.7e308], [-1.7e308]], 1, None, errors.NumericalInstabilityError),
        ([["a"], ["b"]], 1, None, errors.InvalidConfigError),
        ([[1.0], [2.0]], 1, "poincare", errors.InvalidConfigError),
    ],
)
def test_knn_refusals(x, k, manifold, error):
    with pytest.raises(error):
        NeighborGraph.knn(x, k, manifold=manifold)


def test_far_and_near_points_do_not_overflow():
    x = np.array([[1e300], [2.5e300], [6e300], [5e-324], [1e-300]])
    assert NeighborGraph.knn(x, 1).indices.tolist() == [3, 0, 1, 4, 3]


@pytest.mark.parametrize("seed", range(5))
def test_self_loops(seed):
    graph = random_graph(seed)
    looped = graph.with_self_loops()
    assert looped.layers.tolist() == graph.layers.tolist()
    assert looped.names == graph.names
    for i in range(graph.num_nodes):
        old = np.arange(graph.indptr[i], graph.indptr[i + 1])
        old = old[graph.indices[old] != i]
        new = np.arange(looped.indptr[i], looped.indptr[i + 1])
        assert looped.indices[new].tolist() == [*graph.indices[old].tolist(), i]
        for name in ("edge_features", "edge_weights"):
            before, after = getattr(graph, name)[old], getattr(looped, name)[new]
            np.testing.assert_array_equal(after[:-1], before)
            np.testing.assert_allclose(after[-1], before.mean(axis=0) if len(old) else 0, rtol=1e-14)
        assert looped.distances[new[-1]] == 0
    filled = graph.with_self_loops(fill_value=2.5)
    loops = filled.indices == filled.targets
    assert (filled.edge_features[loops] == 2.5).all()
    assert (filled.edge_weights[loops] == 2.5).all()
    assert filled.distances.dtype == np.float32
    for bad in ("max", None, float("nan"), True, [1.0]):
        with pytest.raises(errors.InvalidConfigError):
            graph.with_self_loops(fill_value=bad)


@pytest.mark.parametrize("seed", range(3))
def test_transpose_and_edge_index(seed):
    graph = random_graph(seed)
    turned = graph.transpose()
    swapped = sorted((t, s, *rest) for s, t, *rest in edges_of(graph))
    assert edges_of(turned) == swapped
    assert turned.names == graph.names
    data = {n: getattr(graph, n) for n in ("edge_features", "edge_weights", "distances", "layers", "names")}
    assert NeighborGraph.from_edge_index(graph.to_edge_index(), graph.num_nodes, **data) == graph


def test_subgraph():
    graph = random_graph(1)
    nodes = [5, 0, 7, 2]
    part = graph.subgraph(nodes)
    expected = sorted(
        (nodes.index(s), nodes.index(t), *rest) for s, t, *rest in edges_of(graph) if s in nodes and t in nodes
    )
    assert edges_of(part) == expected
    assert part.names == tuple(graph.names[i] for i in nodes)
    assert part.layers.tolist() == graph.layers[nodes].tolist()
    assert graph.subgraph(np.arange(graph.num_nodes)) == graph
    for bad, error in [
        ([], errors.EmptyInputError),
        ([1, 1], errors.InvalidConfigError),
        ([12], errors.OutOfBoundsError),
        ([0.5], errors.InvalidConfigError),
        ([True], errors.InvalidConfigError),
        (3, errors.DimensionMismatchError),
        (None, errors.InvalidConfigError),
    ]:
        with pytest.raises(error):
            graph.subgraph(bad)


def test_metadata_of_a_node():
    graph = random_graph(2)
    node = int(np.argmax(graph.degree()))
    row = slice(graph.indptr[node], graph.indptr[node + 1])
    found = graph.metadata(node)
    np.testing.assert_array_equal(found.edge_features, graph.edge_features[row])
    np.testing.assert_array_equal(found.edge_weights, graph.edge_weights[row])
    np.testing.assert_array_equal(found.distances, graph.distances[row])
    np.testing.assert_array_equal(found.hnsw_layers, graph.layers[graph.indices[row]])
    assert found.query_layer == graph.layers[node]
    assert "_structural" not in graph.__dict__  # not computed before it is read
    np.testing.assert_array_equal(found.structural_features, graph.structural_features()[graph.indices[row]])
    np.testing.assert_array_equal(found.query_structural, graph.structural_features()[node])
    assert found.latent_keys is None
    bare = NeighborGraph([0, 1, 1], [1]).metadata(np.int64(0))
    assert bare.edge_features is bare.distances is bare.hnsw_layers is bare.query_layer is None
    for bad, error in [
        (12, errors.OutOfBoundsError),
        (-1, errors.OutOfBoundsError),
        (0.0, errors.InvalidConfigError),
        (True, errors.InvalidConfigError),
        ("0", errors.InvalidConfigError),
        (10**30, errors.InvalidConfigError),
    ]:
        with pytest.raises(error):
            graph.metadata(bad)


@pytest.mark.parametrize("ordered", [False, True])
@pytest.mark.parametrize("ties", [False, True])
def test_knn_of_many_points_is_exact(rng, ordered, ties):
    """There are enough points for the bound from a sample, also if the sample lies far from all other points."""
    x = rng.standard_normal((1500, 3))
    if ties:
        x = x.round(1)
    if ordered:
        x[::2] += 1000
    k = 4
    graph = NeighborGraph.knn(x, k)
    d = np.linalg.norm(x[:, None] - x[None], axis=-1)
    np.fill_diagonal(d, np.inf)
    np.testing.assert_allclose(graph.distances.reshape(-1, k), np.sort(d, axis=1)[:, :k], rtol=1e-9)
    np.testing.assert_allclose(d[np.repeat(np.arange(1500), k), graph.indices], graph.distances, rtol=1e-9)


@pytest.mark.parametrize("size", [1, 200, 70_000, 2**20])
def test_transpose_keeps_the_order_of_edges_whatever_the_number_of_nodes(size, rng):
    indices = rng.integers(0, size, 500)
    indices[:20] = indices[20:40]
    graph = NeighborGraph(np.concatenate([np.zeros(size, int), [500]]), indices, edge_weights=np.arange(500.0))
    np.testing.assert_array_equal(graph.transpose().edge_weights, np.argsort(indices, kind="stable"))
    turned = graph._transposed
    np.testing.assert_array_equal(graph.indices[turned.order], np.repeat(np.arange(size), np.diff(turned.indptr)))
    np.testing.assert_array_equal(graph.targets[turned.order], turned.indices)

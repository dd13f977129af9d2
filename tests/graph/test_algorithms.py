"""Every measure against networkx on directed and undirected graphs with loops, duplicates and isolated nodes."""

import numpy as np
import pytest

from graphattend import errors
from graphattend.graph import NeighborGraph, paths

nx = pytest.importorskip("networkx")


def _with_extras(graph, rng):
    """Add loops, an isolated node and weights."""
    nodes = list(graph.nodes)
    graph.add_edge(nodes[0], nodes[0])
    graph.add_node("island")
    for _, _, data in graph.edges(data=True):
        data["weight"] = float(rng.integers(1, 5)) / 2
    return graph


def _graphs():
    rng = np.random.default_rng(0)
    graphs = {
        "path": nx.path_graph(7),
        "directed path": nx.path_graph(6, create_using=nx.DiGraph),
        "star": nx.star_graph(6),
        "cycle": nx.cycle_graph(5, create_using=nx.DiGraph),
        "complete": nx.complete_graph(6),
        "one": nx.empty_graph(1),
        "two": nx.path_graph(2),
        "no edges": nx.empty_graph(4),
        "karate": nx.karate_club_graph(),
        "les miserables": nx.les_miserables_graph(),
        "two islands": nx.disjoint_union(nx.cycle_graph(4), nx.complete_graph(5)),
        "three loops": nx.DiGraph([(0, 0), (1, 1), (2, 2)]),
        "dangling": nx.DiGraph([(0, 1), (0, 2), (3, 0)]),
        "grid": nx.grid_2d_graph(4, 5),
        "scale free": nx.DiGraph(nx.scale_free_graph(40, seed=1)),
    }
    for seed in range(6):
        p = float(rng.uniform(0.02, 0.4))
        graphs[f"undirected {seed}"] = _with_extras(nx.gnp_random_graph(20, p, seed=seed), rng)
        graphs[f"directed {seed}"] = _with_extras(nx.gnp_random_graph(25, p, seed=seed, directed=True), rng)
    return graphs


GRAPHS = _graphs()
each = pytest.mark.parametrize("name", GRAPHS)


def _pair(name):
    return GRAPHS[name], NeighborGraph.from_networkx(GRAPHS[name])


def _close(found, expected, tolerance=1e-12):
    expected = np.array([expected[n] for n in expected])
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)


@each
def test_degree(name):
    theirs, ours = _pair(name)
    # networkx counts an undirected loop twice; a row stores it once.
    expected = [theirs.in_degree(n) if theirs.is_directed() else len(theirs[n]) for n in theirs]
    assert ours.degree().tolist() == expected


@each
def test_closeness(name):
    theirs, ours = _pair(name)
    _close(ours.closeness(), nx.closeness_centrality(theirs))


@each
def test_betweenness(name):
    theirs, ours = _pair(name)
    _close(ours.betweenness(), nx.betweenness_centrality(theirs))


@each
@pytest.mark.parametrize("alpha", [0.85, 0.5])
def test_pagerank(name, alpha):
    pytest.importorskip("scipy")  # networkx needs SciPy for it
    theirs, ours = _pair(name)
    _close(ours.pagerank(alpha), nx.pagerank(theirs, alpha=alpha, tol=1e-15, max_iter=10_000), 1e-11)
    assert abs(ours.pagerank(alpha).sum() - 1) < 1e-12


@each
def test_clustering(name):
    theirs, ours = _pair(name)
    _close(ours.clustering(), nx.clustering(theirs))


@each
@pytest.mark.parametrize("cutoff", [None, 2])
def test_hop_counts(name, cutoff):
    theirs, ours = _pair(name)
    found = ours.shortest_path_lengths(cutoff=cutoff)
    lengths = dict(nx.all_pairs_shortest_path_length(theirs, cutoff=cutoff))
    expected = [[lengths[s].get(t, np.inf) for t in theirs] for s in theirs]
    np.testing.assert_array_equal(found, expected)


@each
@pytest.mark.parametrize("cutoff", [None, 1.5])
def test_path_lengths(name, cutoff):
    rng = np.random.default_rng(1)
    theirs = GRAPHS[name].copy()
    for _, _, data in theirs.edges(data=True):
        data["length"] = float(rng.choice([0.0, 0.25, 0.5, 1.25]))
    ours = NeighborGraph.from_networkx(theirs, distance="length")
    assert ours.distances is not None
    lengths = dict(nx.all_pairs_dijkstra_path_length(theirs, cutoff=cutoff, weight="length"))
    expected = [[lengths[s].get(t, np.inf) for t in theirs] for s in theirs]
    np.testing.assert_array_equal(ours.shortest_path_lengths(cutoff=cutoff), expected)


@each
def test_laplacian(name):
    pytest.importorskip("scipy")
    theirs, ours = _pair(name)
    np.testing.assert_allclose(ours.laplacian(), nx.laplacian_matrix(theirs).toarray(), atol=1e-12)
    expected = nx.normalized_laplacian_matrix(theirs).toarray()
    np.testing.assert_allclose(ours.laplacian(normalized=True), expected, atol=1e-12)


def test_parallel_edges_follow_the_multigraph():
    rng = np.random.default_rng(3)
    theirs = nx.MultiDiGraph()
    theirs.add_nodes_from(range(12))
    for s, t in rng.integers(0, 12, (60, 2)).tolist():
        theirs.add_edge(s, t, weight=float(rng.random()), length=float(rng.random()))
    ours = NeighborGraph.from_networkx(theirs, distance="length")
    assert ours.num_edges == 60
    assert ours.degree().tolist() == [d for _, d in theirs.in_degree()]
    _close(ours.closeness(), nx.closeness_centrality(theirs))
    _close(ours.betweenness(), nx.betweenness_centrality(nx.DiGraph(theirs)))
    _close(ours.clustering(), nx.clustering(nx.DiGraph(theirs)))
    lengths = dict(nx.all_pairs_dijkstra_path_length(theirs, weight="length"))
    expected = [[lengths[s].get(t, np.inf) for t in theirs] for s in theirs]
    np.testing.assert_allclose(ours.shortest_path_lengths(), expected, rtol=1e-15)
    a = nx.to_numpy_array(theirs)
    np.testing.assert_allclose(ours.laplacian(), np.diag(a.sum(axis=1)) - a, atol=1e-12)
    pytest.importorskip("scipy")  # networkx needs SciPy for PageRank
    _close(ours.pagerank(), nx.pagerank(theirs, tol=1e-15, max_iter=1000), 1e-11)


def test_small_batches_give_the_same(monkeypatch):
    theirs = GRAPHS["les miserables"]
    ours = NeighborGraph.from_networkx(theirs)
    monkeypatch.setattr(paths, "_BUDGET", 3 * (ours.num_nodes + ours.num_edges))
    _close(ours.betweenness(), nx.betweenness_centrality(theirs))
    _close(ours.closeness(), nx.closeness_centrality(theirs))
    monkeypatch.setattr("graphattend.graph.centrality._WEDGES", 5)
    _close(ours.clustering(), nx.clustering(theirs))


def test_chosen_sources_give_their_rows():
    graph = NeighborGraph.from_networkx(GRAPHS["directed 3"])
    every = graph.shortest_path_lengths()
    np.testing.assert_array_equal(graph.shortest_path_lengths([5, 0, 5]), every[[5, 0, 5]])
    np.testing.assert_array_equal(graph.shortest_path_lengths(5), every[[5]])


def test_structural_features_are_the_five_measures():
    graph = NeighborGraph.from_networkx(GRAPHS["directed 2"])
    columns = [graph.degree(), graph.closeness(), graph.betweenness(), graph.pagerank(), graph.clustering()]
    features = graph.structural_features()
    np.testing.assert_array_equal(features, np.stack(columns, axis=1))
    assert features is graph.structural_features()
    with pytest.raises(ValueError, match="read-only"):
        features[0, 0] = 1


def test_a_hundred_thousand_nodes_in_seconds():
    rng = np.random.default_rng(0)
    graph = NeighborGraph.from_edge_index(rng.integers(0, 100_000, (2, 1_000_000)), 100_000)
    assert graph.degree().sum() == 1_000_000
    assert abs(graph.pagerank().sum() - 1) < 1e-9
    assert 0 < graph.clustering().mean() < 1e-3
    assert np.isfinite(graph.shortest_path_lengths([0])).sum() > 90_000


GRAPH = NeighborGraph.from_edge_index([[0, 1, 2], [1, 2, 0]], 4)
BAD = [
    (lambda: GRAPH.pagerank(1.5), errors.InvalidConfigError),
    (lambda: GRAPH.pagerank("0.85"), errors.InvalidConfigError),
    (lambda: GRAPH.pagerank(float("nan")), errors.InvalidConfigError),
    (lambda: GRAPH.shortest_path_lengths([4]), errors.OutOfBoundsError),
    (lambda: GRAPH.shortest_path_lengths(-1), errors.OutOfBoundsError),
    (lambda: GRAPH.shortest_path_lengths([]), errors.EmptyInputError),
    (lambda: GRAPH.shortest_path_lengths([[0]]), errors.DimensionMismatchError),
    (lambda: GRAPH.shortest_path_lengths([0.5]), errors.InvalidConfigError),
    (lambda: GRAPH.shortest_path_lengths("a"), errors.InvalidConfigError),
    (lambda: GRAPH.shortest_path_lengths(cutoff=-1), errors.InvalidConfigError),
    (lambda: GRAPH.shortest_path_lengths(cutoff=True), errors.InvalidConfigError),
    (lambda: GRAPH.laplacian(normalized=1), errors.InvalidConfigError),
]


@pytest.mark.parametrize(("call", "error"), BAD, ids=[str(i) for i in range(len(BAD))])
def test_bad_options(call, error):
    with pytest.raises(error):
        call()


def test_what_does_not_fit_into_memory_is_refused():
    graph = NeighborGraph.from_edge_index([[0], [1]], 100_000)
    for call in (graph.shortest_path_lengths, graph.laplacian):
        with pytest.raises(errors.UnsupportedError):
            call()


def test_negative_weights():
    graph = NeighborGraph.from_edge_index([[0, 1], [1, 0]], 2, edge_weights=[1.0, -1.0])
    with pytest.raises(errors.InvalidConfigError):
        graph.pagerank()
    with pytest.raises(errors.InvalidConfigError):
        graph.laplacian(normalized=True)
    assert graph.laplacian().tolist() == [[1, -1], [1, -1]]


def test_pagerank_that_never_settles():
    # Two nodes swap their rank forever, unless they start equal; a leaf feeds one of them.
    graph = NeighborGraph.from_edge_index([[0, 1, 2], [1, 0, 1]], 3)
    with pytest.raises(errors.NumericalInstabilityError):
        graph.pagerank(alpha=1.0)


def test_too_many_shortest_paths_to_count():
    # 700 diamonds with three ways each: 3^700 paths from end to end.
    hub = np.arange(700) * 4
    up = np.concatenate([hub, hub, hub])
    middle = np.concatenate([hub + 1, hub + 2, hub + 3])
    edges = np.stack([np.concatenate([up, middle]), np.concatenate([middle, up + 4])])
    graph = NeighborGraph.from_edge_index(edges, 2801)
    with pytest.raises(errors.NumericalInstabilityError):
        graph.betweenness()

"""Closeness and betweenness from random pivots."""

import numpy as np
import pytest

import graphattend as ga
from graphattend.graph import NeighborGraph, _measure_methods, paths

nx = pytest.importorskip("networkx")

GRAPHS = {
    "scale-free": lambda: nx.barabasi_albert_graph(300, 2, seed=1),
    "grid": lambda: nx.convert_node_labels_to_integers(nx.grid_2d_graph(12, 15)),
    "directed": lambda: nx.gnp_random_graph(150, 0.03, seed=2, directed=True),
    "in pieces": lambda: nx.disjoint_union(nx.path_graph(40), nx.star_graph(30)),
}


@pytest.fixture(params=GRAPHS)
def pair(request):
    theirs = GRAPHS[request.param]()
    return theirs, NeighborGraph.from_networkx(theirs)


def test_as_many_samples_as_nodes_are_exact(pair):
    _, ours = pair
    for samples in (ours.num_nodes, 10 * ours.num_nodes):
        np.testing.assert_array_equal(ours.closeness(samples), ours.closeness())
        np.testing.assert_array_equal(ours.betweenness(samples), ours.betweenness())


def test_all_pivots_but_one_come_close(pair):
    _, ours = pair
    samples = ours.num_nodes - 1
    np.testing.assert_allclose(ours.betweenness(samples), ours.betweenness(), atol=0.05)
    np.testing.assert_allclose(ours.closeness(samples), ours.closeness(), rtol=0.1, atol=0.02)


def test_betweenness_is_unbiased(pair):
    """All nodes are equally likely pivots: the mean over all choices of one pivot is networkx's exact value."""
    theirs, ours = pair
    exact = np.array(list(nx.betweenness_centrality(theirs).values()))
    found = np.mean([paths.betweenness(ours, np.array([node])) for node in range(ours.num_nodes)], axis=0)
    np.testing.assert_allclose(found, exact, rtol=1e-9, atol=1e-12)


def test_both_from_the_same_searches(pair):
    """The pivots' searches follow edges backwards; in undirected graphs both directions are the same."""
    theirs, ours = pair
    pivots = ours._pivots(25, 1)
    closeness, betweenness = paths.pivot_centralities(ours, pivots)
    np.testing.assert_array_equal(closeness, paths.closeness(ours, pivots))
    if not theirs.is_directed():
        np.testing.assert_allclose(betweenness, paths.betweenness(ours, pivots), rtol=1e-9, atol=1e-12)
    every = paths.pivot_centralities(ours, np.arange(ours.num_nodes))
    np.testing.assert_allclose(every[0], ours.closeness(), rtol=1e-12)
    np.testing.assert_allclose(every[1], ours.betweenness(), rtol=1e-9, atol=1e-12)


def test_the_stated_error_holds(pair):
    """At most 5 % of the nodes and seeds exceed Hoeffding's bounds."""
    theirs, ours = pair
    samples, size = 40, ours.num_nodes
    within = np.sqrt(np.log(2 / 0.05) / (2 * samples))
    exact = np.array(list(nx.betweenness_centrality(theirs).values()))
    found = np.stack([ours.betweenness(samples, seed=seed) for seed in range(30)])
    assert (np.abs(found - exact) > within * size / (size - 1)).mean() <= 0.05
    # Mean distance from the nodes that reach a node: closeness = reached share / mean distance.
    lengths = ours.shortest_path_lengths()
    if np.isfinite(lengths).all():
        mean = 1 / np.array(list(nx.closeness_centrality(theirs).values()))
        found = 1 / np.stack([ours.closeness(samples, seed=seed) for seed in range(30)])
        assert (np.abs(found - mean) > within * lengths.max()).mean() <= 0.05


def test_closeness_of_chosen_pivots_by_hand():
    path = NeighborGraph.from_networkx(nx.path_graph(5))
    seed = next(s for s in range(100) if path._pivots(2, s).tolist() == [0, 4])
    # Node 1 is one hop from 0 and three from 4; node 0 is compared only with node 4.
    np.testing.assert_allclose(path.closeness(2, seed=seed), [1 / 4, 1 / 2, 1 / 2, 1 / 2, 1 / 4])


def test_seeds_decide(pair):
    _, ours = pair
    np.testing.assert_array_equal(ours.betweenness(20, seed=3), ours.betweenness(20, seed=3))
    assert not np.array_equal(ours.betweenness(20, seed=3), ours.betweenness(20, seed=4))


@pytest.mark.parametrize("samples", [0, -1, 2.5, "many", True])
def test_bad_samples(samples):
    graph = NeighborGraph.from_networkx(nx.path_graph(5))
    for call in (graph.closeness, graph.betweenness, graph.structural_features):
        with pytest.raises(ga.InvalidConfigError) as caught:
            call(samples)
        assert caught.value.argument == "samples"


def test_large_graphs_use_pivots_and_say_so(monkeypatch):
    monkeypatch.setattr(_measure_methods, "EXACT_NODES", 100)
    monkeypatch.setattr(_measure_methods, "PIVOTS", 30)
    theirs = nx.barabasi_albert_graph(120, 2, seed=1)
    graph = NeighborGraph.from_networkx(theirs)
    assert graph.structural_samples == 30
    features = graph.structural_features()
    assert features is graph.structural_features()
    np.testing.assert_array_equal(features[:, 1], graph.closeness(30))
    np.testing.assert_allclose(features[:, 2], graph.betweenness(30), rtol=1e-9)
    exact = graph.structural_features(None)
    np.testing.assert_array_equal(exact[:, 2], graph.betweenness())
    np.testing.assert_array_equal(graph.structural_features(30), features)
    small = NeighborGraph.from_networkx(nx.path_graph(5))
    assert small.structural_samples is None
    assert small.structural_features(None) is small.structural_features()

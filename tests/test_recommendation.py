"""The recommended mechanism for each kind of graph."""

import functools
import json

import numpy as np
import pytest

import graphattend as ga


def both_ways(edges, size, **fields):
    edges = np.asarray(edges).T
    return ga.NeighborGraph.from_edge_index(np.concatenate([edges, edges[::-1]], axis=1), size, **fields)


def tree(size):
    """Return a binary tree, in which node i has parent (i - 1) // 2."""
    return both_ways([((i - 1) // 2, i) for i in range(1, size)], size)


def complete(size):
    i, j = np.triu_indices(size, 1)
    return both_ways(np.stack([i, j], axis=1), size)


def ring(size, reach=1, **fields):
    i = np.arange(size)
    edges = np.concatenate([np.stack([i, (i + r) % size], axis=1) for r in range(1, reach + 1)])
    return both_ways(edges, size, **fields)


def huge(size):
    rng = np.random.default_rng(0)
    edges = rng.integers(0, size, (3 * size, 2))
    edges[: size // 50, 0] = 7  # makes node 7 a hub
    return both_ways(edges, size)


GRAPHS = {
    "tree": (lambda: tree(127), "hyperbolic"),
    "directed tree": (
        lambda: ga.NeighborGraph.from_edge_index([[(i - 1) // 2 for i in range(1, 63)], list(range(1, 63))], 63),
        "hyperbolic",
    ),
    "star": (lambda: both_ways([(0, i) for i in range(1, 20)], 20), "hyperbolic"),
    "complete": (lambda: complete(20), "scaled_dot_product"),
    "edge features": (lambda: ring(20, edge_features=np.ones((40, 3))), "edge_featured"),
    "small tree": (lambda: tree(7), "hyperbolic"),
    "tree with layers": (
        lambda: ga.NeighborGraph([0, 1, 2, 3, 4], [1, 0, 1, 1], layers=[0, 2, 0, 1]),
        "hnsw_aware",
    ),
    "one layer only": (lambda: ring(20, layers=np.zeros(20, int)), "multi_head"),
    "lengths": (lambda: ring(20, distances=np.ones(40)), "graph_rope"),
    "ring": (lambda: ring(20), "multi_head"),
    "communities": (lambda: ring(60, reach=4), "structural"),
    "no edges": (lambda: ga.NeighborGraph(np.zeros(11, int), np.zeros(0, int)), "scaled_dot_product"),
    "no edges, many nodes": (lambda: ga.NeighborGraph(np.zeros(5001, int), np.zeros(0, int)), "linear"),
    "a single node": (lambda: ga.NeighborGraph([0, 0], np.zeros(0, int)), "scaled_dot_product"),
    "a loop": (lambda: ga.NeighborGraph([0, 1], [0]), "multi_head"),
}


@pytest.mark.parametrize("name", GRAPHS)
def test_each_kind_of_graph_gets_its_mechanism(name):
    make, key = GRAPHS[name]
    advice = ga.recommend(make())
    assert advice.key == key
    assert advice == ga.recommend(make())
    assert all(isinstance(reason, str) and len(reason) > 10 for reason in advice.reasons)
    json.dumps(advice.options)


@pytest.mark.parametrize("dim", [1, 6, 7, 64])
@pytest.mark.parametrize("name", GRAPHS)
def test_what_is_recommended_runs_on_the_graph(name, dim):
    graph = GRAPHS[name][0]()
    x = np.random.default_rng(0).standard_normal((graph.num_nodes, dim)) * 0.1
    for advice in (ga.recommend(graph), ga.recommend(graph, dim=dim)):
        attn = ga.create(advice.key, dim, **advice.options)
        assert np.isfinite(attn.attend(graph, x)).all()


def test_heads_divide_the_width():
    graph = ring(20, edge_features=np.ones((40, 3)))
    assert ga.recommend(graph, dim=16).options == {"edge_dim": 3, "num_heads": 8}
    assert ga.recommend(graph, dim=6).options == {"edge_dim": 3, "num_heads": 2}
    assert ga.recommend(graph).options == {"edge_dim": 3, "num_heads": 1}


def test_layers_fit_into_the_table():
    graph = ring(20, layers=np.arange(20))
    assert ga.recommend(graph).options == {"num_layers": 20}


def test_a_huge_graph_gets_its_hubs():
    advice = ga.recommend(huge(100_000))
    assert advice.key == "local_global"
    assert 7 in advice.options["global_nodes"]
    assert len(advice.options["global_nodes"]) == 8


def test_reasons_tell_the_size_first():
    assert ga.recommend(tree(7)).reasons[0] == "7 nodes, 6 edges, undirected, density 0.29"


@pytest.mark.parametrize("graph", [None, "graph", np.eye(3), [[0, 1]]])
def test_anything_but_a_graph_is_refused(graph):
    with pytest.raises(ga.InvalidConfigError, match="graph"):
        ga.recommend(graph)


@pytest.mark.parametrize("dim", [0, -1, 1.5, "8", True])
def test_a_wrong_width_is_refused(dim):
    with pytest.raises(ga.InvalidConfigError, match="dim"):
        ga.recommend(tree(7), dim=dim)


def test_measuring_decides_by_held_out_links(monkeypatch):
    few = {"mechanisms": ["scaled_dot_product", "edge_featured"], "seeds": 3, "epochs": 4}
    monkeypatch.setattr(ga.evaluation, "evaluate", functools.partial(ga.evaluate, **few))
    seen = []
    found = ga.recommend(ring(30, reach=2), dim=8, measure=True, on_progress=lambda *at: seen.append(at))
    assert found.key in few["mechanisms"]
    assert found.reasons[0] == "30 nodes, 60 edges, undirected; held-out links, 3 seeds"
    assert found.reasons[-1].startswith(f"{found.key} reaches roc_auc 0.")
    assert any("baseline" in reason for reason in found.reasons)
    assert ga.create(found.key, 8, **found.options).key == found.key
    assert seen

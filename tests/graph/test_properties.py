"""Density, tree-likeness and spectral embeddings against closed forms and networkx."""

import itertools

import numpy as np
import pytest

from graphattend import errors
from graphattend.graph import NeighborGraph, delta_hyperbolicity, density, properties, spectral_embedding


def undirected(pairs, size):
    a = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return NeighborGraph.from_edge_index(np.concatenate([a, a[::-1]], axis=1), size)


def exact_delta(graph):
    d = graph.shortest_path_lengths()
    worst = 0.0
    for x, y, z, w in itertools.combinations(range(graph.num_nodes), 4):
        sums = sorted([d[x, y] + d[z, w], d[x, z] + d[y, w], d[x, w] + d[y, z]])
        worst = max(worst, (sums[2] - sums[1]) / 2)
    return worst


def test_density():
    nx = pytest.importorskip("networkx")
    for theirs in (nx.karate_club_graph(), nx.gnp_random_graph(20, 0.3, seed=1, directed=True)):
        assert density(NeighborGraph.from_networkx(theirs)) == pytest.approx(nx.density(theirs), abs=1e-15)
    assert density(NeighborGraph.from_edge_index([[0, 0, 1], [1, 1, 1]], 2)) == 0.5
    assert density(NeighborGraph([0, 0], [])) == 0.0


def test_trees_have_no_defect():
    rng = np.random.default_rng(0)
    tree = undirected([(i, int(rng.integers(0, i))) for i in range(1, 60)], 60)
    found = delta_hyperbolicity(tree, rng=1)
    assert found.delta == found.mean == 0.0
    assert found.diameter == tree.shortest_path_lengths().max()


@pytest.mark.parametrize("size", [8, 12, 13])
def test_rings(size):
    ring = undirected([(i, (i + 1) % size) for i in range(size)], size)
    found = delta_hyperbolicity(ring, samples=20_000)
    assert found.delta == exact_delta(ring)
    assert 0 < found.mean <= found.delta <= found.diameter / 2


def test_only_the_largest_component_counts():
    ring = [(i, (i + 1) % 8) for i in range(8)]
    graph = undirected([*ring, (8, 9), (9, 10)], 12)
    assert delta_hyperbolicity(graph).delta == 2.0
    assert delta_hyperbolicity(undirected([(0, 1), (2, 3)], 5)) == (0, 0, 0)
    assert delta_hyperbolicity(graph, rng=3) == delta_hyperbolicity(graph, rng=np.random.default_rng(3))


def test_components_against_networkx():
    nx = pytest.importorskip("networkx")
    for seed in range(8):
        theirs = nx.gnp_random_graph(80, 0.015, seed=seed)
        ours = NeighborGraph.from_networkx(theirs)
        labels = properties.components(80, ours.targets, ours.indices)
        for nodes in nx.connected_components(theirs):
            assert set(labels[list(nodes)].tolist()) == {min(nodes)}


def test_bad_samples():
    graph = undirected([(0, 1)], 2)
    for options in ({"samples": 0}, {"samples": 1.5}, {"rng": None}, {"rng": -1}):
        with pytest.raises(errors.InvalidConfigError):
            delta_hyperbolicity(graph, **options)


def test_spectral_embedding_spans_the_smoothest_eigenvectors():
    nx = pytest.importorskip("networkx")
    pytest.importorskip("scipy")
    theirs = nx.les_miserables_graph()
    graph = NeighborGraph.from_networkx(theirs)
    found = spectral_embedding(graph, 8)
    laplacian = nx.normalized_laplacian_matrix(theirs).toarray()
    values = np.linalg.eigvalsh(laplacian)[1:9]
    np.testing.assert_allclose(found.T @ found, np.eye(8), atol=1e-12)
    np.testing.assert_allclose(laplacian @ found, found * values, atol=1e-12)


def test_spectral_embedding_does_not_depend_on_the_solver():
    # The ring's eigenvalues come in pairs: rotate the solver's bases and flip their signs.
    size = 12
    ring = undirected([(i, (i + 1) % size) for i in range(size)], size)
    expected = spectral_embedding(ring, 5)
    original = np.linalg.eigh

    def rotated(a):
        values, vectors = original(a)
        turn = np.array([[0.6, -0.8], [0.8, 0.6]])
        vectors = -vectors
        for k in range(1, size - 1, 2):
            vectors[:, k : k + 2] = vectors[:, k : k + 2] @ turn
        return values, vectors

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np.linalg, "eigh", rotated)
        np.testing.assert_allclose(spectral_embedding(ring, 5), expected, atol=1e-12)


def test_spectral_embedding_ignores_direction_and_takes_islands():
    one_way = NeighborGraph.from_edge_index([[0, 1, 2], [1, 2, 3]], 6)
    both = undirected([(0, 1), (1, 2), (2, 3)], 6)
    np.testing.assert_allclose(spectral_embedding(one_way, 3), spectral_embedding(both, 3), atol=1e-12)


def test_spectral_embedding_refusals():
    graph = undirected([(0, 1)], 3)
    for dim in (0, 3, 1.0, True):
        with pytest.raises(errors.InvalidConfigError):
            spectral_embedding(graph, dim)
    with pytest.raises(errors.InvalidConfigError, match=r"graph\.num_nodes"):
        spectral_embedding(NeighborGraph.from_edge_index([[0], [0]], 1), 1)
    with pytest.raises(errors.InvalidConfigError):
        spectral_embedding(NeighborGraph.from_edge_index([[0], [1]], 3, edge_weights=[-1.0]), 1)

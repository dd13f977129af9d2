"""Spectral embeddings of large graphs: residuals, and comparison with the dense solution."""

import sys

import numpy as np
import pytest

from graphattend.graph import NeighborGraph, spectral, spectral_embedding, subspace


def both_ways(pairs, size, weights=None):
    a = np.asarray(pairs).reshape(-1, 2).T
    weights = None if weights is None else np.tile(weights, 2)
    return NeighborGraph.from_edge_index(np.concatenate([a, a[::-1]], axis=1), size, edge_weights=weights)


def blocks(rng, size=400, parts=6):
    """Draw a graph of communities, whose first eigenvalues are separated from the rest."""
    part = rng.integers(0, parts, size)
    i, j = np.triu_indices(size, 1)
    linked = rng.random(len(i)) < np.where(part[i] == part[j], 0.3, 0.005)
    return np.stack([i[linked], j[linked]], axis=1), size


def grid(side):
    node = np.arange(side * side).reshape(side, side)
    right = np.stack([node[:, :-1].ravel(), node[:, 1:].ravel()], axis=1)
    down = np.stack([node[:-1].ravel(), node[1:].ravel()], axis=1)
    return np.concatenate([right, down]), side * side


def laplacian_of(graph):
    """Return the dense I - D^(-1/2) A D^(-1/2) by definition, with zero rows for isolated nodes."""
    a = np.zeros((graph.num_nodes, graph.num_nodes))
    weights = np.ones(graph.num_edges) if graph.edge_weights is None else graph.edge_weights
    np.add.at(a, (graph.targets, graph.indices), weights)
    a = (a + a.T) / 2
    degree = a.sum(axis=1)
    root = np.where(degree > 0, 1 / np.sqrt(np.where(degree > 0, degree, 1)), 0)
    return np.diag((degree > 0).astype(float)) - root[:, None] * a * root


@pytest.fixture(params=["scipy", "numpy"])
def product(request, monkeypatch):
    """Run with SciPy's products and without SciPy."""
    if request.param == "scipy":
        pytest.importorskip("scipy")
    else:
        monkeypatch.setitem(sys.modules, "scipy.sparse", None)
        monkeypatch.setattr(subspace, "_GATHERED", 3000)
    monkeypatch.setattr(subspace, "_ROWS", 150)
    monkeypatch.setattr(spectral, "DENSE_NODES", 20)
    return request.param


def residuals(graph, x):
    a = laplacian_of(graph)
    x = x.astype(np.float64)
    values = np.einsum("vd,vd->d", x, a @ x)
    return np.linalg.norm(a @ x - x * values, axis=0), values


@pytest.mark.parametrize("kind", ["blocks", "grid", "weighted", "pieces", "star"])
def test_residuals_and_orthogonality(rng, product, kind):
    if kind == "grid":
        graph = both_ways(*grid(20))
    elif kind == "pieces":
        pairs, size = grid(10)
        graph = both_ways(np.concatenate([pairs, pairs + size]), 2 * size + 5)
    elif kind == "star":
        graph = both_ways([(0, i) for i in range(1, 60)], 60)
    else:
        pairs, size = blocks(rng)
        graph = both_ways(pairs, size, rng.random(len(pairs)) if kind == "weighted" else None)
    x = spectral_embedding(graph, 6)
    assert x.dtype == np.float32
    assert x.shape == (graph.num_nodes, 6)
    errors, values = residuals(graph, x)
    assert errors.max() <= 1.1e-4  # TOLERANCE plus the embedding's rounding to float32
    np.testing.assert_allclose(x.T @ x, np.eye(6), atol=1e-5)
    exact = np.linalg.eigvalsh(laplacian_of(graph))
    isolated = int((graph.degree() == 0).sum())
    # The trivial eigenvector is omitted, and isolated nodes are at the origin.
    np.testing.assert_allclose(np.sort(values), exact[1 + isolated : 7 + isolated], atol=2e-5)
    assert not x[graph.degree() == 0].any()


def test_the_same_space_as_the_dense_solution(rng, product, monkeypatch):
    pairs, size = blocks(rng)
    graph = both_ways(pairs, size)
    found = spectral_embedding(graph, 5)
    monkeypatch.setattr(spectral, "DENSE_NODES", 1000)
    exact = spectral_embedding(graph, 5)
    angles = np.linalg.svd(exact.T @ found, compute_uv=False)
    np.testing.assert_allclose(angles, 1, atol=1e-5)


def test_seeds_and_directions(rng, product):
    pairs, size = blocks(rng)
    graph = both_ways(pairs, size)
    np.testing.assert_array_equal(spectral_embedding(graph, 3, seed=1), spectral_embedding(graph, 3, seed=1))
    one_way = NeighborGraph.from_edge_index(np.asarray(pairs).T, size)
    np.testing.assert_allclose(spectral_embedding(one_way, 3), spectral_embedding(graph, 3), atol=5e-4)


def test_no_convergence_is_an_error(rng, product, monkeypatch):
    from graphattend import errors

    monkeypatch.setattr(subspace, "_MAX_ROUNDS", 1)
    with pytest.raises(errors.NumericalInstabilityError, match="spectral_embedding"):
        spectral_embedding(both_ways(*grid(20)), 4)


def test_more_nodes_than_a_dense_matrix_holds():
    graph = both_ways(*grid(75))
    assert graph.num_nodes > spectral.DENSE_NODES
    x = spectral_embedding(graph, 2).astype(np.float64)
    # In a grid's two smoothest eigenvectors, the middles of opposite sides have opposite values.
    np.testing.assert_allclose(x.T @ x, np.eye(2), atol=1e-5)
    assert np.abs(x.sum(axis=0)).max() < 2

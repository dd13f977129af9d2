"""The graph Laplacian, and spectral embedding by its eigenvectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import _validate as check
from ..errors import InvalidConfigError
from .properties import as_graph, check_dense

if TYPE_CHECKING:
    from .neighbor_graph import NeighborGraph

#: Largest number of nodes for a dense Laplacian, which takes 200 MB and seconds for its eigenvectors.
DENSE_NODES = 5000
# Eigenvalues closer than this are treated as equal; any basis of their eigenspace is valid.
_SAME = 1e-8


def adjacency(graph: NeighborGraph) -> np.ndarray:
    """Return the dense A (V, V) in networkx's orientation: A[source, target] is the summed weight."""
    size = graph.num_nodes
    check_dense(size, size, "num_nodes")
    flat = graph.indices * size + graph.targets
    return np.bincount(flat, graph.edge_weights, size * size).reshape(size, size).astype(np.float64, copy=False)


def laplacian(graph: NeighborGraph, normalized: bool) -> np.ndarray:
    """Return D - A, or D^(-1/2) (D - A) D^(-1/2), where D holds the row sums of A."""
    a = adjacency(graph)
    degree = a.sum(axis=1)
    result = np.negative(a, out=a)
    result[np.diag_indices_from(result)] += degree
    if normalized:
        if degree.min() < 0:
            expected = "edge weights whose sum is not negative at any node"
            raise InvalidConfigError(
                f"edge_weights: the normalized Laplacian expects {expected}",
                argument="edge_weights",
                expected=expected,
                actual=float(degree.min()),
            )
        root = np.divide(1.0, np.sqrt(degree), out=np.zeros_like(degree), where=degree > 0)
        result *= root[:, None]
        result *= root
    return result


def spectral_embedding(graph: NeighborGraph, dim: int, *, seed: int = 0) -> np.ndarray:
    """Embed nodes by the smoothest eigenvectors of the normalized Laplacian, ignoring directions.

    The coordinates are the unit eigenvectors 1 … dim of L = I - D^(-1/2) A D^(-1/2), where A = (A + Aᵀ) / 2.
    Eigenvector 0, which is D^(1/2) 1 in a connected graph, does not distinguish the nodes and is left out.

    Up to 5 000 nodes the eigenvectors are exact. Signs, and the bases of equal eigenvalues, are fixed by projecting
    fixed vectors, so results on different machines differ by rounding only. Larger graphs are solved by subspace
    iteration in float32, until ‖Lx - λx‖ <= 1e-4 for every eigenvector; isolated nodes are at the origin. The products
    use SciPy if it is installed.

    Args:
        graph: The graph; edge weights must not be negative.
        dim: Number of coordinates D, 1 … V - 1.
        seed: Seed of the initial vectors for large graphs. It affects the basis of eigenvalues that nearly coincide.

    Returns:
        Coordinates, (V, D), float64; float32 for more than 5 000 nodes.

    Raises:
        InvalidConfigError: `dim` is out of range, or a weight is negative.
        NumericalInstabilityError: The iteration did not converge.

    Source:
        Belkin and Niyogi, "Laplacian Eigenmaps" (2003); Ng, Jordan and Weiss (2001). Subspace iteration with Chebyshev
        filters: Zhou, Saad, Tiago and Chelikowsky, "Self-consistent-field calculations using Chebyshev-filtered
        subspace iteration" (2006).

    Example:
        >>> from graphattend.graph import NeighborGraph, spectral_embedding
        >>> path = NeighborGraph.from_edge_index([[0, 1, 1, 2], [1, 0, 2, 1]], 3)
        >>> abs(spectral_embedding(path, 1)).round(3).tolist()
        [[0.707], [0.0], [0.707]]
    """
    size = check.as_int(as_graph(graph).num_nodes, "graph.num_nodes", minimum=2)
    dim = check.as_int(dim, "dim", minimum=1, maximum=size - 1)
    seed = check.as_int(seed, "seed", minimum=0)
    if graph.edge_weights is not None and graph.num_edges and graph.edge_weights.min() < 0:
        raise InvalidConfigError(
            "edge_weights: spectral_embedding expects weights >= 0",
            argument="edge_weights",
            expected="weights >= 0",
            actual=float(graph.edge_weights.min()),
        )
    if size > DENSE_NODES:
        from .subspace import smoothest

        return smoothest(graph, dim, seed)
    a = adjacency(graph)
    a = (a + a.T) / 2
    degree = a.sum(axis=1)
    root = np.divide(1.0, np.sqrt(degree), out=np.zeros(size), where=degree > 0)
    a *= -root[:, None]
    a *= root
    a[np.diag_indices(size)] += degree > 0
    values, vectors = np.linalg.eigh(a)
    return _canonical(values, vectors, dim + 1)[:, 1:]


def _canonical(values: np.ndarray, vectors: np.ndarray, count: int) -> np.ndarray:
    """Return the first `count` eigenvectors, with a basis per eigenvalue that does not depend on the solver."""
    starts = np.flatnonzero(np.diff(values, prepend=-np.inf) > _SAME)
    stops = np.append(starts[1:], len(values))
    probe = np.cos(np.arange(1.0, len(values) + 1)[:, None] * np.sqrt(2.0 + np.arange(len(values))))
    found = []
    for start, stop in zip(starts, stops, strict=True):
        if start >= count:
            break
        basis = vectors[:, start:stop]
        q, r = np.linalg.qr(basis @ (basis.T @ probe[:, : stop - start]))
        found.append(q * np.where(np.diag(r) < 0, -1.0, 1.0))
    return np.concatenate(found, axis=1)[:, :count]

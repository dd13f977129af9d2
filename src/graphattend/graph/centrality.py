"""PageRank, clustering and the table of structural features. Nothing here checks its input."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import InvalidConfigError, NumericalInstabilityError
from . import _csr

if TYPE_CHECKING:
    from .neighbor_graph import NeighborGraph

_TOLERANCE = 1e-12
_MAX_ITERATIONS = 10_000
# Pairs of neighbours looked at together while triangles are counted: 16 MB per array of them.
_WEDGES = 1 << 21


def pagerank(graph: NeighborGraph, alpha: float) -> np.ndarray:
    """Power iteration of p ← alpha (Pᵀp + dangling / V) + (1 - alpha) / V until it stands still."""
    size = graph.num_nodes
    weights = np.ones(graph.num_edges) if graph.edge_weights is None else graph.edge_weights.astype(np.float64)
    if weights.size and weights.min() < 0:
        expected = "weights >= 0"
        raise InvalidConfigError(
            f"edge_weights: pagerank expects {expected}, got {weights.min()}",
            argument="edge_weights",
            expected=expected,
            actual=float(weights.min()),
        )
    leaving = np.bincount(graph.indices, weights, size)
    dangling = leaving == 0
    share = weights / np.where(dangling, 1.0, leaving)[graph.indices]
    p = np.full(size, 1 / size)
    for _ in range(_MAX_ITERATIONS):
        arriving = np.bincount(graph.targets, share * p[graph.indices], size)
        new: np.ndarray = alpha * (arriving + p[dangling].sum() / size) + (1 - alpha) / size
        if np.abs(new - p).sum() < _TOLERANCE:
            return new
        p = new
    raise NumericalInstabilityError(
        f"alpha: pagerank did not converge in {_MAX_ITERATIONS} iterations at alpha={alpha}",
        argument="alpha",
        expected="an alpha further below 1",
        actual=alpha,
    )


def clustering(graph: NeighborGraph) -> np.ndarray:
    """Fagiolo's directed coefficient; for symmetric edges it is the undirected one."""
    size = graph.num_nodes
    indptr, indices = _csr.simple(graph.indptr, graph.indices)
    rows = _csr.rows_of(indptr)
    both_ways = [_csr.joined(rows, indices, size), _csr.joined(indices, rows, size)]
    pairs, both = np.unique(np.concatenate(both_ways), return_counts=True)
    degree = np.bincount(rows, minlength=size) + np.bincount(indices, minlength=size)
    mutual = np.bincount(_csr.parted(pairs, size)[0][both == 2], minlength=size)
    possible = 2.0 * (degree * (degree - 1.0) - 2.0 * mutual)
    triangles = 2.0 * _triangles(size, pairs, both)
    result = np.zeros(size)
    np.divide(triangles, possible, out=result, where=possible > 0)
    return result


def _triangles(size: int, pairs: np.ndarray, both: np.ndarray) -> np.ndarray:
    """Per node the sum over its triangles of the product of how many ways each side runs (1 or 2)."""
    a, b = _csr.parted(pairs, size)
    # Every side points from its rarer end to its busier one, so no node starts more than √(2K) of them.
    order = np.lexsort((np.arange(size), np.bincount(a, minlength=size)))
    rank = np.empty(size, dtype=np.intp)
    rank[order] = np.arange(size)
    up = rank[a] < rank[b]
    keys = _csr.joined(rank[a[up]], rank[b[up]], size)
    sort = np.argsort(keys)
    keys, ways = keys[sort], both[up][sort]
    low, high = _csr.parted(keys, size)
    indptr = _csr.indptr_of(low, size)
    # For the side low → high, the third corner is a later neighbour of low that high points to as well or is pointed
    # to by; rows are sorted, so each pair of neighbours is met once, as (earlier, later).
    later = indptr[low + 1] - np.arange(len(keys)) - 1
    total = np.zeros(size)
    for start, stop in batches(later, _WEDGES):
        first = np.repeat(np.arange(start, stop), later[start:stop])
        second = _csr.ranges(np.arange(start, stop) + 1, later[start:stop])
        wanted = _csr.joined(high[first], high[second], size)
        found = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        hit = keys[found] == wanted
        first, second, found = first[hit], second[hit], found[hit]
        product = (ways[first] * ways[second] * ways[found]).astype(np.float64)
        for corner in (low[first], high[first], high[second]):
            total += np.bincount(corner, product, size)
    by_node: np.ndarray = total[rank]
    return by_node


def batches(costs: np.ndarray, budget: int) -> list[tuple[int, int]]:
    """Consecutive ranges whose costs sum to about `budget` (one entry may exceed it alone)."""
    ends = np.cumsum(costs)
    found, start = [], 0
    while start < len(costs):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + budget, side="right")))
        found.append((start, stop))
        start = stop
    return found


def structural_features(graph: NeighborGraph, pivots: np.ndarray | None) -> np.ndarray:
    """Columns degree, closeness, betweenness, pagerank, clustering; the second and third from the pivots."""
    from .paths import betweenness, closeness, pivot_centralities

    paths = (closeness(graph), betweenness(graph)) if pivots is None else pivot_centralities(graph, pivots)
    columns = (graph.degree(), *paths, pagerank(graph, 0.85), clustering(graph))
    return np.stack(columns, axis=1, dtype=np.float64)

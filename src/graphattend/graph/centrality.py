"""PageRank, clustering and the table of structural features. Inputs are not validated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import InvalidConfigError, NumericalInstabilityError
from . import _csr

if TYPE_CHECKING:
    from .neighbor_graph import NeighborGraph

_TOLERANCE = 1e-12
_MAX_ITERATIONS = 10_000
# Number of neighbour pairs that are tested for triangles at once: 16 MB per array.
_WEDGES = 1 << 21


def pagerank(graph: NeighborGraph, alpha: float) -> np.ndarray:
    """Compute PageRank by power iteration of p ← alpha (Pᵀp + dangling / V) + (1 - alpha) / V until convergence."""
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
    """Compute Fagiolo's directed clustering coefficient; for symmetric edges it equals the undirected one."""
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
    """Return for each node the sum over its triangles of the product of the sides' numbers of directions (1 or 2)."""
    a, b = _csr.parted(pairs, size)
    # Orient every side from its end of lower degree to the other: no node then starts more than √(2K) sides.
    order = np.lexsort((np.arange(size), np.bincount(a, minlength=size)))
    rank = np.empty(size, dtype=np.intp)
    rank[order] = np.arange(size)
    up = rank[a] < rank[b]
    keys = _csr.joined(rank[a[up]], rank[b[up]], size)
    sort = np.argsort(keys)
    keys, ways = keys[sort], both[up][sort]
    low, high = _csr.parted(keys, size)
    indptr = _csr.indptr_of(low, size)
    # For the side low → high, the third corner is a later neighbour of low that is joined to high. Rows are sorted, so
    # each pair of neighbours occurs once, as (earlier, later).
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
    """Return consecutive ranges whose costs sum to at most `budget`, unless a single entry exceeds it."""
    ends = np.cumsum(costs)
    found, start = [], 0
    while start < len(costs):
        before = int(ends[start - 1]) if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + budget, side="right")))
        found.append((start, stop))
        start = stop
    return found


def structural_features(graph: NeighborGraph, pivots: np.ndarray | None) -> np.ndarray:
    """Return the columns degree, closeness, betweenness, pagerank and clustering, (V, 5).

    With pivots, closeness and betweenness are estimates.
    """
    from .paths import betweenness, closeness, pivot_centralities

    paths = (closeness(graph), betweenness(graph)) if pivots is None else pivot_centralities(graph, pivots)
    columns = (graph.degree(), *paths, pagerank(graph, 0.85), clustering(graph))
    return np.stack(columns, axis=1, dtype=np.float64)

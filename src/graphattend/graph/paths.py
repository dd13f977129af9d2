"""Shortest paths, closeness and betweenness, for many sources at once. Inputs are not validated.

A state is a pair (source s, node v), encoded as the number s·V + v. A frontier is one array of states.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import NumericalInstabilityError
from . import _csr

if TYPE_CHECKING:
    from .neighbor_graph import NeighborGraph

# Largest number of states and edges of a batch of sources: about 100 MB.
_BUDGET = 1 << 21


def batch_size(num_nodes: int, num_edges: int) -> int:
    """Return the number of sources per batch."""
    return max(1, _BUDGET // (num_nodes + num_edges))


def _step(
    frontier: np.ndarray, size: int, indptr: np.ndarray, indices: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return all edges that leave the frontier: the states they leave, the states they reach, and the edge numbers."""
    nodes = frontier % size
    counts = indptr[nodes + 1] - indptr[nodes]
    edges = _csr.ranges(indptr[nodes], counts)
    before = np.repeat(frontier, counts)
    return before, before - before % size + indices[edges], edges


def _distinct(states: np.ndarray, scratch: np.ndarray) -> np.ndarray:
    """Return the states without duplicates, unsorted; `scratch` is an index array over all states."""
    mark = np.arange(len(states))
    scratch[states] = mark
    kept: np.ndarray = states[scratch[states] == mark]
    return kept


def hop_counts(sources: np.ndarray, indptr: np.ndarray, indices: np.ndarray, limit: float = np.inf) -> np.ndarray:
    """Search breadth-first from each source along the rows; return hops (S, V), -1 where unreached."""
    size = len(indptr) - 1
    hops = np.full(len(sources) * size, -1, dtype=np.intp)
    scratch = np.empty_like(hops)
    frontier = np.arange(len(sources)) * size + sources
    hops[frontier] = 0
    level = 0
    while frontier.size and level + 1 <= limit:
        level += 1
        _, reached, _ = _step(frontier, size, indptr, indices)
        reached = reached[hops[reached] < 0]
        hops[reached] = level
        frontier = _distinct(reached, scratch)
    return hops.reshape(len(sources), size)


def path_lengths(
    sources: np.ndarray, indptr: np.ndarray, indices: np.ndarray, lengths: np.ndarray, limit: float = np.inf
) -> np.ndarray:
    """Run Bellman-Ford over frontiers along the rows; return path lengths (S, V), inf where unreached."""
    size = len(indptr) - 1
    best = np.full(len(sources) * size, np.inf)
    scratch = np.empty(len(best), dtype=np.intp)
    frontier = np.arange(len(sources)) * size + sources
    best[frontier] = 0.0
    while frontier.size:
        before, reached, edges = _step(frontier, size, indptr, indices)
        length = best[before] + lengths[edges]
        shorter = (length < best[reached]) & (length <= limit)
        reached = reached[shorter]
        np.minimum.at(best, reached, length[shorter])
        frontier = _distinct(reached, scratch)
    return best.reshape(len(sources), size)


def shortest_path_lengths(graph: NeighborGraph, sources: np.ndarray, cutoff: float | None) -> np.ndarray:
    """Return the path lengths (S, V) from each source along edges source → target."""
    size, limit = graph.num_nodes, np.inf if cutoff is None else cutoff
    indptr, indices, order = _csr.transposed(graph.indptr, graph.indices)
    lengths = None if graph.distances is None else graph.distances[order].astype(np.float64)
    result = np.empty((len(sources), size))
    step = batch_size(size, graph.num_edges)
    for start in range(0, len(sources), step):
        part = sources[start : start + step]
        if lengths is None:
            hops = hop_counts(part, indptr, indices, limit)
            result[start : start + step] = np.where(hops < 0, np.inf, hops)
        else:
            result[start : start + step] = path_lengths(part, indptr, indices, lengths, limit)
    return result


def closeness(graph: NeighborGraph, pivots: np.ndarray | None = None) -> np.ndarray:
    """Compute (r / Σ distances) · (r / (V - 1)) over the r nodes from which each node can be reached.

    With pivots, r counts the pivots from which the node can be reached, and V - 1 becomes the number of other pivots.
    """
    if pivots is not None:
        return _closeness_from(graph, pivots)
    size = graph.num_nodes
    indptr, indices = _csr.simple(graph.indptr, graph.indices)
    result = np.zeros(size)
    step = batch_size(size, len(indices))
    for start in range(0, size, step):
        # Row i holds i's sources, so a search along rows follows edges backwards and finds distances to i.
        hops = hop_counts(np.arange(start, min(start + step, size)), indptr, indices)
        reached = np.count_nonzero(hops > 0, axis=1).astype(np.float64)
        total = np.where(hops > 0, hops, 0).sum(axis=1)
        np.divide(reached * reached, total * max(size - 1, 1), out=result[start : start + step], where=total > 0)
    return result


def _closeness_from(graph: NeighborGraph, pivots: np.ndarray) -> np.ndarray:
    """Estimate closeness by one search from each pivot."""
    size = graph.num_nodes
    indptr, indices = _forward(graph)
    reached, total = np.zeros(size), np.zeros(size)
    step = batch_size(size, len(indices))
    for start in range(0, len(pivots), step):
        hops = hop_counts(pivots[start : start + step], indptr, indices)
        reached += np.count_nonzero(hops > 0, axis=0)
        total += np.where(hops > 0, hops, 0).sum(axis=0)
    return _pivot_closeness(reached, total, pivots)


def _forward(graph: NeighborGraph) -> tuple[np.ndarray, np.ndarray]:
    """Return CSR rows of each node's targets, without loops and duplicates."""
    indptr, indices, _ = _csr.transposed(*_csr.simple(graph.indptr, graph.indices))
    return indptr, indices


def _pivot_closeness(reached: np.ndarray, total: np.ndarray, pivots: np.ndarray) -> np.ndarray:
    """Compute closeness from the number of pivots that reach each node and the sum of their hops.

    A pivot does not count as a source of itself.
    """
    compared = len(pivots) - np.bincount(pivots, minlength=len(total))
    result = np.zeros(len(total))
    np.divide(reached * reached, total * np.maximum(compared, 1), out=result, where=total > 0)
    return result


def pivot_centralities(graph: NeighborGraph, pivots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Estimate closeness and betweenness from the same searches."""
    size = graph.num_nodes
    indptr, indices = _forward(graph)
    found = np.zeros((3, size))
    step = batch_size(size, len(indices))
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(pivots), step):
            found += _dependencies(pivots[start : start + step], indptr, indices)
    share, reached, total = found
    return _pivot_closeness(reached, total, pivots), _normalised(share, len(pivots))


def betweenness(graph: NeighborGraph, pivots: np.ndarray | None = None) -> np.ndarray:
    """Compute betweenness by Brandes' accumulation, level by level, normalised by (V - 1)(V - 2).

    With pivots, only they are sources, and the sum is scaled by V / pivots.
    """
    size = graph.num_nodes
    sources = np.arange(size) if pivots is None else pivots
    # Reversing every edge reverses every shortest path, so the search can follow the rows without transposing.
    indptr, indices = _csr.simple(graph.indptr, graph.indices)
    total = np.zeros(size)
    step = batch_size(size, len(indices))
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(sources), step):
            total += _dependencies(sources[start : start + step], indptr, indices)[0]
    return _normalised(total, len(sources))


def _normalised(total: np.ndarray, searches: int) -> np.ndarray:
    """Normalise the sum of the dependencies over this number of sources to betweenness."""
    size = len(total)
    if not np.isfinite(total).all():
        raise NumericalInstabilityError("betweenness: the number of shortest paths is beyond float64")
    if size <= 2:
        return total
    result: np.ndarray = total * (size / searches) / ((size - 1) * (size - 2))
    return result


def _dependencies(sources: np.ndarray, indptr: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Sum over the sources, (3, V): each node's dependency, whether the source reaches it, and the hops to it."""
    size = len(indptr) - 1
    states = len(sources) * size
    unseen = np.ones(states, dtype=bool)
    paths, share = np.zeros(states), np.zeros(states)
    scratch = np.empty(states, dtype=np.intp)
    frontier = start = np.arange(len(sources)) * size + sources
    unseen[frontier] = False
    paths[frontier] = 1.0
    reach, hops = np.zeros(size), np.zeros(size)
    levels: list[tuple[np.ndarray, np.ndarray]] = []
    while frontier.size:
        before, reached, _ = _step(frontier, size, indptr, indices)
        new = unseen[reached]
        before, reached = before[new], reached[new]
        np.add.at(paths, reached, paths[before])
        unseen[reached] = False
        levels.append((before, reached))
        frontier = _distinct(reached, scratch)
        nodes = np.bincount(frontier % size, minlength=size)
        reach += nodes
        hops += len(levels) * nodes
    for before, reached in reversed(levels):
        np.add.at(share, before, paths[before] / paths[reached] * (1.0 + share[reached]))
    share[start] = 0.0
    return np.stack([share.reshape(len(sources), size).sum(axis=0), reach, hops])

"""Search for near vectors by walking a graph, with every distance counted. Nothing here checks its input."""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .neighbor_graph import NeighborGraph

#: Scores of the given nodes, the larger the sooner they are looked at.
Priority = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False)
class Navigation:
    """What a search found, and what it cost.

    Args:
        indices: The k nearest nodes that were visited (fewer if fewer were), near to far.
        distances: Their Euclidean distances to the query.
        work: What all scores and distances cost, in distance evaluations.
        visited: Every node whose distance was evaluated, in order.
        visited_at: The work done up to and including each of them: of two searches of one kind, that with the smaller
            budget is a prefix of the other.

    Example:
        >>> from graphattend.graph.search import Navigation
        >>> import numpy as np
        >>> Navigation(np.array([3]), np.array([0.5]), 2.0, np.array([0, 3]), np.array([1.0, 2.0])).work
        2.0
    """

    indices: np.ndarray
    distances: np.ndarray
    work: float
    visited: np.ndarray
    visited_at: np.ndarray


class _Log:
    """Distances evaluated so far and the work done."""

    def __init__(self, vectors: np.ndarray, query: np.ndarray, work: float = 0.0) -> None:
        self._vectors, self._query = vectors, query
        self.work = work
        self._nodes: list[np.ndarray] = []
        self._squares: list[np.ndarray] = []
        self._at: list[np.ndarray] = []

    def measure(self, nodes: np.ndarray) -> np.ndarray:
        """Squared distances of the nodes, which cost one evaluation each."""
        squares = np.square(self._vectors[nodes] - self._query).sum(axis=1)
        self._nodes.append(nodes)
        self._squares.append(squares)
        self._at.append(self.work + np.arange(1, len(nodes) + 1))
        self.work += len(nodes)
        return squares

    def result(self, k: int) -> Navigation:
        """The nearest of all that was measured, equal distances by index."""
        nodes, squares = np.concatenate(self._nodes), np.concatenate(self._squares)
        order = np.lexsort((nodes, squares))[:k]
        return Navigation(nodes[order], np.sqrt(squares[order]), self.work, nodes, np.concatenate(self._at))


def best_first(
    graph: NeighborGraph, vectors: np.ndarray, query: np.ndarray, entry: int, k: int, budget: float
) -> Navigation:
    """Greedy best-first search: always expand the nearest node that is known, measuring all its neighbours.

    Source:
        Malkov & Yashunin 2018, algorithm 2, stopped by a budget of distance evaluations.
    """
    log = _Log(vectors, query)
    seen = np.zeros(graph.num_nodes, dtype=bool)
    seen[entry] = True
    queue = [(float(log.measure(np.array([entry]))[0]), entry)]
    while queue and log.work + 1 <= budget:
        new = _unseen(graph, heapq.heappop(queue)[1], seen)[: int(budget - log.work)]
        seen[new] = True
        for square, node in zip(log.measure(new).tolist(), new.tolist(), strict=True):
            heapq.heappush(queue, (square, node))
    return log.result(k)


def by_policy(
    graph: NeighborGraph,
    vectors: np.ndarray,
    query: np.ndarray,
    entry: int,
    k: int,
    budget: float,
    priority: Priority,
    price: float,
    fixed: float,
) -> Navigation:
    """Always visit the node of highest priority that is known: measure it, then score its neighbours.

    A neighbour costs `price` to score, and one evaluation only if its turn comes; `fixed` is the work that the
    priority took to prepare for this query.
    """
    log = _Log(vectors, query, fixed)
    seen = np.zeros(graph.num_nodes, dtype=bool)
    seen[entry] = True
    queue = [(0.0, entry)]
    while queue and log.work + 1 <= budget:
        node = heapq.heappop(queue)[1]
        log.measure(np.array([node]))
        new = _unseen(graph, node, seen)[: int((budget - log.work) / price)]
        if not len(new):
            continue
        seen[new] = True
        log.work += price * len(new)
        for score, neighbour in zip(priority(new).tolist(), new.tolist(), strict=True):
            heapq.heappush(queue, (-score, neighbour))
    return log.result(k)


def _unseen(graph: NeighborGraph, node: int, seen: np.ndarray) -> np.ndarray:
    """Neighbours not met before, each once."""
    row = graph.indices[graph.indptr[node] : graph.indptr[node + 1]]
    return np.unique(row[~seen[row]])


def padded_rows(graph: NeighborGraph) -> np.ndarray:
    """Neighbours of every node, (V, largest degree), filled up with -1."""
    degree = np.diff(graph.indptr)
    table = np.full((graph.num_nodes, max(1, int(degree.max()))), -1, dtype=np.intp)
    table[np.arange(table.shape[1]) < degree[:, None]] = graph.indices
    return table

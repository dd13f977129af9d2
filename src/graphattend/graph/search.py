"""Nearest-neighbour search by walking a graph, with a count of distance evaluations. Inputs are not validated."""

from __future__ import annotations

import dataclasses
import heapq
import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .neighbor_graph import NeighborGraph

#: How many coordinates `by_estimate` sums at a time, and the share of what lies beyond them that a child takes over.
STEP, SHARE = 4, 0.3
#: Bound, node, number of coordinates summed, share of the parent, the node's coordinates.
_Place = tuple[float, int, int, float, list[float]]


@dataclasses.dataclass(frozen=True, eq=False)
class Navigation:
    """The result of a search and its cost.

    Args:
        indices: The k nearest nodes that were visited (fewer if fewer were), near to far.
        distances: Their Euclidean distances to the query.
        work: Cost of all scores and distances, in distance evaluations.
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
    visited: np.ndarray = dataclasses.field(repr=False)
    visited_at: np.ndarray = dataclasses.field(repr=False)


class _Log:
    """Distances evaluated so far and the work done, counted in whole parts of an evaluation."""

    def __init__(self, vectors: np.ndarray, query: np.ndarray, budget: float, parts: int = 1) -> None:
        """One evaluation is `parts` parts."""
        self._vectors, self._query = vectors, query
        self.parts, self.done = parts, 0
        nearest = round(budget * parts)
        #: The most parts that do not exceed the budget.
        self.most = nearest - (nearest / parts > budget)
        self._nodes: list[np.ndarray] = []
        self._squares: list[np.ndarray] = []
        self._at: list[np.ndarray] = []

    def open(self) -> bool:
        """Whether the budget allows one more evaluation."""
        return self.done + self.parts <= self.most

    def measure(self, nodes: np.ndarray) -> np.ndarray:
        """Squared distances of the nodes, which cost one evaluation each."""
        squares = np.square(self._vectors[nodes] - self._query).sum(axis=1)
        self._nodes.append(nodes)
        self._squares.append(squares)
        self._at.append((self.done + self.parts * np.arange(1, len(nodes) + 1)) / self.parts)
        self.done += self.parts * len(nodes)
        return squares

    def result(self, k: int) -> Navigation:
        """The nearest of all that was measured, equal distances by index."""
        nodes, squares = np.concatenate(self._nodes), np.concatenate(self._squares)
        order = np.lexsort((nodes, squares))[:k]
        work = self.done / self.parts
        return Navigation(nodes[order], np.sqrt(squares[order]), work, nodes, np.concatenate(self._at))


def best_first(
    graph: NeighborGraph, vectors: np.ndarray, query: np.ndarray, entry: int, k: int, budget: float
) -> Navigation:
    """Greedy best-first search: expand the nearest known node by measuring all its neighbours.

    Source:
        Malkov & Yashunin 2018, algorithm 2, stopped by a budget of distance evaluations.
    """
    log = _Log(vectors, query, budget)
    seen = np.zeros(graph.num_nodes, dtype=bool)
    seen[entry] = True
    queue = [(float(log.measure(np.array([entry]))[0]), entry)]
    while queue and log.open():
        new = _unseen(graph, heapq.heappop(queue)[1], seen)[: log.most - log.done]
        seen[new] = True
        for square, node in zip(log.measure(new).tolist(), new.tolist(), strict=True):
            heapq.heappush(queue, (square, node))
    return log.result(k)


def by_estimate(
    graph: NeighborGraph,
    vectors: np.ndarray,
    query: np.ndarray,
    entry: int,
    k: int,
    budget: float,
    codes: np.ndarray,
    code: np.ndarray,
) -> Navigation:
    """Best-first search by estimated distance: measure the node of smallest estimate, then estimate its neighbours.

    The estimate is the squared distance between the r coordinates of node and query, plus a share of what the measured
    distance of the node's parent (the node it was found from) has beyond these coordinates: neighbours lie alike.
    The coordinates are summed a few at a time. A partial sum is a lower bound, so only the node of least bound needs
    further ones, and the order of the visits is that of complete sums (as in A*: Hart, Nilsson & Raphael 1968).

    Work: r for the coordinates of the query, 1/D for each coordinate summed, 1 for each visit.

    Args:
        graph, vectors, query, entry, k, budget: As for `best_first`.
        codes: (V, r), coordinates of the vectors.
        code: (r,), coordinates of the query.
    """
    rank, dim = codes.shape[1], vectors.shape[1]
    log = _Log(vectors, query, budget, parts=dim)
    log.done = rank * dim
    seen = np.zeros(graph.num_nodes, dtype=bool)
    sought = code.tolist()
    queue: list[_Place] = []

    def sum_on(bound: float, node: int, done: int, parent: float, row: list[float]) -> _Place:
        """The node's place in the queue after its next coordinates."""
        more = min(done + STEP, rank)
        log.done += more - done
        part = math.dist(row[done:more], sought[done:more])
        return bound + part * part, node, more, parent, row

    def look(nodes: np.ndarray, parent: float) -> None:
        nodes = nodes[: (log.most - log.done) // min(STEP, rank)]
        seen[nodes] = True
        for node, row in zip(nodes.tolist(), codes[nodes].tolist(), strict=True):
            heapq.heappush(queue, sum_on(parent, node, 0, parent, row))

    seen[entry] = True
    log.measure(np.array([entry]))
    look(_unseen(graph, entry, seen), 0.0)
    while queue and log.open():
        bound, node, done, parent, row = queue[0]
        if done < rank:
            heapq.heapreplace(queue, sum_on(bound, node, done, parent, row))
        else:
            heapq.heappop(queue)
            beyond = float(log.measure(np.array([node]))[0]) - (bound - parent)
            look(_unseen(graph, node, seen), SHARE * beyond)
    return log.result(k)


def _unseen(graph: NeighborGraph, node: int, seen: np.ndarray) -> np.ndarray:
    """Neighbours that were not seen before, without duplicates."""
    row = graph.indices[graph.indptr[node] : graph.indptr[node + 1]]
    return np.unique(row[~seen[row]])


def padded_rows(graph: NeighborGraph) -> np.ndarray:
    """Neighbours of every node, (V, largest degree), filled up with -1."""
    degree = np.diff(graph.indptr)
    table = np.full((graph.num_nodes, max(1, int(degree.max()))), -1, dtype=np.intp)
    table[np.arange(table.shape[1]) < degree[:, None]] = graph.indices
    return table

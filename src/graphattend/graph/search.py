"""Nearest-neighbour search on a graph with a budget of distance evaluations. Inputs are not validated."""

from __future__ import annotations

import dataclasses
import heapq
import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .neighbor_graph import NeighborGraph

#: Number of coordinates that `by_estimate` sums at a time, and the fraction of the parent's residual that it adds.
STEP, SHARE = 4, 0.3
#: A queue entry: lower bound, node, number of summed coordinates, inherited residual, the node's coordinates.
_Place = tuple[float, int, int, float, list[float]]


@dataclasses.dataclass(frozen=True, eq=False)
class Navigation:
    """The result of a search and its cost.

    Args:
        indices: The k nearest visited nodes (fewer if fewer were visited), nearest first.
        distances: Their Euclidean distances to the query.
        work: Cost of all scores and distances, in distance evaluations.
        visited: Every node whose distance was evaluated, in order.
        visited_at: The work up to and including each visit. The visits of a search with a smaller budget are a prefix
            of those with a larger budget.

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
    """The distances evaluated so far, and the work, counted in integer parts of an evaluation."""

    def __init__(self, vectors: np.ndarray, query: np.ndarray, budget: float, parts: int = 1) -> None:
        """Start a log in which one evaluation costs `parts` parts."""
        self._vectors, self._query = vectors, query
        self.parts, self.done = parts, 0
        nearest = round(budget * parts) if budget < 2**53 else int(budget) * parts  # the product may exceed a float
        #: Largest number of parts within the budget.
        self.most = nearest - (nearest / parts > budget)
        self._nodes: list[np.ndarray] = []
        self._squares: list[np.ndarray] = []
        self._at: list[np.ndarray] = []

    def open(self) -> bool:
        """Return whether the budget allows one more evaluation."""
        return self.done + self.parts <= self.most

    def measure(self, nodes: np.ndarray) -> np.ndarray:
        """Compute the squared distances of the nodes, at one evaluation each."""
        squares = np.square(self._vectors[nodes] - self._query).sum(axis=1)
        self._nodes.append(nodes)
        self._squares.append(squares)
        self._at.append((self.done + self.parts * np.arange(1, len(nodes) + 1)) / self.parts)
        self.done += self.parts * len(nodes)
        return squares

    def result(self, k: int) -> Navigation:
        """Return the k nearest measured nodes; ties are broken by index."""
        nodes, squares = np.concatenate(self._nodes), np.concatenate(self._squares)
        order = np.lexsort((nodes, squares))[:k]
        work = self.done / self.parts
        return Navigation(nodes[order], np.sqrt(squares[order]), work, nodes, np.concatenate(self._at))


def best_first(
    graph: NeighborGraph, vectors: np.ndarray, query: np.ndarray, entry: int, k: int, budget: float
) -> Navigation:
    """Greedy best-first search: repeatedly expand the nearest known node and measure its neighbours.

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

    The estimate is the squared distance between the r coordinates of node and query, plus a fraction of the parent's
    residual. The parent is the node from which the node was found; its residual is its measured squared distance minus
    that of its r coordinates, and neighbours have similar residuals. The coordinates are summed a few at a time. A
    partial sum is a lower bound, so only the node of least bound needs more coordinates, and nodes are visited in the
    order of complete sums (as in A*: Hart, Nilsson & Raphael 1968).

    Work: r for the coordinates of the query, 1/D for each summed coordinate, 1 for each visit.

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
        """Return the node's queue entry after its next coordinates are summed."""
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
    """Return the node's unseen neighbours, sorted and without duplicates."""
    row = graph.indices[graph.indptr[node] : graph.indptr[node + 1]]
    return np.unique(row[~seen[row]])


def padded_rows(graph: NeighborGraph) -> np.ndarray:
    """Return the neighbours of every node, (V, largest degree), padded with -1."""
    degree = np.diff(graph.indptr)
    table = np.full((graph.num_nodes, max(1, int(degree.max()))), -1, dtype=np.intp)
    table[np.arange(table.shape[1]) < degree[:, None]] = graph.indices
    return table

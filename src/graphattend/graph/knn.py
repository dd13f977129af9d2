"""Exact nearest neighbours in bounded memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import _validate as check
from .._validate import ArrayLike
from ..errors import InvalidConfigError
from .neighbor_graph import NeighborGraph

# Number of distances, and of coordinates of pairs, in memory at once.
_DISTANCES = 1 << 19
_COORDINATES = 1 << 21
# Sampled columns per neighbour for the bound of the k-th neighbour's distance.
_SAMPLE = 64

# Maps rows start … stop to their approximate distances to all points, and a bound of the error.
Screen = Callable[[int, int], tuple[np.ndarray, Any]]


def knn(x: ArrayLike, k: object, manifold: object) -> NeighborGraph:
    """See `NeighborGraph.knn`."""
    points = check.as_float(x, "x")
    check.check_ndim(points, "x", 2, 2)
    check.check_nonempty(points, "x")
    check.check_finite(points, "x")
    size = len(points)
    k = check.as_int(k, "k", minimum=1, maximum=size - 1)
    if manifold is not None and not callable(getattr(manifold, "dist", None)):
        expected = "a manifold with a dist method"
        raise InvalidConfigError.of("manifold", expected, type(manifold).__name__)
    with np.errstate(over="ignore"):  # the graph rejects infinite distances
        if manifold is None:
            wide = points.astype(np.float64)
            found = _search(size, k, _DISTANCES // size, _euclidean_screen(wide), lambda i, j: _euclidean(wide, i, j))
        else:
            found = _search(size, k, _COORDINATES // points.size, _manifold_screen(points, manifold), None)
        indices, distances = found
        distances = distances.astype(points.dtype, copy=False)
    return NeighborGraph(np.arange(size + 1) * k, indices, distances=distances)


def _search(
    size: int, k: int, rows: int, screen: Screen, exact: Callable[[np.ndarray, np.ndarray], np.ndarray] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Find the k nearest neighbours of each point: screen for candidates, then sort them by exact distance and index.

    Returns the indices and distances, (size · k,).
    """
    rows = max(1, rows)
    indices, distances = np.empty(size * k, dtype=np.intp), np.empty(size * k)
    for start in range(0, size, rows):
        stop = min(start + rows, size)
        rough, slack = screen(start, stop)
        rough[np.arange(stop - start), np.arange(start, stop)] = np.inf
        i, j = _candidates(rough, k, slack)
        d = rough[i, j] if exact is None else exact(i + start, j)
        order = np.lexsort((j, d, i))
        firsts = np.searchsorted(i, np.arange(stop - start))
        chosen = order[(firsts[:, None] + np.arange(k)).ravel()]
        indices[start * k : stop * k], distances[start * k : stop * k] = j[chosen], d[chosen]
    return indices, distances


def _candidates(rough: np.ndarray, k: int, slack: object) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and columns of entries that may be among their row's k smallest, given errors up to `slack`."""
    rows, size = rough.shape
    # The k-th smallest entry of a sample of columns bounds that of all columns, which leaves few entries to sort.
    stride = size // (_SAMPLE * k)
    if stride >= 2:
        bound = np.partition(rough[:, ::stride], k - 1, axis=1)[:, k - 1 : k] + slack
        i, j = np.nonzero(rough <= bound)
        if len(i) <= 4 * stride * k * rows:  # not if the order of the points makes the sample unrepresentative
            d = rough[i, j]
            order = np.lexsort((d, i))
            limit = d[order][np.searchsorted(i, np.arange(rows)) + k - 1, None] + slack
            near = (d <= limit[i, 0]) & np.isfinite(d)
            return i[near], j[near]
    limit = np.partition(rough, k - 1, axis=1)[:, k - 1 : k] + slack
    return np.nonzero((rough <= limit) & np.isfinite(rough))


def _euclidean_screen(x: np.ndarray) -> Screen:
    """Return a screen that computes squared distances by one matrix product, with a bound of the rounding error."""
    x = x / (np.abs(x).max() or 1.0)  # to avoid overflow
    centred = x - x.mean(axis=0)
    spread = np.abs(centred).max() or 1.0
    centred = centred / spread
    squares = np.einsum("nd,nd->n", centred, centred)
    # The first term bounds the rounding error of sums of D products, the second that of centring and scaling.
    unit = 8 * np.finfo(np.float64).eps * (x.shape[1] + 4 + x.shape[1] * (1 / spread + 1))

    def screen(start: int, stop: int) -> tuple[np.ndarray, Any]:
        d = squares[start:stop, None] + squares - 2 * (centred[start:stop] @ centred.T)
        return d, 2 * unit * (squares[start:stop, None] + squares.max() + 1)

    return screen


def _euclidean(x: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Compute the distances of the pairs (i, j) from their coordinate differences."""
    d = np.empty(len(i))
    step = max(1, _COORDINATES // x.shape[1])
    for start in range(0, len(i), step):
        part = slice(start, start + step)
        difference = x[i[part]] - x[j[part]]
        largest = np.minimum(np.abs(difference).max(axis=1), np.finfo(np.float64).max)
        scaled = difference / np.where(largest > 0, largest, 1.0)[:, None]
        d[part] = np.sqrt(np.einsum("nd,nd->n", scaled, scaled)) * largest
    return d


def _manifold_screen(x: np.ndarray, manifold: Any) -> Screen:
    def screen(start: int, stop: int) -> tuple[np.ndarray, Any]:
        d = np.array(manifold.dist(x[start:stop, None, :], x[None, :, :]), dtype=np.float64)
        check.check_finite(d, "distances")
        return d, 0.0

    return screen

"""Unchecked methods of manifolds, for callers that have checked their arrays. For a user's manifold they call its
public methods.

Each function returns a value and its pullback. Points must lie on the manifold; they are not projected.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np

from .._vjp import unbroadcast
from ._checked_manifold import CheckedManifold
from ._manifold import Rule, ask
from ._stable_math import Array

#: Maximum number of coordinates of the differences between a tile of queries and all keys.
TILE_ELEMENTS = 4_000_000


@cache
def _is_ours(cls: type, *methods: str) -> bool:
    """Return whether a class inherits these methods from `CheckedManifold`, so that its hooks can replace them."""
    return issubclass(cls, CheckedManifold) and all(
        getattr(cls, name) is getattr(CheckedManifold, name) for name in methods
    )


def project(manifold: Any, x: Array) -> Rule:
    """Project vectors (..., D) onto the manifold."""
    if _is_ours(manifold.__class__, "project"):
        return manifold._rounded(partial(manifold._onto, dtype=x.dtype), x, is_point=False)
    y, pull = ask(manifold.project, x)
    # A user's manifold may not change points and have no gradient rule for that. A rule is used even if the points are
    # on the manifold already, because it is chance whether they stay the same bit for bit.
    if not hasattr(manifold.project, "vjp_rule") and np.array_equal(y, x):
        return x, lambda g: (g,)
    return np.asarray(y), pull


def distances(manifold: Any, x: Array, y: Array) -> Rule:
    """Compute pairwise distances, (..., M, D) and (..., N, D) -> (..., M, N), in bounded memory."""
    if _is_ours(manifold.__class__, "dist", "pairwise"):
        if not manifold._pairs_by_difference:
            return manifold._rounded(manifold._pairs, x, y, is_point=False)

        def pairs(rows: Array) -> Rule:
            return manifold._rounded(manifold._pairs, rows, y, is_point=False)

    else:

        def pairs(rows: Array) -> Rule:
            out, pull = ask(manifold.dist, rows[..., :, None, :], y[..., None, :, :])
            return out, lambda g: tuple(a.reshape(s.shape) for a, s in zip(pull(g), (rows, y), strict=True))

    return _tiled(pairs, x, y)


def _tiled(pairs: Callable[[Array], Rule], x: Array, y: Array) -> Rule:
    batch = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    m, n, width = x.shape[-2], y.shape[-2], x.shape[-1]
    step = max(1, TILE_ELEMENTS // max(1, int(np.prod(batch, dtype=np.intp)) * n * width))
    if step >= m:
        return pairs(x)
    tiles = [slice(i, min(i + step, m)) for i in range(0, m, step)]
    d = np.empty((*batch, m, n), x.dtype)
    for rows in tiles:
        d[..., rows, :] = pairs(x[..., rows, :])[0]

    def pullback(g: Array) -> tuple[Array, Array]:
        gx, gy = np.zeros_like(x), np.zeros_like(y)
        for rows in tiles:  # recomputed, because storing the results of all tiles would not be bounded
            by_x, by_y = pairs(x[..., rows, :])[1](g[..., rows, :])
            gx[..., rows, :] = by_x
            gy += by_y
        return gx, gy

    return d, pullback


def means(manifold: Any, aggregation: str, points: Array, weights: Array) -> Rule:
    """Compute one mean ("midpoint" or "frechet") per row of weights, (..., N, D) and (..., M, N) -> (..., M, D).

    The mean of a row whose weights are all zero is zeros, even if that is no point of the manifold.
    """
    alive = weights.any(axis=-1, keepdims=True)
    method = "midpoint" if aggregation == "midpoint" else "frechet_mean"
    if _is_ours(manifold.__class__, method):
        out, pull = manifold._rounded(partial(manifold._rows, aggregation), points, weights, is_point=True)
    else:
        shared = points[..., None, :, :]
        out, pull_shared = ask(getattr(manifold, method), shared, weights)

        def pull(g: Array) -> tuple[Array, ...]:
            by_points, by_weights = pull_shared(g)
            return unbroadcast(by_points, shared.shape)[..., 0, :, :], by_weights

    if alive.all():
        return np.asarray(out), pull
    return np.where(alive, out, weights.dtype.type(0)), lambda g: pull(g * alive)

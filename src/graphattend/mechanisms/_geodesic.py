"""Distances between all queries and keys on a manifold, and weighted means of values, with pullbacks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._vjp import unbroadcast, vjp
from ..geometry import Poincare, poincare

#: Coordinates that the differences of a tile of queries and all keys may hold.
TILE_ELEMENTS = 4_000_000

Pull = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


def distances(manifold: Any, q: np.ndarray, k: np.ndarray) -> tuple[np.ndarray, Pull]:
    """Geodesic distances (..., M, N) of q (..., M, D) and k (..., N, D), and the pullback to both."""
    if isinstance(manifold, Poincare):
        return _ball_distances(manifold, q, k)
    batch = np.broadcast_shapes(q.shape[:-2], k.shape[:-2])
    m, n, width = q.shape[-2], k.shape[-2], q.shape[-1]
    step = max(1, TILE_ELEMENTS // max(1, int(np.prod(batch, dtype=np.intp)) * n * width))
    tiles = [slice(i, min(i + step, m)) for i in range(0, m, step)]
    d = np.empty((*batch, m, n), q.dtype)
    for rows in tiles:
        d[..., rows, :] = manifold.dist(q[..., rows, None, :], k[..., None, :, :])

    def pull(g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        gq = np.zeros((*batch, m, width), q.dtype)
        gk = np.zeros((*batch, n, width), q.dtype)
        for rows in tiles:
            x, y = q[..., rows, None, :], k[..., None, :, :]
            g_x, g_y = vjp(manifold.dist, x, y)[1](g[..., rows, :])
            gq[..., rows, :] += _spread(g_x, x, gq[..., rows, None, :])[..., 0, :]
            gk += _spread(g_y, y, gk[..., None, :, :])[..., 0, :, :]
        return gq, gk

    return d, pull


def _spread(g: np.ndarray, of: np.ndarray, like: np.ndarray) -> np.ndarray:
    """A gradient of `of`, for an accumulator that also has the batch axes `of` lacks."""
    if like.ndim == of.ndim and like.shape == of.shape:
        return g
    # Summed over batch entries already: put it into the first entry, its sum is all that counts later.
    out = np.zeros(like.shape, like.dtype)
    index = tuple(0 for _ in range(like.ndim - of.ndim)) + tuple(
        slice(0, 1) if a == 1 and b != 1 else slice(None)
        for a, b in zip(of.shape, like.shape[like.ndim - of.ndim :], strict=True)
    )
    out[index] = g
    return out


def _ball_distances(manifold: Poincare, q: np.ndarray, k: np.ndarray) -> tuple[np.ndarray, Pull]:
    dtype = q.dtype
    q, k = (x.astype(np.float64, copy=False) for x in (q, k))
    d, pull_d = poincare.pairwise_distance_vjp(q, k, -manifold.curvature)

    def pull(g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        gq, gk, _ = pull_d(g.astype(np.float64, copy=False))
        return gq.astype(dtype, copy=False), gk.astype(dtype, copy=False)

    return d.astype(dtype, copy=False), pull


def mean(manifold: Any, aggregation: str, w: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, Pull]:
    """Weighted means (..., M, D) of the values (..., N, D) by weights (..., M, N), and the pullback (gw, gv).

    A row without any weight gives zeros, as everywhere, even where zeros are not a point of the manifold.
    """
    if aggregation == "midpoint" and isinstance(manifold, Poincare):
        return _ball_midpoints(manifold, w, v)
    method = manifold.midpoint if aggregation == "midpoint" else manifold.frechet_mean
    points = v[..., None, :, :]
    alive = w.any(axis=-1, keepdims=True)
    out = np.where(alive, method(points, w), w.dtype.type(0))

    def pull(g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        gp, gw = vjp(method, points, w)[1](g * alive)
        return gw, unbroadcast(gp, points.shape)[..., 0, :, :]

    return out, pull


def _ball_midpoints(manifold: Poincare, w: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, Pull]:
    dtype, c = v.dtype, -manifold.curvature
    points, shares = v.astype(np.float64, copy=False), w.astype(np.float64, copy=False)
    raw, pull_m = poincare.midpoints_vjp(points, shares, c)
    inside, pull_p = poincare.project_vjp(raw, c, poincare.project_eps(dtype))

    def pull(g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        gv, gw, _ = pull_m(pull_p(g.astype(np.float64, copy=False))[0])
        return gw.astype(dtype, copy=False), gv.astype(dtype, copy=False)

    return inside.astype(dtype, copy=False), pull


def project(manifold: Any, x: np.ndarray) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
    """Points put onto the manifold, and the pullback."""
    y = np.asarray(manifold.project(x))
    # A manifold of the user may leave points alone and have no rule for that. Where there is one it counts, also for
    # points that are on the manifold already: whether they stay the same bit for bit is chance.
    if not hasattr(manifold.project, "vjp_rule") and np.array_equal(y, x):
        return x, lambda g: g
    return y, lambda g: vjp(manifold.project, x)[1](g)[0]

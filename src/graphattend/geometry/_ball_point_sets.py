"""Formulas of the Poincaré ball for sets of points: pairwise distances, weighted midpoints and means. See `_ball`."""

from __future__ import annotations

import math

import numpy as np

from .._vjp import unbroadcast
from . import _ball
from ._ball import distance_slope
from ._mean import MAX_ITERATIONS, TOLERANCE, NewtonSpace, adjoint, hyperbolic_stretch, normalized, scale_free
from ._mean import frechet_mean as newton_mean
from ._stable_math import Array, Pull, asinh, column, dot, gap, nonzero, norm, pairwise_squares


def pairwise_distance_vjp(q: Array, k: Array, c: float) -> tuple[Array, Pull]:
    """Pairwise distances, (..., M, D) and (..., N, D) -> (..., M, N). Pullback: (gq, gk, gc)."""
    square = c * pairwise_squares(q, k)
    a, b = gap(q, c), gap(k, c)
    gaps = column(a) * b[..., None, :]
    t = np.sqrt(square / gaps)
    root = math.sqrt(c)
    d = 2.0 / root * asinh(t)

    def pullback(g: Array) -> tuple[Array, ...]:
        # As for `distance`: g_x = -share (w - c|w|^2/a x), g_y = share (w + c|w|^2/b y), w = k - q.
        share = np.where(square == 0.0, 0.0, 2.0 * root * g / nonzero(np.sqrt(square * (gaps + square))))
        bent = share * square
        turned = np.swapaxes(share, -1, -2)
        gq = column(share.sum(axis=-1) + bent.sum(axis=-1) / a) * q - share @ k
        gk = column(share.sum(axis=-2) + bent.sum(axis=-2) / b) * k - turned @ q
        gc = distance_slope(g, t, d, column(dot(q, q) / a), (dot(k, k) / b)[..., None, :], c)
        return unbroadcast(gq, q.shape), unbroadcast(gk, k.shape), gc

    return d, pullback


def pairwise_distance(q: Array, k: Array, c: float) -> Array:
    """Pairwise distances, (..., M, D) and (..., N, D) -> (..., M, N); see `pairwise_distance_vjp`."""
    return pairwise_distance_vjp(q, k, c)[0]


def _excess(points: Array, gaps: Array, weights: Array, total: Array, c: float) -> Array:
    """Compute Σ w (λ - 1) - √c |Σ w λ x| as a sum of positive terms, Σ w c|e - x|^2 / a.

    e is the point of the boundary in the direction of Σ w λ x. Shapes: points (..., N, D), gaps (..., N), weights
    (..., M, N), total (..., M, D) -> (..., M).
    """
    first = np.zeros(total.shape[-1])
    first[0] = 1.0
    length = column(norm(total))
    rim = np.where(length == 0.0, first, total / nonzero(length)) / math.sqrt(c)
    rest = column(gap(rim, c) / 2.0) * rim  # the length of rim + rest is 1/√c to double the precision
    excess = np.empty(total.shape[:-1])
    gaps, points = gaps[..., None, :], points[..., None, :, :]
    rows = max(1, 2**18 // (points.shape[-2] * points.shape[-1]))  # tiles bound the memory of (M, N, D)
    for m in range(0, total.shape[-2], rows):
        part = slice(m, m + rows)
        away = (rim[..., part, None, :] - points) + rest[..., part, None, :]
        excess[..., part] = dot(weights[..., part, :], c * dot(away, away) / gaps)
    return excess


@scale_free
def midpoints_vjp(points: Array, weights: Array, c: float) -> tuple[Array, Pull]:
    """Gyromidpoints, points (..., N, D), weights (..., M, N) >= 0 -> (..., M, D); axes broadcast as in `matmul`.

    S = Σ w λ x, T = Σ w (λ - 1), m = S / (T + √(T^2 - c|S|^2)); the origin if all weights are zero.
    Pullback: (g_points, g_weights, gc).

    Source: Ungar (2008); Shimizu, Mukuta, Harada, "Hyperbolic neural networks++" (2021).
    """
    a = gap(points, c)
    conformal, time = 2.0 / a, (2.0 - a) / a
    total = (weights * conformal[..., None, :]) @ points
    mass = (weights @ column(time))[..., 0]
    reach = math.sqrt(c) * norm(total)
    if a.size and a.min() > 1e-2:
        low = mass - reach
    else:
        low = _excess(points, a, np.broadcast_to(weights, (*total.shape[:-1], weights.shape[-1])), total, c)
    root = np.sqrt(np.maximum(low * (mass + reach), 0.0))
    divisor = nonzero(mass + root)
    m = total / column(divisor)

    def pullback(g: Array) -> tuple[Array, ...]:
        g_divisor = -dot(g, m) / divisor
        g_root = g_divisor / nonzero(root)
        g_total = g / column(divisor) - column(g_root * c) * total
        g_mass = g_divisor + g_root * mass
        mixed = g_total @ np.swapaxes(points, -1, -2)  # (..., M, N)
        gw = mixed * conformal[..., None, :] + column(g_mass) * time[..., None, :]
        # λ = 2/a, so both λ and λ - 1 have the derivative -2/a^2.
        ga = -2.0 / (a * a) * ((mixed + column(g_mass)) * weights).sum(axis=-2)
        gp = np.swapaxes(weights * conformal[..., None, :], -1, -2) @ g_total - 2.0 * c * column(ga) * points
        gc = -(g_root * dot(total, total)).sum() / 2.0 - (ga * dot(points, points)).sum()
        return unbroadcast(gp, points.shape), unbroadcast(gw, weights.shape), np.asarray(gc)

    return m, pullback


def midpoints(points: Array, weights: Array, c: float) -> Array:
    """Gyromidpoints, points (..., N, D), weights (..., M, N) -> (..., M, D); see `midpoints_vjp`."""
    return midpoints_vjp(points, weights, c)[0]


def midpoint_vjp(points: Array, weights: Array, c: float) -> tuple[Array, Pull]:
    """Gyromidpoint, points (..., N, D), weights (..., N) -> (..., D). Pullback: (g_points, g_weights, gc)."""
    if points.ndim == 2 and weights.ndim > 1:  # shared points: one matrix product
        m, pull = midpoints_vjp(points, weights.reshape(-1, weights.shape[-1]), c)
        shape = (*weights.shape[:-1], points.shape[-1])

        def shared(g: Array) -> tuple[Array, ...]:
            gp, gw, gc = pull(g.reshape(m.shape))
            return gp, gw.reshape(weights.shape), gc

        return m.reshape(shape), shared
    rows, pull_rows = midpoints_vjp(points, weights[..., None, :], c)

    def pullback(g: Array) -> tuple[Array, ...]:
        gp, gw, gc = pull_rows(g[..., None, :])
        return gp, gw[..., 0, :], gc

    return rows[..., 0, :], pullback


def midpoint(points: Array, weights: Array, c: float) -> Array:
    """Gyromidpoint, points (..., N, D), weights (..., N) -> (..., D); see `midpoints_vjp`."""
    return midpoint_vjp(points, weights, c)[0]


class _BallSpace(NewtonSpace):
    """The ball as a space for `_mean.frechet_mean`."""

    def __init__(self, points: Array, weights: Array, c: float) -> None:
        super().__init__(points, weights)
        self.c = c

    def logs(self, m: Array) -> tuple[Array, Array]:
        logs = _ball.logmap(m[..., None, :], self.points, self.c)
        return logs, norm(logs)

    def move(self, m: Array, v: Array) -> Array:
        return _ball.project(_ball.expmap(m, v, self.c), self.c, 1e-12)

    def stretch(self, m: Array, lengths: Array) -> Array:
        return hyperbolic_stretch(2.0 * lengths / column(gap(m, self.c)), self.c)

    def norm(self, m: Array, v: Array) -> Array:
        return np.asarray(2.0 * norm(v) / gap(m, self.c))

    def resolution(self, m: Array) -> Array:
        return 32.0 * np.finfo(np.float64).eps * 2.0 / (math.sqrt(self.c) * gap(m, self.c))


@scale_free
def frechet_mean_vjp(
    points: Array, weights: Array, c: float, *, tolerance: float = TOLERANCE, max_iterations: int = MAX_ITERATIONS
) -> tuple[Array, Pull]:
    """Fréchet mean, points (..., N, D), weights (..., N) >= 0 -> (..., D). Pullback: (g_points, g_weights, gc).

    Newton's method starts at the gyromidpoint; the derivative is implicit, see `_mean.adjoint`. The mean is the origin
    if all weights are zero.
    """
    shares, empty = normalized(weights)
    space = _BallSpace(points, shares, c)
    m = newton_mean(space, midpoint(points, shares, c), tolerance=tolerance, max_iterations=max_iterations)
    m = np.where(column(empty), 0.0, m)

    def pullback(g: Array) -> tuple[Array, ...]:
        logs, pull = _ball.logmap_vjp(m[..., None, :], points, c)
        g = np.where(column(empty), 0.0, g)
        total = weights.sum(axis=-1, keepdims=True)
        cotangents, gw = adjoint(logs, space.stretch(m, norm(logs)), shares, total, g)
        _, gp, gc = pull(cotangents)
        return gp, unbroadcast(gw, weights.shape), gc

    return m, pullback


def frechet_mean(
    points: Array, weights: Array, c: float, *, tolerance: float = TOLERANCE, max_iterations: int = MAX_ITERATIONS
) -> Array:
    """Fréchet mean, points (..., N, D), weights (..., N) -> (..., D); see `frechet_mean_vjp`."""
    return frechet_mean_vjp(points, weights, c, tolerance=tolerance, max_iterations=max_iterations)[0]

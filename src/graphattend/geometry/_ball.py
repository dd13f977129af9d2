"""Formulas of the Poincaré ball: hyperbolic space inside a ball of radius 1/sqrt(c).

Pure formulas in float64 with the explicit argument ``c = -curvature > 0``, each with its vector-Jacobian product. The
last gradient of every pullback is the one with respect to c. The formulas take points inside the ball and do not clip
their results; `project` does.

They are written in terms of a = 1 - c|x|^2 and b = 1 - c|y|^2 (compensated) and w = y - x, which do not cancel:
|-x (+) y|^2 = |w|^2 / (a b + c|w|^2), and the direction of the geodesic from x to y is a w - c|w|^2 x.

Source: Ganea, Becigneul, Hofmann, "Hyperbolic neural networks" (2018); Ungar, "A gyrovector space
approach to hyperbolic geometry" (2008).
"""

from __future__ import annotations

import math

import numpy as np

from .._vjp import unbroadcast
from ._stable_math import (
    Array,
    Pull,
    arc,
    arc_slope,
    asinh,
    asinh_excess,
    column,
    dot,
    gap,
    nonzero,
    norm,
    perpendicular,
    tanhc,
    tanhc_slope,
)


def distance_vjp(x: Array, y: Array, c: float) -> tuple[Array, Pull]:
    """Geodesic distance, (..., D) and (..., D) -> (...): (2/√c) asinh(√c |x - y| / √(a b)).

    The pullback returns (gx, gy, gc); the gradients of coincident points are zero.
    """
    w = y - x
    a, b = gap(x, c), gap(y, c)
    length = norm(w)
    t = math.sqrt(c) * length / np.sqrt(a * b)
    d = 2.0 / math.sqrt(c) * asinh(t)

    def pullback(g: Array) -> tuple[Array, ...]:
        square = c * length * length
        share = np.where(length == 0.0, 0.0, 2.0 * g / nonzero(length * np.sqrt(a * b + square)))
        gx = -column(share) * (w - column(square / a) * x)
        gy = column(share) * (w + column(square / b) * y)
        return (
            unbroadcast(gx, x.shape),
            unbroadcast(gy, y.shape),
            distance_slope(g, t, d, dot(x, x) / a, dot(y, y) / b, c),
        )

    return d, pullback


def distance_slope(g: Array, t: Array, d: Array, x_part: Array, y_part: Array, c: float) -> Array:
    """Gradient of the distance d with respect to c, from t, d, |x|^2 / a and |y|^2 / b."""
    quotient = t / np.sqrt(1.0 + t * t)
    slope = asinh_excess(t, quotient, 0.5 * math.sqrt(c) * d) / c + quotient * (x_part + y_part)
    return np.asarray((g * slope).sum() / math.sqrt(c))


def distance(x: Array, y: Array, c: float) -> Array:
    """Geodesic distance, (..., D) and (..., D) -> (...); see `distance_vjp`."""
    return distance_vjp(x, y, c)[0]


def mobius_add_vjp(x: Array, y: Array, c: float) -> tuple[Array, Pull]:
    """Möbius addition, (..., D): with w = x + y, (a w + c|w|^2 x) / (a b + c|w|^2). Pullback: (gx, gy, gc)."""
    a, b = gap(x, c), gap(y, c)
    z, pull = _add_vjp(x, y, a, b, c)

    def pullback(g: Array) -> tuple[Array, ...]:
        gx, gy, ga, gb, gc = pull(g)
        gx, gy = gx - 2.0 * c * column(ga) * x, gy - 2.0 * c * column(gb) * y
        gc = gc - (ga * dot(x, x) + gb * dot(y, y)).sum()
        return unbroadcast(gx, x.shape), unbroadcast(gy, y.shape), gc

    return z, pullback


def _add_vjp(x: Array, y: Array, a: Array, b: Array, c: float) -> tuple[Array, Pull]:
    """Möbius addition with a and b as separate arguments. Pullback: (gx, gy, ga, gb, gc), not unbroadcast."""
    w = x + y
    square = dot(w, w)
    divisor = a * b + c * square
    z = (column(a) * w + column(c * square) * x) / column(divisor)

    def pullback(g: Array) -> tuple[Array, ...]:
        g = g / column(divisor)
        g_divisor = -dot(g, z)
        g_square = c * (dot(g, x) + g_divisor)
        gw = column(a) * g + 2.0 * column(g_square) * w
        ga, gb = dot(g, w) + b * g_divisor, a * g_divisor
        return gw + column(c * square) * g, gw, ga, gb, (g_square / c * square).sum()

    return z, pullback


def mobius_add(x: Array, y: Array, c: float) -> Array:
    """Möbius addition x (+) y, (..., D); see `mobius_add_vjp`."""
    return mobius_add_vjp(x, y, c)[0]


def expmap0_vjp(v: Array, c: float) -> tuple[Array, Pull]:
    """Exponential map at the origin, (..., D): tanh(√c|v|) v / (√c|v|). Pullback: (gv, gc)."""
    square = dot(v, v)
    factor = tanhc(c * square)
    slope = tanhc_slope(c * square, factor)

    def pullback(g: Array) -> tuple[Array, ...]:
        along = dot(g, v) * slope
        return column(factor) * g + 2.0 * c * column(along) * v, np.asarray((along * square).sum())

    return column(factor) * v, pullback


def expmap0(v: Array, c: float) -> Array:
    """Exponential map at the origin, (..., D); see `expmap0_vjp`."""
    return expmap0_vjp(v, c)[0]


def logmap0_vjp(y: Array, c: float) -> tuple[Array, Pull]:
    """Logarithm at the origin, (..., D): atanh(√c|y|) y / (√c|y|). Pullback: (gy, gc)."""
    b, square = gap(y, c), dot(y, y)
    tau = c * square / b
    value = arc(tau)
    factor = value / b

    def pullback(g: Array) -> tuple[Array, ...]:
        along = dot(g, y)
        # d factor / d (c|y|^2), by 1 + tau = 1 / b
        slope = along * (arc_slope(tau, value) / b + value) / (b * b)
        return column(factor) * g + 2.0 * c * column(slope) * y, np.asarray((slope * square).sum())

    return column(factor) * y, pullback


def logmap0(y: Array, c: float) -> Array:
    """Logarithm at the origin, (..., D); see `logmap0_vjp`."""
    return logmap0_vjp(y, c)[0]


def _expmap(x: Array, v: Array, c: float) -> Array:
    """Exponential map, split into parts along and across x so that a geodesic towards the origin does not cancel.

    `along` and `divisor` are those of the Möbius sum x (+) tanh(√c|v|/a) v / (√c|v|) times 4E cosh^2, with
    E = exp(-2 √c|v|/a).
    """
    root = math.sqrt(c)
    a, length, speed = gap(x, c), norm(x), norm(v)
    beta, across = perpendicular(v, x)
    radius, safe = root * length, nonzero(speed)
    inward = beta * length
    # 1 + cos(angle between x and v)
    opening = np.where(inward < 0.0, dot(across, across) / (safe * nonzero(speed - inward)), 1.0 + inward / safe)
    rim = a / (1.0 + radius)  # 1 - √c|x|
    decay = np.exp(-2.0 * root * speed / a)
    s, k = -np.expm1(-2.0 * root * speed / a), 1.0 + decay
    left = np.where(radius < 0.5, radius * k - s, 2.0 * decay - rim * k)  # radius * k - s without cancellation
    divisor = 4.0 * a * decay + left * left + 2.0 * k * s * radius * opening
    along = left * (rim * k + 2.0 * radius * decay) + s * k * opening * (1.0 + radius * radius)
    forward, sideways = along / (divisor * nonzero(radius)), a * k * s / (root * safe * divisor)
    return np.asarray(column(forward) * x + column(sideways) * across)


def expmap_vjp(x: Array, v: Array, c: float) -> tuple[Array, Pull]:
    """Exponential map, (..., D): x (+) tanh(√c λ|v|/2) v / (√c|v|), λ = 2/a. Pullback: (gx, gv, gc)."""
    z = _expmap(x, v, c)

    def pullback(g: Array) -> tuple[Array, ...]:
        a, square = gap(x, c), dot(v, v)
        tau = c * square / (a * a)
        factor = tanhc(tau)
        # The step y = factor v / a, and 1 - c|y|^2 = sech^2.
        b = np.maximum(np.cosh(np.minimum(np.sqrt(tau), 300.0)) ** -2, 1e-250)
        y = column(factor / a) * v
        gx, gy, ga, gb, gc = _add_vjp(x, y, a, b, c)[1](g)
        # b = 1 - tau factor^2
        slope = tanhc_slope(tau, factor)
        along = dot(gy, v)
        g_tau = along * slope / a - gb * (factor * factor + 2.0 * tau * factor * slope)
        ga = ga - along * factor / (a * a) - 2.0 * g_tau * tau / a
        gv = column(factor / a) * gy + column(2.0 * g_tau * c / (a * a)) * v
        gx = gx - 2.0 * c * column(ga) * x
        gc = gc + (g_tau * square / (a * a)).sum() - (ga * dot(x, x)).sum()
        return unbroadcast(gx, x.shape), unbroadcast(gv, v.shape), gc

    return z, pullback


def expmap(x: Array, v: Array, c: float) -> Array:
    """Exponential map, (..., D); see `expmap_vjp`."""
    return _expmap(x, v, c)


def logmap_vjp(x: Array, y: Array, c: float) -> tuple[Array, Pull]:
    """Logarithm at x, (..., D): G(τ) (a w - c|w|^2 x) / b, τ = c|w|^2/(a b), G = `arc`. Pullback: (gx, gy, gc)."""
    w = y - x
    a, b, square = gap(x, c), gap(y, c), dot(w, w)
    tau = c * square / (a * b)
    value = arc(tau)
    factor = value / b
    direction = column(a) * w - column(c * square) * x

    def pullback(g: Array) -> tuple[Array, ...]:
        along = dot(g, direction) / b
        g_tau = along * arc_slope(tau, value)
        gd = column(factor) * g
        g_square = -c * dot(gd, x) + g_tau * c / (a * b)
        ga = dot(gd, w) - g_tau * tau / a
        gb = -along * value / b - g_tau * tau / b
        gw = column(a) * gd + 2.0 * column(g_square) * w
        gx = -gw - column(c * square) * gd - 2.0 * c * column(ga) * x
        gy = gw - 2.0 * c * column(gb) * y
        gc = (g_square / c * square - ga * dot(x, x) - gb * dot(y, y)).sum()
        return unbroadcast(gx, x.shape), unbroadcast(gy, y.shape), np.asarray(gc)

    return column(factor) * direction, pullback


def logmap(x: Array, y: Array, c: float) -> Array:
    """Logarithm at x, (..., D); see `logmap_vjp`."""
    return logmap_vjp(x, y, c)[0]


def mobius_scalar_mul_vjp(r: Array, x: Array, c: float) -> tuple[Array, Pull]:
    """Möbius scalar product r (...) (x) x (..., D) = exp_0(r log_0 x). Pullback: (gr, gx, gc)."""
    v, pull_log = logmap0_vjp(x, c)
    z, pull_exp = expmap0_vjp(column(r) * v, c)

    def pullback(g: Array) -> tuple[Array, ...]:
        gv, gc = pull_exp(g)
        gx, gc_log = pull_log(unbroadcast(column(r) * gv, x.shape))
        return unbroadcast(dot(gv, np.broadcast_to(v, gv.shape)), np.shape(r)), gx, gc + gc_log

    return z, pullback


def mobius_scalar_mul(r: Array, x: Array, c: float) -> Array:
    """Möbius scalar product, r (...), x (..., D); see `mobius_scalar_mul_vjp`."""
    return mobius_scalar_mul_vjp(r, x, c)[0]


def project_vjp(x: Array, c: float, eps: float, beyond: float | None = None) -> tuple[Array, Pull]:
    """Move points of length greater than (1 - eps)/√c radially to that length. Pullback: (gx, gc).

    Args:
        x: Points (..., D), of any length.
        c: Minus the curvature.
        eps: Distance kept from the boundary, relative to the radius. It has to exceed the later rounding to float32
            (eps = 1e-6) or in float64 (1e-12).
        beyond: Move only points of length greater than (1 - beyond)/√c; eps by default.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        # Not "<", because the gap is NaN if the square overflows.
        outside = ~(gap(x, c) >= (eps if beyond is None else beyond) * (2.0 - eps))
    if not outside.any():
        return x, lambda g: (g, np.zeros(()))
    # Slightly below the limit, so that rounding does not exceed it: rounding to float32 costs at most 6e-8.
    limit = (1.0 - eps) * (1.0 - (6e-8 if eps > 1e-9 else 5e-16)) / math.sqrt(c)
    biggest = np.maximum(np.abs(x).max(axis=-1, keepdims=True), np.finfo(x.dtype).tiny)
    direction = x / biggest  # squares of huge coordinates would overflow
    length = column(norm(direction))
    unit = direction / nonzero(length)
    choice = column(outside)
    z = np.where(choice, limit * unit, x)

    def pullback(g: Array) -> tuple[Array, ...]:
        along = dot(g, unit)
        turned = limit * (g - column(along) * unit) / nonzero(length) / biggest
        return np.where(choice, turned, g), np.asarray(-(along * outside).sum() * limit / (2.0 * c))

    return z, pullback


def project(x: Array, c: float, eps: float) -> Array:
    """Move points (..., D) into the ball; see `project_vjp`."""
    return project_vjp(x, c, eps)[0]


def transport(x: Array, y: Array, v: Array, c: float) -> Array:
    """Parallel transport of v (..., D) from x to y along the geodesic.

    It is b/a times the rotation that maps the geodesic's direction at x to its direction at y. Their bisector is y - x,
    so the rotation is a reflection across the direction at x, followed by a reflection across y - x.
    """
    w = y - x
    a, b, square = gap(x, c), gap(y, c), dot(w, w)
    start = column(a) * w - column(c * square) * x
    v = v - column(2.0 * dot(start, v) / nonzero(dot(start, start))) * start
    v = v - column(2.0 * dot(w, v) / nonzero(square)) * w
    return np.asarray(column(b / a) * v)

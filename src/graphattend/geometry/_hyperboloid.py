"""Formulas of the hyperboloid, computed from the space-like coordinates x only; x0 = sqrt(1/c + |x|^2).

The time-like coordinate x0 is not used, because far from the origin its rounding error is too large. Tangent vectors at
x are expressed in a frame: the frame vector of a tangent vector with space-like part v equals v across x and
v / sqrt(1 + c|x|^2) along x. In the frame the metric is Euclidean. Vectors are split into parts along and across x with
compensated arithmetic, because far from the origin the smaller part determines the result.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ._mean import NewtonSpace, hyperbolic_stretch
from ._stable_math import Array, arc, column, difference, dot, nonzero, norm, perpendicular, sinhc


class Meeting(NamedTuple):
    """The point y relative to x: y - x = beta x + across, s = sinh^2(√c d / 2), x0 and y0 in units of 1/√c."""

    s: Array
    beta: Array
    across: Array
    x_time: Array
    y_time: Array


def time(x: Array, c: float) -> Array:
    """x0 in units of 1/√c, sqrt(1 + c|x|^2), (..., D) -> (...)."""
    return np.sqrt(1.0 + c * dot(x, x))


def meet(x: Array, y: Array, c: float) -> Meeting:
    """Compute, without cancellation, the quantities that all formulas of two points use.

    With w = y - x: s = (|w|^2 + |x ∧ w|^2) / (2 (1 + x0 y0 + x·y)) in units of 1/√c.
    """
    w, low = difference(y, x)
    square = nonzero(dot(x, x))
    beta, across = perpendicular(w, x)
    correction = dot(low, x) / square
    beta, across = beta + correction, across + low - column(correction) * x
    xx, yy, xy = c * dot(x, x), c * dot(y, y), c * dot(x, y)
    x_time, y_time = np.sqrt(1.0 + xx), np.sqrt(1.0 + yy)
    both = x_time * y_time
    same_side = c * (dot(w, w) + xx * dot(across, across)) / (2.0 * (1.0 + both + np.abs(xy)))
    opposite = 0.5 * ((xx + yy + xx * yy) / (both + 1.0) - xy)
    return Meeting(np.where(xy > 0.0, same_side, opposite), beta, across, x_time, y_time)


def to_frame(x: Array, v: Array, c: float) -> Array:
    """Convert the space-like part v of a tangent vector at x to the frame, or a frame covector to a gradient by x."""
    beta, across = perpendicular(v, x)
    return np.asarray(across + column(beta / time(x, c)) * x)


def from_frame(x: Array, u: Array, c: float) -> Array:
    """Convert a frame vector to the space-like part of a tangent vector at x."""
    beta, across = perpendicular(u, x)
    return np.asarray(across + column(beta * time(x, c)) * x)


def start(x: Array, at: Meeting) -> Array:
    """Direction of the geodesic at x in the frame, of length sinh(√c d) / √c."""
    return np.asarray(at.across + column((at.beta - 2.0 * at.s) / at.x_time) * x)


def log_frame(x: Array, y: Array, c: float) -> Array:
    """Logarithmic map in the frame at x, (..., D)."""
    at = meet(x, y, c)
    return np.asarray(column(arc(at.s)) * start(x, at))


def advance(x: Array, beta: Array, across: Array, c: float) -> Array:
    """Exponential map of the frame vector beta x + across.

    Distances are limited to 350/√c, beyond which coordinates would overflow.
    """
    root = math.sqrt(c)
    length = norm(x)
    inward = beta * length
    theta = root * np.hypot(inward, norm(across))
    cut = np.minimum(1.0, 350.0 / np.maximum(theta, 350.0))
    theta, inward, across = cut * theta, cut * inward, column(cut) * across
    speed = nonzero(theta / root)
    # Towards the origin, sinh(rho - theta) and 1 + cos(angle) avoid a difference that cancels.
    opening = dot(across, across) / nonzero(speed * nonzero(speed - np.minimum(inward, 0.0)))
    x_time = time(x, c)
    towards = (np.sinh(np.arcsinh(root * length) - theta) + x_time * np.sinh(theta) * opening) / nonzero(root * length)
    away = np.cosh(theta) + cut * beta * x_time * sinhc(theta)
    return np.asarray(column(np.where(beta < 0.0, towards, away)) * x + column(sinhc(theta)) * across)


def exp_frame(x: Array, u: Array, c: float) -> Array:
    """Exponential map of the frame vector u."""
    return advance(x, *perpendicular(u, x), c)


def expmap(x: Array, v: Array, c: float) -> Array:
    """Exponential map of a tangent vector by its space-like part v; in the frame rounding would lose a small part."""
    beta, across = perpendicular(v, x)
    return advance(x, beta / time(x, c), across, c)


def rotate(x: Array, y: Array, u: Array, c: float) -> Array:
    """Parallel transport from the frame at x to the frame at y by two reflections, as in the Poincaré ball."""
    at = meet(x, y, c)
    first = start(x, at)
    times = at.x_time + at.y_time
    # The difference of the points' images in the Poincaré ball, up to a factor.
    forward = (at.beta * (times + 2.0 + 2.0 * at.s) - c * dot(at.across, at.across)) / times
    second = column(1.0 + at.x_time) * at.across + column(forward) * x
    u = u - column(2.0 * dot(first, u) / nonzero(dot(first, first))) * first
    return np.asarray(u - column(2.0 * dot(second, u) / nonzero(dot(second, second))) * second)


def transport(x: Array, y: Array, v: Array, c: float) -> Array:
    """Parallel transport of v from x to y along the geodesic; v and the result are space-like parts.

    The textbook formula v + <y, v> (x + y) c / (1 + cosh) is accurate if v changes little, but cancels from a far point
    towards the origin. In that case the two reflections of `rotate` are used.
    """
    at = meet(x, y, c)
    beta, across = perpendicular(v, x)
    inner = dot(at.across, across) + (at.beta - 2.0 * at.s) * beta * dot(x, x) / at.x_time**2
    added = column(c * inner / (2.0 + 2.0 * at.s)) * (x + y)
    direct = v + added
    cancels = column(norm(added) > 8.0 * norm(direct))
    return np.asarray(np.where(cancels, from_frame(y, rotate(x, y, to_frame(x, v, c), c), c), direct))


class FrameSpace(NewtonSpace):
    """The hyperboloid, in frames, as a space for `_mean.frechet_mean`.

    Args:
        points: Space-like coordinates (..., N, D).
        weights: (..., N), with sum 1.
        c: Minus the curvature.
    """

    def __init__(self, points: Array, weights: Array, c: float) -> None:
        super().__init__(points, weights)
        self.c = c

    def logs(self, m: Array) -> tuple[Array, Array]:
        logs = log_frame(m[..., None, :], self.points, self.c)
        return logs, norm(logs)

    def move(self, m: Array, v: Array) -> Array:
        return exp_frame(m, v, self.c)

    def stretch(self, m: Array, lengths: Array) -> Array:
        return hyperbolic_stretch(lengths, self.c)

    def resolution(self, m: Array) -> Array:
        return np.asarray(32.0 * np.finfo(np.float64).eps * time(m, self.c) / math.sqrt(self.c))

"""Formulas of the hyperboloid, on the space-like coordinates of its points alone; x0 = sqrt(1/c + |x|^2) follows.

The first coordinate of a far point is known only to its rounding, so nothing here is computed from it. Vectors at x
are handled in a frame: the tangent vector with space-like part v is the vector of R^D that equals v across x and v
divided by sqrt(1 + c|x|^2) along x. In it the metric is Euclidean. Parts along and across x are split with
compensated arithmetic, because far from the origin the small one decides.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ._mean import NewtonSpace, hyperbolic_stretch
from ._stable_math import Array, arc, column, difference, dot, nonzero, norm, perpendicular, sinhc


class Meeting(NamedTuple):
    """The point y relative to x: y - x = beta x + across, s = sinh^2(√c d / 2), and both times in units of 1/√c."""

    s: Array
    beta: Array
    across: Array
    x_time: Array
    y_time: Array


def time(x: Array, c: float) -> Array:
    """sqrt(1 + c|x|^2), (..., D) -> (...)."""
    return np.sqrt(1.0 + c * dot(x, x))


def meet(x: Array, y: Array, c: float) -> Meeting:
    """The quantities all pair formulas are made of, without cancellation.

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
    """Space-like part of a tangent vector at x -> frame; also: a covector in the frame -> gradient by x."""
    beta, across = perpendicular(v, x)
    return np.asarray(across + column(beta / time(x, c)) * x)


def from_frame(x: Array, u: Array, c: float) -> Array:
    """Frame -> space-like part of the tangent vector at x."""
    beta, across = perpendicular(u, x)
    return np.asarray(across + column(beta * time(x, c)) * x)


def start(x: Array, at: Meeting) -> Array:
    """Direction at x of the geodesic, in the frame; its length is sinh(√c d) / √c."""
    return np.asarray(at.across + column((at.beta - 2.0 * at.s) / at.x_time) * x)


def log_frame(x: Array, y: Array, c: float) -> Array:
    """Logarithm in the frame at x, (..., D)."""
    at = meet(x, y, c)
    return np.asarray(column(arc(at.s)) * start(x, at))


def advance(x: Array, beta: Array, across: Array, c: float) -> Array:
    """Exponential map of the vector beta x + across in the frame.

    Distances beyond 350/√c, where coordinates would overflow, are cut there.
    """
    root = math.sqrt(c)
    length = norm(x)
    inward = beta * length
    theta = root * np.hypot(inward, norm(across))
    cut = np.minimum(1.0, 350.0 / np.maximum(theta, 350.0))
    theta, inward, across = cut * theta, cut * inward, column(cut) * across
    speed = nonzero(theta / root)
    # Towards the origin: sinh(rho - theta) and one plus the cosine of the angle, instead of a difference.
    opening = dot(across, across) / nonzero(speed * nonzero(speed - np.minimum(inward, 0.0)))
    x_time = time(x, c)
    towards = (np.sinh(np.arcsinh(root * length) - theta) + x_time * np.sinh(theta) * opening) / nonzero(root * length)
    away = np.cosh(theta) + cut * beta * x_time * sinhc(theta)
    return np.asarray(column(np.where(beta < 0.0, towards, away)) * x + column(sinhc(theta)) * across)


def exp_frame(x: Array, u: Array, c: float) -> Array:
    """Exponential map of the frame vector u."""
    return advance(x, *perpendicular(u, x), c)


def expmap(x: Array, v: Array, c: float) -> Array:
    """Exponential map of the tangent vector with space-like part v; the frame would round its small part away."""
    beta, across = perpendicular(v, x)
    return advance(x, beta / time(x, c), across, c)


def rotate(x: Array, y: Array, u: Array, c: float) -> Array:
    """Parallel transport from the frame at x to the frame at y: two reflections, as in the Poincaré ball."""
    at = meet(x, y, c)
    first = start(x, at)
    times = at.x_time + at.y_time
    # The difference of the two points' images in the Poincaré ball, up to a factor.
    forward = (at.beta * (times + 2.0 + 2.0 * at.s) - c * dot(at.across, at.across)) / times
    second = column(1.0 + at.x_time) * at.across + column(forward) * x
    u = u - column(2.0 * dot(first, u) / nonzero(dot(first, first))) * first
    return np.asarray(u - column(2.0 * dot(second, u) / nonzero(dot(second, second))) * second)


def transport(x: Array, y: Array, v: Array, c: float) -> Array:
    """Space-like part of the tangent vector v, moved from x to y along the geodesic.

    The textbook form v + <y, v> (x + y) c / (1 + cosh) is exact where little changes but cancels on the way from a far
    point towards the origin; there the two reflections are used.
    """
    at = meet(x, y, c)
    beta, across = perpendicular(v, x)
    inner = dot(at.across, across) + (at.beta - 2.0 * at.s) * beta * dot(x, x) / at.x_time**2
    added = column(c * inner / (2.0 + 2.0 * at.s)) * (x + y)
    direct = v + added
    cancels = column(norm(added) > 8.0 * norm(direct))
    return np.asarray(np.where(cancels, from_frame(y, rotate(x, y, to_frame(x, v, c), c), c), direct))


class FrameSpace(NewtonSpace):
    """Adapter from the hyperboloid to `_mean.frechet_mean`, in frames.

    Args:
        points: Space-like coordinates (..., N, D).
        weights: (..., N), sum one.
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

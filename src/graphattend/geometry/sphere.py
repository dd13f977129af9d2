"""The sphere."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np

from .._validate import as_count, as_number, as_rng
from ._checked_manifold import CheckedManifold
from ._manifold import Rule, as_shape
from ._mean import NewtonSpace, adjoint, frechet_mean, normalized
from ._registry import MANIFOLDS
from ._stable_math import Array, arc_slope, balance, column, dot, nonzero, norm, polynomial, sinc, sinc_slope


def _unit(z: Array) -> tuple[Array, Array]:
    """Return vectors normalised to length 1 (the first axis for zero vectors), and their lengths (..., 1)."""
    length = norm(z)[..., None]
    if length.all():
        return z / length, length
    return np.where(length == 0.0, np.eye(1, z.shape[-1])[0], z / nonzero(length)), length


_DOUBLE = np.dtype(np.float64)


class _Arc(NamedTuple):
    """The arc from x to y: its angle, the unit vectors to its middle and from x to y, and the lengths of x and y."""

    angle: Array
    middle: Array
    chord: Array
    x_length: Array
    y_length: Array


def _tame(x: Array) -> tuple[Array, Array | float]:
    """Scale vectors whose products would overflow or underflow to length about 1; return them and their factors."""
    size = np.abs(x).max(axis=-1, keepdims=True)
    extreme = ~((size > 1e-100) & (size < 1e100))
    if not extreme.any():
        return x, 1.0
    tame, factor = balance(x, np.where(extreme, size, 0.0))
    return tame, factor[..., 0]


def _between(x: Array, y: Array) -> _Arc:
    """Compute the arc from x to y, without cancellation for close and for antipodal points.

    Rounding makes |x| and |y| slightly different, which would change a small y - x or x + y. This part of each, which
    lies along the other, is removed. For antipodal points one of the possible middles is chosen.
    """
    (x, x_factor), (y, y_factor) = _tame(x), _tame(y)
    w, p = y - x, y + x
    x_length, y_length = norm(x), norm(y)
    both = (x_length + y_length) ** 2
    slant = (dot(w, p) / (both + (both == 0.0)))[..., None]
    angle, middle, chord = _unit_arc(x, w - slant * p, p - slant * w)
    return _Arc(angle, middle, chord, x_length / x_factor, y_length / y_factor)


def _unit_arc(x: Array, w: Array, p: Array) -> tuple[Array, Array, Array]:
    """Return angle, middle and chord of `_Arc` from the difference w and the sum p of the two ends; x is one end."""
    w_length, p_length = norm(w), norm(p)
    angle = 2.0 * np.arctan2(w_length, p_length)
    if not p_length.all():
        axis = np.eye(x.shape[-1])[np.abs(x).argmin(axis=-1)]
        axis = axis - column(dot(axis, x) / nonzero(dot(x, x))) * x
        p = np.where(column(p_length == 0.0), axis, p)
        p_length = norm(p)
    return angle, p / (p_length + (p_length == 0.0))[..., None], w / (w_length + (w_length == 0.0))[..., None]


def _towards(angle: Array, middle: Array, chord: Array, sign: float) -> Array:
    """Return the unit tangent of the arc at its start (sign 1) or end (sign -1), in the direction from x to y."""
    half = (0.5 * angle)[..., None]
    return np.asarray(sign * np.sin(half) * middle + np.cos(half) * chord)


_COT = [1.0, -1.0 / 3.0, -1.0 / 45.0, -2.0 / 945.0]


def _angle_cot(angle: Array) -> Array:
    """Compute t cot(t) for 0 <= t < pi; 1 at zero."""
    near = angle < 0.02
    if not near.any():
        return np.asarray(angle / np.tan(angle))
    safe = np.where(near, 1.0, angle)
    return np.where(near, polynomial(_COT, angle * angle), safe / np.tan(safe))


class _UnitSphere(NewtonSpace):
    """The unit sphere as a space for `_mean.frechet_mean`."""

    def logs(self, m: Array) -> tuple[Array, Array]:
        x = m[..., None, :]
        angle, middle, chord = _unit_arc(x, self.points - x, self.points + x)
        return angle[..., None] * _towards(angle, middle, chord, 1.0), angle

    def move(self, m: Array, v: Array) -> Array:
        angle = norm(v)[..., None]
        return _unit(np.cos(angle) * m + np.sinc(angle / np.pi) * v)[0]

    def stretch(self, m: Array, lengths: Array) -> Array:
        # The problem is not convex beyond an angle of pi/2; a positive value makes the step a descent step.
        return np.maximum(_angle_cot(lengths), 0.05)

    def resolution(self, m: Array) -> float:
        return 32.0 * float(np.finfo(np.float64).eps)


@MANIFOLDS.register("sphere")
@dataclass(frozen=True)
class Sphere(CheckedManifold):
    """The sphere of radius 1/√curvature in R^D; its origin is (radius, 0, …).

    A distance is the angle times the radius, so the length of a point does not matter. For antipodal points one of the
    geodesics between them is used.

    Args:
        curvature: Positive.

    Raises:
        InvalidConfigError: The curvature is not a positive number.

    Example:
        >>> import numpy as np
        >>> from graphattend.geometry import Sphere
        >>> sphere = Sphere(curvature=1.0)
        >>> float(round(sphere.dist(np.array([1.0, 0.0]), np.array([0.0, 1.0])), 6))
        1.570796
    """

    curvature: float = 1.0
    _least_dim: ClassVar[int] = 2

    def __post_init__(self) -> None:
        """Check the sign of the curvature."""
        object.__setattr__(self, "curvature", as_number(self.curvature, "curvature", above=0.0))

    @cached_property
    def _radius(self) -> float:
        return 1.0 / math.sqrt(self.curvature)

    def origin(self, dim: int) -> Array:
        """Return the point (radius, 0, …) with `dim` coordinates."""
        point = np.zeros(as_count(dim, "dim", minimum=2))
        point[0] = self._radius
        return point

    def _onto(self, x: Array, dtype: np.dtype[Any]) -> Rule:
        unit, length = _unit(x)
        radius = self._radius

        def pullback(g: Array) -> tuple[Array, ...]:
            across = g - column(dot(g, unit)) * unit
            return (np.where(length == 0.0, 0.0, radius * across / nonzero(length)),)

        return radius * unit, pullback

    def _dist(self, x: Array, y: Array) -> Rule:
        arc = _between(x, y)

        def pullback(g: Array) -> tuple[Array, ...]:
            g = g * self._radius * (arc.angle < math.pi)
            gx = -column(g / nonzero(arc.x_length)) * _towards(*arc[:3], 1.0)
            return gx, column(g / nonzero(arc.y_length)) * _towards(*arc[:3], -1.0)

        return self._radius * arc.angle, pullback

    def _exp(self, x: Array, v: Array) -> Rule:
        theta = norm(v) / self._radius
        cosine, quotient = np.cos(theta), sinc(theta)
        y, pull = self._onto(column(cosine) * x + column(quotient) * v, _DOUBLE)

        def pullback(g: Array) -> tuple[Array, ...]:
            (g,) = pull(g)
            slope = -sinc_slope(-theta * theta, cosine, quotient)
            g_square = slope * dot(g, v) - quotient / 2.0 * dot(g, x)
            return column(cosine) * g, column(quotient) * g + column(2.0 * self.curvature * g_square) * v

        return y, pullback

    def _exp0(self, v: Array) -> Rule:
        v = np.concatenate([np.zeros_like(v[..., :1]), v[..., 1:]], axis=-1)
        out, pull = super()._exp0(v)

        def pullback(g: Array) -> tuple[Array, ...]:
            (gv,) = pull(g)
            return (np.concatenate([np.zeros_like(gv[..., :1]), gv[..., 1:]], axis=-1),)

        return out, pullback

    def _log(self, x: Array, y: Array) -> Rule:
        radius = self._radius
        arc = _between(x, y)
        v = column(radius * arc.angle) * _towards(*arc[:3], 1.0)

        def pullback(g: Array) -> tuple[Array, ...]:
            # With unit vectors: v = radius G(s) (w + 2 s x), w = y - x, s = sin^2(angle / 2), G = angle / sin(angle).
            xu, yu = x / column(nonzero(arc.x_length)), y / column(nonzero(arc.y_length))
            angle = np.minimum(arc.angle, math.pi - 1e-7)  # the derivative is infinite at antipodal points
            s, factor = np.sin(angle / 2.0) ** 2, 1.0 / sinc(angle)
            w = yu - xu
            g = radius * g
            gs = 2.0 * factor * dot(g, xu) - arc_slope(-s, factor) * dot(g, w + column(2.0 * s) * xu)
            gw = column(factor) * g + column(0.5 * gs) * w
            gx, gy = column(2.0 * s * factor) * g - gw, gw
            gx = (gx - column(dot(gx, xu)) * xu) / column(nonzero(arc.x_length))
            return gx, (gy - column(dot(gy, yu)) * yu) / column(nonzero(arc.y_length))

        return v, pullback

    def _middle(self, points: Array, weights: Array) -> Rule:
        m, pull = self._onto((weights[..., None, :] @ points)[..., 0, :], _DOUBLE)

        def pullback(g: Array) -> tuple[Array, ...]:
            g = pull(g)[0][..., None, :]
            return column(weights) * g, dot(np.broadcast_to(g, (*g.shape[:-2], *points.shape[-2:])), points)

        return m, pullback

    def _frechet(self, points: Array, weights: Array, tolerance: float, max_iterations: int) -> Rule:
        shares, empty = normalized(weights)
        root = math.sqrt(self.curvature)
        unit, _ = _unit(points)
        start, _ = _unit((shares[..., None, :] @ points)[..., 0, :])
        space = _UnitSphere(unit, shares)
        m = frechet_mean(space, start, tolerance=root * tolerance, max_iterations=max_iterations) / root
        if empty.any():
            m = np.where(column(empty), self.origin(points.shape[-1]), m)

        def pullback(g: Array) -> tuple[Array, ...]:
            g = np.where(column(empty), 0.0, self._tangent(m, g))
            logs, pull = self._log(m[..., None, :], points)
            total = weights.sum(axis=-1, keepdims=True)
            cotangents, gw = adjoint(logs, _angle_cot(root * norm(logs)), shares, total, g)
            return pull(cotangents)[1], gw

        return m, pullback

    def _move(self, x: Array, y: Array, v: Array) -> Array:
        middle = _between(x, y).middle
        return np.asarray(v - column(2.0 * dot(*np.broadcast_arrays(middle, v))) * middle)

    def _tangent(self, x: Array, v: Array) -> Array:
        unit = x / column(nonzero(norm(x)))
        return np.asarray(v - column(dot(*np.broadcast_arrays(v, unit))) * unit)

    def random(self, rng: np.random.Generator | int | None, shape: object) -> Array:
        """Uniformly distributed points (float64).

        Args:
            rng: A `numpy.random.Generator` or a seed.
            shape: Shape of the result; its last entry is D.
        """
        sizes = as_shape(shape)
        self._check_dim(sizes[-1], "shape")
        return self._onto(as_rng(rng).standard_normal(sizes), _DOUBLE)[0]

    def to_config(self) -> dict[str, Any]:
        """``{"type": "sphere", "curvature": ...}``."""
        return {"type": "sphere", "curvature": self.curvature}

"""The hyperboloid (Lorentz model) of hyperbolic space; its formulas are in `_hyperboloid`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .._validate import as_count, as_number
from ._checked_manifold import CheckedManifold
from ._hyperboloid import FrameSpace, expmap, from_frame, log_frame, meet, rotate, start, time, to_frame, transport
from ._manifold import Rule
from ._mean import adjoint, frechet_mean, normalized
from ._registry import MANIFOLDS
from ._stable_math import Array, arc, arc_slope, column, dot, nonzero, norm, perpendicular, sinc_slope, sinhc


def _pad(g: Array) -> Array:
    """Prepend a zero gradient for x₀ to the gradient of the space-like coordinates."""
    return np.concatenate([np.zeros((*g.shape[:-1], 1)), g], axis=-1)


@MANIFOLDS.register("lorentz")
@dataclass(frozen=True)
class Lorentz(CheckedManifold):
    """Hyperbolic space as the upper sheet of −x₀² + x₁² + … = 1/curvature.

    A point has one coordinate more than the space has dimensions; x₀ is the first. Methods read only the other,
    space-like coordinates of a point or tangent vector, which determine x₀. The gradient with respect to x₀ is zero.

    Args:
        curvature: Negative.

    Raises:
        InvalidConfigError: The curvature is not a negative number.

    Source: Nickel, Kiela, "Learning continuous hierarchies in the Lorentz model of hyperbolic geometry" (2018).

    Example:
        >>> import numpy as np
        >>> from graphattend.geometry import Lorentz
        >>> sheet = Lorentz(curvature=-1.0)
        >>> x, y = sheet.project(np.array([[0.0, 0.0], [0.0, 0.75]]))
        >>> y
        array([1.25, 0.75])
        >>> float(round(sheet.dist(x, y), 6))
        0.693147
    """

    curvature: float = -1.0
    _least_dim: ClassVar[int] = 2

    def __post_init__(self) -> None:
        """Check the sign of the curvature."""
        object.__setattr__(self, "curvature", as_number(self.curvature, "curvature", below=0.0))

    @property
    def _c(self) -> float:
        return -self.curvature

    def origin(self, dim: int) -> Array:
        """Return the point (1/√c, 0, …) with `dim` coordinates."""
        point = np.zeros(as_count(dim, "dim", minimum=2))
        point[0] = 1.0 / math.sqrt(self._c)
        return point

    def _lift(self, s: Array) -> Array:
        return np.concatenate([column(time(s, self._c) / math.sqrt(self._c)), s], axis=-1)

    def _drop(self, g: Array, s: Array) -> Array:
        """Pullback of `_lift`: return the gradient with respect to the space-like coordinates."""
        return np.asarray(g[..., 1:] + column(g[..., 0] * math.sqrt(self._c) / time(s, self._c)) * s)

    def _as_vector(self, x: Array, v: Array) -> Array:
        """Return a tangent vector from its space-like part."""
        return np.concatenate([column(dot(x, v) * math.sqrt(self._c) / time(x, self._c)), v], axis=-1)

    def _onto(self, x: Array, dtype: np.dtype[Any]) -> Rule:
        s = x[..., 1:]
        return self._lift(s), lambda g: (_pad(self._drop(g, s)),)

    def _dist(self, x: Array, y: Array) -> Rule:
        x, y = x[..., 1:], y[..., 1:]
        at = meet(x, y, self._c)
        root = math.sqrt(self._c)

        def pullback(g: Array) -> tuple[Array, ...]:
            gradients = []
            for p, q in ((x, y), (y, x)):
                away = start(p, meet(p, q, self._c))
                length = norm(away)
                share = np.where(length == 0.0, 0.0, g / nonzero(length))
                gradients.append(_pad(-column(share) * to_frame(p, away, self._c)))
            return tuple(gradients)

        return 2.0 / root * np.arcsinh(np.sqrt(at.s)), pullback

    def _exp(self, x: Array, v: Array) -> Rule:
        c = self._c
        x, v = x[..., 1:], v[..., 1:]
        y = expmap(x, v, c)

        def pullback(g: Array) -> tuple[Array, ...]:
            # y = cosh(√τ) x + sinhc(√τ) v, τ = c|v|^2 - (c x·v)^2 / (1 + c|x|^2)
            g = self._drop(g, y)
            theta = np.minimum(math.sqrt(c) * norm(to_frame(x, v, c)), 350.0)
            cosh, quotient = np.cosh(theta), sinhc(theta)
            g_tau = dot(g, x) * quotient / 2.0 + dot(g, v) * sinc_slope(theta * theta, cosh, quotient)
            ratio = c * dot(x, v) / time(x, c) ** 2
            gx = column(cosh) * g + column(2.0 * c * g_tau * ratio) * (column(ratio) * x - v)
            gv = column(quotient) * g + column(2.0 * c * g_tau) * (v - column(ratio) * x)
            return _pad(gx), _pad(gv)

        return self._lift(y), pullback

    def _log(self, x: Array, y: Array) -> Rule:
        c = self._c
        x, y = x[..., 1:], y[..., 1:]
        at = meet(x, y, c)
        factor = arc(at.s)
        v = from_frame(x, column(factor) * start(x, at), c)

        def pullback(g: Array) -> tuple[Array, ...]:
            # v = G(s) (y - x - 2 s x) with s = (x0 y0 - x·y - 1) / 2, and v0 = x·v / x0
            lifted = time(x, c) / math.sqrt(c)
            slope = g[..., 0] / lifted
            gv = g[..., 1:] + column(slope) * x
            way = (y - x) - column(2.0 * at.s) * x
            gs = dot(gv, way) * arc_slope(at.s, factor) - 2.0 * factor * dot(gv, x)
            gw = column(factor) * gv
            gx = column(slope) * (v - column(dot(x, v) / lifted**2) * x) - gw - column(2.0 * at.s) * gw
            gx = gx + column(0.5 * c * gs) * (column(at.y_time / at.x_time) * x - y)
            gy = gw + column(0.5 * c * gs) * (column(at.x_time / at.y_time) * y - x)
            return _pad(gx), _pad(gy)

        return self._as_vector(x, v), pullback

    def _middle(self, points: Array, weights: Array) -> Rule:
        c = self._c
        s = points[..., 1:]
        times = time(s, c)
        total, mass = (column(weights) * s).sum(axis=-2), (weights * times).sum(axis=-1)
        # mass - √c |total| as a sum of positive terms: x0 - x·n = (1 + |x across n|^2) / (x0 + x·n)
        first = np.eye(1, s.shape[-1])[0]
        length = norm(total)
        n = np.where(column(length == 0.0), first, total / column(nonzero(length)))[..., None, :]
        n = np.broadcast_to(n, (*n.shape[:-2], *s.shape[-2:]))
        beta, across = perpendicular(np.broadcast_to(s, n.shape), n)
        forward = math.sqrt(c) * beta
        ahead = (1.0 + c * dot(across, across)) / (times + np.abs(forward))
        low = (weights * np.where(forward > 0.0, ahead, times - forward)).sum(axis=-1)
        root = nonzero(np.sqrt(low * (mass + math.sqrt(c) * length)))
        m = total / column(root)

        def pullback(g: Array) -> tuple[Array, ...]:
            g = self._drop(g, m)
            g_root = -dot(g, m) / root
            g_total = (g / column(root) - column(g_root * c / root) * total)[..., None, :]
            g_mass = column(g_root * mass / root)
            gw = dot(np.broadcast_to(g_total, n.shape), s) + g_mass * times
            gp = column(weights) * (g_total + column(g_mass * c / times) * s)
            return _pad(gp), gw

        return self._lift(m), pullback

    def _frechet(self, points: Array, weights: Array, tolerance: float, max_iterations: int) -> Rule:
        c = self._c
        s = points[..., 1:]
        shares, empty = normalized(weights)
        begin = self._middle(points, shares)[0][..., 1:]
        space = FrameSpace(s, shares, c)
        m = frechet_mean(space, begin, tolerance=tolerance, max_iterations=max_iterations)
        m = np.where(column(empty), 0.0, m)

        def pullback(g: Array) -> tuple[Array, ...]:
            g = np.where(column(empty), 0.0, self._drop(g, m))
            at = m[..., None, :]
            logs = log_frame(at, s, c)
            distances = norm(logs)
            total = weights.sum(axis=-1, keepdims=True)
            cotangents, gw = adjoint(logs, space.stretch(m, distances), shares, total, from_frame(m, g, c))
            # The derivative of log_m(x) with respect to x is parallel transport; across the geodesic times d / sinh d.
            u = logs / column(nonzero(distances))
            along = column(dot(cotangents, u)) * u
            shrunk = along + column(1.0 / nonzero(sinhc(math.sqrt(c) * distances))) * (cotangents - along)
            return _pad(to_frame(s, rotate(at, s, shrunk, c), c)), gw

        return self._lift(m), pullback

    def _move(self, x: Array, y: Array, v: Array) -> Array:
        c = self._c
        x, y = x[..., 1:], y[..., 1:]
        return self._as_vector(y, transport(x, y, v[..., 1:], c))

    def _metric(self, x: Array, u: Array, v: Array) -> Array:
        x = x[..., 1:]
        return dot(*np.broadcast_arrays(to_frame(x, u[..., 1:], self._c), to_frame(x, v[..., 1:], self._c)))

    def _tangent(self, x: Array, v: Array) -> Array:
        s, c = x[..., 1:], self._c
        beta, across = perpendicular(v[..., 1:], s)
        # The radial unit vector is (√c |x|, x0) in units of 1/√c.
        x_time = time(s, c)
        length = norm(s)
        radial = x_time * beta * length - math.sqrt(c) * length * v[..., 0]
        return self._as_vector(s, across + column(radial * x_time / nonzero(length)) * s)

    def _raise(self, x: Array, g: Array) -> Array:
        return self._tangent(x, np.concatenate([-g[..., :1], g[..., 1:]], axis=-1))

    def to_config(self) -> dict[str, Any]:
        """``{"type": "lorentz", "curvature": ...}``."""
        return {"type": "lorentz", "curvature": self.curvature}

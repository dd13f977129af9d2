"""The Poincaré ball; its formulas, with the curvature as an argument, are in `_ball` and `_ball_point_sets`."""

from __future__ import annotations

import numbers
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .._validate import ArrayLike, as_float, as_number, broadcast_shapes, cast_data, check_nonempty
from .._vjp import WithPullback, with_vjp
from . import _ball, _ball_point_sets
from ._ball import (
    distance,
    distance_vjp,
    expmap,
    expmap0,
    expmap0_vjp,
    expmap_vjp,
    logmap,
    logmap0,
    logmap0_vjp,
    logmap_vjp,
    mobius_add,
    mobius_add_vjp,
    mobius_scalar_mul,
    mobius_scalar_mul_vjp,
    project,
    project_vjp,
    transport,
)
from ._ball_point_sets import (
    frechet_mean,
    frechet_mean_vjp,
    midpoint,
    midpoint_vjp,
    midpoints,
    midpoints_vjp,
    pairwise_distance,
    pairwise_distance_vjp,
)
from ._checked_manifold import CheckedManifold
from ._manifold import Rule
from ._registry import MANIFOLDS
from ._stable_math import Array, column, dot, gap

__all__ = [
    "Poincare",
    "distance",
    "distance_vjp",
    "expmap",
    "expmap0",
    "expmap0_vjp",
    "expmap_vjp",
    "frechet_mean",
    "frechet_mean_vjp",
    "logmap",
    "logmap0",
    "logmap0_vjp",
    "logmap_vjp",
    "midpoint",
    "midpoint_vjp",
    "midpoints",
    "midpoints_vjp",
    "mobius_add",
    "mobius_add_vjp",
    "mobius_scalar_mul",
    "mobius_scalar_mul_vjp",
    "pairwise_distance",
    "pairwise_distance_vjp",
    "project",
    "project_eps",
    "project_vjp",
    "transport",
]


def project_eps(dtype: np.dtype[Any] | type[np.floating[Any]]) -> float:
    """Distance that `project` keeps from the boundary, relative to the radius: 1e-12 (float64), 1e-6 (float32)."""
    return 1e-6 if np.dtype(dtype) == np.float32 else 1e-12


@MANIFOLDS.register("poincare")
@dataclass(frozen=True)
class Poincare(CheckedManifold):
    """Hyperbolic space as a ball of radius 1/√−curvature.

    Points outside the ball are first moved radially into it. Results keep the distance of `project` from the boundary.
    For float32 inputs the results are computed in float64 and rounded.

    Args:
        curvature: Negative.

    Raises:
        InvalidConfigError: The curvature is not a negative number.

    Source: Ganea, Becigneul, Hofmann, "Hyperbolic neural networks" (2018).

    Example:
        >>> import numpy as np
        >>> from graphattend.geometry import Poincare
        >>> ball = Poincare(curvature=-1.0)
        >>> float(round(ball.dist(np.array([0.0, 0.0]), np.array([0.5, 0.0])), 6))
        1.098612
        >>> ball.mobius_add(np.array([0.5, 0.0]), np.array([0.5, 0.0]))
        array([0.8, 0. ])
    """

    curvature: float = -1.0
    _pairs_by_difference: ClassVar[bool] = False
    _spread: ClassVar[float] = 0.5

    def __post_init__(self) -> None:
        """Check the sign of the curvature."""
        object.__setattr__(self, "curvature", as_number(self.curvature, "curvature", below=0.0))

    @property
    def _c(self) -> float:
        return -self.curvature

    def _rule(self, rule: tuple[Array, Any]) -> Rule:
        """Drop the gradient of the curvature from a pullback."""
        out, pull = rule
        return out, lambda g: pull(g)[:-1]

    def _onto(self, x: Array, dtype: np.dtype[Any]) -> Rule:
        return self._rule(_ball.project_vjp(x, self._c, project_eps(dtype)))

    def _admit(self, x: Array, dtype: np.dtype[Any]) -> Rule:
        return self._rule(_ball.project_vjp(x, self._c, project_eps(dtype), beyond=1e-12))

    def _settle(self, x: Array, dtype: np.dtype[Any]) -> Rule:
        return self._onto(x, dtype)

    def _dist(self, x: Array, y: Array) -> Rule:
        return self._rule(_ball.distance_vjp(x, y, self._c))

    def _pairs(self, x: Array, y: Array) -> Rule:
        return self._rule(_ball_point_sets.pairwise_distance_vjp(x, y, self._c))

    def _exp(self, x: Array, v: Array) -> Rule:
        return self._rule(_ball.expmap_vjp(x, v, self._c))

    def _log(self, x: Array, y: Array) -> Rule:
        return self._rule(_ball.logmap_vjp(x, y, self._c))

    def _exp0(self, v: Array) -> Rule:
        return self._rule(_ball.expmap0_vjp(v, self._c))

    def _log0(self, y: Array) -> Rule:
        return self._rule(_ball.logmap0_vjp(y, self._c))

    def _middle(self, points: Array, weights: Array) -> Rule:
        return self._rule(_ball_point_sets.midpoint_vjp(points, weights, self._c))

    def _frechet(self, points: Array, weights: Array, tolerance: float, max_iterations: int) -> Rule:
        return self._rule(
            _ball_point_sets.frechet_mean_vjp(
                points, weights, self._c, tolerance=tolerance, max_iterations=max_iterations
            )
        )

    def _rows(self, aggregation: str, points: Array, weights: Array) -> Rule:
        if aggregation == "midpoint":
            return self._rule(_ball_point_sets.midpoints_vjp(points, weights, self._c))
        return super()._rows(aggregation, points, weights)

    def _move(self, x: Array, y: Array, v: Array) -> Array:
        return _ball.transport(x, y, v, self._c)

    def _metric(self, x: Array, u: Array, v: Array) -> Array:
        return np.asarray(4.0 * dot(*np.broadcast_arrays(u, v)) / gap(x, self._c) ** 2)

    def _raise(self, x: Array, g: Array) -> Array:
        return np.asarray(column(0.25 * gap(x, self._c) ** 2) * g)

    def lambda_x(self, x: ArrayLike) -> Array:
        """Conformal factor 2 / (1 + curvature |x|^2), (..., D) -> (...)."""
        return self._plain(lambda p: 2.0 / gap(p, self._c), self._points(x=x), 1)

    @with_vjp
    def mobius_add(self, x: ArrayLike, y: ArrayLike) -> WithPullback[Array]:
        """Möbius addition x (+) y, (..., D) and (..., D) -> (..., D)."""
        return self._through(
            lambda p, q: self._rule(_ball.mobius_add_vjp(p, q, self._c)), self._points(x=x, y=y), 2, is_point=True
        )

    @with_vjp
    def mobius_scalar_mul(self, r: ArrayLike, x: ArrayLike) -> WithPullback[Array]:
        """Möbius scalar multiplication: the point on the ray of x at r times its distance from the origin.

        Args:
            r: A number, or one number per point, (...) or (..., 1).
            x: Points (..., D).

        Returns:
            Points (..., D).
        """
        (x,) = self._points(x=x)
        if isinstance(r, numbers.Real):
            r = cast_data(np.asarray(as_number(r, "r")), x.dtype, "r")
        r = as_float(r, "r", beside=x.dtype)
        check_nonempty(r, "r")
        # One number per point, (...), or (..., 1) as in geoopt.
        factors = r[..., 0] if r.ndim == x.ndim and r.shape[-1] == 1 else r
        broadcast_shapes("r and x", factors.shape, x.shape[:-1])

        def hook(p: Array, s: Array) -> Rule:
            out, pull = _ball.mobius_scalar_mul_vjp(s, p, self._c)
            return out, lambda g: pull(g)[1::-1]

        out, pull = self._through(hook, [x, factors], 1, is_point=True)

        def pullback(g: np.ndarray) -> tuple[Array, ...]:
            gx, gr = pull(g)
            return gr.reshape(r.shape), gx

        return out, pullback

    def to_config(self) -> dict[str, Any]:
        """``{"type": "poincare", "curvature": ...}``."""
        return {"type": "poincare", "curvature": self.curvature}

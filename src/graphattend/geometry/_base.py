"""What a manifold is (`Manifold`), what can be had for free (`ManifoldBase`), and the checked front of ours."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np

from .._validate import (
    as_float,
    as_int,
    as_number,
    as_rng,
    broadcast_shapes,
    check_length,
    check_ndim,
    check_nonempty,
    common_dtype,
)
from .._vjp import differentiable, unbroadcast, vjp
from ..errors import DimensionMismatchError, InvalidConfigError, UnsupportedError
from ._mean import frechet_mean, normalized
from ._numeric import Array, Pull, column, dot

Rule = tuple[Array, Pull]


@runtime_checkable
class Manifold(Protocol):
    """What the library asks of a manifold; the last axis of an array is the point.

    Ours are `Euclidean`, `Poincare`, `Lorentz`, `Sphere` and `Product`. For a manifold of your own, derive from
    `ManifoldBase` and write ``dist``, ``expmap`` and ``logmap``; for gradients give each a rule by
    `graphattend.geometry.differentiable`.
    """

    def dist(self, x: Any, y: Any) -> Any:
        """Geodesic distance, (..., D) and (..., D) -> (...)."""

    def expmap(self, x: Any, v: Any) -> Any:
        """Where the geodesic from x with velocity v is at time one."""

    def logmap(self, x: Any, y: Any) -> Any:
        """The velocity at x of the geodesic that reaches y at time one."""

    def pairwise(self, x: Any, y: Any) -> Any:
        """`dist` of all pairs, (..., M, D) and (..., N, D) -> (..., M, N)."""

    def expmap0(self, v: Any) -> Any:
        """`expmap` at the origin."""

    def logmap0(self, y: Any) -> Any:
        """`logmap` at the origin."""

    def project(self, x: Any) -> Any:
        """The point nearest to x (in some sense) on the manifold."""

    def project_tangent(self, x: Any, v: Any) -> Any:
        """The part of v that is tangent at x."""

    def transport(self, x: Any, y: Any, v: Any) -> Any:
        """Parallel transport of v from x to y along the geodesic."""

    def midpoint(self, points: Any, weights: Any) -> Any:
        """Weighted midpoint in closed form, (..., N, D) and (..., N) -> (..., D)."""

    def frechet_mean(self, points: Any, weights: Any) -> Any:
        """Weighted mean: the point with the least sum of squared distances, (..., N, D) and (..., N) -> (..., D)."""

    def inner(self, x: Any, u: Any, v: Any) -> Any:
        """Riemannian inner product of tangent vectors at x."""

    def norm(self, x: Any, v: Any) -> Any:
        """Riemannian length of v at x."""

    def egrad2rgrad(self, x: Any, g: Any) -> Any:
        """Riemannian gradient from the Euclidean one."""

    def random(self, rng: Any, shape: Any) -> Any:
        """Random points; the last entry of `shape` is the point's length."""


class ManifoldBase:
    """Derive from this for a manifold of your own: write ``dist``, ``expmap``, ``logmap``, gain the rest.

    The defaults are right for a manifold that fills R^D with the origin at zero and the Euclidean inner product in
    every tangent space; override what differs (``origin``, ``inner``, ``project`` ...).

    Example:
        >>> import numpy as np
        >>> from graphattend.geometry import ManifoldBase
        >>> class Stretched(ManifoldBase):
        ...     def dist(self, x, y):
        ...         return 2.0 * np.linalg.norm(y - x, axis=-1)
        ...     def expmap(self, x, v):
        ...         return x + v
        ...     def logmap(self, x, y):
        ...         return y - x
        ...     def inner(self, x, u, v):
        ...         return 4.0 * (u * v).sum(-1)
        >>> points = np.array([[0.0, 0.0], [2.0, 4.0]])
        >>> Stretched().midpoint(points, np.array([1.0, 1.0]))
        array([1., 2.])
    """

    def origin(self, dim: int) -> Array:
        """The base point of `expmap0` and `logmap0`: (D,)."""
        return np.zeros(as_int(dim, "dim", minimum=1))

    def dist(self, x: Any, y: Any) -> Any:
        """Geodesic distance, (..., D) and (..., D) -> (...); by default the length of `logmap`."""
        return self.norm(x, self.logmap(x, y))

    def _pairwise_vjp(self, x: Any, y: Any) -> Rule:
        x, y = as_float(x, "x"), as_float(y, "y")
        check_ndim(x, "x", 2)
        check_ndim(y, "y", 2)
        out, pull = ask(self.dist, x[..., :, None, :], y[..., None, :, :])

        def pullback(g: Any) -> tuple[Array, ...]:
            gx, gy = pull(g)
            return gx.reshape(x.shape), gy.reshape(y.shape)

        return out, pullback

    @differentiable(_pairwise_vjp)
    def pairwise(self, x: Any, y: Any) -> Any:
        """Distances of all pairs, (..., M, D) and (..., N, D) -> (..., M, N)."""
        return self._pairwise_vjp(x, y)[0]

    def expmap(self, x: Any, v: Any) -> Any:
        """Exponential map, (..., D); to be written."""
        raise UnsupportedError(f"expmap: {type(self).__name__} has none", argument="expmap")

    def logmap(self, x: Any, y: Any) -> Any:
        """Logarithm, (..., D); to be written."""
        raise UnsupportedError(f"logmap: {type(self).__name__} has none", argument="logmap")

    def expmap0(self, v: Any) -> Any:
        """`expmap` at the origin."""
        v = as_float(v, "v")
        check_ndim(v, "v", 1)
        return self.expmap(self.origin(v.shape[-1]).astype(v.dtype), v)

    def logmap0(self, y: Any) -> Any:
        """`logmap` at the origin."""
        y = as_float(y, "y")
        check_ndim(y, "y", 1)
        return self.logmap(self.origin(y.shape[-1]).astype(y.dtype), y)

    def project(self, x: Any) -> Any:
        """The point as it is."""
        return as_float(x, "x")

    def project_tangent(self, x: Any, v: Any) -> Any:
        """The vector as it is."""
        return as_float(v, "v")

    def transport(self, x: Any, y: Any, v: Any) -> Any:
        """Parallel transport; to be written where it is needed (Riemannian momentum)."""
        raise UnsupportedError(f"transport: {type(self).__name__} has none", argument="transport")

    def inner(self, x: Any, u: Any, v: Any) -> Any:
        """Riemannian inner product, (..., D) -> (...); Euclidean by default."""
        return dot(*np.broadcast_arrays(as_float(u, "u"), as_float(v, "v")))

    def norm(self, x: Any, v: Any) -> Any:
        """Riemannian length, (..., D) -> (...)."""
        return np.sqrt(np.maximum(self.inner(x, v, v), 0.0))

    def egrad2rgrad(self, x: Any, g: Any) -> Any:
        """Riemannian gradient from the Euclidean one; by default its tangent part."""
        return self.project_tangent(x, g)

    def midpoint(self, points: Any, weights: Any) -> Any:
        """Weighted midpoint, (..., N, D) and (..., N) -> (..., D); by default the Fréchet mean."""
        return self.frechet_mean(points, weights)

    def frechet_mean(self, points: Any, weights: Any, *, tolerance: float = 1e-10, max_iterations: int = 1000) -> Any:
        """Weighted Fréchet mean by gradient steps, (..., N, D) and (..., N) -> (..., D); see `Manifold`.

        Raises:
            NumericalInstabilityError: It did not converge.
        """
        points, weights = check_weighted(points, weights)
        return self._mean(points, weights, tolerance=tolerance, max_iterations=max_iterations)

    def _mean(self, points: Array, weights: Array, *, tolerance: float, max_iterations: int) -> Array:
        shares, empty = normalized(weights)
        start = points[..., 0, :] + np.zeros((*shares.shape[:-1], 1), points.dtype)
        mean = frechet_mean(self, points, shares, start, tolerance=tolerance, max_iterations=max_iterations)
        return np.where(column(empty), self.origin(points.shape[-1]).astype(mean.dtype), mean)

    def _resolution(self, m: Array) -> Array:
        """Riemannian length that rounding m amounts to."""
        return np.asarray(16.0 * np.finfo(m.dtype).eps * (1.0 + self.norm(m, m)))

    def to_config(self) -> dict[str, Any]:
        """JSON types only; to be written where it is needed."""
        raise UnsupportedError(f"to_config: {type(self).__name__} has none", argument="to_config")

    def random(self, rng: Any, shape: Any) -> Any:
        """Random points: `expmap0` of standard normal vectors; the last entry of `shape` is the point's length."""
        return self.expmap0(as_rng(rng).standard_normal(as_shape(shape)))


def ask(method: Callable[..., Any], *arrays: Array, **options: Any) -> Rule:
    """A manifold's method with its pullback; one of the user's own may have none, which shows when it is used."""
    if hasattr(method, "vjp_rule"):
        out, pull = vjp(method, *arrays, **options)
        return out, pull

    def pullback(g: Array) -> tuple[Array, ...]:
        vjp(method, *arrays, **options)  # raises, and names the method
        raise UnsupportedError("no gradient rule")

    return method(*arrays, **options), pullback


def as_shape(shape: Any) -> tuple[int, ...]:
    """A shape with at least one axis, none empty."""
    sizes = tuple(shape) if isinstance(shape, Iterable) else (shape,)
    if not sizes:
        raise DimensionMismatchError(
            "shape: expected at least 1 axes, got ()", argument="shape", expected="at least 1 axes", actual=0
        )
    return tuple(as_int(n, "shape", minimum=1) for n in sizes)


def check_points(named: dict[str, Any], dim: int | None = None) -> list[Array]:
    """Arrays (..., D) that share D (`dim`, if given) and broadcast."""
    arrays = [as_float(x, name) for name, x in named.items()]
    for name, x in zip(named, arrays, strict=True):
        check_ndim(x, name, 1)
        check_nonempty(x, name)
        check_length(x, name, -1, arrays[0].shape[-1] if dim is None else dim)
    broadcast_shapes(" and ".join(named), *(x.shape for x in arrays))
    return arrays


def check_weighted(points: Any, weights: Any) -> tuple[Array, Array]:
    """Points (..., N, D) and weights (..., N) >= 0 whose leading axes broadcast."""
    points, weights = as_float(points, "points"), as_float(weights, "weights")
    check_ndim(points, "points", 2)
    check_ndim(weights, "weights", 1)
    check_nonempty(points, "points")
    check_nonempty(weights, "weights")
    check_length(weights, "weights", -1, points.shape[-2], "one per point")
    broadcast_shapes("points and weights", points.shape[:-1], weights.shape)
    if weights.min() < 0.0:
        raise InvalidConfigError(
            "weights: expected numbers >= 0", argument="weights", expected="numbers >= 0", actual=float(weights.min())
        )
    points, weights = common_dtype(points, weights)
    return points, weights


class CheckedManifold(ManifoldBase):
    """The public face of our manifolds: checks once, computes in float64, rounds to the inputs' dtype.

    A manifold gives the hooks below on float64 arrays, without checks; those that return a `Rule` give the value
    and its pullback.
    """

    curvature: float
    _least_dim: ClassVar[int] = 1
    #: Length of the tangent vector at the origin that reaches one radius of curvature.
    _spread: ClassVar[float] = 1.0

    # Hooks.
    def _dist(self, x: Array, y: Array) -> Rule:
        raise NotImplementedError

    def _exp(self, x: Array, v: Array) -> Rule:
        raise NotImplementedError

    def _log(self, x: Array, y: Array) -> Rule:
        raise NotImplementedError

    def _middle(self, points: Array, weights: Array) -> Rule:
        raise NotImplementedError

    def _frechet(self, points: Array, weights: Array, tolerance: float, max_iterations: int) -> Rule:
        raise NotImplementedError

    def _move(self, x: Array, y: Array, v: Array) -> Array:
        raise NotImplementedError

    def _metric(self, x: Array, u: Array, v: Array) -> Array:
        return dot(*np.broadcast_arrays(u, v))

    def _onto(self, x: Array, dtype: np.dtype[Any]) -> Rule:
        """Any vector onto the manifold, so that rounding to `dtype` stays there."""
        return x, lambda g: (g,)

    def _admit(self, x: Array, dtype: np.dtype[Any]) -> Rule:
        """A point argument in `dtype` that may lie off the manifold, made usable."""
        return x, lambda g: (g,)

    def _settle(self, x: Array, dtype: np.dtype[Any]) -> Rule:
        """A resulting point, made safe against rounding to `dtype`."""
        return x, lambda g: (g,)

    def _exp0(self, v: Array) -> Rule:
        out, pull = self._exp(self.origin(v.shape[-1]), v)
        return out, lambda g: pull(g)[1:]

    def _log0(self, y: Array) -> Rule:
        out, pull = self._log(self.origin(y.shape[-1]), y)
        return out, lambda g: pull(g)[1:]

    # The one door.
    def _through(self, hook: Callable[..., Rule], arrays: list[Array], points: int, *, is_point: bool) -> Rule:
        """Run `hook` on `arrays`, the first `points` of which are points, and round its result."""
        dtype = common_dtype(*arrays)[0].dtype
        inner = [x.astype(np.float64, copy=False) for x in arrays]
        entries = [self._admit(x, given.dtype) for x, given in zip(inner[:points], arrays, strict=False)]
        out, pull = hook(*(x for x, _ in entries), *inner[points:])
        settled, pull_settled = self._settle(out, dtype) if is_point else (out, lambda g: (g,))
        result = np.asarray(settled, dtype)[()]  # a scalar, as NumPy has it, for a single distance

        def pullback(g: Any) -> tuple[Array, ...]:
            g = as_float(g, "grad_output").astype(np.float64, copy=False)
            broadcast_shapes("grad_output", g.shape, result.shape)
            gradients = list(pull(pull_settled(np.broadcast_to(g, result.shape))[0]))
            for i, (_, back) in enumerate(entries):
                gradients[i] = back(gradients[i])[0]
            return tuple(
                unbroadcast(np.asarray(gx), x.shape).astype(x.dtype, copy=False)
                for gx, x in zip(gradients, arrays, strict=True)
            )

        return result, pullback

    def _points(self, **named: Any) -> list[Array]:
        arrays = check_points(named)
        self._check_dim(arrays[0].shape[-1], next(iter(named)))
        return arrays

    def _check_dim(self, dim: int, argument: str) -> None:
        if dim < self._least_dim:
            raise DimensionMismatchError(
                f"{argument}: expected at least {self._least_dim} coordinates, got {dim}",
                argument=argument,
                expected=self._least_dim,
                actual=dim,
            )

    def _dist_vjp(self, x: Any, y: Any) -> Rule:
        return self._through(self._dist, self._points(x=x, y=y), 2, is_point=False)

    @differentiable(_dist_vjp)
    def dist(self, x: Any, y: Any) -> Array:
        """Geodesic distance.

        Args:
            x: Points (..., D).
            y: Points (..., D); leading axes broadcast.

        Returns:
            Distances (...). Relative error at most 1e-12 in float64 for points up to 1 - 1e-9 of the radius.

        Raises:
            DimensionMismatchError: The last axes differ, or leading axes do not broadcast.
        """
        return self._dist_vjp(x, y)[0]

    def _pairs(self, x: Array, y: Array) -> Rule:
        """Distances of all pairs; where a matrix product serves, override this."""
        out, pull = self._dist(x[..., :, None, :], y[..., None, :, :])

        def pullback(g: Array) -> tuple[Array, ...]:
            gx, gy = (unbroadcast(h, (*h.shape[:-3], *tail)) for h, tail in zip(pull(g), tails, strict=True))
            return gx[..., 0, :], gy[..., 0, :, :]

        tails = ((x.shape[-2], 1, x.shape[-1]), (1, *y.shape[-2:]))
        return out, pullback

    def _pairwise_vjp(self, x: Any, y: Any) -> Rule:
        x, y = as_float(x, "x"), as_float(y, "y")
        check_ndim(x, "x", 2)
        check_ndim(y, "y", 2)
        check_nonempty(x, "x")
        check_nonempty(y, "y")
        check_length(y, "y", -1, x.shape[-1])
        broadcast_shapes("x and y", x.shape[:-2], y.shape[:-2])
        self._check_dim(x.shape[-1], "x")
        return self._through(self._pairs, [x, y], 2, is_point=False)

    @differentiable(_pairwise_vjp)
    def pairwise(self, x: Any, y: Any) -> Array:
        """Distances of all pairs.

        Args:
            x: Points (..., M, D).
            y: Points (..., N, D); leading axes broadcast.

        Returns:
            Distances (..., M, N), as accurate as those of `dist`.
        """
        return self._pairwise_vjp(x, y)[0]

    def _expmap_vjp(self, x: Any, v: Any) -> Rule:
        return self._through(self._exp, self._points(x=x, v=v), 1, is_point=True)

    @differentiable(_expmap_vjp)
    def expmap(self, x: Any, v: Any) -> Array:
        """Exponential map: where the geodesic from x (..., D) with velocity v (..., D) is at time one."""
        return self._expmap_vjp(x, v)[0]

    def _logmap_vjp(self, x: Any, y: Any) -> Rule:
        return self._through(self._log, self._points(x=x, y=y), 2, is_point=False)

    @differentiable(_logmap_vjp)
    def logmap(self, x: Any, y: Any) -> Array:
        """Logarithm: the velocity at x (..., D) of the geodesic that reaches y (..., D) at time one."""
        return self._logmap_vjp(x, y)[0]

    def _expmap0_vjp(self, v: Any) -> Rule:
        return self._through(self._exp0, self._points(v=v), 0, is_point=True)

    @differentiable(_expmap0_vjp)
    def expmap0(self, v: Any) -> Array:
        """Exponential map at the origin, (..., D) -> (..., D)."""
        return self._expmap0_vjp(v)[0]

    def _logmap0_vjp(self, y: Any) -> Rule:
        return self._through(self._log0, self._points(y=y), 1, is_point=False)

    @differentiable(_logmap0_vjp)
    def logmap0(self, y: Any) -> Array:
        """Logarithm at the origin, (..., D) -> (..., D)."""
        return self._logmap0_vjp(y)[0]

    def _project_vjp(self, x: Any) -> Rule:
        arrays = self._points(x=x)
        return self._through(lambda p: self._onto(p, arrays[0].dtype), arrays, 0, is_point=False)

    @differentiable(_project_vjp)
    def project(self, x: Any) -> Array:
        """Any vectors (..., D) moved onto the manifold; points on it stay."""
        return self._project_vjp(x)[0]

    def transport(self, x: Any, y: Any, v: Any) -> Array:
        """Parallel transport of tangent vectors v (..., D) from x to y (..., D) along the geodesic."""
        arrays = self._points(x=x, y=y, v=v)
        return self._plain(lambda p, q, u: self._move(p, q, u), arrays, 2)

    def inner(self, x: Any, u: Any, v: Any) -> Array:
        """Riemannian inner product of tangent vectors u and v at x, (..., D) -> (...)."""
        return self._plain(self._metric, self._points(x=x, u=u, v=v), 1)

    def norm(self, x: Any, v: Any) -> Array:
        """Riemannian length of the tangent vector v at x, (..., D) -> (...)."""
        arrays = self._points(x=x, v=v)
        return self._plain(lambda p, u: np.sqrt(np.maximum(self._metric(p, u, u), 0.0)), arrays, 1)

    def project_tangent(self, x: Any, v: Any) -> Array:
        """The part of v (..., D) that is tangent at x (..., D)."""
        return self._plain(self._tangent, self._points(x=x, v=v), 1)

    def egrad2rgrad(self, x: Any, g: Any) -> Array:
        """Riemannian gradient from the Euclidean gradient g (..., D) at x (..., D)."""
        return self._plain(self._raise, self._points(x=x, g=g), 1)

    def _tangent(self, x: Array, v: Array) -> Array:
        return np.asarray(v + np.zeros_like(x))

    def _raise(self, x: Array, g: Array) -> Array:
        """The gradient as a tangent vector: the metric's inverse applied to it."""
        return self._tangent(x, g)

    def _plain(self, hook: Callable[..., Array], arrays: list[Array], points: int) -> Array:
        return self._through(lambda *xs: (hook(*xs), lambda g: (g,)), arrays, points, is_point=False)[0]

    def _weighted(self, points: Any, weights: Any) -> list[Array]:
        checked = check_weighted(points, weights)
        self._check_dim(checked[0].shape[-1], "points")
        return list(checked)

    def _midpoint_vjp(self, points: Any, weights: Any) -> Rule:
        return self._through(self._middle, self._weighted(points, weights), 1, is_point=True)

    @differentiable(_midpoint_vjp)
    def midpoint(self, points: Any, weights: Any) -> Array:
        """Weighted midpoint in closed form.

        Args:
            points: (..., N, D).
            weights: (..., N) >= 0; only their ratios matter. Leading axes broadcast with those of `points`.

        Returns:
            Midpoints (..., D); the origin where all weights are zero.

        Raises:
            InvalidConfigError: A weight is negative.
        """
        return self._midpoint_vjp(points, weights)[0]

    def _frechet_mean_vjp(
        self, points: Any, weights: Any, *, tolerance: float = 1e-10, max_iterations: int = 100
    ) -> Rule:
        tolerance = as_number(tolerance, "tolerance", above=0.0)
        max_iterations = as_int(max_iterations, "max_iterations", minimum=1)

        def hook(p: Array, w: Array) -> Rule:
            return self._frechet(p, w, tolerance, max_iterations)

        return self._through(hook, self._weighted(points, weights), 1, is_point=True)

    @differentiable(_frechet_mean_vjp)
    def frechet_mean(self, points: Any, weights: Any, *, tolerance: float = 1e-10, max_iterations: int = 100) -> Array:
        """Weighted Fréchet mean: the point with the least Σ w d(m, x)^2.

        Args:
            points: (..., N, D).
            weights: (..., N) >= 0; only their ratios matter. Leading axes broadcast with those of `points`.
            tolerance: The iteration ends when its step is at most this long (Riemannian), plus what rounding of
                the coordinates amounts to there (near the boundary of the ball, 1e-16 times the conformal factor).
            max_iterations: Limit on the number of Newton steps.

        Returns:
            Means (..., D); the origin where all weights are zero.

        Raises:
            NumericalInstabilityError: It did not converge.
            InvalidConfigError: A weight is negative.
        """
        return self._frechet_mean_vjp(points, weights, tolerance=tolerance, max_iterations=max_iterations)[0]

    def random(self, rng: Any, shape: Any) -> Array:
        """Random points (float64) around the origin.

        Args:
            rng: A `numpy.random.Generator` or a seed.
            shape: Shape of the result; its last entry is D.

        Returns:
            Points whose distance from the origin is about one radius of curvature (flat space: one).
        """
        sizes = as_shape(shape)
        self._check_dim(sizes[-1], "shape")
        scale = self._spread / math.sqrt(sizes[-1] * abs(self.curvature or 1.0))
        return self.expmap0(scale * as_rng(rng).standard_normal(sizes))

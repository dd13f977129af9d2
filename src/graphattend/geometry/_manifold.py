"""The interface of a manifold (`Manifold`) and its default methods (`ManifoldBase`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Integral
from typing import Any, Protocol, Self, runtime_checkable

import numpy as np

from .._validate import (
    ArrayLike,
    as_count,
    as_float,
    as_floats,
    as_int,
    as_list,
    as_rng,
    broadcast_shapes,
    check_length,
    check_ndim,
    check_nonempty,
    check_size,
    common_dtype,
)
from .._vjp import WithPullback, vjp, with_vjp
from ..errors import DimensionMismatchError, InvalidConfigError, UnsupportedError
from ._mean import frechet_mean, normalized
from ._stable_math import Array, Pull, column, dot

Rule = tuple[Array, Pull]


@runtime_checkable
class Manifold(Protocol):
    """Interface of a manifold. The last axis of an array holds the coordinates of a point.

    The built-in manifolds are `Euclidean`, `Poincare`, `Lorentz`, `Sphere` and `Product`. To define your own, derive a
    class from `ManifoldBase` and implement ``dist``, ``expmap`` and ``logmap``. For gradients, give each of them a rule
    with `graphattend.geometry.differentiable`.

    Example:
        >>> from graphattend.geometry import Manifold, Sphere
        >>> isinstance(Sphere(), Manifold)
        True
    """

    def dist(self, x: Array, y: Array) -> Any:
        """Geodesic distance, (..., D) and (..., D) -> (...)."""

    def expmap(self, x: Array, v: Array) -> Any:
        """Exponential map: end point of the geodesic from x with velocity v, (..., D) and (..., D) -> (..., D)."""

    def logmap(self, x: Array, y: Array) -> Any:
        """Logarithmic map: velocity at x of the geodesic from x to y, (..., D) and (..., D) -> (..., D)."""

    def pairwise(self, x: Array, y: Array) -> Any:
        """Pairwise distances, (..., M, D) and (..., N, D) -> (..., M, N)."""

    def expmap0(self, v: Array) -> Any:
        """`expmap` at the origin, (..., D) -> (..., D)."""

    def logmap0(self, y: Array) -> Any:
        """`logmap` at the origin, (..., D) -> (..., D)."""

    def project(self, x: Array) -> Any:
        """Project vectors onto the manifold, (..., D) -> (..., D); points on it are unchanged."""

    def project_tangent(self, x: Array, v: Array) -> Any:
        """Project v onto the tangent space at x, (..., D) and (..., D) -> (..., D)."""

    def transport(self, x: Array, y: Array, v: Array) -> Any:
        """Parallel transport of v from x to y along the geodesic, all (..., D) -> (..., D)."""

    def midpoint(self, points: Array, weights: Array) -> Any:
        """Weighted midpoint in closed form, (..., N, D) and (..., N) -> (..., D)."""

    def frechet_mean(self, points: Array, weights: Array) -> Any:
        """Weighted mean: the point of least weighted squared distances, (..., N, D) and (..., N) -> (..., D)."""

    def inner(self, x: Array, u: Array, v: Array) -> Any:
        """Riemannian inner product of the tangent vectors u and v at x, (..., D) -> (...)."""

    def norm(self, x: Array, v: Array) -> Any:
        """Riemannian length of the tangent vector v at x, (..., D) -> (...)."""

    def egrad2rgrad(self, x: Array, g: Array) -> Any:
        """Riemannian gradient from the Euclidean gradient g at x, (..., D) and (..., D) -> (..., D)."""

    def random(self, rng: np.random.Generator | int, shape: object) -> Any:
        """Random points; the last entry of `shape` is the number of coordinates D."""


class ManifoldBase:
    """Base class for your own manifolds: implement ``dist``, ``expmap`` and ``logmap``, and inherit the rest.

    The defaults suit a manifold that fills R^D, with the origin at zero and the Euclidean inner product in every
    tangent space. Override the methods that differ (``origin``, ``inner``, ``project`` ...).

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
        """The base point of `expmap0` and `logmap0`, (D,)."""
        return np.zeros(as_count(dim, "dim"))

    def dist(self, x: Array, y: Array) -> Any:
        """Geodesic distance, (..., D) and (..., D) -> (...); by default the length of `logmap`."""
        return self.norm(x, self.logmap(x, y))

    @with_vjp
    def pairwise(self, x: Array, y: Array) -> WithPullback[Array]:
        """Pairwise distances, (..., M, D) and (..., N, D) -> (..., M, N)."""
        x, y = as_floats(("x", "y"), x, y)
        check_ndim(x, "x", 2)
        check_ndim(y, "y", 2)
        out, pull = ask(self.dist, x[..., :, None, :], y[..., None, :, :])

        def pullback(g: np.ndarray) -> tuple[Array, ...]:
            gx, gy = pull(g)
            return gx.reshape(x.shape), gy.reshape(y.shape)

        return out, pullback

    def expmap(self, x: Array, v: Array) -> Any:
        """Exponential map, (..., D) and (..., D) -> (..., D). Subclasses implement it."""
        raise UnsupportedError(f"expmap: {type(self).__name__} has none", argument="expmap")

    def logmap(self, x: Array, y: Array) -> Any:
        """Logarithmic map, (..., D) and (..., D) -> (..., D). Subclasses implement it."""
        raise UnsupportedError(f"logmap: {type(self).__name__} has none", argument="logmap")

    def expmap0(self, v: Array) -> Any:
        """`expmap` at the origin, (..., D) -> (..., D)."""
        v = as_float(v, "v")
        check_ndim(v, "v", 1)
        return self.expmap(self.origin(v.shape[-1]).astype(v.dtype), v)

    def logmap0(self, y: Array) -> Any:
        """`logmap` at the origin, (..., D) -> (..., D)."""
        y = as_float(y, "y")
        check_ndim(y, "y", 1)
        return self.logmap(self.origin(y.shape[-1]).astype(y.dtype), y)

    def project(self, x: Array) -> Any:
        """Return the points (..., D) unchanged."""
        return as_float(x, "x")

    def project_tangent(self, x: Array, v: Array) -> Any:
        """Return the vectors v (..., D) at x (..., D) unchanged."""
        return as_float(v, "v")

    def transport(self, x: Array, y: Array, v: Array) -> Any:
        """Parallel transport of v from x to y, all (..., D). Optional; Riemannian momentum needs it."""
        raise UnsupportedError(f"transport: {type(self).__name__} has none", argument="transport")

    def inner(self, x: Array, u: Array, v: Array) -> Any:
        """Riemannian inner product, (..., D) -> (...); Euclidean by default."""
        return dot(*np.broadcast_arrays(*as_floats(("u", "v"), u, v)))

    def norm(self, x: Array, v: Array) -> Any:
        """Riemannian length, (..., D) -> (...)."""
        return np.sqrt(np.maximum(self.inner(x, v, v), 0.0))

    def egrad2rgrad(self, x: Array, g: Array) -> Any:
        """Riemannian gradient from the Euclidean gradient g at x, both (..., D); by default its tangent part."""
        return self.project_tangent(x, g)

    def midpoint(self, points: Array, weights: Array) -> Any:
        """Weighted midpoint, (..., N, D) and (..., N) -> (..., D); by default the Fréchet mean."""
        return self.frechet_mean(points, weights)

    def frechet_mean(
        self, points: Array, weights: Array, *, tolerance: float = 1e-10, max_iterations: int = 1000
    ) -> Any:
        """Weighted Fréchet mean by gradient steps, (..., N, D) and (..., N) -> (..., D); see `Manifold`.

        Raises:
            NumericalInstabilityError: The iteration did not converge.
        """
        points, weights = check_weighted(points, weights)
        return self._mean(points, weights, tolerance=tolerance, max_iterations=max_iterations)

    def _mean(self, points: Array, weights: Array, *, tolerance: float, max_iterations: int) -> Array:
        shares, empty = normalized(weights)
        start = points[..., 0, :] + np.zeros((*shares.shape[:-1], 1), points.dtype)
        space = _GradientSteps(self, points, shares)
        mean = frechet_mean(space, start, tolerance=tolerance, max_iterations=max_iterations)
        return np.where(column(empty), self.origin(points.shape[-1]).astype(mean.dtype), mean)

    def _resolution(self, m: Array) -> Array:
        """Riemannian length of the rounding error of m."""
        return np.asarray(16.0 * np.finfo(m.dtype).eps * (1.0 + self.norm(m, m)))

    def to_config(self) -> dict[str, Any]:
        """Return type and options as JSON values. Implement it to save the manifold."""
        raise UnsupportedError(f"to_config: {type(self).__name__} has none", argument="to_config")

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Self:
        """Create a manifold from the options of `to_config`, without the ``type``."""
        return cls(**options)

    def random(self, rng: np.random.Generator | int, shape: object) -> Any:
        """Random points: `expmap0` of standard normal vectors; the last entry of `shape` is D."""
        return self.expmap0(as_rng(rng).standard_normal(as_shape(shape)))


class _GradientSteps:
    """A user's manifold as a space for `_mean.frechet_mean`, with gradient steps."""

    def __init__(self, manifold: ManifoldBase, points: Array, weights: Array) -> None:
        self.points, self.weights = points, weights
        self.move, self.norm, self.resolution = manifold.expmap, manifold.norm, manifold._resolution
        self._logmap = manifold.logmap

    def logs(self, m: Array) -> tuple[Array, Array]:
        logs = np.asarray(self._logmap(m[..., None, :], self.points))
        return logs, np.zeros(logs.shape[:-1])  # only a Hessian needs lengths

    def step(self, m: Array, logs: Array, lengths: Array, gradient: Array) -> Array:
        return gradient


def ask(method: Callable[..., Any], *arrays: Array, **options: object) -> Rule:
    """Call a manifold's method and return its result and pullback; without a gradient rule, the pullback raises."""
    if hasattr(method, "vjp_rule"):
        out, pull = vjp(method, *arrays, **options)
        return out, pull

    def pullback(g: Array) -> tuple[Array, ...]:
        return vjp(method, *arrays, **options)[1](g)  # raises, and names the method

    return method(*arrays, **options), pullback


def as_shape(shape: object) -> tuple[int, ...]:
    """Return a shape with at least one axis and no axis of length zero."""
    sizes = [shape] if isinstance(shape, Integral) else as_list(shape, "shape", "whole numbers")
    if not sizes:
        raise DimensionMismatchError.of("shape", "at least 1 axes", 0, got="()")
    found = tuple(as_int(n, "shape", minimum=1) for n in sizes)
    check_size(found, "shape")
    return found


def check_points(named: dict[str, Any], dim: int | None = None) -> list[Array]:
    """Return arrays (..., D) that have the same D (`dim`, if given) and broadcast."""
    arrays = as_floats(named, *named.values())
    for name, x in zip(named, arrays, strict=True):
        check_ndim(x, name, 1)
        check_nonempty(x, name)
        check_length(x, name, -1, arrays[0].shape[-1] if dim is None else dim)
    broadcast_shapes(" and ".join(named), *(x.shape for x in arrays))
    return arrays


def check_weighted(points: ArrayLike, weights: ArrayLike) -> tuple[Array, Array]:
    """Return points (..., N, D) and weights (..., N) >= 0 whose leading axes broadcast."""
    points = as_float(points, "points")
    weights = as_float(weights, "weights", beside=points.dtype)
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

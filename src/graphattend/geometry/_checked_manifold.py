"""The public methods of the built-in manifolds, which check the input and round the results of the formulas."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from .._arguments import TypedArguments
from .._float64_fallback import silence
from .._validate import (
    ArrayLike,
    all_finite,
    as_float,
    as_floats,
    as_int,
    as_number,
    as_rng,
    broadcast_shapes,
    check_length,
    check_ndim,
    check_nonempty,
)
from .._vjp import WithPullback, unbroadcast, with_vjp
from ..errors import DimensionMismatchError, NumericalInstabilityError
from ._manifold import ManifoldBase, Rule, as_shape, check_points, check_weighted
from ._mean import MAX_ITERATIONS, TOLERANCE, scale_free
from ._stable_math import Array, dot


def _check_range(results: tuple[Array, ...], inputs: list[Array], argument: str) -> None:
    """Raise if the results of finite inputs are not finite; NaN and infinity in the inputs are allowed."""
    if all(all_finite(np.asarray(a)) for a in results) or not all(all_finite(a) for a in inputs):
        return
    raise NumericalInstabilityError.of(
        argument,
        "a finite result",
        "overflow",
        text="a result that can be represented",
        got="an overflow: the numbers are too large",
    )


def _itself(g: Array) -> tuple[Array, ...]:
    return (g,)


class CheckedManifold(ManifoldBase, metaclass=TypedArguments):
    """Base of the built-in manifolds: checks the input once, computes in float64 and rounds to the input's dtype.

    Subclasses implement the hooks below for float64 arrays, without checks. A `Rule` is the value and its pullback.
    """

    curvature: float
    #: Whether `_pairs` allocates an array (..., M, N, D).
    _pairs_by_difference: ClassVar[bool] = True
    _least_dim: ClassVar[int] = 1
    #: Euclidean length of the tangent vectors at the origin of Riemannian length 1, for curvature ±1.
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

    def _rows(self, aggregation: str, points: Array, weights: Array) -> Rule:
        """Compute one mean per row of weights, (..., N, D) and (..., M, N) -> (..., M, D)."""
        shared = points[..., None, :, :]
        if aggregation == "midpoint":
            out, pull = self._middle(shared, weights)
        else:
            out, pull = self._frechet(shared, weights, TOLERANCE, MAX_ITERATIONS)

        def pullback(g: Array) -> tuple[Array, Array]:
            by_points, by_weights = pull(g)
            return unbroadcast(by_points, shared.shape)[..., 0, :, :], by_weights

        return out, pullback

    def _move(self, x: Array, y: Array, v: Array) -> Array:
        raise NotImplementedError

    def _metric(self, x: Array, u: Array, v: Array) -> Array:
        return dot(*np.broadcast_arrays(u, v))

    def _onto(self, x: Array, dtype: np.dtype[Any]) -> Rule:
        """Project any vector onto the manifold, so that it stays there when rounded to `dtype`."""
        return x, _itself

    def _admit(self, x: Array, dtype: np.dtype[Any]) -> Rule:
        """Project a point argument of `dtype`, which may lie off the manifold."""
        return x, _itself

    def _settle(self, x: Array, dtype: np.dtype[Any]) -> Rule:
        """Move a resulting point so that it stays on the manifold when rounded to `dtype`."""
        return x, _itself

    def _exp0(self, v: Array) -> Rule:
        out, pull = self._exp(self.origin(v.shape[-1]), v)
        return out, lambda g: pull(g)[1:]

    def _log0(self, y: Array) -> Rule:
        out, pull = self._log(self.origin(y.shape[-1]), y)
        return out, lambda g: pull(g)[1:]

    # Unchecked methods: hooks applied to arrays of the caller's dtype.
    def _rounded(self, hook: Callable[..., Rule], *arrays: Array, is_point: bool, admitted: int = 0) -> Rule:
        """Run `hook` in float64 and round its result; with `is_point`, the rounded result is on the manifold.

        The first `admitted` arrays are points, which may lie off the manifold.
        """
        dtype = arrays[0].dtype
        for x in arrays:
            if x.dtype != dtype:
                dtype = np.dtype(np.float64)
        inner = [x.astype(np.float64, copy=False) for x in arrays]
        with silence():
            backs = []
            for i in range(admitted):
                inner[i], back = self._admit(inner[i], arrays[i].dtype)
                backs.append(back)
            out, pull = hook(*inner)
            out, pull_settled = self._settle(out, dtype) if is_point else (out, _itself)
            result = np.asarray(out, dtype)

        def pullback(g: Array) -> tuple[Array, ...]:
            with silence():
                gradients = list(pull(pull_settled(g.astype(np.float64, copy=False))[0]))
                for i, back in enumerate(backs):
                    gradients[i] = back(gradients[i])[0]
                return tuple(
                    unbroadcast(np.asarray(gx), x.shape).astype(x.dtype, copy=False)
                    for gx, x in zip(gradients, arrays, strict=True)
                )

        return result, pullback

    # All public methods call this.
    def _through(self, hook: Callable[..., Rule], arrays: list[Array], points: int, *, is_point: bool) -> Rule:
        """Call `_rounded` and check its results; the first `points` arrays are points, maybe off the manifold."""
        result, pull = self._rounded(hook, *arrays, is_point=is_point, admitted=points)
        _check_range((result,), arrays, "points")

        def pullback(g: np.ndarray) -> tuple[Array, ...]:
            g = as_float(g, "grad_output", beside=np.dtype(np.float64))
            broadcast_shapes("grad_output", g.shape, result.shape)
            gradients = pull(np.broadcast_to(g, result.shape))
            _check_range(gradients, [*arrays, g], "grad_output")
            return gradients

        return result[()], pullback  # a single distance is a NumPy scalar

    def _points(self, **named: object) -> list[Array]:
        arrays = check_points(named)
        self._check_dim(arrays[0].shape[-1], next(iter(named)))
        return arrays

    def _check_dim(self, dim: int, argument: str) -> None:
        if dim < self._least_dim:
            raise DimensionMismatchError.of(
                argument, self._least_dim, dim, text=f"at least {self._least_dim} coordinates"
            )

    @with_vjp
    def dist(self, x: ArrayLike, y: ArrayLike) -> WithPullback[Array]:
        """Geodesic distance.

        Args:
            x: Points (..., D).
            y: Points (..., D); leading axes broadcast.

        Returns:
            Distances (...). Relative error at most 1e-12 in float64 for points up to 1 - 1e-9 of the radius.

        Raises:
            DimensionMismatchError: The last axes differ, or leading axes do not broadcast.
        """
        return self._through(self._dist, self._points(x=x, y=y), 2, is_point=False)

    def _pairs(self, x: Array, y: Array) -> Rule:
        """Compute pairwise distances; override it if a matrix product can be used."""
        out, pull = self._dist(x[..., :, None, :], y[..., None, :, :])

        def pullback(g: Array) -> tuple[Array, ...]:
            gx, gy = (unbroadcast(h, (*h.shape[:-3], *tail)) for h, tail in zip(pull(g), tails, strict=True))
            return gx[..., 0, :], gy[..., 0, :, :]

        tails = ((x.shape[-2], 1, x.shape[-1]), (1, *y.shape[-2:]))
        return out, pullback

    @with_vjp
    def pairwise(self, x: ArrayLike, y: ArrayLike) -> WithPullback[Array]:
        """Pairwise distances.

        Args:
            x: Points (..., M, D).
            y: Points (..., N, D); leading axes broadcast.

        Returns:
            Distances (..., M, N), as accurate as those of `dist`.
        """
        x, y = as_floats(("x", "y"), x, y)
        check_ndim(x, "x", 2)
        check_ndim(y, "y", 2)
        check_nonempty(x, "x")
        check_nonempty(y, "y")
        check_length(y, "y", -1, x.shape[-1])
        broadcast_shapes("x and y", x.shape[:-2], y.shape[:-2])
        self._check_dim(x.shape[-1], "x")
        return self._through(self._pairs, [x, y], 2, is_point=False)

    @with_vjp
    def expmap(self, x: ArrayLike, v: ArrayLike) -> WithPullback[Array]:
        """Exponential map: the point at time 1 of the geodesic from x (..., D) with velocity v (..., D)."""
        return self._through(self._exp, self._points(x=x, v=v), 1, is_point=True)

    @with_vjp
    def logmap(self, x: ArrayLike, y: ArrayLike) -> WithPullback[Array]:
        """Logarithmic map: the velocity at x (..., D) of the geodesic that reaches y (..., D) at time 1."""
        return self._through(self._log, self._points(x=x, y=y), 2, is_point=False)

    @with_vjp
    def expmap0(self, v: ArrayLike) -> WithPullback[Array]:
        """Exponential map at the origin, (..., D) -> (..., D)."""
        return self._through(self._exp0, self._points(v=v), 0, is_point=True)

    @with_vjp
    def logmap0(self, y: ArrayLike) -> WithPullback[Array]:
        """Logarithmic map at the origin, (..., D) -> (..., D)."""
        return self._through(self._log0, self._points(y=y), 1, is_point=False)

    @with_vjp
    def project(self, x: ArrayLike) -> WithPullback[Array]:
        """Project vectors (..., D) onto the manifold; points on it are unchanged."""
        arrays = self._points(x=x)
        return self._through(lambda p: self._onto(p, arrays[0].dtype), arrays, 0, is_point=False)

    def transport(self, x: ArrayLike, y: ArrayLike, v: ArrayLike) -> Array:
        """Parallel transport of tangent vectors v (..., D) from x to y (..., D) along the geodesic."""
        arrays = self._points(x=x, y=y, v=v)
        return self._plain(lambda p, q, u: self._move(p, q, u), arrays, 2)

    def inner(self, x: ArrayLike, u: ArrayLike, v: ArrayLike) -> Array:
        """Riemannian inner product of tangent vectors u and v at x, (..., D) -> (...)."""
        return self._plain(self._metric, self._points(x=x, u=u, v=v), 1)

    def norm(self, x: ArrayLike, v: ArrayLike) -> Array:
        """Riemannian length of the tangent vector v at x, (..., D) -> (...)."""
        arrays = self._points(x=x, v=v)
        return self._plain(lambda p, u: np.sqrt(np.maximum(self._metric(p, u, u), 0.0)), arrays, 1)

    def project_tangent(self, x: ArrayLike, v: ArrayLike) -> Array:
        """Project v (..., D) onto the tangent space at x (..., D)."""
        return self._plain(self._tangent, self._points(x=x, v=v), 1)

    def egrad2rgrad(self, x: ArrayLike, g: np.ndarray) -> Array:
        """Riemannian gradient from the Euclidean gradient g (..., D) at x (..., D)."""
        return self._plain(self._raise, self._points(x=x, g=g), 1)

    def _tangent(self, x: Array, v: Array) -> Array:
        return np.asarray(v + np.zeros_like(x))

    def _raise(self, x: Array, g: Array) -> Array:
        """Convert a Euclidean gradient to a tangent vector by the inverse of the metric."""
        return self._tangent(x, g)

    def _plain(self, hook: Callable[..., Array], arrays: list[Array], points: int) -> Array:
        return self._through(lambda *xs: (hook(*xs), _itself), arrays, points, is_point=False)[0]

    def _weighted(self, points: ArrayLike, weights: ArrayLike) -> list[Array]:
        checked = check_weighted(points, weights)
        self._check_dim(checked[0].shape[-1], "points")
        return list(checked)

    @with_vjp
    def midpoint(self, points: ArrayLike, weights: ArrayLike) -> WithPullback[Array]:
        """Weighted midpoint in closed form.

        Args:
            points: (..., N, D).
            weights: (..., N) >= 0; only their ratios matter. Leading axes broadcast with those of `points`.

        Returns:
            Midpoints (..., D); the origin if all weights are zero.

        Raises:
            InvalidConfigError: A weight is negative.
        """
        return self._through(scale_free(self._middle), self._weighted(points, weights), 1, is_point=True)

    @with_vjp
    def frechet_mean(
        self,
        points: ArrayLike,
        weights: ArrayLike,
        *,
        tolerance: float = TOLERANCE,
        max_iterations: int = MAX_ITERATIONS,
    ) -> WithPullback[Array]:
        """Weighted Fréchet mean: the point m that minimises Σ w d(m, x)^2.

        Args:
            points: (..., N, D).
            weights: (..., N) >= 0; only their ratios matter. Leading axes broadcast with those of `points`.
            tolerance: The iteration ends when the Riemannian length of a step is at most this, plus the rounding
                error of the coordinates (near the boundary of the ball, 1e-16 times the conformal factor).
            max_iterations: Maximum number of Newton steps.

        Returns:
            Means (..., D); the origin if all weights are zero.

        Raises:
            NumericalInstabilityError: The iteration did not converge.
            InvalidConfigError: A weight is negative.
        """
        tolerance = as_number(tolerance, "tolerance", above=0.0)
        max_iterations = as_int(max_iterations, "max_iterations", minimum=1)

        def hook(p: Array, w: Array) -> Rule:
            return self._frechet(p, w, tolerance, max_iterations)

        return self._through(scale_free(hook), self._weighted(points, weights), 1, is_point=True)

    def random(self, rng: np.random.Generator | int | None, shape: object) -> Array:
        """Random points (float64) around the origin.

        Args:
            rng: A `numpy.random.Generator` or a seed.
            shape: Shape of the result; its last entry is D.

        Returns:
            Points at a distance of about one radius of curvature (flat space: 1) from the origin.
        """
        sizes = as_shape(shape)
        self._check_dim(sizes[-1], "shape")
        scale = self._spread / math.sqrt(sizes[-1] * abs(self.curvature or 1.0))
        return self.expmap0(scale * as_rng(rng).standard_normal(sizes))

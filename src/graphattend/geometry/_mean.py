"""The Fréchet mean: Newton's method on the sum of squared distances, and its implicit derivative."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from ..errors import NumericalInstabilityError
from ._stable_math import Array, balance, column, dot, nonzero, norm


def scale_free(rule: Callable[..., tuple[Array, Any]]) -> Callable[..., tuple[Array, Any]]:
    """Decorator that scales the weights of a mean ``rule(points, weights, ...)`` so that products do not overflow.

    The mean of s·w equals that of w, and its gradient with respect to w is s times the gradient with respect to s·w.
    Scaling by a power of two is exact.
    """

    @functools.wraps(rule)
    def scaled(points: Array, weights: Array, *arguments: object, **options: object) -> tuple[Array, Any]:
        largest = weights.max(axis=-1)
        if largest.min() > 1e-100 and largest.max() < 1e100:
            return rule(points, weights, *arguments, **options)
        shares, factor = balance(weights, largest[..., None])
        out, pull = rule(points, shares, *arguments, **options)

        def pullback(g: Array) -> tuple[Array, ...]:
            by_points, by_weights, *rest = pull(g)
            return by_points, by_weights * factor, *rest

        return out, pullback

    return scaled


def normalized(weights: Array) -> tuple[Array, Array]:
    """Return weights with sum 1 along the last axis (uniform if all are zero), and whether all are zero."""
    weights, _ = balance(weights, weights.max(axis=-1, keepdims=True))
    total = weights.sum(axis=-1, keepdims=True)
    empty = total == 0.0
    return np.where(empty, 1.0 / weights.shape[-1], weights / np.where(empty, 1.0, total)), empty[..., 0]


def hyperbolic_stretch(d: Array, c: float) -> Array:
    """The stretch √c d coth(√c d) of hyperbolic space; see `hessian_parts`."""
    angle = math.sqrt(c) * d
    return np.where(angle == 0.0, 1.0, angle / np.tanh(nonzero(angle)))


def hessian(logs: Array, across: Array, bend: Array) -> Array:
    """Return the matrix (..., D, D) that `hessian_parts` describes."""
    matrix = (np.swapaxes(logs, -1, -2) * bend[..., None, :]) @ logs
    return np.asarray(matrix + across[..., None, None] * np.eye(logs.shape[-1]))


def hessian_parts(lengths: Array, h: Array, weights: Array) -> tuple[Array, Array]:
    """Return ``across`` and ``bend`` of the Hessian of Σ w d^2/2, which is across·I + Σ bend · log logᵀ.

    The metric has to be a multiple of the Euclidean one. The Hessian is Σ w (h I + (1 - h) u uᵀ) with u = log/|log|.
    The stretch h is the second derivative of d^2/2 across the geodesic: d coth d or d cot d; along it, it is 1.
    Lengths |log|, h and weights (..., N) -> (...) and (..., N).
    """
    squares = lengths * lengths
    return (weights * h).sum(axis=-1), weights * (1.0 - h) / (squares + (squares == 0.0))


#: Default limits of the iteration for a mean.
TOLERANCE = 1e-12
MAX_ITERATIONS = 100
#: Up to this number of coordinates the Hessian is formed and solved; beyond, its N·D² multiply-adds would cost most.
DIRECT_MAX_DIM = 16


class NewtonSpace:
    """Base of spaces for `frechet_mean` whose metric is a multiple of the Euclidean one.

    Args:
        points: (..., N, D).
        weights: (..., N), with sum 1.
    """

    def __init__(self, points: Array, weights: Array) -> None:
        self.points, self.weights = points, weights

    def logs(self, m: Array) -> tuple[Array, Array]:
        """Logarithmic map at m (..., D) of the points, (..., N, D), and the Euclidean lengths (..., N)."""
        raise NotImplementedError

    def move(self, m: Array, v: Array) -> Array:
        """Exponential map at m of v (..., D)."""
        raise NotImplementedError

    def resolution(self, m: Array) -> Array | float:
        """Riemannian length of the rounding error of the coordinates of m (..., D)."""
        raise NotImplementedError

    def stretch(self, m: Array, lengths: Array) -> Array:
        """The stretch of `hessian_parts` from the Euclidean lengths (..., N) of vectors at m."""
        raise NotImplementedError

    def norm(self, m: Array, v: Array) -> Array:
        """Riemannian length of v (..., D) at m (..., D)."""
        return np.sqrt(np.einsum("...d,...d->...", v, v))

    def step(self, m: Array, logs: Array, lengths: Array, gradient: Array) -> Array:
        """Return the inverse of the Hessian times the gradient, as precisely as Newton's method needs."""
        across, bend = hessian_parts(lengths, self.stretch(m, lengths), self.weights)
        if logs.shape[-1] <= DIRECT_MAX_DIM:
            return np.asarray(np.linalg.solve(hessian(logs, across, bend), gradient[..., None])[..., 0])
        turned = np.swapaxes(logs, -1, -2)

        def times(z: Array) -> Array:
            return across[..., None] * z + (turned @ (bend[..., None] * (logs @ z[..., None])))[..., 0]

        return conjugate_gradients(times, gradient, across[..., None])


def conjugate_gradients(times: Callable[[Array], Array], vector: Array, scale: Array) -> Array:
    """Solve ``times(z) = vector`` (..., D) for a positive definite matrix near ``scale``·I, to 1e-6 of the length."""
    z = vector / scale
    residual = vector - times(z)
    direction, size = residual, dot(residual, residual)
    enough = 1e-12 * dot(vector, vector)
    for _ in range(vector.shape[-1]):
        if np.all(size <= enough):
            break
        image = times(direction)
        rate = column(size / nonzero(dot(direction, image)))
        z, residual = z + rate * direction, residual - rate * image
        before, size = size, dot(residual, residual)
        direction = residual + column(size / nonzero(before)) * direction
    return z


class Space(Protocol):
    """Interface of a manifold for `frechet_mean`; see `NewtonSpace`."""

    points: Array
    weights: Array

    def logs(self, m: Array) -> tuple[Array, Array]: ...

    def move(self, m: Array, v: Array) -> Array: ...

    def norm(self, m: Array, v: Array) -> Array: ...

    def resolution(self, m: Array) -> Array | float: ...

    def step(self, m: Array, logs: Array, lengths: Array, gradient: Array) -> Array: ...


def frechet_mean(space: Space, start: Array, *, tolerance: float, max_iterations: int) -> Array:
    """Minimise Σ w d(m, x)^2 over m, all rows at once.

    Args:
        space: Points, weights and geometry.
        start: Initial guess (..., D).
        tolerance: Maximum Riemannian length of the last step.
        max_iterations: Maximum number of steps.

    Returns:
        Means (..., D).

    Raises:
        NumericalInstabilityError: The iteration did not converge.
    """
    weights = space.weights[..., None, :]
    m = start
    logs, lengths = space.logs(m)
    gradient = (weights @ logs)[..., 0, :]
    size = space.norm(m, gradient)
    length = np.ones(size.shape)
    longest = np.zeros(size.shape)
    for _ in range(max_iterations + 1):
        step = space.step(m, logs, lengths, gradient)
        longest = space.norm(m, step)
        limit = tolerance + space.resolution(m)
        if np.all((longest <= limit) | np.isnan(longest)):  # rows with NaN count as converged
            return m
        trial = space.move(m, length[..., None] * step)
        trial_logs, trial_lengths = space.logs(trial)
        trial_gradient = (weights @ trial_logs)[..., 0, :]
        trial_size = space.norm(trial, trial_gradient)
        better = (trial_size < size) & (longest > limit)
        m = np.where(better[..., None], trial, m)
        logs = np.where(better[..., None, None], trial_logs, logs)
        lengths = np.where(better[..., None], trial_lengths, lengths)
        gradient = np.where(better[..., None], trial_gradient, gradient)
        size = np.where(better, trial_size, size)
        length = np.where(better, np.minimum(1.0, 2.0 * length), 0.5 * length)
    worst = float(np.max(longest))
    raise NumericalInstabilityError(
        f"frechet_mean: expected a step <= {tolerance:g} within {max_iterations} iterations, the last was {worst:.3g}",
        argument="max_iterations",
        expected=f"a last step <= {tolerance:g}",
        actual=worst,
    )


def adjoint(logs: Array, h: Array, weights: Array, total: Array, g: Array) -> tuple[Array, Array]:
    """Implicit derivative of the mean: cotangents of the logarithms and gradients of the weights.

    At the mean, Σ w log_m(x) = 0. Its derivative with respect to m is minus the Hessian H. With z = H⁻¹ g, the
    cotangent of log_m(x_i) is w_i z, and the gradient of the unnormalised weight i is log_i · z / `total`.

    Returns:
        ``(cotangents (..., N, D), weight gradients (..., N))``.
    """
    across, bend = hessian_parts(norm(logs), h, weights)
    z = np.linalg.solve(hessian(logs, across, bend), g[..., None])[..., None, :, 0]
    return column(weights) * z, dot(logs, z) / nonzero(total)

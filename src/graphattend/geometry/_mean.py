"""The Fréchet mean: Newton's method on the sum of squared distances, and its implicit derivative."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import NumericalInstabilityError
from ._numeric import Array, balance, column, dot, nonzero, norm

#: d -> second derivative of d^2/2 across the geodesic (along it, it is one): d coth d, d cot d.
Stretch = Callable[[Array], Array]


def balanced(weights: Array) -> tuple[Array, Array]:
    """Weights times a power of two per row, which brings the largest to about one, and these factors (..., 1)."""
    return balance(weights, weights.max(axis=-1, keepdims=True))


def scale_free(rule: Callable[..., tuple[Array, Any]]) -> Callable[..., tuple[Array, Any]]:
    """A mean ``rule(points, weights, ...)`` with its pullback, for weights of any scale.

    Products of very small or large weights would leave the range of float64. A mean is the same for s·w, and its
    gradient by w is s times the one by s·w; a power of two costs no digit.
    """

    @functools.wraps(rule)
    def scaled(points: Array, weights: Array, *arguments: Any, **options: Any) -> tuple[Array, Any]:
        largest = weights.max(axis=-1)
        if largest.min() > 1e-100 and largest.max() < 1e100:
            return rule(points, weights, *arguments, **options)
        shares, factor = balanced(weights)
        out, pull = rule(points, shares, *arguments, **options)

        def pullback(g: Array) -> tuple[Array, ...]:
            by_points, by_weights, *rest = pull(g)
            return by_points, by_weights * factor, *rest

        return out, pullback

    return scaled


def normalized(weights: Array) -> tuple[Array, Array]:
    """Weights with sum one along the last axis (uniform where all are zero), and where all are zero."""
    weights, _ = balanced(weights)
    total = weights.sum(axis=-1, keepdims=True)
    empty = total == 0.0
    return np.where(empty, 1.0 / weights.shape[-1], weights / np.where(empty, 1.0, total)), empty[..., 0]


def hyperbolic_stretch(c: float) -> Stretch:
    """D coth d in hyperbolic space of curvature -c."""

    def stretch(d: Array) -> Array:
        angle = math.sqrt(c) * d
        return np.where(angle == 0.0, 1.0, angle / np.tanh(nonzero(angle)))

    return stretch


def hessian(logs: Array, distances: Array, weights: Array, stretch: Stretch) -> Array:
    """Σ w (h I + (1 - h) u uᵀ) with u = log/|log|, h = stretch(d): (..., N, D) -> (..., D, D).

    It is the Hessian of Σ w d^2/2 in the tangent space where the metric is a multiple of the Euclidean one.
    """
    h = stretch(distances)
    u = logs / column(nonzero(norm(logs)))
    matrix = np.swapaxes(u * column(weights * (1.0 - h)), -1, -2) @ u
    across = (weights * h).sum(axis=-1)
    return np.asarray(matrix + across[..., None, None] * np.eye(logs.shape[-1]))


#: Up to this many coordinates the Hessian is formed and solved; beyond, its N·D² multiply-adds cost the most.
DIRECT_MAX_DIM = 16


def newton_step(logs: Array, distances: Array, weights: Array, stretch: Stretch, gradient: Array) -> Array:
    """The inverse of `hessian` times the gradient, to the precision that Newton's method needs."""
    if logs.shape[-1] <= DIRECT_MAX_DIM:
        return solve(hessian(logs, distances, weights, stretch), gradient)
    h = stretch(distances)
    u = logs / column(nonzero(norm(logs)))
    across, bend = (weights * h).sum(axis=-1)[..., None], column(weights * (1.0 - h))
    u_t = np.swapaxes(u, -1, -2)

    def times(z: Array) -> Array:
        return np.asarray(across * z + (u_t @ (bend * (u @ column(z))))[..., 0])

    return conjugate_gradients(times, gradient, across)


def conjugate_gradients(times: Callable[[Array], Array], vector: Array, scale: Array) -> Array:
    """Solve ``times(z) = vector`` (..., D) for a positive matrix near ``scale``·I, to 1e-6 of the vector's length."""
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


def solve(matrix: Array, vector: Array) -> Array:
    """Batched linear systems, (..., D, D) and (..., D) -> (..., D)."""
    return np.asarray(np.linalg.solve(matrix, column(vector))[..., 0])


def frechet_mean(
    manifold: Any,
    points: Array,
    weights: Array,
    start: Array,
    *,
    tolerance: float,
    max_iterations: int,
    stretch: Stretch | None = None,
) -> Array:
    """Minimise Σ w d(m, x)^2 from `start`.

    Args:
        manifold: Gives ``expmap``, ``logmap``, ``norm`` and, as ``_resolution(m)``, the Riemannian length that
            rounding of the coordinates of m amounts to.
        points: (..., N, D).
        weights: (..., N), sum one.
        start: First guess (..., D).
        tolerance: Riemannian length of the last step.
        max_iterations: Limit on the number of steps.
        stretch: Curvature's part of the Hessian; without it, plain gradient steps.

    Returns:
        Means (..., D).

    Raises:
        NumericalInstabilityError: It did not converge.
    """

    def look(m: Array) -> tuple[Array, Array, Array]:
        logs = manifold.logmap(m[..., None, :], points)
        gradient = (column(weights) * logs).sum(axis=-2)
        return logs, gradient, manifold.norm(m, gradient)

    m = start
    logs, gradient, size = look(m)
    length = np.ones(size.shape)
    longest = np.zeros(size.shape)
    for _ in range(max_iterations + 1):
        step = gradient
        if stretch is not None:
            distances = manifold.norm(m[..., None, :], logs)
            step = newton_step(logs, distances, weights, stretch, gradient)
        longest = manifold.norm(m, step)
        limit = tolerance + manifold._resolution(m)
        if np.all((longest <= limit) | np.isnan(longest)):  # NaN passes, and does not hold up the others
            return m
        trial = manifold.expmap(m, column(length) * step)
        trial_logs, trial_gradient, trial_size = look(trial)
        better = (trial_size < size) & (longest > limit)
        m = np.where(column(better), trial, m)
        logs = np.where(better[..., None, None], trial_logs, logs)
        gradient = np.where(column(better), trial_gradient, gradient)
        size = np.where(better, trial_size, size)
        length = np.where(better, np.minimum(1.0, 2.0 * length), 0.5 * length)
    worst = float(np.max(longest))
    raise NumericalInstabilityError(
        f"frechet_mean: expected a step <= {tolerance:g} within {max_iterations} iterations, the last was {worst:.3g}",
        argument="max_iterations",
        expected=f"a last step <= {tolerance:g}",
        actual=worst,
    )


def adjoint(
    logs: Array, distances: Array, weights: Array, total: Array, stretch: Stretch, g: Array
) -> tuple[Array, Array]:
    """Implicit derivative of the mean: cotangents of the logarithms and gradients of the weights.

    At the mean Σ w log_m(x) = 0, and its derivative with respect to m is minus the Hessian H. With z = H⁻¹ g the
    cotangent of log_m(x_i) is w_i z and the gradient of the raw weight i is log_i · z / Σ raw weights.

    Returns:
        ``(cotangents (..., N, D), weight gradients (..., N))``.
    """
    z = solve(hessian(logs, distances, weights, stretch), g)[..., None, :]
    return column(weights) * z, dot(logs, z) / nonzero(total)

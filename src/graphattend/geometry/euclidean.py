"""Euclidean space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ._checked_manifold import CheckedManifold
from ._manifold import Rule
from ._mean import normalized
from ._registry import MANIFOLDS
from ._stable_math import Array, column, dot, nonzero, norm, pairwise_squares


@MANIFOLDS.register("euclidean")
@dataclass(frozen=True)
class Euclidean(CheckedManifold):
    """Flat space R^D.

    Example:
        >>> import numpy as np
        >>> from graphattend.geometry import Euclidean
        >>> float(Euclidean().dist(np.array([0.0, 0.0]), np.array([3.0, 4.0])))
        5.0
    """

    curvature: ClassVar[float] = 0.0  # type: ignore[misc]
    _pairs_by_difference: ClassVar[bool] = False

    def _dist(self, x: Array, y: Array) -> Rule:
        w = y - x
        d = norm(w)

        def pullback(g: Array) -> tuple[Array, ...]:
            gy = column(np.where(d == 0.0, 0.0, g / nonzero(d))) * w
            return -gy, gy

        return d, pullback

    def _pairs(self, x: Array, y: Array) -> Rule:
        d = np.sqrt(pairwise_squares(x, y))

        def pullback(g: Array) -> tuple[Array, ...]:
            share = np.where(d == 0.0, 0.0, g / nonzero(d))
            gx = column(share.sum(axis=-1)) * x - share @ y
            gy = column(share.sum(axis=-2)) * y - np.swapaxes(share, -1, -2) @ x
            return gx, gy

        return d, pullback

    def _exp(self, x: Array, v: Array) -> Rule:
        return x + v, lambda g: (g, g)

    def _log(self, x: Array, y: Array) -> Rule:
        return y - x, lambda g: (-g, g)

    def _move(self, x: Array, y: Array, v: Array) -> Array:
        return np.asarray(v + np.zeros_like(x) + np.zeros_like(y))

    def _middle(self, points: Array, weights: Array) -> Rule:
        shares, empty = normalized(weights)
        mean = np.where(column(empty), 0.0, (column(shares) * points).sum(axis=-2))

        def pullback(g: Array) -> tuple[Array, ...]:
            g = np.where(column(empty), 0.0, g)[..., None, :]
            total = nonzero(weights.sum(axis=-1, keepdims=True))
            return column(shares) * g, dot(g, points - mean[..., None, :]) / total

        return mean, pullback

    def _rows(self, aggregation: str, points: Array, weights: Array) -> Rule:
        shares, empty = normalized(weights)
        shares = np.where(column(empty), 0.0, shares)
        mean = shares @ points

        def pullback(g: Array) -> tuple[Array, Array]:
            total = nonzero(weights.sum(axis=-1, keepdims=True))
            by_weights = (g @ np.swapaxes(points, -1, -2) - column(dot(g, mean))) / total
            return np.swapaxes(shares, -1, -2) @ g, np.where(column(empty), 0.0, by_weights)

        return mean, pullback

    def _frechet(self, points: Array, weights: Array, tolerance: float, max_iterations: int) -> Rule:
        return self._middle(points, weights)

    def to_config(self) -> dict[str, Any]:
        """``{"type": "euclidean"}``."""
        return {"type": "euclidean"}

"""Hostile numbers: subnormal, huge, equal, far apart, almost on a boundary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")

F4, F8 = np.dtype(np.float32), np.dtype(np.float64)
SCALES = {
    F4: (1e-45, 1e-38, 1e-20, 1e-3, 1.0, 1.0, 30.0, 1e2, 1e4, 1e18, 3e37),
    F8: (5e-324, 1e-310, 1e-150, 1e-3, 1.0, 1.0, 30.0, 1e2, 1e4, 1e150, 1e300),
}
LIMITS = {dtype: float(np.finfo(dtype).max) for dtype in SCALES}
#: Norms of rows for points in the unit ball.
NORMS = (0.999, 1 - 1e-6, 1 - 1e-9, 1 - 1e-12, 1.0, 1 + 1e-9, 1.001, 0.5)
OFFSET = -5e11


def _scaled(d: Draw, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    return d.rng.standard_normal(shape) * d.pick(SCALES[dtype])


def _equal_rows(d: Draw, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    return np.broadcast_to(_scaled(d, shape[-1:], dtype), shape)


def _constant(d: Draw, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    return np.full(shape, d.pick((0.0, -0.0, 1.0, -1.0, *SCALES[dtype][-3:])))


def _spikes(d: Draw, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    return np.where(d.rng.random(shape) < 0.3, d.pick((1e4, -1e4, *SCALES[dtype])), d.pick((0.0, 1.0)))


def _near_norm(d: Draw, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    x = d.rng.standard_normal(shape)
    return x / np.maximum(np.sqrt((x * x).sum(axis=-1, keepdims=True)), 1e-300) * d.pick(NORMS)


def _far_off(d: Draw, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    return d.rng.standard_normal(shape) + OFFSET


def _mixed(d: Draw, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    return d.rng.standard_normal(shape) * 10.0 ** d.rng.integers(-20, d.pick((1, 4, 18)), shape)


def _small(d: Draw, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    return d.rng.standard_normal(shape) * d.pick((0.01, 0.1, 0.3))


PATTERNS = (_scaled, _scaled, _equal_rows, _constant, _spikes, _near_norm, _far_off, _mixed, _small, _small)


class Draw:
    """Random choices from one seed."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self._left: list[float] = []

    def _next(self) -> float:
        """Return a number in [0, 1). Numbers are drawn in blocks, which is ten times as fast as one by one."""
        if not self._left:
            self._left = self.rng.random(32).tolist()
        return self._left.pop()

    def pick(self, options: Sequence[T]) -> T:
        """Return one of the options."""
        return options[int(self._next() * len(options))]

    def chance(self, p: float) -> bool:
        """Return True with probability p."""
        return self._next() < p

    def number(self, stop: int) -> int:
        """Return an integer in 0 … stop - 1."""
        return int(self._next() * stop)

    def dtype(self) -> np.dtype[Any]:
        """float32 or float64."""
        return F4 if self.chance(0.5) else F8

    def array(self, *shape: int, dtype: np.dtype[Any] = F8) -> np.ndarray:
        """Draw hostile, finite numbers, sometimes in an unusual layout."""
        pattern, limit = self.pick(PATTERNS), LIMITS[dtype]
        x = np.minimum(np.maximum(pattern(self, shape, dtype), -limit), limit).astype(dtype)
        layout = self.number(12)
        if layout == 0 and x.ndim:
            return np.repeat(x, 2, axis=-1)[..., ::2]
        if layout == 1 and x.ndim > 1:
            return np.asfortranarray(x)
        if layout == 2:
            x.setflags(write=False)
        return x

    def mask(self, rows: int | None, n: int) -> np.ndarray | None:
        """Draw a mask for (rows, n) pairs or for n keys."""
        kind = self.number(10)
        if kind < 4:
            return None
        shape = (n,) if rows is None or self.chance(0.5) else (rows, n)
        if kind == 4:
            return self.rng.random(shape) < 0.7
        if kind == 5:
            return np.broadcast_to(np.arange(n) == self.number(n), shape)
        if kind == 6:
            return np.zeros(shape, bool)
        if kind == 7:
            return np.full(shape, OFFSET)
        scores = self.rng.standard_normal(shape) * self.pick((1.0, 1e4, 1e150))
        return np.where(self.rng.random(shape) < 0.3, -np.inf, scores)


class Tame(Draw):
    """The same choices with moderate instead of hostile numbers, and no masks."""

    def dtype(self) -> np.dtype[Any]:
        """float64."""
        return F8

    def array(self, *shape: int, dtype: np.dtype[Any] = F8) -> np.ndarray:
        """Draw normally distributed numbers."""
        return self.rng.standard_normal(shape)

    def mask(self, rows: int | None, n: int) -> np.ndarray | None:
        """Return None."""
        return None

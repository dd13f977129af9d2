"""Rotary position encoding for real-valued positions, such as distances in a graph."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .. import simd
from .._float64_fallback import float64_fallback
from .._validate import ArrayLike, as_array, as_bool, as_float, as_number, broadcast_shapes, check_ndim, check_nonempty
from .._vjp import WithPullback, unbroadcast, with_vjp
from ..errors import DimensionMismatchError
from ..simd import numpy_ops


def frequencies(dim: int, base: float) -> np.ndarray:
    """Return the rotation angle (D // 2,) of each pair of coordinates per unit of position, in radians."""
    turns: np.ndarray = base ** (-2.0 * np.arange(dim // 2) / dim)
    return turns


def rotate(
    x: np.ndarray, positions: np.ndarray, base: float, interleaved: bool
) -> tuple[np.ndarray, Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]]:
    """Rotate checked `x (..., D)` by `positions (...)`. The pullback returns both gradients with broadcast shapes."""
    d = x.shape[-1]
    frequency = frequencies(d, base)
    first, second = numpy_ops.pairs(d, interleaved)
    y = simd.rotate(x, positions, frequency, interleaved)

    def pullback(g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        slope = g[..., second] * y[..., first] - g[..., first] * y[..., second]
        return simd.rotate(g, -positions, frequency, interleaved), (slope * frequency).sum(axis=-1)

    return y, pullback


@with_vjp
@float64_fallback
def rotary(
    x: ArrayLike, positions: ArrayLike, *, base: float = 10000.0, interleaved: bool = True
) -> WithPullback[np.ndarray]:
    """Rotate pair i of coordinates by position · base^(-2i/D). Dot products then depend on position differences.

    Args:
        x: (..., D). If D is odd, the last coordinate stays as it is.
        positions: Real numbers, broadcastable to x.shape[:-1]: token indices or distances in a graph.
        base: Ratio of the slowest to the fastest rotation.
        interleaved: Whether pairs are (2i, 2i+1); otherwise they are (i, i + D/2).

    Returns:
        The rotated vectors, with the shape of `x` and the same norms.

    Raises:
        DimensionMismatchError: `positions` does not fit `x`.

    Source:
        Su et al. 2021, "RoFormer: Enhanced Transformer with Rotary Position Embedding", eq. 15 and 34.

    Example:
        >>> import numpy as np, graphattend as ga
        >>> ga.functional.rotary(np.array([1.0, 0.0]), np.pi / 2).round(6)
        array([0., 1.])
    """
    a = as_float(x, "x")
    check_ndim(a, "x", 1)
    check_nonempty(a, "x")
    real = as_array(positions, "positions").dtype.kind == "f"
    at = as_float(positions, "positions", beside=a.dtype)
    base = as_number(base, "base", above=0.0)
    as_bool(interleaved, "interleaved")
    if broadcast_shapes("positions", at.shape, a.shape[:-1]) != a.shape[:-1]:
        raise DimensionMismatchError.of(
            "positions", a.shape[:-1], at.shape, text=f"a shape that broadcasts to {a.shape[:-1]}"
        )
    y, pull = rotate(a, at, base, interleaved)

    def pullback(g: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        gx, gp = pull(np.asarray(g, a.dtype))
        return gx, unbroadcast(gp, at.shape).astype(at.dtype, copy=False) if real else None

    return y, pullback

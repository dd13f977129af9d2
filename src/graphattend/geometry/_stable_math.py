"""Numerically stable functions in float64, along the last axis, without checks."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .._validate import ArrayLike

Array = np.ndarray
#: A function from the cotangent of the output to one gradient per argument.
Pull = Callable[[Array], tuple[Array, ...]]
_SPLITTER = 134217729.0  # 2**27 + 1, Dekker's constant for float64


def dot(x: Array, y: Array) -> Array:
    """Inner product along the last axis, (..., D) and (..., D) -> (...)."""
    return np.asarray(np.einsum("...d,...d->...", x, y))


def balance(x: Array, size: Array) -> tuple[Array, Array]:
    """Return `x` times the power of two that brings `size` >= 0 between 1/2 and 1, and the factors, shaped like `size`.

    The factor is 1 if `size` is zero or not finite. The smallest subnormal numbers stay somewhat below 1/2.
    """
    exponent = np.where(np.isfinite(size), np.frexp(size)[1], 0)
    reach = np.finfo(x.dtype).maxexp
    factor = np.ldexp(x.dtype.type(1), -np.clip(exponent, 1 - reach, reach))
    return x * factor, factor


#: No term of a sum of squares between these bounds was lost to overflow or underflow.
_SAFE_SQUARE = (1e-250, 1e300)


def norm(x: Array) -> Array:
    """Euclidean length along the last axis, (..., D) -> (...), for the whole range of float64."""
    square = np.asarray(np.einsum("...d,...d->...", x, x))
    if x.dtype != np.float64 or not square.size:
        return np.sqrt(square)
    if _SAFE_SQUARE[0] < square.min() and square.max() < _SAFE_SQUARE[1]:
        return np.sqrt(square)
    scaled, factor = balance(x, np.abs(x).max(axis=-1, keepdims=True))
    return np.asarray(np.sqrt(dot(scaled, scaled)) / factor[..., 0])


def nonzero(x: Array) -> Array:
    """Return `x` with zeros replaced by 1, as a divisor where the numerator is zero, too."""
    return np.where(x == 0.0, 1.0, x)


def column(x: ArrayLike) -> Array:
    """Reshape one value per point, (...) -> (..., 1), to scale coordinates."""
    return np.asarray(x)[..., None]


def product_error(x: np.ndarray | float, y: np.ndarray | float, product: np.ndarray | float) -> Any:
    """Return the exact rounding error of `product` = x * y.

    Source: Dekker, "A floating-point technique for extending the available precision" (1971).
    """
    t = _SPLITTER * x
    xh = t - (t - x)
    t = _SPLITTER * y
    yh = t - (t - y)
    xl, yl = x - xh, y - yh
    return ((xh * yh - product) + xh * yl + xl * yh) + xl * yl


def gap(x: Array, c: float) -> Array:
    """Compute 1 - c |x|^2 to nearly full relative precision even if it is tiny, (..., D) -> (...).

    Far from the boundary the plain formula is accurate. Near it, each coordinate is split at two fixed-point grids into
    head, middle and rest. The grids are so coarse that the sums of head² and of head · middle are exact in float64. The
    rest is smaller by 2^-40, so its rounding does not matter (error about 1e-28).
    """
    plain = 1.0 - c * dot(x, x)
    if plain.size and plain.min() > 0.1:
        return plain
    # Heads are multiples of 2^(e-26) with |x| <= 2^e: their squares sum to a multiple of 2^(2e-52) below 2^(2e).
    exponent = math.ceil(-0.5 * math.log2(c))
    head = _on_grid(x, exponent - 26)
    tail = x - head
    middle = _on_grid(tail, exponent - 40)
    heads, cross = dot(head, head), 2.0 * dot(head, middle)
    scaled, bent = c * heads, c * cross
    rest = 2.0 * dot(head, tail - middle) + dot(tail, tail)
    lost = product_error(c, heads, scaled) + product_error(c, cross, bent)
    return np.asarray(((1.0 - scaled) - bent) - (lost + c * rest))


def _on_grid(x: Array, exponent: int) -> Array:
    """Round x to the nearest multiples of 2^exponent; |x| is at most 2^50 such steps."""
    anchor = 1.5 * 2.0 ** (exponent + 52)
    return (x + anchor) - anchor


def perpendicular(v: Array, x: Array) -> tuple[Array, Array]:
    """Split v = beta x + r with r orthogonal to x; r keeps its relative precision even if it is tiny.

    Args:
        v: Vectors (..., D).
        x: Directions (..., D); r = v if x is zero.

    Returns:
        ``(beta (...), r (..., D))``.
    """
    squared = nonzero(dot(x, x))
    beta = dot(v, x) / squared
    along = column(beta) * x
    rest = (v - along) - product_error(column(beta), x, along)
    again = dot(rest, x) / squared  # Gram-Schmidt: twice is enough
    return beta + again, rest - column(again) * x


def arc(tau: Array) -> Array:
    """G(t) = asinh(sqrt(t)) / sqrt(t (1 + t)) for t >= 0; 1 at zero. For t = sinh^2(d/2) it is d / sinh d."""
    root = np.sqrt(nonzero(tau))
    return np.where(tau == 0.0, 1.0, np.arcsinh(root) / (root * np.sqrt(1.0 + tau)))


#: Coefficients (-2)^n n! / (2n + 1)!! of `arc`.
_ARC = [1.0]
for _n in range(1, 15):
    _ARC.append(_ARC[-1] * -2.0 * _n / (2.0 * _n + 1.0))
_ARC_SLOPE = [n * a for n, a in enumerate(_ARC)][1:]


def polynomial(coefficients: list[float], x: Array) -> Array:
    """Evaluate a polynomial by Horner's scheme; the first coefficient is the constant term."""
    total = np.full_like(x, coefficients[-1])
    for a in coefficients[-2::-1]:
        total = total * x + a
    return total


def arc_slope(tau: Array, value: Array) -> Array:
    """Derivative of `arc` (or of its continuation to -1 < t < 0), from its value."""
    near = np.abs(tau) < 0.05
    safe = np.where(near, 1.0, tau)
    far = (1.0 - (1.0 + 2.0 * safe) * value) / (2.0 * safe * (1.0 + safe))
    return np.where(near, polynomial(_ARC_SLOPE, np.where(near, tau, 0.0)), far)


def tanhc(tau: Array) -> Array:
    """tanh(sqrt(t)) / sqrt(t) for t >= 0; 1 at zero."""
    root = np.sqrt(nonzero(tau))
    return np.where(tau == 0.0, 1.0, np.tanh(root) / root)


_TANHC_SLOPE = [-1.0 / 3.0, 4.0 / 15.0, -51.0 / 315.0, 248.0 / 2835.0, -6910.0 / 155925.0]


def tanhc_slope(tau: Array, value: Array) -> Array:
    """Derivative of `tanhc`, from its value."""
    near = tau < 1e-3
    safe = np.where(near, 1.0, tau)
    far = (1.0 - safe * value * value - value) / (2.0 * safe)  # sech^2 = 1 - tanh^2
    return np.where(near, polynomial(_TANHC_SLOPE, np.where(near, tau, 0.0)), far)


def asinh(t: Array) -> Array:
    """Compute the inverse of sinh for 0 <= t < 1e150 to 3e-16 by `np.log`, three times as fast as `np.arcsinh`.

    It is log(1 + z) with z = t + t^2 / (1 + sqrt(1 + t^2)), and log(1 + z) = z log(u) / (u - 1) with u = 1 + z
    rounded.

    Source: Goldberg, "What every computer scientist should know about floating-point arithmetic" (1991), theorem 4.
    """
    square = t * t
    z = t + square / (1.0 + np.sqrt(1.0 + square))
    u = 1.0 + z
    step = u - 1.0
    tiny = step == 0.0
    return np.asarray(np.where(tiny, z, np.log(u) * z / np.where(tiny, 1.0, step)))


_EXCESS = [-1.0 / 3.0, 3.0 / 10.0, -15.0 / 56.0, 35.0 / 144.0, -315.0 / 1408.0, 693.0 / 3328.0]


def asinh_excess(t: Array, quotient: Array, value: Array) -> Array:
    """Compute t / sqrt(1 + t^2) - asinh(t) for t >= 0 from both terms, without cancellation for small t."""
    excess = np.asarray(quotient - value)
    near = t < 0.1
    if near.any():
        small = np.asarray(t)[near]
        square = small * small
        excess[near] = small * square * polynomial(_EXCESS, square)
    return excess


def difference(y: Array, x: Array) -> tuple[Array, Array]:
    """Return the rounded difference y - x and its exact rounding error."""
    w = y - x
    back = w - y
    return w, (y - (w - back)) - (x + back)


def sinhc(theta: Array) -> Array:
    """sinh(t) / t; 1 at zero."""
    safe = nonzero(theta)
    return np.where(theta == 0.0, 1.0, np.sinh(safe) / safe)


def sinc(theta: Array) -> Array:
    """sin(t) / t; 1 at zero."""
    safe = nonzero(theta)
    return np.where(theta == 0.0, 1.0, np.sin(safe) / safe)


def sinc_slope(tau: Array, cosine: Array, quotient: Array) -> Array:
    """Derivative of sinhc(sqrt(tau)) with respect to tau, from cosh and its value (tau < 0: sinc(sqrt(-tau)), cos)."""
    near = np.abs(tau) < 1e-3
    series = polynomial([1.0 / 6.0, 1.0 / 60.0, 1.0 / 1680.0, 1.0 / 90720.0], np.where(near, tau, 0.0))
    return np.where(near, series, (cosine - quotient) / (2.0 * np.where(near, 1.0, tau)))


def pairwise_squares(q: Array, k: Array) -> Array:
    """Compute |q - k|^2 of all pairs, (..., M, D), (..., N, D) -> (..., M, N), to full relative precision.

    The matrix product cancels for close pairs, which are recomputed from their differences.
    """
    qq, kk = column(dot(q, q)), dot(k, k)[..., None, :]
    squares = qq + kk - 2.0 * (q @ np.swapaxes(k, -1, -2))
    close = np.nonzero(squares < (qq + kk) / 128.0)
    if close[0].size:
        qs = np.broadcast_to(q, (*squares.shape[:-2], *q.shape[-2:]))
        ks = np.broadcast_to(k, (*squares.shape[:-2], *k.shape[-2:]))
        for start in range(0, close[0].size, 65536):
            *lead, m, n = (index[start : start + 65536] for index in close)
            w = qs[(*lead, m)] - ks[(*lead, n)]
            squares[(*lead, m, n)] = dot(w, w)
    return np.asarray(squares)

"""Softmax over an axis and within the segments of a CSR list, stable for any logits."""

from __future__ import annotations

import numpy as np

from .. import simd
from .._float64_fallback import float64_fallback, silence
from .._validate import ArrayLike, all_finite, as_float, as_index, check_ndim
from .._vjp import WithPullback, with_vjp
from ..errors import DimensionMismatchError, EmptyInputError, InvalidConfigError


def masked_softmax(scores: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """Compute softmax over the last axis with a boolean (True = keep) or additive mask; hidden rows give zeros."""
    if mask is None:
        return simd.softmax(scores)
    if mask.dtype == np.bool_:
        return simd.softmax(np.where(mask, scores, scores.dtype.type(-np.inf)))
    total = (scores + mask).astype(scores.dtype, copy=False)
    np.copyto(total, -np.inf, where=np.isneginf(mask))  # also hides scores of infinity and NaN
    return simd.softmax(total)


def softmax_pullback(w: np.ndarray, g: np.ndarray) -> np.ndarray:
    """Return the gradient of the scores, given the weights `w` and the gradient `g` of the weights.

    Where a weight is zero, its gradient is ignored, even if it is infinity or NaN.
    """
    gs: np.ndarray = w * g
    total = gs.sum(axis=-1, keepdims=True)
    if not np.isfinite(total).all():
        gs = np.where(w == 0, gs.dtype.type(0), gs)
        total = gs.sum(axis=-1, keepdims=True)
    gs -= w * total
    return gs


def _check_axis(x: np.ndarray, axis: object) -> int:
    if isinstance(axis, bool) or not isinstance(axis, (int, np.integer)) or not -x.ndim <= axis < x.ndim:
        expected = f"a whole number in [{-x.ndim}, {x.ndim})"
        raise InvalidConfigError.of("axis", expected, axis, got=f"{axis!r:.40}")
    return int(axis)


@with_vjp
def softmax(x: ArrayLike, axis: int = -1) -> WithPullback[np.ndarray]:
    """Softmax along one axis: exp(x) / Σ exp(x), shifted by the maximum to avoid overflow.

    A slice that holds only -inf gives zeros.

    Args:
        x: Logits, any shape with at least one axis.
        axis: The axis that sums to one.

    Returns:
        Weights with the shape of `x`.

    Raises:
        EmptyInputError: The axis has length zero.
        InvalidConfigError: No such axis, or `x` is not real.

    Source:
        Bridle 1990, "Probabilistic Interpretation of Feedforward Classification Network Outputs", eq. 2.

    Example:
        >>> import graphattend as ga
        >>> ga.functional.softmax([1e4, 1e4, -1e4])
        array([0.5, 0.5, 0. ])
    """
    x = as_float(x, "x")
    check_ndim(x, "x", 1)
    axis = _check_axis(x, axis)
    if x.shape[axis] == 0:
        raise EmptyInputError.of(
            "x", "at least one entry", x.shape, text=f"at least one entry along axis {axis}", got=f"shape {x.shape}"
        )
    with silence():  # a difference that overflows is -inf, and its exponential 0 is correct
        w = simd.softmax(np.moveaxis(x, axis, -1))

    def pullback(g: np.ndarray) -> tuple[np.ndarray]:
        with silence():
            gs = softmax_pullback(w, np.moveaxis(np.asarray(g, w.dtype), axis, -1))
        return (np.moveaxis(gs, -1, axis),)

    return np.moveaxis(w, -1, axis), pullback


def check_indptr(indptr: ArrayLike, length: int, argument: str = "indptr") -> np.ndarray:
    """Check and return CSR row starts: a non-decreasing array from 0 to `length`."""
    ptr = as_index(indptr, argument, ndim=1)
    ok = ptr.size >= 1 and ptr[0] == 0 and ptr[-1] == length and (np.diff(ptr) >= 0).all()
    if not ok:
        expected = f"row starts from 0 to {length}, never falling"
        raise DimensionMismatchError.of(
            argument,
            length,
            int(ptr[-1]) if ptr.size else 0,
            text=expected,
            got=f"{ptr.size} entries ending in {ptr[-1:].tolist()}",
        )
    return ptr


@with_vjp
@float64_fallback
def segment_softmax(scores: ArrayLike, indptr: ArrayLike) -> WithPullback[np.ndarray]:
    """Softmax within each row of a CSR list: one distribution per node over its own edges.

    Args:
        scores: One score per edge, (K,) or (K, H), in CSR order.
        indptr: Row starts, (V+1,).

    Returns:
        Weights with the shape of `scores`; each non-empty row sums to one.

    Raises:
        DimensionMismatchError: `indptr` does not run from 0 to K.

    Source:
        Veličković et al. 2018, "Graph Attention Networks", eq. 2.

    Example:
        >>> import graphattend as ga
        >>> ga.functional.segment_softmax([0.0, 0.0, 5.0], [0, 2, 2, 3])
        array([0.5, 0.5, 1. ])
    """
    scores = as_float(scores, "scores")
    check_ndim(scores, "scores", 1)
    ptr = check_indptr(indptr, scores.shape[0])
    w = simd.segment_softmax(scores, ptr)

    def pullback(g: np.ndarray) -> tuple[np.ndarray, None]:
        gs = w * np.asarray(g, w.dtype)
        if not all_finite(gs):  # ignore the gradient of zero weights
            gs = np.where(w == 0, w.dtype.type(0), gs)
        total = simd.segment_sum(gs, ptr)
        return gs - w * np.repeat(total, np.diff(ptr), axis=0), None

    return w, pullback

"""Pairs that a mask hides contribute nothing, whatever the hidden key holds. Nothing here checks its input.

A hidden pair has weight 0, but 0 times NaN or infinity is NaN: in the output and in the gradients.
"""

from __future__ import annotations

import numpy as np

from .. import simd
from .._range import silence
from .._validate import all_finite
from .._vjp import unbroadcast


def seen_pairs(mask: np.ndarray) -> np.ndarray:
    """A boolean mask, or the pairs that an additive one does not hide."""
    return mask if mask.dtype == np.bool_ else ~np.isneginf(mask)


def without_unseen(x: np.ndarray, mask: np.ndarray, heads: bool = False) -> np.ndarray:
    """Keys or values (..., N, D) with zeros where the mask (..., [H,] M, N) hides them from every row."""
    seen = np.atleast_2d(seen_pairs(mask))
    seen = seen.any(axis=(-3, -2) if heads and seen.ndim > 2 else -2)
    if seen.all():
        return x
    shape = np.broadcast_shapes(seen.shape, x.shape[:-1])
    counts = unbroadcast(np.broadcast_to(seen, shape).astype(np.float64), x.shape[:-1])
    return np.where(counts[..., None] > 0, x, x.dtype.type(0))


def pairs_to_watch(mask: np.ndarray | None, *arrays: np.ndarray) -> np.ndarray | None:
    """The seen pairs where hidden ones could do harm: some number is not finite. Else None."""
    if mask is None or all(all_finite(x) for x in arrays):
        return None
    return seen_pairs(mask)


def sum_of_seen(w: np.ndarray, x: np.ndarray) -> np.ndarray:
    """``w @ x``, (..., M, N) by (..., N, D), where a weight of 0 takes nothing of a number that is not finite."""
    bad = ~np.isfinite(x)
    out = simd.matmul(w, np.where(bad, x.dtype.type(0), x))
    for j in np.flatnonzero(bad.any(axis=-1).reshape(-1, x.shape[-2]).any(axis=0)):
        column = w[..., j, None]
        with silence():
            term = column * np.where(bad[..., j, :], x[..., j, :], x.dtype.type(0))[..., None, :]
        out = out + np.where(column == 0, x.dtype.type(0), term)
    return out

"""Pairs that a mask hides contribute nothing, whatever the hidden key holds. Nothing here checks its input.

A hidden pair has weight 0, but 0 times NaN or infinity is NaN: in the output and in the gradients.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from .. import simd
from .._float64_fallback import silence
from .._validate import FLOATS, all_finite
from .._vjp import unbroadcast

#: Beyond this, products of a few numbers overflow.
_LIMIT: Final = {t: float(np.finfo(t).max ** 0.25) for t in FLOATS}


def rubbish(x: np.ndarray) -> np.ndarray:
    """The rows (...) of x (..., D) that hold NaN, infinity or numbers whose products overflow."""
    return np.asarray(~(np.abs(x).max(axis=-1) <= _LIMIT[x.dtype]))


def holds_rubbish(*arrays: np.ndarray | None) -> bool:
    """Whether any row may, by one fast look: the sum of squares is not small."""
    with silence():
        for x in arrays:
            if x is not None:
                flat = x.reshape(-1)
                if not flat.dot(flat) <= _LIMIT[x.dtype] ** 2:
                    return True
    return False


def seen_pairs(mask: np.ndarray) -> np.ndarray:
    """A boolean mask, or the pairs that an additive one does not hide."""
    return mask if mask.dtype == np.bool_ else ~np.isneginf(mask)


def unseen(seen: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The keys of this shape (..., N) that no row sees, given the seen pairs (..., M, N)."""
    seen = seen.any(axis=-2)
    full = np.broadcast_to(seen, np.broadcast_shapes(seen.shape, shape))
    return np.asarray(unbroadcast(full.astype(np.float32), shape) == 0)


def without_unseen(x: np.ndarray, mask: np.ndarray, heads: bool = False) -> np.ndarray:
    """Keys or values (..., N, D) with zeros where the mask (..., [H,] M, N) hides them from every row."""
    seen = np.atleast_2d(seen_pairs(mask))
    if heads and seen.ndim > 2:
        seen = seen.any(axis=-3)
    hidden = unseen(seen, x.shape[:-1])
    return np.where(hidden[..., None], x.dtype.type(0), x) if hidden.any() else x


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

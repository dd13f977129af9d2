"""Keep NaN and infinity in masked keys and values out of the results. The functions do not check their input.

A masked pair has weight 0, but 0 times NaN or infinity is NaN, in the output and in the gradients.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from .. import simd
from .._float64_fallback import silence
from .._validate import FLOATS, all_finite
from .._vjp import unbroadcast

#: Products of a few numbers above this limit overflow.
_LIMIT: Final = {t: float(np.finfo(t).max ** 0.25) for t in FLOATS}


def rubbish(x: np.ndarray) -> np.ndarray:
    """Return (...) booleans, True for rows of x (..., D) with NaN, infinity or numbers whose products overflow."""
    return np.asarray(~(np.abs(x).max(axis=-1) <= _LIMIT[x.dtype]))


def holds_rubbish(*arrays: np.ndarray | None) -> bool:
    """Whether `rubbish` may be True for any row, by a fast test: an array's sum of squares exceeds the limit."""
    with silence():
        for x in arrays:
            if x is not None:
                flat = x.reshape(-1)
                if not flat.dot(flat) <= _LIMIT[x.dtype] ** 2:
                    return True
    return False


def seen_pairs(mask: np.ndarray) -> np.ndarray:
    """Convert a mask to boolean: False where an additive mask is -inf."""
    return mask if mask.dtype == np.bool_ else ~np.isneginf(mask)


def unseen(seen: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return booleans of `shape` (..., N), True for keys that no query sees, given the seen pairs (..., M, N)."""
    seen = seen.any(axis=-2)
    full = np.broadcast_to(seen, np.broadcast_shapes(seen.shape, shape))
    return np.asarray(unbroadcast(full.astype(np.float32), shape) == 0)


def without_unseen(x: np.ndarray, mask: np.ndarray, heads: bool = False) -> np.ndarray:
    """Replace keys or values (..., N, D) that the mask (..., [H,] M, N) hides from every query by zeros.

    Returns `x` itself if it contains no `rubbish`.
    """
    if not holds_rubbish(x):
        return x
    seen = np.atleast_2d(seen_pairs(mask))
    if heads and seen.ndim > 2:
        seen = seen.any(axis=-3)
    hidden = unseen(seen, x.shape[:-1])
    return np.where(hidden[..., None], x.dtype.type(0), x) if hidden.any() else x


def pairs_to_watch(mask: np.ndarray | None, *arrays: np.ndarray) -> np.ndarray | None:
    """Return the seen pairs of the mask if an array has a number that is not finite, else None."""
    if mask is None or all(all_finite(x) for x in arrays):
        return None
    return seen_pairs(mask)


def sum_of_seen(w: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Compute ``w @ x`` for w (..., M, N) and x (..., N, D), where 0 times NaN or infinity counts as 0."""
    bad = ~np.isfinite(x)
    out = simd.matmul(w, np.where(bad, x.dtype.type(0), x))
    for j in np.flatnonzero(bad.any(axis=-1).reshape(-1, x.shape[-2]).any(axis=0)):
        column = w[..., j, None]
        with silence():
            term = column * np.where(bad[..., j, :], x[..., j, :], x.dtype.type(0))[..., None, :]
        out = out + np.where(column == 0, x.dtype.type(0), term)
    return out

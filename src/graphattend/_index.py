"""NumPy's counting and repeating for int64 indices on every platform.

Indices are int64 everywhere, so that pairs of nodes fit into one number. WebAssembly's NumPy has a 32-bit index type
and refuses to narrow int64 by itself; these functions do it, which loses nothing: an index into memory fits.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def bincount(x: np.ndarray, weights: np.ndarray | None = None, minlength: int = 0) -> np.ndarray:
    """`np.bincount`."""
    return np.bincount(x.astype(np.intp, copy=False), weights, minlength)


def repeat(x: np.ndarray, counts: np.ndarray, axis: int | None = None) -> np.ndarray:
    """`np.repeat` by an array of counts."""
    return np.repeat(x, counts.astype(np.intp, copy=False), axis)


def reduceat(ufunc: np.ufunc, x: np.ndarray, starts: np.ndarray) -> Any:
    """`ufunc.reduceat` along the first axis."""
    return ufunc.reduceat(x, starts.astype(np.intp, copy=False), axis=0)

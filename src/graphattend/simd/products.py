"""Matrix products by BLAS, with the rows distributed over threads.

A BLAS may round a row differently if the product has another number of rows. The rows are therefore always split at the
same places, regardless of the number of threads.
"""

from __future__ import annotations

import numpy as np

from . import numpy_ops, threads

Array = np.ndarray
#: Number of rows of a piece. Fewer rows than two pieces are not split.
PIECE = 1024
#: Largest number of partial sums over rows, each of which needs memory for a result.
MOST_SUMS = 32


def matmul(a: Array, b: Array, bias: Array | None = None) -> Array:
    """``a (..., M, K) @ b (..., K, N)``, plus the bias (N,) if given."""
    # Most products are small and dominated by the overhead of this function, so it calls no helper.
    if a.ndim == b.ndim == 2 and len(a) >= 2 * PIECE:
        return _by_rows(a, b, bias)
    out: Array = np.matmul(a, b)
    if bias is not None:
        out += bias
    return out


def matmul_nt(a: Array, b: Array) -> Array:
    """``a (..., M, K) @ b (..., N, K)ᵀ``."""
    if a.ndim == b.ndim == 2 and len(a) >= 2 * PIECE:
        return _by_rows(a, b.T)
    return np.matmul(a, b.swapaxes(-1, -2))


def matmul_tn(a: Array, b: Array) -> Array:
    """``a (..., K, M)ᵀ @ b (..., K, N)``."""
    if not (a.ndim == b.ndim == 2 and len(a) >= 2 * PIECE):
        return numpy_ops.matmul_tn(a, b)
    piece = PIECE * -(-len(a) // (PIECE * MOST_SUMS))
    sums = np.empty((-(-len(a) // piece), a.shape[1], b.shape[1]), np.result_type(a, b))

    def add(rows: slice) -> None:
        for start in range(rows.start, rows.stop, piece):
            own = slice(start, min(start + piece, rows.stop))
            np.matmul(a[own].T, b[own], out=sums[start // piece])

    threads.run(add, threads.blocks(len(a), float(a.size) * b.shape[1], align=piece))
    return np.asarray(np.add.reduce(sums, axis=0))


def _by_rows(a: Array, b: Array, bias: Array | None = None) -> Array:
    out = np.empty((len(a), b.shape[1]), np.result_type(a, b))

    def multiply(rows: slice) -> None:
        for start in range(rows.start, rows.stop, PIECE):
            own = slice(start, min(start + PIECE, rows.stop))
            np.matmul(a[own], b, out=out[own])
            if bias is not None:  # while the rows are in the cache
                out[own] += bias

    threads.run(multiply, threads.blocks(len(a), float(a.size) * b.shape[1], align=PIECE))
    return out

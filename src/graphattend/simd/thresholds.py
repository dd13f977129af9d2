"""Where another way is faster than a kernel: from ``benchmarks/kernels/crossover.py``, natively and in Pyodide 314.0.3.

exp, softmax and attention need no entry: their kernels win from one element on, natively, too, in both dtypes. In
float64 they are 1.3 to 32 times as fast as NumPy natively (AVX-512; scaled dot product over 1 000 keys 3.5 times, flash
of 128 queries 1.8, hyperbolic 9.9, multi-head 3.8).
"""

from __future__ import annotations

import sys
from typing import Final

import numpy as np

#: Multiply-adds of a matrix product below which ``@`` is faster than a kernel call in Pyodide (between 8³ and 16³).
MATMUL_MIN_WORK: Final = 2048


#: Queries up to which a pass over the keys that also gives the weights is faster than products of matrices.
FEW_ROWS: Final = 8


def has_blas() -> bool:
    """Whether this NumPy was built with a BLAS; the official one for WebAssembly was not."""
    try:
        return bool(np.__config__.CONFIG["Build Dependencies"]["blas"]["found"])
    except (AttributeError, KeyError):
        return False


#: Natively a BLAS is as fast as the kernel at 8³ multiply-adds and faster beyond (1.5 times at 32³, 2.3 at 128³; single
#: rows and batches of 16³ likewise), so products stay with it.
MATMUL_IN_BLAS: Final = sys.platform != "emscripten" and has_blas()


def folds(queries: int, keys: int, heads: int, width: int, key_dim: int, value_dim: int) -> bool:
    """Whether folding the projections of keys and values into the queries costs fewer multiply-adds.

    Args:
        queries: M, sharing the keys.
        keys: N.
        heads: H.
        width: D, the width of the projected keys (all heads together).
        key_dim: Width of the raw keys.
        value_dim: Width of the raw values.

    Returns:
        M·H·N·(Dk+Dv) <= N·(Dk+Dv)·D + 2·M·N·D; the projections of the queries cost the same either way.

    Example:
        >>> from graphattend.simd.thresholds import folds
        >>> folds(1, 1000, 4, 128, 128, 128), folds(100, 1000, 4, 128, 128, 128)
        (True, False)
    """
    both = key_dim + value_dim
    return queries * heads * keys * both <= keys * both * width + 2 * queries * keys * width

"""Where another way is faster than a kernel: from ``benchmarks/kernels/crossover.py`` in Pyodide 314.0.3, Node 20.

exp, softmax and attention need no entry: their kernels win from one element on.
"""

from __future__ import annotations

from typing import Final

#: Multiply-adds of a matrix product below which ``@`` is faster than a kernel call (between 8³ and 16³).
MATMUL_MIN_WORK: Final = 2048


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

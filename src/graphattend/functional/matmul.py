"""The matrix product."""

from __future__ import annotations

import numpy as np

from .. import simd
from .._float64_fallback import float64_fallback
from .._validate import ArrayLike, as_floats, broadcast_shapes, check_length, check_ndim, check_nonempty, common_dtype
from .._vjp import WithPullback, unbroadcast, with_vjp


@with_vjp
@float64_fallback
def matmul(a: ArrayLike, b: ArrayLike) -> WithPullback[np.ndarray]:
    """Multiply two matrices, or two stacks of matrices.

    Args:
        a: (..., M, K).
        b: (..., K, N); the leading axes broadcast.

    Returns:
        (..., M, N).

    Raises:
        DimensionMismatchError: The columns of `a` do not match the rows of `b`, or leading axes do not broadcast.
        EmptyInputError: A matrix has no entries.
        InvalidConfigError: A matrix is not real.

    Source:
        Goto and van de Geijn 2008, "Anatomy of High-Performance Matrix Multiplication" (the kernel's blocking).

    Example:
        >>> import graphattend as ga
        >>> ga.functional.matmul([[1.0, 2.0]], [[3.0], [4.0]])
        array([[11.]])
    """
    a, b = as_floats(("a", "b"), a, b)
    for name, x in (("a", a), ("b", b)):
        check_ndim(x, name, 2)
        check_nonempty(x, name)
    check_length(b, "b", -2, a.shape[-1], "the columns of a")
    broadcast_shapes("a, b", a.shape[:-2], b.shape[:-2])
    x, y = common_dtype(a, b)
    out = simd.matmul(x, y)

    def pullback(g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        g = np.asarray(g, out.dtype)
        return unbroadcast(simd.matmul_nt(g, y), x.shape), unbroadcast(simd.matmul_tn(x, g), y.shape)

    return out, pullback

"""Attention over keys that stay compressed."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import simd
from .._float64_fallback import float64_fallback
from .._validate import ArrayLike, as_floats, broadcast_shapes, check_length, check_ndim, check_nonempty, common_dtype
from .._vjp import WithPullback, unbroadcast, with_vjp
from ..errors import InvalidConfigError
from .softmax import softmax_pullback

_PARTS = ("codes", "scale", "zero_point", "group_size")


@with_vjp
@float64_fallback
def quantized_attention(query: ArrayLike, keys_q8: Any, values: Any) -> WithPullback[np.ndarray]:
    """Attention softmax(query · keysᵀ / √D) · values over INT8 keys, without decoding all keys at once.

    The result equals attention over the decoded keys up to rounding.

    Args:
        query: (..., M, D), or (D,) for a single query.
        keys_q8: Keys (..., N, D) encoded by `Quantizer.encode`. INT4 codes are unpacked first.
        values: (..., N, E), as an array or compressed.

    Returns:
        (..., M, E), or (E,) for a single query.

    Raises:
        DimensionMismatchError: The shapes do not fit.
        EmptyInputError: An array is empty.
        InvalidConfigError: The keys were not encoded by a Quantizer, or the data are not real numbers.

    Source:
        Vaswani et al. 2017, "Attention Is All You Need", eq. 1; codes as in Jacob et al. 2018, eq. 1.

    Example:
        >>> import numpy as np, graphattend as ga
        >>> keys = ga.compression.Quantizer(bits=8).encode(np.eye(2) * 10)
        >>> ga.functional.quantized_attention(np.array([1.0, 0.0]), keys, np.eye(2)).round(3)
        array([0.999, 0.001])
    """
    # Recognise the encoding by its attributes: this layer must not import the codecs.
    if not all(hasattr(type(keys_q8), part) for part in _PARTS):
        expected = "keys compressed by a Quantizer"
        raise InvalidConfigError.of("keys_q8", expected, type(keys_q8).__name__)
    codes, group_size = keys_q8.codes, keys_q8.group_size
    compressed_values = callable(getattr(type(values), "decode", None)) and not isinstance(values, (str, bytes))
    q, v = as_floats(("query", "values"), query, values.decode() if compressed_values else values)
    check_ndim(q, "query", 1)
    check_ndim(codes, "keys_q8", 2)
    check_ndim(v, "values", 2)
    for name, x in (("query", q), ("values", v)):
        check_nonempty(x, name)
    check_length(q, "query", -1, codes.shape[-1], "the keys' width")
    check_length(v, "values", -2, codes.shape[-2], "the number of keys")
    single = q.ndim == 1
    if single:
        q = q[None]
    broadcast_shapes("query, keys_q8, values", q.shape[:-2], codes.shape[:-2], v.shape[:-2])
    q, v, scale = common_dtype(q, v, keys_q8.scale)
    # Apply 1/√D to the query, the smallest array.
    factor = q.dtype.type(q.shape[-1] ** -0.5)
    keys = (codes, scale, keys_q8.zero_point, group_size)
    w = simd.softmax(simd.int8_scores(q * factor, *keys))
    out = simd.matmul(w, v)

    def pullback(g: np.ndarray) -> tuple[Any, ...]:
        g = np.asarray(g, out.dtype)
        if single:
            g = g[..., None, :]
        gs = softmax_pullback(w, simd.matmul_nt(g, v))
        gq = unbroadcast(simd.int8_combine(gs, *keys) * factor, q.shape)
        gv = None if compressed_values else unbroadcast(simd.matmul_tn(w, g), v.shape)
        return gq[0] if single else gq, None, gv

    return out[..., 0, :] if single else out, pullback

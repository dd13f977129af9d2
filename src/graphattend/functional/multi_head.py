"""Multi-head attention as a pure function of its inputs and parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .. import simd
from .._float64_fallback import float64_fallback
from .._validate import (
    as_array,
    as_bool,
    as_float,
    as_floats,
    as_int,
    as_mapping,
    as_mask,
    broadcast_shapes,
    cast_mask,
    check_length,
    check_ndim,
    check_nonempty,
    check_shape,
    common_dtype,
    near_miss,
)
from .._vjp import differentiable, unbroadcast
from ..errors import DimensionMismatchError, InvalidConfigError
from .attention import fit_mask
from .hidden import pairs_to_watch, sum_of_seen, without_unseen
from .softmax import masked_softmax, softmax_pullback

WEIGHTS = ("w_q", "w_k", "w_v", "w_o")
BIASES = ("b_q", "b_k", "b_v", "b_o")

#: What attention of (..., H, M, E) gives: output, weights if they were made, ``pull(g, g_weights) -> (gq, gk, gv)``.
_Attended = tuple[np.ndarray, np.ndarray | None, Callable[[np.ndarray, Any], tuple[np.ndarray, np.ndarray, np.ndarray]]]


def split_heads(x: np.ndarray, heads: int) -> np.ndarray:
    """(..., N, H·E) → (..., H, N, E); head h owns columns h·E … (h+1)·E."""
    *lead, n, width = x.shape
    return x.reshape(*lead, n, heads, width // heads).swapaxes(-3, -2)


def join_heads(x: np.ndarray) -> np.ndarray:
    """(..., H, N, E) → (..., N, H·E), the inverse of `split_heads`."""
    *lead, heads, n, width = x.shape
    return x.swapaxes(-3, -2).reshape(*lead, n, heads * width)


def linear(x: np.ndarray, w: np.ndarray, b: np.ndarray | None = None) -> np.ndarray:
    """``x @ w + b`` for x (..., N, Din), as one flat product."""
    y = simd.matmul(x.reshape(-1, x.shape[-1]), w).reshape(*x.shape[:-1], w.shape[1])
    if b is not None:
        y += b
    return y


def linear_pullback(x: np.ndarray, w: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gradients of `linear` for x, w and b."""
    flat_x, flat_g = x.reshape(-1, x.shape[-1]), g.reshape(-1, g.shape[-1])
    gx = simd.matmul_nt(flat_g, w).reshape(x.shape)
    return gx, simd.matmul_tn(flat_x, flat_g), flat_g.sum(axis=0)


def _check_parameters(
    parameters: Any, widths: tuple[int, int, int], heads: int, dtype: np.dtype[Any]
) -> dict[str, np.ndarray]:
    as_mapping(parameters, "parameters")
    known = WEIGHTS + BIASES
    for name in parameters:
        if name not in known:
            raise InvalidConfigError(
                f"parameters: unknown name {name!r:.60}{near_miss(name, known)}",
                argument="parameters",
                expected=known,
                actual=name,
            )
    p = {name: as_float(parameters[name], name, beside=dtype) for name in known if parameters.get(name) is not None}
    for name in WEIGHTS:
        if name not in p:
            raise InvalidConfigError(
                f"parameters: expected {', '.join(WEIGHTS)}, {name} is missing", argument=name, expected=WEIGHTS
            )
        check_ndim(p[name], name, 2, 2)
    for name, width in zip(WEIGHTS, widths, strict=False):
        check_length(p[name], name, 0, width, "the input's width")
    check_length(p["w_k"], "w_k", 1, p["w_q"].shape[1], "the width of w_q")
    for name in ("w_q", "w_v"):
        if p[name].shape[1] % heads:
            raise DimensionMismatchError.of(
                "num_heads", p[name].shape[1], heads, text=f"a divisor of {p[name].shape[1]} (columns of {name})"
            )
    check_length(p["w_o"], "w_o", 0, p["w_v"].shape[1], "the width of w_v")
    for bias, weight in zip(BIASES, WEIGHTS, strict=True):
        if bias in p:
            check_shape(p[bias], bias, (p[weight].shape[1],))
    return p


@float64_fallback
def _multi_head_vjp(
    query: Any,
    key: Any,
    value: Any,
    parameters: Mapping[str, Any],
    *,
    num_heads: int,
    attn_mask: Any = None,
    key_padding_mask: Any = None,
    need_weights: bool = False,
) -> tuple[Any, Callable[..., tuple[Any, ...]]]:
    heads = as_int(num_heads, "num_heads", minimum=1)
    need_weights = as_bool(need_weights, "need_weights")
    x_q, x_k, x_v = as_floats(("query", "key", "value"), query, key, value)
    for name, x, least in (("query", x_q, 1), ("key", x_k, 2), ("value", x_v, 2)):
        check_ndim(x, name, least)
        check_nonempty(x, name)
    single = x_q.ndim == 1
    if single:
        x_q = x_q[None]
    check_length(x_v, "value", -2, x_k.shape[-2], "one value per key")
    batch = broadcast_shapes("query, key, value", x_q.shape[:-2], x_k.shape[:-2], x_v.shape[:-2])
    dtype = common_dtype(x_q, x_k, x_v)[0].dtype
    p = _check_parameters(parameters, (x_q.shape[-1], x_k.shape[-1], x_v.shape[-1]), heads, dtype)
    names = list(p)
    x_q, x_k, x_v, *arrays = common_dtype(x_q, x_k, x_v, *p.values())
    p = dict(zip(names, arrays, strict=True))
    shape = (*batch, heads, x_q.shape[-2], x_k.shape[-2])
    mask = _join_masks(attn_mask, key_padding_mask, shape, x_q.dtype, single)
    if mask is not None:
        x_k, x_v = (without_unseen(x, mask, heads=True) for x in (x_k, x_v))

    q, k, v = (
        split_heads(linear(x, p[w], p.get(b)), heads)
        for x, w, b in ((x_q, "w_q", "b_q"), (x_k, "w_k", "b_k"), (x_v, "w_v", "b_v"))
    )
    watched = pairs_to_watch(mask, q, k, v)
    if watched is None and simd.has_kernels(q.dtype) and not need_weights:
        mixed, w, pull = _in_one_kernel(q, k, v, mask)
    else:
        mixed, w, pull = _composed(q, k, v, mask, watched)
    mixed = join_heads(mixed)
    out = linear(mixed, p["w_o"], p.get("b_o"))

    def pullback(g: Any) -> tuple[Any, ...]:
        g_out, g_w = g if need_weights else (g, None)
        if single:
            g_out, g_w = (None if x is None else np.asarray(x)[..., None, :] for x in (g_out, g_w))
        g_out = np.zeros_like(out) if g_out is None else np.asarray(g_out, out.dtype)
        gp: dict[str, np.ndarray] = {}
        g_mixed, gp["w_o"], gp["b_o"] = linear_pullback(mixed, p["w_o"], g_out)
        inner = pull(split_heads(g_mixed, heads), g_w)
        gx = []
        for g_in, head, x, wn, bn in zip(inner, (q, k, v), (x_q, x_k, x_v), WEIGHTS, BIASES, strict=False):
            flat = join_heads(unbroadcast(g_in, head.shape))
            g_x, gp[wn], gp[bn] = linear_pullback(x, p[wn], flat)
            gx.append(g_x)
        if single:
            gx[0] = gx[0][0]
        return (*gx, {name: gp[name] for name in p})

    y = out[..., 0, :] if single else out
    if w is None or not need_weights:
        return y, pullback
    return (y, w[..., 0, :] if single else w), pullback


def _composed(
    q: np.ndarray, k: np.ndarray, v: np.ndarray, mask: np.ndarray | None, watched: np.ndarray | None
) -> _Attended:
    """Attention of every head, step by step; of the `watched` pairs the others contribute nothing."""
    factor = q.dtype.type(q.shape[-1] ** -0.5)
    weighted_sum = simd.matmul if watched is None else sum_of_seen

    def seen(pairs: np.ndarray) -> np.ndarray:
        return pairs if watched is None else np.where(watched, pairs, pairs.dtype.type(0))

    w = masked_softmax(seen(simd.matmul_nt(q, k) * factor), mask)

    def pull(g: np.ndarray, g_weights: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        gw = seen(simd.matmul_nt(g, v))
        if g_weights is not None:
            gw = gw + np.asarray(g_weights, gw.dtype)
        gs = softmax_pullback(w, gw) * factor
        gk = simd.matmul_tn(gs, q) if watched is None else sum_of_seen(gs.swapaxes(-1, -2), q)
        return weighted_sum(gs, k), gk, simd.matmul_tn(w, g)

    return weighted_sum(w, v), w, pull


def _in_one_kernel(q: np.ndarray, k: np.ndarray, v: np.ndarray, mask: np.ndarray | None) -> _Attended:
    """The same in tiles, without the matrix of weights."""
    scale = q.shape[-1] ** -0.5
    out, stats = simd.attention(q, k, v, scale=scale, mask=mask)
    return out, None, lambda g, _: simd.attention_vjp(q, k, v, out, stats, g, scale=scale, mask=mask)


def _join_masks(
    attn_mask: Any, key_padding_mask: Any, shape: tuple[int, ...], dtype: np.dtype[Any], single: bool
) -> np.ndarray | None:
    mask = None
    if attn_mask is not None:
        mask = as_mask(attn_mask)
        lead = shape[:-3]
        if mask.ndim == len(lead) + 2 and lead and mask.shape[:-2] == lead:
            mask = mask[..., None, :, :]  # (B, M, N) without a head axis
        mask = cast_mask(fit_mask(mask, shape, single), dtype)
    if key_padding_mask is None:
        return mask
    padding = as_mask(key_padding_mask, "key_padding_mask")
    expected = (*shape[:-3], shape[-1])
    if padding.ndim == 0 or broadcast_shapes("key_padding_mask", padding.shape, expected) != expected:
        raise DimensionMismatchError.of("key_padding_mask", expected, padding.shape, text=f"shape {expected}")
    padding = cast_mask(padding[..., None, None, :], dtype)
    if mask is None:
        return padding
    if mask.dtype == np.bool_ and padding.dtype == np.bool_:
        return np.asarray(mask & padding)
    additive = [np.where(m, 0, -np.inf).astype(dtype) if m.dtype == np.bool_ else m for m in (mask, padding)]
    return np.asarray(additive[0] + additive[1])


@differentiable(_multi_head_vjp)
def multi_head_attention(
    query: Any,
    key: Any,
    value: Any,
    parameters: Mapping[str, Any],
    *,
    num_heads: int,
    attn_mask: Any = None,
    key_padding_mask: Any = None,
    need_weights: bool = False,
) -> Any:
    """Project, attend in H subspaces side by side, join, project: y = x @ w + b.

    Head h owns columns h·D/H … (h+1)·D/H of the projections.

    Args:
        query: (..., M, D), or (D,) for a single query.
        key: (..., N, Dk).
        value: (..., N, Dv).
        parameters: ``w_q (D, D)``, ``w_k (Dk, D)``, ``w_v (Dv, D)``, ``w_o (D, D)`` and, if wanted,
            ``b_q, b_k, b_v, b_o``.
        num_heads: H, a divisor of D.
        attn_mask: Boolean (True = attend) or float mask, broadcastable to (..., H, M, N); one of shape
            (B, M, N) holds for every head.
        key_padding_mask: (B, N), True = attend. For PyTorch's opposite sense see `from_torch_mask`.
        need_weights: Also return the weights of every head, (..., H, M, N).

    Returns:
        Output (..., M, D), (D,) for a single query; or (output, weights). Under `ga.vjp` the parameters' gradient is a
        mapping.

    Raises:
        DimensionMismatchError, EmptyInputError, InvalidConfigError.

    Source:
        Vaswani et al. 2017, "Attention Is All You Need", section 3.2.2.

    Example:
        >>> import numpy as np, graphattend as ga
        >>> eye = {name: np.eye(4) for name in ("w_q", "w_k", "w_v", "w_o")}
        >>> x = np.ones((1, 3, 4))
        >>> ga.functional.multi_head_attention(x, x, x, eye, num_heads=2).shape
        (1, 3, 4)
    """
    return _multi_head_vjp(
        query,
        key,
        value,
        parameters,
        num_heads=num_heads,
        attn_mask=attn_mask,
        key_padding_mask=key_padding_mask,
        need_weights=need_weights,
    )[0]


def from_torch_mask(mask: Any) -> np.ndarray:
    """Turn PyTorch's module masks (True = ignore) into ours (True = attend); float masks stay as they are.

    Args:
        mask: A boolean or float mask of any shape, as for `torch.nn.MultiheadAttention`.

    Returns:
        The mask in the sense of this library.

    Raises:
        InvalidConfigError: `mask` is neither boolean nor float.

    Example:
        >>> import graphattend as ga
        >>> ga.functional.from_torch_mask([False, True])
        array([ True, False])
    """
    m = as_mask(as_array(mask, "mask"), "mask")
    return ~m if m.dtype == np.bool_ else m.copy()

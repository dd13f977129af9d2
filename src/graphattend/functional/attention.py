"""Scaled dot-product attention with the arguments and conventions of PyTorch."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import simd
from .._float64_fallback import float64_fallback
from .._validate import (
    ArrayLike,
    as_bool,
    as_float,
    as_floats,
    as_mask,
    as_number,
    as_rng,
    broadcast_shapes,
    cast_mask,
    check_length,
    check_ndim,
    check_nonempty,
    common_dtype,
)
from .._vjp import differentiable, unbroadcast
from ..errors import DimensionMismatchError, InvalidConfigError
from .dot_product import Pull, and_causal, dot_product_attention, dropout_multiplier, from_scores, scaled_dot
from .hidden import pairs_to_watch, without_unseen
from .softmax import masked_softmax

ScoreMod = Callable[..., Any]


class _Call(NamedTuple):
    """Checked arguments: q (..., M, D), k (..., N, D), v (..., N, E) with equal head counts, mask or None."""

    q: np.ndarray
    k: np.ndarray
    v: np.ndarray
    mask: np.ndarray | None
    single: bool
    groups: int


def _check(
    query: ArrayLike, key: ArrayLike, value: ArrayLike, attn_mask: ArrayLike | None, is_causal: bool, enable_gqa: bool
) -> _Call:
    q, k, v = as_floats(("query", "key", "value"), query, key, value)
    check_ndim(q, "query", 1)
    check_ndim(k, "key", 2)
    check_ndim(v, "value", 2)
    for name, x in (("query", q), ("key", k), ("value", v)):
        check_nonempty(x, name)
    check_length(k, "key", -1, q.shape[-1], "the query's width")
    check_length(v, "value", -2, k.shape[-2], "one value per key")
    q, k, v = common_dtype(q, k, v)
    single = q.ndim == 1
    if single:
        q = q[None, :]
    groups = 1
    if as_bool(enable_gqa, "enable_gqa"):
        groups = _gqa_groups(q, k, v)
        if groups > 1:
            k, v = np.repeat(k, groups, axis=-3), np.repeat(v, groups, axis=-3)
    batch = broadcast_shapes("query, key, value", q.shape[:-2], k.shape[:-2], v.shape[:-2])
    shape = (*batch, q.shape[-2], k.shape[-2])
    mask = None if attn_mask is None else cast_mask(fit_mask(as_mask(attn_mask), shape, single), q.dtype)
    if as_bool(is_causal, "is_causal"):
        mask = and_causal(mask, q.shape[-2], k.shape[-2])
    if mask is not None:
        k, v = (without_unseen(x, mask) for x in (k, v))
    return _Call(q, k, v, mask, single, groups)


def _gqa_groups(q: np.ndarray, k: np.ndarray, v: np.ndarray) -> int:
    for name, x in (("query", q), ("key", k), ("value", v)):
        check_ndim(x, name, 3)
    heads, kv_heads = int(q.shape[-3]), int(k.shape[-3])
    check_length(v, "value", -3, kv_heads, "the key's heads")
    if heads % kv_heads:
        raise DimensionMismatchError.of(
            "query", kv_heads, heads, text=f"a multiple of the {kv_heads} key heads", got=f"{heads} heads"
        )
    return heads // kv_heads


def fit_mask(mask: np.ndarray, shape: tuple[int, ...], single: bool) -> np.ndarray:
    """Return the mask with the axes it needs to broadcast to scores of `shape` (..., M, N), or raise an error.

    For a single query, which the caller passed without an M axis, a mask of shape (..., N) is also accepted.
    """
    for candidate in (mask, mask[..., None, :] if single and mask.ndim else mask):
        try:
            if np.broadcast_shapes(candidate.shape, shape) == shape:
                return candidate
        except ValueError:
            continue
    raise DimensionMismatchError.of("attn_mask", shape, mask.shape, text=f"a shape that broadcasts to {shape}")


def _apply_score_mod(score_mod: ScoreMod, s: np.ndarray) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
    """Return the modified scores and their pullback, which differentiates `score_mod` by central differences."""
    m, n = s.shape[-2:]
    query_index, key_index = np.arange(m)[:, None], np.arange(n)[None, :]
    heads = s.shape[-3] if s.ndim >= 4 else 1
    head = np.arange(heads)[:, None, None] if s.ndim >= 4 else np.zeros((1, 1), np.int64)
    lead = s.shape[:-3] if s.ndim >= 4 else s.shape[:-2]
    ones = (1, 1, 1) if s.ndim >= 4 else (1, 1)
    batch = np.arange(int(np.prod(lead, dtype=np.int64))).reshape(*lead, *ones)

    def apply(score: np.ndarray) -> np.ndarray:
        out = as_float(score_mod(score, batch, head, query_index, key_index), "score_mod", beside=s.dtype)
        if broadcast_shapes("score_mod", out.shape, s.shape) != s.shape:
            raise DimensionMismatchError.of("score_mod", s.shape, out.shape, text=f"scores of shape {s.shape}")
        return np.broadcast_to(out, s.shape)

    def pull(g: np.ndarray) -> np.ndarray:
        x = s.astype(np.float64)
        step = 6e-6 * np.maximum(1.0, np.abs(x))
        high, low = x + step, x - step
        with np.errstate(invalid="ignore"):  # if both are -inf, the score is masked and has no gradient
            slope = (apply(high).astype(np.float64) - apply(low)) / (high - low)
        return np.asarray(g * np.where(np.isfinite(slope), slope, 0.0).astype(s.dtype))

    return apply(s).astype(s.dtype, copy=False), pull


@float64_fallback
def _scaled_dot_product_attention_vjp(
    query: ArrayLike,
    key: ArrayLike,
    value: ArrayLike,
    attn_mask: ArrayLike | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
    softcap: float | None = None,
    score_mod: ScoreMod | None = None,
    rng: np.random.Generator | None = None,
    return_weights: bool = False,
    return_lse: bool = False,
) -> tuple[Any, Callable[..., tuple[Any, ...]]]:
    call = _check(query, key, value, attn_mask, is_causal, enable_gqa)
    q, k, v, mask, single = call.q, call.k, call.v, call.mask, call.single
    dtype = q.dtype
    return_weights, return_lse = as_bool(return_weights, "return_weights"), as_bool(return_lse, "return_lse")
    if score_mod is not None and not callable(score_mod):
        raise InvalidConfigError.of("score_mod", "a function", type(score_mod).__name__)
    p_drop = as_number(dropout_p, "dropout_p", minimum=0.0, maximum=1.0)
    rng = None if rng is None else as_rng(rng)
    factor = q.shape[-1] ** -0.5 if scale is None else as_number(scale, "scale")
    cap = None if softcap is None else as_number(softcap, "softcap", above=0.0)
    drop = None
    if p_drop:
        lead = np.broadcast_shapes(q.shape[:-2], k.shape[:-2], () if mask is None else mask.shape[:-2])
        drop = dropout_multiplier((*lead, q.shape[-2], k.shape[-2]), p_drop, rng, dtype)
    watched = pairs_to_watch(mask, q, k, v)
    lse, pull = None, None
    if cap is None and score_mod is None and not return_lse and (mask is None or mask.dtype == np.bool_):
        out, w, pull_plain = dot_product_attention(
            q, k, v, scale=factor, mask=mask, drop=drop, need_weights=return_weights, watched=watched
        )
    else:
        out, w, lse, pull = _with_scores(call, factor, cap, score_mod, drop, watched)
    found = {"out": out, "weights": w if return_weights else None, "lse": lse if return_lse else None}
    results = {name: x for name, x in found.items() if x is not None}

    def pullback(g: np.ndarray) -> tuple[Any, ...]:
        given = {name: x for name, x in zip(results, g if isinstance(g, tuple) else (g,), strict=True) if x is not None}
        grads = {name: np.asarray(x, dtype) for name, x in given.items()}
        if single:
            grads = {name: np.expand_dims(x, _ROWS[name]) for name, x in grads.items()}
        g_out = grads["out"] if "out" in grads else np.zeros_like(out)
        if pull is None:
            gq, gk, gv = pull_plain(g_out, grads.get("weights"))
            g_mask = None
        else:
            gq, gk, gv, gs = pull(g_out, grads.get("weights"), grads.get("lse"))
            g_mask = _mask_gradient(attn_mask, gs, single)
        gq, gk, gv = (unbroadcast(a, x.shape) for a, x in ((gq, q), (gk, k), (gv, v)))
        if call.groups > 1:
            gk, gv = (_ungroup(x, call.groups) for x in (gk, gv))
        return gq[0] if single else gq, gk, gv, g_mask

    if single:
        results = {name: x.squeeze(_ROWS[name]) for name, x in results.items()}
    return next(iter(results.values())) if len(results) == 1 else tuple(results.values()), pullback


#: The axis of the query rows in each result.
_ROWS = {"out": -2, "weights": -2, "lse": -1}


def _with_scores(
    call: _Call,
    scale: float,
    cap: float | None,
    score_mod: ScoreMod | None,
    drop: np.ndarray | None,
    watched: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, Pull]:
    """Compute attention step by step, forming the scores.

    Returns the output, the weights, the log-sum-exp and ``pull(g, g_weights, g_lse) -> (gq, gk, gv, gs)``.
    """
    mask = call.mask
    s, pull_scores = scaled_dot(call.q, call.k, scale, watched)
    changes: list[Callable[[np.ndarray], np.ndarray]] = []
    if cap is not None:
        limit = s.dtype.type(cap)
        tanh = np.tanh(s / limit)
        s = limit * tanh
        changes.append(lambda gs: gs * (1 - tanh * tanh))
    if score_mod is not None:
        s, pull_mod = _apply_score_mod(score_mod, s)
        changes.append(pull_mod)
    out, w, pull_weights = from_scores(s, call.v, mask, drop, watched)

    def pull(g: np.ndarray, g_weights: np.ndarray | None, g_lse: np.ndarray | None) -> tuple[np.ndarray, ...]:
        gs, gv = pull_weights(g, g_weights)
        if g_lse is not None:
            gs = gs + masked_softmax(s, mask) * g_lse[..., None]
        g_scores = gs
        for change in reversed(changes):
            g_scores = change(g_scores)
        return *pull_scores(g_scores), gv, gs

    return out, w, _logsumexp(s, mask), pull


def _ungroup(g: np.ndarray, groups: int) -> np.ndarray:
    heads = g.shape[-3] // groups
    return g.reshape(*g.shape[:-3], heads, groups, *g.shape[-2:]).sum(axis=-3)


def _mask_gradient(attn_mask: ArrayLike | None, gs: np.ndarray, single: bool) -> np.ndarray | None:
    if attn_mask is None:
        return None
    mask = as_mask(attn_mask)
    if mask.dtype == np.bool_:
        return None
    fitted = fit_mask(mask, gs.shape, single)
    return unbroadcast(gs, fitted.shape).reshape(mask.shape)


def _logsumexp(s: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    if mask is not None:
        s = np.where(mask, s, -np.inf) if mask.dtype == np.bool_ else s + mask
    top = s.max(axis=-1, keepdims=True)
    top = np.where(np.isneginf(top), 0, top)
    total = np.exp(s - top).sum(axis=-1)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(total) + top[..., 0], dtype=s.dtype)


def _in_one_call(
    query: ArrayLike, key: ArrayLike, value: ArrayLike, attn_mask: ArrayLike | None, scale: Any
) -> np.ndarray | None:
    """Compute attention for a query (D,) or (M, D) in one kernel call, which checks its arguments.

    Returns None if the kernel does not support the arguments.
    """
    if type(query) is not np.ndarray or not query.size or not query.ndim:
        return None
    dim = query.shape[-1]
    if scale is None:
        scale = dim**-0.5
    elif type(scale) is not float or not math.isfinite(scale):
        return None
    if attn_mask is None:
        return simd.single(query, key, value, dim, scale, True)
    mask = simd.plain_mask(attn_mask, query, key)
    return None if mask is None else simd.single(query, key, value, dim, scale, True, mask)


@differentiable(_scaled_dot_product_attention_vjp)
def scaled_dot_product_attention(
    query: ArrayLike,
    key: ArrayLike,
    value: ArrayLike,
    attn_mask: ArrayLike | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
    softcap: float | None = None,
    score_mod: ScoreMod | None = None,
    rng: np.random.Generator | None = None,
    return_weights: bool = False,
    return_lse: bool = False,
) -> Any:
    """Scaled dot-product attention softmax(scale · q·kᵀ) · v, with the arguments of PyTorch's function.

    Args:
        query: (..., M, D), or (D,) for a single query.
        key: (..., N, D); leading axes broadcast with the query's.
        value: (..., N, E).
        attn_mask: Boolean (True = attend) or float (added to the scores), broadcastable to (..., M, N).
        dropout_p: Probability of dropping a weight; needs `rng`.
        is_causal: Query i sees key j iff j <= i (aligned top left, also for M != N).
        scale: Factor of the scores; 1/√D by default.
        enable_gqa: Grouped-query attention: query (..., H, M, D) over key (..., H_kv, N, D). Head h uses
            key head h // (H / H_kv).
        softcap: Squash scores to ±softcap by softcap · tanh(score / softcap).
        score_mod: ``score_mod(score, batch, head, query_index, key_index)`` returns modified scores, element by
            element, before the mask is applied. The index arguments are arrays that broadcast to the scores. The
            backward pass takes the derivative by central differences in float64.
        rng: Generator for the dropout.
        return_weights: Also return the weights (..., M, N).
        return_lse: Also return the log-sum-exp of the scores (..., M); -inf for a row that attends to nothing.

    Returns:
        The output (..., M, E), or a tuple of the output and the requested weights and log-sum-exp, in this order.
        A row that attends to nothing gives zeros.

    Raises:
        DimensionMismatchError: The shapes do not fit.
        EmptyInputError: An array is empty.
        InvalidConfigError: An argument is not allowed.

    Source:
        Vaswani et al. 2017, "Attention Is All You Need", eq. 1.

    Example:
        >>> import numpy as np, graphattend as ga
        >>> keys = np.eye(2)
        >>> ga.functional.scaled_dot_product_attention(np.array([10.0, 0.0]), keys, keys, scale=1.0).round(3)
        array([1., 0.])
    """
    plain = softcap is None and score_mod is None and type(dropout_p) is float and not dropout_p
    if plain and rng is None and is_causal is enable_gqa is return_weights is return_lse is False:
        fast = _in_one_call(query, key, value, attn_mask, scale)
        if fast is None and not all(isinstance(x, np.ndarray) and x.dtype.kind == "f" for x in (query, key, value)):
            # Convert lists and integers first, so that they give the same bits as the equal floating-point arrays.
            query, key, value = as_floats(("query", "key", "value"), query, key, value)
            fast = _in_one_call(query, key, value, attn_mask, scale)
        if fast is not None:
            return fast
    return _scaled_dot_product_attention_vjp(
        query,
        key,
        value,
        attn_mask,
        dropout_p,
        is_causal,
        scale=scale,
        enable_gqa=enable_gqa,
        softcap=softcap,
        score_mod=score_mod,
        rng=rng,
        return_weights=return_weights,
        return_lse=return_lse,
    )[0]

"""Multi-head attention of one query without projecting the keys and values.

q·(k W_k + b_k) = (q W_kᵀ)·k + q·b_k: each head becomes one row q W_kᵀ. The last term is the same for all keys, so
softmax ignores it. Σ w (v W_v + b_v) = (Σ w v) W_v + Σ w b_v: the values are averaged before they are projected.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .. import simd
from .._vjp import unbroadcast
from .dot_product import dot_product_attention
from .multi_head import finish, linear, linear_pullback

_Params = Mapping[str, np.ndarray]
_Grads = dict[str, np.ndarray]


def attend_one(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray | None,
    mask: np.ndarray | None,
    p: _Params,
    heads: int,
    scale: float,
    gate: np.ndarray | None = None,
) -> tuple[Any, np.ndarray, Callable[..., tuple[np.ndarray, np.ndarray, np.ndarray, Any, _Grads]]]:
    """Compute multi-head attention of q (..., 1, Dq) over k (..., N, Dk) and v (..., N, Dv), all checked.

    Args:
        q: The query.
        k: Keys.
        v: Values, or None for the weights alone.
        mask: Broadcastable to (..., H, 1, N), or None.
        p: ``w_q, w_k, w_v, w_o`` and optionally their biases.
        heads: H.
        scale: Factor of the scores.
        gate: Factor of each head, (..., H, 1, 1), or None.

    Returns:
        Output (..., 1, D) or None, weights (..., H, 1, N), and ``pull(g, g_weights=None) -> (gq, gk, gv, g_gate, gp)``.
    """
    rows, pull_rows = fold_query(q, p, heads)
    seen = mask if mask is None or mask.ndim < 2 else mask[..., 0, :]
    average, w, pull_sums = dot_product_attention(rows, k, v, scale=scale, mask=seen, need_weights=True)
    weights = w[..., None, :]
    if v is None:
        return None, weights, pull_sums
    out, pull_heads = unfold_heads(average, w, p, heads, gate)

    def pull(g: np.ndarray, g_weights: np.ndarray | None = None) -> tuple[Any, ...]:
        g_average, g_gate, gp = pull_heads(g)
        g_rows, gk, gv = pull_sums(g_average, None if g_weights is None else g_weights[..., 0, :])
        gq, gp_q = pull_rows(g_rows)
        return gq, gk, gv, g_gate, gp | gp_q

    return out, weights, pull


def _by_head(w: np.ndarray, heads: int) -> np.ndarray:
    """Reshape (D, H·E) to (H, D, E)."""
    return w.reshape(len(w), heads, -1).swapaxes(0, 1)


def _weight_gradient(x: np.ndarray, g: np.ndarray) -> np.ndarray:
    """Gradient of `w` (D, H·E) from inputs (..., H, D) and gradients (..., H, E) of the products."""
    heads, d, e = x.shape[-2], x.shape[-1], g.shape[-1]
    by_head = simd.matmul_tn(x.reshape(-1, heads, d).swapaxes(0, 1), g.reshape(-1, heads, e).swapaxes(0, 1))
    return by_head.swapaxes(0, 1).reshape(d, heads * e)


def fold_query(
    q: np.ndarray, p: _Params, heads: int
) -> tuple[np.ndarray, Callable[[np.ndarray], tuple[np.ndarray, _Grads]]]:
    """Return rows (..., H, Dk) whose dot products with the keys are the heads' scores, up to a constant per head."""
    projected = linear(q, p["w_q"], p.get("b_q"))
    by_head = projected.reshape(*q.shape[:-2], heads, -1)
    w_k = _by_head(p["w_k"], heads)
    rows = simd.matmul_nt(by_head[..., None, :], w_k)[..., 0, :]

    def pull(g: np.ndarray) -> tuple[np.ndarray, _Grads]:
        g = unbroadcast(g, rows.shape)
        g_heads = simd.matmul(g[..., None, :], w_k)[..., 0, :]
        gq, gw, gb = linear_pullback(q, p["w_q"], g_heads.reshape(projected.shape))
        gp = {"w_q": gw, "w_k": _weight_gradient(g, by_head)}
        if "b_q" in p:
            gp["b_q"] = gb
        if "b_k" in p:
            gp["b_k"] = np.zeros_like(p["b_k"])
        return gq, gp

    return rows, pull


def unfold_heads(
    average: np.ndarray, w: np.ndarray, p: _Params, heads: int, gate: np.ndarray | None = None
) -> tuple[np.ndarray, Callable[[np.ndarray], tuple[np.ndarray, Any, _Grads]]]:
    """Project averages (..., H, Dv) of the values, taken with weights (..., H, N), to the output (..., 1, D).

    Returns the output and ``pull(g) -> (g_average, g_gate or None, {parameter: gradient})``, with the factors `gate` of
    the heads, (..., H, 1, 1), if given.
    """
    w_v = _by_head(p["w_v"], heads)
    mixed = simd.matmul(average[..., None, :], w_v)
    total = None
    if "b_v" in p:
        total = np.add.reduce(w, axis=-1)[..., None, None]  # zero for a query that sees no key
        mixed = mixed + total * p["b_v"].reshape(heads, 1, -1)
    out, pull_out = finish(mixed if gate is None else mixed * gate, p)

    def pull(g: np.ndarray) -> tuple[np.ndarray, Any, _Grads]:
        g, gp = pull_out(g)
        g_gate = None
        if gate is not None:
            g_gate = (g * mixed).sum(axis=-1, keepdims=True)
            g = g * gate
        gp["w_v"] = _weight_gradient(average, g[..., 0, :])
        if total is not None:
            gp["b_v"] = (g * total).reshape(-1, p["b_v"].size).sum(axis=0)
        return simd.matmul_nt(g, w_v)[..., 0, :], g_gate, gp

    return out, pull

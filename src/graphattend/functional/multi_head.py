"""Multi-head attention as a pure function of its inputs and parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .. import simd
from .._float64_fallback import float64_fallback
from .._validate import (
    ArrayLike,
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
from .dot_product import dot_product_attention
from .hidden import pairs_to_watch, without_unseen
from .softmax import masked_softmax

WEIGHTS = ("w_q", "w_k", "w_v", "w_o")
BIASES = ("b_q", "b_k", "b_v", "b_o")
_NAMES, _REQUIRED = frozenset(WEIGHTS + BIASES), frozenset(WEIGHTS)

_Params = Mapping[str, np.ndarray]
_Grads = dict[str, np.ndarray]


def split_heads(x: np.ndarray, heads: int) -> np.ndarray:
    """Reshape (..., N, H·E) to (..., H, N, E); head h takes columns h·E … (h+1)·E."""
    *lead, n, width = x.shape
    return x.reshape(*lead, n, heads, width // heads).swapaxes(-3, -2)


def join_heads(x: np.ndarray) -> np.ndarray:
    """Reshape (..., H, N, E) to (..., N, H·E), the inverse of `split_heads`."""
    *lead, heads, n, width = x.shape
    return x.swapaxes(-3, -2).reshape(*lead, n, heads * width)


def linear(x: np.ndarray, w: np.ndarray, b: np.ndarray | None = None) -> np.ndarray:
    """Compute ``x @ w + b`` for x (..., N, Din) as one flat product."""
    if x.ndim != 2:
        return linear(x.reshape(-1, x.shape[-1]), w, b).reshape(*x.shape[:-1], w.shape[1])
    return simd.matmul(x, w) if b is None else simd.affine(x, w, b)


def linear_pullback(x: np.ndarray, w: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the gradients of x, w and b, given the gradient `g` of ``linear(x, w, b)``."""
    flat_x, flat_g = x.reshape(-1, x.shape[-1]), g.reshape(-1, g.shape[-1])
    gx = simd.matmul_nt(flat_g, w).reshape(x.shape)
    return gx, simd.matmul_tn(flat_x, flat_g), flat_g.sum(axis=0)


def project(
    q: np.ndarray, k: np.ndarray, v: np.ndarray | None, p: _Params, heads: int
) -> tuple[tuple[Any, Any, Any], Callable[..., Any]]:
    """Project queries (..., M, Dq), keys (..., N, Dk) and values (..., N, Dv) or None, and split them into heads.

    Returns the three, (..., H, M or N, E), and ``pull(gq, gk, gv) -> (gq, gk, gv, {parameter: gradient})``.
    """
    inputs = (q, k, v)
    out = tuple(
        None if x is None else split_heads(linear(x, p[w], p.get(b)), heads)
        for x, w, b in zip(inputs, WEIGHTS, BIASES, strict=False)
    )

    return (out[0], out[1], out[2]), lambda *grads: project_pullback(inputs, p, grads)


def project_pullback(
    inputs: tuple[np.ndarray | None, ...], p: _Params, grads: tuple[np.ndarray, ...]
) -> tuple[Any, ...]:
    """Return the gradients of the inputs and parameters of `project`."""
    gx: list[np.ndarray] = []
    gp: _Grads = {}
    for x, g, w, b in zip(inputs, grads, WEIGHTS, BIASES, strict=False):
        assert x is not None
        by_x, gp[w], gp[b] = linear_pullback(x, p[w], join_heads(g))
        gx.append(by_x)
    return *gx, {name: gp[name] for name in gp if name in p}


def project_together(
    x: np.ndarray, p: _Params, heads: int, extra: tuple[np.ndarray, np.ndarray] | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Project the rows x (N, D) to queries, keys and values (H, N, E) in one product.

    `extra`, weights (D, H) and biases (H,), appends one coordinate to the queries. The bias of the keys is left out: it
    shifts all scores of a query equally, which softmax ignores.
    """
    width, none = p["w_q"].shape[1], np.zeros(p["w_q"].shape[1], x.dtype)
    w_q = p["w_q"].reshape(-1, heads, width // heads)
    b_q, b_v = (p.get(name, none) for name in ("b_q", "b_v"))
    b_q = b_q.reshape(heads, -1)
    if extra is not None:
        w_q, b_q = (np.concatenate(parts, axis=-1) for parts in ((w_q, extra[0][..., None]), (b_q, extra[1][:, None])))
    columns = w_q.shape[1] * w_q.shape[2]
    w = np.concatenate([w_q.reshape(len(w_q), columns), p["w_k"], p["w_v"]], axis=1)
    y = simd.matmul(x, w)
    q, k, v = y[:, :columns], y[:, columns : columns + width], y[:, columns + width :]
    for part, b in ((q, b_q.reshape(-1)), (v, b_v)):
        if b.any():
            part += b
    return split_heads(q, heads), split_heads(k, heads), split_heads(v, heads)


def finish(out: np.ndarray, p: _Params) -> tuple[np.ndarray, Callable[[np.ndarray], tuple[np.ndarray, _Grads]]]:
    """Join heads (..., H, M, E) and project them to (..., M, D).

    Returns the output and ``pull(g) -> (g_out, {parameter: gradient})``.
    """
    mixed, heads = join_heads(out), out.shape[-3]

    def pull(g: np.ndarray) -> tuple[np.ndarray, _Grads]:
        gx, gw, gb = linear_pullback(mixed, p["w_o"], g)
        return split_heads(gx, heads), {"w_o": gw} | ({"b_o": gb} if "b_o" in p else {})

    return linear(mixed, p["w_o"], p.get("b_o")), pull


def folds(rows: int, width: int) -> bool:
    """Whether folding W_k and W_v into `rows` queries costs less than projecting the keys and values.

    Projecting N keys and values costs 4·N·D·H·E multiply-adds; folding costs 4·M·N·D·H.
    """
    return rows < width


def folded(
    q: np.ndarray, k: np.ndarray, v: np.ndarray, mask: np.ndarray | None, p: _Params, heads: int, scale: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return output (..., M, D) and weights (..., H, M, N), with W_k folded into the queries and W_v applied last.

    q·(k W_k + b_k) = (q W_kᵀ)·k + q·b_k, whose last term is the same for all keys;
    Σ w (v W_v + b_v) = (Σ w v) W_v + (Σ w) b_v.
    """
    w_k, w_v = (p[name].reshape(len(p[name]), heads, -1).swapaxes(0, 1) for name in ("w_k", "w_v"))
    by_head = split_heads(linear(q, p["w_q"], p.get("b_q")), heads) * q.dtype.type(scale)
    w = masked_softmax(simd.matmul_nt(simd.matmul_nt(by_head, w_k), k[..., None, :, :]), mask)
    out = simd.matmul(simd.matmul(w, v[..., None, :, :]), w_v)
    if "b_v" in p:
        out += w.sum(axis=-1, keepdims=True) * p["b_v"].reshape(heads, 1, -1)
    return linear(join_heads(out), p["w_o"], p.get("b_o")), w


def _check_parameters(
    parameters: Mapping[str, np.ndarray], widths: tuple[int, int, int], heads: int, dtype: np.dtype[Any]
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
    for name, width, given in zip(WEIGHTS, widths, ("query", "key", "value"), strict=False):
        check_length(p[name], name, 0, width, f"the {given}'s width")
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
def _multi_head_attention(
    query: ArrayLike,
    key: ArrayLike,
    value: ArrayLike,
    parameters: Mapping[str, Any],
    *,
    num_heads: int,
    attn_mask: ArrayLike | None = None,
    key_padding_mask: ArrayLike | None = None,
    need_weights: bool = False,
    differentiate: bool,
) -> tuple[Any, Callable[..., tuple[Any, ...]]]:
    """Return the output and its pullback, which can be called only with `differentiate`."""
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
    x_q, x_k, x_v, *arrays = common_dtype(x_q, x_k, x_v, *p.values())
    p = dict(zip(p, arrays, strict=True))
    shape = (*batch, heads, x_q.shape[-2], x_k.shape[-2])
    mask = _join_masks(attn_mask, key_padding_mask, shape, x_q.dtype, single)
    if mask is not None:
        x_k, x_v = (without_unseen(x, mask, heads=True) for x in (x_k, x_v))
    width = p["w_q"].shape[1] // heads
    few = not differentiate and folds(x_q.shape[-2], min(width, p["w_v"].shape[1] // heads))
    if few and pairs_to_watch(mask, x_k, x_v) is None:
        out, w = folded(x_q, x_k, x_v, mask, p, heads, width**-0.5)
        return _results(out, w, need_weights, single), _no_pullback

    (q, k, v), pull_inputs = project(x_q, x_k, x_v, p, heads)
    watched = pairs_to_watch(mask, q, k, v)
    mixed, w, pull_heads = dot_product_attention(
        q, k, v, scale=width**-0.5, mask=mask, need_weights=need_weights, watched=watched
    )
    out, pull_output = finish(mixed, p)

    def pullback(g: np.ndarray) -> tuple[Any, ...]:
        g_out, g_w = (None if x is None else np.asarray(x, out.dtype) for x in (g if need_weights else (g, None)))
        if single:
            g_out, g_w = (None if x is None else x[..., None, :] for x in (g_out, g_w))
        g_mixed, gp = pull_output(np.zeros_like(out) if g_out is None else g_out)
        inner = (unbroadcast(a, x.shape) for a, x in zip(pull_heads(g_mixed, g_w), (q, k, v), strict=True))
        gq, gk, gv, gp_inputs = pull_inputs(*inner)
        gp |= gp_inputs
        return gq[0] if single else gq, gk, gv, {name: gp[name] for name in p}

    return _results(out, w, need_weights, single), pullback


def _multi_head_vjp(*arrays: Any, **options: Any) -> tuple[Any, Callable[..., tuple[Any, ...]]]:
    return _multi_head_attention(*arrays, **options, differentiate=True)


def _results(out: np.ndarray, w: Any, need_weights: bool, single: bool) -> Any:
    if single:
        out, w = out[..., 0, :], w[..., 0, :] if need_weights else None
    return (out, w) if need_weights else out


def _no_pullback(g: np.ndarray) -> tuple[Any, ...]:
    raise AssertionError("a pass without gradients was asked for")


def _in_one_call(
    query: ArrayLike, key: ArrayLike, value: ArrayLike, parameters: Any, heads: Any, attn_mask: ArrayLike | None
) -> np.ndarray | None:
    """Compute the output for a query (D,) in one kernel call that folds the projections, or return None.

    Returns None if the kernel does not support the arguments.
    """
    if type(heads) is not int or heads < 1 or type(parameters) is not dict or type(query) is not np.ndarray:
        return None
    if not all(type(a) is np.ndarray and name in _NAMES for name, a in parameters.items()):
        return None
    w_q, b_k = parameters.get("w_q"), parameters.get("b_k")
    if w_q is None or w_q.ndim != 2 or not w_q.size or w_q.shape[1] % heads or not parameters.keys() >= _REQUIRED:
        return None
    if b_k is not None and b_k.shape != w_q.shape[1:]:  # softmax ignores b_k, so the kernel does not check it
        return None
    mask = None if attn_mask is None else simd.plain_mask(attn_mask, query, key)
    if (mask is None) is not (attn_mask is None):
        return None
    scale = (w_q.shape[1] // heads) ** -0.5
    return simd.multi_head_single(query, key, value, parameters, heads, scale, True, mask=mask)


def _join_masks(
    attn_mask: ArrayLike | None,
    key_padding_mask: ArrayLike | None,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    single: bool,
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
    query: ArrayLike,
    key: ArrayLike,
    value: ArrayLike,
    parameters: Mapping[str, Any],
    *,
    num_heads: int,
    attn_mask: ArrayLike | None = None,
    key_padding_mask: ArrayLike | None = None,
    need_weights: bool = False,
) -> Any:
    """Multi-head attention: project the inputs, attend in H subspaces, concatenate the heads, project the result.

    A projection is y = x @ w + b; head h uses its columns h·D/H … (h+1)·D/H.

    Args:
        query: (..., M, D), or (D,) for a single query.
        key: (..., N, Dk).
        value: (..., N, Dv).
        parameters: ``w_q (D, D)``, ``w_k (Dk, D)``, ``w_v (Dv, D)``, ``w_o (D, D)`` and optionally
            ``b_q, b_k, b_v, b_o``.
        num_heads: H, a divisor of D.
        attn_mask: Boolean (True = attend) or float mask, broadcastable to (..., H, M, N); a mask
            (B, M, N) applies to every head.
        key_padding_mask: (B, N), True = attend. `from_torch_mask` converts masks where True = ignore, as in PyTorch.
        need_weights: Also return the weights of every head, (..., H, M, N).

    Returns:
        The output, (..., M, D), or (D,) for a single query; with `need_weights` the pair (output, weights). Under
        `ga.vjp`, the gradient of `parameters` is a mapping.

    Raises:
        DimensionMismatchError: Shapes that do not fit each other.
        EmptyInputError: No keys.
        InvalidConfigError: A parameter is missing, `num_heads` does not divide D, or a mask is of the wrong kind.

    Source:
        Vaswani et al. 2017, "Attention Is All You Need", section 3.2.2.

    Example:
        >>> import numpy as np, graphattend as ga
        >>> eye = {name: np.eye(4) for name in ("w_q", "w_k", "w_v", "w_o")}
        >>> x = np.ones((1, 3, 4))
        >>> ga.functional.multi_head_attention(x, x, x, eye, num_heads=2).shape
        (1, 3, 4)
    """
    if key_padding_mask is None and need_weights is False:
        fast = _in_one_call(query, key, value, parameters, num_heads, attn_mask)
        if fast is not None:
            return fast
    return _multi_head_attention(
        query,
        key,
        value,
        parameters,
        num_heads=num_heads,
        attn_mask=attn_mask,
        key_padding_mask=key_padding_mask,
        need_weights=need_weights,
        differentiate=False,
    )[0]


def from_torch_mask(mask: ArrayLike) -> np.ndarray:
    """Convert a mask of PyTorch's modules, where True = ignore, to True = attend. A float mask is copied.

    Args:
        mask: A boolean or float mask of any shape, as for `torch.nn.MultiheadAttention`.

    Returns:
        The mask with True = attend.

    Raises:
        InvalidConfigError: `mask` is neither boolean nor float.

    Example:
        >>> import graphattend as ga
        >>> ga.functional.from_torch_mask([False, True])
        array([ True, False])
    """
    m = as_mask(as_array(mask, "mask"), "mask")
    return ~m if m.dtype == np.bool_ else m.copy()

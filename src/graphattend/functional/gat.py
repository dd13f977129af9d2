"""Graph attention (GAT, GATv2) as a pure function of its inputs and parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from .. import simd
from .._float64_fallback import float64_fallback
from .._validate import (
    ArrayLike,
    as_bool,
    as_choice,
    as_float,
    as_floats,
    as_mapping,
    as_mask,
    as_number,
    broadcast_shapes,
    cast_data,
    cast_mask,
    check_length,
    check_ndim,
    check_nonempty,
    check_shape,
    common_dtype,
    near_miss,
)
from .._vjp import WithPullback, add_grads, unbroadcast, with_vjp
from ..errors import DimensionMismatchError, InvalidConfigError
from .attention import fit_mask
from .dot_product import from_scores
from .hidden import pairs_to_watch, without_unseen
from .multi_head import join_heads, split_heads

#: Most elements (scores × width) that the GATv2 nonlinearity holds at once.
TILE_ELEMENTS = 4_000_000

_Params = Mapping[str, np.ndarray]
_Grads = dict[str, np.ndarray]


def project(
    q: np.ndarray, k: np.ndarray, v: np.ndarray | None, p: _Params, variant: str
) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray | None], Callable[..., Any]]:
    """Project queries, keys and values for the scores and the weighted sum.

    Args:
        q: (..., M, D).
        k: (..., N, D).
        v: (..., N, D), or None for the weights alone.
        p: Parameters with a leading head axis.
        variant: "gat" or "gatv2".

    Returns:
        ``(q', k', v')`` and ``pull(gq', gk', gv') -> (gq, gk, gv, gp)``. v' is the projection (..., H, N, E). For
        "gat" q' and k' are a_query·W h (..., H, M, 1) and a_key·W h (..., H, N, 1); for "gatv2" they are
        projections (..., H, M, E) and (..., H, N, E).
    """
    if variant == "gat":
        # Because a·(W h) = h·(W a), one column per head replaces a projection of every key.
        u_q, u_k = (simd.matmul(p["w"], p[a][..., None]) for a in ("a_query", "a_key"))
        factors = (u_q, u_k, p["w"])
    else:
        factors = (p["w_query"], p["w_key"], p["w_key"])
    inputs = (q, k, v)
    out = tuple(None if x is None else _per_head(x, w) for x, w in zip(inputs, factors, strict=True))

    def pull(*grads: np.ndarray) -> tuple[Any, ...]:
        gx, gw = zip(*(_per_head_pullback(*part) for part in zip(inputs, factors, grads, strict=True)), strict=True)
        if variant == "gatv2":
            return (*gx, {"w_query": gw[0], "w_key": gw[1] + gw[2]})
        parts = [vector_grads(g[..., 0], p, "w", a) for g, a in zip(gw, ("a_query", "a_key"), strict=False)]
        return (*gx, add_grads(*parts, {"w": gw[2]}))

    return (out[0], out[1], out[2]), pull  # type: ignore[return-value]


def scores(
    q: np.ndarray, k: np.ndarray, features: np.ndarray | None, p: _Params, variant: str, negative_slope: float
) -> tuple[np.ndarray, Callable[..., Any]]:
    """Compute scores (..., H, M, N) from the projections that `project` returns.

    Args:
        q: (..., H, M, 1) or (..., H, M, E).
        k: (..., H, N, 1) or (..., H, N, E).
        features: Features of the edges (..., N, e), or None.
        p: Parameters with a leading head axis.
        variant: "gat" or "gatv2".
        negative_slope: Slope of the LeakyReLU below zero.

    Returns:
        The scores, and ``pull(gs) -> (gq, gk, g_features or None, gp)``.
    """
    k_shape = k.shape
    k, pull_e = (k, None) if features is None else _add_edges(k, features, p, variant)
    s, pull_s = _gat_scores(q, k, negative_slope) if variant == "gat" else _gatv2_scores(q, k, p["a"], negative_slope)

    def pull(gs: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, _Grads]:
        gq, gk, gp = pull_s(gs)
        ge = None
        if pull_e is not None:
            ge, gp_e = pull_e(gk)
            gp = gp | gp_e
        return gq, unbroadcast(gk, k_shape), ge, gp

    return s, pull


def finish(out: np.ndarray, bias: np.ndarray | None, concat: bool) -> tuple[np.ndarray, Callable[..., Any]]:
    """Join heads (..., H, M, E) to (..., M, H·E) or average them, and add the bias.

    Returns the output and ``pull(g) -> (g_out, gp)``.
    """
    heads = out.shape[-3]
    y = join_heads(out) if concat else out.mean(axis=-3)
    if bias is not None:
        y = np.add(y, bias, out=None if np.may_share_memory(y, out) else y)

    def pull(g: np.ndarray) -> tuple[np.ndarray, _Grads]:
        gp = {} if bias is None else {"bias": g.reshape(-1, g.shape[-1]).sum(axis=0)}
        if concat:
            return split_heads(g, heads), gp
        share = g[..., None, :, :] / g.dtype.type(heads)
        return np.broadcast_to(share, out.shape), gp

    return y, pull


def _add_edges(k: np.ndarray, features: np.ndarray, p: _Params, variant: str) -> tuple[np.ndarray, Callable[..., Any]]:
    """Add the projected edge features to the keys; return the sum and ``pull(g) -> (g_features, gp)``."""
    e = features[..., None, :, :]
    w_e = p["w_e"]
    gat = variant == "gat"
    factor = simd.matmul(w_e, p["a_edge"][..., None]) if gat else w_e

    def pull(g: np.ndarray) -> tuple[np.ndarray, _Grads]:
        ge = unbroadcast(simd.matmul_nt(g, factor).sum(axis=-3), features.shape)
        full = np.broadcast_to(e, (*g.shape[:-1], e.shape[-1]))
        gf = unbroadcast(simd.matmul_tn(full, g), factor.shape)
        return ge, vector_grads(gf[..., 0], p, "w_e", "a_edge") if gat else {"w_e": gf}

    return k + simd.matmul(e, factor), pull


def vector_grads(u: np.ndarray, p: _Params, matrix: str, vector: str) -> _Grads:
    """Return the gradients of W (H, D, E) and a (H, E), given the gradient u (H, D) of their product W a."""
    return {matrix: u[..., None] * p[vector][:, None, :], vector: np.einsum("hd,hdc->hc", u, p[matrix])}


def _gat_scores(q: np.ndarray, k: np.ndarray, negative_slope: float) -> tuple[np.ndarray, Callable[..., Any]]:
    x = q + k.swapaxes(-1, -2)
    slope = np.where(x > 0, x.dtype.type(1), x.dtype.type(negative_slope))

    def pull(gs: np.ndarray) -> tuple[np.ndarray, np.ndarray, _Grads]:
        gx = gs * slope
        return gx.sum(axis=-1, keepdims=True), gx.sum(axis=-2)[..., None], {}

    return x * slope, pull


def _gatv2_scores(
    q: np.ndarray, k: np.ndarray, vector: np.ndarray, negative_slope: float
) -> tuple[np.ndarray, Callable[..., Any]]:
    a = vector[:, None, None, :]
    low = q.dtype.type(negative_slope)
    batch = np.broadcast_shapes(q.shape[:-2], k.shape[:-2])
    m, n, width = q.shape[-2], k.shape[-2], q.shape[-1]
    step = max(1, TILE_ELEMENTS // max(1, int(np.prod(batch)) * n * width))
    tiles = [slice(i, min(i + step, m)) for i in range(0, m, step)]

    def inner(rows: slice) -> tuple[np.ndarray, np.ndarray]:
        x = q[..., rows, None, :] + k[..., None, :, :]
        return x, np.where(x > 0, x.dtype.type(1), low)

    s = np.empty((*batch, m, n), q.dtype)
    for rows in tiles:
        x, slope = inner(rows)
        s[..., rows, :] = (x * slope * a).sum(axis=-1)

    def pull(gs: np.ndarray) -> tuple[np.ndarray, np.ndarray, _Grads]:
        gq = np.zeros((*batch, m, width), q.dtype)
        gk = np.zeros((*batch, n, width), q.dtype)
        ga = np.zeros_like(vector)
        for rows in tiles:
            x, slope = inner(rows)
            g = gs[..., rows, :, None] * slope
            ga += unbroadcast((g * x).sum(axis=(-3, -2)), ga.shape)
            gx = g * a
            gq[..., rows, :] = gx.sum(axis=-2)
            gk += gx.sum(axis=-3)
        return gq, gk, {"a": ga}

    return s, pull


def _per_head(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """Compute x (..., N, D) @ w (H, D, E), (..., H, N, E), as one flat product."""
    heads, d, width = w.shape
    flat = simd.matmul(x.reshape(-1, d), w.swapaxes(0, 1).reshape(d, heads * width))
    return split_heads(flat.reshape(*x.shape[:-1], heads * width), heads)


def _per_head_pullback(x: Any, w: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    heads, d, width = w.shape
    flat_g = join_heads(g).reshape(-1, heads * width)
    gx = simd.matmul_nt(flat_g, w.swapaxes(0, 1).reshape(d, heads * width)).reshape(x.shape)
    gw = simd.matmul_tn(x.reshape(-1, d), flat_g).reshape(d, heads, width).swapaxes(0, 1)
    return gx, gw


def parameter_shapes(
    dim: int, heads: int, width: int, edge_dim: int, variant: str, concat: bool, bias: bool
) -> dict[str, tuple[int, ...]]:
    """Return the shape of every parameter by name.

    Args:
        dim: Width D of queries and keys.
        heads: H.
        width: Width E of a head.
        edge_dim: Width e of the edge features, 0 for none.
        variant: "gat" or "gatv2".
        concat: Whether the heads are joined.
        bias: Whether the output has a bias.
    """
    gat = variant == "gat"
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(("w",) if gat else ("w_query", "w_key"), (heads, dim, width))
    if edge_dim:
        shapes["w_e"] = (heads, edge_dim, width)
    vectors = (("a_query", "a_key", "a_edge") if edge_dim else ("a_query", "a_key")) if gat else ("a",)
    shapes |= dict.fromkeys(vectors, (heads, width))
    if bias:
        shapes["bias"] = (heads * width if concat else width,)
    return shapes


class _Call(NamedTuple):
    """Checked arguments: q (..., M, D), k (..., N, D), features (..., N, e) and mask or None, parameters by name."""

    q: np.ndarray
    k: np.ndarray
    features: np.ndarray | None
    p: _Params
    mask: np.ndarray | None
    single: bool


def _check(
    query: ArrayLike,
    key: ArrayLike,
    parameters: Mapping[str, np.ndarray],
    edge_features: ArrayLike | None,
    variant: str,
    concat: bool,
    attn_mask: ArrayLike | None,
) -> _Call:
    as_choice(variant, "variant", ("gat", "gatv2"))
    as_mapping(parameters, "parameters")
    name = "w" if variant == "gat" else "w_query"
    if name not in parameters:
        raise InvalidConfigError(f"parameters: {name} is missing", argument="parameters", expected=name)
    w = as_float(parameters[name], name)
    check_ndim(w, name, 2, 3)
    q, k = as_floats(("query", "key"), query, key)
    check_ndim(q, "query", 1)
    check_ndim(k, "key", 2)
    for argument, x in (("query", q), ("key", k)):
        check_nonempty(x, argument)
        check_length(x, argument, -1, w.shape[-2], f"the width that {name} projects")
    q, k = common_dtype(q, k)
    single = q.ndim == 1
    if single:
        q = q[None]
    batch = broadcast_shapes("query, key", q.shape[:-2], k.shape[:-2])
    features = None
    if edge_features is not None:
        features = as_float(edge_features, "edge_features", beside=w.dtype)
        check_ndim(features, "edge_features", 2)
        check_length(features, "edge_features", -2, k.shape[-2], "one row per key")
        lead = features.shape[:-2]
        if broadcast_shapes("edge_features", lead, batch) != batch:
            raise DimensionMismatchError.of(
                "edge_features", batch, lead, text=f"leading axes that broadcast to {batch}"
            )
        features = cast_data(features, q.dtype, "edge_features")
    heads = w.shape[0] if w.ndim == 3 else 1
    edge_dim = 0 if features is None else features.shape[-1]
    joined = as_bool(concat, "concat")
    shapes = parameter_shapes(w.shape[-2], heads, w.shape[-1], edge_dim, variant, joined, "bias" in parameters)
    p = {name: a.astype(q.dtype, copy=False) for name, a in _check_parameters(parameters, shapes).items()}
    mask = None
    if attn_mask is not None:
        mask = cast_mask(fit_mask(as_mask(attn_mask), (*batch, heads, q.shape[-2], k.shape[-2]), single), q.dtype)
        k = without_unseen(k, mask, heads=True)
    return _Call(q, k, features, p, mask, single)


def _check_parameters(parameters: Mapping[str, Any], shapes: dict[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    for name in parameters:
        if name not in shapes:
            raise InvalidConfigError(
                f"parameters: unknown name {name!r:.60}{near_miss(name, shapes)}",
                argument="parameters",
                expected=list(shapes),
                actual=name,
            )
    p = {}
    for name, shape in shapes.items():
        if name not in parameters:
            raise InvalidConfigError(f"parameters: {name} is missing", argument="parameters", expected=list(shapes))
        a = as_float(parameters[name], name, beside=np.dtype(np.float32))
        if shape[0] == 1 and a.ndim == len(shape) - 1 > 0:  # one head without the axis
            a = a[None]
        check_shape(a, name, shape)
        p[name] = a
    return p


@with_vjp
@float64_fallback
def gat_attention(
    query: ArrayLike,
    key: ArrayLike,
    parameters: Mapping[str, Any],
    edge_features: ArrayLike | None = None,
    *,
    variant: Literal["gat", "gatv2"] = "gat",
    concat: bool = True,
    negative_slope: float = 0.2,
    attn_mask: ArrayLike | None = None,
    need_weights: bool = False,
) -> WithPullback[Any]:
    """Graph attention (GAT, GATv2) of queries over their neighbours, whose features are both keys and values.

    Args:
        query: (..., M, D), or (D,).
        key: (..., N, D).
        parameters: For "gat" ``w (H, D, E)``, ``a_query, a_key (H, E)``, with edges ``w_e (H, e, E)`` and
            ``a_edge (H, E)``; for "gatv2" ``w_query, w_key (H, D, E)``, ``a (H, E)``, with edges ``w_e``;
            optionally ``bias``. A single head may omit the head axis.
        edge_features: (..., N, e), or None.
        variant: "gat" or "gatv2".
        concat: Concatenate the heads; otherwise average them.
        negative_slope: Slope of the LeakyReLU below zero.
        attn_mask: Boolean (True = attend) or float mask, broadcastable to (..., H, M, N).
        need_weights: Also return the weights, (..., H, M, N).

    Returns:
        The output, (..., M, H·E) or (..., M, E) if the heads are averaged; with `need_weights` the pair (output,
        weights). Under `ga.vjp`, the gradient of `parameters` is a mapping.

    Raises:
        DimensionMismatchError: Shapes that do not fit each other.
        EmptyInputError: No keys.
        InvalidConfigError: A parameter is missing, the variant is unknown, or a mask is of the wrong kind.

    Source:
        Veličković et al. 2018, "Graph Attention Networks", eq. 1-6; Brody et al. 2022, "How Attentive are Graph
        Attention Networks?", eq. 7.

    Example:
        >>> import numpy as np, graphattend as ga
        >>> p = {"w": np.eye(2), "a_query": np.zeros(2), "a_key": np.array([1.0, 0.0])}
        >>> ga.functional.gat_attention(np.zeros(2), np.eye(2), p).round(3)
        array([0.731, 0.269])
    """
    need_weights = as_bool(need_weights, "need_weights")
    slope = as_number(negative_slope, "negative_slope", minimum=0.0, maximum=1.0)
    x_q, x_k, features, p, mask, single = _check(query, key, parameters, edge_features, variant, concat, attn_mask)
    (q, k, v), pull_inputs = project(x_q, x_k, x_k, p, variant)
    assert v is not None
    s, pull_scores = scores(q, k, features, p, variant, slope)
    mixed, w, pull_weights = from_scores(s, v, mask, watched=pairs_to_watch(mask, x_k))
    out, pull_output = finish(mixed, p.get("bias"), concat)

    def pullback(g: np.ndarray) -> tuple[Any, ...]:
        g_out, g_w = (None if x is None else np.asarray(x, out.dtype) for x in (g if need_weights else (g, None)))
        if single:
            g_out, g_w = (None if x is None else x[..., None, :] for x in (g_out, g_w))
        g_mixed, gp = pull_output(np.zeros_like(out) if g_out is None else g_out)
        gs, gv = pull_weights(g_mixed, g_w)
        gq, gk, ge, gp_scores = pull_scores(gs)
        inner = (unbroadcast(a, x.shape) for a, x in ((gq, q), (gk, k), (gv, v)))
        gq, gk, gv, gp_inputs = pull_inputs(*inner)
        gp = add_grads(gp, gp_scores, gp_inputs)
        given = {name: gp[name].reshape(np.shape(a)) for name, a in parameters.items()}
        return gq[0] if single else gq, gk + gv, given, ge

    y, w = (out[..., 0, :], w[..., 0, :]) if single else (out, w)
    return (y, w) if need_weights else y, pullback

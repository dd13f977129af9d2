"""GAT over a whole graph, computed per edge: its additive score is one number per edge and head."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import simd
from .._validate import ArrayLike, as_float, check_shape
from ..graph import NeighborGraph
from ..simd.numpy_ops import segment_sum
from ._attend import attend as in_chunks
from ._attend import check_nodes, graph_metadata
from ._boundary import Call, cotangent
from ._gradients import Gradients, Grads, Params, add_grads, no_pullback
from ._mechanism import Mechanism

#: Largest edges × width for which values per edge are stored. Larger graphs use a kernel or chunks of neighbourhoods.
MAX_ELEMENTS = 16_000_000

Project = tuple[tuple[np.ndarray, np.ndarray, np.ndarray], Callable[..., Any]]


def attend(
    attn: Mechanism,
    negative_slope: float,
    graph: NeighborGraph,
    queries: ArrayLike,
    keys: ArrayLike | None,
    values: ArrayLike | None,
    call: Call,
    *,
    fused: bool = True,
) -> tuple[np.ndarray, np.ndarray | None, Callable[..., Gradients]] | None:
    """Compute `_attend.attend` for the GAT variant from sums over edges, or return None if memory is too small."""
    x_q, x_k, x_v = check_nodes(attn, graph, queries, keys, values)
    dtype, size = x_q.dtype, len(x_q)
    p = attn._params(dtype)
    inner = p["w"].shape[0] * p["w"].shape[2]
    per_edge = graph_metadata(attn, graph, dtype).per_edge
    alone = keys is None and values is None
    if alone and fused and not (call.training and attn.dropout):
        found = _fused(attn, negative_slope, graph, x_q, per_edge, p, call)
        if found is not None:
            return found
    if graph.num_edges * inner > MAX_ELEMENTS:
        return None
    (q, k, v), pull_p = _project_alone(x_q, p) if alone else _project(attn, x_q, x_k, x_v, p)
    sources, targets, indptr = graph.indices, graph.targets, graph.indptr
    v_edge = v[sources]
    s = q[targets] + k[sources]
    features = per_edge.get("edge_features") if "w_e" in p else None
    if features is not None:
        s += features @ _edge_factor(p)
    slope = np.where(s > 0, dtype.type(1), dtype.type(negative_slope))
    w = simd.segment_softmax(s * slope, indptr)
    drop = attn._drop(w.shape, call, dtype)
    wd = w if drop is None else w * drop
    mixed = segment_sum((wd[..., None] * v_edge).reshape(len(sources), inner), indptr).reshape(v.shape)
    out, pull_f = attn._finish(mixed.swapaxes(0, 1), p)

    def pullback(grad_output: ArrayLike, grad_weights: ArrayLike | None = None) -> Gradients:
        g = as_float(grad_output, "grad_output", beside=dtype).astype(dtype, copy=False)
        check_shape(g, "grad_output", out.shape)
        g_mixed, gp = pull_f(g)
        g_edge = g_mixed.swapaxes(0, 1)[targets]
        gw = np.einsum("khe,khe->kh", g_edge, v_edge)
        if grad_weights is not None:
            more = as_float(grad_weights, "grad_weights", beside=dtype).astype(dtype, copy=False)
            check_shape(more, "grad_weights", w.shape)
            gw = gw + more
        if drop is not None:
            gw = gw * drop
        gs = w * (gw - segment_sum(w * gw, indptr)[targets]) * slope
        gq, gk, gv = segment_sum(gs, indptr), np.zeros_like(k), np.zeros_like(v)
        simd.scatter_add(gk, sources, gs)
        simd.scatter_add(gv.reshape(size, inner), sources, (wd[..., None] * g_edge).reshape(len(sources), inner))
        gm, gp_e = _edge_gradients(gs, per_edge, features, p)
        gp = add_grads(gp, gp_e)
        g_q, g_k, g_v, gp_p = pull_p(gq, gk, gv)
        gp = add_grads(gp, gp_p)
        if values is None and not alone:
            g_k, g_v = g_k + g_v, np.zeros_like(g_v)
        if keys is None and not alone:
            g_q, g_k = g_q + g_k, np.zeros_like(g_k)
        parameters = {n: gp[n] if n in gp else np.zeros_like(a) for n, a in p.items()}
        return Gradients(g_q, g_k, g_v, parameters, gm)

    return out, wd if call.need_weights else None, pullback


def _edge_factor(p: Params) -> np.ndarray:
    """Return W_e a_edge, (e, H), because a_edge·(W_e e) = e·(W_e a_edge)."""
    return np.asarray(np.einsum("hec,hc->eh", p["w_e"], p["a_edge"]))


def _edge_gradients(gs: np.ndarray, per_edge: Params, features: np.ndarray | None, p: Params) -> tuple[Grads, Grads]:
    """Return the gradients of the edges' contributions to the scores, for metadata and parameters."""
    gm: Grads = {name: np.zeros_like(a) for name, a in per_edge.items()}
    if features is None:
        return gm, {}
    gm["edge_features"] = simd.matmul(gs, _edge_factor(p).T)
    u = simd.matmul_tn(features, gs)
    w_e, a_edge = np.einsum("eh,hc->hec", u, p["a_edge"]), np.einsum("eh,hec->hc", u, p["w_e"])
    return gm, {"w_e": w_e, "a_edge": a_edge}


def _fused(
    attn: Mechanism,
    negative_slope: float,
    graph: NeighborGraph,
    x: np.ndarray,
    per_edge: Params,
    p: Params,
    call: Call,
) -> tuple[np.ndarray, np.ndarray | None, Callable[..., Gradients]] | None:
    """Compute the layer in one kernel call, which stores no values per edge and channel, or return None."""
    if not simd.has_kernels(x.dtype) or not graph.num_edges:
        return None
    features, options = _options(negative_slope, per_edge, p)
    found = simd.gat_layer(
        *(x, p["w"], p["a_query"], p["a_key"], graph.indptr, graph.indices),
        need_weights=call.need_weights or call.differentiate,
        **options,
    )
    if found is None:
        return None
    mixed, weights, projection = found
    out, pull_f = attn._finish(mixed.swapaxes(0, 1), p)
    if weights is None or not call.differentiate:
        return out, weights, no_pullback

    def pullback(grad_output: ArrayLike, grad_weights: ArrayLike | None = None) -> Gradients:
        g_mixed, gp = pull_f(cotangent(grad_output, "grad_output", out.shape, x.dtype))
        by_row, edges = np.ascontiguousarray(g_mixed.swapaxes(0, 1)), None
        if grad_weights is None:
            edges = simd.gat_vjp(by_row, projection, graph, weights, **options)
        if edges is None:
            whole = attend(attn, negative_slope, graph, x, None, None, call, fused=False)
            whole = whole or in_chunks(attn, graph, x, None, None, call)
            return whole[2](grad_output, grad_weights)
        gm, gp_e = _edge_gradients(edges[0], per_edge, features, p)
        gx, gp_x = _joined_pullback(x, p, edges[1])
        gp = add_grads(gp, gp_e, gp_x)
        parameters = {n: gp[n] if n in gp else np.zeros_like(a) for n, a in p.items()}
        return Gradients(gx, np.zeros(x.shape, x.dtype), np.zeros(x.shape, x.dtype), parameters, gm)

    return out, weights, pullback


def _options(negative_slope: float, per_edge: Params, p: Params) -> tuple[np.ndarray | None, dict[str, Any]]:
    """Return the edge features, or None if they are not read, and the options of `simd.gat_layer`."""
    features = per_edge["edge_features"] if "w_e" in p else None
    added = None if features is None else simd.matmul(features, _edge_factor(p))
    return features, {"negative_slope": negative_slope, "edge_scores": added}


def attend_into(
    attn: Mechanism,
    negative_slope: float,
    graph: NeighborGraph,
    x: np.ndarray,
    out: np.ndarray,
    weights: np.ndarray | None,
    gain: np.ndarray,
) -> bool:
    """Compute `Attention._attend_into` for the GAT variant with concatenated heads."""
    if not simd.has_kernels(x.dtype) or not graph.num_edges:
        return False
    p = attn._params(x.dtype)
    _, options = _options(negative_slope, graph_metadata(attn, graph, x.dtype).per_edge, p)
    heads = out.reshape(len(x), len(p["w"]), -1)
    arrays = x, p["w"], p["a_query"], p["a_key"], graph.indptr, graph.indices
    if simd.gat_layer(*arrays, gain=gain, out=heads, mixture=weights, **options) is None:
        return False
    if "bias" in p and p["bias"].any():
        out += gain[:, None] * p["bias"]
    return True


def _project(attn: Mechanism, x_q: np.ndarray, x_k: np.ndarray, x_v: np.ndarray, p: Params) -> Project:
    """Apply the mechanism's projection, with the nodes as the first axis."""
    (q, k, v), pull = attn._project(x_q, x_k, x_v, p)

    def pullback(gq: np.ndarray, gk: np.ndarray, gv: np.ndarray) -> Any:
        return pull(gq.T[..., None], gk.T[..., None], gv.swapaxes(0, 1))

    return (q[..., 0].T, k[..., 0].T, np.ascontiguousarray(v.swapaxes(0, 1))), pullback


def _project_alone(x: np.ndarray, p: Params) -> Project:
    """Project queries, keys and values that are the same nodes in one product. The queries get the whole gradient."""
    v, q, k = simd.gat_projection(simd.matmul(x, simd.gat_columns(p["w"])), p["a_query"], p["a_key"])

    def pullback(gq: np.ndarray, gk: np.ndarray, gv: np.ndarray) -> Any:
        g = np.concatenate([gv.reshape(len(x), -1), gq, gk], axis=1)
        gx, gp = _joined_pullback(x, p, g)
        nothing = np.zeros(x.shape, x.dtype)  # unlike zeros_like, np.zeros does not touch the memory
        return gx, nothing, nothing, gp

    return (q, k, v), pullback


def _joined_pullback(x: np.ndarray, p: Params, g: np.ndarray) -> tuple[np.ndarray, Grads]:
    """Return the gradients of nodes and parameters, given g (V, H·E + 2·H): those of rows, query and key scores."""
    vectors = (np.einsum("hdc,hc->dh", p["w"], p[name]) for name in ("a_query", "a_key"))
    joined = np.concatenate([simd.gat_columns(p["w"]), *vectors], axis=1)
    heads, _, width = p["w"].shape
    inner = heads * width
    g_joined = simd.matmul_tn(x, g)
    g_w = g_joined[:, :inner].reshape(-1, heads, width).swapaxes(0, 1)
    gp: Grads = {}
    for name, start in (("a_query", inner), ("a_key", inner + heads)):
        g_u = g_joined[:, start : start + heads]
        g_w = g_w + np.einsum("dh,hc->hdc", g_u, p[name])
        gp[name] = np.einsum("dh,hdc->hc", g_u, p["w"])
    return simd.matmul_nt(g, joined), gp | {"w": g_w}

"""GAT over a whole graph, edge by edge: its additive score is one number per edge and head."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import simd
from .._validate import ArrayLike, as_float, check_shape
from ..graph import NeighborGraph
from ..simd.numpy_ops import segment_sum
from ._attend import check_nodes, graph_metadata
from ._boundary import Call
from ._gradients import Gradients, Grads, Params, add_grads
from ._mechanism import Mechanism

#: Edges × width up to which one value per edge is held; beyond, unless a kernel does it, neighbourhoods come in chunks.
MAX_ELEMENTS = 16_000_000

Project = tuple[tuple[np.ndarray, np.ndarray, np.ndarray], Callable[..., Any]]


def attend(
    attn: Mechanism,
    negative_slope: float,
    graph: NeighborGraph,
    queries: ArrayLike,
    keys: Any,
    values: Any,
    call: Call,
) -> tuple[np.ndarray, np.ndarray | None, Callable[..., Gradients]] | None:
    """What `_attend.attend` gives for the GAT variant, from sums over edges; None if those do not fit into memory."""
    x_q, x_k, x_v = check_nodes(attn, graph, queries, keys, values)
    dtype, size = x_q.dtype, len(x_q)
    p = attn._params(dtype)
    inner = p["w"].shape[0] * p["w"].shape[2]
    per_edge = graph_metadata(attn, graph, dtype).per_edge
    alone = keys is None and values is None
    if alone and not call.differentiate and not call.training:
        fused = _fused(attn, negative_slope, graph, x_q, per_edge, p, call.need_weights)
        if fused is not None:
            return fused
    if graph.num_edges * inner > MAX_ELEMENTS:
        return None
    (q, k, v), pull_p = _project_alone(x_q, p) if alone else _project(attn, x_q, x_k, x_v, p)
    sources, targets, indptr = graph.indices, graph.targets, graph.indptr
    v_edge = v[sources]
    s = q[targets] + k[sources]
    features = per_edge.get("edge_features") if "w_e" in p else None
    if features is not None:
        factor = _edge_factor(p)
        s += features @ factor
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
        gm: Grads = {name: np.zeros_like(a) for name, a in per_edge.items()}
        if features is not None:
            gm["edge_features"] = gs @ factor.T
            u = features.T @ gs
            gp = add_grads(
                gp,
                {
                    "w_e": np.einsum("eh,hc->hec", u, p["a_edge"]),
                    "a_edge": np.einsum("eh,hec->hc", u, p["w_e"]),
                },
            )
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
    """a_edge·(W_e e) = e·(W_e a_edge): (e, H)."""
    return np.asarray(np.einsum("hec,hc->eh", p["w_e"], p["a_edge"]))


def _fused(
    attn: Mechanism,
    negative_slope: float,
    graph: NeighborGraph,
    x: np.ndarray,
    per_edge: Params,
    p: Params,
    need_weights: bool,
) -> tuple[np.ndarray, np.ndarray | None, Callable[..., Gradients]] | None:
    """The whole layer in one kernel call, which holds no value per edge, where there is such a kernel."""
    if not simd.has_kernels(x.dtype) or not graph.num_edges:
        return None
    edge_scores = simd.matmul(per_edge["edge_features"], _edge_factor(p)) if "w_e" in p else None
    found = simd.gat_layer(
        x,
        p["w"],
        p["a_query"],
        p["a_key"],
        graph.indptr,
        graph.indices,
        negative_slope=negative_slope,
        edge_scores=edge_scores,
        need_weights=need_weights,
    )
    if found is None:
        return None
    return attn._finish(found[0].swapaxes(0, 1), p)[0], found[1], _no_pullback


def _no_pullback(*_: Any) -> Gradients:
    raise AssertionError("attend without gradients was asked for")


def _project(attn: Mechanism, x_q: np.ndarray, x_k: np.ndarray, x_v: np.ndarray, p: Params) -> Project:
    """The mechanism's own projection, with the nodes first."""
    (q, k, v), pull = attn._project(x_q, x_k, x_v, p)

    def pullback(gq: np.ndarray, gk: np.ndarray, gv: np.ndarray) -> Any:
        return pull(gq.T[..., None], gk.T[..., None], gv.swapaxes(0, 1))

    return (q[..., 0].T, k[..., 0].T, np.ascontiguousarray(v.swapaxes(0, 1))), pullback


def _project_alone(x: np.ndarray, p: Params) -> Project:
    """One product for queries, keys and values that are the same nodes; their gradient is the queries'."""
    w, size = p["w"], len(x)
    heads, _, width = w.shape
    inner = heads * width
    u_q, u_k = (np.einsum("hdc,hc->dh", w, p[a]) for a in ("a_query", "a_key"))
    joined = np.concatenate([w.swapaxes(0, 1).reshape(-1, inner), u_q, u_k], axis=1)
    y = simd.matmul(x, joined)
    v = np.ascontiguousarray(y[:, :inner]).reshape(size, heads, width)

    def pullback(gq: np.ndarray, gk: np.ndarray, gv: np.ndarray) -> Any:
        g = np.concatenate([gv.reshape(size, inner), gq, gk], axis=1)
        g_joined = simd.matmul_tn(x, g)
        g_w = g_joined[:, :inner].reshape(-1, heads, width).swapaxes(0, 1)
        gp: Grads = {}
        for name, start in (("a_query", inner), ("a_key", inner + heads)):
            g_u = g_joined[:, start : start + heads]
            g_w = g_w + np.einsum("dh,hc->hdc", g_u, p[name])
            gp[name] = np.einsum("dh,hdc->hc", g_u, w)
        nothing = np.zeros(x.shape, x.dtype)  # unlike zeros_like, it costs no memory until it is written to
        return simd.matmul_nt(g, joined), nothing, nothing, gp | {"w": g_w}

    return (y[:, inner : inner + heads], y[:, inner + heads :], v), pullback

"""Attention from every node of a graph to its neighbours: the stages of a mechanism, run on groups of neighbourhoods.

Nodes are sorted by degree and split into chunks of similar degree. Each chunk is padded to its largest neighbourhood
and becomes one ordinary batched call with a single query per batch entry. There is no loop over nodes. The number of
chunks grows with the logarithm of the largest degree and with K / CHUNK_ELEMENTS. The chunk size bounds the memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from .. import simd
from .._validate import (
    ArrayLike,
    all_finite,
    as_float,
    check_finite,
    check_length,
    check_ndim,
    check_nonempty,
    common_dtype,
)
from ..errors import InvalidConfigError, UnsupportedError
from ..graph import NeighborGraph
from ._boundary import DIFFERENTIABLE, Call, Context, cotangent
from ._gradients import Arrays, Gradients, Grads, add_grads
from ._mechanism import EdgeScores, GraphData, Mechanism, unprojected

#: Largest number of elements (padded neighbours × width) of a chunk; 4 M are 16 MB in float32.
CHUNK_ELEMENTS = 4_000_000
#: Largest fraction of a chunk's largest neighbourhood that may be padding.
MAX_PADDING = 0.25
#: The forward pass keeps chunks for the backward pass up to this number of elements. Others are recomputed.
KEEP_ELEMENTS = 16_000_000


class Chunk(NamedTuple):
    """Nodes (n,), the CSR positions of their edges (n, d), and a mask of the edges that exist (None = all)."""

    nodes: np.ndarray
    edges: np.ndarray
    valid: np.ndarray | None


def chunks(indptr: np.ndarray, width: int) -> Iterator[Chunk]:
    """Yield chunks of nodes with similar numbers of neighbours. Nodes without neighbours are skipped."""
    degree = np.diff(indptr)
    order = np.argsort(degree, kind="stable")
    order = order[np.searchsorted(degree[order], 1) :]
    start, total = 0, order.size
    sorted_degree = degree[order]
    while start < total:
        smallest = int(sorted_degree[start])
        widest = max(smallest, int(smallest / (1 - MAX_PADDING)))
        stop = int(np.searchsorted(sorted_degree, widest, side="right"))
        stop = min(stop, start + max(1, CHUNK_ELEMENTS // (widest * width)))
        nodes = order[start:stop]
        d = int(sorted_degree[stop - 1])
        offsets = np.arange(d)
        edges = indptr[nodes][:, None] + offsets
        valid = None
        if smallest != d:
            valid = offsets < degree[nodes][:, None]
            edges = np.where(valid, edges, indptr[nodes][:, None])
        yield Chunk(nodes, edges, valid)
        start = stop


def gather(x: np.ndarray, index: np.ndarray, heads: bool) -> np.ndarray:
    """Return the rows of per-node `x` ([H,] V, d) at `index` (n, m), (n, [H,] m, d)."""
    return np.moveaxis(x[:, index, :], 0, 1) if heads else x[index]


class _Job(NamedTuple):
    """The data that all chunks share: projected arrays, edge and node metadata, the dropout of every edge."""

    attn: Mechanism
    indices: np.ndarray
    q: np.ndarray
    k: np.ndarray
    v: np.ndarray
    metadata: GraphData
    drop: np.ndarray | None
    p: Mapping[str, np.ndarray]


def _run_chunk(job: _Job, chunk: Chunk, need_weights: bool) -> tuple[Any, Any, Any]:
    heads = job.attn.heads is not None
    neighbours = job.indices[chunk.edges]
    q = gather(job.q, chunk.nodes[:, None], heads)
    k, v = gather(job.k, neighbours, heads), gather(job.v, neighbours, heads)
    mask = None
    if chunk.valid is not None:
        mask = chunk.valid[:, None, None, :] if heads else chunk.valid[:, None, :]
    meta = {name: a[chunk.edges] for name, a in job.metadata.per_edge.items()}
    meta |= {name: a[neighbours] for name, a in job.metadata.per_key.items()}
    meta |= {name: a[chunk.nodes][:, None] for name, a in job.metadata.per_query.items()}
    drop = None
    if job.drop is not None:
        drop = job.drop[chunk.edges]  # (n, d) or (n, d, H)
        drop = drop.swapaxes(1, 2)[:, :, None, :] if heads else drop[:, None, :]
    return job.attn._core(q, k, v, Context(mask, meta, job.p, drop, need_weights))


def attend(
    attn: Mechanism,
    graph: NeighborGraph,
    queries: ArrayLike,
    keys: ArrayLike | None,
    values: ArrayLike | None,
    call: Call,
) -> tuple[np.ndarray, np.ndarray | None, Callable[..., Gradients]]:
    """Compute `Attention.attend` and `Attention.attend_vjp`."""
    if attn.is_causal:
        raise UnsupportedError(
            "is_causal: expected False because neighbours of a node have no order", argument="is_causal"
        )
    x_q, x_k, x_v = check_nodes(attn, graph, queries, keys, values)
    dtype = x_q.dtype
    p = attn._params(dtype)
    metadata = graph_metadata(attn, graph, dtype)
    heads = attn.heads
    n_edges = graph.indices.size
    lead = () if heads is None else (heads,)
    drop = attn._drop((n_edges, *lead), call, dtype)
    projected = None
    if drop is None and n_edges and simd.has_kernels(dtype):
        projected = attn._project_edges(x_q, x_k, x_v, p)
    if projected is not None:
        (q, k, v), pull_p = projected
        job = _Job(attn, graph.indices, q, k, v, metadata, drop, p)
        found = _fused(job, graph, call.need_weights or call.differentiate)
        if found is not None:
            return _finish_fused(job, graph, found, pull_p, values is None, keys is None)
    (q, k, v), pull_p = attn._project(x_q, x_k, x_v, p)
    job = _Job(attn, graph.indices, q, k, v, metadata, drop, p)
    mixed: np.ndarray | None = None
    weights = np.zeros((n_edges, *lead), dtype) if call.need_weights else None
    width = (heads or 1) * max(q.shape[-1], v.shape[-1])
    kept: list[tuple[Chunk, Any]] = []
    held = 0
    for chunk in chunks(graph.indptr, width):
        out, w, pull = _run_chunk(job, chunk, call.need_weights)
        if mixed is None:
            # Axes that a core adds between batch and rows (heads) move in front of the nodes.
            mixed = np.zeros((*out.shape[1:-2], x_q.shape[0], out.shape[-1]), dtype)
        mixed[..., chunk.nodes, :] = np.moveaxis(out[..., 0, :], 0, -2)
        if weights is not None:
            _store_weights(weights, chunk, w)
        if call.differentiate:
            held += chunk.edges.size * width
            kept.append((chunk, pull if held <= KEEP_ELEMENTS else None))
    if mixed is None:  # no edges
        mixed = np.zeros((*lead, x_q.shape[0], v.shape[-1]), dtype)
    out, pull_f = attn._finish(mixed, p)

    def pullback(grad_output: ArrayLike, grad_weights: ArrayLike | None = None) -> Gradients:
        g = cotangent(grad_output, "grad_output", out.shape, dtype)
        gw = None if grad_weights is None else cotangent(grad_weights, "grad_weights", (n_edges, *lead), dtype)
        g_mixed, gp = pull_f(g)
        gq, gk, gv = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
        gm = {n: np.zeros((n_edges, *a.shape[1:]), a.dtype) for n, a in metadata.by_key.items() if n in DIFFERENTIABLE}
        for chunk, pull in kept:
            c_pull = pull if pull is not None else _run_chunk(job, chunk, False)[2]
            g_c = np.moveaxis(g_mixed[..., chunk.nodes, :], -2, 0)[..., None, :]
            c = c_pull(g_c, _chunk_weights(gw, chunk, heads is not None))
            flat = graph.indices[chunk.edges].reshape(-1)
            _scatter(gq, chunk.nodes, c.q)
            _scatter(gk, flat, c.k)
            _scatter(gv, flat, c.v)
            gp = add_grads(gp, c.parameters)
            for name, a in c.metadata.items():
                if name in gm:
                    gm[name][_real(chunk.edges, chunk)] += _real(a, chunk)
        g_q, g_k, g_v, gp_p = pull_p(gq, gk, gv)
        gp = add_grads(gp, gp_p)
        parameters = {n: np.asarray(gp[n], a.dtype) if n in gp else np.zeros_like(a) for n, a in p.items()}
        return defaulted(g_q, g_k, g_v, parameters, gm, values is None, keys is None)

    return out, weights, pullback


class _Fused(NamedTuple):
    """Result and inputs of the graph kernel: output, q, k, v (V, [H,] d), weights (K, [H]) or None, and the scores."""

    out: np.ndarray
    weights: np.ndarray | None
    q: np.ndarray
    k: np.ndarray
    v: np.ndarray
    scores: EdgeScores


def attend_into(
    attn: Mechanism, graph: NeighborGraph, qkv: Arrays, out: np.ndarray, weights: np.ndarray | None, gain: np.ndarray
) -> bool | None:
    """Compute `Attention._attend_into` by the graph kernel."""
    finishes = type(attn)._finish is not Mechanism._finish
    if finishes or attn.is_causal or not graph.indices.size or not simd.has_kernels(out.dtype):
        return False
    p = attn._params(out.dtype)
    metadata = graph_metadata(attn, graph, out.dtype)
    projected = attn._project_edges(*qkv, p)
    if projected is None:
        return False
    job = _Job(attn, graph.indices, *projected[0], metadata, None, p)
    scores = attn._edge_scores(job.q, job.k, graph, metadata, p)
    if scores is None or scores.gain is not None:
        return False
    found = _in_kernel(job, graph, scores, False, gain=gain, out=out, mixture=weights)
    return None if found is None else True


def _nodes_first(x: np.ndarray) -> np.ndarray:
    """Swap the axes of ([H,] V, d) to (V, [H,] d), or back."""
    return x if x.ndim == 2 else x.swapaxes(0, 1)


def _fused(job: _Job, graph: NeighborGraph, need_weights: bool) -> _Fused | None:
    """Compute all neighbourhoods in one call of the graph kernel, or return None if the kernel does not apply."""
    scores = job.attn._edge_scores(job.q, job.k, graph, job.metadata, job.p)
    return None if scores is None else _in_kernel(job, graph, scores, need_weights, gain=scores.gain)


def _in_kernel(
    job: _Job, graph: NeighborGraph, scores: EdgeScores, need_weights: bool, **added: np.ndarray | None
) -> _Fused | None:
    q, k, v = (_nodes_first(x) for x in (scores.q, scores.k, job.v))
    lists = graph.indptr, graph.indices
    options: dict[str, Any] = {"bias": scores.bias, "rotation": scores.rotation, "plain": scores.plain, **added}
    found = simd.graph_attention(q, k, v, *lists, scores.factor, need_weights, **options)
    return None if found is None else _Fused(found[0], found[1], q, k, v, scores)


def _finish_fused(
    job: _Job,
    graph: NeighborGraph,
    f: _Fused,
    pull_p: Callable[..., Any],
    values_default: bool,
    keys_default: bool,
) -> tuple[np.ndarray, np.ndarray | None, Callable[..., Gradients]]:
    out, pull_f = job.attn._finish(_nodes_first(f.out), job.p)

    def pullback(grad_output: ArrayLike, grad_weights: ArrayLike | None = None) -> Gradients:
        g = cotangent(grad_output, "grad_output", out.shape, out.dtype)
        g_mixed, gp = pull_f(g)
        g_mixed, g_gain, gain = np.ascontiguousarray(_nodes_first(g_mixed)), None, f.scores.gain
        if gain is not None:
            along = np.einsum("v...e,v...e->v...", g_mixed, f.out)
            g_gain = np.divide(along, gain, out=np.zeros_like(along), where=gain != 0)
            g_mixed = g_mixed * gain[..., None]
        pull_s = f.scores.pull
        # The kernel adds the gradient of a defaulted input directly to that of the input it defaults to. If queries and
        # keys also have the same projection, its pullback runs once.
        joined = pull_p is unprojected and pull_s is None
        shared = keys_default and f.q is f.k and pull_s is None
        *grads, gs = _fused_gradients(graph, f, g_mixed, grad_weights, shared, joined and values_default)
        if joined:
            by_query, by_key, by_value = (np.zeros(f.q.shape, out.dtype) if a is None else a for a in grads)
            return Gradients(by_query, by_key, by_value, {})
        g_q, g_k, g_v = (None if a is None else _nodes_first(a) for a in grads)
        gm: Grads = {}
        if pull_s is not None:
            g_q, g_k, gp_s, gm = pull_s(g_q, g_k, gs, g_gain)
            gp = add_grads(gp, gp_s)
        g_q, g_k, g_v, gp_p = pull_p(g_q, g_k, g_v)
        gp = add_grads(gp, gp_p)
        parameters = {n: gp[n] if n in gp else np.zeros_like(a) for n, a in job.p.items()}
        return defaulted(g_q, g_k, g_v, parameters, gm, values_default, keys_default)

    return out, f.weights, pullback


def _fused_gradients(
    graph: NeighborGraph,
    f: _Fused,
    g: np.ndarray,
    grad_weights: ArrayLike | None,
    keys_are_queries: bool,
    values_are_keys: bool,
) -> tuple[np.ndarray | None, ...]:
    """Return the gradients of q, k and v (V, [H,] d) and of the scores (K, [H]).

    With ``keys_are_queries`` the gradient of k is added to that of q, and with ``values_are_keys`` that of v to that of
    k; the gradient that was added is returned as None.
    """
    assert f.weights is not None
    options: dict[str, Any] = {"keys_are_queries": keys_are_queries, "values_are_keys": values_are_keys}
    if f.scores.plain:
        rows = np.flatnonzero(np.diff(graph.indptr))
        edge = graph.indptr[rows]
        options["totals"] = np.ones((len(f.q), 1), f.q.dtype)
        first = np.einsum("vd,vd->v", f.q[rows], f.k[graph.indices[edge]])
        options["totals"][rows, 0] = first / f.weights[edge]
    if grad_weights is not None:
        options["grad_weights"] = cotangent(grad_weights, "grad_weights", f.weights.shape, g.dtype)
    if f.scores.rotation is not None:
        options["rotation"] = f.scores.rotation
    return simd.graph_attention_vjp(f.q, f.k, f.v, graph, f.weights, g, f.scores.factor, **options)


def defaulted(
    g_q: np.ndarray,
    g_k: np.ndarray | None,
    g_v: np.ndarray | None,
    parameters: dict[str, np.ndarray],
    metadata: dict[str, np.ndarray],
    values_default: bool,
    keys_default: bool,
) -> Gradients:
    """Add the gradients of inputs that were not given to those of the inputs they default to, in place.

    `g_k` or `g_v` is None if it was added before.
    """
    if values_default and g_v is not None:
        g_k = g_v if g_k is None else np.add(g_k, g_v, out=g_k)
    if values_default or g_v is None:
        g_v = np.zeros(g_q.shape, g_q.dtype)  # unlike zeros_like, np.zeros does not touch the memory
    if keys_default and g_k is not None:
        g_q += g_k
    if keys_default or g_k is None:
        g_k = np.zeros(g_q.shape, g_q.dtype)
    return Gradients(g_q, g_k, g_v, parameters, metadata)


def check_graph(graph: NeighborGraph) -> None:
    """Raise an error if `graph` is not a `NeighborGraph`."""
    if not isinstance(graph, NeighborGraph):
        raise InvalidConfigError.of("graph", "a NeighborGraph", type(graph).__name__)


def check_nodes(
    attn: Mechanism, graph: NeighborGraph, queries: ArrayLike, keys: ArrayLike | None, values: ArrayLike | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Check the graph and return the checked per-node arrays. Keys default to the queries, values to the keys."""
    check_graph(graph)
    arrays: list[np.ndarray] = []
    for name, x in (("queries", queries), ("keys", keys), ("values", values)):
        if x is None and arrays:
            arrays.append(arrays[-1])
            continue
        a = as_float(x, name)
        check_ndim(a, name, 2, 2)
        check_nonempty(a, name)
        check_length(a, name, 0, graph.num_nodes, "one row per node")
        if name != "values" or not attn.any_value_width:
            check_length(a, name, 1, attn.dim, "the mechanism's dim")
        arrays.append(a)
    if attn.check_finite and not all_finite(*arrays[: 1 + (keys is not None)], *arrays[2 : 2 + (values is not None)]):
        for name, a in zip(("queries", "keys", "values"), arrays, strict=True):
            check_finite(a, name)
    q, k, v = common_dtype(*arrays)
    return q, k, v


def graph_metadata(attn: Mechanism, graph: NeighborGraph, dtype: np.dtype[Any]) -> GraphData:
    """Return the metadata that a mechanism reads from the graph."""
    per_edge: dict[str, np.ndarray] = {}
    per_key: dict[str, np.ndarray] = {}
    per_query: dict[str, np.ndarray] = {}
    for name in dict.fromkeys(attn.needed + attn.used):
        if name in ("edge_features", "edge_weights", "distances"):
            value = getattr(graph, name)
            if value is not None:
                per_edge[name] = value.astype(dtype, copy=False)
        elif name == "hnsw_layers" and graph.layers is not None:
            per_key[name] = graph.layers
        elif name == "query_layer" and graph.layers is not None:
            per_query[name] = graph.layers
        elif name in ("structural_features", "query_structural"):
            features = graph.structural_features().astype(dtype, copy=False)
            (per_key if name == "structural_features" else per_query)[name] = features
    found = per_edge | per_key | per_query
    for name in attn.needed:
        if name not in found:
            field = "layers" if name in ("hnsw_layers", "query_layer") else name
            raise InvalidConfigError.of(f"graph.{field}", field, None, text=f"{field}, which {attn.key} needs")
    attn._check_metadata(found)
    return GraphData(per_edge, per_key, per_query)


def _real(x: np.ndarray, chunk: Chunk) -> np.ndarray:
    """Return the entries of the edges that exist: (n, d, ...) → (edges, ...)."""
    return x.reshape(-1, *x.shape[2:]) if chunk.valid is None else x[chunk.valid]


def _store_weights(weights: np.ndarray, chunk: Chunk, w: np.ndarray) -> None:
    w = w[..., 0, :]  # (n, d) or (n, H, d)
    if w.ndim == 3:
        w = w.swapaxes(1, 2)
    weights[_real(chunk.edges, chunk)] = _real(w, chunk)


def _chunk_weights(gw: np.ndarray | None, chunk: Chunk, heads: bool) -> np.ndarray | None:
    if gw is None:
        return None
    g = gw[chunk.edges]  # (n, d) or (n, d, H)
    if chunk.valid is not None:
        g = g * (chunk.valid[..., None] if heads else chunk.valid)
    return np.asarray(g.swapaxes(1, 2)[:, :, None, :] if heads else g[:, None, :])


def _scatter(target: np.ndarray, index: np.ndarray, g: np.ndarray) -> None:
    """Add gradients (n, [H,] m, d) of gathered rows back to per-node `target` ([H,] V, d)."""
    if target.ndim == 3:
        rows = np.ascontiguousarray(g.swapaxes(1, 2)).reshape(-1, target.shape[0], g.shape[-1])
        simd.scatter_add(target.swapaxes(0, 1), index, rows)
    else:
        simd.scatter_add(target, index, g.reshape(-1, g.shape[-1]))

"""Laws of a mechanism over a graph."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..graph import NeighborGraph
from ..mechanisms._base import Attention
from ._case import Case, close
from .finite_differences import compare, tangent


def _example_graph(case_inputs: dict[str, Any], rng: np.random.Generator) -> NeighborGraph:
    """Return a small directed graph over the example's rows, with an isolated node and the edge data it needs."""
    n = case_inputs["keys"].shape[0] + 1
    pairs = [(j, i) for i in range(n - 1) for j in range(n) if j != i and rng.random() < 0.4 + 0.1 * (i % 3)]
    pairs += [(1, 0)] if not pairs else []
    edges = np.array(pairs, np.int64).T
    metadata = case_inputs.get("metadata")
    count = edges.shape[1]
    extra: dict[str, Any] = {}
    if metadata is not None:
        if metadata.edge_features is not None:
            extra["edge_features"] = rng.standard_normal((count, np.shape(metadata.edge_features)[-1]))
        if metadata.edge_weights is not None:
            extra["edge_weights"] = rng.random(count) + 0.5
        if metadata.distances is not None:
            extra["distances"] = rng.random(count) + 0.5
        if metadata.hnsw_layers is not None or metadata.query_layer is not None:
            extra["layers"] = rng.integers(0, 3, n)
    return NeighborGraph.from_edge_index(edges, n, **extra)


def _nodes(case: Case) -> np.ndarray:
    return np.concatenate([case.inputs["query"][None], case.inputs["keys"]])


def attend_is_loop(case: Case) -> None:
    graph = _example_graph(case.inputs, case.rng)
    x = _nodes(case)
    values = np.concatenate([case.inputs["values"][:1], case.inputs["values"]])
    out, weights = case.attn.attend(graph, x, x, values, need_weights=True)
    if case.attn.rows_are_positions:  # in the loop every node would have position 0
        return
    loop_out, loop_weights = _attend_loop(case.attn, graph, x, x, values)
    close(out, loop_out, 1e-9, "attend against a loop over nodes")
    close(weights, loop_weights, 1e-9, "weights of attend against a loop over nodes")


def _attend_loop(
    attn: Attention, graph: NeighborGraph, queries: np.ndarray, keys: np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Compute `attend` by its definition: one `forward` per node over its neighbours."""
    outputs: list[np.ndarray] = []
    weights: list[np.ndarray] = []
    busy = int(np.argmax(np.diff(graph.indptr)))
    for i in range(graph.num_nodes):
        empty = graph.indptr[i] == graph.indptr[i + 1]
        source = busy if empty else i  # a node without neighbours attends to masked keys only
        row = graph.indices[graph.indptr[source] : graph.indptr[source + 1]]
        metadata = attn._node_metadata(graph, i, source, keys, values)
        mask = np.zeros(row.size, bool) if empty else None
        out, w = attn.forward(queries[i], keys[row], values[row], attn_mask=mask, metadata=metadata, need_weights=True)
        outputs.append(out)
        if not empty:
            weights.append(w if w.ndim == 1 else w.T)
    return np.stack(outputs), np.concatenate(weights)


def attend_gradients(case: Case) -> None:
    rng = case.rng
    graph = _example_graph(case.inputs, case.rng)
    x = _nodes(case)
    y, pullback = case.attn.attend_vjp(graph, x)
    g_out = rng.standard_normal(y.shape)
    g = pullback(g_out)
    scale = 1e-3 * float(np.linalg.norm(g.query))
    for _ in range(3):
        d = rng.standard_normal(x.shape)
        reference = float(tangent(lambda t, d=d: float(np.vdot(g_out, case.attn.attend(graph, x + t * d)))))  # type: ignore[misc]
        compare(float(np.vdot(g.query, d)), reference, 1e-6, scale, "nodes")
    for name, value in case.attn.parameters().items():
        d = rng.standard_normal(value.shape)
        reference = float(
            tangent(
                lambda t, d=d, v=value, nm=name: float(  # type: ignore[misc]
                    np.vdot(g_out, case.attn.with_parameters({nm: v + t * d}).attend(graph, x))
                )
            )
        )
        compare(float(np.vdot(g.parameters[name], d)), reference, 1e-6, scale, f"parameter {name}")

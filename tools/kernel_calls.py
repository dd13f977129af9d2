"""The calls of the table that gen_kernel_cases.py writes: names, arguments and options, including invalid calls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import graphattend as ga


class Numbers:
    """Random numbers with few digits, so that the table is small and identical on all machines."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def __call__(self, *shape: int, size: float = 1.0) -> np.ndarray:
        return (self.rng.integers(-99, 100, shape) / 100 * size).astype(np.float32)

    def mask(self, *shape: int) -> np.ndarray:
        return self.rng.random(shape) < 0.7

    def ball(self, *shape: int, size: float = 0.9) -> np.ndarray:
        x = self.rng.normal(size=shape)
        radius = self.rng.uniform(0, size, (*shape[:-1], 1))
        return np.round(x / np.linalg.norm(x, axis=-1, keepdims=True) * radius, 3).astype(np.float32)

    def csr(self, rows: int, targets: int) -> dict[str, np.ndarray]:
        degrees = self.rng.integers(0, 6, rows)
        indices = [self.rng.choice(targets, min(d, targets), replace=False) for d in degrees]
        starts = np.concatenate([[0], np.cumsum([len(x) for x in indices])])
        return {"indptr": starts.astype(np.int32), "indices": np.concatenate(indices).astype(np.int32)}


def _with(x: np.ndarray, at: Any, value: float) -> np.ndarray:
    y = x.copy()
    y[at] = value
    return y


def attention_calls(n: Numbers) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield name, arguments and options of calls of scaled dot-product attention."""
    q, k, v = n(5, 7), n(9, 7), n(9, 3)
    three = {"query": q, "key": k, "value": v}
    yield "matrices", three, {}
    yield "one query", {**three, "query": q[0]}, {}
    yield "one query, weights and lse", {**three, "query": q[0]}, {"return_weights": True, "return_lse": True}
    yield "scale", three, {"scale": 2.5}
    yield "causal", three, {"is_causal": True}
    yield "many rows, causal", {"query": n(40, 16), "key": n(33, 16), "value": n(33, 20)}, {"is_causal": True}
    yield "boolean mask", three, {"attn_mask": n.mask(5, 9)}
    yield "mask by key", three, {"attn_mask": n.mask(9)}
    yield (
        "a row that sees nothing",
        three,
        {"attn_mask": _with(n.mask(5, 9), 2, False), "return_weights": True, "return_lse": True},
    )
    float_mask = _with(n(5, 9, size=3.0), (1, 3), -np.inf)
    yield "float mask", three, {"attn_mask": float_mask}
    yield "float mask and causal", three, {"attn_mask": float_mask, "is_causal": True, "return_weights": True}
    yield (
        "leading axes broadcast",
        {"query": n(2, 1, 4, 8), "key": n(3, 6, 8), "value": n(2, 3, 6, 5)},
        {"attn_mask": n.mask(3, 1, 6)},
    )
    yield (
        "grouped queries",
        {"query": n(2, 4, 3, 8), "key": n(2, 2, 6, 8), "value": n(2, 2, 6, 4)},
        {"enable_gqa": True, "attn_mask": n.mask(4, 3, 6)},
    )
    hidden = n.mask(5, 9)
    hidden[:, [2, 6]] = False
    bad = {"query": q, "key": _with(k, (2, 1), np.nan), "value": _with(v, (6, 0), np.inf)}
    yield "hidden keys hold NaN", bad, {"attn_mask": hidden, "return_weights": True}
    yield "hidden keys hold NaN, fused", bad, {"attn_mask": hidden}
    yield "NaN that some rows see", {**three, "key": _with(k, (4, 0), np.nan)}, {"is_causal": True}
    yield "NaN without a mask", {**three, "value": _with(v, (4, 0), np.nan)}, {}
    yield "softcap", three, {"softcap": 0.8, "scale": 3.0}
    capped = {"softcap": 0.5, "attn_mask": n.mask(5, 9), "return_weights": True, "return_lse": True}
    yield "softcap, weights and lse", three, capped
    yield "softcap and a float mask", three, {"softcap": 2.0, "attn_mask": float_mask}
    yield "large scores", {"query": n(3, 4, size=1000), "key": n(6, 4, size=1000), "value": n(6, 2)}, {}


def heads_calls(n: Numbers) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield calls of multi-head attention."""

    def parameters(*widths: int, biases: bool) -> dict[str, np.ndarray]:
        dq, dk, dv, d, do = widths
        p = {"w_q": n(dq, d), "w_k": n(dk, d), "w_v": n(dv, d), "w_o": n(d, do)}
        return p | ({"b_q": n(d), "b_k": n(d), "b_v": n(d), "b_o": n(do)} if biases else {})

    p = parameters(8, 6, 5, 12, 8, biases=True)
    three = {"query": n(3, 8), "key": n(7, 6), "value": n(7, 5), "parameters": p}
    yield "one query", {**three, "query": n(8)}, {"num_heads": 4}
    yield "few rows", three, {"num_heads": 4}
    yield (
        "many rows, no biases",
        {**three, "query": n(30, 8), "parameters": parameters(8, 6, 5, 12, 8, biases=False)},
        {"num_heads": 3},
    )
    yield "many rows, weights", {**three, "query": n(15, 8)}, {"num_heads": 3, "need_weights": True}
    yield "weights", three, {"num_heads": 2, "need_weights": True}
    yield "one query, weights", {**three, "query": n(8)}, {"num_heads": 2, "need_weights": True}
    batch = {"query": n(2, 3, 8), "key": n(2, 7, 6), "value": n(2, 7, 5), "parameters": p}
    yield "batch", batch, {"num_heads": 2}
    yield "mask of each batch", batch, {"num_heads": 3, "attn_mask": n.mask(2, 3, 7)}
    yield "padding", batch, {"num_heads": 2, "key_padding_mask": n.mask(2, 7)}
    yield (
        "both masks",
        batch,
        {"num_heads": 2, "attn_mask": _with(n(2, 3, 7), (0, 1, 2), -np.inf), "key_padding_mask": n.mask(2, 7)},
    )
    seen = np.ones((2, 7), bool)
    seen[:, 5] = False
    yield (
        "hidden NaN",
        {**batch, "key": _with(batch["key"], (0, 5, 1), np.nan), "value": _with(batch["value"], (1, 5), np.nan)},
        {"num_heads": 2, "key_padding_mask": seen},
    )
    one = {"query": n(1, 8), "key": n(9, 6), "value": n(9, 5), "parameters": p}
    hidden = one | {"key": _with(one["key"], (4, 1), np.nan)}
    seen = np.arange(9) != 4
    for given, name in ((one, "one query"), (hidden, "one query, hidden NaN")):
        for need_weights in (False, True):
            more = {"num_heads": 2, "need_weights": need_weights}
            yield f"{name}, mask{', weights' * need_weights}", given, {"attn_mask": seen[None], **more}
    yield "one query, added mask", one, {"num_heads": 2, "attn_mask": _with(n(1, 9), (0, 4), -np.inf)}
    yield "one query, nothing seen", one, {"num_heads": 2, "attn_mask": np.zeros((1, 9), bool)}


def graph_calls(n: Numbers) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield calls of attention over neighbour lists."""
    csr = n.csr(8, 8)
    k = csr["indices"].size
    x = {"graph": csr, "query": n(8, 6), "key": n(8, 6), "value": n(8, 3)}
    yield "nodes", x, {"need_weights": True}
    yield "edge bias", x, {"edge_bias": n(k), "scale": 1.5}
    heads = {"graph": csr, "query": n(8, 2, 6), "key": n(8, 2, 6), "value": n(8, 2, 5)}
    yield "heads", heads, {"need_weights": True}
    yield "heads, edge bias", heads, {"edge_bias": n(k, 2)}
    yield (
        "rectangular",
        {"graph": n.csr(5, 9), "query": n(5, 6), "key": n(9, 6), "value": n(9, 4)},
        {"need_weights": True},
    )
    yield (
        "no edges",
        {**x, "graph": {"indptr": np.zeros(9, np.int32), "indices": np.zeros(0, np.int32)}},
        {"need_weights": True},
    )
    hidden = _with(n(k), csr["indices"] == csr["indices"][0], -np.inf)
    yield (
        "hidden edges lead to NaN",
        {**x, "value": _with(x["value"], csr["indices"][0], np.nan)},
        {"edge_bias": hidden, "need_weights": True},
    )


def other_calls(n: Numbers) -> Iterator[tuple[str, str, dict[str, Any], dict[str, Any]]]:
    """Yield calls of functions without gradients in JavaScript."""
    yield "softmax", "last axis", {"x": n(3, 5, size=9.0)}, {}
    yield "softmax", "an axis within", {"x": n(2, 5, 3, size=9.0)}, {"axis": 1}
    yield "softmax", "first axis", {"x": n(4, 3)}, {"axis": -2}
    yield "softmax", "infinities", {"x": np.array([[-np.inf, -np.inf], [-np.inf, 2], [np.nan, 1]], np.float32)}, {}
    yield "softmax", "large", {"x": np.array([1e4, 1e4, -1e4], np.float32)}, {}
    yield "segment_softmax", "edges", {"scores": n(11, size=5.0), "indptr": np.array([0, 3, 3, 7, 11], np.int32)}, {}
    yield "segment_softmax", "heads", {"scores": n(11, 5, size=5.0), "indptr": np.array([0, 3, 3, 7, 11], np.int32)}, {}
    yield "segment_softmax", "nothing", {"scores": np.zeros(0, np.float32), "indptr": np.zeros(1, np.int32)}, {}
    yield "matmul", "matrices", {"a": n(7, 5), "b": n(5, 9)}, {}
    yield "matmul", "one row", {"a": n(1, 5), "b": n(5, 9)}, {}
    yield "matmul", "vector left", {"a": n(5), "b": n(5, 9)}, {}
    yield "matmul", "vector right", {"a": n(7, 5), "b": n(5)}, {}
    yield "matmul", "batches", {"a": n(2, 1, 7, 5), "b": n(3, 5, 4)}, {}
    yield "matmul", "transposed left", {"a": n(5, 7), "b": n(5, 9)}, {"transpose_a": True}
    yield "matmul", "transposed right", {"a": n(7, 5), "b": n(9, 5)}, {"transpose_b": True}
    yield "matmul", "transposed both", {"a": n(5, 17), "b": n(9, 5)}, {"transpose_a": True, "transpose_b": True}
    yield "matmul", "nothing to sum", {"a": np.zeros((2, 0), np.float32), "b": np.zeros((0, 3), np.float32)}, {}
    x = n(3, 4, 8)
    yield "rotary", "positions of tokens", {"x": x, "positions": np.arange(4).astype(np.float32)}, {}
    yield "rotary", "halves", {"x": x, "positions": n(3, 4, size=50.0)}, {"interleaved": False}
    yield "rotary", "odd width, one position", {"x": n(4, 7), "positions": np.array(2.5, np.float32)}, {"base": 100.0}
    yield "rotary", "base below one", {"x": n(2, 6), "positions": n(2, size=3.0)}, {"base": 0.5}
    points, centre = n.ball(9, 3), n.ball(4, 3)
    yield (
        "hyperbolic_attention",
        "one query",
        {"query": centre[0], "keys": points, "values": n.ball(9, 3)},
        {"need_weights": True},
    )
    yield (
        "hyperbolic_attention",
        "rows",
        {"query": centre, "keys": points, "values": points},
        {"curvature": -0.5, "temperature": 0.3},
    )
    yield (
        "hyperbolic_attention",
        "mask",
        {"query": centre, "keys": points, "values": points},
        {"attn_mask": _with(n.mask(4, 9), 1, False), "need_weights": True},
    )
    yield (
        "hyperbolic_attention",
        "float mask",
        {"query": centre, "keys": points, "values": points},
        {"attn_mask": n(4, 9)},
    )
    yield (
        "hyperbolic_attention",
        "batch",
        {"query": n.ball(2, 4, 3), "keys": points, "values": n.ball(2, 9, 3)},
        {"curvature": -1.1},
    )
    many = {"query": n.ball(2, 17), "keys": n.ball(70, 17), "values": n.ball(70, 17)}
    yield "hyperbolic_attention", "many keys", many, {"curvature": -0.4, "need_weights": True}
    near = np.array([[0.999, 0, 0, 0], [0, 0.9, 0, 0]], np.float32)
    alone = {"query": near, "keys": near, "values": near}
    yield "hyperbolic_attention", "a point near the rim", alone, {"temperature": 0.01, "need_weights": True}
    # Keys outside the ball would be moved to its boundary, where distances depend on the last digit.
    outside = {"query": centre * 3, "keys": points, "values": _with(points, 2, 0.9)}
    yield "hyperbolic_attention", "points outside", outside, {"need_weights": True}
    rows = {"query": n(10, 6), "keys": n(12, 6), "values": n(12, 4)}
    yield "local_global_attention", "window", rows, {"window": 2}
    yield "local_global_attention", "window of one", rows, {"window": 0, "need_weights": True}
    yield "local_global_attention", "global keys", rows, {"window": 1, "global_nodes": [7, 3], "need_weights": True}
    yield "local_global_attention", "first keys", rows, {"window": 1, "global_nodes": 2, "temperature": 0.5}
    yield "local_global_attention", "no window", rows, {"window": None, "scale": 0.7, "need_weights": True}
    yield "local_global_attention", "one query", {**rows, "query": n(6)}, {"window": 3, "global_nodes": [11]}
    yield (
        "local_global_attention",
        "boolean mask",
        rows,
        {"window": 3, "attn_mask": n.mask(10, 12), "need_weights": True},
    )
    yield "local_global_attention", "float mask", rows, {"window": 3, "attn_mask": _with(n(10, 12), (4, 4), -np.inf)}
    yield (
        "local_global_attention",
        "batch",
        {"query": n(2, 10, 6), "keys": n(12, 6), "values": n(2, 12, 4)},
        {"window": 2, "global_nodes": [0]},
    )
    keys = n(6, 8)
    for label, quantizer in {
        "symmetric": ga.compression.Quantizer(bits=8),
        "affine": ga.compression.Quantizer(bits=8, symmetric=False),
        "rows": ga.compression.Quantizer(bits=8, granularity="row", symmetric=False),
        "groups": ga.compression.Quantizer(bits=4, granularity="group", group_size=3),
    }.items():
        made = quantizer.encode(keys)
        parts = {
            "codes": made.codes,
            "scale": np.asarray(made.scale, np.float32),
            "zero_point": np.asarray(made.zero_point, np.int8),
            "group_size": made.group_size,
        }
        yield "quantized_attention", label, {"query": n(3, 8), "keys_q8": parts, "values": n(6, 5)}, {}
    nodes = {"query": n(4, 6), "key": n(7, 6)}
    p = {"w": n(2, 6, 3), "a_query": n(2, 3), "a_key": n(2, 3)}
    yield "gat_attention", "gat", {**nodes, "parameters": p}, {"need_weights": True}
    yield (
        "gat_attention",
        "one query, one head",
        {"query": n(6), "key": n(7, 6), "parameters": {"w": n(6, 3), "a_query": n(3), "a_key": n(3)}},
        {"need_weights": True},
    )
    edges = {"edge_features": n(7, 2)}
    yield "gat_attention", "edges", {**nodes, "parameters": p | {"w_e": n(2, 2, 3), "a_edge": n(2, 3)}}, edges
    yield (
        "gat_attention",
        "averaged, with a bias",
        {**nodes, "parameters": p | {"bias": n(3)}},
        {"concat": False, "negative_slope": 0.1},
    )
    yield (
        "gat_attention",
        "mask",
        {**nodes, "parameters": p | {"bias": n(6)}},
        {"attn_mask": n.mask(4, 7), "need_weights": True},
    )
    p2 = {"w_query": n(2, 6, 5), "w_key": n(2, 6, 5), "a": n(2, 5)}
    yield "gat_attention", "gatv2", {**nodes, "parameters": p2}, {"variant": "gatv2", "need_weights": True}
    yield (
        "gat_attention",
        "gatv2, edges",
        {**nodes, "parameters": p2 | {"w_e": n(2, 2, 5)}},
        edges | {"variant": "gatv2"},
    )
    yield "gat_attention", "batch", {"query": n(2, 4, 6), "key": n(2, 7, 6), "parameters": p2}, {"variant": "gatv2"}


def gat_graph_calls(n: Numbers) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Yield calls of GAT and GATv2 over neighbour lists."""
    csr = n.csr(8, 8)
    layer = {"graph": csr, "x": n(8, 6)}
    features = {"edge_features": n(csr["indices"].size, 2)}
    p = {"w": n(2, 6, 3), "a_query": n(2, 3), "a_key": n(2, 3)}
    edges = {"w_e": n(2, 2, 3), "a_edge": n(2, 3)}
    p2 = {"w_query": n(2, 6, 5), "w_key": n(2, 6, 5), "a": n(2, 5)}
    nothing = {"indptr": np.zeros(9, np.int32), "indices": np.zeros(0, np.int32)}
    yield "graph", {**layer, "parameters": p}, {"need_weights": True}
    yield "graph, averaged, with a bias", {**layer, "parameters": p | {"bias": n(3)}}, {"concat": False}
    yield (
        "graph, one head",
        {**layer, "parameters": {"w": n(6, 4), "a_query": n(4), "a_key": n(4), "bias": n(4)}},
        {"negative_slope": 0.0},
    )
    yield "graph, edges", {**layer, "parameters": p | edges}, features | {"negative_slope": 0.3}
    yield "graph without edges", {**layer, "graph": nothing, "parameters": p | {"bias": n(6)}}, {"need_weights": True}
    v2 = {"variant": "gatv2"}
    yield "graph, gatv2", {**layer, "parameters": p2}, v2 | {"need_weights": True}
    yield "graph, gatv2, averaged, with a bias", {**layer, "parameters": p2 | {"bias": n(5)}}, v2 | {"concat": False}
    yield (
        "graph, gatv2, one head",
        {**layer, "parameters": {"w_query": n(6, 4), "w_key": n(6, 4), "a": n(4)}},
        v2 | {"negative_slope": 0.1},
    )
    yield (
        "graph, gatv2, edges",
        {**layer, "parameters": p2 | {"w_e": n(2, 2, 5), "bias": n(10)}},
        v2 | features | {"need_weights": True},
    )
    yield "graph without edges, gatv2", {**layer, "graph": nothing, "parameters": p2}, v2


def bad_calls(n: Numbers) -> Iterator[tuple[str, str, dict[str, Any], dict[str, Any]]]:
    """Yield invalid calls, which raise errors of the same code, argument and message on both sides."""
    q, k, v = n(2, 3), n(4, 3), n(4, 2)
    sdpa = "scaled_dot_product_attention"
    yield sdpa, "widths", {"query": q, "key": n(4, 5), "value": v}, {}
    yield sdpa, "numbers of keys", {"query": q, "key": k, "value": n(5, 2)}, {}
    yield sdpa, "no rows", {"query": q, "key": n(0, 3), "value": n(0, 2)}, {}
    yield sdpa, "mask", {"query": q, "key": k, "value": v}, {"attn_mask": n.mask(3, 4)}
    yield sdpa, "mask with NaN", {"query": q, "key": k, "value": v}, {"attn_mask": np.full((2, 4), np.nan, np.float32)}
    yield sdpa, "batches", {"query": n(2, 2, 3), "key": n(3, 4, 3), "value": n(3, 4, 2)}, {}
    yield sdpa, "heads", {"query": n(3, 2, 3), "key": n(2, 4, 3), "value": n(2, 4, 2)}, {"enable_gqa": True}
    yield "softmax", "no axis", {"x": n(2, 3)}, {"axis": 2}
    yield "softmax", "nothing", {"x": n(0)}, {}
    yield "segment_softmax", "row starts", {"scores": n(4), "indptr": np.array([0, 3, 2, 4], np.int32)}, {}
    yield "rotary", "positions", {"x": n(3, 4), "positions": n(5)}, {}
    p = {name: n(4, 4) for name in ("w_q", "w_k", "w_v", "w_o")}
    x = {"query": n(2, 4), "key": n(3, 4), "value": n(3, 4)}
    yield "multi_head_attention", "heads", {**x, "parameters": p}, {"num_heads": 3}
    yield "multi_head_attention", "the key's width", {**x, "parameters": p | {"w_k": n(5, 4)}}, {"num_heads": 2}
    yield "multi_head_attention", "bias", {**x, "parameters": p | {"b_q": n(3)}}, {"num_heads": 2}
    yield "multi_head_attention", "padding", {**x, "parameters": p}, {"num_heads": 2, "key_padding_mask": n.mask(4)}
    yield (
        "hyperbolic_attention",
        "curvature",
        {"query": n.ball(2, 3), "keys": n.ball(4, 3), "values": n.ball(4, 3)},
        {"curvature": 0.5},
    )
    yield (
        "local_global_attention",
        "global nodes",
        {"query": q, "keys": k, "values": v},
        {"window": 1, "global_nodes": [4]},
    )
    yield (
        "quantized_attention",
        "width",
        {
            "query": q,
            "keys_q8": {
                "codes": np.ones((4, 5), np.int8),
                "scale": np.array(1.0, np.float32),
                "zero_point": np.array(0, np.int8),
                "group_size": None,
            },
            "values": v,
        },
        {},
    )


def all_calls() -> Iterator[tuple[str, str, dict[str, Any], dict[str, Any], bool]]:
    with_gradients = {
        "scaled_dot_product_attention": attention_calls(Numbers(1)),
        "multi_head_attention": heads_calls(Numbers(2)),
        "graph_attention": graph_calls(Numbers(3)),
        "gat_attention": gat_graph_calls(Numbers(7)),
    }
    for call, calls in with_gradients.items():
        for label, args, options in calls:
            yield call, label, args, options, True
    for call, label, args, options in other_calls(Numbers(4)):
        yield call, label, args, options, False

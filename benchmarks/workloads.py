"""The workloads of `make bench`; the same file runs in CPython and in Pyodide.

This file has every contender that Python can call; `peers.mjs` adds those of JavaScript on the same data and compares
their results with ours.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import sys
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np

import graphattend as ga
from benchmarks import peak_loop, timing
from graphattend import mechanisms, simd
from graphattend.simd import graph_ops, kernel_ops, metric_ops

Array = np.ndarray
Call = timing.Call

HEADS = 4
DIM = 128
#: Natively NumPy's einsum is many times slower than its `@`, so larger products omit it as a contender.
IN_PYODIDE = sys.platform == "emscripten"
NODES, EDGES = 2708, 10556
#: Contender of every workload in Pyodide: the peak loop.
PEAK = "peak"
F32 = np.float32


@dataclasses.dataclass(frozen=True)
class Workload:
    """One row: contenders by name, data for JavaScript's contenders, the expected result, and the cost."""

    calls: dict[str, Call]
    flops: float = 0.0
    kind: str = ""
    inputs: dict[str, Array] = dataclasses.field(default_factory=dict)
    sizes: dict[str, float] = dataclasses.field(default_factory=dict)
    expected: Array | None = None


def has_kernels() -> bool:
    """Return whether the kernels are in use."""
    return bool(simd.backend_info()["backend"] != "numpy")


@cache
def pytorch() -> Any:
    """Return PyTorch on one thread and without gradients, or None if it is not installed."""
    if importlib.util.find_spec("torch") is None:
        return None
    torch = importlib.import_module("torch")
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    return torch


def normal(*shape: int, seed: int = 0) -> Array:
    """Draw standard normal numbers in single precision."""
    return np.random.default_rng([seed, *shape]).standard_normal(shape).astype(F32)


def softmax(scores: Array) -> Array:
    """Compute softmax over rows in plain NumPy."""
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def by_matmul(q: Array, k: Array, v: Array, scale: float) -> Array:
    """Compute attention with NumPy's `@`."""
    return softmax((q @ k.T) * F32(scale)) @ v


def by_einsum(q: Array, k: Array, v: Array, scale: float) -> Array:
    """Compute attention with NumPy's einsum."""
    return np.einsum("...n,nd->...d", softmax(np.einsum("...d,nd->...n", q, k) * F32(scale)), v)


def attention(m: int, n: int, d: int, key: str = "scaled_dot_product") -> Workload:
    """Exact attention of m queries (0: one query without that axis) over n keys through the public class."""
    q, k, v = normal(max(m, 1), d), normal(n, d, seed=1), normal(n, d, seed=2)
    query = q if m else q[0]
    attn, scale = ga.create(key, d), d**-0.5
    calls: dict[str, Call] = {"graphattend": lambda: attn.forward(query, k, v)}
    if has_kernels():
        fused = (
            partial(kernel_ops.attention, scale=scale)
            if m
            else partial(simd.single, dim=d, scale=scale, check_finite=False)
        )
        calls["kernel"] = lambda: fused(query, k, v)
    calls["numpy"] = lambda: by_matmul(query, k, v, scale)
    if torch := pytorch():
        tensors = [torch.from_numpy(a)[None, None] for a in (q, k, v)]
        calls["torch"] = lambda: torch.nn.functional.scaled_dot_product_attention(*tensors)
    if IN_PYODIDE or not m:
        calls["einsum"] = lambda: by_einsum(query, k, v, scale)
    sizes = {"m": max(m, 1), "n": n, "d": d, "scale": scale}
    return Workload(
        calls, 4.0 * max(m, 1) * n * d, "attention", {"q": q, "k": k, "v": v}, sizes, calls["graphattend"]()
    )


def long_query() -> Workload:
    """One query over 100 000 keys, only to measure how our time grows."""
    found = attention(0, 100_000, DIM)
    return Workload({"graphattend": found.calls["graphattend"]}, found.flops)


def copied() -> Workload:
    """Single-query attention whose arrays come from JavaScript in each call; JavaScript measures the time."""
    found = attention(0, 1000, DIM)
    return dataclasses.replace(found, calls={}, kind="copied")


def backward() -> Workload:
    """Gradients of exact attention."""
    q, k, v, g = (normal(1024, 64, seed=i) for i in range(4))
    out, lse = simd.attention(q, k, v, scale=0.125)
    return Workload(
        {"graphattend": lambda: simd.attention_vjp(q, k, v, out, lse, g, scale=0.125)}, 10.0 * 1024 * 1024 * 64
    )


def heads(m: int) -> Workload:
    """Multi-head attention with projections of m queries (0: one query without that axis) over 1 000 keys."""
    q, k, v = normal(max(m, 1), DIM), normal(1000, DIM, seed=1), normal(1000, DIM, seed=2)
    query = q if m else q[0]
    attn = ga.create("multi_head", DIM, num_heads=HEADS)
    p = {name: np.ascontiguousarray(a, F32) for name, a in attn.parameters().items()}
    width = DIM // HEADS
    w_k, w_v = (p[name].reshape(DIM, HEADS, width).swapaxes(0, 1) for name in ("w_k", "w_v"))
    scale = F32(width**-0.5)

    def folded() -> Array:
        u = np.einsum("he,hde->hd", (query @ p["w_q"]).reshape(HEADS, width), w_k)
        w = softmax(np.einsum("hd,nd->hn", u, k) * scale)
        return np.einsum("hd,hde->he", np.einsum("hn,nd->hd", w, v), w_v).reshape(-1) @ p["w_o"]

    def split(x: Array, w: Array) -> Array:
        return (x @ w).reshape(-1, HEADS, width).swapaxes(0, 1)

    def projected() -> Array:
        s = softmax(split(q, p["w_q"]) @ split(k, p["w_k"]).swapaxes(1, 2) * scale)
        return (s @ split(v, p["w_v"])).swapaxes(0, 1).reshape(-1, DIM) @ p["w_o"]

    calls: dict[str, Call] = {"graphattend": lambda: attn.forward(query, k, v)}
    if has_kernels() and not m:
        calls["kernel"] = lambda: kernel_ops.multi_head_single(query, k, v, p, HEADS)
    calls |= {"numpy": projected} if m else {"einsum": folded}
    inputs = {"q": q, "k": k, "v": v, **{name: p[name] for name in ("w_q", "w_k", "w_v", "w_o")}}
    sizes = {"m": max(m, 1), "n": 1000, "d": DIM, "heads": HEADS, "scale": float(scale)}
    flops = 4.0 * m * 1000 * DIM + 4.0 * 1000 * DIM**2 if m else 4.0 * 1000 * DIM * HEADS
    return Workload(calls, flops + 4.0 * max(m, 1) * DIM**2, "heads", inputs, sizes, calls["graphattend"]())


def gemm(m: int, k: int, n: int) -> Workload:
    """A matrix product."""
    a, b = normal(m, k), normal(k, n, seed=1)
    calls: dict[str, Call] = {"graphattend": lambda: simd.matmul(a, b)}
    if not IN_PYODIDE or m * k * n <= 512**3:  # larger products take seconds per call
        calls["numpy"] = lambda: a @ b
        if IN_PYODIDE:
            calls["einsum"] = lambda: np.einsum("ij,kj->ik", a, b.T)
    # Plain JavaScript also takes seconds for the largest product, which only measures the share of the peak loop.
    kind = "gemm" if m * k * n <= 512**3 else ""
    return Workload(calls, 2.0 * m * k * n, kind, {"a": a, "b": b}, {"m": m, "k": k, "n": n}, calls["graphattend"]())


def rows() -> Workload:
    """Softmax over rows."""
    x = normal(1000, 1000)
    calls: dict[str, Call] = {"graphattend": lambda: simd.softmax(x), "numpy": lambda: softmax(x)}
    if torch := pytorch():
        tensor = torch.from_numpy(x)
        calls["torch"] = lambda: torch.softmax(tensor, -1)
    return Workload(calls, 0.0, "softmax", {"x": x}, {"m": 1000, "n": 1000}, calls["graphattend"]())


def graph_layer() -> Workload:
    """A graph attention layer (Veličković et al. 2018) on a random graph of Cora's size: 64 features, 8 heads of 8."""
    rng = np.random.default_rng(0)
    x, w, a_query, a_key = normal(NODES, 64), normal(8, 64, 8) / 8, normal(8, 8, seed=1), normal(8, 8, seed=2)
    sources = np.sort(rng.integers(0, NODES, EDGES))
    indptr = np.concatenate([[0], np.cumsum(np.bincount(sources, minlength=NODES))])
    indices = rng.integers(0, NODES, EDGES)
    starts = indptr[:-1][np.diff(indptr) > 0]
    nonempty = np.flatnonzero(np.diff(indptr))
    inverse = np.repeat(np.arange(len(nonempty)), np.diff(indptr)[nonempty])
    flat = np.ascontiguousarray(w.transpose(1, 0, 2).reshape(64, 64))

    def by_numpy() -> Array:
        h = (x @ flat).reshape(NODES, 8, 8)
        e = (h * a_query).sum(2)[sources] + (h * a_key).sum(2)[indices]
        e = np.maximum(e, F32(0.2) * e)
        e = np.exp(e - np.maximum.reduceat(e, starts)[inverse])
        e /= np.add.reduceat(e, starts)[inverse]
        out = np.zeros((NODES, 8, 8), F32)
        out[nonempty] = np.add.reduceat(e[:, :, None] * h[indices], starts)
        return out

    calls: dict[str, Call] = {"numpy": by_numpy}
    expected = by_numpy()
    if has_kernels():
        layer = lambda: graph_ops.gat_layer(x, w, a_query, a_key, indptr, indices)  # noqa: E731
        calls = {"graphattend": layer, **calls}
        assert np.allclose(layer()[0], expected, atol=1e-4)
    inputs = {"x": x, "w": flat, "a_query": a_query, "a_key": a_key}
    inputs |= {"indptr": indptr.astype(np.int32), "indices": indices.astype(np.int32)}
    sizes = {"nodes": NODES, "edges": EDGES, "d": 64, "heads": 8, "width": 8}
    return Workload(calls, 2.0 * NODES * 64 * 64 + 2.0 * EDGES * 64, "gat", inputs, sizes, expected)


def hyperbolic() -> Workload:
    """Attention in the Poincaré ball."""
    attn, call = example("hyperbolic")
    q, k, v = call["query"], call["keys"], call["values"]
    calls: dict[str, Call] = {"graphattend": lambda: attn.forward(q, k, v)}
    if has_kernels():
        space = metric_ops.metric([("poincare", DIM, -1.0)], [1.0], 1e-6)
        calls["kernel"] = lambda: metric_ops.attention(q[None], k, v, space)
    sizes = {"n": 1000, "d": DIM}
    return Workload(calls, 0.0, "hyperbolic", {"q": q, "k": k, "v": v}, sizes, calls["graphattend"]())


def single(x: Any) -> Any:
    """Convert arrays, also those of metadata, to single precision."""
    if isinstance(x, ga.GraphMetadata):
        return ga.GraphMetadata(**{name: single(a) for name, a in vars(x).items()})
    return x.astype(F32) if isinstance(x, Array) and x.dtype.kind == "f" else x


def example(key: str, n: int = 1000, dim: int = DIM) -> tuple[Any, dict[str, Any]]:
    """Return a mechanism's own example in single precision."""
    attn, call = mechanisms.mechanism_class(key).example(np.random.default_rng(0), n=n, dim=dim)
    return attn, {name: single(a) for name, a in call.items()}


def passes(forward: Call, others: dict[str, Call]) -> dict[str, Call]:
    """Return our forward pass, and the passes in `others` that the mechanism has."""
    calls = {"graphattend": forward}
    for name, call in others.items():
        try:
            call()
        except ga.AttentionError:
            continue
        calls[name] = call
    return calls


def mechanism(key: str) -> Workload:
    """A mechanism's own example in every kind of call (with weights, a mask, prepared keys, …), and dot products.

    "reading" reads every input number once, as every implementation has to.
    """
    attn, call = example(key)
    plain, dots = example("scaled_dot_product")
    about = {name: call[name] for name in ("query", "keys", "metadata") if name in call}
    mask = np.arange(len(call["keys"])) % 5 > 0
    prepared = {name: a for name, a in call.items() if name != "values"}
    prepared["keys"] = attn.prepare(call["keys"], call["values"])
    others: dict[str, Call] = {
        "sdpa": lambda: plain.forward(**dots),
        "weights": lambda: attn.forward(**call, need_weights=True),
        "attention_weights": lambda: attn.attention_weights(**about),
        "masked": lambda: attn.forward(**call, attn_mask=mask),
        "prepared": lambda: attn.forward(**prepared),
        "backward": lambda: attn.vjp(**call)[1](np.ones(DIM, F32)),
    }
    if hasattr(attn, "_routes"):
        for i, _ in attn.get_routing(call["query"]):
            member = attn._members[i]
            given = call if member.needed + member.used else {n: a for n, a in call.items() if n != "metadata"}
            others[f"expert {i}"] = lambda member=member, given=given: member.forward(**given)  # type: ignore[misc]
    arrays = [a for x in (call, vars(call.get("metadata", attn))) for a in x.values() if isinstance(a, Array)]
    if has_kernels():
        others["reading"] = lambda: [kernel_ops.finite(a) for a in arrays if a.dtype == F32]
    numbers = sum(a.size for a in arrays)
    return Workload(passes(lambda: attn.forward(**call), others), 2.0 * numbers, sizes={"reads": 1.0})


def attending(key: str) -> Workload:
    """A mechanism over a graph of 10 000 nodes with 20 random neighbours each, 64 wide, and dot products."""
    attn, call = example(key, 10_000, 64)
    plain, x = ga.create("scaled_dot_product", 64), call["keys"]
    features = getattr(call.get("metadata"), "edge_features", None)
    width = 1 if features is None else features.shape[-1]
    graph, near = (random_graph(10_000, count, width) for count in (200_000, 80_000))
    if hasattr(attn, "with_latent_graph"):
        attn = attn.with_latent_graph(near)
    others: dict[str, Call] = {
        "sdpa": lambda: plain.attend(graph, x),
        "weights": lambda: attn.attend(graph, x, need_weights=True),
        "backward": lambda: attn.attend_vjp(graph, x)[1](np.ones_like(x)),
    }
    if has_kernels():
        others["reading"] = lambda: kernel_ops.finite(x)
    # Every edge reads a key and a value, while "reading" reads each node once.
    edges = graph.num_edges
    return Workload(
        passes(lambda: attn.attend(graph, x), others), 4.0 * edges * 64, sizes={"reads": 2.0 * edges / len(x)}
    )


def random_graph(nodes: int, edges: int, width: int) -> ga.NeighborGraph:
    """Draw a graph with all data that mechanisms read. Structural features would take minutes, so they are random."""
    rng = np.random.default_rng(0)
    graph = ga.NeighborGraph.from_edge_index(
        rng.integers(0, nodes, (2, edges)),
        nodes,
        edge_features=rng.standard_normal((edges, width)).astype(F32),
        edge_weights=rng.random(edges).astype(F32),
        distances=rng.random(edges).astype(F32),
        layers=rng.integers(0, 3, nodes),
    )
    vars(graph)["_structural"] = rng.random((nodes, 5))
    return graph


def both_dtypes(key: str, **options: Any) -> Workload:
    """A call of a class in float64, with the same call in float32 as the contender: one query, 1 000 keys."""
    attn = ga.create(key, DIM, **options)
    arrays = [x / np.linalg.norm(x, axis=-1, keepdims=True) / 2 for x in (normal(1000, DIM), normal(1000, DIM, seed=1))]
    wide = [x.astype(np.float64) for x in (arrays[0][0], *arrays)]
    narrow = [x.astype(F32) for x in wide]
    return Workload({"graphattend": lambda: attn.forward(*wide), "float32": lambda: attn.forward(*narrow)})


def both_dtypes_of_a_graph() -> Workload:
    """A graph attention layer of Cora's size in float64 and in float32."""
    rng = np.random.default_rng(0)
    graph = ga.NeighborGraph.from_edge_index(rng.integers(0, NODES, (2, EDGES)), NODES)
    attn = ga.create("edge_featured", 64, num_heads=8)
    narrow = normal(NODES, 64)
    wide = narrow.astype(np.float64)
    return Workload({"graphattend": lambda: attn.attend(graph, wide), "float32": lambda: attn.attend(graph, narrow)})


def over_a_graph(key: str, dtype: str = "float32", **options: Any) -> Workload:
    """Forward and gradients over a random graph of 10 000 nodes and 200 000 edges, 64 wide; also on two threads if possible."""
    rng = np.random.default_rng(0)
    graph = ga.NeighborGraph.from_edge_index(rng.integers(0, 10_000, (2, 200_000)), 10_000)
    attn = ga.create(key, 64, **options)
    apart = key != "edge_featured"
    given = [(0.05 * normal(10_000, 64, seed=i)).astype(dtype) for i in range(3 if apart else 1)]
    out, pullback = attn.attend_vjp(graph, *given)
    grad = np.ones_like(out)

    def both(**threads: int) -> None:
        attn.attend_vjp(graph, *given, **threads)[1](grad)

    calls: dict[str, Call] = {
        "graphattend": lambda: attn.attend(graph, *given),
        "pullback": lambda: pullback(grad),
        "gradients": both,
    }
    if not IN_PYODIDE:
        calls["two threads"] = lambda: attn.attend(graph, *given, threads=2)
        calls["gradients, two threads"] = lambda: both(threads=2)
    return Workload(calls)


def large_graph() -> Workload:
    """Hyperbolic attention over 100 000 nodes and a million edges, 64 wide, beside dot products; native only."""
    if IN_PYODIDE:
        return Workload({})
    rng = np.random.default_rng(0)
    graph = ga.NeighborGraph.from_edge_index(rng.integers(0, 100_000, (2, 1_000_000)), 100_000)
    x = 0.05 * normal(100_000, 64)
    names = {"graphattend": "hyperbolic", "scaled_dot_product": "scaled_dot_product"}
    made = {name: ga.create(key, 64) for name, key in names.items()}
    return Workload({name: lambda attn=attn: attn.attend(graph, x) for name, attn in made.items()})  # type: ignore[misc]


GRAPH: dict[str, dict[str, Any]] = {
    "scaled_dot_product": {},
    "multi_head": {"num_heads": HEADS},
    "edge_featured": {"num_heads": 8},
    "hyperbolic": {},
}

WORKLOADS: dict[str, Callable[[], Workload]] = {
    **{f"query-{n}": lambda n=n: attention(0, n, DIM) for n in (10, 100, 1_000, 10_000)},  # type: ignore[misc]
    "query-100000": long_query,
    "query-1000-copied": copied,
    "queries-1000": lambda: attention(1000, 1000, DIM),
    "exact-1024": lambda: attention(1024, 1024, 64, "flash"),
    "exact-1024-backward": backward,
    "heads-1": lambda: heads(0),
    "heads-128": lambda: heads(128),
    "gemm-256": lambda: gemm(256, 256, 256),
    "gemm-512": lambda: gemm(512, 512, 512),
    "gemm-1024": lambda: gemm(1024, 1024, 1024),
    "projection": lambda: gemm(1000, 128, 128),
    "softmax": rows,
    "gat": graph_layer,
    "hyperbolic": hyperbolic,
    "flash": lambda: attention(0, 1000, DIM, "flash"),
    "float64:scaled_dot_product": lambda: both_dtypes("scaled_dot_product"),
    "float64:flash": lambda: both_dtypes("flash"),
    "float64:hyperbolic": lambda: both_dtypes("hyperbolic"),
    "float64:multi_head": lambda: both_dtypes("multi_head", num_heads=HEADS),
    "float64:local_global": lambda: both_dtypes("local_global", window=32, global_nodes=(500,)),
    "float64:gat": both_dtypes_of_a_graph,
    "large-graph": large_graph,
    **{f"graph:{key}": lambda key=key, o=o: over_a_graph(key, **o) for key, o in GRAPH.items()},  # type: ignore[misc]
    "graph-float64:scaled_dot_product": lambda: over_a_graph("scaled_dot_product", "float64"),
    **{f"mechanism:{key}": lambda key=key: mechanism(key) for key in mechanisms.list_mechanisms()},  # type: ignore[misc]
    **{f"attend:{key}": lambda key=key: attending(key) for key in mechanisms.list_mechanisms()},  # type: ignore[misc]
}


@cache
def prepared(name: str) -> Workload:
    """Return a workload with its data, cached until `forget`."""
    return WORKLOADS[name]()


def forget() -> None:
    """Release the data of the prepared workloads."""
    prepared.cache_clear()
    timing.forget()


def contenders(name: str) -> list[str]:
    """Return the contenders of a workload that Python can call, and "peak" if the runtime has the peak loop."""
    return [*prepared(name).calls, *([PEAK] if peak_loop.loop() else [])]


def rate(name: str, contender: str, seconds: float) -> float:
    """Return a contender's calls per second within `seconds`; for "peak" flop/s."""
    if contender == PEAK:
        loop = peak_loop.loop()
        return loop.flops * timing.rate(loop.run, seconds) if loop else 0.0
    return timing.rate(prepared(name).calls[contender], seconds)


def memory(name: str) -> float:
    """Return the bytes that our call of a workload allocates beyond its result."""
    return timing.beyond_result(prepared(name).calls["graphattend"])


def extra_memory() -> float:
    """Return the memory that flash attention allocates beyond its output for 10 000 queries and keys, in bytes."""
    q = normal(10_000, 64)
    attn = ga.create("flash", 64)
    attn.forward(q[:100], q[:100], q[:100])
    return timing.beyond_result(lambda: attn.forward(q, q, q))


def facts() -> dict[str, Any]:
    """Return facts about the runtime."""
    info = simd.backend_info()
    return {
        "backend": info["backend"],
        "numpy": info["numpy"],
        "python": sys.version.split()[0],
        "version": ga.__version__,
    }


def data_for_javascript(name: str) -> dict[str, Any]:
    """Return a workload's kind, sizes, flat arrays and flat result."""
    found = prepared(name)
    expected = None if found.expected is None else np.ascontiguousarray(found.expected, F32).ravel()
    inputs = {key: np.ascontiguousarray(a).ravel() for key, a in found.inputs.items()}
    return {"kind": found.kind, "sizes": found.sizes, "inputs": inputs, "expected": expected, "flops": found.flops}


@cache
def room() -> tuple[Array, Array, Array, Array]:
    """Return arrays into which JavaScript writes query, keys and values, and from which it reads the output."""
    return np.empty(DIM, F32), np.empty((1000, DIM), F32), np.empty((1000, DIM), F32), np.empty(DIM, F32)


@cache
def _single() -> Any:
    return ga.create("scaled_dot_product", DIM)


def call_from_javascript() -> None:
    """Compute single-query attention over the arrays that JavaScript has written."""
    q, k, v, out = room()
    out[:] = _single().forward(q, k, v)

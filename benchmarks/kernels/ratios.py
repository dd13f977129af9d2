"""Each kernel's speed as a share of the peak loop's, measured side by side. Run inside Pyodide.

The peak loop does nothing but multiply-adds on registers. It is timed again next to every workload, because what a
shared machine gives changes from second to second; ratios stay. Prints one line per workload.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from benchmarks import peak_loop
from graphattend.simd import backends, graph_ops, kernel_ops, metric_ops

Workload = tuple[str, float, Callable[[], Any]]


def once(call: Callable[[], Any], repeat: int) -> float:
    """Seconds per call."""
    start = time.perf_counter()
    for _ in range(repeat):
        call()
    return (time.perf_counter() - start) / repeat


def repeats(call: Callable[[], Any], seconds: float = 0.02) -> int:
    """How many calls fill this time, warm."""
    count = 1
    while once(call, count) * count < seconds:
        count *= 2
    return count


def side_by_side(call: Callable[[], Any], rounds: int = 7) -> tuple[float, float]:
    """Best seconds per call, and the peak loop's best flop/s, in turns."""
    count, best, peak = repeats(call), float("inf"), 0.0
    loop = peak_loop.loop()
    assert loop, "only WebAssembly has the peak loop"
    for _ in range(rounds):
        best = min(best, once(call, count))
        peak = max(peak, loop.flops / once(loop.run, 5))
    return best, peak


def workloads() -> Iterator[Workload]:
    """Name, flops and call of each."""
    rng = np.random.default_rng(0)

    def f(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32)

    for n in (256, 512, 1024):
        for name in ("matmul", "matmul_nt", "matmul_tn"):
            a, b, op = f(n, n), f(n, n), getattr(kernel_ops, name)
            yield f"{name} {n}", 2.0 * n**3, partial(op, a, b)
    a, b = f(1000, 128), f(128, 128)
    yield "projection 1000x128x128", 2.0 * 1000 * 128 * 128, lambda: kernel_ops.matmul(a, b)

    for d in (64, 128):
        q, k, v, g = f(1024, d), f(1024, d), f(1024, d), f(1024, d)
        scale = d**-0.5
        yield f"flash 1024 d={d}", 4.0 * 1024**2 * d, partial(kernel_ops.attention, q, k, v, scale=scale)
        out, lse, _ = kernel_ops.attention(q, k, v, scale=scale) or (None, None, None)
        assert out is not None
        assert lse is not None
        args = (q, k, v, out, lse, g)
        yield f"flash vjp 1024 d={d}", 10.0 * 1024**2 * d, partial(kernel_ops.attention_vjp, *args, scale=scale)
    q, k, v = f(1000, 128), f(1000, 128), f(1000, 128)
    yield "1000 queries 1000 keys", 4.0 * 1000 * 1000 * 128, lambda: kernel_ops.attention(q, k, v, scale=0.088)

    for n in (10, 100, 1000, 10_000):
        q1, k1, v1, out1 = f(128), f(n, 128), f(n, 128), f(128)
        yield f"one query n={n}", 4.0 * n * 128, partial(kernel_ops._k.attend_one, q1, k1, v1, out1, 0.088)
    x = f(1000, 1000)
    yield "softmax 1000x1000", 1e6, lambda: kernel_ops.softmax(x)
    yield "exp 1e6", 1e6, lambda: kernel_ops.exp(x)

    q1, k1, v1 = f(128), f(1000, 128), f(1000, 128)
    p = {name: f(128, 128) / np.float32(11) for name in ("w_q", "w_k", "w_v", "w_o")}
    p |= {name: f(128) for name in ("b_q", "b_k", "b_v", "b_o")}
    for heads in (1, 4, 8):
        flops = 4.0 * 1000 * 128 * heads + 8.0 * 128 * 128
        yield f"folded heads={heads}", flops, partial(kernel_ops.multi_head_single, q1, k1, v1, p, heads)

    nodes, edges = 2708, 10556
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rng.integers(0, nodes, edges), minlength=nodes))])
    indices = rng.integers(0, nodes, edges).astype(np.int64)
    for d in (64, 128):
        feats, w, a1, a2 = f(nodes, d), f(8, d, 8), f(8, 8), f(8, 8)
        flops = 2.0 * nodes * d * 64 + 2.0 * edges * 64
        yield f"GAT layer d={d} 8x8", flops, partial(graph_ops.gat_layer, feats, w, a1, a2, indptr, indices)
    qh = f(nodes, 8, 8)
    yield "graph attention 8x8", 4.0 * edges * 64, lambda: graph_ops.graph_attention(qh, qh, qh, indptr, indices, 0.3)
    x128 = f(nodes, 128)
    yield (
        "graph attention 128",
        4.0 * edges * 128,
        lambda: graph_ops.graph_attention(x128, x128, x128, indptr, indices, 0.1),
    )

    ball = 0.5 * k1 / np.linalg.norm(k1, axis=1, keepdims=True)
    space = metric_ops.metric([("poincare", 128, -1.0)], [1.0], 1e-6)
    yield "Poincare n=1000", 8.0 * 1000 * 128, lambda: metric_ops.attention(ball[:1], ball, ball, space)


def main(only: str = "") -> None:
    """Print the table for every variant that this engine runs."""
    before = kernel_ops.current()
    for name in backends.FILES:
        found = backends.load(name)
        if found is None:
            continue
        kernel_ops.use(found.kernels)
        print(f"{name:26s} {'calls/s':>10s} {'GFLOP/s':>8s} {'of peak':>8s}")
        for label, flops, call in workloads():
            if only in label:
                seconds, peak = side_by_side(call)
                speed = flops / seconds
                print(f"{label:26s} {1 / seconds:10.0f} {speed / 1e9:8.1f} {speed / peak:8.2f}")
    kernel_ops.use(before)


if __name__ == "__main__":
    main()

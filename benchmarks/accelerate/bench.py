"""What `accelerate_numpy()` gains over the official loops, both measured in one run inside Pyodide.

Gives one JSON object: name → milliseconds before and after, the ratio, and the target where there is one.
"""

import json
import sys
from time import perf_counter

import numpy as np

from graphattend.simd.accelerate import accelerate_numpy

TARGETS = {
    "matmul f32 512": 18,
    "matmul f64 512": 12,
    "exp f32 1e6": 4,
    "tanh f32 1e6": 4,
    "add f32 1e6": 3,
    "maximum f32 1e6": 3,
}


def compare(function, budget=0.6):
    """Best times of one call in milliseconds with NumPy's loops and with ours.

    They take turns, so that a machine busy with something else slows both; a batch is long enough for the rounded
    clocks of browsers.
    """
    best, calls = {"before": float("inf"), "after": float("inf")}, {"before": 1, "after": 1}
    spent = 0.0
    while spent < budget:
        for side in best:
            acceleration = accelerate_numpy() if side == "after" else None
            start = perf_counter()
            for _ in range(calls[side]):
                function()
            seconds = perf_counter() - start
            if acceleration is not None:
                acceleration.undo()
            spent += seconds
            if seconds < 5e-3:
                calls[side] *= 2
            else:
                best[side] = min(best[side], seconds * 1e3 / calls[side])
    return best


def workloads():
    """Named calls on fixed data."""
    rng = np.random.default_rng(0)
    work = {}

    def matmul(name, a, b):
        out = np.asarray(a @ b)
        work[name] = lambda: np.matmul(a, b, out=out)

    for n in (4, 16, 64, 128, 256, 512):
        a, b = rng.standard_normal((2, n, n), np.float32)
        matmul(f"matmul f32 {n}", a, b)
    matmul("matmul f32 512 A @ B.T", a, b.T)
    matmul("matmul f32 512 A.T @ B", a.T, b)
    c, d = rng.standard_normal((2, 512, 512))
    matmul("matmul f64 512", c, d)
    matmul("matmul f64 64", c[:64, :64].copy(), d[:64, :64].copy())
    keys = rng.standard_normal((1000, 128), np.float32)
    query, weights = rng.standard_normal(128, np.float32), rng.standard_normal(1000, np.float32)
    matmul("gemv f32 1000x128 @ 128", keys, query)
    matmul("gemv f32 1000 @ 1000x128", weights, keys)
    matmul("matmul f32 4x128 @ 128x1000", keys[:4], keys.T)
    matmul("matmul f32 4x1000 @ 1000x128", rng.standard_normal((4, 1000), np.float32), keys)
    matmul("projection f32 1000x128 @ 128x128", keys, rng.standard_normal((128, 128), np.float32))
    heads = rng.standard_normal((8, 64, 32), np.float32)
    matmul("batched f32 8x64x32 @ 8x32x64", heads, heads.swapaxes(1, 2))
    dot = rng.standard_normal((2, 1000), np.float32)
    matmul("dot f32 1000", dot[0], dot[1])
    matmul("outer f32 512x1 @ 1x512", a[:, :1], b[:1])
    for label, dtype in (("f32", np.float32), ("f64", np.float64)):
        x, y = rng.standard_normal((2, 1_000_000)).astype(dtype)
        positive, out, mask = np.abs(x), np.empty_like(x), np.empty(x.shape, bool)
        for name in ("add", "subtract", "multiply", "divide", "maximum", "minimum"):
            function = getattr(np, name)
            work[f"{name} {label} 1e6"] = lambda f=function, x=x, y=y, o=out: f(x, y, out=o)
            for size in (1000, 100_000):
                sizes = x[:size], y[:size], out[:size]
                work[f"{name} {label} {size}"] = lambda f=function, s=sizes: f(s[0], s[1], out=s[2])
        work[f"multiply {label} 1e6 by a scalar"] = lambda x=x, o=out, s=x[0]: np.multiply(x, s, out=o)
        for name in ("less", "equal"):
            function = getattr(np, name)
            work[f"{name} {label} 1e6"] = lambda f=function, x=x, y=y, o=mask: f(x, y, out=o)
        for name in ("sqrt", "exp", *(("log", "tanh", "sin", "cos") if dtype == np.float32 else ())):
            function = getattr(np, name)
            source = positive if name in ("sqrt", "log") else x
            work[f"{name} {label} 1e6"] = lambda f=function, x=source, o=out: f(x, out=o)
            work[f"{name} {label} 1000"] = lambda f=function, x=source[:1000], o=out[:1000]: f(x, out=o)
        square = x.reshape(1000, 1000)
        for name in ("add", "maximum"):
            function = getattr(np, name)
            work[f"{name}.reduce {label} 1e6"] = lambda f=function, x=x: f.reduce(x)
            work[f"{name}.reduce {label} rows of 1000"] = lambda f=function, x=square: f.reduce(x, axis=1)
            work[f"{name}.reduce {label} columns of 1000"] = lambda f=function, x=square: f.reduce(x, axis=0)
    logits = rng.standard_normal((256, 1000), np.float32)

    def softmax():
        e = np.exp(logits - logits.max(1, keepdims=True))
        return e / e.sum(1, keepdims=True)

    work["softmax f32 256x1000"] = softmax
    return work


def main(only=""):
    """Measure every workload whose name contains `only`."""
    with accelerate_numpy() as acceleration:
        if not acceleration.active:
            sys.exit(acceleration.reason)
    results = {}
    for name, function in workloads().items():
        if only not in name:
            continue
        best = compare(function, budget=5 if name in TARGETS else 0.6)
        ratio = best["before"] / best["after"]
        results[name] = {side: round(time, 5) for side, time in best.items()} | {"ratio": round(ratio, 2)}
        if name in TARGETS:
            results[name] |= {"target": TARGETS[name], "reached": ratio >= TARGETS[name]}
    return json.dumps({"backend": acceleration.backend, "numpy": np.__version__, "results": results})

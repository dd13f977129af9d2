"""Kernel calls from several threads on one build, for ThreadSanitizer; test_sanitizers.py runs it.

python tests/simd/race_check.py MODULE split [SEED]    # calls that share out their rows among threads
python tests/simd/race_check.py MODULE race            # two calls that write to the same array, which is a race
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

import graphattend as ga
from graphattend import simd
from graphattend.simd import kernel_ops, threads

NODES, DIM = 260, 8


def split(rng: np.random.Generator) -> int:
    """Run forward, weights and gradients of several mechanisms on four threads each; return the number of calls."""
    threads.MIN_WORK = 1  # split any amount of work
    lengths = rng.integers(0, 9, NODES)
    graph = ga.NeighborGraph(np.concatenate([[0], np.cumsum(lengths)]), rng.integers(0, NODES, lengths.sum()))
    calls = 0
    for dtype in (np.float32, np.float64):
        x = (0.1 * rng.standard_normal((NODES, DIM))).astype(dtype)
        for key in ("scaled_dot_product", "flash", "multi_head", "hyperbolic", "mixed_curvature", "local_global"):
            attn = ga.create(key, DIM)
            one = attn.forward(x, x, x)
            with simd.num_threads(4):
                output, pullback = attn.vjp(x, x, x)
                pullback(np.ones_like(output))
                np.testing.assert_array_equal(attn.forward(x, x, x), one)
                calls += 3
                if key != "local_global":
                    attn.attend(graph, x)
                    calls += 1
    return calls


def race(rng: np.random.Generator) -> int:
    """Use one output for two simultaneous calls."""
    x, out = rng.standard_normal((400, 400)).astype(np.float32), np.empty((400, 400), np.float32)
    module = kernel_ops.current()
    with ThreadPoolExecutor(2) as pool:
        return sum(pool.map(lambda _: module.matmul(x, x, out, 0), range(8)))


if __name__ == "__main__":
    kernel_ops.use(kernel_ops.load(Path(sys.argv[1])))
    simd._kernels = kernel_ops
    rng = np.random.default_rng(int(sys.argv[3]) if len(sys.argv) > 3 else 0)
    print(json.dumps({"calls": {"split": split, "race": race}[sys.argv[2]](rng), "failures": []}))

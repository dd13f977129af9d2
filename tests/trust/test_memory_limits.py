"""If memory runs out, a call fails cleanly and the next one is correct, in a process with a memory limit."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.native

SCRIPT = """
import json, resource, sys, numpy as np, graphattend as ga
from graphattend.compression import Quantizer, LowRank
ball = ga.geometry.Poincare()
x = np.random.default_rng(0).standard_normal((20_000, 8)).astype(np.float32) * np.float32(0.1)
small = x[:30]
attn, heads, hyperbolic = ga.ScaledDotProductAttention(8), ga.MultiHeadAttention(8), ga.HyperbolicAttention(8)
def answers():
    return [attn.forward(small, small, small), heads.forward(small, small, small), hyperbolic.forward(small, small, small),
            ball.pairwise(small, small), Quantizer().encode(small).codes]
good = answers()
graph = ga.NeighborGraph.knn(x[:2000], 5)
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + (96 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
big = {
    "weights": lambda: attn.forward(x, x, x, need_weights=True),
    "heads": lambda: heads.forward(x, x, x, need_weights=True),
    "weights alone": lambda: attn.attention_weights(x, x),
    "gradients": lambda: attn.vjp(x, x, x)[1](x, np.ones((len(x), len(x)), np.float32)),
    "distances": lambda: hyperbolic.attention_weights(x, x),
    "pairwise": lambda: ball.pairwise(x, x),
    "mask": lambda: attn.forward(x, x, x, attn_mask=np.zeros((len(x), len(x)), np.float32)),
    "dense": lambda: ga.NeighborGraph.from_edge_index([[0], [1]], 9_000).laplacian(),
    "paths": lambda: ga.NeighborGraph.from_edge_index([[0], [1]], 9_000).shortest_path_lengths(),
    "parameters": lambda: ga.MultiHeadAttention(8192),
    "projection": lambda: ga.functional.orthogonal_projection(100_000, 2_000, seed=0),
}
told = {}
for name, call in big.items():
    for _ in range(3):
        try:
            call()
        except (MemoryError, ga.AttentionError) as error:
            told[name] = type(error).__name__
        except BaseException as error:
            told[name] = f"unexpected {type(error).__name__}: {error}"
        else:
            told[name] = "fits"
    same = all(np.array_equal(a, b) for a, b in zip(good, answers()))
    told[name] += "" if same else ", and then wrong answers"
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
before = resident()
for i in range(100):
    try:
        big["weights"]()
    except MemoryError:
        pass
    answers()
told["growth"] = resident() - before
# What makes no matrix of weights still fits.
told["flash"] = float(np.abs(ga.FlashAttention(8).forward(x[:4000], x[:4000], x[:4000])).max()) < 1
told["graph"] = attn.attend(graph, x[:2000]).shape == (2000, 8)
print(json.dumps(told))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of memory are Linux's")
def test_little_memory():
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False, timeout=120)
    assert run.returncode == 0, run.stderr[-2000:]
    told = json.loads(run.stdout)
    assert told.pop("growth") < 8 << 20
    assert told.pop("flash")
    assert told.pop("graph")
    assert set(told.values()) <= {"MemoryError", "InvalidConfigError", "UnsupportedError"}, told

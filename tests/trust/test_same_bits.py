"""The same seed and backend give the same bits in every process, for any hash seed and number of threads."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
from soak.watch import arrays

import graphattend as ga
from graphattend import storage
from graphattend.compression import LowRank, Quantizer
from graphattend.mechanisms import mechanism_class
from graphattend.training import OPTIMIZERS


def results():
    """Compute results of every part of the library, as arrays."""
    rng = np.random.default_rng(7)
    edges = rng.integers(0, 40, (2, 200))
    graph = ga.NeighborGraph.from_edge_index(edges, 40, distances=rng.random(200), edge_features=rng.random((200, 3)))
    for dtype in (np.float32, np.float64):
        x = rng.standard_normal((300, 8)).astype(dtype)
        for key in ga.list_mechanisms():
            attn, inputs = mechanism_class(key).example(np.random.default_rng(1), 9)
            q, k, v = (inputs[n].astype(dtype) for n in ("query", "keys", "values"))
            out, pullback = attn.vjp(q, k, v, metadata=inputs.get("metadata"))
            yield from (attn.forward(q, k, v, metadata=inputs.get("metadata")), out, *pullback(np.ones_like(out))[:3])
            yield from attn.parameters().values()
        for key in ("scaled_dot_product", "multi_head", "flash", "linear"):
            attn = ga.create(key, 8)
            yield attn.forward(x, x, x)
            yield attn.attend(graph, x[:40])
            yield attn.attend_vjp(graph, x[:40])[1](x[:40]).query
        yield from (graph.pagerank(), graph.betweenness(), ga.graph.spectral_embedding(graph, 3))
        yield from arrays([ga.NeighborGraph.knn(x, 4), Quantizer(4).encode(x).codes, LowRank(3).encode(x).decode()])
    for name, cls in OPTIMIZERS.items():
        space = {"manifold": ga.geometry.Euclidean()} if name.startswith("Riemannian") else {}
        o, params = cls(lr=0.1, **space), {"b": x[:3], "a": x[3:5]}
        yield from o.update(params, params, o.init(params))[0].values()
    yield np.frombuffer(storage.dumps({"b": x, "a": x[:2]}, {"kind": "x"}), np.uint8)
    found = ga.evaluate(graph, "links", mechanisms=["flash"], seeds=1, epochs=2, x=x[:40])
    yield found["flash"].values(found.primary)


def digest():
    """Return a hash of all results' bits."""
    found = hashlib.sha256()
    for a in results():
        found.update(repr((a.shape, a.dtype.str)).encode())
        found.update(np.ascontiguousarray(a).tobytes())
    return found.hexdigest()


def test_two_runs_in_one_process():
    assert digest() == digest()


@pytest.mark.native
def test_processes_and_threads():
    """Results do not depend on our threads; BLAS runs on one thread, because more would add in another order."""
    code = "import sys; sys.path[:0] = sys.argv[2:]; import graphattend as ga; ga.set_num_threads(int(sys.argv[1]));"
    code += " from test_same_bits import digest; print(digest())"
    folders = [os.path.dirname(__file__)]
    found = set()
    for hash_seed, threads in (("0", "1"), ("1", "1"), ("2", "3")):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "OPENBLAS_NUM_THREADS": "1"}
        run = subprocess.run(
            [sys.executable, "-c", code, threads, *folders], env=environment, capture_output=True, text=True, check=True
        )
        found.add(run.stdout.strip())
    assert len(found) == 1

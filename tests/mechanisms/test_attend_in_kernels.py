"""`attend` in the graph kernel: results and gradients equal NumPy's, in little memory."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

import graphattend as ga

MECHANISMS = [
    ("hnsw_aware", {}),
    ("hnsw_aware", {"encoding": "bias"}),
    ("hnsw_aware", {"encoding": "embedding"}),
    ("structural", {}),
    ("structural", {"mode": "bias"}),
    ("structural", {"mode": "features"}),
    ("rl_navigator", {}),
    ("rl_navigator", {"rank": 3}),
    ("dynamic_heads", {"num_heads": 2}),
    ("dynamic_heads", {"num_heads": 4, "bias": False}),
    ("local_global", {"global_nodes": (3, 7)}),
    ("local_global", {}),
    ("graph_rope", {}),
    ("graph_rope", {"interleaved": False}),
    ("linear", {"num_features": 16}),
    ("edge_featured", {"edge_dim": 2}),
    ("edge_featured", {"edge_dim": 2, "variant": "gatv2"}),
    ("multi_head", {"num_heads": 2}),
]


def make_graph(rng: np.random.Generator, nodes: int, edges: int) -> ga.NeighborGraph:
    source, target = rng.integers(0, nodes, (2, edges))
    target[target == 1] = 2  # a node without neighbours
    order = np.argsort(target, kind="stable")
    indptr = np.searchsorted(target[order], np.arange(nodes + 1))
    return ga.NeighborGraph(
        indptr,
        source[order],
        edge_features=rng.standard_normal((edges, 2)),
        distances=rng.random(edges) * 4,
        layers=rng.integers(0, 3, nodes),
    )


def randomized(attn: Any, rng: np.random.Generator) -> Any:
    """Return the mechanism with random parameters instead of the special initial ones."""
    given = {n: a + 0.1 * rng.standard_normal(a.shape) for n, a in attn.parameters().items()}
    return attn.with_parameters(given)


@pytest.mark.with_kernels
@pytest.mark.parametrize(("key", "options"), MECHANISMS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 3e-5), (np.float64, 1e-11)])
@pytest.mark.parametrize("apart", [False, True])
def test_kernels_and_numpy_agree(key: str, options: dict[str, Any], dtype: Any, tolerance: float, apart: bool) -> None:
    rng = np.random.default_rng(7)
    graph = make_graph(rng, 12, 50)
    attn = randomized(ga.create(key, 8, **options), rng)
    x = [rng.standard_normal((12, 8)).astype(dtype) for _ in range(3)][: 3 if apart else 1]
    found = []
    for backend in (ga.backend_info()["backend"], "numpy"):
        with ga.use_backend(backend):
            out, weights = attn.attend(graph, *x, need_weights=True)
            again, pull = attn.attend_vjp(graph, *x)
            g = np.cos(np.arange(out.size, dtype=dtype)).reshape(out.shape)
            g_w = np.sin(np.arange(weights.size, dtype=dtype)).reshape(weights.shape)
            parts = [out, weights, again, attn.attend(graph, *x)]
            for grads in (pull(g), pull(g, g_w)):
                parts += [grads.query, grads.keys, grads.values]
                parts += [a for _, a in sorted(grads.parameters.items())]
                parts += [a for _, a in sorted(grads.metadata.items())]
                assert {n: a.shape for n, a in grads.parameters.items()} == {
                    n: a.shape for n, a in attn.parameters().items()
                }
            found.append(parts)
    assert len(found[0]) == len(found[1])
    for ours, reference in zip(*found, strict=True):
        assert ours.dtype == reference.dtype == dtype
        assert ours.shape == reference.shape
        np.testing.assert_allclose(ours, reference, rtol=0, atol=tolerance * max(1, np.abs(reference).max()))


@pytest.mark.with_kernels
@pytest.mark.native
@pytest.mark.parametrize(("key", "options"), [(k, o) for k, o in MECHANISMS if o.get("variant") != "gatv2"])
def test_memory(key: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    graph = make_graph(rng, 2_000, 40_000)
    structural = rng.random((2_000, 5))
    monkeypatch.setattr(ga.NeighborGraph, "structural_features", lambda self: structural)
    attn = ga.create(key, 64, **options)
    x = rng.standard_normal((2_000, 64)).astype(np.float32)
    attn.attend(graph, x)
    tracemalloc.start()
    try:
        out = attn.attend(graph, x)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # A fifth of 10 000 nodes and 200 000 edges may take a fifth of 20 MB. A copy of the neighbours' rows takes 10 MB.
    assert peak - out.nbytes < 4e6


def test_a_pattern_is_remembered_as_long_as_its_graph() -> None:
    from graphattend.mechanisms import local_global

    before = len(local_global._known_patterns)
    graph = make_graph(np.random.default_rng(0), 10, 20)
    attn = ga.LocalGlobalAttention(4, global_nodes=[0])
    assert attn.pattern(graph) is attn.pattern(graph)
    assert attn.pattern(graph) is ga.LocalGlobalAttention(8, global_nodes=[0]).pattern(graph)
    assert attn.pattern(graph) is not ga.LocalGlobalAttention(4, global_nodes=[1]).pattern(graph)
    del graph
    assert len(local_global._known_patterns) == before


@pytest.mark.with_kernels
def test_scores_with_a_bias_take_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    from graphattend.mechanisms import _attend

    monkeypatch.setattr(_attend, "_run_chunk", None)
    rng = np.random.default_rng(0)
    graph = make_graph(rng, 10, 30)
    for key in ("hnsw_aware", "structural", "rl_navigator", "dynamic_heads", "local_global", "graph_rope", "linear"):
        ga.create(key, 8).attend(graph, rng.standard_normal((10, 8)))


@pytest.mark.with_kernels
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 3e-5), (np.float64, 1e-11)])
@pytest.mark.parametrize("spread", [1, 30, 400])
def test_linear_attention_of_long_keys(dtype: Any, tolerance: float, spread: float) -> None:
    """If one stabiliser for all keys would underflow the features of some, the kernel declines."""
    rng = np.random.default_rng(1)
    graph = make_graph(rng, 40, 300)
    attn = ga.LinearAttention(8, num_features=32)
    x = rng.standard_normal((40, 8)).astype(dtype)
    x[::3] *= spread**0.5
    found = []
    for backend in (ga.backend_info()["backend"], "numpy"):
        with ga.use_backend(backend):
            out, pull = attn.attend_vjp(graph, x)
            found.append((out, pull(np.ones_like(out)).query))
    for ours, reference in zip(*found, strict=True):
        np.testing.assert_allclose(ours, reference, rtol=0, atol=tolerance * max(1, np.abs(reference).max()))


@pytest.mark.with_kernels
@pytest.mark.parametrize("reach", [0.0, 3.0, 1e4])
def test_distances_that_fill_a_table_and_that_do_not(reach: float) -> None:
    rng = np.random.default_rng(2)
    graph = make_graph(rng, 30, 400)
    graph = ga.NeighborGraph(graph.indptr, graph.indices, distances=rng.random(400) * reach)
    x = rng.standard_normal((30, 13))
    attn = ga.GraphRoPEAttention(13)
    out = attn.attend(graph, x)
    with ga.use_backend("numpy"):
        np.testing.assert_allclose(out, attn.attend(graph, x), rtol=0, atol=1e-12)

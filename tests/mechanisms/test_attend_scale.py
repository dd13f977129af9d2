"""`attend` over large graphs: bounded memory, few calls, and the same results as node by node."""

import tracemalloc

import numpy as np
import pytest

import graphattend as ga
from graphattend.graph import NeighborGraph
from graphattend.mechanisms import _attend

MECHANISMS = [
    ("scaled_dot_product", {}),
    ("multi_head", {"num_heads": 2}),
    ("flash", {}),
    ("edge_featured", {"num_heads": 2, "edge_dim": 2}),
    ("edge_featured", {"num_heads": 2, "variant": "gatv2"}),
]


def big_graph(rng, nodes, edges):
    """Draw a graph with degrees as uneven as in real graphs: few hubs, many leaves, some nodes without neighbours."""
    target = np.minimum((rng.pareto(1.2, edges) * nodes / 50).astype(np.int64), nodes - 1)
    source = rng.integers(0, nodes, edges)
    features = rng.standard_normal((edges, 2)).astype(np.float32)
    return NeighborGraph.from_edge_index(np.stack([source, target]), nodes, edge_features=features)


def run(monkeypatch, rng, key, options, nodes, edges, limit):
    graph = big_graph(rng, nodes, edges)
    degrees = graph.degree()
    assert degrees.max() > 20 * max(1, np.median(degrees))
    assert degrees.min() == 0
    x = rng.standard_normal((nodes, 8)).astype(np.float32)
    attn = ga.create(key, 8, **options)
    calls = []
    original = _attend._run_chunk
    monkeypatch.setattr(_attend, "_run_chunk", lambda *args: calls.append(1) or original(*args))
    tracemalloc.start()
    out, weights = attn.attend(graph, x, need_weights=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(calls) < 120  # not one per node
    assert peak < limit, f"{peak / 1e6:.0f} MB"
    assert out.shape == (nodes, 8)
    assert np.isfinite(out).all()
    total = np.zeros((nodes, *weights.shape[1:]))
    np.add.at(total, graph.targets, weights)
    np.testing.assert_allclose(total[degrees > 0], 1, atol=1e-4)
    some = [int(degrees.argmax()), int(degrees.argmin()), *rng.integers(0, nodes, 8)]
    for i in some:
        near = graph.indices[graph.indptr[i] : graph.indptr[i + 1]]
        if near.size:
            metadata = graph.metadata(i) if "edge_dim" in options else None
            np.testing.assert_allclose(
                out[i], attn.forward(x[i], x[near], x[near], metadata=metadata), rtol=2e-4, atol=2e-5
            )
        else:
            rest = 0.0 if key != "multi_head" else attn.parameters()["b_o"]
            np.testing.assert_allclose(out[i], np.broadcast_to(rest, 8), atol=1e-7)


@pytest.mark.parametrize(("key", "options"), MECHANISMS)
def test_small(monkeypatch, rng, key, options):
    run(monkeypatch, rng, key, options, 2_000, 20_000, 60e6)


@pytest.mark.native
@pytest.mark.parametrize(("key", "options"), MECHANISMS)
def test_100_000_nodes_and_1_000_000_edges(monkeypatch, rng, key, options):
    """Padded copies of all neighbours would take gigabytes; chunks take 16 MB."""
    run(monkeypatch, rng, key, options, 100_000, 1_000_000, 350e6)


@pytest.mark.native
def test_memory_does_not_grow_with_the_largest_degree(rng):
    """With one hub of 300 000 neighbours among 50 000 leaves, no array is padded to the hub's degree."""
    n = 50_000
    source = np.concatenate([rng.integers(0, n, 300_000), rng.integers(0, n, n)])
    target = np.concatenate([np.zeros(300_000, np.int64), np.arange(n)])
    graph = NeighborGraph.from_edge_index(np.stack([source, target]), n)
    x = rng.standard_normal((n, 8)).astype(np.float32)
    tracemalloc.start()
    ga.ScaledDotProductAttention(8).attend(graph, x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 150e6


FUSED = {
    "hyperbolic": lambda near: ga.HyperbolicAttention(64),
    "mixed_curvature": lambda near: ga.MixedCurvatureAttention(64),
    "manifold": lambda near: ga.ManifoldAttention(64, manifold=ga.geometry.Poincare()),
    "learned_routing": lambda near: ga.LearnedRoutingAttention(64),
    "moe": lambda near: ga.MoEAttention(
        64, experts=[ga.ScaledDotProductAttention(64), ga.HyperbolicAttention(64), ga.FlashAttention(64)]
    ),
    "cross_space": lambda near: ga.CrossSpaceAttention(64).with_latent_graph(near),
}


@pytest.mark.native
@pytest.mark.with_kernels  # NumPy's formulation copies the neighbourhoods
@pytest.mark.parametrize("key", FUSED)
def test_what_runs_in_kernels_needs_little_beyond_the_result(rng, key):
    """For 10 000 nodes with 20 neighbours each, 64 wide, copies of keys and values would take 100 MB."""
    graph, near = (NeighborGraph.from_edge_index(rng.integers(0, 10_000, (2, k)), 10_000) for k in (200_000, 80_000))
    attn = FUSED[key](near)
    x = (0.05 * rng.standard_normal((10_000, 64))).astype(np.float32)
    attn.attend(graph, x)
    tracemalloc.start()
    out = attn.attend(graph, x)
    peak = tracemalloc.get_traced_memory()[1] - out.nbytes
    tracemalloc.stop()
    assert peak < 20e6, f"{peak / 1e6:.0f} MB"


@pytest.mark.parametrize("key", ga.list_mechanisms())
def test_no_edges_at_all(rng, key):
    from graphattend.mechanisms import mechanism_class

    attn, inputs = mechanism_class(key).example(rng, 4)
    edges = np.zeros((2, 0), np.int64)
    width = 3 if key == "edge_featured" else 2
    graph = NeighborGraph.from_edge_index(
        edges,
        4,
        edge_features=np.zeros((0, width)),
        distances=np.zeros(0),
        edge_weights=np.zeros(0),
        layers=[0, 1, 0, 2],
    )
    out, pullback = attn.attend_vjp(graph, inputs["keys"])
    assert out.shape[0] == 4
    assert np.isfinite(out).all()
    assert np.isfinite(pullback(np.ones_like(out)).query).all()


@pytest.mark.parametrize("keep", [0, 10**9])
def test_the_backward_pass_may_recompute(monkeypatch, rng, keep):
    graph = big_graph(rng, 200, 2_000)
    x = rng.standard_normal((200, 8))
    attn = ga.MultiHeadAttention(8, num_heads=2)
    y, pullback = attn.attend_vjp(graph, x)
    expected = pullback(y)
    monkeypatch.setattr(_attend, "KEEP_ELEMENTS", keep)
    monkeypatch.setattr(_attend, "CHUNK_ELEMENTS", 500)
    y2, pullback2 = attn.attend_vjp(graph, x)
    np.testing.assert_allclose(y2, y, rtol=1e-12, atol=1e-14)
    found = pullback2(y)
    np.testing.assert_allclose(found.query, expected.query, rtol=1e-9, atol=1e-12)
    for name, a in expected.parameters.items():
        np.testing.assert_allclose(found.parameters[name], a, rtol=1e-9, atol=1e-10)

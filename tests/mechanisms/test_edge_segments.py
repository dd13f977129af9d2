"""GAT computed per edge equals GAT computed in chunks of neighbourhoods."""

import numpy as np
import pytest

import graphattend as ga
from graphattend.mechanisms import _edge_segments


def world(seed=0):
    rng = np.random.default_rng(seed)
    edges = rng.integers(0, 20, (2, 70))  # with duplicates and loops; node 20 has no neighbours
    graph = ga.NeighborGraph.from_edge_index(edges, 21, edge_features=rng.standard_normal((70, 3)))
    return graph, rng.standard_normal((3, 21, 8))


def both_ways(monkeypatch, run):
    by_edges = run()
    monkeypatch.setattr(_edge_segments, "MAX_ELEMENTS", 0)
    with ga.use_backend("numpy"):  # the kernel allocates no arrays per edge
        return by_edges, run()


@pytest.mark.with_kernels
def test_the_kernel_takes_graphs_of_any_size(monkeypatch):
    graph, (x, _, _) = world()
    attn = ga.EdgeFeaturedAttention(8, edge_dim=3, num_heads=2)
    x = x.astype(np.float32)
    expected = attn.attend(graph, x)
    monkeypatch.setattr(_edge_segments, "MAX_ELEMENTS", 0)
    monkeypatch.setattr(ga.Attention, "_attend", None)  # chunks are not called
    assert attn.attend(graph, x).tobytes() == expected.tobytes()


@pytest.mark.parametrize("given", [1, 2, 3])
@pytest.mark.parametrize("options", [{}, {"concat": False, "bias": False}, {"add_self_loops": True}, {"edge_dim": 0}])
def test_outputs_weights_and_gradients_agree(monkeypatch, options, given):
    graph, (q, k, v) = world()
    attn = ga.EdgeFeaturedAttention(8, **{"edge_dim": 3, "num_heads": 2, "dropout": 0.3} | options)
    inputs = (q, k, v)[:given]

    def run():
        out, pull = attn.attend_vjp(graph, *inputs, training=True, rng=np.random.default_rng(1))
        rng = np.random.default_rng(2)
        weights = attn.attend(graph, *inputs, need_weights=True)[1]
        g = pull(rng.standard_normal(out.shape), rng.standard_normal(weights.shape))
        return [out, weights, g.query, g.keys, g.values, *g.parameters.values(), *g.metadata.values()]

    for new, reference in zip(*both_ways(monkeypatch, run), strict=True):
        assert new.dtype == reference.dtype
        np.testing.assert_allclose(new, reference, rtol=1e-10, atol=1e-12)


def test_a_node_passed_twice_gets_two_gradients(monkeypatch):
    graph, (x, _, _) = world()
    attn = ga.EdgeFeaturedAttention(8, edge_dim=3, num_heads=2)

    def run():
        out, pull = attn.attend_vjp(graph, x, x, x)
        return pull(np.ones_like(out))[:3]

    for new, reference in zip(*both_ways(monkeypatch, run), strict=True):
        np.testing.assert_allclose(new, reference, rtol=1e-10, atol=1e-12)


def test_float32_stays_and_an_edgeless_graph_gives_the_bias():
    graph = ga.NeighborGraph(np.zeros(4, int), np.zeros(0, int))
    x = np.ones((3, 8), np.float32)
    attn = ga.EdgeFeaturedAttention(8, num_heads=2).with_parameters({"bias": np.arange(8.0)})
    out, pull = attn.attend_vjp(graph, x)
    assert out.dtype == np.float32
    np.testing.assert_array_equal(out, np.tile(np.arange(8, dtype=np.float32), (3, 1)))
    assert not pull(np.ones_like(out)).query.any()

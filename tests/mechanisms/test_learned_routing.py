"""LearnedRoutingAttention: soft shares, hard choices, and the straight-through router."""

import numpy as np
import pytest
from counting_expert import CALLS, Counting

import graphattend as ga
from graphattend.graph import NeighborGraph


@pytest.mark.usefixtures("on_numpy")
def test_learned_routing_soft_and_hard(rng):
    members = [Counting(4, seed=i, temperature=0.4 + i) for i in range(3)]
    q, x, v = rng.standard_normal((5, 4)), rng.standard_normal((6, 4)), rng.standard_normal((6, 4))
    router = {"w_router": rng.standard_normal((4, 3)), "b_router": rng.standard_normal(3)}
    soft, hard = (
        ga.LearnedRoutingAttention(4, mechanisms=members, mode=m, router_temperature=0.6).with_parameters(router)
        for m in ("soft", "hard")
    )
    z = (q @ router["w_router"] + router["b_router"]) / 0.6
    shares = np.exp(z - z.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    outputs = np.stack([m.forward(q, x, v) for m in members], axis=1)  # (M, X, D)
    np.testing.assert_allclose(soft.shares(q), shares, rtol=1e-12)
    np.testing.assert_allclose(soft.forward(q, x, v), np.einsum("mx,mxd->md", shares, outputs), rtol=1e-11)
    best = z.argmax(1)
    CALLS.clear()
    np.testing.assert_allclose(hard.forward(q, x, v), outputs[np.arange(5), best], rtol=1e-11)
    assert sorted(seed for seed, _ in CALLS) == sorted(set(best.tolist()))
    # straight-through: the router's gradient is that of soft routing with all outputs
    g = rng.standard_normal((5, 4))
    g_share = np.einsum("md,mxd->mx", g, outputs)
    g_logits = shares * (g_share - (shares * g_share).sum(1, keepdims=True)) / 0.6
    for attn in (soft, hard):
        p = attn.vjp(q, x, v)[1](g).parameters
        np.testing.assert_allclose(p["b_router"], g_logits.sum(0), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(p["w_router"], q.T @ g_logits, rtol=1e-9, atol=1e-12)
    assert [i for i, _ in soft.get_routing(q[0])] == np.argsort(-shares[0]).tolist()
    graph = NeighborGraph.from_edge_index(rng.integers(0, 6, (2, 14)), 6)
    y, pullback = hard.attend_vjp(graph, x)
    np.testing.assert_allclose(y, hard.attend(graph, x), rtol=1e-12)
    assert np.abs(pullback(np.ones_like(y)).parameters["w_router"]).max() > 0

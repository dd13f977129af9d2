"""MoEAttention: routing, the experts that run, load, and gradients over graphs."""

import numpy as np
import pytest
from counting_expert import CALLS, Counting

import graphattend as ga
from graphattend.graph import NeighborGraph


@pytest.fixture(autouse=True)
def no_calls():
    CALLS.clear()


def mixture(rng, count=3, k=1, **options):
    experts = [Counting(4, seed=i, temperature=0.5 + i) for i in range(count)]
    moe = ga.MoEAttention(4, experts=experts, top_k=k, **options)
    return moe.with_parameters({"w_router": rng.standard_normal((4, count)), "b_router": rng.standard_normal(count)})


def routing(moe, q):
    """Return indices and shares from the published formula, by sorting."""
    p = moe.parameters()
    logits = q @ p["w_router"] + p["b_router"]
    order = sorted(range(len(logits)), key=lambda x: -logits[x])[: moe.top_k]
    e = np.exp(logits[order] - logits[order[0]])
    return order, e / e.sum()


@pytest.mark.parametrize("k", [1, 2, 3])
def test_output_is_the_weighted_sum_of_the_chosen(rng, k):
    moe = mixture(rng, k=k)
    q, x, v = rng.standard_normal((6, 4)), rng.standard_normal((5, 4)), rng.standard_normal((5, 4))
    out, w = moe.forward(q, x, v, need_weights=True)
    for i in range(6):
        order, shares = routing(moe, q[i])
        parts = [moe.experts[e].forward(q[i], x, v, need_weights=True) for e in order]
        np.testing.assert_allclose(out[i], sum(s * o for s, (o, _) in zip(shares, parts, strict=True)), rtol=1e-11)
        np.testing.assert_allclose(w[i], sum(s * a for s, (_, a) in zip(shares, parts, strict=True)), rtol=1e-11)
        listed = moe.get_routing(q[i])
        assert [e for e, _ in listed] == order
        assert all(type(e) is int and type(s) is float for e, s in listed)
        np.testing.assert_allclose([s for _, s in listed], shares, rtol=1e-12)
    for many, row in zip(moe.get_routing(q), q, strict=True):
        assert [e for e, _ in many] == [e for e, _ in moe.get_routing(row)]
        np.testing.assert_allclose([s for _, s in many], [s for _, s in moe.get_routing(row)], rtol=1e-12)
    load = np.zeros(3)
    for row in q:
        load[routing(moe, row)[0]] += 1 / 6
    np.testing.assert_allclose(moe.expert_load(q), load)
    assert np.array_equal(moe.load(q), moe.expert_load(q))  # its alias
    assert abs(moe.load_balance_loss(q) - float(ga.functional.load_balance_loss(moe.router_logits(q), k))) < 1e-12
    np.testing.assert_allclose(moe.shares(q).sum(-1), 1)


@pytest.mark.usefixtures("on_numpy")
def test_experts_not_chosen_are_not_computed(rng):
    moe = mixture(rng, count=5, k=1)
    q, x = rng.standard_normal((40, 4)), rng.standard_normal((6, 4))
    expected = np.bincount([routing(moe, row)[0][0] for row in q], minlength=5)
    assert (expected == 0).any() or expected.min() < 40
    CALLS.clear()
    moe.forward(q, x, x)
    done = np.zeros(5, int)
    for seed, rows in CALLS:
        done[seed] += rows
    assert done.tolist() == expected.tolist()
    one = moe.with_parameters({"w_router": np.zeros((4, 5)), "b_router": np.array([0, 0, 9.0, 0, 0])})
    for call in (
        lambda: one.forward(q, x, x),
        lambda: one.forward(q[0], x, x, attn_mask=np.arange(6) < 3),
        lambda: one.attention_weights(q, x),
        lambda: one.vjp(q, x, x)[1](np.ones((40, 4))),
        lambda: one.forward(q.reshape(2, 20, 4), x, x),
        lambda: one.attend(NeighborGraph.from_edge_index([[1, 2], [0, 1]], 6), x),
    ):
        CALLS.clear()
        call()
        assert {seed for seed, _ in CALLS} == {2}


def test_nodes_go_to_their_own_experts(rng):
    moe = mixture(rng, count=3, k=2)
    x = rng.standard_normal((9, 4))
    graph = NeighborGraph.from_edge_index(rng.integers(0, 9, (2, 25)), 9)
    out, w = moe.attend(graph, x, need_weights=True)
    for i in range(9):
        row = slice(graph.indptr[i], graph.indptr[i + 1])
        near = graph.indices[row]
        if near.size:
            o, a = moe.forward(x[i], x[near], x[near], need_weights=True)
            np.testing.assert_allclose(out[i], o, rtol=1e-10, atol=1e-12)
            np.testing.assert_allclose(w[row], a, rtol=1e-10)
    y, pullback = moe.attend_vjp(graph, x)
    d = rng.standard_normal(x.shape)
    numeric = (moe.attend(graph, x + 1e-6 * d).sum() - moe.attend(graph, x - 1e-6 * d).sum()) / 2e-6
    assert abs(np.vdot(pullback(np.ones_like(y)).query, d) - numeric) < 1e-6 * max(1, abs(numeric))


def test_causal_experts_keep_their_positions(rng):
    """A causal expert for row 3 must see keys 0 to 3, also if rows 0 to 2 went to other experts."""
    experts = [ga.FlashAttention(4, is_causal=True), ga.create("scaled_dot_product", 4)]
    moe = ga.MoEAttention(4, experts=experts, top_k=1)
    moe = moe.with_parameters({"w_router": rng.standard_normal((4, 2))})
    x = rng.standard_normal((8, 4))
    out = moe.forward(x, x, x)
    dense = [m.forward(x, x, x) for m in experts]
    chosen = moe.router_logits(x).argmax(1)
    assert 0 < chosen.sum() < 8
    np.testing.assert_allclose(out, np.where(chosen[:, None] == 0, *dense), rtol=1e-11)


def test_builder_of_the_contract(rng):
    moe = (
        ga.MoEAttention.builder(8)
        .add_local_expert()
        .add_hyperbolic_expert(-1.0)
        .add_sparse_expert(2, [0])
        .top_k(2)
        .build()
    )
    assert [m.key for m in moe.experts] == ["scaled_dot_product", "hyperbolic", "local_global"]
    assert (moe.experts[1].curvature, moe.experts[2].window, moe.experts[2].global_nodes) == (-1.0, 2, (0,))
    more = (
        ga.MoEAttention.builder(8)
        .add_global_expert(32)
        .add_structural_expert()
        .add_expert(ga.FlashAttention(8))
        .seed(3)
        .build()
    )
    assert [m.key for m in more.experts] == ["linear", "edge_featured", "flash"]
    assert [m.key for m in ga.MoEAttention(8).experts] == [
        "scaled_dot_product",
        "hyperbolic",
        "linear",
        "edge_featured",
    ]
    x = rng.standard_normal((5, 8)) * 0.2
    index, weight = moe.get_routing(x[0])[0]
    assert 0 <= index < 3
    assert 0.5 <= weight <= 1.0
    for k in (0, 4, 1.5, "2"):
        with pytest.raises(ga.InvalidConfigError, match="top_k"):
            ga.MoEAttention.builder(8).add_local_expert().add_local_expert().add_local_expert().top_k(k).build()
    with pytest.raises(ga.InvalidConfigError, match="did you mean 'top_k'"):
        ga.MoEAttention.builder(8).topk(1)
    for bad in (x[0][:-1], "a", x[0] * np.nan, None):
        for method in (
            moe.get_routing,
            moe.expert_load,
            moe.load,
            moe.shares,
            moe.router_logits,
            moe.load_balance_loss,
        ):
            with pytest.raises(ga.AttentionError, match="query"):
                method(bad)


def test_parameters_of_experts(rng):
    moe = ga.MoEAttention(8, experts=[ga.MultiHeadAttention(8), ga.HyperbolicAttention(8)], top_k=2)
    names = list(moe.parameters())
    assert names[:2] == ["w_router", "b_router"]
    assert "experts/0/w_q" in names
    assert "experts/1/curvature" in names
    new = moe.with_parameters({"experts/1/curvature": -2.0})
    assert float(new.experts[1].parameters()["curvature"]) == -2.0
    assert float(moe.experts[1].parameters()["curvature"]) == -1.0
    x = rng.standard_normal((4, 8)) * 0.1
    assert not np.array_equal(new(x[0], x, x), moe(x[0], x, x))
    with pytest.raises(ga.InvalidConfigError, match="curvature"):
        moe.with_parameters({"experts/1/curvature": 2.0})


def test_gradients_of_weights_over_a_graph(rng):
    """Also with multi-head experts, and with more than one expert per node."""
    experts = [ga.create("multi_head", 4, num_heads=2), Counting(4), ga.create("hyperbolic", 4)]
    moe = ga.MoEAttention(4, experts=experts, top_k=2)
    x = rng.standard_normal((7, 4)) * 0.3
    graph = NeighborGraph.from_edge_index(rng.integers(0, 7, (2, 20)), 7)
    y, pullback = moe.attend_vjp(graph, x)
    gw = rng.standard_normal(20)
    found = pullback(np.zeros_like(y), gw)

    def loss(attn, at):
        return float(gw @ attn.attend(graph, at, need_weights=True)[1])

    d = rng.standard_normal(x.shape)
    numeric = (loss(moe, x + 1e-6 * d) - loss(moe, x - 1e-6 * d)) / 2e-6
    assert abs(np.vdot(found.query, d) - numeric) < 1e-6 * max(1, abs(numeric))
    for name in ("w_router", "experts/0/w_q", "experts/2/curvature"):
        a = moe.parameters()[name]
        d = rng.standard_normal(a.shape)
        numeric = (
            loss(moe.with_parameters({name: a + 1e-6 * d}), x) - loss(moe.with_parameters({name: a - 1e-6 * d}), x)
        ) / 2e-6
        assert abs(np.vdot(found.parameters[name], d) - numeric) < 1e-6 * max(1, abs(numeric))


def test_a_wrong_edge_width_is_named_as_it_was_given(rng):
    """The error shows the width as given, not the shape of the rows that chose the expert."""
    experts = [ga.ScaledDotProductAttention(8), ga.EdgeFeaturedAttention(8, edge_dim=3)]
    x, edges = rng.standard_normal((6, 8)), [[0, 1, 2, 3], [1, 2, 3, 0]]
    graph = ga.NeighborGraph.from_edge_index(edges, 6, edge_features=rng.standard_normal((4, 2)))
    for attn in (ga.MoEAttention(8, experts=experts, top_k=1), ga.LearnedRoutingAttention(8, mechanisms=experts)):
        for call in (attn.attend, attn.attend_vjp):
            with pytest.raises(ga.DimensionMismatchError, match=r"edge_features.*\(4, 2\)"):
                call(graph, x)


def reading(rng, dtype=np.float32):
    """Return a mixture whose last expert is never chosen and reads edge features, and arguments without metadata."""
    experts = [ga.ScaledDotProductAttention(4), ga.EdgeFeaturedAttention(4, edge_dim=2, num_heads=2)]
    moe = ga.MoEAttention(4, experts=experts, top_k=1)
    moe = moe.with_parameters({"w_router": np.zeros((4, 2)), "b_router": np.array([9.0, 0.0])})
    return moe, rng.standard_normal((3, 4)).astype(dtype)


@pytest.mark.parametrize(
    "features",
    [
        None,
        np.full((3, 2), np.nan, np.float32),
        np.full((3, 2), np.inf),
        np.ones((3, 3), np.float32),
        np.ones((2, 2), np.float32),
        np.ones(3, np.float32),
        np.ones((5, 3, 2), np.float32),
        [["a", "b"]] * 3,
    ],
)
def test_fields_of_experts_that_are_not_chosen_are_checked(rng, features):
    moe, x = reading(rng)
    metadata = ga.GraphMetadata(edge_features=features)
    texts = []
    for query in (x[0], x[:1]):  # the second takes the checked pass
        with pytest.raises(ga.AttentionError, match="edge_features") as caught:
            moe.forward(query, x, x, metadata=metadata)
        texts.append(str(caught.value))
    assert texts[0] == texts[1]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_fields_are_accepted_in_every_form(rng, dtype, order):
    moe, x = reading(rng)
    features = np.asarray(rng.integers(0, 3, (3, 2)), dtype, order=order)
    out = moe.forward(x[0], x, x, metadata=ga.GraphMetadata(edge_features=features))
    np.testing.assert_array_equal(out, moe.experts[0].forward(x[0], x, x))


@pytest.mark.with_kernels
def test_plain_fields_need_no_conversion(rng, monkeypatch):
    moe, x = reading(rng)
    features = np.ones((3, 2), np.float32)
    monkeypatch.delattr("graphattend.mechanisms._router.check_metadata")
    moe.forward(x[0], x, x, metadata=ga.GraphMetadata(edge_features=features))
    with pytest.raises(NameError):
        moe.forward(x[0], x, x, metadata=ga.GraphMetadata(edge_features=features.astype(float)))


@pytest.mark.with_kernels
def test_only_plain_fields_skip_the_checks(rng):
    narrow, wide = (ga.EdgeFeaturedAttention(4, edge_dim=width, num_heads=2) for width in (2, 3))
    layers = ga.HNSWAwareAttention(4, encoding="bias")
    rope, structural = ga.GraphRoPEAttention(4), ga.StructuralAttention(4, num_features=5)
    found = [
        ga.MoEAttention(4, experts=experts, top_k=1)._plain_fields
        for experts in ([rope, narrow], [narrow, wide], [layers], [structural], [ga.CrossSpaceAttention(4)])
    ]
    assert found == [(("distances", ()), ("edge_features", (2,))), None, None, None, None]

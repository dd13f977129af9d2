"""GAT and GATv2 against formulas over a list of edges."""

import math

import numpy as np
import pytest

import graphattend as ga
from graphattend.graph import NeighborGraph


def leaky(x, slope):
    return np.where(x > 0, x, slope * x)


def edge_list(attn, source, target, n, x, features):
    """Compute output (n, H·E or E) and weights per edge (K, H), one edge and node at a time."""
    p = attn.parameters()
    heads, width = attn.num_heads, attn.width
    weights, out = np.zeros((len(source), heads)), np.zeros((n, heads, width))
    for h in range(heads):
        score = []
        for edge, (j, i) in enumerate(zip(source, target, strict=True)):
            if attn.variant == "gat":
                s = p["a_query"][h] @ (x[i] @ p["w"][h]) + p["a_key"][h] @ (x[j] @ p["w"][h])
                if attn.edge_dim:
                    s += p["a_edge"][h] @ (features[edge] @ p["w_e"][h])
                score.append(float(leaky(s, attn.negative_slope)))
            else:
                z = x[i] @ p["w_query"][h] + x[j] @ p["w_key"][h]
                if attn.edge_dim:
                    z = z + features[edge] @ p["w_e"][h]
                score.append(float(p["a"][h] @ leaky(z, attn.negative_slope)))
        value = x @ (p["w"][h] if attn.variant == "gat" else p["w_key"][h])
        for i in range(n):
            mine = [e for e, t in enumerate(target) if t == i]
            if not mine:
                continue
            top = max(score[e] for e in mine)
            total = math.fsum(math.exp(score[e] - top) for e in mine)
            for e in mine:
                weights[e, h] = math.exp(score[e] - top) / total
                out[i, h] += weights[e, h] * value[source[e]]
    y = out.reshape(n, -1) if attn.concat else out.mean(axis=1)
    return y + p.get("bias", 0.0), weights


def make(rng, **options):
    attn = ga.EdgeFeaturedAttention(6, **options)
    return attn.with_parameters({n: rng.standard_normal(a.shape) for n, a in attn.parameters().items()})


SOURCE = [1, 2, 5, 0, 3, 3, 4, 0, 2]
TARGET = [0, 0, 0, 1, 1, 4, 2, 4, 4]  # nodes 3 and 5 have no neighbours; node 4 has two


@pytest.mark.parametrize("variant", ["gat", "gatv2"])
@pytest.mark.parametrize("concat", [True, False])
@pytest.mark.parametrize("edge_dim", [0, 3])
@pytest.mark.parametrize("heads", [1, 2])
def test_attend_is_the_edge_list_formula(rng, variant, concat, edge_dim, heads):
    attn = make(rng, variant=variant, concat=concat, edge_dim=edge_dim, num_heads=heads, negative_slope=0.3)
    x, features = rng.standard_normal((6, 6)), rng.standard_normal((len(SOURCE), 3))
    graph = NeighborGraph.from_edge_index([SOURCE, TARGET], 6, edge_features=features)
    out, weights = attn.attend(graph, x, need_weights=True)
    expected, per_edge = edge_list(attn, SOURCE, TARGET, 6, x, features)
    np.testing.assert_allclose(out, expected, rtol=1e-11, atol=1e-12)
    order = np.argsort(TARGET, kind="stable")  # CSR: by target, in the order of the columns
    assert weights.shape == (len(SOURCE), heads)
    assert graph.indices.tolist() == [SOURCE[e] for e in order]
    np.testing.assert_allclose(weights, per_edge[order], rtol=1e-11)
    np.testing.assert_allclose(out[3], np.broadcast_to(attn.parameters()["bias"], out[3].shape))  # only the bias


@pytest.mark.parametrize("fill", ["mean", 0.7, 0.0])
@pytest.mark.parametrize("variant", ["gat", "gatv2"])
def test_self_loops(rng, fill, variant):
    """Each node gets one loop in place of existing ones, with the mean features of its other edges or a constant."""
    attn = make(rng, variant=variant, edge_dim=2, num_heads=2, add_self_loops=True, fill_value=fill)
    source, target = [1, 2, 0, 1, 1, 0], [0, 0, 0, 1, 2, 2]  # 0→0 and 1→1 are loops
    x, features = rng.standard_normal((4, 6)), rng.standard_normal((6, 2))
    kept = [e for e in range(6) if source[e] != target[e]]
    loops = []
    for i in range(4):
        others = [features[e] for e in kept if target[e] == i]
        loops.append((np.mean(others, axis=0) if others else np.zeros(2)) if fill == "mean" else np.full(2, fill))
    all_source = [source[e] for e in kept] + list(range(4))
    all_target = [target[e] for e in kept] + list(range(4))
    all_features = np.concatenate([features[kept], loops])
    expected, per_edge = edge_list(attn, all_source, all_target, 4, x, all_features)
    graph = NeighborGraph.from_edge_index([source, target], 4, edge_features=features)
    out, weights = attn.attend(graph, x, need_weights=True)
    np.testing.assert_allclose(out, expected, rtol=1e-11, atol=1e-12)
    assert weights.shape == (len(all_source), 2)
    looped = graph.with_self_loops(fill_value=fill)
    pairs = list(zip(looped.indices.tolist(), looped.targets.tolist(), strict=True))
    by_pair = {(j, i): per_edge[e] for e, (j, i) in enumerate(zip(all_source, all_target, strict=True))}
    np.testing.assert_allclose(weights, [by_pair[pair] for pair in pairs], rtol=1e-11)
    assert weights[looped.indptr[3]].tolist() == [1.0, 1.0]  # an isolated node attends to itself


@pytest.mark.parametrize("fill", ["mean", 0.5])
def test_self_loop_gradients(rng, fill):
    attn = make(rng, edge_dim=2, num_heads=2, add_self_loops=True, fill_value=fill)
    edges, x, features = (
        [[1, 2, 0, 1, 1, 0], [0, 0, 0, 1, 2, 2]],
        rng.standard_normal((4, 6)),
        rng.standard_normal((6, 2)),
    )
    graph = NeighborGraph.from_edge_index(edges, 4, edge_features=features)
    y, pullback = attn.attend_vjp(graph, x)
    g = rng.standard_normal(y.shape)
    d = rng.standard_normal((6, 2))

    def along(t):
        moved = NeighborGraph.from_edge_index(edges, 4, edge_features=features + t * d)
        return float(np.vdot(g, attn.attend(moved, x)))

    order = np.argsort(edges[1], kind="stable")
    numeric = (along(1e-6) - along(-1e-6)) / 2e-6
    assert abs(np.vdot(pullback(g).metadata["edge_features"], d[order]) - numeric) < 1e-7 * max(1, abs(numeric))


def test_one_head_takes_parameters_without_the_axis(rng):
    attn = make(rng, num_heads=1, edge_dim=2)
    p = attn.parameters()
    assert {n: a.shape for n, a in p.items()} == {
        "w": (1, 6, 6), "w_e": (1, 2, 6), "a_query": (1, 6), "a_key": (1, 6), "a_edge": (1, 6), "bias": (6,),
    }  # fmt: skip
    flat = {n: a[0] if n != "bias" else a for n, a in p.items()}
    assert ga.EdgeFeaturedAttention(6, num_heads=1, edge_dim=2).with_parameters(flat) == attn
    with pytest.raises(ga.DimensionMismatchError, match="w"):
        make(rng, num_heads=2).with_parameters({"w": np.ones((6, 3))})


def test_parameter_shapes():
    def shapes(**options):
        return {n: a.shape for n, a in ga.EdgeFeaturedAttention(8, **options).parameters().items()}

    assert shapes(variant="gatv2", edge_dim=3, num_heads=2) == {
        "w_query": (2, 8, 4), "w_key": (2, 8, 4), "w_e": (2, 3, 4), "a": (2, 4), "bias": (8,),
    }  # fmt: skip
    assert shapes(concat=False, head_dim=5) == {"w": (4, 8, 5), "a_query": (4, 5), "a_key": (4, 5), "bias": (5,)}
    assert shapes(bias=False) == {"w": (4, 8, 2), "a_query": (4, 2), "a_key": (4, 2)}


def test_batched_edge_features(rng):
    attn = make(rng, edge_dim=3, num_heads=2)
    q, k, e = rng.standard_normal((4, 2, 6)), rng.standard_normal((4, 5, 6)), rng.standard_normal((4, 5, 3))
    out = attn.forward(q, k, k, metadata=ga.GraphMetadata(edge_features=e))
    for b, i in np.ndindex(4, 2):
        one = attn.forward(q[b, i], k[b], k[b], metadata=ga.GraphMetadata(edge_features=e[b]))
        np.testing.assert_allclose(out[b, i], one, rtol=1e-12)
    shared = attn.forward(q, k, k, metadata=ga.GraphMetadata(edge_features=e[0]))
    np.testing.assert_allclose(shared[0], out[0], rtol=1e-12)


def test_wrong_edge_features(rng):
    attn = make(rng, edge_dim=3, num_heads=2)
    x = rng.standard_normal((5, 6))
    for bad in (rng.random((5, 2)), rng.random((4, 3)), rng.random(5), rng.random((2, 5, 3))):
        with pytest.raises(ga.DimensionMismatchError, match=r"metadata.edge_features"):
            attn.forward(x[0], x, x, metadata=ga.GraphMetadata(edge_features=bad))
    with pytest.raises(ga.InvalidConfigError, match="edge_features"):
        attn.forward(x[0], x, x)
    with pytest.raises(ga.InvalidConfigError, match="edge_features"):
        attn.attend(NeighborGraph.from_edge_index([[0], [1]], 5), x)
    with pytest.raises(ga.DimensionMismatchError, match="edge_features"):
        attn.attend(NeighborGraph.from_edge_index([[0], [1]], 5, edge_features=[[1.0]]), x)


def test_edge_features_without_edge_dim_are_not_ignored(rng):
    x = rng.standard_normal((4, 8))
    meta = ga.GraphMetadata(edge_features=rng.standard_normal((4, 3)), distances=np.ones(4))
    others = ga.GraphMetadata(distances=np.ones(4), edge_weights=np.ones(4))  # mechanisms share metadata
    attn = ga.EdgeFeaturedAttention(8)
    moe = ga.MoEAttention(8)
    routing = ga.create("learned_routing", 8)
    for mechanism, option in ((attn, "edge_dim"), (moe, "experts/3/edge_dim")):
        for call in (
            lambda m: m.forward(x[0], x, x, metadata=meta),
            lambda m: m.forward(x[:2], x, x, metadata=meta, need_weights=True),
            lambda m: m.attention_weights(x[0], x, metadata=meta),
            lambda m: m.vjp(x[0], x, x, metadata=meta),
            lambda m: m.forward(x[0], m.prepare(x, x), metadata=meta),
        ):
            with pytest.raises(ga.InvalidConfigError, match=f"metadata.edge_features: expected {option} = 3") as info:
                call(mechanism)
            assert (info.value.argument, info.value.expected) == ("edge_dim", 3)
        mechanism.forward(x[0], x, x, metadata=others)
    assert routing.unread == {} or "edge_features" in routing.unread
    # It suffices that one expert reads them.
    reads = ga.MoEAttention(8, experts=[attn, ga.EdgeFeaturedAttention(8, edge_dim=3)])
    assert reads.unread == {}
    reads.forward(x[0], x, x, metadata=meta)
    # A mechanism that reads them with no option still accepts them.
    ga.ScaledDotProductAttention(8).forward(x[0], x, x, metadata=meta)


def test_a_graph_with_edge_features_is_attended_without_them(rng):
    features = rng.standard_normal((4, 3))
    edges = [[0, 1, 2, 3], [1, 2, 3, 0]]
    graph = ga.NeighborGraph.from_edge_index(edges, 4, edge_features=features)
    plain = ga.NeighborGraph.from_edge_index(edges, 4)
    x = rng.standard_normal((4, 8))
    attn = ga.EdgeFeaturedAttention(8, num_heads=2)
    out = attn.forward(x[1], x[:1], x[:1], metadata=graph.metadata(1))
    np.testing.assert_allclose(out, attn.forward(x[1], x[:1], x[:1]), rtol=1e-14)
    np.testing.assert_array_equal(attn.attend(graph, x), attn.attend(plain, x))
    assert ga.recommend(graph, dim=8).options["edge_dim"] == 3
    found = ga.create("edge_featured", 8, **ga.recommend(graph, dim=8).options)
    assert np.isfinite(found.attend(graph, x)).all()

"""CrossSpaceAttention: its three parts and their fusion."""

import numpy as np
import pytest

import graphattend as ga
from graphattend.graph import NeighborGraph


def plain(q, k, v, factor):
    s = np.atleast_2d(q) @ k.T * factor
    e = np.exp(s - s.max(-1, keepdims=True))
    w = e / e.sum(-1, keepdims=True)
    return w @ v, w


def fused(attn, parts):
    p = attn.parameters()
    joined = np.concatenate(parts, axis=-1)
    if attn.fusion == "concat":
        return joined @ p["w_fusion"] + p["b_fusion"]
    if attn.fusion == "mean":
        return sum(parts) / 3
    z = joined @ p["w_gate"] + p["b_gate"]
    e = np.exp(z - z.max(-1, keepdims=True))
    share = e / e.sum(-1, keepdims=True)
    return sum(share[:, i : i + 1] * parts[i] for i in range(3))


def make(rng, fusion, **options):
    attn = ga.CrossSpaceAttention(5, fusion=fusion, temperature=0.7, **options)
    return attn.with_parameters({n: rng.standard_normal(a.shape) for n, a in attn.parameters().items()})


@pytest.mark.parametrize("fusion", ["concat", "gated", "mean"])
def test_parts_and_fusion(rng, fusion):
    attn, factor = make(rng, fusion), 5**-0.5 / 0.7
    q, k, v, l_k, l_v = (rng.standard_normal((n, 5)) for n in (3, 6, 6, 4, 4))
    meta = ga.GraphMetadata(latent_keys=l_k, latent_values=l_v)
    graph, w = plain(q, k, v, factor)
    latent, w_l = plain(q, l_k, l_v, factor)
    cross, w_c = plain(graph, l_k, l_v, factor)
    parts = attn.parts(q, k, v, metadata=meta)
    for ours, theirs in zip(parts, (graph, latent, cross, w, w_l, w_c), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-13)
    assert parts.graph_weights.shape == (3, 6)
    assert parts.cross_weights.shape == (3, 4)
    out, weights = attn.forward(q, k, v, metadata=meta, need_weights=True)
    np.testing.assert_allclose(out, fused(attn, [graph, latent, cross]), rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(weights, w, rtol=1e-11)
    single = attn.parts(q[0], k, v, metadata=meta)
    np.testing.assert_allclose(single.cross, cross[0], rtol=1e-11)
    keys_only = attn.parts(q, k, v, metadata=ga.GraphMetadata(latent_keys=l_k))
    np.testing.assert_allclose(keys_only.latent, plain(q, l_k, l_k, factor)[0], rtol=1e-11)


@pytest.mark.parametrize("fusion", ["concat", "gated", "mean"])
def test_attend_takes_the_nearest_nodes(rng, fusion):
    attn, factor = make(rng, fusion, latent_neighbors=3), 5**-0.5 / 0.7
    x = rng.standard_normal((8, 5))
    graph = NeighborGraph.from_edge_index([[1, 2, 3, 4, 0, 6], [0, 0, 1, 1, 7, 7]], 8)
    out = attn.attend(graph, x)
    for i in range(8):
        near = graph.indices[graph.indptr[i] : graph.indptr[i + 1]]
        order = np.argsort(np.linalg.norm(x - x[i], axis=1), kind="stable")
        close = order[order != i][:3]
        g = plain(x[i], x[near], x[near], factor)[0] if near.size else np.zeros((1, 5))
        parts = [g, plain(x[i], x[close], x[close], factor)[0], plain(g, x[close], x[close], factor)[0]]
        np.testing.assert_allclose(out[i], fused(attn, parts)[0], rtol=1e-10, atol=1e-12)


def test_latent_fields_are_checked(rng):
    attn = make(rng, "mean")
    x = rng.standard_normal((4, 5))
    for fields, name in [
        ({}, "latent_keys"),
        ({"latent_keys": x[:, :4]}, "latent_keys"),
        ({"latent_keys": x[0]}, "latent_keys"),
        ({"latent_keys": x[:0]}, "latent_keys"),
        ({"latent_keys": x, "latent_values": x[:3]}, "latent_values"),
        ({"latent_keys": x, "latent_values": x[:, :2]}, "latent_values"),
        ({"latent_keys": x * np.inf}, "latent_keys"),
    ]:
        for call in (attn.forward, attn.parts, attn.vjp):
            with pytest.raises(ga.AttentionError, match=name):
                call(x[0], x, x, metadata=ga.GraphMetadata(**fields))


def test_latent_neighbours_are_searched_once_for_the_same_keys(rng, monkeypatch):
    calls = []
    search = NeighborGraph.knn
    monkeypatch.setattr(NeighborGraph, "knn", lambda x, k, **options: calls.append(k) or search(x, k, **options))
    x = rng.standard_normal((9, 5))
    graph = search(x, 2)
    attn = make(rng, "gated", latent_neighbors=3)
    first = attn.attend(graph, x)
    np.testing.assert_array_equal(attn.attend(graph, x.copy()), first)
    out, pull = attn.with_parameters(attn.parameters()).attend_vjp(graph, x)
    np.testing.assert_array_equal(out, first)
    pull(np.ones_like(out))
    assert calls == [3]
    x[0] += 10  # the same array with other numbers is searched again
    assert not np.array_equal(attn.attend(graph, x), first)
    assert calls == [3, 3]


def test_latent_neighbours_can_be_given(rng):
    attn, x = make(rng, "concat", latent_neighbors=3), rng.standard_normal((8, 5))
    graph, near = NeighborGraph.knn(x, 2), NeighborGraph.knn(x, 3)
    given = attn.with_latent_graph(near)
    np.testing.assert_array_equal(given.attend(graph, x), attn.attend(graph, x))
    other = NeighborGraph.from_edge_index([[1], [0]], 8)
    assert not np.allclose(attn.with_latent_graph(other).attend(graph, x), attn.attend(graph, x))
    assert given.to_config() == attn.to_config()
    with pytest.raises(ga.InvalidConfigError, match="graph: expected a NeighborGraph"):
        attn.with_latent_graph(x)
    with pytest.raises(ga.DimensionMismatchError, match="latent graph"):
        attn.with_latent_graph(NeighborGraph.knn(x[:5], 2)).attend(graph, x)

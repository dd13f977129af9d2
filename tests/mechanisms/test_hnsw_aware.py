"""HNSWAwareAttention: decay, table and embedding against formulas."""

import numpy as np
import pytest

import graphattend as ga
from graphattend.graph import NeighborGraph


def soft(s):
    e = np.exp(s - s.max())
    return e / e.sum()


def expected(attn, q, k, layer, layers):
    p, factor = attn.parameters(), attn.dim**-0.5 / attn.temperature
    if attn.encoding == "decay":
        return soft(factor * (k @ q) - p["decay"] * np.abs(layer - layers))
    if attn.encoding == "bias":
        return soft(factor * (k @ q) + np.array([p["layer_bias"][layer, l] for l in layers]))
    e = p["layer_embedding"]
    return soft(factor * np.array([(x + e[l]) @ (q + e[layer]) for x, l in zip(k, layers, strict=True)]))


@pytest.mark.parametrize("encoding", ["decay", "bias", "embedding"])
def test_formula(rng, encoding):
    attn = ga.HNSWAwareAttention(6, encoding=encoding, num_layers=4, decay=0.7, temperature=0.5)
    attn = attn.with_parameters({n: a + 0.3 * rng.standard_normal(a.shape) for n, a in attn.parameters().items()})
    q, k, v = rng.standard_normal((3, 6)), rng.standard_normal((7, 6)), rng.standard_normal((7, 2))
    layers, own = rng.integers(0, 4, 7), rng.integers(0, 4, 3)
    for i in range(3):
        meta = ga.GraphMetadata(hnsw_layers=layers, query_layer=int(own[i]))
        out, w = attn.forward(q[i], k, v, metadata=meta, need_weights=True)
        np.testing.assert_allclose(w, expected(attn, q[i], k, own[i], layers), rtol=1e-11)
        np.testing.assert_allclose(out, w @ v, rtol=1e-11)
    both = attn.attention_weights(q, k, metadata=ga.GraphMetadata(hnsw_layers=layers, query_layer=own))
    for i in range(3):
        np.testing.assert_allclose(both[i], expected(attn, q[i], k, own[i], layers), rtol=1e-11)


@pytest.mark.parametrize("encoding", ["decay", "bias", "embedding"])
def test_attend_takes_layers_from_the_graph(rng, encoding):
    attn = ga.HNSWAwareAttention(4, encoding=encoding, num_layers=3)
    layers = np.array([0, 1, 2, 0, 1])
    graph = NeighborGraph.from_edge_index([[1, 2, 3, 0, 4], [0, 0, 0, 2, 3]], 5, layers=layers)
    x = rng.standard_normal((5, 4))
    _, w = attn.attend(graph, x, need_weights=True)
    for i in range(5):
        row = slice(graph.indptr[i], graph.indptr[i + 1])
        near = graph.indices[row]
        if near.size:
            np.testing.assert_allclose(w[row], expected(attn, x[i], x[near], layers[i], layers[near]), rtol=1e-11)
    with pytest.raises(ga.InvalidConfigError, match=r"graph\.layers"):
        attn.attend(NeighborGraph.from_edge_index([[0], [1]], 5), x)


def test_the_table_starts_as_the_decay(rng):
    x = rng.standard_normal((5, 4))
    meta = ga.GraphMetadata(hnsw_layers=[0, 1, 2, 3, 1], query_layer=2)
    decay, table = (ga.HNSWAwareAttention(4, encoding=e, decay=0.4) for e in ("decay", "bias"))
    np.testing.assert_allclose(decay(x[0], x, x, metadata=meta), table(x[0], x, x, metadata=meta), rtol=1e-12)


def test_layers_are_checked(rng):
    x = rng.standard_normal((3, 4))
    table = ga.HNSWAwareAttention(4, encoding="bias", num_layers=2)
    for name, meta in (("hnsw_layers", ([0, 1, 2], 0)), ("query_layer", ([0, 1, 1], 2))):
        with pytest.raises(ga.OutOfBoundsError, match=f"metadata.{name}") as info:
            table.forward(x[0], x, x, metadata=ga.GraphMetadata(hnsw_layers=meta[0], query_layer=meta[1]))
        assert (info.value.index, info.value.length) == (2, 2)
    for layers, own in (
        ([0, -1, 0], 0),
        ([0, 1, 0], -1),
        ([0.5, 1.0, 0.0], 0),
        ([0, 1], 0),
        ([0, 1, 0], 1.0),
        ([0, 1, 0], [0, 1]),
    ):
        with pytest.raises(ga.AttentionError, match=r"metadata\."):
            ga.HNSWAwareAttention(4).forward(x[0], x, x, metadata=ga.GraphMetadata(hnsw_layers=layers, query_layer=own))

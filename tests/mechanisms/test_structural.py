"""StructuralAttention: formulas, and centralities that networkx computes."""

import numpy as np
import pytest

import graphattend as ga
from graphattend.graph import NeighborGraph


def soft(s):
    e = np.exp(s - s.max())
    return e / e.sum()


def expected(attn, q, k, s_q, s_k):
    p = attn.parameters()
    if attn.mode != "bias":
        q, k = q + s_q @ p["w_query"], k + s_k @ p["w_key"]
    s = k @ q * attn.dim**-0.5 / attn.temperature
    if attn.mode != "features":
        s = s + s_k @ p["bias"]
    return soft(s)


def make(rng, mode, features=5):
    attn = ga.StructuralAttention(6, mode=mode, num_features=features, temperature=0.8)
    return attn.with_parameters({n: rng.standard_normal(a.shape) for n, a in attn.parameters().items()})


@pytest.mark.parametrize("mode", ["bias", "features", "both"])
def test_formula(rng, mode):
    attn = make(rng, mode, 3)
    q, k, v = rng.standard_normal((2, 6)), rng.standard_normal((7, 6)), rng.standard_normal((7, 2))
    s_q, s_k = rng.random((2, 3)), rng.random((7, 3))
    for i in range(2):
        meta = ga.GraphMetadata(structural_features=s_k, query_structural=s_q[i])
        out, w = attn.forward(q[i], k, v, metadata=meta, need_weights=True)
        np.testing.assert_allclose(w, expected(attn, q[i], k, s_q[i], s_k), rtol=1e-10)
        np.testing.assert_allclose(out, w @ v, rtol=1e-10)
    rows = attn.attention_weights(q, k, metadata=ga.GraphMetadata(structural_features=s_k, query_structural=s_q))
    np.testing.assert_allclose(rows[1], expected(attn, q[1], k, s_q[1], s_k), rtol=1e-10)
    if mode == "bias":
        attn.forward(q, k, v, metadata=ga.GraphMetadata(structural_features=s_k))
    else:
        with pytest.raises(ga.InvalidConfigError, match="query_structural"):
            attn.forward(q, k, v, metadata=ga.GraphMetadata(structural_features=s_k))
    with pytest.raises(ga.DimensionMismatchError, match="structural_features"):
        attn.forward(q, k, v, metadata=ga.GraphMetadata(structural_features=s_k[:, :2], query_structural=s_q))


@pytest.mark.parametrize("mode", ["bias", "both"])
def test_attend_uses_the_centralities_of_networkx(rng, mode):
    nx = pytest.importorskip("networkx")
    pytest.importorskip("scipy")  # networkx needs SciPy for PageRank
    network = nx.karate_club_graph()
    for *_, data in network.edges(data=True):
        data.clear()
    graph = NeighborGraph.from_networkx(network)
    columns = [dict(network.degree()), nx.closeness_centrality(network), nx.betweenness_centrality(network),
               nx.pagerank(network, tol=1e-13, max_iter=1000), nx.clustering(network)]  # fmt: skip
    features = np.array([[c[i] for c in columns] for i in network])
    np.testing.assert_allclose(graph.structural_features(), features, rtol=1e-6)
    attn = make(rng, mode)
    attn = attn.with_parameters({n: a * 0.1 for n, a in attn.parameters().items()})
    x = rng.standard_normal((34, 6))
    _, w = attn.attend(graph, x, need_weights=True)
    for i in range(34):
        row = slice(graph.indptr[i], graph.indptr[i + 1])
        near = graph.indices[row]
        np.testing.assert_allclose(w[row], expected(attn, x[i], x[near], features[i], features[near]), rtol=1e-5)

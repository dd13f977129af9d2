"""Self-loops in a single neighbourhood equal `forward` with the query as an additional last key."""

import dataclasses

import numpy as np
import pytest

import graphattend as ga
from graphattend.mechanisms.edge_featured import EdgeFeaturedAttention
from graphattend.testing import LAWS, check_mechanism


@dataclasses.dataclass(frozen=True, eq=False)
class Looped(EdgeFeaturedAttention):
    """Edge-featured attention whose example has self-loops."""

    @classmethod
    def example(cls, rng, n, dim=8):
        attn, inputs = super().example(rng, n, dim)
        inputs["values"] = inputs["keys"]
        return dataclasses.replace(attn, add_self_loops=True, bias=False), inputs


#: Excluded laws: weights have one more column, masked rows see themselves, graphs are tested below, files have a key.
OTHER = ("shapes", "masks", "weight_gradients", "attend_is_loop", "round_trip")


@pytest.mark.parametrize("law", [law for law in LAWS if law not in OTHER])
def test_law(law):
    check_mechanism(Looped, laws=[law])


@pytest.mark.parametrize("options", [{}, {"variant": "gatv2"}, {"fill_value": 0.5}, {"edge_dim": 0}, {"concat": False}])
def test_forward_over_metadata_is_attend(options, rng):
    attn = ga.EdgeFeaturedAttention(6, **({"edge_dim": 2, "num_heads": 2, "add_self_loops": True} | options))
    edges = np.array([[1, 2, 0, 2, 3, 1], [0, 0, 1, 1, 1, 2]])
    graph = ga.NeighborGraph.from_edge_index(edges, 4, edge_features=rng.standard_normal((6, 2)))
    x = rng.standard_normal((4, 6))
    output, weights = attn.attend(graph, x, need_weights=True)
    looped = graph.with_self_loops()
    for i in range(3):
        row = graph.indices[graph.indptr[i] : graph.indptr[i + 1]]
        call = {"metadata": graph.metadata(i), "need_weights": True}
        out, w = attn.forward(x[i], x[row], x[row], **call)
        np.testing.assert_allclose(out, output[i], rtol=1e-12)
        np.testing.assert_allclose(w.T, weights[looped.indptr[i] : looped.indptr[i + 1]], rtol=1e-12)
        prepared = attn.prepare(x[row], x[row])
        np.testing.assert_array_equal(attn.forward(x[i], prepared, **call)[0], out)
        np.testing.assert_array_equal(attn.attention_weights(x[i], prepared, metadata=graph.metadata(i)), w)
    # An isolated node sees only itself, like a node whose keys are all masked.
    masked = {"attn_mask": np.zeros(2, bool), "metadata": graph.metadata(0)}
    np.testing.assert_allclose(attn.forward(x[3], x[:2], x[:2], **masked), output[3], rtol=1e-12)


@pytest.mark.parametrize("fill", ["mean", 0.3])
@pytest.mark.parametrize("kind", [None, bool, float])
def test_gradients(fill, kind, rng):
    attn = ga.EdgeFeaturedAttention(4, edge_dim=2, num_heads=2, add_self_loops=True, fill_value=fill)
    arrays = [rng.standard_normal(shape) for shape in ((2, 1, 3, 4), (2, 5, 4), (5, 4))]
    features = rng.standard_normal((5, 2))
    mask = None if kind is None else rng.random((2, 3, 5)) > 0.4
    if kind is not None:
        mask[:, 1] = False  # this row sees only itself
        mask = mask if kind is bool else np.where(mask, rng.standard_normal(mask.shape), -np.inf)

    def run(q, k, v, e):
        return attn.vjp(q, k, v, attn_mask=mask, metadata=ga.GraphMetadata(edge_features=e))

    output, pullback = run(*arrays, features)
    g = rng.standard_normal(output.shape)
    g_weights = rng.standard_normal((2, 2, 2, 3, 6))
    found = pullback(g, g_weights)
    inputs = [*arrays, features]
    for i, gradient in enumerate([*found[:3], found.metadata["edge_features"]]):
        d, step = rng.standard_normal(inputs[i].shape), 1e-6
        assert gradient.shape == d.shape
        values = []
        for sign in (1, -1):
            moved = [a + sign * step * d if j == i else a for j, a in enumerate(inputs)]
            call = {"attn_mask": mask, "metadata": ga.GraphMetadata(edge_features=moved[3]), "need_weights": True}
            out, weights = attn.forward(*moved[:3], **call)
            values.append((out * g).sum() + (weights * g_weights).sum())
        np.testing.assert_allclose((gradient * d).sum(), (values[0] - values[1]) / (2 * step), rtol=1e-6, atol=1e-8)


def test_a_router_does_not_mix_weights_of_different_edges(rng):
    expert = ga.EdgeFeaturedAttention(4, num_heads=2, add_self_loops=True)
    moe = ga.MoEAttention(4, experts=[expert], top_k=1)
    x = rng.standard_normal((5, 4))
    np.testing.assert_allclose(moe.forward(x[0], x[1:], x[1:]), expert.forward(x[0], x[1:], x[1:]), rtol=1e-12)
    with pytest.raises(ga.UnsupportedError, match="adds edges"):
        moe.forward(x[0], x[1:], x[1:], need_weights=True)

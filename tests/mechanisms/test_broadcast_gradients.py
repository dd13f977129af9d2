"""Gradients of broadcast leading axes: each has its input's shape, summed over the repeated entries."""

import numpy as np
import pytest

import graphattend as ga
from graphattend.mechanisms import mechanism_class


@pytest.mark.parametrize("key", ga.list_mechanisms())
def test_gradients_of_broadcast_axes(key, rng):
    attn, inputs = mechanism_class(key).example(rng, 5)
    metadata = inputs.get("metadata")
    shift = 0.05 * rng.standard_normal((2, 1, 3, attn.dim))
    arrays = [inputs["query"] + shift, inputs["keys"][None, None] * np.array([1.0, 0.9])[:, None, None]]
    arrays.append(inputs["values"])
    out, pullback = attn.vjp(*arrays, metadata=metadata)
    g = rng.standard_normal(out.shape)
    gradients = pullback(g)
    for i, (x, gradient) in enumerate(zip(arrays, gradients, strict=False)):
        assert gradient.shape == x.shape
        direction = rng.standard_normal(x.shape)
        step = 1e-6
        ends = [
            attn(*(y + sign * step * direction if i == j else y for j, y in enumerate(arrays)), metadata=metadata)
            for sign in (1, -1)
        ]
        slope = float(((ends[0] - ends[1]) * g).sum()) / (2 * step)
        np.testing.assert_allclose((gradient * direction).sum(), slope, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("key", ["scaled_dot_product", "moe"])
def test_metadata_that_is_not_read_has_a_zero_gradient(key, rng):
    edges = rng.standard_normal((4, 2))
    x = rng.standard_normal((4, 8)) * 0.1
    options = {"experts": [ga.create("edge_featured", 8, edge_dim=2), ga.create("flash", 8)], "top_k": 1}
    attn = ga.create(key, 8, **(options if key == "moe" else {}))
    if key == "moe":
        attn = attn.with_parameters({"b_router": [-9.0, 9.0]})
    output, pullback = attn.vjp(x, x, x, metadata=ga.GraphMetadata(edge_features=edges))
    np.testing.assert_array_equal(pullback(np.ones_like(output)).metadata["edge_features"], np.zeros((4, 2)))

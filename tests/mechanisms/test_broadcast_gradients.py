"""Gradients where leading axes broadcast: every input gets its own shape back, summed over what was repeated."""

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

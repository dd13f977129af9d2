"""Our functions inside functions that HIPS autograd differentiates."""

import sys

import numpy as np
import pytest

import graphattend as ga
from graphattend.interop import autograd_primitive

autograd = pytest.importorskip("autograd")
anp = pytest.importorskip("autograd.numpy")
check_grads = pytest.importorskip("autograd.test_util").check_grads
RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("function", "arrays", "options"),
    [
        (ga.functional.softmax, (RNG.normal(size=(3, 4)),), {}),
        (ga.functional.scaled_dot_product_attention, tuple(RNG.normal(size=(3, 4, 5))), {"is_causal": True}),
        (ga.training.info_nce, (RNG.normal(size=4), RNG.normal(size=(2, 4)), RNG.normal(size=(5, 4))), {}),
        (ga.training.triplet, tuple(RNG.normal(size=(3, 4, 5))), {"margin": 3.0}),
        (ga.geometry.Poincare().dist, tuple(RNG.uniform(-0.5, 0.5, (2, 3, 3))), {}),
    ],
)
def test_gradients(function, arrays, options):
    primitive = autograd_primitive(function)

    def composed(*xs):
        return anp.sum(anp.sin(primitive(*[anp.tanh(x) / 2 for x in xs], **options)))

    check_grads(composed, modes=["rev"], order=1)(*arrays)


def test_integer_arguments_and_options_are_held_constant():
    laplacian = autograd_primitive(ga.training.laplacian)
    x, edges = RNG.normal(size=(4, 2)), np.array([[0, 1], [1, 3]])
    expected = ga.vjp(ga.training.laplacian, x, edges)[1](3.0)[0]
    np.testing.assert_allclose(autograd.grad(lambda x: 3 * laplacian(x, edges))(x), expected, rtol=1e-13)


def test_several_outputs():
    attention = autograd_primitive(ga.functional.scaled_dot_product_attention)

    def composed(q, k, v):
        output, weights = attention(q, k, v, return_weights=True)
        return anp.sum(output**2) + anp.sum(anp.cos(weights))

    check_grads(composed, modes=["rev"], order=1)(*RNG.normal(size=(3, 4, 5)))


def test_mechanisms_with_their_parameters():
    attn = ga.create("multi_head", 4, num_heads=2)
    primitive = autograd_primitive(attn)
    q, k, v = RNG.normal(size=(3, 5, 4))

    def composed(q, k, v, parameters):
        return anp.sum(anp.sin(primitive(q, k, v, parameters={name: 2 * p for name, p in parameters.items()})))

    parameters = {name: np.asarray(p, float) / 2 for name, p in attn.parameters().items()}
    check_grads(composed, modes=["rev"], order=1)(q, k, v, parameters)
    assert primitive(q, k, v).shape == (5, 4)


def test_errors(monkeypatch):
    for bad in (3, "softmax", np.sum, lambda x: x):
        with pytest.raises(ga.InvalidConfigError, match="function"):
            autograd_primitive(bad)
    for parameters in ({"w": 1}, 3):
        with pytest.raises(ga.InvalidConfigError, match="parameters"):
            autograd_primitive(ga.functional.softmax)(np.ones(2), parameters=parameters)
    monkeypatch.setitem(sys.modules, "autograd.extend", None)
    with pytest.raises(ga.UnsupportedError, match=r"graphattend\[autograd\]"):
        autograd_primitive(ga.functional.softmax)

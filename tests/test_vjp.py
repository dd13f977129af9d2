"""`ga.vjp`: dispatch, constants, tuples and bad cotangents."""

import numpy as np
import pytest

import graphattend as ga
from graphattend._vjp import WithPullback, unbroadcast, with_vjp
from graphattend.testing import check_vjp

F = ga.functional


def test_positional_arrays_are_differentiated_and_keywords_held_constant(rng):
    q, k, v = (rng.standard_normal((3, 4)) for _ in range(3))
    mask = rng.random((3, 3)) < 0.9
    y, pullback = ga.vjp(F.scaled_dot_product_attention, q, k, v, mask)
    gradients = pullback(np.ones_like(y))
    assert len(gradients) == 4
    assert gradients[3] is None  # boolean
    assert [g.shape for g in gradients[:3]] == [(3, 4)] * 3
    additive = rng.standard_normal((3, 3))
    assert ga.vjp(F.scaled_dot_product_attention, q, k, v, additive)[1](np.ones_like(y))[3].shape == (3, 3)
    assert len(ga.vjp(F.scaled_dot_product_attention, q, k, v, attn_mask=additive)[1](np.ones_like(y))) == 3
    assert len(ga.vjp(F.scaled_dot_product_attention, q, key=k, value=v)[1](np.ones_like(y))) == 1


def test_tuple_outputs_take_tuples_and_none_is_zero(rng):
    q, k, v = (rng.standard_normal((3, 4)) for _ in range(3))
    options = {"return_weights": True, "return_lse": True}
    (out, w, lse), pullback = ga.vjp(F.scaled_dot_product_attention, q, k, v, **options)
    g = rng.standard_normal(out.shape), rng.standard_normal(w.shape), rng.standard_normal(lse.shape)
    zeros = tuple(np.zeros_like(a) for a in g)
    for i in range(3):
        only = tuple(g[j] if j == i else None for j in range(3))
        full = tuple(g[j] if j == i else zeros[j] for j in range(3))
        for a, b in zip(pullback(only), pullback(full), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-15)
    assert not any(a.any() for a in pullback((None, None, None)))
    assert len(pullback(list(g))) == 3


@pytest.mark.parametrize(
    "bad", [None, "text", np.ones((3, 5)), np.ones(4), 1.0, np.ones((3, 4)) * 1j, np.ones((3, 4), bool), object(), [[1.0], [1.0, 2.0]]]
)  # fmt: skip
def test_bad_cotangents(bad):
    x = np.ones((3, 4))
    for function, arrays in ((F.softmax, (x,)), (F.scaled_dot_product_attention, (x, x, x))):
        _, pullback = ga.vjp(function, *arrays)
        with pytest.raises(ga.AttentionError, match="grad_output"):
            pullback(bad)


@pytest.mark.parametrize("bad", [None, np.ones((3, 4)), (np.ones((3, 4)),), (np.ones((3, 4)), np.ones(2)), ("a", None)])
def test_bad_tuples(bad):
    x = np.ones((3, 4))
    _, pullback = ga.vjp(F.scaled_dot_product_attention, x, x, x, return_weights=True)
    with pytest.raises(ga.AttentionError, match="grad_output"):
        pullback(bad)


def test_functions_without_a_rule():
    with pytest.raises(ga.UnsupportedError, match="no gradient rule"):
        ga.vjp(np.sin, 1.0)
    with pytest.raises(ga.InvalidConfigError, match="function"):
        ga.vjp("softmax", 1.0)


def test_methods_have_rules(rng):
    ball = ga.geometry.Poincare()
    x, y = rng.random((2, 3)) * 0.4
    check_vjp(ball.dist, x, y)


def test_bad_arrays_are_refused_before_anything_runs():
    with pytest.raises(ga.InvalidConfigError, match="query"):
        ga.vjp(F.scaled_dot_product_attention, "a", np.ones((2, 2)), np.ones((2, 2)))


@pytest.mark.parametrize(
    ("shape", "target"),
    [((2, 3), (2, 3)), ((2, 3), (3,)), ((2, 3), (1, 3)), ((2, 3), (2, 1)), ((4, 2, 3), (2, 1)), ((2, 3), ())],
)
def test_unbroadcast_is_the_transpose_of_broadcasting(rng, shape, target):
    g, x = rng.standard_normal(shape), rng.standard_normal(target)
    assert abs(np.vdot(g, np.broadcast_to(x, shape)) - np.vdot(unbroadcast(g, target), x)) < 1e-12


def test_check_vjp_finds_a_wrong_gradient():
    def double(x):
        return 2 * x

    double.vjp_rule = lambda x: (2 * x, lambda g: (3 * g,))
    with pytest.raises(AssertionError, match="argument 0"):
        check_vjp(double, np.ones(3))


def test_a_function_made_of_its_rule():
    def half(x: np.ndarray) -> WithPullback[np.ndarray]:
        """Half of it."""
        return x / 2, lambda g: (g / 2,)

    made = with_vjp(half)
    assert (made.__name__, made.__doc__, made.__annotations__["return"]) == ("half", "Half of it.", np.ndarray)
    assert made(np.float64(3)) == 1.5
    assert ga.vjp(made, np.float64(3))[1](1.0) == (0.5,)
    assert with_vjp(lambda x: (x, None))(1) == 1
    half.__annotations__["return"] = "WithPullback[tuple[int, int]]"
    assert with_vjp(half).__annotations__["return"] == "tuple[int, int]"

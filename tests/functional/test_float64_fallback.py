"""Finite float32 arguments that overflow give float64's results without a warning; in float64 a typed error."""

import numpy as np
import pytest

import graphattend as ga
from graphattend import _float64_fallback


@pytest.fixture(autouse=True, params=["flags", "no flags"])
def flags(request, monkeypatch):
    """Run with NumPy's floating-point flags (if it has them) and, as in WebAssembly, without."""
    if request.param == "no flags":
        monkeypatch.setattr(_float64_fallback, "FLAGS", False)
        monkeypatch.setattr(_float64_fallback, "_flags_reliable", False)


F = ga.functional
EYE = {name: np.eye(4, dtype=np.float32) for name in ("w_q", "w_k", "w_v", "w_o")}
W = F.orthogonal_projection(16, 4, seed=0)

CALLS = {
    "sdpa": lambda q, k, v: F.scaled_dot_product_attention(q, k, v),
    "weights and lse": lambda q, k, v: F.scaled_dot_product_attention(q, k, v, return_weights=True, return_lse=False),
    "multi_head": lambda q, k, v: F.multi_head_attention(q, k, v, EYE, num_heads=2),
    "linear": lambda q, k, v: F.linear_attention(q, k, v, W.astype(q.dtype)),
    "favor": lambda q, k, v: F.favor_features(k * np.asarray(1e-11, k.dtype), W.astype(q.dtype), is_query=True),
    "softmax": lambda q, k, v: F.softmax(k * np.asarray(1e8, k.dtype)),
    "segment_softmax": lambda q, k, v: F.segment_softmax(k * np.asarray(1e8, k.dtype), [0, 2, 5]),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("sign", [1, -1])
def test_equals_float64(name, sign, rng):
    x = (rng.standard_normal((5, 4)) * 1e30).astype(np.float32)
    arrays = (sign * x[:2], x, x)
    got, expected = CALLS[name](*arrays), CALLS[name](*(a.astype(np.float64) for a in arrays))
    for a, b in zip(*(r if isinstance(r, tuple) else (r,) for r in (got, expected)), strict=True):
        assert a.dtype == np.float32
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


def test_gradients_come_back_in_float32(rng):
    x = (rng.standard_normal((5, 4)) * 1e30).astype(np.float32)
    arrays, parameters = (x[0], x, x), {n: a.copy() for n, a in EYE.items()}
    output, pullback = ga.vjp(F.multi_head_attention, *arrays, parameters, num_heads=2)
    wide = [a.astype(np.float64) for a in arrays]
    reference = ga.vjp(F.multi_head_attention, *wide, parameters, num_heads=2)[1](np.ones(4))
    gradients = pullback(np.ones_like(output))
    assert {a.dtype for a in (*gradients[:3], *gradients[3].values())} == {np.dtype(np.float32)}
    np.testing.assert_allclose(gradients[2], reference[2], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("values", [0.0, 1.0])
def test_statistics_beyond_float32_are_refused(values):
    q, k = np.full((2, 1), -5e11, np.float32), np.full((3, 1), 3e37, np.float32)
    v = np.full((3, 1), values, np.float32)
    with pytest.raises(ga.NumericalInstabilityError, match=r"^scaled_dot_product_attention: .*overflow"):
        F.scaled_dot_product_attention(q, k, v, return_lse=True)
    hidden = np.zeros((2, 3), bool)
    out, lse = F.scaled_dot_product_attention(q, k, v, hidden, return_lse=True)  # the log-sum-exp of no key
    assert not out.any()
    assert (lse == -np.inf).all()


@pytest.mark.parametrize("scale", [1e300, -1e300])
def test_float64_that_overflows_is_refused(scale, rng):
    x = rng.standard_normal((5, 4)) * scale
    mixed = [np.zeros(4, np.float32), x, x]
    with pytest.raises(ga.NumericalInstabilityError, match="overflow"):
        F.scaled_dot_product_attention(x[0], x, x)
    assert F.scaled_dot_product_attention(*mixed).dtype == np.float64


def test_infinity_and_nan_pass():
    x = np.array([[np.inf, -np.inf], [np.nan, 1.0]], np.float32)
    output, pullback = ga.vjp(F.scaled_dot_product_attention, x, x, x)
    assert np.isnan(output).all()
    assert np.isnan(pullback(x)[0]).all()


def test_masks_and_routers(rng):
    x = rng.standard_normal((3, 4)).astype(np.float32)
    hidden = F.scaled_dot_product_attention(x, x, x, np.where(np.eye(3) > 0, 0.0, -1e300))
    np.testing.assert_allclose(hidden, x, rtol=1e-6)
    padding = np.array([[0.0, -1e300, -1e300]])
    out, weights = F.multi_head_attention(
        x[None], x[None], x[None], EYE, num_heads=2, key_padding_mask=padding, need_weights=True
    )
    np.testing.assert_array_equal(weights[..., 1:], 0)
    assert out.dtype == np.float32
    logits = (x * 1e38).astype(np.float32)
    np.testing.assert_allclose(
        F.load_balance_loss(logits, 2), F.load_balance_loss(logits.astype(np.float64), 2), rtol=1e-5
    )
    assert np.isfinite(F.top_k_gating(logits, 2)[1]).all()


def test_gradients_that_overflow_are_refused_or_those_of_float64(rng):
    x = rng.standard_normal((3, 4)).astype(np.float32)
    for name, args in {
        "matmul": (x, x.T.copy()),
        "softmax": (x,),
        "rotary": (x, np.arange(3)),
        "scaled_dot_product_attention": (x, x, x),
        "top_k_gating": (x, 2),
    }.items():
        output, pullback = ga.vjp(getattr(F, name), *args)
        g = output if name != "top_k_gating" else output[1]
        g = np.full_like(g, 3e38)
        g[..., 0] *= -1
        try:
            found = pullback((None, g) if name == "top_k_gating" else g)
        except ga.NumericalInstabilityError as error:
            assert error.argument == "grad_output"  # noqa: PT017
        else:
            assert all(np.isfinite(a).all() for a in found if isinstance(a, np.ndarray)), name
    with pytest.raises(ga.NumericalInstabilityError, match="grad_output"):
        ga.vjp(F.matmul, x, 1e30 * np.ones((4, 2), np.float32))[1](np.full((3, 2), 1e30, np.float32))


def test_large_parameters_overflow_too(rng):
    x = rng.standard_normal((2, 4)).astype(np.float32)
    large = {n: np.full((4, 4), 3e37, np.float32) for n in EYE}
    with pytest.raises(ga.NumericalInstabilityError, match="overflow"):
        F.multi_head_attention(x, x, x, {**large, "w_v": large["w_v"].astype(float) * 1e270}, num_heads=2)


def test_a_log_sum_that_float32_cannot_hold_is_refused():
    one = np.ones((1, 1), np.float32)
    for sign in (1, -1):
        with pytest.raises(ga.NumericalInstabilityError, match="overflow"):
            F.scaled_dot_product_attention(sign * 1e38 * one, 1e12 * one, one, return_lse=True)
    out, lse = F.scaled_dot_product_attention(one, one, one, np.zeros((1, 1), bool), return_lse=True)
    assert (out, lse) == (0, -np.inf)  # this row sees no key

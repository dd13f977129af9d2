"""ScaledDotProductAttention against row-by-row sums in Python floats."""

import math

import numpy as np
import pytest

import graphattend as ga


def row(q, k, v, factor, mask=None):
    s = [factor * math.fsum(float(a) * float(b) for a, b in zip(q, key, strict=True)) for key in k]
    if mask is not None:
        s = [
            x + float(m) if not isinstance(m, np.bool_) else (x if m else -math.inf)
            for x, m in zip(s, mask, strict=True)
        ]
    top = max(s)
    if top == -math.inf:
        return np.zeros(v.shape[1]), np.zeros(len(k))
    e = [math.exp(x - top) for x in s]
    w = np.asarray(e) / math.fsum(e)
    return w @ v, w


@pytest.mark.parametrize(
    "options", [{}, {"temperature": 0.07}, {"scale": 2.0, "temperature": 4.0}, {"scale": -0.5}, {"scale": 0.0}]
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_formula(rng, options, dtype):
    q, k, v = (rng.standard_normal(s).astype(dtype) for s in ((3, 5), (7, 5), (7, 2)))
    attn = ga.ScaledDotProductAttention(5, **options)
    factor = options.get("scale", 5**-0.5) / options.get("temperature", 1.0)
    out, w = attn.forward(q, k, v, need_weights=True)
    tol = 1e-12 if dtype == np.float64 else 3e-5
    for i in range(3):
        expected = row(q[i], k, v, factor)
        np.testing.assert_allclose(out[i], expected[0], rtol=tol, atol=tol)
        np.testing.assert_allclose(w[i], expected[1], rtol=tol * 10, atol=tol)
    assert out.dtype == w.dtype == dtype
    np.testing.assert_allclose(attn(q, k, v), attn.forward(q, k, v))
    np.testing.assert_allclose(attn.attention_weights(q, k), w)
    assert attn.forward(q[0], k, v).shape == (2,)
    assert attn.attention_weights(q[0], k).shape == (7,)


def test_normalised(rng):
    q, k, v = rng.standard_normal((3, 4)), rng.standard_normal((5, 4)), rng.standard_normal((5, 4))
    attn = ga.ScaledDotProductAttention(4, normalize=True, scale=3.0)
    u = k / np.linalg.norm(k, axis=1, keepdims=True)
    for i in range(3):
        np.testing.assert_allclose(attn(q, k, v)[i], row(q[i] / np.linalg.norm(q[i]), u, v, 3.0)[0], rtol=1e-12)
    np.testing.assert_allclose(attn(q * 1e3, k * 1e-3, v), attn(q, k, v), rtol=1e-12)
    assert np.isfinite(attn(q * 0, k, v)).all()


def test_leading_axes_broadcast(rng):
    q, k, v = rng.standard_normal((2, 1, 3, 4)), rng.standard_normal((5, 6, 4)), rng.standard_normal((6, 4))
    mask = rng.random((5, 1, 6)) < 0.7
    out = ga.ScaledDotProductAttention(4).forward(q, k, v, attn_mask=mask)
    assert out.shape == (2, 5, 3, 4)
    for a, b, i in np.ndindex(2, 5, 3):
        np.testing.assert_allclose(out[a, b, i], row(q[a, 0, i], k[b], v, 0.5, mask[b, 0])[0], rtol=1e-12, atol=1e-14)


def test_masked_rows_give_zeros(rng):
    x = rng.standard_normal((4, 3))
    attn = ga.ScaledDotProductAttention(3)
    mask = np.ones((4, 4), bool)
    mask[2] = False
    for m in (mask, np.where(mask, 0.0, -np.inf)):
        out, w = attn.forward(x, x, x, attn_mask=m, need_weights=True)
        assert not out[2].any()
        assert not w[2].any()
        g = attn.vjp(x, x, x, attn_mask=m)[1](np.ones((4, 3)))
        assert all(np.isfinite(a).all() for a in g[:3])
    single = attn.forward(x[0], x, x, attn_mask=np.zeros(4, bool))
    assert not single.any()


def test_huge_logits():
    attn = ga.ScaledDotProductAttention(1, scale=1.0)
    out = attn.forward([[1e4], [-1e4]], [[1.0], [0.0], [-1.0]], [[1.0], [2.0], [3.0]])
    assert out.tolist() == [[1.0], [3.0]]


def test_gradients_against_autograd(rng):
    anp = pytest.importorskip("autograd.numpy")
    from autograd import grad

    q, k, v, g = (rng.standard_normal(s) for s in ((3, 4), (5, 4), (5, 2), (3, 2)))
    gw = rng.standard_normal((3, 5))

    def loss(q, k, v):
        s = anp.dot(q, k.T) * 0.25
        e = anp.exp(s - anp.max(s, axis=1, keepdims=True))
        w = e / anp.sum(e, axis=1, keepdims=True)
        return anp.sum(anp.dot(w, v) * g) + anp.sum(w * gw)

    _, pullback = ga.ScaledDotProductAttention(4, temperature=2.0).vjp(q, k, v)
    gradients = pullback(g, gw)
    for i, ours in enumerate(gradients[:3]):
        np.testing.assert_allclose(ours, grad(loss, i)(q, k, v), rtol=1e-10, atol=1e-12)
    assert gradients.parameters == {}
    assert gradients.metadata == {}


def test_dropout(rng):
    q, x = rng.standard_normal((2, 4)), rng.standard_normal((6, 4))
    attn = ga.ScaledDotProductAttention(4, dropout=0.4)
    exact = attn.forward(q, x, x)
    draws = np.array([attn.forward(q, x, x, training=True, rng=np.random.default_rng(s)) for s in range(3000)])
    assert np.abs(draws.mean(0) - exact).max() < 6 * draws.std(0).max() / math.sqrt(3000)
    assert np.array_equal(draws[5], attn.forward(q, x, x, training=True, rng=np.random.default_rng(5)))
    with pytest.raises(ga.InvalidConfigError, match="rng"):
        attn.forward(q, x, x, training=True)
    with pytest.raises(ga.InvalidConfigError, match="rng"):
        attn.forward(q, x, x, training=True, rng="a")
    y, pullback = attn.vjp(q, x, x, training=True, rng=np.random.default_rng(1))
    d = rng.standard_normal(x.shape)

    def along(t):
        return float(attn.forward(q, x + t * d, x, training=True, rng=np.random.default_rng(1)).sum())

    numeric = (along(1e-6) - along(-1e-6)) / 2e-6
    assert abs(np.vdot(pullback(np.ones_like(y)).keys, d) - numeric) < 1e-7 * max(1, abs(numeric))

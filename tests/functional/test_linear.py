"""FAVOR+ features and linear attention against the published formula and exact softmax attention."""

import itertools
import math

import numpy as np
import pytest

import graphattend as ga
from graphattend.functional.linear import log_kernel
from graphattend.testing import check_vjp

F = ga.functional


def published(x, w, is_query, eps):
    """Compute m^(-1/2) (exp(x Wᵀ D^(-1/4) - |x|²/(2√D) - stabiliser) + eps) entry by entry."""
    n, d = x.shape
    m = w.shape[0]
    z = [[math.fsum(x[i] * w[r]) * d**-0.25 for r in range(m)] for i in range(n)]
    top = [max(row) for row in z] if is_query else [max(map(max, z))] * n
    return np.array([[(math.exp(z[i][r] - math.fsum(x[i] ** 2) / (2 * math.sqrt(d)) - top[i]) + eps) / math.sqrt(m)
                      for r in range(m)] for i in range(n)])  # fmt: skip


@pytest.mark.parametrize("is_query", [True, False])
@pytest.mark.parametrize("eps", [0.0, 1e-3])
def test_features_are_the_published_formula(rng, is_query, eps):
    x, w = rng.standard_normal((4, 3)), F.orthogonal_projection(7, 3, seed=1)
    phi = F.favor_features(x, w, is_query=is_query, eps=eps)
    np.testing.assert_allclose(phi, published(x, w, is_query, eps), rtol=1e-12)
    assert (phi > 0).all()
    one = F.favor_features(x[0], w, is_query=is_query, eps=eps)
    np.testing.assert_allclose(one, published(x[:1], w, is_query, eps)[0], rtol=1e-12)


def test_key_stabiliser_is_one_per_leading_index(rng):
    x, w = rng.standard_normal((2, 3, 4, 5)), F.orthogonal_projection(6, 5, seed=0)
    phi = F.favor_features(x, w, is_query=False)
    for b in range(2):
        for h in range(3):
            np.testing.assert_allclose(phi[b, h], published(x[b, h], w, False, 0.0), rtol=1e-12)


@pytest.mark.parametrize(("m", "d"), [(4, 4), (3, 8), (20, 8), (1, 1)])
def test_projection_is_orthogonal_in_blocks(m, d):
    w = F.orthogonal_projection(m, d, seed=3)
    assert w.shape == (m, d)
    assert np.array_equal(w, F.orthogonal_projection(m, d, seed=3))
    assert not np.array_equal(w, F.orthogonal_projection(m, d, seed=4))
    for start in range(0, m, d):
        block = w[start : start + d]
        gram = block @ block.T
        assert np.abs(gram - np.diag(np.diag(gram))).max() < 1e-12 * np.abs(gram).max()


def test_projection_rows_are_gaussian():
    """Squared norms are χ² with D degrees of freedom, coordinates standard normal."""
    w = F.orthogonal_projection(40_000, 4, seed=0)
    assert np.abs(w.mean(axis=0)).max() < 0.03
    assert np.abs((w**2).mean(axis=0) - 1).max() < 0.03
    assert abs((w**4).mean() - 3) < 0.15


def test_kernel_estimate_is_unbiased(rng):
    """The mean over seeds of φ(q)·φ(k), without stabilisers, is exp(q·k/√D) within five standard errors."""
    d = 6
    q, k = rng.standard_normal((2, d)) * 0.7
    draws = []
    for seed in range(600):
        w = F.orthogonal_projection(8, d, seed=seed)
        fq, fk = F.favor_features(q[None], w, is_query=True), F.favor_features(k[None], w, is_query=False)
        undo = math.exp((w @ q).max() * d**-0.25 + (w @ k).max() * d**-0.25)
        draws.append(float(fq[0] @ fk[0]) * undo)
    truth = math.exp(float(q @ k) / math.sqrt(d))
    assert abs(np.mean(draws) - truth) < 5 * np.std(draws) / math.sqrt(len(draws))
    assert np.std(draws) > 0


def test_error_falls_with_features(rng):
    q, k, v = (rng.standard_normal((30, 8)) * 0.6 for _ in range(3))
    exact = F.scaled_dot_product_attention(q, k, v)
    errors = []
    for m in (16, 64, 256, 1024):
        runs = [F.linear_attention(q, k, v, F.orthogonal_projection(m, 8, seed=s)) - exact for s in range(20)]
        errors.append(float(np.sqrt(np.mean(np.square(runs)))))
    assert all(b < 0.8 * a for a, b in itertools.pairwise(errors))  # m^(-1/2) would be 0.5
    assert errors[-1] < errors[0] / 3
    assert errors[-1] < 0.03


@pytest.mark.parametrize("shape", [(5, 5), (3, 7), (9, 4), (130, 130), (70, 200), (200, 70)])
@pytest.mark.parametrize("is_causal", [False, True])
def test_is_the_quadratic_formula(rng, shape, is_causal):
    m, n = shape
    q, k, v = rng.standard_normal((2, m, 4)), rng.standard_normal((2, n, 4)), rng.standard_normal((n, 3))
    w = F.orthogonal_projection(10, 4, seed=0)
    a = np.einsum("bmr,bnr->bmn", F.favor_features(q, w, is_query=True), F.favor_features(k, w, is_query=False))
    if is_causal:
        a = a * (np.arange(n) <= np.arange(m)[:, None])
    expected = (a / a.sum(axis=-1, keepdims=True)) @ v
    np.testing.assert_allclose(F.linear_attention(q, k, v, w, is_causal=is_causal), expected, rtol=1e-10, atol=1e-12)


def test_stabilised_for_long_vectors(rng):
    w = F.orthogonal_projection(16, 4, seed=0)
    for size in (1e-8, 30.0, 1e3):
        q, k, v = rng.standard_normal((3, 4)) * size, rng.standard_normal((5, 4)) * size, rng.standard_normal((5, 2))
        out = F.linear_attention(q, k, v, w)
        assert np.isfinite(out).all()
        assert (out <= v.max(axis=0) + 1e-12).all()
        assert (out >= v.min(axis=0) - 1e-12).all()


@pytest.mark.parametrize("shape", [(13, 13), (6, 11), (11, 6)])
def test_causal_rows_that_see_only_small_features(rng, shape):
    m, n = shape
    q, k, v = (5 * rng.standard_normal((size, 4)) for size in (m, n, n))
    k *= np.linspace(8, 0.1, n)[:, None]  # the features grow from e^-800 to 1: no stabiliser fits all rows
    w = F.orthogonal_projection(10, 4, seed=0)
    z, lengths = k @ w.T * 4**-0.25, (k * k).sum(-1) / 4.0
    s = (q @ w.T * 4**-0.25)[:, None, :] + (z - lengths[:, None])[None]
    s = np.logaddexp.reduce(s, axis=-1)
    s[np.arange(n) > np.arange(m)[:, None]] = -np.inf
    a = np.exp(s - s.max(-1, keepdims=True))
    expected = a / a.sum(-1, keepdims=True) @ v
    np.testing.assert_allclose(F.linear_attention(q, k, v, w, is_causal=True), expected, rtol=1e-9, atol=1e-9)


def test_gradients(rng):
    q, k, v = rng.standard_normal((2, 4, 3)), rng.standard_normal((5, 3)), rng.standard_normal((2, 5, 2))
    w = F.orthogonal_projection(6, 3, seed=0)
    for options in ({}, {"is_causal": True}):
        check_vjp(F.linear_attention, q, k, v, w, **options)
    check_vjp(F.linear_attention, q[0, 0], k, v[0], w)
    check_vjp(F.linear_attention, *(rng.standard_normal((140, 3)) for _ in range(3)), w, is_causal=True)


@pytest.mark.parametrize("is_query", [True, False])
def test_feature_gradient_holds_the_stabiliser_constant(rng, is_query):
    x, w = rng.standard_normal((4, 3)), F.orthogonal_projection(5, 3, seed=0)
    top = (x @ w.T * 3**-0.25).max(axis=-1 if is_query else None, keepdims=True)
    g = rng.standard_normal((4, 5))

    def held(x, w):
        h = x @ w.T * 3**-0.25 - (x * x).sum(-1, keepdims=True) / (2 * math.sqrt(3)) - top
        return float((g * np.exp(h)).sum() / math.sqrt(5))

    gx, gw = ga.vjp(F.favor_features, x, w, is_query=is_query)[1](g)
    for grad, at, f in ((gx, x, lambda y: held(y, w)), (gw, w, lambda y: held(x, y))):
        d = rng.standard_normal(at.shape)
        numeric = (f(at + 1e-5 * d) - f(at - 1e-5 * d)) / 2e-5
        assert abs(np.vdot(grad, d) - numeric) < 1e-7 * max(1, abs(numeric))


def test_bad_input():
    x, w = np.ones((3, 4)), np.ones((5, 4))
    run, feat = F.linear_attention, F.favor_features
    cases = [
        (lambda: feat("x", w, is_query=True), ga.InvalidConfigError, "x"),
        (lambda: feat(x, w[:, :3], is_query=True), ga.DimensionMismatchError, "projection"),
        (lambda: feat(x, w[0], is_query=True), ga.DimensionMismatchError, "projection"),
        (lambda: feat(x, w[:0], is_query=True), ga.EmptyInputError, "projection"),
        (lambda: feat(x, w, is_query=1), ga.InvalidConfigError, "is_query"),
        (lambda: feat(x, w, is_query=True, eps=-1.0), ga.InvalidConfigError, "eps"),
        (lambda: feat(x[:0], w, is_query=True), ga.EmptyInputError, "x"),
        (lambda: run(x, x, x[:2], w), ga.DimensionMismatchError, "value"),
        (lambda: run(x, x[:, :3], x, w), ga.DimensionMismatchError, "key"),
        (lambda: run(x, x[:0], x[:0], w), ga.EmptyInputError, "key"),
        (lambda: run(x, x, x, w, is_causal=1), ga.InvalidConfigError, "is_causal"),
        (lambda: run(x, x, x, None), ga.InvalidConfigError, "projection"),
        (lambda: run(x, np.ones((2, 3, 4)), np.ones((3, 3, 4)), w), ga.DimensionMismatchError, "query, key, value"),
        (lambda: F.orthogonal_projection(0, 4, seed=0), ga.InvalidConfigError, "num_features"),
        (lambda: F.orthogonal_projection(4, 0, seed=0), ga.InvalidConfigError, "dim"),
        (lambda: F.orthogonal_projection(4, 4, seed=-1), ga.InvalidConfigError, "seed"),
        (lambda: F.orthogonal_projection(4, 4, seed="a"), ga.InvalidConfigError, "seed"),
    ]
    for call, error, argument in cases:
        with pytest.raises(error) as info:
            call()
        assert info.value.argument == argument


@pytest.mark.parametrize("lead", [(), (2,)])
def test_pairs_whose_large_features_do_not_meet(rng, lead):
    hq, hk = 5 * rng.standard_normal((*lead, 3, 4)), 5 * rng.standard_normal((*lead, 2, 4))
    hq[..., 1, :2] -= 900  # its large features are the small ones of the first key, so their products underflow
    hk[..., 0, 2:] -= 800
    s, pull = log_kernel(hq, hk)
    pairs = hq[..., :, None, :] + hk[..., None, :, :]
    expected = np.logaddexp.reduce(pairs, axis=-1)
    assert (expected[..., 1, 0] < -700).all()
    np.testing.assert_allclose(s, expected, rtol=1e-13)
    g = rng.standard_normal(s.shape)
    by_pairs = g[..., None] * np.exp(pairs - expected[..., None])
    gq, gk = pull(g)
    np.testing.assert_allclose(gq, by_pairs.sum(-2), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(gk, by_pairs.sum(-3), rtol=1e-9, atol=1e-12)

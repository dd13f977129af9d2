"""LinearAttention: exact softmax attention, the quadratic form of itself, and states for streaming."""

import math

import numpy as np
import pytest

import graphattend as ga

F = ga.functional


def quadratic(attn, q, k, v, mask=None, causal=False):
    w = attn.parameters()["projection"]
    root = attn.temperature**-0.5
    a = F.favor_features(q * root, w, is_query=True) @ F.favor_features(k * root, w, is_query=False).T
    if mask is not None:
        a = a * (mask if mask.dtype == bool else np.exp(mask))
    if causal:
        a = a * np.tri(*a.shape)
    total = a.sum(1, keepdims=True)
    w = np.where(total > 0, a / np.where(total > 0, total, 1), 0)
    return w @ v, w


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_all_masks(rng, causal, temperature):
    q, k, v = rng.standard_normal((9, 4)), rng.standard_normal((9, 4)), rng.standard_normal((9, 3))
    attn = ga.LinearAttention(4, num_features=12, is_causal=causal, temperature=temperature)
    for mask in (None, rng.random(9) < 0.5, rng.standard_normal(9), rng.random((9, 9)) < 0.6, rng.standard_normal((1, 9)),
                 np.zeros(9, bool)):  # fmt: skip
        expected = quadratic(attn, q, k, v, mask, causal)
        np.testing.assert_allclose(attn.forward(q, k, v, attn_mask=mask), expected[0], rtol=1e-10, atol=1e-12)
        out, w = attn.forward(q, k, v, attn_mask=mask, need_weights=True)
        np.testing.assert_allclose(out, expected[0], rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(w, expected[1], rtol=1e-10, atol=1e-12)


def test_error_against_softmax_falls(rng):
    q, k, v = (rng.standard_normal((40, 8)) * 0.6 for _ in range(3))
    exact = ga.ScaledDotProductAttention(8, temperature=1.3).forward(q, k, v)

    def error(m):
        runs = [ga.LinearAttention(8, num_features=m, seed=s, temperature=1.3)(q, k, v) - exact for s in range(16)]
        return float(np.sqrt(np.mean(np.square(runs))))

    assert error(1024) < 0.6 * error(64)


def test_weights_are_unbiased_up_to_the_normaliser(rng):
    """Unnormalised weights average to exp(q·k/√D) over the seeds; checked on the ratio of two keys' means."""
    q, k = rng.standard_normal(5) * 0.6, rng.standard_normal((2, 5)) * 0.6
    draws = []
    for seed in range(400):
        w = ga.LinearAttention(5, num_features=10, seed=seed).parameters()["projection"]
        z = [np.exp(w @ y * 5**-0.25 - y @ y / (2 * math.sqrt(5))) for y in (q, *k)]
        draws.append([z[0] @ z[1] / 10, z[0] @ z[2] / 10])
    truth = np.exp(k @ q / math.sqrt(5))
    assert (np.abs(np.mean(draws, 0) - truth) < 5 * np.std(draws, 0) / 20).all()


def test_draws():
    a = ga.LinearAttention(6, num_features=9)
    p = a.parameters()["projection"]
    assert p.shape == (9, 6)
    assert not np.array_equal(p, a.redrawn().parameters()["projection"])
    assert np.array_equal(
        a.redrawn().parameters()["projection"],
        ga.LinearAttention(6, num_features=9, redraw=1).parameters()["projection"],
    )
    assert not np.array_equal(p, ga.LinearAttention(6, num_features=9, seed=1).parameters()["projection"])
    gram = p[:6] @ p[:6].T
    assert np.abs(gram - np.diag(np.diag(gram))).max() < 1e-12 * np.abs(gram).max()


@pytest.mark.parametrize("size", [1e-6, 1.0, 50.0])
def test_streaming(rng, size):
    """Any way of cutting the keys into pieces gives what all of them at once give."""
    attn = ga.LinearAttention(4, num_features=16, temperature=0.8)
    q, k, v = rng.standard_normal((3, 4)), rng.standard_normal((10, 4)) * size, rng.standard_normal((10, 2))
    expected = attn.forward(q, k, v)
    for cuts in ((3,), (1, 9), (2, 5, 7), (9, 9 - 1)):
        cuts = sorted(set(cuts))
        parts = list(zip(np.split(k, cuts), np.split(v, cuts), strict=True))
        state = attn.prepare(*parts[0])
        for more in parts[1:]:
            before = state.state.total.copy()
            longer = state.extended(*more)
            assert np.array_equal(state.state.total, before)
            state = longer
        np.testing.assert_allclose(attn.forward(q, state), expected, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(attn.forward(q[0], state), expected[0], rtol=1e-9, atol=1e-12)
        assert state.state.total.shape == (16, 3)


def test_streaming_batches_and_dtypes(rng):
    attn = ga.LinearAttention(4, num_features=16)
    q, k, v = rng.standard_normal((2, 3, 4)), rng.standard_normal((2, 10, 4)), rng.standard_normal((2, 10, 2))
    state = attn.prepare(k[:, :6], v[:, :6]).extended(k[:, 6:], v[:, 6:])
    np.testing.assert_allclose(attn.forward(q, state), attn.forward(q, k, v), rtol=1e-10)
    small = attn.prepare(k[0, :6].astype(np.float32), v[0, :6].astype(np.float32)).extended(k[0, 6:], v[0, 6:])
    assert attn.forward(q[0].astype(np.float32), small).dtype == np.float32
    assert attn.forward(q[0], small).dtype == np.float64
    np.testing.assert_allclose(attn.forward(q[0], small), attn.forward(q[0], k[0], v[0]), rtol=1e-3, atol=1e-4)


def test_streaming_refusals(rng):
    attn = ga.LinearAttention(4, num_features=8, dropout=0.5)
    k, v = rng.standard_normal((5, 4)), rng.standard_normal((5, 2))
    first = attn.prepare(k, v)
    streamed = first.extended(k, v)
    for options in ({"need_weights": True}, {"attn_mask": np.ones(5, bool)}, {"training": True, "rng": rng}):
        with pytest.raises(ga.UnsupportedError, match="keys"):
            attn.forward(k, streamed, **options)
        attn.forward(k, first, **options)
    with pytest.raises(ga.UnsupportedError, match="keys"):
        attn.attention_weights(k, streamed)
    for bad in (
        (k, v[:, :1]),
        (k[:, :3], v),
        (k[:0], v[:0]),
        (k, v[:4]),
        ("a", v),
        (k * np.nan, v),
        (k[None].repeat(2, 0), v),
    ):
        with pytest.raises(ga.AttentionError):
            first.extended(*bad)
    causal = ga.LinearAttention(4, is_causal=True)
    prepared = causal.prepare(k, v)
    assert not hasattr(prepared, "extended")
    np.testing.assert_allclose(causal.forward(k, prepared), causal.forward(k, k, v), rtol=1e-12)

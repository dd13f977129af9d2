"""FlashAttention equals dense attention in every shape, with memory linear in the rows."""

import tracemalloc

import numpy as np
import pytest

import graphattend as ga


def dense(q, k, v, mask=None, causal=False, factor=None):
    """Compute attention with the full matrix of scores, in double precision."""
    q, k, v = (np.asarray(a, np.float64) for a in (q, k, v))
    s = q @ k.swapaxes(-1, -2) * (q.shape[-1] ** -0.5 if factor is None else factor)
    if mask is not None:
        s = np.where(mask, s, -np.inf) if mask.dtype == bool else s + mask
    if causal:
        s = np.where(np.arange(s.shape[-1]) <= np.arange(s.shape[-2])[:, None], s, -np.inf)
    top = s.max(axis=-1, keepdims=True)
    e = np.exp(s - np.where(np.isfinite(top), top, 0))
    total = e.sum(axis=-1, keepdims=True)
    w = np.where(total > 0, e / np.where(total > 0, total, 1), 0)
    return w @ v, w


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("block", [1, 3, 8, 128])
@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (8, 16), (17, 9), (9, 33)])
@pytest.mark.parametrize("causal", [False, True])
def test_forward(rng, dtype, block, shape, causal):
    m, n = shape
    q, k, v = (rng.standard_normal((2, r, e)).astype(dtype) for r, e in ((m, 6), (n, 6), (n, 3)))
    attn = ga.FlashAttention(6, block_size=block, is_causal=causal)
    tol = 1e-12 if dtype == np.float64 else 2e-6
    for mask in (
        None,
        rng.random((m, n)) < 0.5,
        rng.standard_normal((2, 1, n)).astype(dtype),
        rng.random((2, m, n)) < 0.2,
    ):
        out = attn.forward(q, k, v, attn_mask=mask)
        expected = dense(q, k, v, mask, causal)
        assert out.dtype == dtype
        np.testing.assert_allclose(out, expected[0], rtol=tol, atol=tol)
        both = attn.forward(q, k, v, attn_mask=mask, need_weights=True)
        np.testing.assert_allclose(both[0], expected[0], rtol=tol, atol=tol)
        np.testing.assert_allclose(both[1], expected[1], rtol=tol, atol=tol)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kind", ["none", "bool", "float"])
def test_gradients(rng, causal, kind):
    q, k, v = rng.standard_normal((2, 9, 4)), rng.standard_normal((11, 4)), rng.standard_normal((2, 11, 3))
    mask = {"none": None, "bool": rng.random((9, 11)) < 0.6, "float": rng.standard_normal((9, 11))}[kind]
    attn = ga.FlashAttention(4, block_size=4, is_causal=causal, temperature=0.7)
    g, gw = rng.standard_normal((2, 9, 3)), rng.standard_normal((2, 9, 11))
    out, w = dense(q, k, v, mask, causal, 0.5 / 0.7)
    for extra in (None, gw):
        g_w = g @ v.swapaxes(-1, -2) + (0 if extra is None else extra)
        gs = w * (g_w - (w * g_w).sum(axis=-1, keepdims=True)) * 0.5 / 0.7
        y, pullback = attn.vjp(q, k, v, attn_mask=mask)
        gradients = pullback(g, extra)
        np.testing.assert_allclose(y, out, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(gradients.query, gs @ k, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(gradients.keys, (gs.swapaxes(-1, -2) @ q).sum(0), rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(gradients.values, w.swapaxes(-1, -2) @ g, rtol=1e-10, atol=1e-12)


def test_extreme_logits_and_masked_rows(rng):
    attn = ga.FlashAttention(1, scale=1.0, block_size=1)
    assert attn.forward([[1e4], [-1e4]], [[1.0], [0.0], [-1.0]], [[1.0], [2.0], [3.0]]).tolist() == [[1.0], [3.0]]
    x = rng.standard_normal((6, 4))
    mask = np.ones((6, 6), bool)
    mask[3] = False
    for m in (mask, np.where(mask, 0.0, -np.inf)):
        y, pullback = ga.FlashAttention(4, block_size=2).vjp(x, x, x, attn_mask=m)
        assert not y[3].any()
        g = pullback(np.ones_like(y))
        assert all(np.isfinite(a).all() for a in g[:3])
        assert not g.query[3].any()


def test_single_query_is_position_zero(rng):
    x = rng.standard_normal((5, 4))
    assert np.allclose(ga.FlashAttention(4, is_causal=True).forward(x[0], x, x), x[0])
    np.testing.assert_allclose(ga.FlashAttention(4).forward(x[0], x, x), dense(x[:1], x, x)[0][0], rtol=1e-12)


@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_memory_grows_with_the_rows_alone(rng, direction):
    """Neither pass stores the matrix of scores: peaks grow like N, not N²."""

    def peak(n):
        x = np.ascontiguousarray(rng.standard_normal((n, 16)).astype(np.float32))
        attn = ga.FlashAttention(16, block_size=256)
        tracemalloc.start()
        y, pullback = (attn.forward(x, x, x), None) if direction == "forward" else attn.vjp(x, x, x)
        if pullback:
            pullback(y)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(64)
    small, large = peak(256), peak(2048)
    assert large < 2048 * 2048 * 4 / 8
    assert large < 14 * small


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("rows", [1, 2, 70])
def test_gradients_beside_a_large_offset_are_those_of_plain_attention(dtype, sign, rows):
    """Every score of a row has the same offset and is exact; their log-sum-exp has no digits left for the sum."""
    rng = np.random.default_rng(rows)
    size, step, tolerance = (2.0**19.5, 2.0**-5, 1e-12) if dtype == np.float64 else (2.0**7, 2.0**-3, 3e-6)
    q, k = ((rng.integers(-16, 17, (n, 4)) * step).astype(dtype) for n in (rows, 300))
    v, g = (rng.standard_normal((n, 4)).astype(dtype) for n in (300, rows))
    q[:, 0], k[:, 0] = sign * np.floor(size), np.floor(size)  # -5e11 and -1.6e4
    flash, plain = (ga.create(key, 4, scale=1.0).vjp(q, k, v)[1](g) for key in ("flash", "scaled_dot_product"))
    for name in ("query", "keys", "values"):
        a, b = (np.asarray(getattr(x, name)) for x in (flash, plain))
        # All keys have the same first coordinate, so the query's gradient there is exactly 0, a cancelling sum.
        close = slice(1, None) if name == "query" else slice(None)
        np.testing.assert_allclose(a[:, close], b[:, close], rtol=0, atol=tolerance * np.abs(b[:, close]).max())
    assert np.abs(flash.query[:, 0]).max() <= 300 * size * np.finfo(dtype).eps * np.abs(v @ g.T).max()

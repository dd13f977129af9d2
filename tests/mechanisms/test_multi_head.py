"""MultiHeadAttention against a loop over heads, and folded against projected keys."""

import math

import numpy as np
import pytest

import graphattend as ga
from graphattend.functional import multi_head
from graphattend.mechanisms._boundary import Call


def make(rng, **options):
    attn = ga.MultiHeadAttention(8, **options)
    return attn.with_parameters({n: rng.standard_normal(a.shape) * 0.4 for n, a in attn.parameters().items()})


def head(attn, h, q, k, v, mask=None):
    """Compute one head of one query: output before w_o, and weights."""
    p, e = attn.parameters(), attn.width
    at = slice(h * e, (h + 1) * e)
    zero = np.zeros(attn.num_heads * e)
    hq = q @ p["w_q"][:, at] + p.get("b_q", zero)[at]
    hk = k @ p["w_k"][:, at] + p.get("b_k", zero)[at]
    hv = v @ p["w_v"][:, at] + p.get("b_v", zero)[at]
    s = hk @ hq / math.sqrt(e) / attn.temperature
    if mask is not None:
        s = np.where(mask, s, -np.inf)
    if (s == -np.inf).all():
        return np.zeros(e), np.zeros(len(k))
    w = np.exp(s - s.max())
    w /= w.sum()
    return w @ hv, w


OPTIONS = [
    {},
    {"bias": False, "num_heads": 2},
    {"num_heads": 3, "head_dim": 5},
    {"num_heads": 1},
    {"num_heads": 8, "temperature": 0.3},
]


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("rows", [1, 2, 12])
def test_is_a_loop_over_heads(rng, options, rows):
    attn = make(rng, **options)
    q, k, v = rng.standard_normal((rows, 8)), rng.standard_normal((6, 8)), rng.standard_normal((6, 8))
    mask = rng.random((rows, 6)) < 0.7
    mask[0] = rows == 1
    out, w = attn.forward(q, k, v, attn_mask=mask, need_weights=True)
    p = attn.parameters()
    for i in range(rows):
        parts = [head(attn, h, q[i], k, v, mask[i]) for h in range(attn.num_heads)]
        joined = np.concatenate([o for o, _ in parts])
        np.testing.assert_allclose(out[i], joined @ p["w_o"] + p.get("b_o", 0), rtol=1e-11, atol=1e-12)
        np.testing.assert_allclose(w[:, i], [x for _, x in parts], rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("options", OPTIONS)
def test_folded_is_projected(rng, options):
    attn = make(rng, **options)
    q, k, v = rng.standard_normal((1, 8)), rng.standard_normal((9, 8)), rng.standard_normal((9, 8))
    for mask in (None, rng.random(9) < 0.5, np.zeros(9, bool), rng.standard_normal((attn.num_heads, 1, 9))):
        x = attn._check(q, k, v, mask, None)
        folded = multi_head.folded(x.q, x.k, x.v, x.mask, attn.parameters(), attn.num_heads, attn._factor)
        projected = attn._run(x, Call(need_weights=True, differentiate=True))
        for a, b in zip(folded, projected[:2], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13)
    x32 = [a.astype(np.float32) for a in (q[0], k, v)]
    np.testing.assert_allclose(attn.forward(*x32), attn.forward(q, k, v)[0], rtol=2e-4, atol=2e-5)


def test_heads_are_readable(rng):
    attn = make(rng)
    q, x = rng.standard_normal(8), rng.standard_normal((5, 8))
    w = attn.head_attention_weights(q, x)
    assert w.shape == (4, 5)
    p = attn.parameters()
    outputs = [attn.head_output(h, q, x, x) for h in range(4)]
    for h in range(4):
        expected = head(attn, h, q, x, x)
        np.testing.assert_allclose(outputs[h], expected[0], rtol=1e-12)
        np.testing.assert_allclose(w[h], expected[1], rtol=1e-12)
    np.testing.assert_allclose(np.concatenate(outputs) @ p["w_o"] + p["b_o"], attn(q, x, x), rtol=1e-12)
    batch = rng.standard_normal((3, 2, 8))
    assert attn.head_output(1, batch, x, x).shape == (3, 2, 2)
    assert attn.head_attention_weights(batch, x).shape == (3, 4, 2, 5)
    for bad in (4, -1):
        with pytest.raises(ga.OutOfBoundsError) as info:
            attn.head_output(bad, q, x, x)
        assert (info.value.index, info.value.length) == (bad, 4)
    for bad in ("0", 1.0, None, True):
        with pytest.raises(ga.InvalidConfigError, match="head"):
            attn.head_output(bad, q, x, x)
    assert ga.MultiHeadAttention(8, num_heads=1).attention_weights(q, x).shape == (1, 5)


def test_mask_axes(rng):
    attn = make(rng, num_heads=2)
    q, x = rng.standard_normal((3, 8)), rng.standard_normal((5, 8))
    for shape in [(5,), (1, 5), (3, 5), (2, 3, 5), (2, 1, 5)]:
        mask = rng.random(shape) < 0.7
        full = np.broadcast_to(mask, (2, 3, 5))
        w = attn.attention_weights(q, x, attn_mask=mask)
        for h, i in np.ndindex(2, 3):
            np.testing.assert_allclose(w[h, i], head(attn, h, q[i], x, x, full[h, i])[1], atol=1e-14)
    single = attn.attention_weights(q[0], x, attn_mask=np.array([[True] * 5, [False] * 5]))
    assert not single[1].any()
    assert abs(single[0].sum() - 1) < 1e-12


def test_initial_parameters():
    a, b = ga.MultiHeadAttention(8, seed=1).parameters(), ga.MultiHeadAttention(8, seed=2).parameters()
    assert list(a) == ["w_q", "w_k", "w_v", "w_o", "b_q", "b_k", "b_v", "b_o"]
    assert all(a[n].shape == (8, 8) for n in ("w_q", "w_k", "w_v", "w_o"))
    assert all(not a[n].any() and a[n].shape == (8,) for n in ("b_q", "b_k", "b_v", "b_o"))
    assert not np.array_equal(a["w_q"], b["w_q"])
    assert np.abs(a["w_q"]).max() <= math.sqrt(6 / 16)


@pytest.mark.parametrize("heads", [3, 5, 16])
def test_heads_must_divide(heads):
    with pytest.raises(ga.InvalidConfigError, match="num_heads: expected a divisor of dim = 8"):
        ga.MultiHeadAttention(8, num_heads=heads)

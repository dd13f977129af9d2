"""scaled_dot_product_attention against an independent implementation of its formulas."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphattend as ga
from graphattend.testing import check_vjp

F = ga.functional
TOL = {np.float32: 1e-6, np.float64: 1e-12}


def reference(q, k, v, mask=None, scale=None, causal=False):
    """Compute attention row by row in Python floats with exact sums."""
    q, k, v = (np.asarray(a, np.float64) for a in (q, k, v))
    out = np.zeros((*q.shape[:-1], v.shape[-1]))
    weights = np.zeros((*q.shape[:-1], k.shape[-2]))
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    for index in np.ndindex(*q.shape[:-1]):
        lead, i = index[:-1], index[-1]
        s = []
        for j in range(k.shape[-2]):
            score = scale * math.fsum(float(a) * float(b) for a, b in zip(q[index], k[(*lead, j)], strict=True))
            if mask is not None:
                m = np.broadcast_to(mask, (*q.shape[:-1], k.shape[-2]))[(*index, j)]
                score = (score if m else -math.inf) if isinstance(m, np.bool_) else score + float(m)
            if causal and j > i:
                score = -math.inf
            s.append(score)
        top = max(s)
        if top == -math.inf:
            continue
        e = [math.exp(x - top) for x in s]
        total = math.fsum(e)
        for j, x in enumerate(e):
            weights[(*index, j)] = x / total
        out[index] = sum(weights[(*index, j)] * v[(*lead, j)] for j in range(len(e)))
    return out, weights


def close(a, b, tol):
    assert np.shape(a) == np.shape(b)
    assert np.abs(np.asarray(a, np.float64) - b).max() <= tol * max(1.0, np.abs(b).max())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("dim", [1, 2, 3, 16, 100, 256])
def test_dims(rng, dtype, dim):
    q, k, v = (rng.standard_normal((n, dim)).astype(dtype) for n in (4, 9, 9))
    out, w = F.scaled_dot_product_attention(q, k, v, return_weights=True)
    expected = reference(q, k, v)
    assert out.dtype == dtype
    close(out, expected[0], TOL[dtype])
    close(w, expected[1], TOL[dtype])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["none", "bool", "float", "causal", "bool+causal"])
@pytest.mark.parametrize("shape", [(5, 5), (3, 7), (7, 3), (1, 6)])
def test_masks(rng, dtype, kind, shape):
    m, n = shape
    q, k, v = (rng.standard_normal((2, r, 8)).astype(dtype) for r in (m, n, n))
    mask = None
    if "bool" in kind:
        mask = rng.random((2, m, n)) < 0.6
        mask[0, 0] = False
    if kind == "float":
        mask = rng.standard_normal((m, n)).astype(dtype)
        mask[0, :2] = -np.inf
    out = F.scaled_dot_product_attention(q, k, v, mask, is_causal="causal" in kind)
    close(out, reference(q, k, v, mask, causal="causal" in kind)[0], TOL[dtype])


def test_single_query_is_the_first_row(rng):
    q, k, v = rng.standard_normal(8), rng.standard_normal((5, 8)), rng.standard_normal((5, 3))
    out, w, lse = F.scaled_dot_product_attention(q, k, v, return_weights=True, return_lse=True)
    assert out.shape == (3,)
    assert w.shape == (5,)
    assert lse.shape == ()
    close(out, reference(q[None], k, v)[0][0], 1e-12)
    s = k @ q / math.sqrt(8)
    close(lse, np.asarray(math.log(math.fsum(map(math.exp, s)))), 1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_huge_logits(dtype):
    q = np.array([[1.0], [-1.0]], dtype) * 1e4
    k = np.array([[1.0], [0.0], [-1.0]], dtype)
    v = np.array([[1.0], [2.0], [3.0]], dtype)
    out, lse = F.scaled_dot_product_attention(q, k, v, scale=1.0, return_lse=True)
    assert out.tolist() == [[1.0], [3.0]]
    assert lse.tolist() == [1e4, 1e4]


def test_fully_masked_rows_give_zeros_and_finite_gradients(rng):
    q, k, v = (rng.standard_normal((n, 4)) for n in (3, 5, 5))
    mask = np.ones((3, 5), bool)
    mask[1] = False
    for m in (mask, np.where(mask, 0.0, -np.inf)):
        (out, w, lse), pullback = ga.vjp(
            F.scaled_dot_product_attention, q, k, v, attn_mask=m, return_weights=True, return_lse=True
        )
        assert not out[1].any()
        assert not w[1].any()
        assert lse[1] == -np.inf
        for g in pullback((np.ones_like(out), np.ones_like(w), np.ones(3))):
            assert np.isfinite(g).all()


@pytest.mark.parametrize(("heads", "kv"), [(4, 4), (4, 2), (6, 2), (8, 1)])
def test_grouped_queries(rng, heads, kv):
    q = rng.standard_normal((2, heads, 3, 4))
    k, v = rng.standard_normal((2, kv, 5, 4)), rng.standard_normal((2, kv, 5, 6))
    out = F.scaled_dot_product_attention(q, k, v, enable_gqa=True)
    for h in range(heads):
        close(out[:, h], reference(q[:, h], k[:, h // (heads // kv)], v[:, h // (heads // kv)])[0], 1e-12)
    check_vjp(F.scaled_dot_product_attention, q, k, v, enable_gqa=True)


def test_softcap_alone(rng):
    q, k, v = (rng.standard_normal((n, 4)) for n in (5, 6, 6))
    s = 0.5 * np.tanh(q @ k.T / 2.0 / 0.5)
    w = np.exp(s) / np.exp(s).sum(-1, keepdims=True)
    close(F.scaled_dot_product_attention(q, k, v, softcap=0.5), w @ v, 1e-12)


def test_softcap_and_score_mod(rng):
    q, k, v = (rng.standard_normal((2, 3, n, 4)) for n in (5, 6, 6))

    def bias(score, batch, head, i, j):
        return score * 1.5 - 0.1 * np.abs(i - j) + 0.2 * head - 0.3 * batch

    out = F.scaled_dot_product_attention(q, k, v, softcap=2.0, score_mod=bias)
    for b in range(2):
        for h in range(3):
            s = 2.0 * np.tanh(q[b, h] @ k[b, h].T / 2.0 / 2.0)
            s = 1.5 * s - 0.1 * np.abs(np.arange(5)[:, None] - np.arange(6)) + 0.2 * h - 0.3 * b
            w = np.exp(s) / np.exp(s).sum(-1, keepdims=True)
            close(out[b, h], w @ v[b, h], 1e-12)
    check_vjp(F.scaled_dot_product_attention, q, k, v, softcap=2.0, score_mod=bias)
    check_vjp(F.scaled_dot_product_attention, q, k, v, score_mod=lambda s, b, h, i, j: np.where(i >= j, s, -np.inf))


@pytest.mark.parametrize("options", [{}, {"is_causal": True}, {"scale": 0.3}, {"softcap": 1.5}])
def test_gradients(rng, options):
    q, k, v = rng.standard_normal((2, 3, 4)), rng.standard_normal((5, 4)), rng.standard_normal((2, 5, 6))
    check_vjp(F.scaled_dot_product_attention, q, k, v, **options)
    check_vjp(F.scaled_dot_product_attention, q, k, v, return_weights=True, return_lse=True, **options)
    mask = rng.standard_normal((3, 5))
    check_vjp(F.scaled_dot_product_attention, q, k, v, mask, **options)
    check_vjp(F.scaled_dot_product_attention, q[0, 0], k, v[0], **options)


def test_gradients_against_autograd(rng):
    anp = pytest.importorskip("autograd.numpy")
    from autograd import grad

    q, k, v = (rng.standard_normal((n, 4)) for n in (3, 5, 5))
    g = rng.standard_normal((3, 4))
    mask = rng.random((3, 5)) < 0.7
    mask[:, 0] = True

    def loss(q, k, v):
        s = anp.where(mask, anp.dot(q, k.T) / 2.0, -1e30)
        s = anp.exp(s - anp.max(s, axis=1, keepdims=True))
        return anp.sum(anp.dot(s / anp.sum(s, axis=1, keepdims=True), v) * g)

    _, pullback = ga.vjp(F.scaled_dot_product_attention, q, k, v, attn_mask=mask)
    for ours, i in zip(pullback(g), range(3), strict=True):
        close(ours, grad(loss, i)(q, k, v), 1e-12)


def test_dropout_keeps_the_mean_and_needs_a_generator(rng):
    q, k, v = (rng.standard_normal((n, 4)) for n in (2, 6, 6))
    exact = F.scaled_dot_product_attention(q, k, v)
    draws = [F.scaled_dot_product_attention(q, k, v, dropout_p=0.3, rng=np.random.default_rng(i)) for i in range(4000)]
    assert np.abs(np.mean(draws, axis=0) - exact).max() < 5 * np.std(draws, axis=0).max() / math.sqrt(4000)
    assert not F.scaled_dot_product_attention(q, k, v, dropout_p=1.0, rng=rng).any()
    with pytest.raises(ga.InvalidConfigError, match="rng"):
        F.scaled_dot_product_attention(q, k, v, dropout_p=0.5)


@given(st.integers(0, 10**6), st.floats(-50, 50))
def test_shift_of_the_mask_changes_nothing(seed, shift):
    rng = np.random.default_rng(seed)
    q, k, v = (rng.standard_normal((n, 3)) for n in (2, 4, 4))
    a = F.scaled_dot_product_attention(q, k, v)
    b = F.scaled_dot_product_attention(q, k, v, np.full((2, 4), shift))
    close(a, b, 1e-12)


X = np.ones((3, 4))
BAD = [
    (("text", X, X), {}, ga.InvalidConfigError, "query"),
    ((X, None, X), {}, ga.InvalidConfigError, "key"),
    ((X, X, X * 1j), {}, ga.InvalidConfigError, "value"),
    ((X, X, np.array([[object()]])), {}, ga.InvalidConfigError, "value"),
    ((X > 0, X, X), {}, ga.InvalidConfigError, "query"),
    (([[1.0], [1.0, 2.0]], X, X), {}, ga.InvalidConfigError, "query"),
    ((1.0, X, X), {}, ga.DimensionMismatchError, "query"),
    ((X, X[0], X), {}, ga.DimensionMismatchError, "key"),
    ((X, X[:, :3], X), {}, ga.DimensionMismatchError, "key"),
    ((X, X, X[:2]), {}, ga.DimensionMismatchError, "value"),
    ((np.ones((2, 3, 4)), np.ones((3, 3, 4)), X), {}, ga.DimensionMismatchError, "query, key, value"),
    ((X[:0], X, X), {}, ga.EmptyInputError, "query"),
    ((X, X[:0], X[:0]), {}, ga.EmptyInputError, "key"),
    ((X, X, X, np.ones((2, 2), bool)), {}, ga.DimensionMismatchError, "attn_mask"),
    ((X, X, X, np.ones((3, 3), int)), {}, ga.InvalidConfigError, "attn_mask"),
    ((X, X, X, np.full((3, 3), np.nan)), {}, ga.NumericalInstabilityError, "attn_mask"),
    ((X, X, X, np.full((3, 3), np.inf)), {}, ga.NumericalInstabilityError, "attn_mask"),
    ((X, X, X, np.full((3, 3), "a")), {}, ga.InvalidConfigError, "attn_mask"),
    ((X, X, X), {"dropout_p": 1.5}, ga.InvalidConfigError, "dropout_p"),
    ((X, X, X), {"dropout_p": "a"}, ga.InvalidConfigError, "dropout_p"),
    ((X, X, X), {"is_causal": 1}, ga.InvalidConfigError, "is_causal"),
    ((X, X, X), {"scale": np.nan}, ga.InvalidConfigError, "scale"),
    ((X, X, X), {"softcap": 0.0}, ga.InvalidConfigError, "softcap"),
    ((X, X, X), {"enable_gqa": True}, ga.DimensionMismatchError, "query"),
    ((X, X, X), {"score_mod": lambda s, b, h, i, j: np.ones(7)}, ga.DimensionMismatchError, "score_mod"),
    ((X, X, X), {"score_mod": 3}, ga.InvalidConfigError, "score_mod"),
    ((X, X, X), {"return_weights": "yes"}, ga.InvalidConfigError, "return_weights"),
    ((X, X, X), {"return_lse": 1}, ga.InvalidConfigError, "return_lse"),
]


@pytest.mark.parametrize(("args", "options", "error", "argument"), BAD)
def test_bad_input(args, options, error, argument):
    with pytest.raises(error) as info:
        F.scaled_dot_product_attention(*args, **options)
    assert info.value.argument == argument
    assert str(info.value).startswith(argument)


def test_scores_that_a_function_makes_more_of():
    x = np.ones((3, 4))
    with pytest.raises(ga.DimensionMismatchError, match="score_mod: expected scores of shape"):
        ga.functional.scaled_dot_product_attention(x, x, x, score_mod=lambda s, *_: np.stack([s, s]))

"""exp, softmax, matrix products and single-query attention against float64 formulas."""

from __future__ import annotations

from itertools import pairwise

import kernel_numbers as numbers
import numpy as np
import pytest
from kernel_numbers import close, normal

from graphattend.simd import kernel_ops

pytestmark = pytest.mark.usefixtures("kernels", "real")


def softmax64(scores):
    scores = np.asarray(scores, float)
    e = np.exp(scores - scores.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_exp_is_accurate_over_its_whole_range():
    dtype = numbers.REAL
    low, high = (-87.3, 88.7) if dtype == numbers.REAL else (-708.0, 709.7)
    x = np.linspace(low, high, 100_003).astype(dtype)
    exact = np.exp(x.astype(np.longdouble))
    error = np.abs(kernel_ops.exp(x) / exact - 1).max()
    assert error <= 2 * np.finfo(dtype).eps


def test_exp_at_the_edges():
    x = np.array([0, -0.0, np.inf, -np.inf, np.nan, 1e4, -1e4], numbers.REAL)
    np.testing.assert_array_equal(kernel_ops.exp(x), np.array([1, 1, np.inf, 0, np.nan, np.inf, 0], numbers.REAL))


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 8, 9, 16, 31, 1000])
def test_softmax(n):
    rng = np.random.default_rng(n)
    x = (rng.standard_normal((3, 5, n)) * 20).astype(numbers.REAL)
    np.testing.assert_allclose(kernel_ops.softmax(x), softmax64(x), rtol=0, atol=8 * np.finfo(numbers.REAL).eps)


def test_softmax_of_nothing_but_minus_infinity_is_zero():
    x = np.array([[-np.inf] * 5, [0, -np.inf, 0, -np.inf, -np.inf]], numbers.REAL)
    np.testing.assert_array_equal(kernel_ops.softmax(x), [[0] * 5, [0.5, 0, 0.5, 0, 0]])


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_softmax_does_not_hide_bad_scores(bad):
    x = np.zeros(9, numbers.REAL)
    x[5] = bad
    assert np.isnan(kernel_ops.softmax(x)).any()


@pytest.mark.parametrize("heads", [None, 1, 3, 4, 8])
def test_segment_softmax(heads):
    rng = np.random.default_rng(0)
    indptr = np.array([0, 3, 3, 4, 20, 21])
    scores = normal(rng, 21) if heads is None else normal(rng, 21, heads)
    out = kernel_ops.segment_softmax(scores, indptr)
    expected = np.concatenate([softmax64(scores[a:b].T).T for a, b in pairwise(indptr) if b > a])
    close(out, expected)


SIZES = [(1, 1, 1), (1, 5, 3), (2, 8, 4), (3, 9, 7), (4, 8, 16), (5, 17, 33), (13, 1, 9), (70, 33, 50), (9, 500, 300)]


@pytest.fixture(autouse=True)
def _no_thresholds(monkeypatch):
    monkeypatch.setattr(kernel_ops, "MATMUL_MIN_WORK", 0)


@pytest.mark.parametrize(("m", "n", "k"), SIZES)
def test_matrix_products(m, n, k):
    rng = np.random.default_rng(m + n + k)
    a, b = normal(rng, m, k), normal(rng, k, n)
    expected = a.astype(float) @ b.astype(float)
    at, bt = np.ascontiguousarray(a.T), np.ascontiguousarray(b.T)
    close(kernel_ops.matmul(a, b), expected)
    close(kernel_ops.matmul(at.T, bt.T), expected)
    close(kernel_ops.matmul_nt(a, bt), expected)
    close(kernel_ops.matmul_tn(at, b), expected)


@pytest.mark.parametrize(("a_lead", "b_lead"), [((3,), (3,)), ((2, 1), (3,)), ((), (2, 3)), ((4,), ())])
def test_batched_matrix_products(a_lead, b_lead):
    rng = np.random.default_rng(1)
    a, b = normal(rng, *a_lead, 6, 10), normal(rng, *b_lead, 10, 11)
    close(kernel_ops.matmul(a, b), a.astype(float) @ b.astype(float))


def test_matrix_products_take_rows_that_lie_apart():
    rng = np.random.default_rng(2)
    a, b = normal(rng, 20, 40)[::-2, 5:15], normal(rng, 30, 50)[3:13, 7:40]
    close(kernel_ops.matmul(a, b), a.astype(float) @ b.astype(float))


def attention64(q, k, v, scale):
    scores = np.einsum("...d,...nd->...n", q.astype(float), k.astype(float)) * scale
    return np.einsum("...n,...ne->...e", softmax64(scores), v.astype(float))


def attend_one(kernels, q, k, v, scale):
    """Return the output for one query, and whether everything was finite."""
    out = np.empty(v.shape[-1], numbers.REAL)
    return out, kernels.attend_one(q, k, v, out, scale, None)


@pytest.mark.parametrize(
    ("n", "d", "e"), [(1, 1, 1), (2, 3, 5), (9, 8, 4), (127, 16, 30), (129, 128, 128), (1025, 16, 8), (2050, 33, 7)]
)
def test_single_query_attention(kernels, n, d, e):
    rng = np.random.default_rng(n)
    q, k, v = normal(rng, d), normal(rng, n, d), normal(rng, n, e)
    out, finite = attend_one(kernels, q, k, v, 0.5)
    assert finite
    close(out, attention64(q, k, v, 0.5), 4e-6)


def test_single_query_attention_over_heads_as_views(kernels):
    rng = np.random.default_rng(3)
    q, k, v = normal(rng, 2, 4, 8), normal(rng, 2, 50, 4, 8), normal(rng, 2, 50, 4, 6)
    k, v = k.transpose(0, 2, 1, 3), v.transpose(0, 2, 1, 3)
    out = np.empty((2, 4, 6), numbers.REAL)
    assert kernels.attend_one(q, k, v, out, 0.3, None) is True
    close(out, attention64(q, k, v, 0.3))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("n", [3, 300])
def test_single_query_attention_finds_bad_numbers(kernels, bad, which, n):
    rng = np.random.default_rng(4)
    arrays = [normal(rng, 13), normal(rng, n, 13), normal(rng, n, 13)]
    arrays[1][0] *= 100  # one key has all the weight, the others underflow to zero
    arrays[0] = arrays[1][0] / 10
    for position in (0, -1):
        spoiled = [a.copy() for a in arrays]
        spoiled[which].reshape(-1)[position] = bad
        _, finite = attend_one(kernels, *spoiled, 1.0)
        assert not finite


def test_sharp_scores_keep_their_maximum(kernels):
    q = np.array([100.0, 0], numbers.REAL)
    k = np.zeros((400, 2), numbers.REAL)
    k[:, 0] = np.linspace(-1, 1, 400)
    v = np.arange(400, dtype=numbers.REAL)[:, None]
    out, _ = attend_one(kernels, q, k, v, 10.0)
    close(out, attention64(q, k, v, 10.0), 1e-5)


def test_kernels_decline_what_they_cannot_take():
    a = np.ones((4, 4))
    assert kernel_ops.matmul(a, a.astype(np.float32)) is None  # different dtypes
    assert kernel_ops.matmul(a.astype(np.float16), a.astype(np.float16)) is None
    assert kernel_ops.matmul(np.ones((0, 4), numbers.REAL), np.ones((4, 4), numbers.REAL)) is None
    assert kernel_ops.exp(np.ones(4, np.int64)) is None
    assert kernel_ops.softmax(np.ones((4, 4), numbers.REAL)[:, ::2]) is None

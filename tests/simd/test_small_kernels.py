"""Rotary encoding, FAVOR+ exponentials, INT8 products and the finiteness test against NumPy formulas in float64."""

from __future__ import annotations

import kernel_numbers as numbers
import numpy as np
import pytest
from kernel_numbers import close, normal

from graphattend.simd import kernel_ops, quantized_ops

pytestmark = pytest.mark.usefixtures("kernels", "real")


@pytest.mark.parametrize("interleaved", [True, False])
@pytest.mark.parametrize("d", [2, 3, 8, 33])
def test_rotary(interleaved, d):
    rng = np.random.default_rng(d)
    x, at = normal(rng, 4, 50, d), rng.uniform(-1e5, 1e5, 50)
    at[:5] = [0, 1, np.pi / 4, -np.pi, 12345.678]
    frequency = 100.0 ** (-2 * np.arange(d // 2) / d)
    angle = at[:, None] * frequency
    expected, pairs = x.astype(float), d // 2
    a, b = (slice(0, 2 * pairs, 2), slice(1, 2 * pairs, 2)) if interleaved else (slice(pairs), slice(pairs, 2 * pairs))
    expected[..., a] = x[..., a] * np.cos(angle) - x[..., b] * np.sin(angle)
    expected[..., b] = x[..., a] * np.sin(angle) + x[..., b] * np.cos(angle)
    close(kernel_ops.rotate(x, at, frequency, interleaved), expected, 1e-6)


@pytest.mark.parametrize("position", [np.nan, np.inf, 1e9])
def test_rotary_declines_angles_it_cannot_reduce(position):
    assert kernel_ops.rotate(np.ones((1, 4), numbers.REAL), np.array([position]), np.array([1.0, 0.1]), True) is None


@pytest.mark.parametrize("is_query", [True, False])
@pytest.mark.parametrize("shift", [True, False])
@pytest.mark.parametrize(("n", "d", "m"), [(1, 1, 1), (7, 5, 9), (20, 32, 40)])
def test_favor(is_query, shift, n, d, m):
    rng = np.random.default_rng(n)
    x, w = normal(rng, 3, n, d), normal(rng, m, d)
    z = x.astype(float) @ w.T.astype(float) * d**-0.25
    h = z - 0.5 * (x.astype(float) ** 2).sum(-1, keepdims=True) * d**-0.5
    top = (h if shift else z).max(axis=-1 if is_query else (-2, -1), keepdims=True)
    close(kernel_ops.favor_exponentials(x, w, is_query=is_query, shift=shift), np.exp(h - top), 4e-6)


@pytest.mark.parametrize(("n", "d", "m", "e"), [(1, 1, 1, 1), (7, 5, 9, 3), (33, 8, 16, 20), (200, 32, 40, 33)])
def test_favor_of_one_query(n, d, m, e):
    rng = np.random.default_rng(n)
    q, k, v, w, root = normal(rng, d), normal(rng, n, d), normal(rng, n, e), normal(rng, m, d), d**-0.25
    far = 1.0 + 5 * np.arange(n)[:, None] / n  # a later block has the largest exponent
    k = (k * far).astype(numbers.REAL)
    h = (q + k.astype(float)) @ w.T.astype(float) * root - 0.5 * root**2 * (k.astype(float) ** 2).sum(-1, keepdims=True)
    share = np.exp(h - h.max()).sum(-1)
    share /= share.sum()
    out, weights, finite = kernel_ops.favor_single(q, k, v, w, root, 1e9)
    close(weights, share, 4e-6)
    close(out, share @ v, 4e-6)
    assert finite
    only, alone, _ = kernel_ops.favor_single(q, k, None, w, root, 1e9)
    assert only is None
    assert np.array_equal(alone, weights)


@pytest.mark.parametrize("n", [1, 31, 70])
def test_favor_of_one_query_with_a_mask(n):
    """A hidden key is as one that is not there, and a number in the mask as a factor of the weight."""
    rng = np.random.default_rng(n)
    q, k, v, w = normal(rng, 6), normal(rng, n, 6), normal(rng, n, 5), normal(rng, 16, 6)
    plain = kernel_ops.favor_single(q, k, v, w, 0.5, 1e9)[1].astype(float)
    seen = rng.random(n) < 0.6
    seen[32:64] = False  # a block of which no key is visible
    added = np.where(seen, rng.standard_normal(n), -np.inf).astype(numbers.REAL)
    for mask, factor in ((seen, seen), (added, np.exp(added.astype(float))), (np.zeros(n, bool), np.zeros(n))):
        out, weights, finite = kernel_ops.favor_single(q, k, v, w, 0.5, 1e9, mask[None])
        want = plain * factor
        want /= want.sum() or 1
        close(weights, want, 4e-6)
        close(out, want @ v, 4e-6)
        assert finite
        assert not weights[~seen].any()
    one = kernel_ops.favor_single(q, k, v, w, 0.5, 1e9, np.ones((1, 1), bool))[1]
    assert np.array_equal(one, kernel_ops.favor_single(q, k, v, w, 0.5, 1e9)[1])
    with pytest.raises(ValueError, match="mask"):
        kernel_ops.favor_single(q, k, v, w, 0.5, 1e9, np.ones((1, n + 1), bool))
    added[-1] = np.nan
    assert not kernel_ops.favor_single(q, k, v, w, 0.5, 1e9, added[None])[2]


def test_favor_of_one_query_sees_rubbish_and_the_reach():
    rng = np.random.default_rng(3)
    q, k, v, w = normal(rng, 5), normal(rng, 40, 5), normal(rng, 40, 6), normal(rng, 16, 5)
    most = 0.5 * max((k * k).sum(-1).max(), (q * q).sum())
    assert kernel_ops.favor_single(q, k, v, w, 1.0, most * 1.001)[2]
    assert kernel_ops.favor_single(q, k, v, w, 1.0, most * 0.999) is None
    assert kernel_ops.favor_single(q * 100, k, v, w, 1.0, most) is None
    for array in (q, k, v):
        for bad in (np.nan, np.inf, -np.inf):
            kept, array.flat[-1] = array.flat[-1], bad
            found = kernel_ops.favor_single(q, k, v, w, 1.0, 1e9)
            assert found is None or not found[2]
            array.flat[-1] = kept


@pytest.mark.parametrize("granularity", ["tensor", "row", "group"])
@pytest.mark.parametrize(("m", "n", "d"), [(1, 1, 1), (1, 130, 16), (5, 70, 13), (9, 64, 30)])
def test_int8_products(granularity, m, n, d):
    rng = np.random.default_rng(m + d)
    group = 4 if granularity == "group" else None
    codes = rng.integers(-128, 128, (2, n, d)).astype(np.int8)
    shape = {"tensor": (), "row": (2, n), "group": (2, n, -(-d // 4))}[granularity]
    scale, zero = rng.uniform(0.01, 0.1, shape).astype(numbers.REAL), rng.integers(-9, 9, shape).astype(np.int8)
    scale, zero = np.asarray(scale), np.asarray(zero)
    q, w = normal(rng, 2, m, d), normal(rng, 2, m, n)
    for x, name in ((q, "int8_scores"), (w, "int8_combine")):
        expected = getattr(quantized_ops, name)(x.astype(float), codes, scale.astype(float), zero, group)
        close(getattr(kernel_ops, name)(x, codes, scale, zero, group), expected, 3e-6)


@pytest.mark.parametrize("shape", [(1,), (7,), (3, 20), (5, 4, 33)])
def test_finite(shape):
    x = np.full(shape, np.finfo(numbers.REAL).max, numbers.REAL)
    assert kernel_ops.finite(x) is True
    assert kernel_ops.finite(x[..., : shape[-1] - 1 or None]) is True
    for bad in (np.nan, np.inf, -np.inf):
        for at in range(x.size):
            y = x.copy()
            y.reshape(-1)[at] = bad
            assert kernel_ops.finite(y) is False


def test_tiny_products_are_left_to_numpy():
    small, large = np.ones((4, 4), numbers.REAL), np.ones((64, 64), numbers.REAL)
    assert kernel_ops.matmul(small, small) is None
    assert kernel_ops.matmul(large, large) is not None

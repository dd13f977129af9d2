"""Flash attention, forward and backward, against the plain float64 formula."""

from __future__ import annotations

import kernel_numbers as numbers
import numpy as np
import pytest
from kernel_numbers import close

from graphattend.simd import kernel_ops

pytestmark = pytest.mark.usefixtures("kernels", "real")


def reference(q, k, v, scale, mask=None, causal=False, lengths=None):
    """Compute output, softmax statistics and weights in float64."""
    scores = scale * np.einsum("...md,...nd->...mn", q.astype(float), k.astype(float))
    if mask is not None:
        scores = np.where(mask, scores, -np.inf) if mask.dtype == bool else scores + mask
    i, j = np.arange(scores.shape[-2])[:, None], np.arange(scores.shape[-1])
    if causal:
        scores = np.where(j <= i, scores, -np.inf)
    if lengths is not None:
        scores = np.where(j < np.asarray(lengths)[..., None], scores, -np.inf)
    peak = scores.max(-1, keepdims=True)
    e = np.exp(scores - np.where(np.isfinite(peak), peak, 0))
    total = e.sum(-1, keepdims=True)
    weights = e / np.where(total > 0, total, 1)
    return weights @ v.astype(float), np.concatenate([peak, total], -1), weights


def reference_vjp(q, k, v, weights, grad, scale):
    q, k, v, grad = (x.astype(float) for x in (q, k, v, grad))
    d_weights = grad @ np.swapaxes(v, -1, -2)
    d_scores = scale * weights * (d_weights - (weights * d_weights).sum(-1, keepdims=True))
    return d_scores @ k, np.swapaxes(d_scores, -1, -2) @ q, np.swapaxes(weights, -1, -2) @ grad


def check(rng, m, n, d, e, lead=(), k_lead=None, **options):
    k_lead = lead if k_lead is None else k_lead
    shapes = ((*lead, m, d), (*k_lead, n, d), (*k_lead, n, e))
    q, k, v = (rng.standard_normal(s).astype(numbers.REAL) for s in shapes)
    scale = 1.3 / np.sqrt(d)
    expected, expected_stats, weights = reference(q, k, v, scale, **options)
    out, stats, finite = kernel_ops.attention(q, k, v, scale=scale, **options)
    assert finite
    close(out, expected, 2e-6)
    for mine, full in zip(np.moveaxis(stats, -1, 0), np.moveaxis(expected_stats, -1, 0), strict=True):
        close(mine, full, 2e-6)
    grad = rng.standard_normal(out.shape).astype(numbers.REAL)
    gradients = kernel_ops.attention_vjp(q, k, v, out, stats, grad, scale=scale, **options)
    wide = [np.broadcast_to(x, (*out.shape[:-2], *x.shape[-2:])) for x in (q, k, v)]
    for mine, full, x in zip(gradients, reference_vjp(*wide, weights, grad, scale), (q, k, v), strict=True):
        extra = full.ndim - x.ndim
        full = full.sum(tuple(range(extra))) if extra else full
        close(mine, full, 3e-6, floor=1)


SHAPES = [(1, 1, 1, 1), (2, 70, 3, 5), (3, 5, 4, 4), (8, 64, 8, 8), (9, 65, 7, 9), (65, 130, 33, 30), (130, 20, 64, 66)]


@pytest.mark.parametrize(("m", "n", "d", "e"), [*SHAPES, (5, 3, 257, 300)])
@pytest.mark.parametrize("causal", [False, True])
def test_shapes(m, n, d, e, causal):
    check(np.random.default_rng(m * n), m, n, d, e, causal=causal)


@pytest.mark.parametrize(("m", "n", "d", "e"), SHAPES)
@pytest.mark.parametrize("kind", ["bool", "float", "keys", "queries", "transposed"])
def test_masks(m, n, d, e, kind):
    rng = np.random.default_rng(m + n)
    mask = rng.random((m, n)) < 0.6
    if kind == "float":
        mask = np.where(mask, rng.standard_normal((m, n)), -np.inf).astype(numbers.REAL)
    elif kind == "keys":
        mask = mask[:1]
    elif kind == "queries":
        mask = mask[:, :1]
    elif kind == "transposed":
        mask = np.ascontiguousarray(mask.T).T
    check(rng, m, n, d, e, mask=mask)


def test_batches_broadcast_and_have_their_own_lengths():
    rng = np.random.default_rng(0)
    check(rng, 12, 20, 8, 6, lead=(3, 2), lengths=rng.integers(0, 22, (3, 1, 1)))
    check(rng, 12, 20, 8, 6, lead=(3, 2), lengths=rng.integers(0, 22, 12), causal=True)
    check(rng, 12, 20, 8, 6, lead=(3, 2), k_lead=(2,), mask=rng.random((3, 1, 12, 20)) < 0.5)


def test_a_mask_may_be_one_row():
    rng = np.random.default_rng(1)
    q, k, v = (rng.standard_normal(s).astype(numbers.REAL) for s in ((9, 4), (11, 4), (11, 4)))
    mask = np.arange(11) % 2 == 0
    out, _, _ = kernel_ops.attention(q, k, v, scale=1.0, mask=mask)
    close(out, reference(q, k, v, 1.0, mask=mask[None])[0], 2e-6)


def test_a_hugely_negative_mask_on_every_key_changes_nothing():
    rng = np.random.default_rng(2)
    q, k, v = (
        np.zeros((9, 4), numbers.REAL),
        np.zeros((5, 4), numbers.REAL),
        rng.standard_normal((5, 4)).astype(numbers.REAL),
    )
    out, _, _ = kernel_ops.attention(q, k, v, scale=1.0, mask=np.full((9, 5), -3e38, numbers.REAL))
    close(out, np.broadcast_to(v.mean(0), (9, 4)), 2e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("m", [1, 12])
@pytest.mark.parametrize("causal", [False, True])
def test_bad_numbers_are_found(bad, which, m, causal):
    rng = np.random.default_rng(3)
    arrays = [rng.standard_normal(s).astype(numbers.REAL) for s in ((m, 5), (70, 5), (70, 6))]
    for position in (0, -1):
        spoiled = [a.copy() for a in arrays]
        spoiled[which].reshape(-1)[position] = bad
        assert not kernel_ops.attention(*spoiled, scale=1.0, causal=causal)[2]
    assert kernel_ops.attention(*arrays, scale=1.0, causal=causal)[2]


def test_heads_may_be_strided_views():
    rng = np.random.default_rng(4)
    q, k, v = (rng.standard_normal((2, 30, 3, 8)).astype(numbers.REAL).transpose(0, 2, 1, 3) for _ in range(3))
    out, _, _ = kernel_ops.attention(q, k, v, scale=0.4)
    close(out, reference(q, k, v, 0.4)[0], 2e-6)


@pytest.mark.parametrize("m", [1, 2, 3, 9, 70])
@pytest.mark.parametrize("step", [2.0**-3, 0.11])
def test_gradients_where_all_scores_of_a_row_share_a_large_offset(m, step):
    rng = np.random.default_rng(m)
    q, k = ((rng.integers(-16, 17, (n, 4)) * step).astype(numbers.REAL) for n in (m, 70))
    q[:, 0], k[:, 0] = -128, 128  # every score is near -16384, where float32 has a spacing of 0.001
    v, grad = (rng.standard_normal((n, 5)).astype(numbers.REAL) for n in (70, m))
    out, stats, _ = kernel_ops.attention(q, k, v, scale=1.0)
    gradients = kernel_ops.attention_vjp(q, k, v, out, stats, grad, scale=1.0)
    exact = reference_vjp(q, k, v, reference(q, k, v, 1.0)[2], grad, 1.0)
    # If the step is a power of two, no score is rounded; otherwise each of the D sums has an error up to 2^-11.
    tolerance = 4e-6 if step == 2.0**-3 else 4 * 2.0**-11
    close(gradients[0][:, 1:], exact[0][:, 1:], tolerance)
    close(gradients[1], exact[1], tolerance)
    close(gradients[2], exact[2], tolerance)
    # All keys have the same first coordinate, so its gradient is 0, up to the rounding of a sum of 70 terms.
    assert np.abs(gradients[0][:, 0]).max() <= 70 * 128 * 2.0**-23 * np.abs(v @ grad.T).max()

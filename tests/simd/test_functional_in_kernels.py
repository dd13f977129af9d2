"""The functional layer with fused kernels against plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import graphattend as ga
from graphattend import simd
from graphattend.functional import multi_head_attention, rotary
from graphattend.simd import kernel_ops

D, H, M, N = 12, 3, 5, 9
MASKS = {
    "none": {},
    "boolean": {"attn_mask": np.arange(M * N).reshape(M, N) % 4 != 0},
    "blind row": {"attn_mask": np.arange(M)[:, None] > np.zeros((1, N))},
    "additive": {"attn_mask": np.linspace(-2, 2, M * N, dtype=np.float32).reshape(M, N)},
    "per head": {"attn_mask": np.arange(H * M * N).reshape(H, M, N) % 5 != 1},
    "padding": {"key_padding_mask": np.arange(N) < 6},
}


@pytest.fixture
def parameters(rng):
    """Draw projections with biases."""
    weights = {n: rng.standard_normal((D, D)).astype(np.float32) * 0.3 for n in ("w_q", "w_k", "w_v", "w_o")}
    return weights | {n: rng.standard_normal(D).astype(np.float32) for n in ("b_q", "b_k", "b_v", "b_o")}


@pytest.mark.parametrize("lead", [(), (2,)])
@pytest.mark.parametrize("mask", MASKS)
def test_multi_head_in_one_kernel_is_what_numpy_composes(mask, lead, both, parameters, rng):
    q, k, v = (rng.standard_normal(s).astype(np.float32) for s in ((*lead, M, D), (N, D), (*lead, N, D)))
    g = rng.standard_normal(q.shape).astype(np.float32)

    def run():
        out, pull = ga.vjp(multi_head_attention, q, k, v, parameters, num_heads=H, **MASKS[mask])
        *gx, gp = pull(g)
        return [out, *gx, *gp.values()]

    for fast, plain in zip(*both(run), strict=True):
        assert fast.shape == plain.shape
        assert fast.dtype == plain.dtype == np.float32
        np.testing.assert_allclose(fast, plain, rtol=0, atol=2e-5)


def test_multi_head_of_a_single_query(both, parameters, rng):
    q, k, v = (rng.standard_normal(s).astype(np.float32) for s in ((D,), (N, D), (N, D)))
    fast, plain = both(lambda: multi_head_attention(q, k, v, parameters, num_heads=H))
    assert fast.shape == (D,)
    np.testing.assert_allclose(fast, plain, rtol=0, atol=1e-5)


def test_multi_head_calls_the_kernel_unless_weights_are_asked_for(both, parameters, rng, monkeypatch):
    x = rng.standard_normal((64, D)).astype(np.float32)  # for fewer rows, folding the projections is cheaper
    calls = []
    kernel = simd.attention
    monkeypatch.setattr(simd, "attention", lambda *a, **o: calls.append(a) or kernel(*a, **o))
    both(lambda: multi_head_attention(x, x, x, parameters, num_heads=H))
    assert len(calls) == 1
    fast, plain = both(lambda: multi_head_attention(x, x, x, parameters, num_heads=H, need_weights=True))
    assert len(calls) == 1
    for a, b in zip(fast, plain, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-5)


@pytest.mark.parametrize("interleaved", [True, False])
@pytest.mark.parametrize(("shape", "at"), [((N, D), (N,)), ((2, N, D + 1), (N,)), ((2, N, D), (2, 1)), ((D,), ())])
def test_rotary_turns_as_numpy_does(shape, at, interleaved, both, rng):
    x, positions = rng.standard_normal(shape).astype(np.float32), rng.random(at).astype(np.float32) * 100 - 50
    g = rng.standard_normal(shape).astype(np.float32)

    def run():
        out, pull = ga.vjp(rotary, x, positions, interleaved=interleaved)
        return [out, *pull(g)]

    for fast, plain in zip(*both(run), strict=True):
        assert fast.shape == plain.shape
        assert fast.dtype == plain.dtype == np.float32
        np.testing.assert_allclose(fast, plain, rtol=2e-6, atol=2e-6)


def test_rotary_calls_the_kernel(both, rng, monkeypatch):
    calls = []
    monkeypatch.setattr(kernel_ops, "rotate", lambda *a, real=kernel_ops.rotate: calls.append(real(*a)) or calls[-1])
    both(lambda: rotary(rng.standard_normal((N, D)).astype(np.float32), np.arange(N)))
    assert len(calls) == 1
    assert calls[0] is not None

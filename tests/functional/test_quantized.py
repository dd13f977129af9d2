"""Attention over compressed keys equals attention over the decoded keys; gradients, memory and errors."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import graphattend as ga
from graphattend import simd
from graphattend.compression import Compressed, LowRank, Quantizer
from graphattend.errors import DimensionMismatchError, EmptyInputError, InvalidConfigError
from graphattend.functional.quantized import quantized_attention
from graphattend.simd import quantized_ops

CODECS = [
    Quantizer(bits, symmetric, granularity, group_size)
    for bits in (8, 4)
    for symmetric in (True, False)
    for granularity, group_size in (("tensor", None), ("row", None), ("group", 4), ("group", 5))
]
RNG = np.random.default_rng(0)


def reference(q, k, v):
    """Compute softmax(q·kᵀ/√D)·v independently."""
    s = np.einsum("...md,...nd->...mn", np.atleast_2d(q), k) / np.sqrt(k.shape[-1])
    w = np.exp(s - s.max(axis=-1, keepdims=True))
    out = np.einsum("...mn,...ne->...me", w / w.sum(axis=-1, keepdims=True), v)
    return out[..., 0, :] if np.ndim(q) == 1 else out


@pytest.fixture(params=[1, 16, 1 << 18], ids=["row by row", "a few rows", "at once"])
def block(request, monkeypatch):
    monkeypatch.setattr(quantized_ops, "BLOCK", request.param)


@pytest.mark.parametrize("codec", CODECS, ids=repr)
def test_equal_to_attention_over_the_decoded_keys(codec, block):
    keys = codec.encode(RNG.standard_normal((11, 13)) + 0.5)
    values = RNG.standard_normal((11, 3))
    for query in (RNG.standard_normal((4, 13)), RNG.standard_normal(13), RNG.standard_normal((2, 4, 13))):
        expected = reference(query, codec.decode(keys), values)
        assert np.allclose(quantized_attention(query, keys, values), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("codec", CODECS, ids=repr)
def test_batches_broadcast(codec):
    keys = codec.encode(RNG.standard_normal((2, 6, 8)))
    values = RNG.standard_normal((6, 3))
    query = RNG.standard_normal((5, 1, 4, 8))
    out = quantized_attention(query, keys, values)
    assert out.shape == (5, 2, 4, 3)
    assert np.allclose(out, reference(query, codec.decode(keys), values), rtol=1e-12)


@pytest.mark.parametrize("codec", CODECS, ids=repr)
def test_gradient(codec, block):
    keys = codec.encode(RNG.standard_normal((7, 9)))
    query, values = RNG.standard_normal((3, 9)), RNG.standard_normal((7, 2))
    out, pullback = ga.vjp(quantized_attention, query, keys, values)
    g = RNG.standard_normal(out.shape)
    gq, gk, gv = pullback(g)
    assert gk is None
    for x, gx, f in (
        (query, gq, lambda x: quantized_attention(x, keys, values)),
        (values, gv, lambda x: quantized_attention(query, keys, x)),
    ):
        direction = RNG.standard_normal(x.shape)
        h = 1e-5
        slope = np.sum(g * (f(x + h * direction) - f(x - h * direction))) / (2 * h)
        assert np.sum(gx * direction) == pytest.approx(slope, rel=1e-6, abs=1e-9)


def test_gradient_of_shared_and_single_arguments():
    keys = Quantizer(8, granularity="row").encode(RNG.standard_normal((2, 6, 4)))
    query, values = RNG.standard_normal(4), RNG.standard_normal((6, 3))
    out, pullback = ga.vjp(quantized_attention, query, keys, values)
    gq, _, gv = pullback(np.ones_like(out))
    assert (out.shape, gq.shape, gv.shape) == ((2, 3), (4,), (6, 3))
    assert np.allclose(gv.sum(), 6)  # 2 batch entries × 3 value columns, in each of which the weights sum to 1


def test_compressed_values():
    keys = Quantizer(8).encode(RNG.standard_normal((6, 4)))
    values = LowRank(2).encode(RNG.standard_normal((6, 3)))
    query = RNG.standard_normal((2, 4))
    out, pullback = ga.vjp(quantized_attention, query, keys, values)
    assert np.allclose(out, quantized_attention(query, keys, values.decode()))
    gq, gk, gv = pullback(np.ones_like(out))
    assert gq.shape == query.shape
    assert gk is None
    assert gv is None


def test_error_against_float32_is_small():
    keys = RNG.standard_normal((1000, 64)).astype(np.float32)
    values = RNG.standard_normal((1000, 64)).astype(np.float32)
    query = RNG.standard_normal((20, 64)).astype(np.float32)
    c = Quantizer(8, granularity="row").encode(keys)
    out = quantized_attention(query, c, values)
    assert out.dtype == np.float32
    exact = reference(query.astype(np.float64), keys.astype(np.float64), values.astype(np.float64))
    assert np.max(np.abs(out - exact)) < 0.01
    # Scores change by at most s = |q|·error·√D/√D, so weights change by a factor of at most e^(2s).
    shift = 2 * np.abs(query).sum(axis=1).max() * c.error_bound / 8
    assert np.max(np.abs(out - exact)) <= np.expm1(shift) * np.abs(values).max() * 2


def test_the_keys_take_a_quarter_and_are_never_decoded_as_a_matrix():
    keys = RNG.standard_normal((100_000, 64)).astype(np.float32)
    values = np.ones((100_000, 1), np.float32)
    c = Quantizer(8).encode(keys)
    assert c.nbytes == pytest.approx(keys.nbytes / 4, rel=1e-5)
    tracemalloc.start()
    quantized_attention(keys[0], c, values)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < keys.nbytes / 8


def test_a_row_of_zeros_scores_zero():
    keys = Quantizer(8, granularity="row").encode(np.array([[0.0, 0.0], [1.0, 0.0]]))
    out = quantized_attention(np.array([np.sqrt(2.0), 0.0]), keys, np.eye(2))
    assert np.allclose(out, [1 / (1 + np.e), np.e / (1 + np.e)])


@pytest.mark.parametrize(
    ("dtypes", "expected"),
    [(("f4", "f4", "f4"), "f4"), (("f8", "f4", "f4"), "f8"), (("f4", "f8", "f4"), "f8"), (("f4", "f4", "f8"), "f8")],
)
def test_mixed_types_become_float64(dtypes, expected):
    q, k, v = (RNG.standard_normal(s).astype(d) for s, d in zip(((2, 4), (3, 4), (3, 2)), dtypes, strict=True))
    assert quantized_attention(q, Quantizer(8).encode(k), v).dtype == expected


def test_loaded_keys(tmp_path):
    c = Quantizer(4, False, "group", 4).encode(RNG.standard_normal((6, 8)))
    c.save(tmp_path / "keys.safetensors")
    back = Compressed.load(tmp_path / "keys.safetensors")
    query, values = RNG.standard_normal(8), RNG.standard_normal((6, 2))
    assert np.array_equal(quantized_attention(query, back, values), quantized_attention(query, c, values))


def test_dispatch_goes_through_simd():
    """A loaded kernel receives the codes unchanged, and its result is used."""

    class Kernels:
        @staticmethod
        def int8_scores(q, codes, scale, zero_point, group_size=None):
            assert codes.dtype == np.int8
            return np.zeros((q.shape[-2], codes.shape[-2]), q.dtype)

    before = simd._kernels
    simd._kernels = Kernels
    try:
        out = quantized_attention(np.ones(4), Quantizer(8).encode(RNG.standard_normal((2, 4))), np.eye(2))
    finally:
        simd._kernels = before
    assert out.tolist() == [0.5, 0.5]


@pytest.mark.parametrize(
    ("query", "keys", "values", "error"),
    [
        (np.ones(4), np.ones((3, 4)), np.ones((3, 2)), InvalidConfigError),
        (np.ones(4), None, np.ones((3, 2)), InvalidConfigError),
        (np.ones(4), LowRank(1).encode(np.ones((3, 4))), np.ones((3, 2)), InvalidConfigError),
        (np.ones(4), Quantizer(8).encode(np.ones(4)), np.ones((3, 2)), DimensionMismatchError),
        (np.ones(5), Quantizer(8).encode(np.ones((3, 4))), np.ones((3, 2)), DimensionMismatchError),
        (np.ones(4), Quantizer(8).encode(np.ones((3, 4))), np.ones((2, 2)), DimensionMismatchError),
        (np.ones(4), Quantizer(8).encode(np.ones((3, 4))), np.ones(3), DimensionMismatchError),
        (1.0, Quantizer(8).encode(np.ones((3, 4))), np.ones((3, 2)), DimensionMismatchError),
        (np.ones((2, 2, 4)), Quantizer(8).encode(np.ones((3, 5, 4))), np.ones((5, 2)), DimensionMismatchError),
        (np.ones((0, 4)), Quantizer(8).encode(np.ones((3, 4))), np.ones((3, 2)), EmptyInputError),
        (np.ones(4), Quantizer(8).encode(np.ones((3, 4))), np.ones((3, 0)), EmptyInputError),
        ("text", Quantizer(8).encode(np.ones((3, 4))), np.ones((3, 2)), InvalidConfigError),
        (np.ones(4), Quantizer(8).encode(np.ones((3, 4))), b"bytes", InvalidConfigError),
        (np.ones(4), Quantizer(8).encode(np.ones((3, 4))), None, InvalidConfigError),
    ],
)
def test_bad_input(query, keys, values, error):
    with pytest.raises(error):
        quantized_attention(query, keys, values)

"""Codecs by layer: each row is decoded as by its own codec."""

from __future__ import annotations

import numpy as np
import pytest

from graphattend.compression import Compressed, Hierarchical, LowRank, Quantizer, SparseStorage
from graphattend.errors import (
    AttentionError,
    DimensionMismatchError,
    EmptyInputError,
    InvalidConfigError,
    NumericalInstabilityError,
)

X = np.random.default_rng(0).standard_normal((30, 8)).astype(np.float32)
LAYERS = np.array([0, 0, 1, 0, 0, 2, 0, 3, 0, 1] * 3)
CODECS = {0: Quantizer(4, granularity="row"), 1: Quantizer(8, granularity="row"), 3: SparseStorage()}


def test_each_row_is_what_its_codec_makes():
    codec = Hierarchical(CODECS)
    c = codec.encode(X, LAYERS)
    decoded = codec.decode(c)
    for layer, use in {0: 0, 1: 1, 2: 1, 3: 3}.items():
        rows = layer == LAYERS
        assert np.array_equal(decoded[rows], CODECS[use].encode(X[rows]).decode())
    assert np.array_equal(decoded[LAYERS == 3], X[LAYERS == 3])


def test_bytes_and_bound_are_those_of_the_parts():
    c = Hierarchical(CODECS).encode(X, layers=LAYERS)
    used = np.where(LAYERS == 2, 1, LAYERS)
    parts = [CODECS[layer].encode(X[used == layer]) for layer in (0, 1, 3)]
    assert c.nbytes == sum(p.nbytes for p in parts) + 30
    assert c.error_bound == max(p.error_bound for p in parts)
    assert np.max(np.abs(c.decode().astype(np.float64) - X)) <= c.error_bound


@pytest.mark.parametrize("format", ["npz", "safetensors"])
def test_save_and_load(tmp_path, format):
    codec = Hierarchical({0: LowRank(2), 2: Quantizer(8)})
    c = codec.encode(X, LAYERS)
    c.save(tmp_path / f"c.{format}")
    back = Compressed.load(tmp_path / f"c.{format}")
    assert back.codec == codec
    assert hash(back.codec) == hash(codec)
    assert np.array_equal(back.decode(), c.decode())
    assert back.error_bound == c.error_bound


def test_the_order_of_the_mapping_does_not_matter():
    assert Hierarchical(dict(reversed(CODECS.items()))) == Hierarchical(CODECS)


@pytest.mark.parametrize(
    "codecs",
    [None, {}, [Quantizer(8)], {0: None}, {0: "quantizer"}, {-1: Quantizer()}, {"0": Quantizer()}, {1.0: Quantizer()},
     {True: Quantizer()}, {0: Hierarchical({0: Quantizer()})}],
)  # fmt: skip
def test_bad_options(codecs):
    with pytest.raises(InvalidConfigError):
        Hierarchical(codecs)


def test_bad_data():
    codec = Hierarchical({1: Quantizer(8)})
    ones = np.ones(30, int)
    with pytest.raises(InvalidConfigError, match="no codec for layer 0"):
        codec.encode(X, LAYERS)
    with pytest.raises(InvalidConfigError, match="no codec for layer -1"):
        codec.encode(X, -ones)
    for layers in (ones.astype(float), ones.astype(bool), ["a"] * 30, None):
        with pytest.raises(InvalidConfigError):
            codec.encode(X, layers)
    for layers in (ones[:-1], ones[:, None], 1):
        with pytest.raises(DimensionMismatchError):
            codec.encode(X, layers)
    with pytest.raises(DimensionMismatchError):
        codec.encode(X[0], ones)
    with pytest.raises(EmptyInputError):
        codec.encode(X[:0], ones[:0])
    with pytest.raises(NumericalInstabilityError):
        codec.encode(np.full((30, 8), np.nan), ones)


def test_an_error_of_a_part_names_its_layer():
    with pytest.raises(AttentionError, match=r"^layer 3: rank"):
        Hierarchical({0: Quantizer(8), 3: LowRank(5)}).encode(X, LAYERS)

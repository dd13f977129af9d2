"""Quantizer against independent formulas, and the law that the error never exceeds the bound."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from graphattend.compression import Compressed, Quantizer
from graphattend.errors import (
    DimensionMismatchError,
    EmptyInputError,
    InvalidConfigError,
    NumericalInstabilityError,
)

VARIANTS = [
    Quantizer(bits, symmetric, granularity, group_size)
    for bits in (8, 4)
    for symmetric in (True, False)
    for granularity, group_size in (("tensor", None), ("row", None), ("group", 4), ("group", 100))
]
IDS = [repr(v) for v in VARIANTS]


def real_error(c: Compressed, x: np.ndarray) -> float:
    wide = np.longdouble
    return float(np.max(np.abs(c.codec.decode(c).astype(wide) - np.asarray(x, c.dtype).astype(wide))))


def restated(x: np.ndarray, bits: int, symmetric: bool):
    """Quantize `x` with one scale, using Python's arithmetic and rounding (half to even)."""
    values = [float(v) for v in x.reshape(-1)]
    top = 2 ** (bits - 1) - 1
    if symmetric:
        scale = float(x.dtype.type(max(abs(v) for v in values) / top))
        zero = 0
        bottom = -top
    else:
        bottom = -(2 ** (bits - 1))
        low, high = min(*values, 0.0), max(*values, 0.0)
        scale = float(x.dtype.type((high - low) / (2**bits - 1)))
        zero = min(max(round(bottom - low / scale), bottom), top) if scale else bottom
    codes = [min(max((round(v / scale) if scale else 0) + zero, bottom), top) for v in values]
    return np.array(codes).reshape(x.shape), scale, zero


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("codec", VARIANTS, ids=IDS)
def test_codes_equal_the_formulas(codec, dtype):
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((6, 10)) * 10.0 ** rng.integers(-3, 3, (6, 1)) + 0.3).astype(dtype)
    x[2] = 0
    c = codec.encode(x)
    width = {"tensor": 60, "row": 10, "group": codec.group_size}[codec.granularity]
    source = x.reshape(1, 60) if codec.granularity == "tensor" else x
    expected = np.empty_like(source, np.int64)
    scales, zeros = [], []
    for i, row in enumerate(source):
        for start in range(0, source.shape[1], width):
            part = slice(start, start + width)
            expected[i, part], scale, zero = restated(row[part], codec.bits, codec.symmetric)
            scales.append(scale)
            zeros.append(zero)
    assert c.codes.dtype == np.int8
    assert np.array_equal(c.codes, expected.reshape(x.shape))
    assert c.scale.reshape(-1).tolist() == scales
    assert np.broadcast_to(c.zero_point, c.scale.shape).reshape(-1).tolist() == zeros
    groups = -(-10 // width)
    assert c.scale.shape == {"tensor": (), "row": (6,), "group": (6, groups)}[codec.granularity]


@pytest.mark.parametrize("codec", VARIANTS, ids=IDS)
def test_decode_is_code_minus_zero_times_scale(codec):
    x = np.random.default_rng(1).standard_normal((5, 12)).astype(np.float32)
    c = codec.encode(x)
    per_element = c.scale
    zero = np.broadcast_to(c.zero_point, c.scale.shape)
    if codec.granularity == "row":
        per_element, zero = per_element[:, None], zero[:, None]
    if codec.granularity == "group":
        per_element = np.repeat(per_element, codec.group_size, axis=1)[:, :12]
        zero = np.repeat(zero, codec.group_size, axis=1)[:, :12]
    assert codec.decode(c).dtype == np.float32
    assert np.array_equal(codec.decode(c), (c.codes - zero.astype(np.float32)) * per_element)
    assert np.array_equal(c.decode(), codec.decode(c))


def test_half_to_even():
    c = Quantizer(8).encode([0.5, 1.5, 2.5, -0.5, -1.5, 127.0])
    assert c.codes.tolist() == [0, 2, 2, 0, -2, 127]
    assert float(c.scale) == 1.0
    c = Quantizer(4).encode([0.5, 1.5, 2.5, -3.5, 7.0])
    assert c.codes.tolist() == [0, 2, 2, -4, 7]


def test_symmetric_codes_stay_within_127_and_7():
    x = np.array([-1.0, 1.0, 0.5])
    assert Quantizer(8).encode(x).codes.min() == -127
    assert Quantizer(4).encode(x).codes.min() == -7


@pytest.mark.parametrize(("bits", "bottom", "top"), [(8, -128, 127), (4, -8, 7)])
def test_affine_uses_the_whole_range(bits, bottom, top):
    c = Quantizer(bits, symmetric=False).encode([0.0, 1.0, 3.0])
    assert (c.codes.min(), c.codes.max(), int(c.zero_point)) == (bottom, top, bottom)
    c = Quantizer(bits, symmetric=False).encode([-2.0, -1.0])
    assert (c.codes.min(), c.codes.max() <= top, int(c.zero_point)) == (bottom, True, top)


def test_int4_packs_two_codes_per_byte_the_first_in_the_low_half():
    c = Quantizer(4).encode(np.array([[1.0, -1.0, 7.0], [0.0, -7.0, 3.0]]))
    assert c.data.dtype == np.uint8
    assert c.data.tolist() == [0xF1, 0x07, 0x39]
    assert c.codes.tolist() == [[1, -1, 7], [0, -7, 3]]
    odd = Quantizer(4).encode([7.0, -7.0, 2.0])
    assert odd.data.tolist() == [0x97, 0x02]
    assert odd.codes.tolist() == [7, -7, 2]


@pytest.mark.parametrize("codec", VARIANTS, ids=IDS)
def test_bytes_and_ratio(codec):
    x = np.random.default_rng(0).standard_normal((64, 128)).astype(np.float32)
    c = codec.encode(x)
    assert c.nbytes == c.data.nbytes + c.scale.nbytes + c.zero_point.nbytes
    assert c.data.nbytes == x.size * codec.bits // 8
    assert c.ratio == x.nbytes / c.nbytes
    if codec.granularity != "group":
        assert c.ratio > 0.9 * 32 / codec.bits


@pytest.mark.parametrize("codec", VARIANTS, ids=IDS)
def test_zeros_are_exact(codec):
    x = np.random.default_rng(0).standard_normal((7, 9)).astype(np.float32)
    x[:, ::3] = 0
    x[4] = 0
    decoded = codec.encode(x).decode()
    assert not decoded[:, ::3].any()
    assert not decoded[4].any()
    c = codec.encode(np.zeros((3, 4)))
    assert c.error_bound == 0
    assert not c.decode().any()


def floats(dtype):
    info = np.finfo(dtype)
    special = [0.0, 1.0, -1.0, info.max, info.min, info.tiny, info.smallest_subnormal, -3 * info.smallest_subnormal]
    width = 8 * np.dtype(dtype).itemsize
    return st.one_of(
        st.floats(-4, 4, width=width),
        st.floats(allow_nan=False, allow_infinity=False, width=width),
        st.sampled_from([float(v) for v in special]),
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_the_real_error_never_exceeds_the_bound(dtype, data):
    codec = data.draw(st.sampled_from(VARIANTS))
    x = data.draw(hnp.arrays(dtype, hnp.array_shapes(max_dims=3, max_side=9), elements=floats(dtype)))
    c = codec.encode(x)
    assert np.isfinite(c.decode()).all()
    assert real_error(c, x) <= c.error_bound
    low, high = (-(2 ** (codec.bits - 1)) + codec.symmetric, 2 ** (codec.bits - 1) - 1)
    assert low <= c.codes.min() <= c.codes.max() <= high


@pytest.mark.parametrize("magnitude", [1e-45, 3e-44, 1e-40, 1e-38, 1e-20, 1.0, 1e20, 3e38])
@pytest.mark.parametrize("codec", VARIANTS, ids=IDS)
def test_bound_in_every_range_of_float32(codec, magnitude):
    rng = np.random.default_rng(3)
    x = (rng.uniform(-1, 1, (20, 10)) * magnitude).astype(np.float32)
    c = codec.encode(x)
    assert real_error(c, x) <= c.error_bound
    if magnitude > 1e-30:
        assert c.error_bound <= 0.5001 * float(c.scale.max())  # the bound is as small as possible


@pytest.mark.parametrize("format", ["npz", "safetensors"])
@pytest.mark.parametrize("codec", VARIANTS, ids=IDS)
def test_save_and_load(tmp_path, codec, format):
    x = np.random.default_rng(0).standard_normal((3, 7, 5)).astype(np.float32)
    c = codec.encode(x)
    c.save(tmp_path / f"c.{format}")
    back = Compressed.load(tmp_path / f"c.{format}")
    assert type(back) is type(c)
    assert (back.codec, back.shape, back.dtype, back.error_bound) == (codec, c.shape, c.dtype, c.error_bound)
    assert np.array_equal(back.codes, c.codes)
    assert np.array_equal(back.scale, c.scale)
    assert np.array_equal(back.decode(), c.decode())
    assert np.array_equal(Compressed.from_bytes(c.to_bytes(format)).decode(), c.decode())


def test_the_saved_config_is_plain_json(tmp_path):
    Quantizer(np.int64(4), granularity="group", group_size=np.int32(8)).encode(np.ones((2, 16))).save(
        tmp_path / "c.npz"
    )
    with np.load(tmp_path / "c.npz") as archive:
        config = json.loads(archive["__config__"].tobytes())
    assert config["key"] == "quantizer"
    assert config["dim"] == 16
    assert config["version"] == 1
    assert config["options"] == {"bits": 4, "symmetric": True, "granularity": "group", "group_size": 8}


def test_input_is_untouched_and_the_result_is_read_only():
    x = np.random.default_rng(0).standard_normal((4, 4))
    before = x.copy()
    c = Quantizer(8).encode(x)
    assert np.array_equal(x, before)
    for array in (c.data, c.scale, c.zero_point):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    with pytest.raises(AttributeError):
        c.shape = (1,)
    c.decode()[...] = 0
    assert c.codes.any()


def test_layout_and_kind_of_input_do_not_matter():
    x = np.arange(24, dtype=np.float32).reshape(4, 6)
    for codec in VARIANTS:
        expected = codec.encode(x).decode()
        for variant in (np.asfortranarray(x), x.astype(np.int16), x.astype(">f4"), np.tile(x, 2)[:, :6]):
            assert np.array_equal(codec.encode(variant).decode(), expected)


@pytest.mark.parametrize(
    ("args", "argument"),
    [
        ({"bits": 7}, "bits"),
        ({"bits": "8"}, "bits"),
        ({"bits": True}, "bits"),
        ({"bits": 8.0}, "bits"),
        ({"symmetric": 1}, "symmetric"),
        ({"granularity": "rows"}, "granularity"),
        ({"granularity": None}, "granularity"),
        ({"granularity": "group"}, "group_size"),
        ({"granularity": "group", "group_size": 0}, "group_size"),
        ({"granularity": "row", "group_size": 4}, "group_size"),
    ],
)
def test_bad_options(args, argument):
    with pytest.raises(InvalidConfigError) as caught:
        Quantizer(**args)
    assert caught.value.argument == argument


@pytest.mark.parametrize(
    ("x", "error"),
    [
        (np.float32(1), DimensionMismatchError),
        (np.zeros((0, 3)), EmptyInputError),
        ([], EmptyInputError),
        ([1.0, np.nan], NumericalInstabilityError),
        ([1.0, -np.inf], NumericalInstabilityError),
        ("text", InvalidConfigError),
        (None, InvalidConfigError),
        ([[1.0], [1.0, 2.0]], InvalidConfigError),
        ([True, False], InvalidConfigError),
        ([1j], InvalidConfigError),
        ([object()], InvalidConfigError),
    ],
)
def test_bad_data(x, error):
    with pytest.raises(error):
        Quantizer(8).encode(x)


@pytest.mark.parametrize("c", [None, np.ones(3), "text"])
def test_decode_refuses_what_it_did_not_make(c):
    with pytest.raises(InvalidConfigError):
        Quantizer(8).decode(c)

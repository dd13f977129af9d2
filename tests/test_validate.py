"""Argument checks: conversion to arrays, indices, numbers and masks, and the error for everything else."""

import decimal
import fractions
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import graphattend as ga
from graphattend import _validate as check


@pytest.mark.parametrize(
    ("given", "dtype"),
    [
        (np.ones(2, np.float32), np.float32),
        (np.ones(2, np.float64), np.float64),
        (np.ones(2, np.float16), np.float32),
        (np.ones(2, np.int64), np.float32),
        (np.ones(2, np.uint8), np.float32),
        ([1, 2], np.float32),
        ([1.0, 2.0], np.float64),
        (((1.0, 2.0), (3, 4)), np.float64),
        (np.ones(2, ">f4"), np.float32),
        (np.ones(2, ">f8"), np.float64),
        (np.ones(2, ">i4"), np.float32),
        (3, np.float32),
        (3.0, np.float64),
        (np.ma.ones(2), np.float64),
        (range(3), np.float32),
    ],
)
def test_float_kinds(given, dtype):
    a = check.as_float(given, "x")
    assert type(a) is np.ndarray
    assert a.dtype == dtype
    assert a.dtype.isnative
    assert np.array_equal(a, np.asarray(given).astype(dtype))


def test_float_arrays_are_passed_as_they_are():
    x = np.ones((3, 4))[:, ::2]
    assert check.as_float(x, "x") is x


@pytest.mark.parametrize(
    "bad",
    [None, "1.0", b"1", {}, {"a": 1}, {1, 2}, object(), [object()], [None], [1.0, "a"], [[1], [1, 2]], True, [True], np.bool_(1), 1j,
     np.ones(2, complex), np.array(["a"]), np.array([1], "m8[s]"), np.array([1], "M8[s]"), [10**400], np.ones(2, np.longdouble),
     np.zeros(2, [("a", float)]), np.ma.masked_array([1.0, 2.0], [True, False]), decimal.Decimal(1), fractions.Fraction(1, 2), (x for x in [1.0])],
)  # fmt: skip
def test_refused_data(bad):
    if isinstance(bad, np.ndarray) and bad.dtype == np.float64 and not np.ma.isMaskedArray(bad):
        return  # long double equals double on this platform
    with pytest.raises(ga.InvalidConfigError) as info:
        check.as_float(bad, "thing")
    assert info.value.argument == "thing"
    assert str(info.value).startswith("thing: expected an array of real numbers, got ")
    assert "\n" not in str(info.value)[:20]


@given(hnp.arrays(st.sampled_from([np.float32, np.float64]), hnp.array_shapes(max_dims=3, max_side=4)))
def test_check_finite_is_exact(x):
    """The check is exact even if a sum of squares overflows."""
    if np.isfinite(x).all():
        check.check_finite(x, "x")
        check.check_finite(x.T, "x")
    else:
        with pytest.raises(ga.NumericalInstabilityError) as info:
            check.check_finite(x, "x")
        where = tuple(int(i) for i in np.argwhere(~np.isfinite(x))[0])
        assert str(where) in str(info.value)


def test_check_finite_with_huge_values():
    check.check_finite(np.full(3, 1e308), "x")
    check.check_finite(np.full((2, 3), 3e38, np.float32)[:, ::2], "x")


@pytest.mark.parametrize("bad", [True, 1.0, "1", None, 1j, [1], np.ones(1, int), math.inf, 0, 11])
def test_int(bad):
    with pytest.raises(ga.InvalidConfigError, match=r"^n: expected a whole number >= 1 and <= 10, got"):
        check.as_int(bad, "n", minimum=1, maximum=10)


def test_int_kinds():
    for value in (3, np.int8(3), np.uint64(3)):
        assert type(check.as_int(value, "n")) is int
    assert check.as_int(10**30, "n") == 10**30


@pytest.mark.parametrize(
    "bad", [True, np.True_, "1", None, 1j, [1.0], np.ones(1), math.inf, math.nan, 10**400, 0.0, 1.0]
)
def test_number(bad):
    with pytest.raises(ga.InvalidConfigError, match=r"^n: expected a finite number > 0 < 1|and"):
        check.as_number(bad, "n", above=0.0, below=1.0)


def test_number_kinds():
    for value in (0.5, np.float32(0.5), np.array(0.5), fractions.Fraction(1, 2)):
        assert check.as_number(value, "n", minimum=0.5, maximum=0.5) == 0.5
    assert type(check.as_number(1, "n")) is float


def test_bool_and_choice():
    assert check.as_bool(np.True_, "b") is True
    for bad in (1, 0, "True", None, np.ones(1, bool)):
        with pytest.raises(ga.InvalidConfigError, match="True or False"):
            check.as_bool(bad, "b")
    assert check.as_choice("soft", "m", ("soft", "hard")) == "soft"
    for bad in ("sof", 1, None, ["soft"]):
        with pytest.raises(ga.InvalidConfigError, match="one of soft, hard"):
            check.as_choice(bad, "m", ("soft", "hard"))
    with pytest.raises(ga.InvalidConfigError, match="did you mean 'soft'"):
        check.as_choice("sofd", "m", ("soft", "hard"))


def test_index():
    assert check.as_index([], "i").dtype == np.intp
    assert check.as_index(np.array([1, 2], np.uint8), "i", 3).tolist() == [1, 2]
    for bad, index in (([0, 3], 3), ([-1, 0], -1)):
        with pytest.raises(ga.OutOfBoundsError) as info:
            check.as_index(bad, "i", 3)
        assert (info.value.index, info.value.length) == (index, 3)
        assert isinstance(info.value, IndexError)
    for bad in ([0.0], [True], "a", None, [1j], [[0], [1, 2]]):
        with pytest.raises(ga.InvalidConfigError):
            check.as_index(bad, "i", 3)
    with pytest.raises(ga.DimensionMismatchError):
        check.as_index([[0]], "i", ndim=1)
    with pytest.raises(ga.OutOfBoundsError):
        check.as_index(np.array([2**63], np.uint64), "i")


def test_indices_of_32_bits_do_not_wrap_around(monkeypatch):
    monkeypatch.setattr(check, "_INDEX", np.dtype(np.int32))  # as in WebAssembly
    ends = np.array([-(2**31), 2**31 - 1], np.int64)
    assert check.as_index(ends, "i").tolist() == ends.tolist()
    for beyond in (-(2**31) - 1, 2**31):
        with pytest.raises(ga.OutOfBoundsError, match="i: expected indices of 32 bits"):
            check.as_index(np.array([beyond], np.int64), "i")


def test_mask():
    assert check.as_mask([True, False]).dtype == np.bool_
    assert check.as_mask([0.0, -np.inf]).dtype == np.float64
    for bad in ([1, 0], "a", None, [1j], {}, np.array(["a"])):
        with pytest.raises(ga.InvalidConfigError, match="attn_mask"):
            check.as_mask(bad)
    for bad in ([np.nan], [np.inf], [-np.inf, np.nan]):
        with pytest.raises(ga.NumericalInstabilityError, match="attn_mask"):
            check.as_mask(bad)


def test_shapes():
    x = np.ones((2, 3))
    check.check_ndim(x, "x", 2, 2)
    for low, high in ((3, None), (1, 1), (3, 4)):
        with pytest.raises(ga.DimensionMismatchError, match=r"x: expected .* axes, got shape \(2, 3\)"):
            check.check_ndim(x, "x", low, high)
    with pytest.raises(ga.DimensionMismatchError) as info:
        check.check_length(x, "x", 1, 4, "the width")
    assert (info.value.expected, info.value.actual) == (4, 3)
    with pytest.raises(ga.DimensionMismatchError, match="expected shape"):
        check.check_shape(x, "x", (3, 2))
    with pytest.raises(ga.EmptyInputError, match="x"):
        check.check_nonempty(x[:0], "x")
    assert check.broadcast_shapes("x", (2, 1), (3,)) == (2, 3)
    with pytest.raises(ga.DimensionMismatchError, match="broadcast"):
        check.broadcast_shapes("x", (2,), (3,))


def test_rng():
    assert check.as_rng(3).random() == np.random.default_rng(3).random()
    for bad in (None, -1, 1.0, True, "a", np.random.RandomState(0)):
        with pytest.raises(ga.InvalidConfigError, match="rng"):
            check.as_rng(bad)


def test_common_dtype_and_near_miss():
    a, b = np.ones(2, np.float32), np.ones(2)
    assert [x.dtype for x in check.common_dtype(a, b)] == [np.float64] * 2
    assert check.common_dtype(a, a)[0] is a
    assert check.near_miss("temprature", ["temperature", "scale"]) == " (did you mean 'temperature'?)"
    assert check.near_miss("zzz", ["temperature"]) == ""
    assert check.near_miss(3, ["temperature"]) == ""


@pytest.mark.parametrize("backend", ["numpy", "default"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1, 80, 2048, 2049, 10_000])
def test_all_finite_at_any_size(size, dtype, backend):
    x = np.full(size, np.finfo(dtype).max)  # its square overflows
    with ga.use_backend("numpy" if backend == "numpy" else ga.backend_info()["backend"]), np.errstate(all="raise"):
        assert check.all_finite(x, x[::2])
        for bad in (np.nan, np.inf, -np.inf):
            x[-1] = bad
            assert not check.all_finite(np.ones(3), x)
            assert not check.all_finite(x[::-1])

"""Rotary encoding against complex multiplication, and its laws."""

import cmath

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphattend as ga
from graphattend.testing import check_vjp

rotary = ga.functional.rotary


def reference(x, position, base, interleaved):
    """Rotate pairs as complex numbers."""
    d, pairs = len(x), len(x) // 2
    y = list(map(float, x))
    for i in range(pairs):
        a, b = (2 * i, 2 * i + 1) if interleaved else (i, i + pairs)
        z = complex(x[a], x[b]) * cmath.exp(1j * position * base ** (-2 * i / d))
        y[a], y[b] = z.real, z.imag
    return y


@pytest.mark.parametrize("interleaved", [True, False])
@pytest.mark.parametrize("d", [1, 2, 3, 7, 8])
@pytest.mark.parametrize("base", [10000.0, 7.0])
def test_is_complex_multiplication(rng, interleaved, d, base):
    x, at = rng.standard_normal((4, d)), rng.standard_normal(4) * 10
    y = rotary(x, at, base=base, interleaved=interleaved)
    expected = [reference(row, p, base, interleaved) for row, p in zip(x, at, strict=True)]
    np.testing.assert_allclose(y, expected, rtol=1e-12, atol=1e-13)
    if d % 2:
        assert np.array_equal(y[:, -1], x[:, -1])  # the last coordinate of an odd dimension is unchanged


@given(st.integers(1, 9), st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), st.booleans(), st.integers(0, 1000))
def test_laws(d, a, b, interleaved, seed):
    x, y = np.random.default_rng(seed).standard_normal((2, d))

    def turn(v, p):
        return rotary(v, p, interleaved=interleaved)

    assert np.array_equal(turn(x, 0.0), x)
    assert abs(np.linalg.norm(turn(x, a)) - np.linalg.norm(x)) < 1e-12 * (1 + np.linalg.norm(x))
    np.testing.assert_allclose(turn(turn(x, a), b), turn(x, a + b), atol=1e-10)
    # dot products depend only on the difference of positions
    assert abs(turn(x, a) @ turn(y, b) - turn(x, a - b) @ y) < 1e-9


def test_broadcast_and_dtypes(rng):
    x = rng.standard_normal((2, 3, 4)).astype(np.float32)
    for at in (np.arange(3), [0.0, 1.0, 2.0], np.ones((2, 1)), 2):
        y = rotary(x, at)
        assert y.dtype == np.float32
        full = np.broadcast_to(np.asarray(at, float), (2, 3))
        for i in np.ndindex(2, 3):
            np.testing.assert_allclose(y[i], reference(x[i], full[i], 10000.0, True), rtol=1e-5, atol=1e-6)
    far = rotary(np.array([1.0, 0.0], np.float32), 1e6)
    np.testing.assert_allclose(far, [np.cos(1e6), np.sin(1e6)], rtol=1e-5)


def test_gradients(rng):
    for interleaved in (True, False):
        check_vjp(rotary, rng.standard_normal((3, 5)), rng.standard_normal(3), interleaved=interleaved, base=5.0)
        check_vjp(rotary, rng.standard_normal((2, 3, 4)), rng.standard_normal(3), interleaved=interleaved)
    g = ga.vjp(rotary, np.ones((2, 4)), np.array([1, 2]))[1](np.ones((2, 4)))
    assert g[1] is None


def test_bad_input():
    x = np.ones((3, 4))
    for call, error, argument in [
        (lambda: rotary("x", 1.0), ga.InvalidConfigError, "x"),
        (lambda: rotary(1.0, 1.0), ga.DimensionMismatchError, "x"),
        (lambda: rotary(x[:0], 1.0), ga.EmptyInputError, "x"),
        (lambda: rotary(x, [1.0, 2.0]), ga.DimensionMismatchError, "positions"),
        (lambda: rotary(x, np.ones((2, 3))), ga.DimensionMismatchError, "positions"),
        (lambda: rotary(x, "p"), ga.InvalidConfigError, "positions"),
        (lambda: rotary(x, [True, False, True]), ga.InvalidConfigError, "positions"),
        (lambda: rotary(x, None), ga.InvalidConfigError, "positions"),
        (lambda: rotary(x, 1.0, base=0.0), ga.InvalidConfigError, "base"),
        (lambda: rotary(x, 1.0, base="b"), ga.InvalidConfigError, "base"),
        (lambda: rotary(x, 1.0, interleaved=1), ga.InvalidConfigError, "interleaved"),
    ]:
        with pytest.raises(error) as info:
            call()
        assert info.value.argument == argument

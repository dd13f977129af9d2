"""Matrix products against NumPy in float64; gradients against finite differences; typed errors."""

import numpy as np
import pytest

import graphattend as ga
from graphattend.errors import DimensionMismatchError, EmptyInputError, InvalidConfigError
from graphattend.functional import matmul


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((2, 3), (3, 4)),
        ((1, 1), (1, 1)),
        ((33, 65), (65, 17)),
        ((5, 2, 3), (3, 4)),
        ((2, 3), (5, 3, 4)),
        ((2, 1, 4, 3), (5, 3, 2)),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equals_numpy(a, b, dtype, rng):
    x, y = rng.standard_normal(a).astype(dtype), rng.standard_normal(b).astype(dtype)
    expected = np.matmul(x.astype(np.float64), y.astype(np.float64))
    found = matmul(x, y)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 if dtype == np.float32 else 1e-13)


def test_gradients(rng):
    for a, b in (((2, 3), (3, 4)), ((2, 2, 3), (3, 2)), ((2, 3), (4, 3, 2))):
        x, y = rng.standard_normal(a), rng.standard_normal(b)
        out, pullback = ga.vjp(matmul, x, y)
        g = rng.standard_normal(out.shape)
        for which, (array, gradient) in enumerate(zip((x, y), pullback(g), strict=True)):
            assert gradient.shape == array.shape
            numeric = np.zeros_like(array)
            for at in np.ndindex(array.shape):
                moved = [x.copy(), y.copy()]
                moved[which][at] += 1e-6
                up = (matmul(*moved) * g).sum()
                moved[which][at] -= 2e-6
                numeric[at] = (up - (matmul(*moved) * g).sum()) / 2e-6
            np.testing.assert_allclose(gradient, numeric, rtol=1e-6, atol=1e-7)


def test_mixed_and_whole_numbers():
    assert matmul(np.ones((1, 2), np.float32), np.ones((2, 1))).dtype == np.float64
    np.testing.assert_array_equal(matmul([[1, 2]], [[3], [4]]), [[11]])


def test_an_overflow_is_computed_in_double_precision():
    big = np.array([[3e38, 3e38]], np.float32)
    np.testing.assert_allclose(matmul(big, np.array([[1e-1], [-1e-1]], np.float32)), 0, atol=1e31)
    assert matmul(big, np.array([[10.0], [-10.0]], np.float32)) == 0


@pytest.mark.parametrize(
    ("a", "b", "error", "argument"),
    [
        (np.ones(3), np.ones((3, 2)), DimensionMismatchError, "a"),
        (np.ones((2, 3)), np.ones(3), DimensionMismatchError, "b"),
        (np.ones((2, 3)), np.ones((2, 3)), DimensionMismatchError, "b"),
        (np.ones((2, 2, 3)), np.ones((3, 3, 2)), DimensionMismatchError, "a, b"),
        (np.ones((2, 0)), np.ones((0, 2)), EmptyInputError, "a"),
        ("text", np.ones((2, 2)), InvalidConfigError, "a"),
        (np.ones((2, 2)), np.ones((2, 2), complex), InvalidConfigError, "b"),
    ],
)
def test_errors(a, b, error, argument):
    with pytest.raises(error) as caught:
        matmul(a, b)
    assert caught.value.argument == argument

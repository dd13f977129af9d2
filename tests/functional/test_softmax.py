"""softmax and segment_softmax against SciPy and a loop over segments."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphattend as ga
from graphattend.testing import check_vjp

F = ga.functional


def exact(row):
    top = max(row)
    if top == -math.inf:
        return [0.0] * len(row)
    e = [math.exp(x - top) for x in row]
    return [x / math.fsum(e) for x in e]


@pytest.mark.parametrize(("dtype", "tol"), [(np.float32, 1e-6), (np.float64, 1e-14)])
@pytest.mark.parametrize("axis", [-1, 0, 1, -2])
def test_every_axis(rng, dtype, tol, axis):
    x = (rng.standard_normal((4, 5, 3)) * 5).astype(dtype)
    w = F.softmax(x, axis)
    assert w.dtype == dtype
    expected = np.apply_along_axis(lambda row: exact(row.tolist()), axis, x.astype(np.float64))
    np.testing.assert_allclose(w, expected, rtol=tol * 10, atol=tol)


def test_against_scipy(rng):
    special = pytest.importorskip("scipy.special")
    x = rng.standard_normal((50, 20)) * 30
    np.testing.assert_allclose(F.softmax(x), special.softmax(x, axis=-1), rtol=1e-12, atol=1e-300)


@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=20), st.floats(-1e4, 1e4))
def test_sums_to_one_and_ignores_shifts(values, shift):
    w = F.softmax(values)
    assert abs(w.sum() - 1) < 1e-12
    assert (w >= 0).all()
    np.testing.assert_allclose(F.softmax(np.asarray(values) + shift), w, atol=1e-11)


def test_extremes():
    assert F.softmax([1e4, -1e4]).tolist() == [1.0, 0.0]
    assert F.softmax([-np.inf, -np.inf]).tolist() == [0.0, 0.0]
    assert F.softmax([-np.inf, 3.0]).tolist() == [0.0, 1.0]
    assert F.softmax([1e308, 1e308]).tolist() == [0.5, 0.5]
    assert F.softmax([[7.0]], axis=0).tolist() == [[1.0]]


def test_segments_are_a_loop(rng):
    indptr = [0, 3, 3, 7, 8, 8]
    for shape in ((8,), (8, 2)):
        s = rng.standard_normal(shape) * 10
        w = F.segment_softmax(s, indptr)
        for low, high in itertools.pairwise(indptr):
            if high > low:
                np.testing.assert_allclose(w[low:high], F.softmax(s[low:high], axis=0), rtol=1e-13)
    assert F.segment_softmax(np.zeros(0), [0, 0, 0]).shape == (0,)
    assert F.segment_softmax([1e4, -1e4, -1e4], [0, 2, 3]).tolist() == [1.0, 0.0, 1.0]
    assert F.segment_softmax(np.zeros(2, np.float32), np.array([0, 2], np.uint8)).dtype == np.float32


def test_gradients(rng):
    check_vjp(F.softmax, rng.standard_normal((3, 4)))
    check_vjp(F.softmax, rng.standard_normal((3, 4)), axis=0)
    ptr = np.array([0, 2, 2, 5])
    check_vjp(F.segment_softmax, rng.standard_normal(5), ptr)
    check_vjp(F.segment_softmax, rng.standard_normal((5, 2)), indptr=ptr)
    _, pullback = ga.vjp(F.segment_softmax, rng.standard_normal(5), ptr)
    assert pullback(np.ones(5))[1] is None  # integers have no gradient


@pytest.mark.parametrize(
    ("call", "error", "argument"),
    [
        (lambda: F.softmax("a"), ga.InvalidConfigError, "x"),
        (lambda: F.softmax(None), ga.InvalidConfigError, "x"),
        (lambda: F.softmax(1.0), ga.DimensionMismatchError, "x"),
        (lambda: F.softmax([]), ga.EmptyInputError, "x"),
        (lambda: F.softmax(np.ones((2, 0))), ga.EmptyInputError, "x"),
        (lambda: F.softmax([1.0], axis=1), ga.InvalidConfigError, "axis"),
        (lambda: F.softmax([1.0], axis=0.0), ga.InvalidConfigError, "axis"),
        (lambda: F.softmax([1.0], axis=True), ga.InvalidConfigError, "axis"),
        (lambda: F.softmax([True, False]), ga.InvalidConfigError, "x"),
        (lambda: F.segment_softmax([1.0], [0, 2]), ga.DimensionMismatchError, "indptr"),
        (lambda: F.segment_softmax([1.0], [0, 1, 0, 1]), ga.DimensionMismatchError, "indptr"),
        (lambda: F.segment_softmax([1.0], []), ga.DimensionMismatchError, "indptr"),
        (lambda: F.segment_softmax([1.0], [0.0, 1.0]), ga.InvalidConfigError, "indptr"),
        (lambda: F.segment_softmax([1.0], [[0, 1]]), ga.DimensionMismatchError, "indptr"),
        (lambda: F.segment_softmax([1j], [0, 1]), ga.InvalidConfigError, "scores"),
        (lambda: F.segment_softmax(1.0, [0, 1]), ga.DimensionMismatchError, "scores"),
    ],
)
def test_bad_input(call, error, argument):
    with pytest.raises(error) as info:
        call()
    assert info.value.argument == argument

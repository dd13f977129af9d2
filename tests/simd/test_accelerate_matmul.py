"""matmul with our loops.

They add in another order than NumPy's: sums of integers are exact, others are within the error bound of any order.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from graphattend.simd import accelerate_numpy

DTYPES = (np.float32, np.float64)
LAYOUTS = (
    np.ascontiguousarray,
    np.asfortranarray,
    lambda x: np.repeat(x, 3, axis=-1)[..., ::3],
    lambda x: x[..., ::-1].copy()[..., ::-1],
)
SHAPES = (
    ((1, 1), (1, 1)),
    ((3, 5), (5, 2)),
    ((4, 8), (8, 8)),
    ((17, 33), (33, 29)),
    ((64, 64), (64, 64)),
    ((7, 300), (300, 530)),
    ((1, 70), (70, 40)),
    ((70, 40), (40, 1)),
    ((530, 9), (9,)),
    ((9,), (9, 530)),
    ((600,), (600,)),
    ((31, 1), (1, 23)),
    ((0, 4), (4, 3)),
    ((3, 0), (0, 4)),
    ((3, 4), (4, 0)),
    ((0,), (0,)),
    ((5, 6, 7), (7, 4)),
    ((6, 7), (5, 7, 4)),
    ((2, 1, 4, 9), (3, 9, 12)),
    ((0, 3, 4), (4, 5)),
    ((4, 3, 4), (4,)),
)


@pytest.mark.parametrize("dtype", DTYPES)
class TestMatmul:
    """Every shape, stride and output that NumPy's loop accepts."""

    @pytest.mark.parametrize(("left", "right"), SHAPES)
    def test_whole_numbers(
        self, left: tuple[int, ...], right: tuple[int, ...], dtype: type[np.floating[Any]], rng: np.random.Generator
    ) -> None:
        a, b = rng.integers(-9, 10, left), rng.integers(-9, 10, right)
        expected = np.matmul(a, b)
        with accelerate_numpy():
            for first, second in product(LAYOUTS, repeat=2):
                ours = np.matmul(first(a.astype(dtype)), second(b.astype(dtype)))
                assert ours.dtype == dtype
                np.testing.assert_array_equal(ours, expected)

    def test_rounding(self, dtype: type[np.floating[Any]], rng: np.random.Generator) -> None:
        for m, n, p in ((33, 600, 41), (1, 1000, 64), (64, 1000, 1), (1, 999, 1), (5, 513, 7)):
            a, b = rng.standard_normal((m, n)).astype(dtype), rng.standard_normal((n, p)).astype(dtype)
            exact = np.einsum("mn,np->mp", a.astype(np.longdouble), b.astype(np.longdouble))
            bound = np.abs(a) @ np.abs(b) * np.finfo(dtype).eps * np.sqrt(n)
            with accelerate_numpy():
                assert (np.abs(a @ b - exact) <= bound).all()

    def test_strides(self, dtype: type[np.floating[Any]], rng: np.random.Generator) -> None:
        a, b = rng.integers(-9, 10, (2, 60, 60))
        x, y = a.astype(dtype), b.astype(dtype)
        views = [np.s_[::2, ::3], np.s_[::-1, :], np.s_[:, ::-1], np.s_[5:40, 3:33], np.s_[::-2, ::-1], np.s_[:, :1]]
        with accelerate_numpy():
            for v in views:
                np.testing.assert_array_equal(x[v] @ x[v].T, a[v] @ a[v].T)
                np.testing.assert_array_equal(x[v].T @ y[v], a[v].T @ b[v])
                np.testing.assert_array_equal(x[v][0] @ y[v].T, a[v][0] @ b[v].T)
            row = np.broadcast_to(x[0], (12, 60))  # a stride of zero
            np.testing.assert_array_equal(row @ y, np.broadcast_to(a[0], (12, 60)) @ b)
            column, whole = np.broadcast_to(x[:, :1], (60, 60)), np.broadcast_to(a[:, :1], (60, 60))
            np.testing.assert_array_equal(column @ y, whole @ b)

    def test_outputs(self, dtype: type[np.floating[Any]], rng: np.random.Generator) -> None:
        a, b = rng.integers(-9, 10, (2, 30, 30))
        x, y, expected = a.astype(dtype), b.astype(dtype), a @ b
        with accelerate_numpy():
            for out in (
                np.full((30, 30), np.nan, dtype),  # the output's old content must not matter
                np.full((30, 30), np.nan, dtype, order="F"),
                np.full((60, 90), np.nan, dtype)[::2, ::3],
                np.full((30, 30), np.nan, dtype)[::-1, ::-1],
            ):
                np.testing.assert_array_equal(np.matmul(x, y, out=out), expected)
            filled = np.full((30, 30), np.nan, dtype)
            np.testing.assert_array_equal(np.matmul(x[:, :1], y[:1], out=filled), a[:, :1] @ b[:1])
            same = x.copy()
            np.testing.assert_array_equal(np.matmul(same, same, out=same), a @ a)
            np.testing.assert_array_equal(np.matmul(same, y, out=same.T), a @ a @ b)

    def test_infinities_and_nan_stay_where_they_belong(self, dtype: type[np.floating[Any]]) -> None:
        for m, n, p in ((5, 7, 9), (1, 7, 9), (5, 7, 1), (13, 300, 11)):
            a, b = np.ones((m, n), dtype), np.ones((n, p), dtype)
            a[-1, -1], b[0, -1] = np.inf, np.nan
            with np.errstate(invalid="ignore"):
                plain = a @ b
                with accelerate_numpy():
                    ours = a @ b
            np.testing.assert_array_equal(plain, ours)

    def test_axes(self, dtype: type[np.floating[Any]], rng: np.random.Generator) -> None:
        a, b = rng.integers(-9, 10, (2, 4, 5, 4))
        axes = [(0, 1), (1, 2), (2, 0)]
        with accelerate_numpy():
            ours = np.matmul(a.astype(dtype), b.astype(dtype), axes=axes)
        np.testing.assert_array_equal(ours, np.matmul(a, b, axes=axes))

"""BLAS products split by rows give the same bits for every number of threads."""

import numpy as np
import pytest

from graphattend import simd
from graphattend.simd import products, threads


@pytest.fixture(autouse=True)
def always(monkeypatch):
    """Split any amount of work."""
    monkeypatch.setattr(threads, "MIN_WORK", 1)


@pytest.mark.native
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rows", [1000, 2048, 5000])
def test_same_bits_of_products(monkeypatch, rng, dtype, rows):
    monkeypatch.setattr(products, "MOST_SUMS", 3)
    a, b, c = (rng.standard_normal(shape).astype(dtype) for shape in ((rows, 40), (40, 24), (rows, 24)))
    wide = [x.astype(np.longdouble) for x in (a, b, c)]
    for product, x, y, expected in (
        (products.matmul, a, b, wide[0] @ wide[1]),
        (products.matmul_nt, a, b.T.copy(), wide[0] @ wide[1]),
        (products.matmul_tn, a, c, wide[0].T @ wide[2]),
    ):
        one = product(x, y)
        np.testing.assert_allclose(one, expected, atol=4 * rows * np.finfo(dtype).eps)
        for count in (2, 3, 7):
            with simd.num_threads(count):
                np.testing.assert_array_equal(product(x, y), one)


@pytest.mark.native
def test_every_thread_treats_overflows_alike():
    huge = np.full((4096, 2), 1e38, np.float32)
    with simd.num_threads(2):
        with np.errstate(over="ignore"):
            assert np.isinf(products.matmul(huge, huge[:2])).all()
        late = np.where(np.arange(4096)[:, None] < 3000, np.float32(0), huge)
        with np.errstate(over="raise"), pytest.raises(FloatingPointError):
            products.matmul(late, huge[:2])

"""Truncated SVD and Tucker against NumPy's SVD, known ranks and published bounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from graphattend.compression import LowRank, Tucker
from graphattend.errors import (
    DimensionMismatchError,
    EmptyInputError,
    InvalidConfigError,
    NumericalInstabilityError,
)


def matrix(seed=0, shape=(12, 8), decay=0.5, dtype=np.float64):
    rng = np.random.default_rng(seed)
    u, _ = np.linalg.qr(rng.standard_normal((shape[0], min(shape))))
    v, _ = np.linalg.qr(rng.standard_normal((shape[1], min(shape))))
    return ((u * decay ** np.arange(min(shape))) @ v.T).astype(dtype)


@pytest.mark.parametrize("rank", [1, 3, 8])
def test_it_is_the_best_of_its_rank(rank):
    x = matrix()
    c = LowRank(rank).encode(x)
    error = np.linalg.norm(c.decode() - x)
    tail = np.sqrt(sum(0.25**i for i in range(rank, 8)))  # the singular values are 1, 1/2, 1/4, ...
    assert error == pytest.approx(tail, rel=1e-9, abs=1e-14)
    assert np.linalg.matrix_rank(c.decode()) == rank
    assert c.nbytes == (12 * rank + rank * 8 + 1) * 8
    assert c.ratio == x.nbytes / c.nbytes


@pytest.mark.parametrize(("energy", "rank"), [(0.5, 1), (0.75, 1), (0.76, 2), (0.94, 3), (1.0, 8), (1e-9, 1)])
def test_energy_keeps_the_fewest_values(energy, rank):
    # cumulative shares of the squares 1, 1/4, 1/16, ...: 0.75, 0.9375, 0.984, ...
    c = LowRank(energy=energy).encode(matrix())
    assert c.arrays["left"].shape == (12, rank)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), dtype=st.sampled_from([np.float32, np.float64]))
def test_real_error_within_the_bound(data, dtype):
    elements = st.floats(allow_nan=False, allow_infinity=False, width=np.dtype(dtype).itemsize * 8)
    x = data.draw(hnp.arrays(dtype, hnp.array_shapes(min_dims=2, max_dims=2, max_side=7), elements=elements))
    codec = LowRank(data.draw(st.integers(1, min(x.shape))))
    c = codec.encode(x)
    decoded = codec.decode(c)
    assert decoded.dtype == dtype
    assert np.isfinite(decoded).all()
    wide = np.longdouble
    assert np.max(np.abs(decoded.astype(wide) - x.astype(wide))) <= c.error_bound


@settings(max_examples=25, deadline=None)
@given(data=st.data(), dtype=st.sampled_from([np.float32, np.float64]))
def test_tucker_real_error_within_the_bound(data, dtype):
    elements = st.floats(allow_nan=False, allow_infinity=False, width=np.dtype(dtype).itemsize * 8)
    x = data.draw(hnp.arrays(dtype, hnp.array_shapes(min_dims=3, max_dims=3, max_side=5), elements=elements))
    codec = Tucker(tuple(data.draw(st.integers(1, n)) for n in x.shape))
    c = codec.encode(x)
    decoded = codec.decode(c)
    assert decoded.shape == x.shape
    assert np.isfinite(decoded).all()
    wide = np.longdouble
    assert np.max(np.abs(decoded.astype(wide) - x.astype(wide))) <= c.error_bound


@pytest.mark.parametrize("shape", [(5, 4), (4, 5), (1, 7), (7, 1), (1, 1)])
def test_full_rank_is_lossless(shape):
    x = np.random.default_rng(0).standard_normal(shape)
    c = LowRank(min(shape)).encode(x)
    assert np.allclose(c.decode(), x, atol=1e-13)
    assert c.error_bound < 1e-12


@pytest.mark.parametrize("codec", [LowRank(2), LowRank(energy=0.9)])
def test_all_zeros(codec):
    c = codec.encode(np.zeros((4, 3), np.float32))
    assert not c.decode().any()
    assert c.error_bound < 1e-30


def test_the_bound_is_close_to_the_error():
    x = matrix(dtype=np.float32)
    c = LowRank(3).encode(x)
    assert c.error_bound <= 1.001 * np.max(np.abs(c.decode().astype(np.float64) - x)) + 1e-5


def low_tucker(seed=0, shape=(6, 5, 7), ranks=(2, 3, 2)):
    rng = np.random.default_rng(seed)
    factors = [rng.standard_normal((n, r)) for n, r in zip(shape, ranks, strict=True)]
    return np.einsum("abc,ia,jb,kc->ijk", rng.standard_normal(ranks), *factors)


def test_tucker_finds_an_exact_decomposition():
    x = low_tucker()
    codec = Tucker((2, 3, 2))
    c = codec.encode(x)
    assert np.allclose(codec.decode(c), x, atol=1e-11)
    assert c.nbytes == 8 * (12 + 6 * 2 + 5 * 3 + 7 * 2 + 1)


def test_tucker_factors_are_orthonormal_and_decode_by_the_definition():
    x = np.random.default_rng(0).standard_normal((6, 5, 7))
    c = Tucker((3, 2, 4)).encode(x)
    a = [c.arrays[f"factor_{i}"] for i in range(3)]
    for factor in a:
        assert np.allclose(factor.T @ factor, np.eye(factor.shape[1]), atol=1e-12)
    assert np.allclose(c.decode(), np.einsum("abc,ia,jb,kc->ijk", c.arrays["core"], *a) * c.arrays["scale"], atol=1e-12)


def test_hooi_is_no_worse_than_hosvd_and_stationary():
    x = np.random.default_rng(2).standard_normal((6, 5, 7))
    ranks = (3, 2, 4)
    hosvd = [np.linalg.svd(np.moveaxis(x, i, 0).reshape(x.shape[i], -1))[0][:, :r] for i, r in enumerate(ranks)]
    projected = np.einsum("ijk,ia,jb,kc,la,mb,nc->lmn", x, *hosvd, *hosvd, optimize=True)
    error = np.linalg.norm(Tucker(ranks).encode(x).decode() - x)
    assert error < np.linalg.norm(projected - x)
    # De Lathauwer et al. 2000: HOSVD is within sqrt(3) of the best; any stationary point has norm² = |x|² - error².
    tail = sum(
        np.sum(np.linalg.svd(np.moveaxis(x, i, 0).reshape(x.shape[i], -1))[1][r:] ** 2) for i, r in enumerate(ranks)
    )
    assert error**2 <= tail


def test_tucker_of_more_than_the_other_axes_hold():
    x = np.random.default_rng(0).standard_normal((6, 2, 2))
    c = Tucker((6, 1, 1)).encode(x)  # the projected unfolding has one column, the basis six
    assert c.arrays["core"].shape == (6, 1, 1)
    assert np.max(np.abs(c.decode() - x)) <= c.error_bound


@pytest.mark.parametrize(
    "make",
    [
        lambda: LowRank(),
        lambda: LowRank(2, 0.5),
        lambda: LowRank(0),
        lambda: LowRank(-1),
        lambda: LowRank(1.5),
        lambda: LowRank(True),
        lambda: LowRank("2"),
        lambda: LowRank(energy=0.0),
        lambda: LowRank(energy=1.1),
        lambda: LowRank(energy=float("nan")),
        lambda: LowRank(9).encode(np.ones((12, 8))),
        lambda: LowRank(1).encode("text"),
        lambda: Tucker(3),
        lambda: Tucker((1, 2)),
        lambda: Tucker((1, 2, 0)),
        lambda: Tucker((1, 2, 2.0)),
        lambda: Tucker("123"),
        lambda: Tucker(None),
        lambda: Tucker((3, 1, 1)).encode(np.ones((2, 2, 2))),
    ],
)
def test_bad_options(make):
    with pytest.raises(InvalidConfigError):
        make()


@pytest.mark.parametrize("codec", [LowRank(1), Tucker((1, 1, 1))])
def test_bad_data(codec):
    shape = (2, 2) if isinstance(codec, LowRank) else (2, 2, 2)
    with pytest.raises(DimensionMismatchError):
        codec.encode(np.ones(4))
    with pytest.raises(DimensionMismatchError):
        codec.encode(np.ones((2, 2, 2, 2)))
    with pytest.raises(EmptyInputError):
        codec.encode(np.ones((0, *shape[1:])))
    with pytest.raises(NumericalInstabilityError):
        codec.encode(np.full(shape, np.nan))

"""Sparse storage against loops, and SciPy's types in and out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from graphattend.compression import Compressed, LowRank, SparseStorage
from graphattend.errors import (
    DimensionMismatchError,
    EmptyInputError,
    InvalidConfigError,
    NumericalInstabilityError,
    UnsupportedError,
)


def kept(x: np.ndarray, top_k, threshold) -> np.ndarray:
    """Return the entries to keep, row by row, with Python's stable sort."""
    out = np.zeros_like(x)
    for row, target in zip(x.reshape(-1, x.shape[-1]), out.reshape(-1, x.shape[-1]), strict=True):
        order = sorted(range(row.size), key=lambda j: -abs(row[j]))[: top_k or row.size]
        for j in order:
            if threshold is None or abs(row[j]) >= threshold:
                target[j] = row[j]
    return out


@settings(max_examples=60, deadline=None)
@given(
    x=hnp.arrays(
        np.float32,
        hnp.array_shapes(max_dims=3, max_side=8),
        elements=st.sampled_from([0, 0, 0.5, -0.5, 1, -2, 2.0**127]),
    ),
    top_k=st.none() | st.integers(1, 9),
    threshold=st.none() | st.sampled_from([0.0, 0.5, 0.75, 10]),
    format=st.sampled_from(["csr", "coo"]),
)
def test_it_keeps_what_the_loop_keeps(x, top_k, threshold, format):
    codec = SparseStorage(top_k, threshold, format)
    c = codec.encode(x)
    decoded = codec.decode(c)
    expected = kept(x, top_k, threshold)
    assert np.array_equal(decoded, expected)
    assert decoded.dtype == np.float32
    assert c.error_bound == float(np.max(np.abs(x.astype(np.float64) - expected)))
    assert c.arrays["data"].size == np.count_nonzero(expected)


def test_without_options_it_is_lossless():
    x = np.array([[0.0, 1.5, 0.0], [0.0, 0.0, 0.0], [-2.0, 0.0, 1e-40]])
    c = SparseStorage().encode(x)
    assert np.array_equal(c.decode(), x)
    assert c.error_bound == 0


def test_layout_of_both_formats():
    x = np.array([[0.0, 5.0, 6.0], [0.0, 0.0, 0.0], [7.0, 0.0, 0.0]])
    csr = SparseStorage(format="csr").encode(x).arrays
    assert csr["data"].tolist() == [5, 6, 7]
    assert csr["indices"].tolist() == [1, 2, 0]
    assert csr["indptr"].tolist() == [0, 2, 2, 3]
    coo = SparseStorage(format="coo").encode(x).arrays
    assert coo["row"].tolist() == [0, 0, 2]
    assert coo["col"].tolist() == [1, 2, 0]


def test_bytes():
    x = np.random.default_rng(0).standard_normal((1000, 64)).astype(np.float32)
    c = SparseStorage(top_k=8).encode(x)
    assert c.nbytes == 8000 * (4 + 1) + 1001 * 2  # columns < 256 in one byte, 8000 entries in two
    assert c.ratio == x.nbytes / c.nbytes


@pytest.mark.parametrize("format", ["csr", "coo"])
def test_all_zero(format):
    c = SparseStorage(top_k=2, format=format).encode(np.zeros((3, 4)))
    assert np.array_equal(c.decode(), np.zeros((3, 4)))


@pytest.mark.parametrize(
    "kind", ["csr_array", "csr_matrix", "csc_array", "coo_array", "coo_matrix", "lil_array", "dok_array"]
)
@pytest.mark.parametrize("format", ["csr", "coo"])
def test_scipy_in_and_out(kind, format):
    sparse = pytest.importorskip("scipy.sparse")
    x = np.random.default_rng(0).standard_normal((20, 9))
    x[np.abs(x) < 0.7] = 0
    given_type = getattr(sparse, kind)(x)
    codec = SparseStorage(top_k=3, format=format)
    c = codec.encode(given_type)
    assert c.shape == (20, 9)
    assert np.array_equal(c.decode(), codec.encode(x).decode())
    assert c.ratio == x.nbytes / c.nbytes
    back = codec.to_scipy(c)
    assert isinstance(back, sparse.csr_array if format == "csr" else sparse.coo_array)
    assert np.array_equal(back.toarray(), c.decode())
    assert np.array_equal(given_type.toarray(), x)


@pytest.mark.parametrize("top_k", [1, 3, 1000])
def test_one_long_row_among_empty_ones(top_k):
    """Rows of very unequal length take another path."""
    rng = np.random.default_rng(0)
    x = np.zeros((500, 300))
    x[7] = rng.integers(-5, 6, 300)
    x[400, :4] = [1, -1, 2, 1]
    assert np.array_equal(SparseStorage(top_k=top_k).encode(x).decode(), kept(x, top_k, None))


def test_scipy_duplicates_add_up_and_explicit_zeros_go():
    sparse = pytest.importorskip("scipy.sparse")
    x = sparse.coo_array(([1.0, 2.0, 0.0], ([0, 0, 1], [1, 1, 0])), shape=(2, 2))
    c = SparseStorage().encode(x)
    assert c.decode().tolist() == [[0, 3], [0, 0]]
    assert c.arrays["data"].size == 1
    assert x.nnz == 3


def test_scipy_far_too_large_to_be_dense():
    sparse = pytest.importorskip("scipy.sparse")
    x = sparse.coo_array(([1.0, -2.0], ([5, 900_000], [7, 800_000])), shape=(1_000_000, 1_000_000))
    codec = SparseStorage(threshold=1.5, format="coo")
    c = codec.encode(x)
    assert c.error_bound == 1.0
    assert c.ratio > 1e10
    assert codec.to_scipy(c).nnz == 1


def test_scipy_bad_data():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(InvalidConfigError):
        SparseStorage().encode(sparse.csr_array(np.ones((2, 2), complex)))
    with pytest.raises(InvalidConfigError):
        SparseStorage().encode(sparse.csr_array(np.ones((2, 2), bool)))
    with pytest.raises(NumericalInstabilityError):
        SparseStorage().encode(sparse.csr_array(np.full((2, 2), np.nan)))
    with pytest.raises(EmptyInputError):
        SparseStorage().encode(sparse.csr_array((0, 3)))


def test_to_scipy_refuses_other_things():
    pytest.importorskip("scipy.sparse")
    codec = SparseStorage()
    with pytest.raises(InvalidConfigError):
        codec.to_scipy(LowRank(1).encode(np.ones((2, 2))))
    with pytest.raises(UnsupportedError):
        codec.to_scipy(codec.encode(np.ones((2, 2, 2))))
    assert codec.to_scipy(codec.encode(np.ones(3))).shape == (1, 3)


@pytest.mark.parametrize(
    "options",
    [
        {"top_k": 0},
        {"top_k": 1.0},
        {"top_k": True},
        {"threshold": -1.0},
        {"threshold": float("nan")},
        {"threshold": "1"},
        {"format": "csc"},
        {"format": None},
    ],
)
def test_bad_options(options):
    with pytest.raises(InvalidConfigError):
        SparseStorage(**options)


def test_bad_data():
    with pytest.raises(DimensionMismatchError):
        SparseStorage().encode(3.0)
    with pytest.raises(EmptyInputError):
        SparseStorage().encode(np.zeros((3, 0)))
    with pytest.raises(NumericalInstabilityError):
        SparseStorage().encode([np.inf])
    with pytest.raises(InvalidConfigError):
        SparseStorage().encode(["a"])


@pytest.mark.parametrize("format", ["csr", "coo"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nothing_kept_takes_some_space(tmp_path, format, dtype):
    x = np.full((8, 12), 0.5, dtype)
    packed = SparseStorage(threshold=1.0, format=format).encode(x)
    # Nine row offsets, or one byte that marks an empty array.
    assert packed.nbytes == (9 if format == "csr" else 1)
    assert packed.ratio == x.nbytes / packed.nbytes
    np.testing.assert_array_equal(packed.decode(), np.zeros((8, 12)))
    assert packed.error_bound == 0.5
    packed.save(tmp_path / "c.npz")
    assert Compressed.load(tmp_path / "c.npz").ratio == packed.ratio
    pytest.importorskip("scipy.sparse")
    assert packed.codec.to_scipy(packed).nnz == 0

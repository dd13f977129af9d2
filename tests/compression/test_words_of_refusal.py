"""Errors with causes outside the codecs: a failing decomposition, missing SciPy, SciPy's arrays of many axes."""

import sys

import numpy as np
import pytest

import graphattend as ga
from graphattend.compression import LowRank, SparseStorage


def test_a_decomposition_that_does_not_converge(monkeypatch):
    def fails(x, full_matrices=False):
        raise np.linalg.LinAlgError("SVD did not converge")

    monkeypatch.setattr(np.linalg, "svd", fails)
    with pytest.raises(ga.NumericalInstabilityError, match="x: SVD did not converge"):
        LowRank(1).encode(np.eye(3))


def test_without_scipy(monkeypatch):
    compressed = SparseStorage(top_k=1).encode(np.eye(3))
    monkeypatch.setitem(sys.modules, "scipy.sparse", None)
    with pytest.raises(ga.UnsupportedError, match="SciPy is not installed"):
        SparseStorage(top_k=1).to_scipy(compressed)


def test_many_axes_of_scipy():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(ga.DimensionMismatchError, match="x: expected at most 2 axes"):
        SparseStorage(top_k=1).encode(sparse.coo_array(np.ones((2, 2, 2))))

"""Sparse rows."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from .._validate import ArrayLike, as_choice, as_float, as_int, as_number, check_finite, check_nonempty
from ..errors import DimensionMismatchError, InvalidConfigError, UnsupportedError
from ._codec import CODECS, Codec, Compressed, as_data, require, require_array, set_options, smallest_index_type


@CODECS.register("sparse")
@dataclass(frozen=True)
class SparseStorage(Codec):
    """Sparse rows: the largest entries of each row, the entries from a threshold on, or all nonzero entries.

    With both options, an entry must satisfy both. The kept entries are exact. Ties are broken by the lower column.

    Args:
        top_k: Keep this many entries of each row (vector along the last axis), the largest in magnitude.
        threshold: Keep entries with |x| >= threshold.
        format: ``"csr"`` (compressed rows) or ``"coo"`` (row and column of each entry).

    Raises:
        InvalidConfigError: An option is not allowed.

    Example:
        >>> import numpy as np
        >>> from graphattend.compression import SparseStorage
        >>> c = SparseStorage(top_k=1).encode(np.array([[0.5, -2.0, 0.1], [0.0, 0.3, 0.2]]))
        >>> c.decode()
        array([[ 0. , -2. ,  0. ],
               [ 0. ,  0.3,  0. ]])
        >>> c.error_bound
        0.5
    """

    key: ClassVar[str] = "sparse"

    top_k: int | None = None
    threshold: float | None = None
    format: Literal["csr", "coo"] = "csr"

    def __post_init__(self) -> None:
        if self.top_k is not None:
            set_options(self, top_k=as_int(self.top_k, "top_k", minimum=1))
        if self.threshold is not None:
            set_options(self, threshold=as_number(self.threshold, "threshold", minimum=0.0))
        as_choice(self.format, "format", ("csr", "coo"))

    def encode(self, x: ArrayLike) -> Compressed:
        """Encode an array as the entries that the options select.

        Args:
            x: (..., D), or a SciPy sparse matrix or array.

        Returns:
            ``data`` with ``indices, indptr`` (CSR) or ``row, col`` (COO), sorted by row.

        Raises:
            DimensionMismatchError: `x` has no axis; EmptyInputError: `x` is empty; NumericalInstabilityError: NaN or
                infinity; InvalidConfigError: not real numbers.
        """
        shape, rows, cols, values = _entries(x)
        magnitude = np.abs(values)
        keep = np.ones(values.size, bool) if self.threshold is None else magnitude >= self.threshold
        if self.top_k is not None:
            keep &= _rank_in_row(rows, magnitude) < self.top_k
        error = float(magnitude[~keep].max(initial=0))
        rows, cols, values = rows[keep], cols[keep], values[keep]
        count = int(np.prod(shape[:-1], dtype=np.int64))
        cols = cols.astype(smallest_index_type(shape[-1]))
        if self.format == "csr":
            indptr = np.searchsorted(rows, np.arange(count + 1)).astype(smallest_index_type(values.size))
            arrays = {"data": values, "indices": cols, "indptr": indptr}
        else:
            arrays = {"data": values, "row": rows.astype(smallest_index_type(count)), "col": cols}
        return self._compressed(shape, values.dtype, arrays, error)

    def to_scipy(self, compressed: Compressed) -> Any:
        """Convert the compressed array to a SciPy sparse array, without making it dense.

        Args:
            compressed: A matrix or vector that `encode` compressed.

        Returns:
            A ``scipy.sparse.csr_array`` or ``coo_array``.

        Raises:
            UnsupportedError: SciPy is not installed, or there are more than two axes; InvalidConfigError: not a
                sparse compressed array.
        """
        if not isinstance(compressed, Compressed) or not isinstance(compressed.codec, SparseStorage):
            raise InvalidConfigError("compressed: expected a sparse compressed array", argument="compressed")
        if len(compressed.shape) > 2:
            raise UnsupportedError("SciPy's sparse arrays have at most two axes here", argument="compressed")
        try:
            sparse = importlib.import_module("scipy.sparse")
        except ImportError:
            raise UnsupportedError("SciPy is not installed") from None
        a = {
            name: array.astype(np.int64) if name != "data" else array.copy()
            for name, array in compressed.arrays.items()
        }
        shape = (1, *compressed.shape)[-2:]
        if compressed.codec.format == "csr":
            return sparse.csr_array((a["data"], a["indices"], a["indptr"]), shape=shape)
        return sparse.coo_array((a["data"], (a["row"], a["col"])), shape=shape)

    def _decode(self, shape: tuple[int, ...], dtype: np.dtype[Any], arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        x = np.zeros((int(np.prod(shape[:-1], dtype=np.int64)), shape[-1]), dtype)
        if self.format == "csr":
            indptr = arrays["indptr"].astype(np.intp)
            counts = indptr[1:] - indptr[:-1]
            x[np.repeat(np.arange(counts.size), counts), arrays["indices"]] = arrays["data"]
        else:
            x[arrays["row"], arrays["col"]] = arrays["data"]
        return x.reshape(shape)

    def _check(self, shape: tuple[int, ...], dtype: np.dtype[Any], arrays: Mapping[str, np.ndarray]) -> None:
        require("data" in arrays and arrays["data"].ndim == 1, "array 'data'")
        entries = arrays["data"].size
        count = int(np.prod(shape[:-1], dtype=np.int64))
        require_array(arrays, "data", (entries,), dtype)
        unsigned = (np.uint8, np.uint16, np.uint32, np.uint64)
        if self.format == "csr":
            cols = require_array(arrays, "indices", (entries,), *unsigned)
            indptr = require_array(arrays, "indptr", (count + 1,), *unsigned)
            good = indptr[0] == 0 and indptr[-1] == entries and bool((indptr[1:] >= indptr[:-1]).all())
            require(good, "array 'indptr'")
        else:
            cols = require_array(arrays, "col", (entries,), *unsigned)
            row = require_array(arrays, "row", (entries,), *unsigned)
            require(int(row.max(initial=0)) < count, "array 'row'")
        require(int(cols.max(initial=0)) < shape[-1], "columns")
        require(len(arrays) == 3, "number of arrays")


def _rank_in_row(rows: np.ndarray, magnitude: np.ndarray) -> np.ndarray:
    """Return the rank of each entry in its row, 0 for the largest; the entries are sorted by row."""
    starts = np.searchsorted(rows, rows)  # start of each entry's row
    place = np.arange(rows.size) - starts
    if rows.size == 0:
        return place
    height, width = int(rows[-1]) + 1, int(place.max()) + 1
    if height * width <= 4 * rows.size:  # rows of similar length: one sort along an axis of a padded table
        table = np.zeros((height, width), magnitude.dtype)
        table[rows, place] = -magnitude
        order = np.argsort(table, axis=1, kind="stable")
        ranks = np.empty_like(order)
        np.put_along_axis(ranks, order, np.arange(width)[None], axis=1)
        rank: np.ndarray = ranks[rows, place]
    else:
        rank = np.empty(rows.size, np.int64)
        rank[np.lexsort((-magnitude, rows))] = place
    return rank


def _entries(x: Any) -> tuple[tuple[int, ...], np.ndarray, np.ndarray, np.ndarray]:
    """Return the shape, and row, column and value of all nonzero entries, sorted by row and column."""
    scipy_sparse = sys.modules.get("scipy.sparse")  # a caller with a SciPy matrix has imported it
    if scipy_sparse is None or not scipy_sparse.issparse(x):
        dense = as_data(x, 1)
        flat = dense.reshape(-1, dense.shape[-1])
        rows, cols = np.nonzero(flat)
        return dense.shape, rows, cols, flat[rows, cols]
    if x.ndim > 2:
        raise DimensionMismatchError("x: expected at most 2 axes of a SciPy array", argument="x", actual=x.ndim)
    csr = scipy_sparse.csr_array(x.reshape((1, -1)) if x.ndim == 1 else x, copy=True)
    csr.sum_duplicates()
    values = as_float(csr.data, "x")
    check_finite(values, "x")
    check_nonempty(np.broadcast_to(np.float32(0), csr.shape), "x")
    indptr = csr.indptr.astype(np.intp)
    rows = np.repeat(np.arange(csr.shape[0]), indptr[1:] - indptr[:-1])
    filled = values != 0
    return x.shape, rows[filled], csr.indices[filled].astype(np.int64), values[filled]

"""Index arithmetic on compressed rows, shared by the graph algorithms. Nothing here checks its input."""

from __future__ import annotations

import numpy as np

from .._index import bincount, repeat


def indptr_of(rows: np.ndarray, num_rows: int) -> np.ndarray:
    """Row offsets (num_rows + 1,) of entries that stand in the given rows."""
    indptr = np.zeros(num_rows + 1, dtype=np.int64)
    np.cumsum(bincount(rows, minlength=num_rows), out=indptr[1:])
    return indptr


def rows_of(indptr: np.ndarray) -> np.ndarray:
    """The row of every entry, (K,)."""
    return repeat(np.arange(len(indptr) - 1, dtype=np.int64), np.diff(indptr))


def ranges(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The runs ``start, start + 1, …`` of the given lengths, one after the other."""
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    return repeat(starts - ends + counts, counts) + np.arange(total, dtype=np.int64)


def transposed(indptr: np.ndarray, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Offsets and indices with rows and columns swapped, and the order that the entries were taken in."""
    order = np.argsort(indices, kind="stable")
    return indptr_of(indices, len(indptr) - 1), rows_of(indptr)[order], order


def distinct(keys: np.ndarray) -> np.ndarray:
    """The keys, sorted, each once (np.unique hashes large arrays, which is many times slower)."""
    keys = np.sort(keys)
    return keys[np.append(True, keys[1:] != keys[:-1])] if len(keys) else keys


def simple(indptr: np.ndarray, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same rows, sorted, without duplicates and without loops."""
    size = len(indptr) - 1
    rows = rows_of(indptr)
    keys = distinct((rows * size + indices)[rows != indices])
    return indptr_of(keys // size, size), keys % size

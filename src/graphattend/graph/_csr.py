"""Index arithmetic on CSR arrays, shared by the graph algorithms. Inputs are not validated."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


def indptr_of(rows: np.ndarray, num_rows: int) -> np.ndarray:
    """Return the row offsets (num_rows + 1,), given the row of every entry."""
    indptr = np.zeros(num_rows + 1, dtype=np.intp)
    np.cumsum(np.bincount(rows, minlength=num_rows), out=indptr[1:])
    return indptr


def rows_of(indptr: np.ndarray) -> np.ndarray:
    """Return the row of every entry, (K,)."""
    return np.repeat(np.arange(len(indptr) - 1, dtype=np.intp), np.diff(indptr))


def ranges(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Concatenate the ranges ``start, start + 1, …`` of the given lengths."""
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    return np.repeat(starts - ends + counts, counts) + np.arange(total, dtype=np.intp)


class Transposed(NamedTuple):
    """A transposed CSR list: column offsets (V+1,), the row of each entry (K,), and its original position (K,)."""

    indptr: np.ndarray
    indices: np.ndarray
    order: np.ndarray


def transposed(indptr: np.ndarray, indices: np.ndarray) -> Transposed:
    """Transpose a CSR list."""
    order = _stable_order(indices, len(indptr) - 1)
    return Transposed(indptr_of(indices, len(indptr) - 1), rows_of(indptr)[order], order)


def _stable_order(keys: np.ndarray, limit: int) -> np.ndarray:
    """Return the stable sorting order of integers in [0, limit), by NumPy's radix sort of 16 bits at a time."""
    order = np.argsort(keys.astype(np.uint16), kind="stable")
    for shift in range(16, (limit - 1).bit_length(), 16):
        digit = (keys >> shift).astype(np.uint16)
        order = order[np.argsort(digit[order], kind="stable")]
    return order


def joined(rows: np.ndarray, columns: np.ndarray, size: int) -> np.ndarray:
    """Encode each pair as row · size + column, in 64 bits even where indices have 32 (WebAssembly)."""
    return rows.astype(np.int64) * size + columns


def parted(keys: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Decode the numbers of `joined` into rows and columns."""
    return (keys // size).astype(np.intp), (keys % size).astype(np.intp)


def distinct(keys: np.ndarray) -> np.ndarray:
    """Return the sorted keys without duplicates (np.unique hashes large arrays, which is many times slower)."""
    keys = np.sort(keys)
    return keys[np.append(True, keys[1:] != keys[:-1])] if len(keys) else keys


def simple(indptr: np.ndarray, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the CSR arrays with sorted rows, without duplicates and self-loops."""
    size = len(indptr) - 1
    rows = rows_of(indptr)
    rows, columns = parted(distinct(joined(rows, indices, size)[rows != indices]), size)
    return indptr_of(rows, size), columns

"""A safe reader for the pickles in which some data sets are published.

Nothing that a pickle names is imported or called. Names of lists, dictionaries, NumPy arrays and SciPy matrices become
inert records, from which checked arrays are built; every other name raises an error.
"""

from __future__ import annotations

import io
import pickle
import re
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ...storage_checks import DTYPES, Refused, build_array

_ARRAYS = {"numpy.core.multiarray", "numpy._core.multiarray"}
_MATRIX = re.compile(r"scipy\.sparse\.(_?csr|csr)")
_DTYPE = re.compile(r"([a-z]\d)")


class Matrix(NamedTuple):
    """The parts of a SciPy CSR matrix."""

    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray
    shape: tuple[int, int]


class _Record:
    """Placeholder for an object of a pickle. It records arguments and state and executes nothing."""

    def __init__(self, kind: str, *arguments: object) -> None:
        self.kind, self.arguments, self.state = kind, arguments, None

    def __setstate__(self, state: Any) -> None:
        self.state = state


def load(data: bytes) -> Any:
    """Return the value of a pickle: lists, dictionaries, numbers, text, arrays and `Matrix`."""
    try:
        return _value(_Unpickler(io.BytesIO(data), encoding="latin1").load())
    except Refused:
        raise
    except Exception as error:  # damaged data can raise anything
        raise Refused(f"is a damaged pickle ({type(error).__name__})") from None


# Use the Python Unpickler: the C one allocates as many values as the pickle announces.
class _Unpickler(pickle._Unpickler):
    # The Python one does so only for bytearrays, which no numeric array needs.
    dispatch: ClassVar = {op: read for op, read in pickle._Unpickler.dispatch.items() if op != pickle.BYTEARRAY8[0]}

    def find_class(self, module: str, name: str) -> Any:
        """Return an inert placeholder that belongs to this pickle only."""
        if module == "collections" and name == "defaultdict":
            return lambda *_: {}
        if module in ("builtins", "__builtin__") and name in ("list", "dict"):
            return lambda *_: [] if name == "list" else {}
        if module in ("builtins", "__builtin__") and name == "bytes":  # empty bytes in Python 2's protocols
            return lambda *_: b""
        if module == "numpy" and name in ("ndarray", "dtype"):
            return lambda *arguments: _Record(name, *arguments)
        if module in _ARRAYS and name == "_reconstruct":
            return lambda *arguments: _Record("ndarray", *arguments)
        if _MATRIX.fullmatch(module) and name in ("csr_matrix", "csr_array"):
            return _MatrixRecord
        if module in ("copyreg", "copy_reg") and name == "_reconstructor":
            return lambda *_: _MatrixRecord()
        if module in ("builtins", "__builtin__") and name == "object":
            return None
        if module == "_codecs" and name == "encode":  # bytes in Python 2's protocols
            return lambda text, coding: text.encode("latin-1") if coding == "latin1" else None
        raise Refused(f"is a pickle that asks for {ascii(f'{module}.{name}')[:60]}, which is not supported")


class _MatrixRecord(_Record):
    kind, state = "matrix", None  # pickles create it without a call

    def __init__(self) -> None:
        pass


def _value(found: object) -> Any:
    if not isinstance(found, _Record):
        return found
    if found.kind == "ndarray":
        return _array(found)
    if found.kind == "matrix" and isinstance(found.state, dict):
        state = found.state
        data, indices, indptr = (_value(state.get(name)) for name in ("data", "indices", "indptr"))
        shape = state.get("_shape")
        arrays = all(isinstance(a, np.ndarray) and a.ndim == 1 for a in (data, indices, indptr))
        if arrays and isinstance(shape, tuple) and len(shape) == 2 and all(type(n) is int and n >= 0 for n in shape):
            _check_rows(data, indices, indptr, shape)
            return Matrix(data, indices, indptr, shape)
    raise Refused("is a pickle of something else than an array or a matrix")


def _array(record: _Record) -> np.ndarray:
    state = record.state
    if not isinstance(state, tuple) or len(state) != 5:
        raise Refused("holds a damaged array")
    _, shape, dtype, fortran, raw = state
    spec = dtype.arguments[0] if isinstance(dtype, _Record) and dtype.kind == "dtype" and dtype.arguments else None
    order = dtype.state[1] if isinstance(dtype, _Record) and isinstance(dtype.state, tuple) else "<"
    if isinstance(raw, str):
        raw = raw.encode("latin-1")
    if not isinstance(spec, str) or not _DTYPE.fullmatch(spec) or spec not in DTYPES or not isinstance(raw, bytes):
        raise Refused("holds an array that is not of plain numbers")
    if not isinstance(shape, tuple) or not all(type(n) is int for n in shape):
        raise Refused("holds a damaged array")
    kind = np.dtype(spec).newbyteorder(order if order in ("<", ">") else "=")
    return build_array(memoryview(raw), kind, shape, "F" if fortran else "C", "pickled")


def _check_rows(data: np.ndarray, indices: np.ndarray, indptr: np.ndarray, shape: tuple[int, int]) -> None:
    whole = indices.dtype.kind in "iu" and indptr.dtype.kind in "iu" and data.dtype.kind in "iuf"
    fits = whole and len(indptr) == shape[0] + 1 and len(data) == len(indices)
    rises = fits and indptr[0] == 0 and indptr[-1] == len(indices) and (indptr[1:] >= indptr[:-1]).all()
    if not rises or (len(indices) and not (indices.min() >= 0 and indices.max() < shape[1])):
        raise Refused("holds a damaged matrix")

"""Per-node arrays that do not fit into memory: .npy memory maps and zarr arrays."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from hashlib import blake2b
from typing import Any

import numpy as np

from .._sharing import file_of
from .._validate import as_array, as_float
from ..errors import DimensionMismatchError, InvalidConfigError, NumericalInstabilityError
from ..graph.conversions import need
from ..storage import load_errors

#: Number of rows per copy.
STEP = 1 << 18
#: WebAssembly can memory-map files for reading, but not for writing.
_CAN_MAP = sys.platform != "emscripten"


def created(path: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    """Create a file of zeros, which `changed` can open."""
    if _CAN_MAP and all(shape):
        np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    else:
        np.save(path, np.zeros(shape, dtype))


@contextlib.contextmanager
def changed(path: str) -> Iterator[np.ndarray]:
    """Open a file's array for writing."""
    if not _CAN_MAP:
        array = np.load(path)
        yield array
        np.save(path, array)
        return
    yield np.lib.format.open_memmap(path, mode="r+")


def opened(x: object, argument: str) -> Any:
    """Return the array of a path or an object without reading it: a memory map, a zarr array or a NumPy array."""
    if isinstance(x, (str, os.PathLike)):
        path = os.path.abspath(os.fsdecode(x))
        suffix = os.path.splitext(path)[1].lower()
        if suffix == ".npy":
            with load_errors(path):
                return np.load(path, mmap_mode="r", allow_pickle=False)
        if suffix == ".zarr":
            zarr = need("zarr", "zarr")
            with load_errors(path):
                return zarr.open_array(path, mode="r")
        raise InvalidConfigError.of(argument, "a name ending in .npy or .zarr", path)
    if is_zarr(x):
        return x
    return x if isinstance(x, np.memmap) else as_array(x, argument)


def is_zarr(x: object) -> bool:
    """Return whether `x` is an array that is read in blocks, such as a zarr array."""
    return not isinstance(x, np.ndarray) and all(hasattr(x, name) for name in ("shape", "dtype", "oindex"))


def check_rows(x: Any, argument: str, rows: int, width: int | None) -> None:
    """Check that an array has one row of real numbers per node."""
    dtype = np.dtype(x.dtype)
    if dtype.kind not in "fiu":
        raise InvalidConfigError.of(argument, "an array of real numbers", str(dtype), got=f"dtype {dtype}")
    shape = tuple(x.shape)
    ndim = 1 if width is None else 2
    if len(shape) != ndim or shape[0] != rows or (width is not None and shape[1] != width):
        expected = (rows,) if width is None else (rows, width)
        raise DimensionMismatchError.of(
            argument, expected, shape, text=f"shape {expected}, one row per node", got=f"shape {shape}"
        )


def rows_of(x: Any, index: slice | np.ndarray) -> np.ndarray:
    """Return some rows in memory, or as a view of a memory map if `index` is a slice."""
    if isinstance(index, slice) or not is_zarr(x):
        return np.asarray(x[index])
    return np.asarray(x.oindex[index])


def floats(x: np.ndarray, argument: str, nodes: Callable[[int], Any], finite: bool) -> np.ndarray:
    """Convert rows to floats. With `finite`, NaN or infinity raises an error that names the node."""
    a = as_float(x, argument)
    if finite and not np.isfinite(a).all():
        row, column = (int(i) for i in np.argwhere(~np.isfinite(a))[0])
        node, value = int(nodes(row)), float(a[row, column])
        raise NumericalInstabilityError.of(
            argument, "finite numbers", value, got=f"{value} at index ({node}, {column})"
        )
    return a


def identity(x: Any) -> str:
    """Return text that identifies an array between calls: its file and modification time, or a hash of its content."""
    path = file_of(x)
    if path is not None:
        found = os.stat(path)
        told: Any = [os.path.abspath(path), found.st_size, found.st_mtime_ns, x.offset]
    elif is_zarr(x):
        told = [str(getattr(x, "store", "")), str(getattr(x, "path", ""))]
    else:
        content = blake2b(digest_size=16)
        for start in range(0, len(x), STEP):
            content.update(np.ascontiguousarray(x[start : start + STEP]))
        told = content.hexdigest()
    return json.dumps([told, list(x.shape), str(x.dtype)])

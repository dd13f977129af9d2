"""Send values to other processes: large arrays as files that every process maps, the rest pickled.

An array that is a memory map (`np.memmap`) is sent as the path of its file. Other arrays are written once, to a folder
in shared memory if the system has it. Processes map the files read-only; nothing is copied.
"""

from __future__ import annotations

import contextlib
import io
import mmap
import os
import pickle
import shutil
import tempfile
from functools import lru_cache
from typing import Any

import numpy as np

from .errors import LoadError

#: Arrays smaller than this (in bytes) are pickled.
LARGE = 1 << 16
#: Linux's folder of files in memory.
_MEMORY = "/dev/shm"


class Store:
    """A folder of arrays.

    Args:
        path: The folder, which exists (see `made`).
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._kept: dict[int, tuple[np.ndarray, tuple[Any, ...]]] = {}

    @classmethod
    def made(cls, folder: str | None = None, expected: int = 0) -> Store:
        """Create a folder: in `folder`, or in memory if `expected` bytes fit there, or among the temporary files."""
        return cls(tempfile.mkdtemp(prefix="graphattend-", dir=folder or _memory(expected)))

    def dumps(self, value: object) -> bytes:
        """Return a value as bytes, which `loads` reads in any process that sees the folder."""
        out = io.BytesIO()
        _Pickler(out, self).dump(value)
        return out.getvalue()

    def keep(self, array: np.ndarray) -> tuple[Any, ...]:
        """Return path, dtype, shape, offset and order of an array's file; write the file if there is none."""
        if id(array) not in self._kept:  # keeps the array alive, so that no other gets its id
            self._kept[id(array)] = (array, _place(array) or self._written(array))
        return self._kept[id(array)][1]

    def _written(self, array: np.ndarray) -> tuple[Any, ...]:
        handle, path = tempfile.mkstemp(suffix=".raw", dir=self.path)
        with os.fdopen(handle, "wb") as file:
            np.ascontiguousarray(array).tofile(file)
        return path, array.dtype.str, array.shape, 0, "C"

    def take(self, data: bytes) -> Any:
        """Load a value that another process dumped to the same folder, and remove its files; their maps stay valid."""
        return _Unpickler(io.BytesIO(data), self.path).load()

    def close(self) -> None:
        """Remove the folder; processes that mapped a file keep its content."""
        shutil.rmtree(self.path, ignore_errors=True)


def _memory(needed: int) -> str | None:
    try:
        free = shutil.disk_usage(_MEMORY).free
    except OSError:
        return None
    return _MEMORY if os.access(_MEMORY, os.W_OK) and free > 2 * needed + (64 << 20) else None


def _place(array: np.ndarray) -> tuple[Any, ...] | None:
    """Return the place of a whole memory map; None for other arrays and for views, whose offset NumPy does not keep."""
    if not isinstance(array, np.memmap) or not isinstance(array.base, mmap.mmap) or array.filename is None:
        return None
    order = "C" if array.flags.c_contiguous else "F"
    return os.fspath(array.filename), array.dtype.str, array.shape, array.offset, order


def file_of(value: object) -> str | None:
    """Return the file of a whole memory map, or None."""
    place = _place(value) if isinstance(value, np.ndarray) else None
    return None if place is None else place[0]


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, store: Store) -> None:
        super().__init__(file, protocol=5)
        self._store = store

    def persistent_id(self, value: Any) -> Any:
        """Return the place of a large array, None for everything else."""
        large = type(value) in (np.ndarray, np.memmap) and value.nbytes >= LARGE and value.dtype.kind in "fiub"
        return self._store.keep(value) if large else None


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, taken: str | None = None) -> None:
        super().__init__(file)
        self._taken = taken

    def persistent_load(self, place: tuple[Any, ...]) -> np.ndarray:
        """Return a memory map of the array at a place."""
        path, dtype, shape, offset, order = place
        try:
            array = np.asarray(np.memmap(path, np.dtype(dtype), "r", offset, tuple(shape), order))
        except (OSError, ValueError) as error:
            raise LoadError(
                f"{path}: a worker cannot map it ({error}); workers on other machines need a folder they share"
            ) from None
        if os.path.dirname(path) == self._taken:
            with contextlib.suppress(OSError):  # Windows cannot remove a mapped file
                os.unlink(path)
        return array


def loads(data: bytes) -> Any:
    """Load the value that `Store.dumps` was given; its large arrays are read-only memory maps."""
    return _Unpickler(io.BytesIO(data)).load()


@lru_cache(maxsize=1)  # the cached value stays in memory
def loads_once(data: bytes) -> Any:
    """Return `loads(data)`, cached: the tasks of one call share everything except the task itself."""
    return loads(data)

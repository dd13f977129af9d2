"""Values for other processes: large arrays as files that every process maps, the rest pickled.

An array that already lies in a file (`np.memmap`) travels as its path. Others are written once, into a folder in
shared memory where the system has one. What is read back is mapped read-only; nothing is copied.
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

#: Arrays below this many bytes are pickled like everything else.
LARGE = 1 << 16
#: Where Linux keeps files in memory.
_MEMORY = "/dev/shm"


class Store:
    """A folder of arrays.

    Args:
        path: The folder, see `made`.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._kept: dict[int, tuple[np.ndarray, tuple[Any, ...]]] = {}

    @classmethod
    def made(cls, folder: str | None = None, expected: int = 0) -> Store:
        """A new folder: in `folder`, else in memory if that has room for so many bytes, else among temporary files."""
        return cls(tempfile.mkdtemp(prefix="graphattend-", dir=folder or _memory(expected)))

    def dumps(self, value: object) -> bytes:
        """A value as bytes that `loads` reads in any process that sees the folder."""
        out = io.BytesIO()
        _Pickler(out, self).dump(value)
        return out.getvalue()

    def keep(self, array: np.ndarray) -> tuple[Any, ...]:
        """Where an array lies: path, dtype, shape, offset, order. It is written if it has no file."""
        if id(array) not in self._kept:  # arrays are held, so that no other gets the same id
            self._kept[id(array)] = (array, _place(array) or self._written(array))
        return self._kept[id(array)][1]

    def _written(self, array: np.ndarray) -> tuple[Any, ...]:
        handle, path = tempfile.mkstemp(suffix=".raw", dir=self.path)
        with os.fdopen(handle, "wb") as file:
            np.ascontiguousarray(array).tofile(file)
        return path, array.dtype.str, array.shape, 0, "C"

    def take(self, data: bytes) -> Any:
        """What another process gave to `dumps` of the same folder; its files go, and what is mapped stays."""
        return _Unpickler(io.BytesIO(data), self.path).load()

    def close(self) -> None:
        """Remove the folder; who has mapped a file keeps what is in it."""
        shutil.rmtree(self.path, ignore_errors=True)


def _memory(needed: int) -> str | None:
    try:
        free = shutil.disk_usage(_MEMORY).free
    except OSError:
        return None
    return _MEMORY if os.access(_MEMORY, os.W_OK) and free > 2 * needed + (64 << 20) else None


def _place(array: np.ndarray) -> tuple[Any, ...] | None:
    """Where a whole memory map lies; None for anything else, also for a part of one, whose offset NumPy forgets."""
    if not isinstance(array, np.memmap) or not isinstance(array.base, mmap.mmap) or array.filename is None:
        return None
    order = "C" if array.flags.c_contiguous else "F"
    return os.fspath(array.filename), array.dtype.str, array.shape, array.offset, order


def file_of(value: object) -> str | None:
    """The file that a whole memory map lies in, or None."""
    place = _place(value) if isinstance(value, np.ndarray) else None
    return None if place is None else place[0]


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, store: Store) -> None:
        super().__init__(file, protocol=5)
        self._store = store

    def persistent_id(self, value: Any) -> Any:
        """The place of a large array, None for everything else."""
        large = type(value) in (np.ndarray, np.memmap) and value.nbytes >= LARGE and value.dtype.kind in "fiub"
        return self._store.keep(value) if large else None


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, taken: str | None = None) -> None:
        super().__init__(file)
        self._taken = taken

    def persistent_load(self, place: tuple[Any, ...]) -> np.ndarray:
        """The array at a place, mapped."""
        path, dtype, shape, offset, order = place
        try:
            array = np.asarray(np.memmap(path, np.dtype(dtype), "r", offset, tuple(shape), order))
        except (OSError, ValueError) as error:
            raise LoadError(
                f"{path}: a worker cannot map it ({error}); workers on other machines need a folder they share"
            ) from None
        if os.path.dirname(path) == self._taken:
            with contextlib.suppress(OSError):  # Windows keeps what is mapped
                os.unlink(path)
        return array


def loads(data: bytes) -> Any:
    """What `Store.dumps` was given; its large arrays are read-only maps."""
    return _Unpickler(io.BytesIO(data)).load()


@lru_cache(maxsize=1)  # what it holds stays in memory
def loads_once(data: bytes) -> Any:
    """`loads`, remembered: the tasks of one call share all but their numbers."""
    return loads(data)

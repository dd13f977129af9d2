"""Reading and writing graphs. A file is never trusted: its size is bounded and nothing in it is executed."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from .. import _validate as check
from ..errors import InvalidConfigError
from ..storage import load_errors, write_atomically
from ..storage_checks import Refused
from . import file_json, file_npz
from .formats import edges

if TYPE_CHECKING:
    from .neighbor_graph import NeighborGraph

# Largest files that are read; a gigabyte of text would become ten of Python objects.
_MAX_BYTES = {".npz": 1 << 30}
_MAX_TEXT_BYTES = 1 << 28

_READERS: dict[str, Callable[[bytes, bool | None], NeighborGraph]] = {
    ".txt": edges.edge_list,
    ".edges": edges.edge_list,
    ".edgelist": edges.edge_list,
    ".csv": edges.table,
    ".tsv": edges.table,
    ".json": file_json.node_link,
    ".npz": file_npz.arrays,
}
_WRITERS: dict[str, Callable[[NeighborGraph], bytes]] = {".npz": file_npz.pack, ".json": file_json.pack}


def read(path: Any, directed: Any) -> NeighborGraph:
    """See `NeighborGraph.read`."""
    name = _as_path(path)
    if directed is not None:
        directed = check.as_bool(directed, "directed")
    with load_errors(name):
        suffix = PurePath(name).suffix.lower()
        data = _content(name, _MAX_BYTES.get(suffix, _MAX_TEXT_BYTES))
        if suffix not in _READERS:
            raise Refused(f"expected a name ending in {', '.join(_READERS)}")
        return _READERS[suffix](data, directed)


def parse(data: bytes, suffix: str, name: str) -> NeighborGraph:
    """A graph from the content of a file with this suffix; errors call it `name`."""
    with load_errors(name):
        if suffix not in _READERS:
            raise Refused(f"expected a name ending in {', '.join(_READERS)}")
        return _READERS[suffix](data, None)


def save(graph: NeighborGraph, path: Any) -> None:
    """See `NeighborGraph.save`."""
    name = _as_path(path)
    suffix = PurePath(name).suffix.lower()
    if suffix not in _WRITERS:
        expected = "a name ending in " + " or ".join(_WRITERS)
        raise InvalidConfigError(
            f"path: expected {expected}, got {name!r}", argument="path", expected=expected, actual=name
        )
    data = _WRITERS[suffix](graph)
    with load_errors(name):
        write_atomically(name, data)


def _as_path(path: Any) -> str:
    if not isinstance(path, (str, os.PathLike)):
        raise InvalidConfigError(
            f"path: expected a path, got {type(path).__name__}",
            argument="path",
            expected="a path",
            actual=type(path).__name__,
        )
    return os.fsdecode(path)


def _content(name: str, max_bytes: int) -> bytes:
    mode = os.stat(name).st_mode
    if stat.S_ISDIR(mode):
        raise Refused("is a folder")
    if not stat.S_ISREG(mode):  # a pipe or device could block or never end
        raise Refused("is not a regular file")
    with open(name, "rb") as file:
        data = file.read(max_bytes + 1)
    if not data:
        raise Refused("is empty")
    if len(data) > max_bytes:
        raise Refused(f"larger than the limit of {max_bytes} bytes")
    return data

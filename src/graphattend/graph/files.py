"""Reading and writing graphs. A file is never trusted: its size is bounded and nothing in it is executed."""

from __future__ import annotations

import os
import stat
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from .. import _validate as check
from ..errors import InvalidConfigError
from ..storage import load_errors, write_atomically
from ..storage_checks import Refused
from .formats import FORMATS, Format

if TYPE_CHECKING:
    from .neighbor_graph import NeighborGraph


def read(path: Any, directed: Any) -> NeighborGraph:
    """See `NeighborGraph.read`."""
    name = _as_path(path)
    if directed is not None:
        directed = check.as_bool(directed, "directed")
    with load_errors(name):
        suffix = PurePath(name).suffix.lower()
        _check_file(name)  # a folder is called a folder, whatever its name
        form = _format(suffix)
        return form.read(_content(name, form.max_bytes), directed)


def parse(data: bytes, suffix: str, name: str) -> NeighborGraph:
    """A graph from the content of a file with this suffix; errors call it `name`."""
    with load_errors(name):
        return _format(suffix).read(data, None)


def _format(suffix: str) -> Format:
    if suffix not in FORMATS:
        raise Refused(f"expected a name ending in {', '.join(FORMATS)}")
    return FORMATS[suffix]


def save(graph: NeighborGraph, path: Any) -> None:
    """See `NeighborGraph.save`."""
    name = _as_path(path)
    suffix = PurePath(name).suffix.lower()
    write = FORMATS[suffix].write if suffix in FORMATS else None
    if write is None:
        expected = "a name ending in " + " or ".join(s for s, form in FORMATS.items() if form.write is not None)
        raise InvalidConfigError.of("path", expected, name, got=f"{name!r}")
    data = write(graph)
    with load_errors(name):
        write_atomically(name, data)


def _as_path(path: Any) -> str:
    if not isinstance(path, (str, os.PathLike)):
        raise InvalidConfigError.of("path", "a path", type(path).__name__)
    return os.fsdecode(path)


def _check_file(name: str) -> None:
    mode = os.stat(name).st_mode
    if stat.S_ISDIR(mode):
        raise Refused("is a folder")
    if not stat.S_ISREG(mode):  # a pipe or device could block or never end
        raise Refused("is not a regular file")


def _content(name: str, max_bytes: int) -> bytes:
    with open(name, "rb") as file:
        data = file.read(max_bytes + 1)
    if not data:
        raise Refused("is empty")
    if len(data) > max_bytes:
        raise Refused(f"larger than the limit of {max_bytes} bytes")
    return data

"""Reading and writing graphs. Files are untrusted: their size is bounded and nothing in them is executed."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, NamedTuple

from .. import _validate as check
from ..errors import AttentionError, InvalidConfigError
from ..storage import load_errors, write_atomically
from ..storage_checks import Refused, read_most
from .formats import COMPRESSIONS, FOLDERS, FORMATS, Format
from .formats._writing import cannot, same
from .formats.edge_table import EdgeTable, Wanted

if TYPE_CHECKING:
    from .neighbor_graph import NeighborGraph

#: Patterns of a file's first bytes, which determine the format of content without a file name.
_SIGNS = (
    (".npz", rb"PK\x03\x04"),
    (".json", rb"\s*\{"),
    (".graphml", rb"(?s)\s*<.*?<graphml\b|\s*<graphml\b"),
    (".gexf", rb"(?s)\s*<.*?<gexf\b|\s*<gexf\b"),
    (".mtx", rb"(?i)%%MatrixMarket"),
    (".net", rb"(?i)\*(vertices|network)\b"),
    (".gml", rb"(?s)((Creator|Version)\b[^\n]*\n|\s|#[^\n]*\n)*graph\s*\["),
    (".planetoid", rb"\x80\x02ccollections\ndefaultdict"),
    (".faiss", rb"I(HN[fps2]|xM[p2])"),
    (".csv", rb"(?i)[^\r\n]*\bsource\b"),
    (".txt", rb""),
)


#: Formats that store every field of a graph without loss.
_COMPLETE = (".npz", ".json")


class Told(NamedTuple):
    """A graph, and whether its edges are directed (None if neither the caller nor the file specifies it)."""

    graph: NeighborGraph
    directed: bool | None


def read(
    path: str | os.PathLike[str],
    directed: object = None,
    weights: object = None,
    edge_features: Sequence[str] | None = None,
    format: object = None,
) -> Told:
    """See `NeighborGraph.read`."""
    name = as_path(path)
    wanted = as_wanted(directed, weights, edge_features)
    chosen = None if format is None else _as_format(format)
    with load_errors(name):
        if os.path.isdir(name):
            return _told(_folder(name), wanted)
        suffix, compression = suffixes_of(name)
        form = _format(chosen or suffix)
        return _told(form.read(content_of(name, compression, form.max_bytes)), wanted)


def parse(
    data: bytes,
    name: str,
    *,
    suffix: str | None = None,
    format: object = None,
    directed: object = None,
    weights: object = None,
    edge_features: Sequence[str] | None = None,
) -> Told:
    """Parse the content of a file into a graph.

    Args:
        data: The content.
        name: Name of the file in error messages.
        suffix: Suffix of the file's name, which determines the format.
        format: Name of the format. If neither is given, the first bytes determine it.
        directed: Whether an edge runs one way only, as in `NeighborGraph.read`.
        weights: Name of the column of weights.
        edge_features: Names of the columns of edge features.
    """
    wanted = as_wanted(directed, weights, edge_features)
    suffix = suffix if format is None else _as_format(format)
    with load_errors(name):
        compression = next((s for s, c in COMPRESSIONS.items() if data.startswith(c.magic)), None)
        if suffix is None:
            plain = data if compression is None else COMPRESSIONS[compression].expand(data, 1 << 16)
            suffix = next(s for s, sign in _SIGNS if re.match(sign, plain.removeprefix(b"\xef\xbb\xbf")))
        form = _format(suffix)
        return _told(form.read(_expanded(data, compression, form.max_bytes)), wanted)


def as_wanted(directed: object, weights: object, edge_features: Sequence[str] | None) -> Wanted:
    """Validate the caller's options for the edges."""
    if directed is not None:
        directed = check.as_bool(directed, "directed")
    if weights is not None and not isinstance(weights, str):
        raise InvalidConfigError.of("weights", "the name of a column", type(weights).__name__)
    if edge_features is not None and (
        isinstance(edge_features, str)
        or not isinstance(edge_features, Sequence)
        or not all(isinstance(name, str) for name in edge_features)
    ):
        raise InvalidConfigError.of("edge_features", "a list of names of columns", edge_features)
    return Wanted(directed, weights, None if edge_features is None else list(edge_features))


def suffixes_of(name: str) -> tuple[str, str | None]:
    """Return the suffix of the format, and the suffix of the compression or None."""
    path = PurePath(name)
    last = path.suffix.lower()
    if re.search(r"\bind\.[^.]+\.graph$", path.name):  # .graph is otherwise METIS
        return ".planetoid", None
    return (PurePath(path.stem).suffix.lower(), last) if last in COMPRESSIONS else (last, None)


def content_of(name: str, compression: str | None, limit: int) -> bytes:
    """Return the decompressed content of a file of at most `limit` bytes."""
    mode = os.stat(name)
    if not stat.S_ISREG(mode.st_mode):  # a pipe or device could block or never end
        raise Refused("is not a regular file")
    with open(name, "rb") as file:
        return _expanded(read_most(file, limit + 1, mode.st_size), compression, limit)


def _expanded(data: bytes, compression: str | None, limit: int) -> bytes:
    if not data:
        raise Refused("is empty")
    found = next((s for s, c in COMPRESSIONS.items() if data.startswith(c.magic)), None)
    if compression is None and found is not None:
        raise Refused(f"is compressed; use the suffix {found}")
    if compression is not None and len(data) <= limit:
        data = COMPRESSIONS[compression].expand(data, limit)
        if not data:
            raise Refused("is empty inside its compression")
    if len(data) > limit:
        raise Refused(f"larger than the limit of {limit} bytes")
    return data


def _told(table: EdgeTable, wanted: Wanted) -> Told:
    directed = table.directed if wanted.directed is None else wanted.directed
    return Told(table.graph(wanted), directed if isinstance(directed, bool) else None)


def _format(suffix: str) -> Format:
    if suffix not in FORMATS:
        known, packed = ", ".join(FORMATS), ", ".join(COMPRESSIONS)
        raise Refused(f"expected a name ending in {known} (and maybe {packed}), or the format as an argument")
    return FORMATS[suffix]


def _as_format(format: object) -> str:
    """Return the suffix of a format named ``csv`` or ``.csv``."""
    name = format if isinstance(format, str) else ""
    return "." + check.as_choice(name.removeprefix(".").lower(), "format", [s.removeprefix(".") for s in FORMATS])


def _folder(name: str) -> EdgeTable:
    entries = set(os.listdir(name))
    for mark, read_folder in FOLDERS.items():
        if mark in entries:
            return read_folder(name)
    raise Refused("is a folder")


def save(graph: NeighborGraph, path: str | os.PathLike[str]) -> None:
    """See `NeighborGraph.write`."""
    name = as_path(path)
    suffix, compression = suffixes_of(name)
    write = FORMATS[suffix].write if suffix in FORMATS else None
    if write is None:
        expected = "a name ending in " + " or ".join(s for s, form in FORMATS.items() if form.write is not None)
        raise InvalidConfigError.of("path", expected, name, got=f"{name!r}")
    data = write(graph)
    if suffix not in _COMPLETE and not _comes_back(graph, data, FORMATS[suffix]):
        raise cannot(suffix, "all of this graph, such as nodes without edges or names like its own signs")
    with load_errors(name):
        write_atomically(name, data if compression is None else COMPRESSIONS[compression].compress(data))


def _comes_back(graph: NeighborGraph, data: bytes, form: Format) -> bool:
    """Whether reading the content returns the graph that was written."""
    try:
        return same(graph, form.read(data).graph(Wanted()))
    except (Refused, AttentionError):
        return False


def as_path(path: str | os.PathLike[str]) -> str:
    """Check a path and return it as text."""
    if not isinstance(path, (str, os.PathLike)):
        raise InvalidConfigError.of("path", "a path", type(path).__name__)
    return os.fsdecode(path)

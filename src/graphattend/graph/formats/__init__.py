"""File formats of graphs: a module each, registered by suffix in a line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...registry import Registry

if TYPE_CHECKING:
    from ..neighbor_graph import NeighborGraph

__all__ = ["FORMATS", "Format"]

# A gigabyte of text would become ten of Python objects.
_MAX_TEXT_BYTES = 1 << 28


@dataclass(frozen=True)
class Format:
    """How files of one format are read and written.

    Args:
        read: From the content and whether edges run one way (None: what the file says) to a graph; what it raises says
            what is wrong with the content.
        write: From a graph to the content; None where the format is only read.
        max_bytes: Largest file that is read.

    Example:
        >>> from graphattend.graph import NeighborGraph
        >>> from graphattend.graph.formats import FORMATS, Format
        >>> FORMATS[".json"].read(b'{"nodes": [{}, {}], "links": [{"source": 0, "target": 1}]}', True).num_edges
        1
        >>> Format(lambda data, directed: NeighborGraph([0, 1, 2], [1, 0])).write is None
        True
    """

    read: Callable[[bytes, bool | None], NeighborGraph]
    write: Callable[[NeighborGraph], bytes] | None = None
    max_bytes: int = _MAX_TEXT_BYTES


_PLACES = {
    ".txt .edges .edgelist": "edges:EDGE_LIST",
    ".csv .tsv": "edges:TABLE",
    ".json": "node_link:NODE_LINK",
    ".npz": "npz:NPZ",
}

#: Formats by suffix; a module is imported when a file of its format is first read or written.
FORMATS: Registry[Format] = Registry(
    "format",
    {suffix: f"{__name__}.{place}" for suffixes, place in _PLACES.items() for suffix in suffixes.split()},
)

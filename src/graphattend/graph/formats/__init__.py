"""File formats of graphs: one module per format, registered by suffix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...registry import Registry

if TYPE_CHECKING:
    from ..neighbor_graph import NeighborGraph
    from .edge_table import EdgeTable

__all__ = ["COMPRESSIONS", "FOLDERS", "FORMATS", "VECTORS", "Compression", "Format"]

# A gigabyte of text would become ten gigabytes of Python objects.
_MAX_TEXT_BYTES = 1 << 28


@dataclass(frozen=True)
class Format:
    """The reader and the writer of a file format.

    Args:
        read: Function that converts the content of a file to its edges. It raises `Refused` for invalid content.
        write: Function that converts a graph to the content of a file, or None if the format can only be read.
        max_bytes: Largest size of the content.

    Example:
        >>> from graphattend.graph.formats import FORMATS
        >>> table = FORMATS[".json"].read(b'{"nodes": [{}, {}], "links": [{"source": 0, "target": 1}]}')
        >>> table.sources, table.targets, table.directed
        ([0], [1], False)
    """

    read: Callable[[bytes], EdgeTable]
    write: Callable[[NeighborGraph], bytes] | None = None
    max_bytes: int = _MAX_TEXT_BYTES


@dataclass(frozen=True)
class Compression:
    """A compression for files of any format.

    Args:
        magic: The first bytes of a compressed file.
        expand: Function that decompresses content up to a limit. A longer result means that the limit was exceeded.
        compress: Function that compresses content.
    """

    magic: bytes
    expand: Callable[[bytes, int], bytes]
    compress: Callable[[bytes], bytes]


_PLACES = {
    ".txt .edges .edgelist .el .ncol": "edges:EDGE_LIST",
    ".cites": "edges:CITATIONS",
    ".csv": "edges:TABLE",
    ".tsv": "edges:TAB_TABLE",
    ".json": "json_documents:JSON",
    ".cyjs": "cytoscape:CYTOSCAPE",
    ".npz": "npz:NPZ",
    ".graphml": "graphml:GRAPHML",
    ".gexf": "gexf:GEXF",
    ".gml": "gml:GML",
    ".net": "pajek:PAJEK",
    ".adjlist": "adjacency_list:ADJACENCY_LIST",
    ".mtx": "matrix_market:MATRIX_MARKET",
    ".graph .metis": "metis:METIS",
    ".planetoid": "planetoid:PLANETOID",
    ".faiss .index": "faiss_index:FAISS",
    ".hnsw .hnswlib .bin": "hnswlib_index:HNSWLIB",
}

#: Formats by suffix. A module is imported when a file of its format is first read or written.
FORMATS: Registry[Format] = Registry(
    "format",
    {suffix: f"{__name__}.{place}" for suffixes, place in _PLACES.items() for suffix in suffixes.split()},
)

#: Compressions by suffix.
COMPRESSIONS: Registry[Compression] = Registry(
    "compression",
    {
        suffix: f"{__name__}.compression:{place}"
        for suffix, place in {".gz": "GZIP", ".bz2": "BZIP2", ".xz": "XZ"}.items()
    },
)

_VECTORS = {
    ".txt .csv .tsv .vec .emb .emd .glove": "vectors:vectors",
    ".npy": "vectors_binary:read_npy",
    ".npz": "vectors_binary:read_npz",
    ".bin": "vectors_binary:read_word2vec",
    ".x .tx .allx": "planetoid:read_features",
}

#: Readers of latent vectors by suffix: functions that convert the content to names (or None) and vectors (V, D).
VECTORS: Registry[Callable[[bytes], tuple[list[str] | None, np.ndarray]]] = Registry(
    "format of vectors",
    {suffix: f"{__name__}.{place}" for suffixes, place in _VECTORS.items() for suffix in suffixes.split()},
)

#: Readers of folders, by the name of a file or folder that identifies the format.
FOLDERS: Registry[Callable[[str], EdgeTable]] = Registry(
    "folder format",
    dict.fromkeys(("raw", "edge.csv.gz"), f"{__name__}.ogb:read_folder"),
)

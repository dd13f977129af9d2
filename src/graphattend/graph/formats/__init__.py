"""File formats of graphs: a module each, registered by suffix in a line."""

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

# A gigabyte of text would become ten of Python objects.
_MAX_TEXT_BYTES = 1 << 28


@dataclass(frozen=True)
class Format:
    """How files of one format are read and written.

    Args:
        read: From the content to its edges; what it raises says what is wrong with the content.
        write: From a graph to the content; None where the format is only read.
        max_bytes: Largest content that is read.

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
    """What a file of any format may be wrapped in.

    Args:
        magic: The first bytes.
        expand: From the wrapped content and a limit to the content, or to more bytes than the limit.
        compress: The other way.
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

#: Formats by suffix; a module is imported when a file of its format is first read or written.
FORMATS: Registry[Format] = Registry(
    "format",
    {suffix: f"{__name__}.{place}" for suffixes, place in _PLACES.items() for suffix in suffixes.split()},
)

#: Wrappings by suffix.
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

#: What reads latent vectors, by suffix: from the content to names (or None) and the vectors (V, D).
VECTORS: Registry[Callable[[bytes], tuple[list[str] | None, np.ndarray]]] = Registry(
    "format of vectors",
    {suffix: f"{__name__}.{place}" for suffixes, place in _VECTORS.items() for suffix in suffixes.split()},
)

#: What reads a folder, by the name of a file or folder in it.
FOLDERS: Registry[Callable[[str], EdgeTable]] = Registry(
    "folder format",
    dict.fromkeys(("raw", "edge.csv.gz"), f"{__name__}.ogb:read_folder"),
)

"""The links of layer 0 in faiss's HNSW index files (index_write.cpp), read without faiss."""

from __future__ import annotations

import struct

import numpy as np

from ...storage_checks import Refused
from .. import _csr
from . import Format
from .edge_table import MAX_NODES, EdgeTable, needed

_MAX_BYTES = 1 << 30
#: Four-letter codes of HNSW indexes over flat, product-quantised, scalar-quantised and two-level vectors.
_GRAPHS = (b"IHNf", b"IHNp", b"IHNs", b"IHN2")
#: Codes of an index that wraps another and stores ids at the end.
_WITH_IDS = (b"IxMp", b"IxM2")


class _Bytes:
    """A cursor over bytes."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, form: str) -> tuple[int, ...]:
        """Read numbers in a `struct` format."""
        size = struct.calcsize("<" + form)
        if self.at + size > len(self.data):
            raise Refused("is cut off")
        found = struct.unpack_from("<" + form, self.data, self.at)
        self.at += size
        return found

    def vector(self, dtype: str) -> np.ndarray:
        """Read a vector: its length, then its entries."""
        (count,) = self.take("Q")
        if count * np.dtype(dtype).itemsize > len(self.data) - self.at:
            raise Refused(f"is cut off: a vector of {count} entries does not fit")
        found = np.frombuffer(self.data, dtype, count, self.at)
        self.at += found.nbytes
        return found


def read(data: bytes) -> EdgeTable:
    """Read a node per vector, its highest layer and its links: node i attends to the nodes it links to."""
    content = _Bytes(data)
    ids = None
    name, count = _header(content)
    if name in _WITH_IDS:
        if 8 * count + 8 > len(data) or int.from_bytes(data[-8 * count - 8 : len(data) - 8 * count], "little") != count:
            raise Refused("is cut off before its ids")
        ids = np.frombuffer(data, "<i8", count, len(data) - 8 * count).tolist()
        name, count = _header(content)
    if name not in _GRAPHS:
        raise Refused(f"expected an HNSW index of faiss, got {name!a}; NeighborGraph.from_faiss_hnsw takes others")
    content.vector("<f8")
    slots = content.vector("<i4").astype(np.intp)
    levels, starts = content.vector("<i4").astype(np.intp), content.vector("<u8")
    links = content.vector("<i4")
    fits = len(levels) == count and len(starts) == count + 1 and len(slots) > 1
    if not fits or slots[0] != 0 or not 0 < slots[1] <= len(links) or levels.min() < 1:
        raise Refused("is damaged: its lists do not fit together")
    width = int(slots[1])
    if (starts[:-1] > np.uint64(len(links) - width)).any():
        raise Refused("is damaged: a list of links starts behind the end")
    places = links[_csr.ranges(starts[:-1].astype(np.intp), np.full(count, width))]
    used = places >= 0
    if (places[used] >= count).any():
        raise Refused("is damaged: a link to a vector that does not exist")
    return EdgeTable(
        sources=places[used],
        targets=np.repeat(np.arange(count), width)[used],
        num_nodes=count,
        names=None if ids is None else needed([str(i) for i in ids]),
        layers=levels - 1,
    )


def _header(content: _Bytes) -> tuple[bytes, int]:
    """Read the four-letter code and the number of vectors."""
    name = bytes(content.take("4B"))
    _, count, _, _, _, metric = content.take("iqqqBi")
    if metric > 1:
        content.take("f")
    if not 0 < count <= MAX_NODES:
        raise Refused(f"expected 1 to {MAX_NODES} vectors, got {count}")
    return name, count


FAISS = Format(read, max_bytes=_MAX_BYTES)

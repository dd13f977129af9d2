"""The links of layer 0 in hnswlib's index files (hnswalg.h, saveIndex), read without hnswlib."""

from __future__ import annotations

import struct

import numpy as np

from ...storage_checks import Refused
from . import Format
from .edge_table import MAX_NODES, EdgeTable, needed

#: Offsets and sizes, numbers of elements, the highest layer, the entry point, links per element, 1/ln(M) and ef.
_HEAD = struct.Struct("<QQQQQQiIQQQdQ")
_MAX_BYTES = 1 << 30
_DELETED = 2


def read(data: bytes) -> EdgeTable:
    """Read a node per element, named by its label, its highest layer and its links: node i attends to those."""
    if len(data) < _HEAD.size:
        raise Refused("is no hnswlib index: too short")
    start, most, count, width, label_at, vector_at, _, _, links_above, links, _, _, _ = _HEAD.unpack_from(data)
    body = len(data) - _HEAD.size
    sane = start == 0 and 0 < count <= min(most, MAX_NODES) and 0 < links_above <= links < 1 << 20
    if not sane or vector_at != 4 * links + 4 or not vector_at < label_at or width != label_at + 8:
        raise Refused("is no hnswlib index: its sizes contradict each other")
    if count * width + 4 * count > body:
        raise Refused(f"is cut off: {count} elements need more than {body} bytes")
    rows = np.frombuffer(data, np.uint8, count * width, _HEAD.size).reshape(count, width)
    used = rows[:, :2].copy().view("<u2").ravel().astype(np.intp)
    if (rows[:, _DELETED] & 1).any():
        raise Refused("has deleted elements; save it without them")
    listed = rows[:, 4:vector_at].copy().view("<u4").astype(np.int64)
    filled = np.arange(links) < used[:, None]
    if used.max() > links or (listed[filled] >= count).any():
        raise Refused("is damaged: a link to an element that does not exist")
    targets, _ = np.nonzero(filled)
    labels = rows[:, label_at:].copy().view("<u8").ravel()
    return EdgeTable(
        sources=listed[filled],
        targets=targets,
        num_nodes=count,
        names=needed([str(n) for n in labels.tolist()]),
        layers=_layers(data, _HEAD.size + count * width, count, 4 * links_above + 4),
    )


def _layers(data: bytes, at: int, count: int, size: int) -> np.ndarray:
    """Return the highest layer of every element, from the length of its links above layer 0."""
    layers = np.empty(count, dtype=np.intp)
    for i in range(count):
        if at + 4 > len(data):
            raise Refused(f"is cut off in the links of element {i}")
        length = int.from_bytes(data[at : at + 4], "little")
        if length % size:
            raise Refused(f"is damaged: the links of element {i} take {length} bytes")
        layers[i] = length // size
        at += 4 + length
    if at != len(data):
        raise Refused("is damaged: its length is not that of its elements")
    return layers


HNSWLIB = Format(read, max_bytes=_MAX_BYTES)

"""Vectors in the binary formats of NumPy and word2vec."""

from __future__ import annotations

import re

import numpy as np

from ...storage_checks import Refused
from ...storage_npz import parse_npy, read_members

_MAX_BYTES = 1 << 30
_SIZES = re.compile(rb"([0-9]{1,10}) ([0-9]{1,6})\n")
_MAX_WORD = 1000

Vectors = tuple[list[str] | None, np.ndarray]


def read_npy(data: bytes) -> Vectors:
    """Read a file written by `np.save`. Object arrays raise an error."""
    return None, parse_npy(memoryview(data), "vectors")


def read_npz(data: bytes) -> Vectors:
    """Read an archive of one array of numbers and, optionally, one array of names."""
    members = read_members(memoryview(data), _MAX_BYTES, text=True)
    text = [a for a in members.values() if a.dtype.kind == "U"]
    found = [a for a in members.values() if a.dtype.kind != "U"]
    if len(found) != 1 or len(text) > 1:
        raise Refused(f"expected one array of numbers, and maybe one of names; found {', '.join(sorted(members))[:80]}")
    if text and text[0].shape != found[0].shape[:1]:
        raise Refused(f"expected a name for every vector, got shapes {text[0].shape} and {found[0].shape}")
    return [str(name) for name in text[0].tolist()] if text else None, found[0]


def read_word2vec(data: bytes) -> Vectors:
    """Read word2vec's format: a line ``V D``, then V times a name, a blank and D numbers of 4 bytes."""
    sizes = _SIZES.match(data)
    if sizes is None:
        raise Refused("expected word2vec's line V D in front of the vectors")
    count, dim = int(sizes[1]), int(sizes[2])
    width = 4 * dim
    if count == 0 or dim == 0 or count * (width + 1) > len(data):
        raise Refused(f"announces {count} vectors of {dim} numbers, which do not fit its {len(data)} bytes")
    names, starts, at = [], np.empty(count, dtype=np.intp), sizes.end()
    for k in range(count):
        if data[at : at + 1] == b"\n":  # word2vec ends every vector with a newline, gensim does not
            at += 1
        end = data.find(b" ", at, at + _MAX_WORD)
        if end < 0 or end + 1 + width > len(data):
            raise Refused(f"is cut off or damaged at vector {k + 1} of {count}")
        try:
            names.append(data[at:end].decode())
        except UnicodeDecodeError:
            raise Refused(f"the name of vector {k + 1} is not UTF-8 text") from None
        starts[k], at = end + 1, end + 1 + width
    if data[at:].strip():
        raise Refused(f"has data after its {count} vectors")
    rows = np.frombuffer(data, np.uint8)[starts[:, None] + np.arange(width)]
    return names, rows.view("<f4").astype(np.float32)

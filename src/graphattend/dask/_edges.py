"""Reading edge lists in blocks, from text or .npy files of whole numbers, for graphs that do not fit into memory."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from ..graph.conversions import need
from ..graph.formats import COMPRESSIONS
from ..graph.formats._columns import roles
from ..graph.formats.edges import told_by_comments
from ..storage import load_errors
from ..storage_checks import Refused

#: Number of bytes of text, and of edges of an array, per block.
BLOCK_BYTES, BLOCK_EDGES = 1 << 23, 1 << 21
#: Suffixes of text files that are read in blocks.
TEXT = (".txt", ".edges", ".edgelist", ".el", ".csv", ".tsv")
#: Number of bytes at the start of a file that must contain its comments and first edge.
_HEAD = 1 << 16
_COMMENTS = (b"#", b"%", b"//")
_MODULES = {".gz": "gzip", ".bz2": "bz2", ".xz": "lzma"}


class Edges(NamedTuple):
    """A block of edges: sources and targets (k,), and weights (k,) or None."""

    sources: np.ndarray
    targets: np.ndarray
    weights: np.ndarray | None


@dataclass(frozen=True)
class ArrayFile:
    """An ``edge_index`` (2, K) of whole numbers in a .npy file.

    Args:
        path: The file.
        directed: Whether its edges run one way.
    """

    path: str
    directed: bool
    weighted = False
    #: Nodes are all numbers from 0 to the largest.
    has_gaps = False

    def blocks(self) -> Iterator[Edges]:
        """The edges, in their order."""
        with load_errors(self.path):
            pairs = np.load(self.path, mmap_mode="r", allow_pickle=False)
            if pairs.dtype.kind not in "iu" or pairs.ndim != 2 or pairs.shape[0] != 2:
                raise Refused(f"expected whole numbers (2, K), got {pairs.dtype} of shape {pairs.shape}")
            for start in range(0, pairs.shape[1], BLOCK_EDGES):
                block = np.asarray(pairs[:, start : start + BLOCK_EDGES], np.int64)
                if block.min() < 0:
                    raise Refused(f"expected nodes >= 0, got {block.min()}")
                yield Edges(block[0], block[1], None)


@dataclass(frozen=True)
class TextFile:
    """Lines ``source target [weight]``.

    Args:
        path: The file.
        directed: Whether its edges run one way.
        compression: Suffix of its compression, or None.
        separator: Byte between the columns.
        width: Number of columns.
        source: Column of the sources.
        target: Column of the targets.
        weight: Column of the weights, or None.
        skip: Lines before the first edge.
    """

    path: str
    directed: bool
    compression: str | None
    separator: bytes
    width: int
    source: int
    target: int
    weight: int | None
    skip: int
    #: Nodes are only the numbers that occur.
    has_gaps = True

    @property
    def weighted(self) -> bool:
        """Whether edges have weights."""
        return self.weight is not None

    def blocks(self) -> Iterator[Edges]:
        """The edges, in their order."""
        with load_errors(self.path), _opened(self.path, self.compression) as file:
            line = 1 + self.skip
            for _ in range(self.skip):
                file.readline()
            rest = b""
            while True:
                data = file.read(BLOCK_BYTES)
                text = rest + data
                end = text.rfind(b"\n") + 1 if data else len(text)
                text, rest = text[:end], text[end:]
                if len(rest) > _HEAD:
                    raise Refused(f"line {line + text.count(10)}: longer than {_HEAD} bytes")
                if text:
                    yield self._block(text, line)
                    line += text.count(b"\n")
                if not data:
                    return

    def _block(self, text: bytes, line: int) -> Edges:
        text = text.replace(b"\r", b" ")
        if any(sign in text for sign in _COMMENTS):
            kept = (b"" if row.lstrip().startswith(_COMMENTS) else row for row in text.split(b"\n"))
            text = b"\n".join(kept)
        if self.separator != b" ":
            text = text.replace(self.separator, b" ")
        if not text.endswith(b"\n"):
            text += b"\n"
        if not self._is_sound(np.frombuffer(text, np.uint8)):
            raise Refused(self._fault(text, line))
        kind = np.int64 if self.weight is None else np.float64
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # NumPy warns of invalid numbers
            try:
                table = np.fromstring(text, kind, sep=" ").reshape(-1, self.width)
            except (DeprecationWarning, ValueError, OverflowError):
                raise Refused(self._fault(text, line)) from None
        ends = table[:, [self.source, self.target]].astype(np.int64).T
        weights = None if self.weight is None else np.ascontiguousarray(table[:, self.weight])
        if weights is not None and not np.isfinite(weights).all():
            raise Refused(f"line {line} or below: expected finite weights")
        return Edges(ends[0], ends[1], weights)

    def _is_sound(self, text: np.ndarray) -> bool:
        """Return whether every line has all columns or is blank, and all endpoints are plain whole numbers."""
        blank = text <= 32
        begins = ~blank
        begins[1:] &= blank[:-1]
        cell = np.cumsum(begins, dtype=np.int64)
        per_line = np.diff(cell[text == 10], prepend=0)
        if not ((per_line == self.width) | (per_line == 0)).all():
            return False
        column = (cell - 1) % self.width
        end = (column == self.source) | (column == self.target) if self.width > 2 else np.True_
        digit = (text >= 48) & (text <= 57)
        if (~blank & ~digit & end).any():
            return False
        first = np.flatnonzero(begins & (text == 48) & end)  # 01 and 1 are different names
        if digit[first + 1].any():
            return False
        longest = np.diff(np.flatnonzero(blank), prepend=-1).max(initial=0) - 1
        return bool(longest <= 15) or self.width > 2  # float64 is exact for 15 digits

    def _fault(self, text: bytes, line: int) -> str:
        for i, row in enumerate(text.split(b"\n")):
            cells = row.split()
            if not cells:
                continue
            where = f"line {line + i}: "
            if len(cells) != self.width:
                return f"{where}expected {self.width} columns, got {len(cells)}"
            for column, cell in enumerate(cells):
                shown = cell[:40].decode("latin-1")
                if column in (self.source, self.target):
                    if not cell.isdigit() or (cell != b"0" and cell.startswith(b"0")) or len(cell) > 15:
                        return f"{where}expected whole numbers as nodes, got {shown!r}; other names are no stream"
                elif not _is_number(cell):
                    return f"{where}expected a number, got {shown!r}"
        return f"line {line} or below: expected numbers"


def _is_number(cell: bytes) -> bool:
    try:
        return np.isfinite(float(cell))
    except ValueError:
        return False


def _opened(path: str, compression: str | None) -> BinaryIO:
    opener: Any = open if compression is None else need(_MODULES[compression], _MODULES[compression]).open
    return opener(path, "rb")


def edge_file(path: str | os.PathLike[str], directed: bool | None) -> ArrayFile | TextFile | None:
    """Return a reader of the file in blocks, or None if only `NeighborGraph.read` can read the file."""
    name = os.fsdecode(path)
    stem, suffix = os.path.splitext(name)
    if suffix.lower() == ".npy":
        return ArrayFile(name, directed is not False)
    compression = suffix.lower() if suffix.lower() in COMPRESSIONS else None
    if compression is not None:
        suffix = os.path.splitext(stem)[1]
    if suffix.lower() not in TEXT or not os.path.isfile(name):
        return None
    with load_errors(name), _opened(name, compression) as file:
        head = file.read(_HEAD)
        return _described(name, compression, head, directed)


def _described(path: str, compression: str | None, head: bytes, directed: bool | None) -> TextFile | None:
    lines = head.split(b"\n")[:-1] if len(head) == _HEAD else head.split(b"\n")
    starts = [line.strip() for line in lines]
    skip = next((i for i, row in enumerate(starts) if row and not row.startswith(_COMMENTS)), None)
    if skip is None or head.startswith(b"\xef\xbb\xbf"):
        return None
    row = starts[skip]
    comments = [line.decode("utf-8", "replace") for line in starts[:skip] if line]
    separator = next((s for s in (b",", b";", b"\t") if s in row), b" ")
    cells = _cells(row, separator)
    named = roles(cells)
    if named is not None:
        skip += 1
    elif comments:
        named = roles(_cells(comments[-1].lstrip("#%/ ").encode(), separator))
    told, more = told_by_comments(comments)
    if named is None:
        if len(cells) not in (2, 3) or len(more) > 1 or not all(_is_number(cell.encode()) for cell in cells):
            return None
        source, target, weight = 0, 1, 2 if len(cells) == 3 else None
    else:
        if named.kind or named.ids or named.rows or len(named.data) > 1 or not set(named.data) <= {"weight", "Weight"}:
            return None
        source, target, weight = named.source, named.target, next(iter(named.data.values()), None)
    first = next((r for line in lines[skip:] if (r := line.strip()) and not r.startswith(_COMMENTS)), b"")
    ends = _cells(first, separator)
    if len(ends) != len(cells) or not all(ends[i].isdigit() for i in (source, target)):
        return None
    return TextFile(
        path,
        told if directed is None else directed,
        compression,
        separator,
        len(ends),
        source,
        target,
        weight,
        skip,
    )


def _cells(row: bytes, separator: bytes) -> list[str]:
    text = row.decode("utf-8", "replace")
    parts = text.split() if separator == b" " else text.split(separator.decode())
    return [part.strip().strip('"') for part in parts]

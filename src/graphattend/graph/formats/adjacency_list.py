"""Adjacency lists as networkx writes them: a node, then its neighbours, on every line."""

from __future__ import annotations

import numpy as np

from ...storage_checks import Refused
from . import Format
from ._text import decode, lines_of
from .edge_table import EdgeTable, needed, numbered


def read(data: bytes) -> EdgeTable:
    """Undirected as networkx reads them; edges that are listed at both ends are one, if all are."""
    lines, _ = lines_of(decode(data), trailing=True)
    rows = [(number, line.split()) for number, line in enumerate(lines, 1) if line.strip()]
    if not rows:
        raise Refused("holds no nodes")
    sources = [words[0] for _, words in rows for _ in words[1:]]
    targets = [word for _, words in rows for word in words[1:]]
    numbers = [number for number, words in rows for _ in words[1:]]
    alone = [words[0] for _, words in rows]
    (first, second), names = numbered(alone + sources, alone + targets)
    first, second = first[len(alone) :], second[len(alone) :]
    return EdgeTable(
        sources=first,
        targets=second,
        num_nodes=len(names),
        names=needed(names),
        directed=False,
        twice=_is_twice(first, second),
        where=lambda k: f"line {numbers[k]}",
    )


def _is_twice(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether the ends of some edge list each other."""
    there = {(i, j) for i, j in zip(first.tolist(), second.tolist(), strict=True) if i != j}
    return any((j, i) in there for i, j in there)


ADJACENCY_LIST = Format(read)

"""Pajek's networks (.net): vertices, then arcs (directed), edges (undirected), lists of either, or a matrix."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ...storage_checks import Refused
from ..neighbor_graph import NeighborGraph
from . import Format
from ._text import decode, shown
from ._writing import cannot, edges_of, nodes_of, refuse
from .edge_table import WEIGHT, WHOLE, EdgeTable, Places, check_count, columns_of, needed, number_or_text

_WORDS = re.compile(r'"([^"]*)"|(\S+)')
_LINE_END = re.compile(r"\r\n|\r|\n")
#: Drawing options of edges; a value follows each.
_DRAWN = re.compile("w|c|p|s|ap?|l|lp|lr|lphi|lc|la|[hak][12]|font|fos|ic|bc|bw|phi|r|q", re.IGNORECASE)
_SECTIONS = ("*arcslist", "*edgeslist", "*arcs", "*edges", "*matrix")

#: Largest number of vertices without a line, because their names cost memory.
_MAX_UNLISTED = 1_000_000

Line = tuple[int, list[str]]


def read(data: bytes) -> EdgeTable:
    """Read one network. The name of an unlisted vertex is its number; the default weight of an edge is 1."""
    sections = list(_sections(decode(data)))
    if not sections or sections[0][0] != "*vertices":
        raise Refused("expected a line *Vertices N before the edges")
    names = _names(*sections[0][1:])
    size = len(names)
    ends: list[tuple[int, int]] = []
    records: list[dict[str, Any]] = []
    directed: list[bool] = []
    lines: list[int] = []
    for name, header, rows in sections[1:]:
        found = _matrix(rows, size) if name == "*matrix" else _rows(name, rows, size)
        relation = " ".join(word for word in header[1:] if not word.startswith(":"))
        for number, i, j, record in found:
            ends.append((i, j))
            records.append(record | ({"relation": relation} if relation else {}))
            directed.append(not name.startswith("*edges"))
            lines.append(number)
    pairs = np.array(ends, dtype=np.intp).reshape(-1, 2)
    return EdgeTable(
        sources=pairs[:, 0],
        targets=pairs[:, 1],
        num_nodes=size,
        names=needed(names) if names != [str(i + 1) for i in range(size)] else names,
        directed=directed[0] if len(set(directed)) == 1 else np.array(directed) if directed else True,
        columns=columns_of(records),
        where=Places("line ", numbers=lines),
    )


def _sections(text: str) -> Iterator[tuple[str, list[str], list[Line]]]:
    """Yield the name, the words of the first line and the other lines of every section except *Network."""
    current: tuple[str, list[str], list[Line]] | None = None
    for number, line in enumerate(_LINE_END.split(text), 1):
        words = [quoted or plain for quoted, plain in _WORDS.findall(line)] if line.strip() else []
        if not words or words[0].startswith(("%", "#", "/*")):
            continue
        first = words[0].lower()
        if not first.startswith("*"):
            if current is None:
                raise Refused(
                    f"line {number}: expected *Vertices, got {shown(line)}; read lists of edges as format txt"
                )
            current[2].append((number, words))
        elif first == "*network":
            continue
        elif first == "*vertices" and current is None:
            current = (first, [str(number), *words[1:]], [])
        elif first in _SECTIONS and current is not None:
            yield current
            current = (first, words, [])
        else:
            raise Refused(f"line {number}: the section {shown(words[0])} is not supported")
    if current is not None:
        yield current


def _names(header: Sequence[str], rows: Sequence[Line]) -> list[str]:
    said = header[1] if len(header) > 1 else str(len(rows))
    size = check_count(said, f"line {header[0]}, *Vertices", len(rows) + _MAX_UNLISTED)
    if size == 0:
        raise Refused(f"line {header[0]}: holds no vertices")
    names = [str(i + 1) for i in range(size)]
    for number, words in rows:
        i = _vertex(words[0], size, number)
        if len(words) > 1:
            names[i] = words[1]
    return names


def _vertex(word: str, size: int, number: int) -> int:
    if not WHOLE.fullmatch(word) or not 1 <= int(word) <= size:
        raise Refused(f"line {number}: expected a vertex from 1 to {size}, got {shown(word)}")
    return int(word) - 1


def _rows(name: str, rows: Sequence[Line], size: int) -> Iterator[tuple[int, int, int, dict[str, Any]]]:
    for number, words in rows:
        if len(words) < 2:
            raise Refused(f"line {number}: expected two vertices, got {shown(' '.join(words))}")
        i = _vertex(words[0], size, number)
        if name.endswith("list"):
            yield from ((number, i, _vertex(word, size, number), {}) for word in words[1:])
            continue
        record: dict[str, Any] = {}
        rest = words[2:]
        if rest and not _DRAWN.fullmatch(rest[0]):
            record[WEIGHT] = number_or_text(rest.pop(0))
        pairs = list(zip(rest[::2], rest[1::2], strict=False))
        record |= {key: number_or_text(value) for key, value in pairs if not _DRAWN.fullmatch(key)}
        yield number, i, _vertex(words[1], size, number), record


def _matrix(rows: Sequence[Line], size: int) -> Iterator[tuple[int, int, int, dict[str, Any]]]:
    if len(rows) != size:
        raise Refused(f"*Matrix: expected {size} lines, got {len(rows)}")
    for i, (number, words) in enumerate(rows):
        if len(words) != size:
            raise Refused(f"line {number}: expected {size} numbers, got {len(words)}")
        for j, word in enumerate(words):
            if (value := number_or_text(word)) != 0:
                yield number, i, j, {WEIGHT: value}


def write(graph: NeighborGraph) -> bytes:
    """Write vertices with their names and edges with their weights. Other edge data cannot be stored."""
    refuse(graph, "Pajek", "distances", "edge_features", "layers")
    names = nodes_of(graph, "Pajek", distinct=False)
    if any('"' in name or "\n" in name or "\r" in name or not name for name in names):
        raise cannot("Pajek", "names that are empty or have quotes or line ends")
    sources, targets, columns, directed = edges_of(graph)
    weights = columns.get(WEIGHT)
    lines = [f"*Vertices {graph.num_nodes}", *(f'{i} "{name}"' for i, name in enumerate(names, 1))]
    lines.append("*Arcs" if directed else "*Edges")
    for k, (j, i) in enumerate(zip(sources, targets, strict=True)):
        lines.append(f"{j + 1} {i + 1}" + ("" if weights is None else f" {weights[k]!r}"))
    return "\n".join([*lines, ""]).encode()


PAJEK = Format(read, write)

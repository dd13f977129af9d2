"""Adjacency lists in networkx's format: each line holds a node and its neighbours."""

from __future__ import annotations

import numpy as np

from ...storage_checks import Refused
from ..neighbor_graph import NeighborGraph
from . import Format
from ._text import decode, lines_of
from ._writing import cannot, edges_of, nodes_of, refuse
from .edge_table import EdgeTable, Places, needed, numbered


def read(data: bytes) -> EdgeTable:
    """Read an undirected graph, as networkx does. If any edge is listed at both endpoints, all must be."""
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
        where=Places("line ", numbers=numbers),
    )


def _is_twice(first: np.ndarray, second: np.ndarray) -> bool:
    """Return whether the endpoints of any edge list each other."""
    there = {(i, j) for i, j in zip(first.tolist(), second.tolist(), strict=True) if i != j}
    return any((j, i) in there for i, j in there)


def write(graph: NeighborGraph) -> bytes:
    """Write a line per node with the neighbours not listed on earlier lines, including loops and repeated edges."""
    format = "an adjacency list"
    refuse(graph, format, "edge_weights", "distances", "edge_features", "layers")
    names = nodes_of(graph, format, distinct=True)
    if any(not name or "#" in name or name.split() != [name] or name[0] in "%/" for name in names):
        raise cannot(format, "names with blanks or signs of comments")
    sources, targets, _, directed = edges_of(graph)
    if directed and graph.num_edges:
        raise cannot(format, "edges that run one way")
    listed: list[list[str]] = [[] for _ in names]
    for j, i in zip(sources, targets, strict=True):
        listed[j].append(names[i])
    return "\n".join([*(" ".join([name, *more]) for name, more in zip(names, listed, strict=True)), ""]).encode()


ADJACENCY_LIST = Format(read, write)

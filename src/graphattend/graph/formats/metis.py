"""METIS's graph files: a line ``nodes edges [format]``, then a line per node with its neighbours, numbered from 1."""

from __future__ import annotations

import itertools
import logging

import numpy as np

from ...storage_checks import Refused
from ..neighbor_graph import NeighborGraph
from ..properties import is_undirected
from . import Format
from ._text import decode, shown
from ._writing import cannot, refuse
from .edge_table import WEIGHT, WHOLE, EdgeTable, Places, check_count

_log = logging.getLogger("graphattend.graph.formats")


def read(data: bytes) -> EdgeTable:
    """Read an undirected graph with its edge weights. Node weights are left out with a notice."""
    rows = [(n, line.split()) for n, line in enumerate(decode(data).splitlines(), 1) if not line.startswith("%")]
    if not rows or not 2 <= len(rows[0][1]) <= 4:
        raise Refused("expected a first line: nodes edges [format [weights per node]]")
    (line, head), rest = rows[0], rows[1:]
    size, count = check_count(head[0], f"line {line}, nodes"), check_count(head[1], f"line {line}, edges", 1 << 40)
    form = (head[2] if len(head) > 2 else "0").zfill(3)
    if len(form) != 3 or set(form) - {"0", "1"} or size == 0:
        raise Refused(f"line {line}: expected nodes and a format of three digits 0 or 1, got {shown(' '.join(head))}")
    with_weights = form[2] == "1"
    per_node = check_count(head[3], f"line {line}, weights per node", 1000) if len(head) > 3 else int(form[1])
    skip = int(form[0]) + per_node
    if skip:
        _log.warning("weights and sizes of nodes are left out")
    while len(rest) > size and not rest[-1][1]:
        rest.pop()
    if len(rest) != size:
        raise Refused(f"line {line}: announces {size} nodes, but there are {len(rest)} lines")
    step = 1 + with_weights
    first: list[int] = []
    second: list[int] = []
    lines: list[int] = []
    weights: list[float] = []
    for i, (number, words) in enumerate(rest):
        listed = words[skip:]
        if len(words) < skip or len(listed) % step or not all(map(WHOLE.fullmatch, listed)):
            got = shown(" ".join(words))
            raise Refused(f"line {number}: expected whole numbers, {step} for every neighbour, got {got}")
        neighbours = [int(word) for word in listed[::step]]
        bad = next((j for j in neighbours if not 1 <= j <= size or j == i + 1), None)
        if bad is not None:
            raise Refused(f"line {number}: expected other nodes from 1 to {size}, got {bad}")
        first += [i] * len(neighbours)
        lines += [number] * len(neighbours)
        second += [j - 1 for j in neighbours]
        weights += [float(word) for word in listed[1::2]] if with_weights else []
    if 2 * count != len(first):
        raise Refused(f"line {line}: announces {count} edges, but there are {len(first) / 2:g}")
    return EdgeTable(
        sources=first,
        targets=second,
        num_nodes=size,
        directed=False,
        twice=True,
        columns={WEIGHT: weights} if with_weights else {},
        where=Places("line ", numbers=lines),
    )


def write(graph: NeighborGraph) -> bytes:
    """Write an undirected graph without loops, whose weights are whole numbers from 1."""
    refuse(graph, "METIS", "distances", "edge_features", "layers", "names")
    if not is_undirected(graph) or (graph.indices == graph.targets).any():
        raise cannot("METIS", "edges that run one way, or loops")
    weights = graph.edge_weights
    if weights is not None and ((weights < 1) | (weights != np.floor(weights)) | (weights >= 1e18)).any():
        raise cannot("METIS", "weights that are not whole numbers from 1")
    words = [str(i + 1) for i in graph.indices.tolist()]
    if weights is not None:
        words = [f"{word} {int(weight)}" for word, weight in zip(words, weights.tolist(), strict=True)]
    head = f"{graph.num_nodes} {graph.num_edges // 2}{'' if weights is None else ' 001'}"
    starts = graph.indptr.tolist()
    return "\n".join([head, *(" ".join(words[a:b]) for a, b in itertools.pairwise(starts)), ""]).encode()


METIS = Format(read, write)

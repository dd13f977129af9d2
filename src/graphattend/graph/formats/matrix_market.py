"""Matrix Market's coordinate files, as in SciPy and SuiteSparse: an entry (i, j) means that i attends to j."""

from __future__ import annotations

import numpy as np

from ...storage_checks import Refused
from ..neighbor_graph import NeighborGraph
from . import Format
from ._text import decode, is_number, shown
from ._writing import once, refuse
from .edge_table import WEIGHT, EdgeTable, Places, check_count

_FIELDS = {"real": 3, "integer": 3, "pattern": 2}
_SYMMETRIES = ("general", "symmetric", "skew-symmetric")


def read(data: bytes) -> EdgeTable:
    """Read a square matrix (real, integer or pattern). A symmetric matrix stores half of its entries."""
    lines = decode(data).splitlines() or [""]  # the content may be only a byte order mark
    banner = lines[0].lower().split()
    if len(banner) != 5 or banner[:2] != ["%%matrixmarket", "matrix"]:
        raise Refused(f"line 1: expected %%MatrixMarket matrix coordinate …, got {shown(lines[0])}")
    layout, kind, symmetry = banner[2:]
    if layout != "coordinate" or kind not in _FIELDS or symmetry not in _SYMMETRIES:
        raise Refused(
            f"line 1: expected coordinate, one of {', '.join(_FIELDS)}, one of {', '.join(_SYMMETRIES)},"
            f" got {' '.join(banner[2:])[:60]}"
        )
    start = next((n for n, line in enumerate(lines) if line.strip() and not line.startswith("%")), len(lines) - 1)
    sizes = lines[start].split()
    if len(sizes) != 3:
        raise Refused(f"line {start + 1}: expected rows columns entries, got {shown(lines[start])}")
    rows, columns, count = (check_count(size, f"line {start + 1}", 1 << 40) for size in sizes)
    if rows != columns:
        raise Refused(f"line {start + 1}: expected a square matrix, got {rows} times {columns}")
    size = check_count(sizes[0], f"line {start + 1}")
    entries = _entries(lines, start + 1, _FIELDS[kind])
    if len(entries) != count:
        raise Refused(f"line {start + 1}: announces {count} entries, but there are {len(entries)}")
    places = entries[:, :2]
    wrong = ((places < 1) | (places > size) | (places != np.floor(places))).any(axis=1)
    if wrong.any():
        raise Refused(f"entry {int(np.argmax(wrong)) + 1}: expected a row and a column from 1 to {size}")
    i, j = places.T.astype(np.intp) - 1
    values = entries[:, 2] if kind != "pattern" else None
    if symmetry == "skew-symmetric" and values is not None:
        i, j, values = np.append(i, j), np.append(j, i), np.append(values, -values)
    return EdgeTable(
        sources=j,
        targets=i,
        num_nodes=size,
        directed=False if symmetry == "symmetric" else None,
        columns={} if values is None else {WEIGHT: values},
        where=Places("entry ", first=1),
    )


def _entries(lines: list[str], start: int, width: int) -> np.ndarray:
    given = [line for line in lines[start:] if line.strip() and not line.startswith("%")]
    if not given:
        return np.empty((0, width))
    try:
        found = np.loadtxt(given, ndmin=2, comments=None)
    except ValueError:
        found = np.empty((0, 0))
    if found.shape[1:] != (width,):
        for number, line in enumerate(lines[start:], start + 1):
            if line.strip() and not line.startswith("%") and not _is_entry(line, width):
                raise Refused(f"line {number}: expected {width} numbers, got {shown(line)}")
    return found


def _is_entry(line: str, width: int) -> bool:
    cells = line.split()
    return len(cells) == width and all(map(is_number, cells))


def write(graph: NeighborGraph) -> bytes:
    """Write the weight matrix, or the pattern of a graph without weights; symmetric if the graph is undirected."""
    refuse(graph, "Matrix Market", "distances", "edge_features", "layers", "names")
    kept = once(graph)
    rows, columns = (graph.targets, graph.indices) if kept is None else (graph.indices[kept], graph.targets[kept])
    kind = "pattern" if graph.edge_weights is None else "real"
    lines = [
        f"%%MatrixMarket matrix coordinate {kind} {'general' if kept is None else 'symmetric'}",
        f"{graph.num_nodes} {graph.num_nodes} {len(rows)}",
    ]
    places = [f"{i} {j}" for i, j in zip((rows + 1).tolist(), (columns + 1).tolist(), strict=True)]
    if graph.edge_weights is not None:
        weights = graph.edge_weights if kept is None else graph.edge_weights[kept]
        places = [f"{place} {w!r}" for place, w in zip(places, weights.tolist(), strict=True)]
    return "\n".join([*lines, *places, ""]).encode()


MATRIX_MARKET = Format(read, write)

"""Edge lists and tables of edges: a line per edge, with a header or without, as networkx, pandas and Gephi do it."""

from __future__ import annotations

import ast
import logging
import re
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...storage_checks import Refused
from ..constructors import from_pairs
from ..neighbor_graph import NeighborGraph
from . import Format
from ._columns import Roles, roles
from ._text import Row, decode, is_number, lines_of, number_of, separator_of, shown, split

Columns = dict[str, np.ndarray | None]

#: Whole numbers as they are written: with neither sign nor leading zeros, and no more digits than 64 bits hold.
_WHOLE = re.compile(r"0|[1-9][0-9]{0,17}")
#: No edge's attributes are longer.
_MAX_ATTRIBUTES = 10_000

_log = logging.getLogger(__name__)


def edge_list(data: bytes, directed: bool | None) -> NeighborGraph:
    """Lines ``source target [weight]`` or ``source target {attributes}``; a header may precede them."""
    return _read(data, directed, is_table=False, likely="\t;, ")


def table(data: bytes, directed: bool | None) -> NeighborGraph:
    """A header that names source and target, then a row per edge; or rows of numbers without a header."""
    return _read(data, directed, is_table=True, likely="\t;,")


def _read(data: bytes, directed: bool | None, *, is_table: bool, likely: str) -> NeighborGraph:
    text = decode(data)
    if text.startswith("%%MatrixMarket"):
        raise Refused("is a Matrix Market file, not an edge list")
    lines, comments = lines_of(text, trailing=not is_table)
    attributes = None if is_table else _cut_attributes(lines)
    separator = separator_of(lines, likely, _is_header)
    rows = list(split(lines, separator))
    width = len(rows[0].cells)
    for row in rows:
        if len(row.cells) != width:
            raise Refused(f"line {row.line}: expected {width} columns as above, got {len(row.cells)}")
    if separator != " ":
        _check_comments(comments, rows[0], separator)
    found = _header(rows, is_table)
    if found is not None:
        rows = rows[1:]
    if not rows:
        raise Refused("holds no edges")
    if found is None:
        if width not in (2, 3):
            raise Refused(f"line {rows[0].line}: expected source target [weight], got {width} columns without a header")
        found = Roles(0, 1, 2 if width == 3 else None, None, None, None, (), (), (), True)
    for row in rows:
        if not row.cells[found.source] or not row.cells[found.target]:
            raise Refused(f"line {row.line}: expected a source and a target")
    columns = _columns(rows, found)
    if attributes is not None:
        if columns["edge_weights"] is not None:
            raise Refused("lines have a weight and attributes; expected one of them")
        columns = _attribute_columns([attributes.get(row.line) for row in rows], rows)
    if directed is None:
        directed = _directed(rows, found)
    ends = [[row.cells[i] for row in rows] for i in (found.source, found.target)]
    (first, second), names = numbered(*ends)
    return from_pairs(first, second, len(names), directed is not False, columns, names=needed(names))


def _cut_attributes(lines: list[str]) -> dict[int, dict[str, Any]] | None:
    """Take networkx's dict off the end of every line that has one; by line number, or None if none has.

    The dict is read as Python's literals, which run nothing, from a bounded piece of text.
    """
    found: dict[int, dict[str, Any]] = {}
    for i, line in enumerate(lines):
        text = line.rstrip()
        if not text.endswith("}") or "{" not in text:
            continue
        head, _, piece = text.partition("{")
        if len(piece) > _MAX_ATTRIBUTES:
            raise Refused(f"line {i + 1}: more than {_MAX_ATTRIBUTES} characters of attributes")
        value = _literal("{" + piece)
        if not isinstance(value, dict):
            raise Refused(f"line {i + 1}: expected a dict of attributes, got {shown('{' + piece)}")
        found[i + 1] = value
        lines[i] = head.rstrip().rstrip(",;").rstrip()
    return found or None


def _literal(text: str) -> Any:
    """The Python literal, or None if it is none."""
    try:
        if "\\" not in text:
            return ast.literal_eval(text)
        with warnings.catch_warnings():  # about escapes that mean nothing
            warnings.simplefilter("ignore")
            return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _attribute_columns(found: list[dict[str, Any] | None], rows: Sequence[Row]) -> Columns:
    """Attributes of all edges as columns: ``weight`` (1 where it is missing), ``distance``, the other numbers."""
    for attributes, row in zip(found, rows, strict=True):
        if attributes is None:
            raise Refused(f"line {row.line}: expected attributes in braces, as in the other lines")
    data = [a for a in found if a is not None]
    columns: dict[str, np.ndarray] = {}
    left_out = []
    for name in dict.fromkeys(key for attributes in data for key in attributes):
        values = [attributes.get(name, 1.0 if name == "weight" else None) for attributes in data]
        if all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values):
            where = f"attribute {name!r:.40}"
            columns[name] = np.array([number_of(str(v), where) for v in values])
        elif name in ("weight", "distance"):
            raise Refused(f"attribute {name!r}: expected a number on every edge")
        else:
            left_out.append(str(name))
    if left_out:
        _log.warning("attributes that are not a number on every edge are left out: %s", ", ".join(left_out)[:200])
    return _named(columns)


def _named(columns: dict[str, np.ndarray]) -> Columns:
    weight, distance = columns.pop("weight", None), columns.pop("distance", None)
    features = np.stack(list(columns.values()), axis=1) if columns else None
    return {"edge_weights": weight, "distances": distance, "edge_features": features}


def _check_comments(comments: dict[int, str], first: Row, separator: str) -> None:
    """A line ``#tag,other`` between edges may be one."""
    for number, line in comments.items():
        if number > first.line and line.lstrip()[1:2].strip():
            cells = next((row.cells for row in split([line], separator)), [])
            if len(cells) == len(first.cells):
                raise Refused(f"line {number}: {shown(line)} may be a comment or an edge; quote it or take it out")


def _is_header(cells: list[str]) -> bool:
    try:
        return roles(cells) is not None
    except Refused:
        return False


def _header(rows: Sequence[Row], is_table: bool) -> Roles | None:
    """The columns' roles if the first row is a header, None if it is an edge; a refusal where it may be both."""
    first, rest = rows[0].cells, rows[1:]
    found = roles(first)
    if found is None:
        numbers = all(is_number(cell) for cell in first[:2])
        if is_table and not numbers:
            raise Refused(f"line {rows[0].line}: expected a header source,target[,weight,...], got {_joined(first)}")
        if not numbers and rest and all(_WHOLE.fullmatch(cell) for row in rest for cell in row.cells[:2]):
            raise Refused(f"line {rows[0].line}: {_joined(first)} seems to be a header, without source and target")
        return None
    ends = (found.source, found.target)
    names = {first[i] for i in ends}
    if not all(names.isdisjoint([row.cells[i] for row in rest]) for i in ends):
        if is_table or found.sure:
            raise Refused(f"line {rows[0].line}: {_joined(first)} may be a header or an edge: its names occur below")
        return None
    if found.sure or is_table or len(first) > 2:
        return found
    if rest and all(_WHOLE.fullmatch(row.cells[i]) for row in rest for i in ends):
        return found
    raise Refused(f"line {rows[0].line}: {_joined(first)} may be a header or an edge")


def _joined(cells: Sequence[str]) -> str:
    return shown(",".join(cells))


def _columns(rows: Sequence[Row], found: Roles) -> Columns:
    """Weights, distances and features; row numbers are checked and left out."""

    def numbers(i: int | None) -> np.ndarray | None:
        return None if i is None else np.array([number_of(r.cells[i], f"line {r.line}, column {i + 1}") for r in rows])

    for i in found.row_numbers:
        if [row.cells[i] for row in rows] not in (_count(0, len(rows)), _count(1, len(rows))):
            raise Refused(f"column {i + 1}: expected the rows' numbers in a column without a name")
    if found.label is not None:
        words = {row.cells[found.label] for row in rows} - {""}
        if words:
            _log.warning("labels of edges are left out, such as %s", shown(min(words)))
    features = [numbers(i) for i in found.features]
    return {
        "edge_weights": numbers(found.weight),
        "distances": numbers(found.distance),
        "edge_features": np.stack([f for f in features if f is not None], axis=1) if features else None,
    }


def _count(start: int, size: int) -> list[str]:
    return [str(i) for i in range(start, start + size)]


def _directed(rows: Sequence[Row], found: Roles) -> bool | None:
    """Gephi's word for it, one for all edges."""
    if found.kind is None:
        return None
    words = sorted({row.cells[found.kind].lower() for row in rows})
    if words not in (["directed"], ["undirected"]):
        raise Refused(f"column 'type': expected Directed or Undirected, one for all edges, got {', '.join(words)[:60]}")
    return words == ["directed"]


def numbered(sources: list[str], targets: list[str]) -> tuple[np.ndarray, list[str]]:
    """Node numbers (2, K) and names: in numeric order if all are whole numbers, else as they appear.

    Names with leading zeros are text: ``01`` and ``1`` are two nodes.
    """
    ends = sources + targets
    if all(map(_WHOLE.fullmatch, set(ends))):
        values, numbers = np.unique(np.array([int(end) for end in ends], dtype=np.int64), return_inverse=True)
        return numbers.reshape(2, -1).astype(np.intp), [str(v) for v in values.tolist()]
    order: dict[str, int] = {}
    for source, target in zip(sources, targets, strict=True):
        order.setdefault(source, len(order))
        order.setdefault(target, len(order))
    return np.array([order[end] for end in ends], dtype=np.intp).reshape(2, -1), list(order)


def needed(names: Sequence[str]) -> Sequence[str] | None:
    """None where the names say no more than the numbers do."""
    return None if all(name == str(i) for i, name in enumerate(names)) else names


EDGE_LIST, TABLE = Format(edge_list), Format(table)

"""Edge lists and tables: one edge per line, with or without a header, as in networkx, pandas and Gephi."""

from __future__ import annotations

import ast
import csv
import io
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...storage_checks import Refused
from ..neighbor_graph import NeighborGraph
from . import Format
from ._columns import Roles, roles
from ._text import Row, decode, is_number, lines_of, separator_of, shown, split
from ._writing import cannot, edges_of, nodes_of, refuse
from .edge_table import WEIGHT, WHOLE, Cells, EdgeTable, Places, columns_of, needed, numbered

#: Names that need no quotes between blanks.
_SAFE = re.compile(r"[^\s\"',;#%{}/][^\s\"',;#{}]*")
#: Largest length of an edge's attributes.
_MAX_ATTRIBUTES = 10_000
#: Leading comments of SNAP and KONECT files.
_SNAP = re.compile(r"#\s*(un)?directed graph\b", re.IGNORECASE)
_KONECT = re.compile(r"%\s*(sym|asym|bip)\b")
_KONECT_COLUMNS = (WEIGHT, "timestamp")


def edge_list(data: bytes) -> EdgeTable:
    """Read lines ``source target [weight]`` or ``source target {attributes}``, optionally after a header."""
    return _read(data, is_table=False, likely="\t;, ")


def table(data: bytes) -> EdgeTable:
    """Read a header that names source and target and a row per edge, or rows of numbers without a header."""
    return _read(data, is_table=True, likely="\t;,")


def citations(data: bytes) -> EdgeTable:
    """Read lines ``cited citing``, as in the LINQS data sets: each link runs from right to left."""
    found = _read(data, is_table=False, likely="\t;, ")
    return EdgeTable(**{**vars(found), "sources": found.targets, "targets": found.sources})


def _read(data: bytes, *, is_table: bool, likely: str) -> EdgeTable:
    text = decode(data)
    if text.startswith("%%MatrixMarket"):
        raise Refused("is a Matrix Market file, not an edge list; use the suffix .mtx")
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
    directed, more = told_by_comments([line for number, line in comments.items() if number < rows[0].line])
    found = _commented_header(comments, rows[0], separator)
    if found is None:
        found = _header(rows, is_table)
        rows = rows if found is None else rows[1:]
    if not rows:
        raise Refused("holds no edges")
    if found is None:
        if width not in range(2, 3 + len(more)):
            raise Refused(f"line {rows[0].line}: expected source target [weight], got {width} columns without a header")
        found = Roles(0, 1, dict(zip(more, range(2, width), strict=False)))
    for row in rows:
        if not row.cells[found.source] or not row.cells[found.target]:
            raise Refused(f"line {row.line}: expected a source and a target")
    columns: Mapping[str, Any] = _columns(rows, found)
    if attributes is not None:
        if columns:
            raise Refused("lines have a weight and attributes; expected one of them")
        columns = _attribute_columns([attributes.get(row.line) for row in rows], rows)
    numbers = [row.line for row in rows]
    each = _directed(columns, found.kind, numbers)
    (sources, targets), names = numbered(*([row.cells[i] for row in rows] for i in (found.source, found.target)))
    return EdgeTable(
        sources=sources,
        targets=targets,
        num_nodes=len(names),
        names=needed(names),
        directed=directed if each is None else each,
        columns=columns,
        ids=(*found.ids, *(name for name in (found.kind,) if name is not None and each is not None)),
        where=Places("line ", numbers=numbers),
    )


def told_by_comments(comments: Sequence[str]) -> tuple[bool, tuple[str, ...]]:
    """Return whether edges are directed, and the names of the columns after the endpoints, given leading comments."""
    for line in comments:
        if (snap := _SNAP.match(line)) is not None:
            return snap[1] is None, (WEIGHT,)
        if (konect := _KONECT.match(line)) is not None:
            if konect[1] == "bip":
                raise Refused("is a bipartite KONECT graph: left and right nodes share their numbers")
            return konect[1] == "asym", _KONECT_COLUMNS
    return True, (WEIGHT,)


def _cut_attributes(lines: list[str]) -> dict[int, dict[str, Any]] | None:
    """Cut networkx's attribute dict off the end of every line; return the dicts by line number, or None.

    The dict is parsed as a Python literal of bounded length, which executes nothing.
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
    """Parse a Python literal, or return None if the text is not one."""
    try:
        if "\\" not in text:
            return ast.literal_eval(text)
        with warnings.catch_warnings():  # of invalid escape sequences
            warnings.simplefilter("ignore")
            return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _attribute_columns(found: list[dict[str, Any] | None], rows: Sequence[Row]) -> dict[str, list[Any]]:
    """Convert the attributes of all edges to columns."""
    for attributes, row in zip(found, rows, strict=True):
        if attributes is None:
            raise Refused(f"line {row.line}: expected attributes in braces, as in the other lines")
    return columns_of([a for a in found if a is not None])


def _check_comments(comments: dict[int, str], first: Row, separator: str) -> None:
    """Raise an error for a comment such as ``#tag,other`` that may also be an edge."""
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


def _commented_header(comments: Mapping[int, str], first: Row, separator: str) -> Roles | None:
    """Return the columns' roles if the last comment before the rows names them and no header follows."""
    number = max((n for n in comments if n < first.line), default=0)
    if number == 0 or _is_header(first.cells):
        return None
    text = comments[number].strip().lstrip("#%/ ")
    cells = next((row.cells for row in split([text], separator)), []) if '"' not in text else []
    return roles(cells) if len(cells) == len(first.cells) and _is_header(cells) else None


def _header(rows: Sequence[Row], is_table: bool) -> Roles | None:
    """Return the columns' roles if the first row is a header, or None if it is an edge; raise if it may be both."""
    first, rest = rows[0].cells, rows[1:]
    found = roles(first)
    if found is None:
        numbers = all(is_number(cell) for cell in first[:2])
        if is_table and not numbers and not _occur(first[:2], rest):
            expected = "expected a header source,target[,weight,...]"
            raise Refused(
                f"line {rows[0].line}: {expected}, got {_joined(first)}; read edges without one as format txt"
            )
        if not numbers and rest and all(WHOLE.fullmatch(cell) for row in rest for cell in row.cells[:2]):
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
    if rest and all(WHOLE.fullmatch(row.cells[i]) for row in rest for i in ends):
        return found
    raise Refused(f"line {rows[0].line}: {_joined(first)} may be a header or an edge")


def _occur(names: Sequence[str], rows: Sequence[Row]) -> bool:
    """Return whether one of the names is an endpoint in the rows, which column names are not."""
    return not {cell for row in rows for cell in row.cells[:2]}.isdisjoint(names)


def _joined(cells: Sequence[str]) -> str:
    return shown(",".join(cells))


def _columns(rows: Sequence[Row], found: Roles) -> dict[str, Cells]:
    """Return the columns other than the endpoints. Row numbers are checked and left out."""
    for i in found.rows:
        if [row.cells[i] for row in rows] not in (_count(0, len(rows)), _count(1, len(rows))):
            raise Refused(f"column {i + 1}: expected the rows' numbers in a column without a name")
    return {name: Cells(row.cells[i] for row in rows) for name, i in found.data.items()}


def _count(start: int, size: int) -> list[str]:
    return [str(i) for i in range(start, start + size)]


def _directed(columns: Mapping[str, Any], kind: str | None, numbers: Sequence[int]) -> np.ndarray | None:
    """Return the directions (K,) in Gephi's column ``Type``, or None if such a column means something else."""
    words = [word.lower() for word in columns[kind]] if kind is not None else []
    if not {"directed", "undirected"} & set(words):
        return None
    for word, number in zip(words, numbers, strict=True):
        if word not in ("directed", "undirected"):
            raise Refused(f"line {number}, column {kind!r:.40}: expected Directed or Undirected, got {shown(word)}")
    return np.array([word == "directed" for word in words])


def write_list(graph: NeighborGraph) -> bytes:
    """Write lines ``source target [weight]``, or with networkx's attributes for more data; undirected edges once."""
    refuse(graph, "a list of edges", "layers")
    names = nodes_of(graph, "a list of edges", distinct=True)
    bad = next((name for name in names if not _SAFE.fullmatch(name)), None)
    if bad is not None:
        raise cannot("a list of edges", f"the name {ascii(bad)[:40]}", "a table (.csv) can")
    sources, targets, columns, directed = edges_of(graph)
    lines = [] if directed else ["# Undirected graph"]
    for k, (j, i) in enumerate(zip(sources, targets, strict=True)):
        data = {name: values[k] for name, values in columns.items()}
        ending = f" {data[WEIGHT]!r}" if list(data) == [WEIGHT] else f" {data}" if data else ""
        lines.append(f"{names[j]} {names[i]}{ending}")
    return "\n".join([*lines, ""]).encode()


def _write_table(graph: NeighborGraph, separator: str) -> bytes:
    """Write a header and a row per edge; undirected edges once, with Gephi's ``Type``."""
    refuse(graph, "a table of edges", "layers")
    names = nodes_of(graph, "a table of edges", distinct=True)
    sources, targets, columns, directed = edges_of(graph)
    out = io.StringIO()
    marked = any(name.startswith(("#", "%", "//")) for name in names)  # these would start a comment
    writer = csv.writer(
        out, delimiter=separator, lineterminator="\n", quoting=csv.QUOTE_ALL if marked else csv.QUOTE_MINIMAL
    )
    writer.writerow(["source", "target", *([] if directed else ["type"]), *columns])
    kind = [] if directed else ["Undirected"]
    rows = zip(sources, targets, *columns.values(), strict=True)
    writer.writerows([names[j], names[i], *kind, *map(repr, data)] for j, i, *data in rows)
    return out.getvalue().encode()


EDGE_LIST, CITATIONS = Format(edge_list, write_list), Format(citations)
TABLE = Format(table, lambda graph: _write_table(graph, ","))
TAB_TABLE = Format(table, lambda graph: _write_table(graph, "\t"))

"""GML, the Graph Modelling Language (Himsolt 1997), as written by networkx, igraph, Gephi and Newman's data sets."""

from __future__ import annotations

import html
import re
from typing import Any, NamedTuple

from ...storage_checks import Refused
from ..neighbor_graph import NeighborGraph
from . import Format
from ._text import decode
from ._writing import edges_of, nodes_of
from .edge_table import MISSING, EdgeTable, Nodes, columns_of, layers_of, names_of, value_or_weight

# All parts are possessive, so that hostile text cannot cause backtracking.
_KEY = r"[A-Za-z_][\w.:-]*+"
_NUMBER = r"[+-]?(?:\d++\.?+\d*+|\.\d++)(?:[eE][+-]?\d++)?+"
_TEXT = r'"[^"]*+"'
_TOKEN = re.compile(
    rf"""\s*+(?:\#[^\n]*+\s*+)*+(?:(?P<key>{_KEY})|(?P<number>{_NUMBER})(?=[\s\]\[]|\Z)"""
    rf"""|(?P<open>\[)|(?P<close>\])|(?P<text>{_TEXT})|(?P<end>\Z))"""
)
#: A list without nested lists and comments, such as most nodes and edges, which is read in one step.
_FLAT = re.compile(rf"((?:\s*+{_KEY}\s++(?:{_NUMBER}(?=[\s\]])|{_TEXT}|{_KEY}))*+)\s*+\]")
_PAIR = re.compile(rf"({_KEY})\s++({_NUMBER}(?=\s|\Z)|{_TEXT}|{_KEY})")
_MAX_DEPTH, _MAX_DIGITS = 32, 40


class _Entry(NamedTuple):
    key: str
    value: Any
    #: Its start in the text.
    at: int


def read(data: bytes) -> EdgeTable:
    """Read ``graph [ directed 0 node [ id 0 label "a" ] edge [ source 0 target 1 value 2 ] ]``."""
    text = decode(data)
    graphs = [e for e in _parse(text) if e.key == "graph" and isinstance(e.value, list)]
    if len(graphs) != 1:
        raise Refused(f"expected one graph [ … ], found {len(graphs)}")
    graph: list[_Entry] = graphs[0].value
    nodes, edges = ([e for e in graph if e.key == key and isinstance(e.value, dict)] for key in ("node", "edge"))

    def where(k: int) -> str:
        return _line(text, edges[k].at)

    ids = [_whole(node, "id", text) for node in nodes]
    sources, targets = ([_whole(edge, end, text) for edge in edges] for end in ("source", "target"))
    known = Nodes(ids)
    columns, weight = value_or_weight(columns_of([edge.value for edge in edges], without=_NOT_DATA))
    flags = [e.value for e in graph if e.key == "directed"]
    if any(flag not in (0, 1) for flag in flags):
        raise Refused("directed: expected 0 or 1")
    return EdgeTable(
        sources=known.all(sources, lambda k: f"{where(k)}, source"),
        targets=known.all(targets, lambda k: f"{where(k)}, target"),
        num_nodes=len(ids),
        names=names_of(ids, [node.value.get("label", node.value.get("name")) for node in nodes]),
        directed=1 in flags,
        columns=columns,
        weight=weight,
        ids=("id", "key"),
        layers=layers_of([node.value.get("layer", MISSING) for node in nodes]),
        where=where,
    )


def _line(text: str, at: int) -> str:
    return f"line {text.count(chr(10), 0, at) + 1}"


#: Entries of an edge that are endpoints or drawing options.
_NOT_DATA = ("source", "target", "graphics", "LabelGraphics")


def _whole(entry: _Entry, key: str, text: str) -> int:
    value = entry.value.get(key)
    if not isinstance(value, int):
        raise Refused(f"{_line(text, entry.at)}: expected a whole number as {key!r}, got {ascii(value)[:40]}")
    return value


def _parse(text: str) -> list[_Entry]:
    """Parse keys whose values are numbers, strings or lists. Nothing is evaluated.

    The value of a graph is the list of its entries; the value of any other list is its record.
    """
    top: list[_Entry] = []
    path, key, at = [top], "", 0
    opened: list[tuple[str, int]] = []
    while True:
        match = _TOKEN.match(text, at)
        if match is None:
            at += len(text[at : at + 1000]) - len(text[at : at + 1000].lstrip())
            got = ascii(text[at : at + 20])
            raise Refused(f"{_line(text, at)}: expected a key, a number, a quoted text or a bracket, got {got}")
        kind, at = match.lastgroup, match.end()
        if kind == "key" and key == "":
            key, start = match["key"], match.start("key")
        elif kind == "open" and key != "":
            if len(path) > _MAX_DEPTH:
                raise Refused(f"{_line(text, at)}: nested more than {_MAX_DEPTH} deep")
            flat = None if key == "graph" else _FLAT.match(text, at)
            if flat is not None:
                record = _record([(name, _scalar(value)) for name, value in _PAIR.findall(flat[1])])
                path[-1].append(_Entry(key, record, start))
                at = flat.end()
            else:
                path.append([])
                opened.append((key, start))
            key = ""
        elif kind == "close" and key == "" and len(path) > 1:
            entries, (name, begun) = path.pop(), opened.pop()
            inside = entries if name == "graph" else _record([entry[:2] for entry in entries])
            path[-1].append(_Entry(name, inside, begun))
        elif kind in ("number", "text", "key") and key != "":
            path[-1].append(_Entry(key, _scalar(match[kind]), start))
            key = ""
        elif kind == "end" and key == "" and len(path) == 1:
            return top
        elif kind == "end":
            raise Refused(f"{_line(text, at)}: ends before the last bracket is closed")
        else:
            raise Refused(f"{_line(text, match.start(kind or 0))}: unexpected {match[0].strip()!a:.40}")


def _record(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return values by key. The value of a repeated key is a list."""
    found = dict(pairs)
    if len(found) < len(pairs):
        lists: dict[str, list[Any]] = {}
        for key, value in pairs:
            lists.setdefault(key, []).append(value)
        found = {key: values[0] if len(values) == 1 else values for key, values in lists.items()}
    return found


def _scalar(token: str) -> Any:
    """Return the value of a quoted text, a number or a word. networkx's NAN and INF are not numbers here."""
    if token[0] == '"':
        return html.unescape(token[1:-1])
    if token[0].isalpha() or token[0] == "_":
        return token
    if len(token) > _MAX_DIGITS:
        raise Refused(f"a number of {len(token)} characters: {token[:20]}…")
    return float(token) if "." in token or "e" in token.lower() else int(token)


def write(graph: NeighborGraph) -> bytes:
    """Write the graph with names as labels."""
    labels = nodes_of(graph, "GML", distinct=graph.names is not None)
    sources, targets, columns, directed = edges_of(graph)
    layers = None if graph.layers is None else graph.layers.tolist()
    lines = ["graph [", f"  directed {int(directed)}", "  multigraph 1"]
    for i, name in enumerate(labels):
        label = "" if graph.names is None else f" label {_quoted(name)}"
        lines.append(f"  node [ id {i}{label}{'' if layers is None else f' layer {layers[i]}'} ]")
    for k, (j, i) in enumerate(zip(sources, targets, strict=True)):
        data = "".join(f" {name} {values[k]!r}" for name, values in columns.items())
        lines.append(f"  edge [ source {j} target {i}{data} ]")
    return "\n".join([*lines, "]", ""]).encode("ascii")


def _quoted(text: str) -> str:
    plain = re.sub(r'[^ -~]|["&]', lambda match: f"&#{ord(match[0])};", text)
    return f'"{plain}"'


GML = Format(read, write)

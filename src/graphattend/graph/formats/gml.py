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

# Blanks and comments are possessive: hostile text cannot make it go back over them.
_TOKEN = re.compile(
    r"""\s*+(?:\#[^\n]*+\s*+)*+(?:(?P<key>[A-Za-z_][\w.:-]*+)"""
    r"""|(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?=[\s\]\[]|\Z)"""
    r"""|(?P<open>\[)|(?P<close>\])|"(?P<text>[^"]*+)"|(?P<end>\Z))"""
)
_INTEGER = re.compile(r"[+-]?\d+")
_MAX_DEPTH = 32


class _Entry(NamedTuple):
    key: str
    value: Any
    #: Where in the text it starts.
    at: int


def read(data: bytes) -> EdgeTable:
    """``graph [ directed 0 node [ id 0 label "a" ] edge [ source 0 target 1 value 2 ] ]``."""
    text = decode(data)
    graphs = [e for e in _parse(text) if e.key == "graph" and isinstance(e.value, list)]
    if len(graphs) != 1:
        raise Refused(f"expected one graph [ … ], found {len(graphs)}")
    graph: list[_Entry] = graphs[0].value
    nodes, edges = ([e for e in graph if e.key == key and isinstance(e.value, list)] for key in ("node", "edge"))
    about, links = ([_record(e) for e in entries] for entries in (nodes, edges))
    ids = [_whole(record, "id", entry.at, text) for record, entry in zip(about, nodes, strict=True)]
    known = Nodes(ids)
    ends = [
        [_whole(record, end, entry.at, text) for record, entry in zip(links, edges, strict=True)]
        for end in ("source", "target")
    ]
    for keys, end in zip(ends, ("source", "target"), strict=True):
        k = next((k for k, key in enumerate(keys) if key not in known.numbers), None)
        if k is not None:
            known.number(keys[k], f"{_line(text, edges[k].at)}, {end}")
    sources, targets = ([known.numbers[key] for key in keys] for keys in ends)
    columns, weight = value_or_weight(
        columns_of([{k: v for k, v in record.items() if k not in _NOT_DATA} for record in links])
    )
    flags = {e.value for e in graph if e.key == "directed"}
    if not flags <= {0, 1}:
        raise Refused("directed: expected 0 or 1")
    return EdgeTable(
        sources=sources,
        targets=targets,
        num_nodes=len(ids),
        names=names_of(ids, [node.get("label", node.get("name")) for node in about]),
        directed=1 in flags,
        columns=columns,
        weight=weight,
        ids=("id", "key"),
        layers=layers_of([node.get("layer", MISSING) for node in about]),
        where=lambda k: _line(text, edges[k].at),
    )


def _line(text: str, at: int) -> str:
    return f"line {text.count(chr(10), 0, at) + 1}"


#: Entries of edges that are their ends, or how they are drawn.
_NOT_DATA = ("source", "target", "graphics", "LabelGraphics")


def _whole(record: dict[str, Any], key: str, at: int, text: str) -> int:
    value = record.get(key)
    if not isinstance(value, int):
        raise Refused(f"{_line(text, at)}: expected a whole number as {key!r}, got {ascii(value)[:40]}")
    return value


def _record(entry: _Entry) -> dict[str, Any]:
    """The entries by key; those that are repeated as lists."""
    found: dict[str, list[Any]] = {}
    for key, value, _ in entry.value:
        found.setdefault(key, []).append(value)
    return {key: values[0] if len(values) == 1 else values for key, values in found.items()}


def _parse(text: str) -> list[_Entry]:
    """Parse keys with numbers, strings or lists as values; nothing is evaluated."""
    top: list[_Entry] = []
    path, key, start, at = [top], "", 0, 0
    while True:
        match = _TOKEN.match(text, at)
        if match is None:
            at += len(text[at : at + 1000]) - len(text[at : at + 1000].lstrip())
            got = ascii(text[at : at + 20])
            raise Refused(f"{_line(text, at)}: expected a key, a number, a quoted text or a bracket, got {got}")
        kind, at = match.lastgroup, match.end()
        if kind == "key" and key == "":
            key, start = match["key"], match.start("key")
        elif kind == "close" and key == "" and len(path) > 1:
            path.pop()
        elif kind == "open" and key != "":
            if len(path) > _MAX_DEPTH:
                raise Refused(f"{_line(text, at)}: nested more than {_MAX_DEPTH} deep")
            inside: list[_Entry] = []
            path[-1].append(_Entry(key, inside, start))
            path.append(inside)
            key = ""
        elif kind in ("number", "text", "key") and key != "":
            path[-1].append(_Entry(key, _scalar(match), start))
            key = ""
        elif kind == "end" and key == "" and len(path) == 1:
            return top
        elif kind == "end":
            raise Refused(f"{_line(text, at)}: ends before the last bracket is closed")
        else:
            raise Refused(f"{_line(text, match.start(kind or 0))}: unexpected {match[0].strip()!a:.40}")


def _scalar(match: re.Match[str]) -> Any:
    if match["text"] is not None:
        return html.unescape(match["text"])
    if (number := match["number"]) is None:  # networkx's NAN and INF are no numbers here
        return match["key"]
    if len(number) > 40:
        raise Refused(f"a number of {len(number)} characters: {number[:20]}…")
    return int(number) if _INTEGER.fullmatch(number) else float(number)


def write(graph: NeighborGraph) -> bytes:
    """Names as labels."""
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

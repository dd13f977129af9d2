"""GML, the Graph Modelling Language (Himsolt 1997), as networkx, igraph, Gephi and Newman's data sets have it."""

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

_TOKEN = re.compile(
    r"""(?P<skip>\s+|^\s*\#[^\n]*)|(?P<open>\[)|(?P<close>\])|"(?P<text>[^"]*)"|(?P<key>[A-Za-z_][\w.:-]*)"""
    r"""|(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?=[\s\]\[]|$)""",
    re.MULTILINE,
)
_MAX_DEPTH = 32


class _Entry(NamedTuple):
    key: str
    value: Any
    line: int


def read(data: bytes) -> EdgeTable:
    """``graph [ directed 0 node [ id 0 label "a" ] edge [ source 0 target 1 value 2 ] ]``."""
    graphs = [e for e in _parse(decode(data)) if e.key == "graph" and isinstance(e.value, list)]
    if len(graphs) != 1:
        raise Refused(f"expected one graph [ … ], found {len(graphs)}")
    graph: list[_Entry] = graphs[0].value
    groups = {
        key: [(e.line, _record(e)) for e in graph if e.key == key and isinstance(e.value, list)]
        for key in ("node", "edge")
    }
    nodes = [record for _, record in groups["node"]]
    ids = [_end(record, "id", line) for line, record in groups["node"]]
    known = Nodes(ids)
    edges = groups["edge"]
    sources, targets = (
        [known.number(_end(record, end, line), f"line {line}, {end}") for line, record in edges]
        for end in ("source", "target")
    )
    columns, weight = value_or_weight(
        columns_of([{k: v for k, v in record.items() if k not in _NOT_DATA} for _, record in edges])
    )
    flags = {e.value for e in graph if e.key == "directed"}
    if not flags <= {0, 1}:
        raise Refused("directed: expected 0 or 1")
    return EdgeTable(
        sources=sources,
        targets=targets,
        num_nodes=len(ids),
        names=names_of(ids, [node.get("label", node.get("name")) for node in nodes]),
        directed=1 in flags,
        columns=columns,
        weight=weight,
        ids=("id", "key"),
        layers=layers_of([node.get("layer", MISSING) for node in nodes]),
        where=lambda k: f"line {edges[k][0]}",
    )


#: Entries of edges that are their ends, or how they are drawn.
_NOT_DATA = ("source", "target", "graphics", "LabelGraphics")


def _end(record: dict[str, Any], key: str, line: int) -> int:
    value = record.get(key)
    if not isinstance(value, int):
        raise Refused(f"line {line}: expected a whole number as {key!r}, got {ascii(value)[:40]}")
    return value


def _record(entry: _Entry) -> dict[str, Any]:
    """The entries by key; those that are repeated as lists."""
    found: dict[str, list[Any]] = {}
    for key, value, _ in entry.value:
        found.setdefault(key, []).append(value)
    return {key: values[0] if len(values) == 1 else values for key, values in found.items()}


def _parse(text: str) -> list[_Entry]:
    """Keys with a number, a text or a list of such; nothing in them is evaluated."""
    top: list[_Entry] = []
    path, key, line, at = [top], "", 1, 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            got = ascii(text[at : at + 20])
            raise Refused(f"line {line}: expected a key, a number, a quoted text or a bracket, got {got}")
        kind, value, at = match.lastgroup, match[0], match.end()
        if kind == "key" and key == "":
            key = value
        elif kind == "close" and key == "" and len(path) > 1:
            path.pop()
        elif kind == "open" and key != "":
            if len(path) > _MAX_DEPTH:
                raise Refused(f"line {line}: nested more than {_MAX_DEPTH} deep")
            path[-1].append(_Entry(key, [], line))
            path.append(path[-1][-1].value)
            key = ""
        elif kind in ("number", "text", "key") and key != "":
            path[-1].append(_Entry(key, _scalar(match, line), line))
            key = ""
        elif kind != "skip":
            raise Refused(f"line {line}: did not expect {ascii(value)[:40]} here")
        line += value.count("\n")
    if len(path) > 1 or key:
        raise Refused(f"line {line}: ends before the last bracket is closed")
    return top


def _scalar(match: re.Match[str], line: int) -> Any:
    if match["text"] is not None:
        return html.unescape(match["text"])
    text = match[0]
    if match["number"] is None:  # networkx's NAN and INF are no numbers here
        return text
    if len(text) > 40:
        raise Refused(f"line {line}: a number of {len(text)} characters")
    return int(text) if re.fullmatch(r"[+-]?\d+", text) else float(text)


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

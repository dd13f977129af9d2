"""GEXF, Gephi's own format, versions 1.1 to 1.3 (gexf.net)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...storage_checks import Refused
from ..neighbor_graph import NeighborGraph
from . import Format
from ._writing import edges_of, nodes_of, refuse
from ._xml import Element, parse, quoted
from .edge_table import EdgeTable, Nodes, Places, columns_of, names_of, number_or_text

_NUMBERS = ("integer", "float", "double", "long", "short", "byte", "bigdecimal", "biginteger")
_KINDS = {"directed": True, "undirected": False, "mutual": False}


def read(data: bytes) -> EdgeTable:
    """Nodes (also inside others) and edges with their weights and attributes; times of a dynamic graph are refused."""
    graph = parse(data, "gexf").only("graph")
    if graph.attributes.get("mode", "static") != "static":
        raise Refused(f"line {graph.line}: is a dynamic graph; export it for one time")
    declared = {
        attribute.required("id"): attribute
        for group in graph.each("attributes")
        if group.attributes.get("class") == "edge"
        for attribute in group.each("attribute")
    }
    nodes, edges = list(graph.inside("node")), list(graph.inside("edge"))
    ids = [node.required("id") for node in nodes]
    known = Nodes(ids)
    default = graph.attributes.get("defaultedgetype", "undirected")
    directed = [_is_directed(edge, default) for edge in edges]
    sources, targets = (
        [known.number(edge.required(end), f"line {edge.line}, {end}") for edge in edges] for end in ("source", "target")
    )
    return EdgeTable(
        sources=sources,
        targets=targets,
        num_nodes=len(ids),
        names=names_of(ids, [node.attributes.get("label") for node in nodes]),
        directed=np.array(directed) if len(set(directed)) > 1 else directed[0] if directed else default == "directed",
        columns=columns_of([_attributes(edge, declared) for edge in edges]),
        ids=("id",),
        where=Places("line ", numbers=[edge.line for edge in edges]),
    )


def _is_directed(edge: Element, default: str) -> bool:
    kind = edge.attributes.get("type", default).lower()
    if kind not in _KINDS:
        raise Refused(f"line {edge.line}: expected one of the types {', '.join(_KINDS)}, got {kind!r:.40}")
    return _KINDS[kind]


def _attributes(edge: Element, declared: dict[str, Element]) -> dict[str, Any]:
    """Weight, label and the declared attributes; their defaults where the edge has none."""
    found: dict[str, Any] = {}
    for attribute in declared.values():
        if (default := attribute.only("default").text) != "":
            found[_title(attribute)] = _value(attribute, default)
    if "weight" in edge.attributes:
        found["weight"] = number_or_text(edge.attributes["weight"])
    if edge.attributes.get("label"):
        found["label"] = edge.attributes["label"]
    for value in edge.only("attvalues").each("attvalue"):
        key = value.attributes.get("for", value.attributes.get("id", ""))
        if key not in declared:
            raise Refused(f"line {value.line}: no attribute {key!r:.60} is declared")
        found[_title(declared[key])] = _value(declared[key], value.required("value"))
    return found


def _title(attribute: Element) -> str:
    return attribute.attributes.get("title", attribute.attributes["id"])


def _value(attribute: Element, text: str) -> Any:
    return number_or_text(text) if attribute.attributes.get("type") in _NUMBERS else text


def write(graph: NeighborGraph) -> bytes:
    """Names as labels; every column of the edges but the weight as an attribute."""
    refuse(graph, "GEXF", "layers")
    labels = nodes_of(graph, "GEXF", distinct=graph.names is not None)
    sources, targets, columns, directed = edges_of(graph)
    weights = columns.pop("weight", None)
    lines = ['<?xml version="1.0" encoding="utf-8"?>', '<gexf xmlns="http://gexf.net/1.3" version="1.3">']
    lines.append(f'<graph mode="static" defaultedgetype="{"directed" if directed else "undirected"}">')
    lines.append('<attributes class="edge">')
    lines += [f'<attribute id="{n}" title="{name}" type="double"/>' for n, name in enumerate(columns)]
    lines += ["</attributes>", "<nodes>"]
    names = ["" if graph.names is None else f" label={quoted(label)}" for label in labels]
    lines += [f'<node id="{i}"{name}/>' for i, name in enumerate(names)]
    lines += ["</nodes>", "<edges>"]
    for k, (j, i) in enumerate(zip(sources, targets, strict=True)):
        weight = "" if weights is None else f' weight="{weights[k]!r}"'
        data = "".join(f'<attvalue for="{n}" value="{a[k]!r}"/>' for n, a in enumerate(columns.values()))
        inside = f"><attvalues>{data}</attvalues></edge>" if data else "/>"
        lines.append(f'<edge id="{k}" source="{j}" target="{i}"{weight}{inside}')
    return "\n".join([*lines, "</edges>", "</graph>", "</gexf>", ""]).encode()


GEXF = Format(read, write)

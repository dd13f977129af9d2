"""GraphML, as networkx, igraph, yEd and Gephi write it (graphml.graphdrawing.org)."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...storage_checks import Refused
from ..neighbor_graph import NeighborGraph
from . import Format
from ._writing import edges_of, nodes_of
from ._xml import Element, parse, quoted
from .edge_table import MISSING, EdgeTable, Nodes, Places, columns_of, layers_of, names_of, number_or_text

_NUMBERS = ("int", "integer", "long", "float", "double")


def read(data: bytes) -> EdgeTable:
    """One graph with its nodes and edges; attributes are those that ``<key>`` declares."""
    document = parse(data, "graphml")
    graphs = list(document.inside("graph"))
    if len(graphs) != 1:
        raise Refused(f"expected one graph, found {len(graphs)}")
    graph = graphs[0]
    odd = next((child for child in graph.children if child.name == "hyperedge"), None)
    if odd is not None:
        raise Refused(f"line {odd.line}: hyperedges are not supported")
    keys = {key.required("id"): key for key in document.each("key")}
    nodes, edges = graph.each("node"), graph.each("edge")
    ids = [node.required("id") for node in nodes]
    about = [_attributes(node, keys) for node in nodes]
    known = Nodes(ids)
    default = graph.attributes.get("edgedefault", "undirected") == "directed"
    directed = [edge.attributes.get("directed", str(default)).lower() in ("true", "1") for edge in edges]
    ends = (
        [known.number(edge.required(end), f"line {edge.line}, {end}") for edge in edges] for end in ("source", "target")
    )
    sources, targets = ends
    return EdgeTable(
        sources=sources,
        targets=targets,
        num_nodes=len(ids),
        names=names_of(ids, [node.get("label", node.get("name")) for node in about]),
        directed=directed[0] if len(set(directed)) == 1 else np.array(directed, dtype=bool) if directed else default,
        columns=columns_of([_attributes(edge, keys) for edge in edges]),
        ids=("id", "key", "Edge Label", "edgelabel"),
        layers=layers_of([node.get("layer", MISSING) for node in about]),
        where=Places("line ", numbers=[edge.line for edge in edges]),
    )


def _attributes(element: Element, keys: dict[str, Element]) -> dict[str, Any]:
    """The values of ``<data>`` by the names of the keys, with defaults for missing values."""
    found: dict[str, Any] = {}
    for key in keys.values():
        default = key.each("default")
        if default and key.attributes.get("for", "all") in (element.name, "all"):
            found[_name(key)] = _value(key, default[0].text)
    for data in element.each("data"):
        if data.required("key") not in keys:
            raise Refused(f"line {data.line}: no key {data.attributes['key']!r:.60} is declared")
        key = keys[data.attributes["key"]]
        found[_name(key)] = _value(key, data.text)
    return found


def _name(key: Element) -> str:
    return key.attributes.get("attr.name", key.attributes["id"])


def _value(key: Element, text: str) -> Any:
    return number_or_text(text) if key.attributes.get("attr.type") in _NUMBERS else text.strip()


def write(graph: NeighborGraph) -> bytes:
    """Names as ids, or numbers; every column of the edges as an attribute of type double."""
    ids = nodes_of(graph, "GraphML", distinct=True)
    sources, targets, columns, directed = edges_of(graph)
    kind = "directed" if directed else "undirected"
    keys = [f'<key id="e{k}" for="edge" attr.name="{name}" attr.type="double"/>' for k, name in enumerate(columns)]
    layers = None if graph.layers is None else graph.layers.tolist()
    if layers is not None:
        keys.append('<key id="layer" for="node" attr.name="layer" attr.type="int"/>')
    lines = ['<?xml version="1.0" encoding="utf-8"?>', '<graphml xmlns="http://graphml.graphdrawing.org/xmlns">', *keys]
    lines.append(f'<graph edgedefault="{kind}">')
    for i, name in enumerate(ids):
        data = "" if layers is None else f'<data key="layer">{layers[i]}</data>'
        lines.append(f"<node id={quoted(name)}>{data}</node>")
    for k, (j, i) in enumerate(zip(sources, targets, strict=True)):
        data = "".join(f'<data key="e{n}">{values[k]!r}</data>' for n, values in enumerate(columns.values()))
        lines.append(f"<edge source={quoted(ids[j])} target={quoted(ids[i])}>{data}</edge>")
    return "\n".join([*lines, "</graph>", "</graphml>", ""]).encode()


GRAPHML = Format(read, write)

"""GraphML, the format of networkx, igraph, yEd and Gephi (graphml.graphdrawing.org)."""

from __future__ import annotations

from typing import Any

from ...storage_checks import Refused
from ..neighbor_graph import NeighborGraph
from . import Format
from ._writing import edges_of, nodes_of
from ._xml import Element, parse, quoted
from ._xml_edges import Declared, Edges
from .edge_table import MISSING, EdgeTable, layers_of, names_of

_NUMBERS = ("int", "integer", "long", "float", "double")


def read(data: bytes) -> EdgeTable:
    """Read one graph with its nodes and edges, and the attributes that ``<key>`` declares."""
    edges = Edges()

    def edge(element: Element) -> None:
        edges.add(element, "directed")
        for child in element.children:
            if child.name == "data":
                edges.put(child.required("key"), child.text, child.line)

    document = parse(data, "graphml", {"edge": edge})
    graphs = list(document.inside("graph"))
    if len(graphs) != 1:
        raise Refused(f"expected one graph, found {len(graphs)}")
    graph = graphs[0]
    odd = next((child for child in graph.children if child.name == "hyperedge"), None)
    if odd is not None:
        raise Refused(f"line {odd.line}: hyperedges are not supported")
    keys = {key.required("id"): key for key in document.each("key")}
    nodes = graph.each("node")
    ids = [node.required("id") for node in nodes]
    declared = _declared(keys, "node")
    about = [_attributes(node, declared) for node in nodes]
    default = graph.attributes.get("edgedefault", "undirected")
    return edges.table(
        ids,
        [(kind or str(default == "directed")).lower() in ("true", "1") for kind in edges.kinds],
        default == "directed",
        names=names_of(ids, [node.get("label", node.get("name")) for node in about]),
        columns=edges.columns(_declared(keys, "edge"), "key"),
        ids=("id", "key", "Edge Label", "edgelabel"),
        layers=layers_of([node.get("layer", MISSING) for node in about]),
    )


def _declared(keys: dict[str, Element], kind: str) -> dict[str, Declared]:
    """Return the attributes that the keys declare, with defaults only for elements of this kind."""
    found = {}
    for name, key in keys.items():
        default = key.only("default").text if key.attributes.get("for", "all") in (kind, "all") else ""
        is_number = key.attributes.get("attr.type") in _NUMBERS
        found[name] = Declared(key.attributes.get("attr.name", name), is_number, default)
    return found


def _attributes(element: Element, declared: dict[str, Declared]) -> dict[str, Any]:
    """Return the values of ``<data>`` by name, with defaults for missing values."""
    found = {d.name: d.value(d.default) for d in declared.values() if d.default}
    for data in element.each("data"):
        key = declared.get(data.required("key"))
        if key is None:
            raise Refused(f"line {data.line}: no key {data.attributes['key']!r:.60} is declared")
        found[key.name] = key.value(data.text)
    return found


def write(graph: NeighborGraph) -> bytes:
    """Write names or numbers as ids, and every edge column as an attribute of type double."""
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

"""GEXF, Gephi's own format, versions 1.1 to 1.3 (gexf.net)."""

from __future__ import annotations

from ...storage_checks import Refused
from ..neighbor_graph import NeighborGraph
from . import Format
from ._writing import edges_of, nodes_of, refuse
from ._xml import Element, parse, quoted
from ._xml_edges import Declared, Edges
from .edge_table import WEIGHT, EdgeTable, names_of

_NUMBERS = ("integer", "float", "double", "long", "short", "byte", "bigdecimal", "biginteger")
_KINDS = {"directed": True, "undirected": False, "mutual": False}
#: Edge attributes that need no declaration.
_OWN = (Declared(WEIGHT, True), Declared("label", False))


def read(data: bytes) -> EdgeTable:
    """Read nodes (also nested ones) and edges with weights and attributes. A dynamic graph raises an error."""
    edges = Edges()

    def edge(element: Element) -> None:
        edges.add(element, "type")
        for own in _OWN:
            if own.name in element.attributes:
                edges.put(own, element.attributes[own.name], element.line)
        for value in element.only("attvalues").children:
            key = value.attributes.get("for", value.attributes.get("id", ""))
            edges.put(key, value.required("value"), value.line)

    graph = parse(data, "gexf", {"edge": edge}).only("graph")
    if graph.attributes.get("mode", "static") != "static":
        raise Refused(f"line {graph.line}: is a dynamic graph; export it for one time")
    declared = {
        attribute.required("id"): _declared(attribute)
        for group in graph.each("attributes")
        if group.attributes.get("class") == "edge"
        for attribute in group.each("attribute")
    }
    nodes = list(graph.inside("node"))
    ids = [node.required("id") for node in nodes]
    default = graph.attributes.get("defaultedgetype", "undirected")
    return edges.table(
        ids,
        [_is_directed(kind or default, line) for kind, line in zip(edges.kinds, edges.lines, strict=True)],
        default == "directed",
        names=names_of(ids, [node.attributes.get("label") for node in nodes]),
        columns=edges.columns(declared, "attribute"),
        ids=("id",),
    )


def _is_directed(kind: str, line: int) -> bool:
    found = _KINDS.get(kind.lower())
    if found is None:
        raise Refused(f"line {line}: expected one of the types {', '.join(_KINDS)}, got {kind!r:.40}")
    return found


def _declared(attribute: Element) -> Declared:
    title = attribute.attributes.get("title", attribute.attributes["id"])
    return Declared(title, attribute.attributes.get("type") in _NUMBERS, attribute.only("default").text)


def write(graph: NeighborGraph) -> bytes:
    """Write names as labels, and every edge column except the weight as an attribute."""
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

"""networkx's node-link format, and d3's, which has no ids and names the weight of a link ``value``."""

from __future__ import annotations

import json
from typing import Any

from ...storage_checks import Refused
from ..conversions import edge_attributes
from ..neighbor_graph import NeighborGraph
from ._writing import once
from .edge_table import MISSING, EdgeTable, Nodes, Places, columns_of, layers_of, number_or_text, value_or_weight

#: Keys of a link's endpoints; vis.js uses the second pair.
_ENDS = (("source", "target"), ("from", "to"))
#: Identifiers of links: networkx's key of parallel edges, d3's index, and id.
_IDS = ("key", "index", "id")


def read_document(content: dict[str, Any]) -> EdgeTable:
    """Read an object with ``nodes`` and ``links`` (or ``edges``), whose endpoints are ids or, in d3, node positions."""
    nodes, links = records(content, "nodes"), records(content, "links" if "links" in content else "edges")
    if not nodes:
        raise Refused("nodes: expected at least one node")
    ids = [as_key(node.get("id", node.get("key", i)), f"nodes[{i}]") for i, node in enumerate(nodes)]
    known = Nodes(ids)
    columns = columns_of([link | _attributes(link) for link in links], without=("attributes",))
    pairs = [pair for pair in _ENDS if pair[0] in columns and pair[1] in columns]
    if links and not pairs:
        raise Refused("links: expected a source and a target")
    sources, targets = (
        ([_end(key, f"links[{k}], {end}") for k, key in enumerate(columns.pop(end))] for end in pairs[0])
        if links
        else ([], [])
    )
    if _are_positions(sources + targets, known.numbers):
        known = Nodes(range(len(nodes)))
    columns, weight = value_or_weight(columns)
    return EdgeTable(
        sources=known.all(sources, lambda k: f"links[{k}], source"),
        targets=known.all(targets, lambda k: f"links[{k}], target"),
        num_nodes=len(nodes),
        names=_names(nodes),
        directed=directed_of(content),
        columns=columns,
        weight=weight,
        ids=_IDS,
        layers=layers_of([node.get("layer", MISSING) for node in nodes]),
        where=Places("links[", "]"),
    )


def directed_of(content: dict[str, Any]) -> bool:
    """Return whether the document's edges are directed. networkx writes this key, d3 does not."""
    directed = content.get("directed", False)
    if not isinstance(directed, bool):
        raise Refused("directed: expected true or false")
    return directed


def records(content: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Check and return the list of objects with this name."""
    found = content.get(name)
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise Refused(f"expected node-link JSON: {name} must be a list of objects")
    return found


def as_key(value: object, where: str) -> Any:
    """Convert an id to a key: text, a number, or a list of these (networkx's form of tuples)."""
    if isinstance(value, list) and all(isinstance(part, (str, int, float)) for part in value):
        return tuple(value)
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise Refused(f"{where}: expected an id that is text or a number")
    return value


def _end(value: object, where: str) -> Any:
    """Return the key of an endpoint. d3's simulation replaces keys by the node objects."""
    if isinstance(value, dict):
        value = value.get("id", value.get("index"))
    return as_key(value, where)


def _attributes(link: dict[str, Any]) -> dict[str, Any]:
    """Return the ``attributes`` object that Gephi and graphology export; Gephi writes numbers as text."""
    found = link.get("attributes")
    if not isinstance(found, dict):
        return {}
    return {name: number_or_text(value) if isinstance(value, str) else value for name, value in found.items()}


def _are_positions(ends: list[Any], ids: dict[Any, int]) -> bool:
    """Return whether the endpoints are node positions: not all are ids, and all are whole numbers in range."""
    return any(end not in ids for end in ends) and all(type(end) is int and 0 <= end < len(ids) for end in ends)


def _names(nodes: list[dict[str, Any]]) -> list[str] | None:
    """Return the ``name`` of each node, else its id, else None."""
    if all(isinstance(node.get("name"), str) for node in nodes):
        return [node["name"] for node in nodes]
    ids = [node.get("id", node.get("key", i)) for i, node in enumerate(nodes)]
    if ids == list(range(len(ids))):
        return None
    return [str(tuple(i)) if isinstance(i, list) else str(i) for i in ids]


def write(graph: NeighborGraph) -> bytes:
    """Write the graph as node-link JSON, with undirected edges once."""
    nodes: list[dict[str, Any]] = [{"id": i} for i in range(graph.num_nodes)]
    for field, values in (("name", graph.names), ("layer", None if graph.layers is None else graph.layers.tolist())):
        for node, value in zip(nodes, values or (), strict=False):
            node[field] = value
    kept = once(graph, ordered=True)
    sources, targets = graph.to_edge_index() if kept is None else graph.to_edge_index()[::-1, kept]
    data = edge_attributes(graph)
    places = range(graph.num_edges) if kept is None else kept.tolist()
    ends = zip(sources.tolist(), targets.tolist(), places, strict=True)
    edges = [{"source": j, "target": i, **data[k]} for j, i, k in ends]
    content = {"directed": kept is None, "multigraph": True, "graph": {}, "nodes": nodes, "edges": edges}
    return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()

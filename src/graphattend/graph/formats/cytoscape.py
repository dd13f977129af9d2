"""The JSON of Cytoscape and Cytoscape.js, which `networkx.cytoscape_data` also writes."""

from __future__ import annotations

from typing import Any

from ...storage_checks import Refused, parse_json
from . import Format
from .edge_table import EdgeTable, Nodes, Places, columns_of, names_of
from .node_link import directed_of

#: Identifiers of Cytoscape's elements.
_IDS = ("id", "SUID", "key", "selected", "shared_name", "shared_interaction")


def read(data: bytes) -> EdgeTable:
    """Read a document with ``elements``."""
    return read_document(parse_json(data.removeprefix(b"\xef\xbb\xbf"), "the file"))


def read_document(content: dict[str, Any]) -> EdgeTable:
    """Read elements from an object with ``nodes`` and ``edges``, or from one list; each element has its ``data``."""
    nodes, edges = _elements(content.get("elements"))
    ids = [str(node.get("id")) for node in nodes]
    known = Nodes(ids)
    sources, targets = ([str(edge.get(end)) for edge in edges] for end in ("source", "target"))
    return EdgeTable(
        sources=known.all(sources, lambda k: f"edges[{k}], source"),
        targets=known.all(targets, lambda k: f"edges[{k}], target"),
        num_nodes=len(nodes),
        names=names_of(ids, [node.get("name") for node in nodes]),
        directed=directed_of(content),
        columns=columns_of(edges, without=("source", "target")),
        ids=_IDS,
        where=Places("edges[", "]"),
    )


def _elements(found: object) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    if isinstance(found, dict):
        groups = [found.get("nodes", []), found.get("edges", [])]
    elif isinstance(found, list) and all(map(_is_element, found)):
        groups = [[e for e in found if ("source" in e["data"]) is is_edge] for is_edge in (False, True)]
    else:
        groups = [None]
    for group in groups:
        if not isinstance(group, list) or not all(map(_is_element, group)):
            raise Refused("elements: expected nodes and edges, each an object with data")
    nodes, edges = ([element["data"] for element in group] for group in groups)
    return nodes, edges


def _is_element(found: object) -> bool:
    return isinstance(found, dict) and isinstance(found.get("data"), dict)


CYTOSCAPE = Format(read)

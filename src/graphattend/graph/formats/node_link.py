"""networkx's node-link form, and d3's, which is the same without ids and calls the weight of a link its value."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from ...storage_checks import Refused, parse_json
from ..conversions import edge_attributes
from ..neighbor_graph import NeighborGraph
from . import Format
from .edge_table import MISSING, WEIGHT, EdgeTable, as_numbers, columns_of

#: What tells links apart: networkx's key of parallel edges, d3's number, and ids.
_IDS = ("key", "index", "id")


def read(data: bytes) -> EdgeTable:
    """An object with ``nodes`` and ``links`` (or ``edges``)."""
    content = parse_json(data.removeprefix(b"\xef\xbb\xbf"), "the file")
    nodes, links = _records(content, "nodes"), _records(content, "links" if "links" in content else "edges")
    if not nodes:
        raise Refused("nodes: expected at least one node")
    numbers: dict[Any, int] = {}
    for i, node in enumerate(nodes):
        numbers[_key(node.get("id", i), f"nodes[{i}]")] = i
    if len(numbers) != len(nodes):
        raise Refused("nodes: two nodes have the same id")
    directed = content.get("directed", False)
    if not isinstance(directed, bool):
        raise Refused("directed: expected true or false")
    sources, targets = ([_end(link, end, numbers, k) for k, link in enumerate(links)] for end in ("source", "target"))
    columns, weight = _columns(links)
    return EdgeTable(
        sources=sources,
        targets=targets,
        num_nodes=len(nodes),
        names=_names(nodes),
        directed=directed,
        columns=columns,
        weight=weight,
        ids=_IDS,
        layers=_layers(nodes),
        where=lambda k: f"links[{k}]",
    )


def _records(content: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = content.get(name)
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise Refused(f"expected node-link JSON: {name} must be a list of objects")
    return found


def _key(value: Any, where: str) -> Any:
    """An id as a key: text, a number, or (as networkx writes tuples) a list of those."""
    if isinstance(value, list) and all(isinstance(part, (str, int, float)) for part in value):
        return tuple(value)
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise Refused(f"{where}: expected an id that is text or a number")
    return value


def _end(link: dict[str, Any], end: str, numbers: dict[Any, int], k: int) -> int:
    value = _key(link.get(end), f"link {k}, {end}")
    if value not in numbers:
        raise Refused(f"link {k}: {end} {ascii(value)[:40]} names no node")
    return numbers[value]


def _layers(nodes: list[dict[str, Any]]) -> np.ndarray | None:
    """Their ``layer``, or None if no node has one."""
    if not any("layer" in node for node in nodes):
        return None
    layers = as_numbers([node.get("layer") for node in nodes])
    if layers is None or layers.ndim != 1 or (layers != np.round(layers)).any() or np.abs(layers).max() > 2**31:
        raise Refused("nodes: expected layers that are whole numbers on every node")
    return layers.astype(np.intp)


def _columns(links: list[dict[str, Any]]) -> tuple[dict[str, Any], str]:
    """What links carry beside their ends, and which of it is their weight: d3 calls it ``value``."""
    columns = {name: a for name, a in columns_of(links).items() if name not in ("source", "target")}
    if WEIGHT in columns and "value" in columns:
        weight, value = ([1.0 if v is MISSING else v for v in columns[name]] for name in (WEIGHT, "value"))
        if weight != value:
            raise Refused("links: have both 'weight' and 'value', which differ; one of them must go")
        del columns["value"]
    return columns, "value" if "value" in columns else WEIGHT


def _names(nodes: list[dict[str, Any]]) -> list[str] | None:
    """Their ``name``, else their id, else nothing."""
    if all(isinstance(node.get("name"), str) for node in nodes):
        return [node["name"] for node in nodes]
    ids = [node.get("id", i) for i, node in enumerate(nodes)]
    if ids == list(range(len(ids))):
        return None
    return [str(tuple(i)) if isinstance(i, list) else str(i) for i in ids]


def write(graph: NeighborGraph) -> bytes:
    """The graph as node-link JSON."""
    nodes: list[dict[str, Any]] = [{"id": i} for i in range(graph.num_nodes)]
    for field, values in (("name", graph.names), ("layer", None if graph.layers is None else graph.layers.tolist())):
        for node, value in zip(nodes, values or (), strict=False):
            node[field] = value
    sources, targets = graph.to_edge_index().tolist()
    edges = [
        {"source": j, "target": i, **data} for j, i, data in zip(sources, targets, edge_attributes(graph), strict=True)
    ]
    content = {"directed": True, "multigraph": True, "graph": {}, "nodes": nodes, "edges": edges}
    return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


NODE_LINK = Format(read, write)

"""networkx's node-link form, and d3's, which is the same without ids and calls the weight of a link its value."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from ...storage_checks import Refused, parse_json
from ..constructors import from_pairs
from ..conversions import edge_attributes
from ..neighbor_graph import NeighborGraph
from . import Format


def read(data: bytes, directed: bool | None) -> NeighborGraph:
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
    if directed is None:
        directed = content.get("directed", False)
        if not isinstance(directed, bool):
            raise Refused("directed: expected true or false")
    ends = [[_end(link, end, numbers, k) for k, link in enumerate(links)] for end in ("source", "target")]
    sources, targets = np.array(ends, dtype=np.intp).reshape(2, -1)
    layers = _column(nodes, "layer", "nodes")
    if layers is not None and (layers.ndim != 1 or (layers != np.round(layers)).any() or np.abs(layers).max() > 2**31):
        raise Refused("nodes: expected layers that are whole numbers")
    columns: dict[str, np.ndarray | None] = {
        "edge_weights": _weights(links),
        "distances": _column(links, "distance", "links"),
        "edge_features": _column(links, "features", "links"),
    }
    return from_pairs(
        sources,
        targets,
        len(nodes),
        directed,
        columns,
        layers=None if layers is None else layers.astype(np.intp),
        names=_names(nodes),
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


def _column(records: list[dict[str, Any]], name: str, where: str, missing: float | None = None) -> np.ndarray | None:
    """The entries as float64, or None if no record has one."""
    if not any(name in record for record in records):
        return None
    values = [record.get(name, missing) for record in records]
    try:
        column = np.array(values)
    except ValueError:  # ragged
        column = np.array(None)
    if column.dtype.kind not in "iuf":
        raise Refused(f"{where}: expected a number (or equally long lists of numbers) as {name!r} in every entry")
    return column.astype(np.float64)


def _weights(links: list[dict[str, Any]]) -> np.ndarray | None:
    """Their ``weight``, as networkx writes it, or ``value``, as d3's examples have it."""
    weight, value = (_column(links, name, "links", missing=1.0) for name in ("weight", "value"))
    if weight is not None and value is not None and not np.array_equal(weight, value):
        raise Refused("links: have both 'weight' and 'value', which differ; one of them must go")
    found = value if weight is None else weight
    if found is not None and found.ndim != 1:
        raise Refused(f"links: expected one number as {'value' if weight is None else 'weight'!r} in every entry")
    return found


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

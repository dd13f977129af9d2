"""Graphs from JavaScript's data: fields, edges, d3's nodes and links, the text or bytes of a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from .errors import DimensionMismatchError, InvalidConfigError, LoadError
from .graph import NeighborGraph
from .graph.files import parse

#: Calls a function with positional arguments and options; raises typed errors if they do not fit its signature.
Bound = Callable[[Callable[..., Any], Any, dict[str, Any]], Any]


def from_file(data: bytes, directed: bool | None) -> NeighborGraph:
    """Create a graph from the content of a file; its first bytes determine the format.

    Args:
        data: The content, possibly compressed.
        directed: As in `NeighborGraph.read`.

    Raises:
        LoadError: The format is unknown or the content is damaged.
    """
    try:
        return parse(data, "graph", directed=directed).graph
    except LoadError as error:
        raise LoadError(str(error), argument="graph") from None


def from_links(value: dict[str, Any], directed: bool | None) -> NeighborGraph:
    """Create a graph from nodes and links as in d3 or node-link JSON.

    Args:
        value: ``nodes`` (objects with an ``id``, or ids) and ``links`` or ``edges`` (objects with ``source`` and
            ``target``: ids, or the node objects, which d3 puts in their place).
        directed: Whether links are directed. None: as ``value["directed"]`` says, undirected by default.
    """
    found = {"nodes": value["nodes"]} | {n: value[n] for n in ("edges", "links") if n in value}
    for name, part in found.items():
        if not isinstance(part, (list, np.ndarray)):
            raise InvalidConfigError.of(f"graph.{name}", "a list", type(part).__name__)
    nodes = [n if isinstance(n, dict) else {"id": n} for n in value["nodes"]]
    ids = [n.get("id", i) for i, n in enumerate(nodes)]

    def end(x: object) -> Any:
        return x.get("id", x.get("index")) if isinstance(x, dict) else x

    links = []
    for i, link in enumerate(value["links"] if "links" in value else value["edges"]):
        if not isinstance(link, dict) or "source" not in link or "target" not in link:
            raise InvalidConfigError(
                f"graph.links[{i}]: expected an object with source and target", argument=f"graph.links[{i}]"
            )
        weight = link.get("weight", link.get("value"))
        links.append(
            {"source": end(link["source"]), "target": end(link["target"])}
            | ({} if weight is None else {"weight": weight})
        )
    both_ways = value.get("directed", False) if directed is None else directed
    document = {"directed": bool(both_ways), "multigraph": False, "nodes": [{"id": n} for n in ids], "links": links}
    return from_file(json.dumps(document).encode(), None)


def from_fields(fields: dict[str, Any], directed: bool | None, bound: Bound) -> NeighborGraph:
    """Create a graph from ``edges`` (pairs of numbers or names), ``edge_index``, or the fields of `NeighborGraph`."""
    if "edge_index" in fields:
        pairs = fields.pop("edge_index")
        if isinstance(pairs, np.ndarray) and pairs.ndim == 1 and pairs.size % 2 == 0:
            pairs = pairs.reshape(2, -1)
    elif "edges" in fields:
        pairs = _pairs(fields)
    else:
        if isinstance(fields.get("edge_features"), np.ndarray) and isinstance(fields.get("indices"), np.ndarray):
            x, edges = fields["edge_features"], fields["indices"].size
            if x.ndim == 1 and edges and x.size % edges == 0:
                fields["edge_features"] = x.reshape(edges, -1)
        return bound(NeighborGraph, (), fields)
    if directed is False:
        pairs = np.asarray(pairs)
        loops = pairs[0] == pairs[1]
        pairs = np.concatenate([pairs, pairs[::-1][:, ~loops]], axis=1)
        for name in ("edge_features", "edge_weights", "distances"):
            if fields.get(name) is not None:
                x = np.asarray(fields[name])
                fields[name] = np.concatenate([x, x[~loops]])
    return bound(NeighborGraph.from_edge_index, (pairs, fields.pop("num_nodes", None)), fields)


def _pairs(fields: dict[str, Any]) -> np.ndarray:
    given = fields.pop("edges")
    if isinstance(given, list) and given:  # not only numbers: names
        if not all(isinstance(pair, list) and len(pair) == 2 for pair in given):
            raise InvalidConfigError("graph.edges: expected pairs", argument="graph.edges")
        given = [[str(x) for x in pair] for pair in given]
        names = fields.setdefault("names", list(dict.fromkeys(x for pair in given for x in pair)))
        at = {str(name): i for i, name in enumerate(names)}
        unknown = sorted({x for pair in given for x in pair} - at.keys())
        if unknown:
            raise InvalidConfigError(f"graph.edges: no node {unknown[0]:.80}", argument="graph.edges")
        fields.setdefault("num_nodes", len(names))
        given = [[at[x] for x in pair] for pair in given]
    edges = np.asarray(given)
    if edges.ndim == 1:
        edges = edges.reshape(-1, 2)
    if edges.ndim != 2 or edges.shape[1] != 2:
        raise DimensionMismatchError(
            f"graph.edges: expected pairs, got shape {edges.shape}",
            argument="graph.edges",
            expected=2,
            actual=edges.shape,
        )
    return edges.T

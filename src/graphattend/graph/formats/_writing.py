"""Code that the writers share: lists of nodes and edges, and errors for graphs that a format cannot store."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from ...errors import InvalidConfigError
from ..constructors import from_pairs
from ..neighbor_graph import NeighborGraph
from ..properties import is_undirected
from ..transforms import edge_data

#: Control characters, which XML does not allow and text files should not contain.
_CONTROL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def cannot(format: str, what: str, instead: str = ".npz and .json can") -> InvalidConfigError:
    """Return the error for a graph that a format cannot store."""
    return InvalidConfigError(
        f"path: {format} cannot hold {what}; {instead}", argument="path", expected="another format"
    )


def refuse(graph: NeighborGraph, format: str, *fields: str) -> None:
    """Raise an error if the graph has one of these fields."""
    for name in fields:
        if getattr(graph, name) is not None:
            raise cannot(format, name.replace("_", " "))


def nodes_of(graph: NeighborGraph, format: str, *, distinct: bool) -> Sequence[str]:
    """Return a name for every node.

    Control characters raise an error; with `distinct`, so do equal and empty names.
    """
    if graph.names is None:
        return [str(i) for i in range(graph.num_nodes)]
    bad = next((name for name in graph.names if _CONTROL.search(name)), None)
    if bad is not None:
        raise cannot(format, f"the name {ascii(bad)[:40]}")
    if distinct and (len(set(graph.names)) != graph.num_nodes or "" in graph.names):
        raise cannot(format, "two nodes of one name, or a name without characters")
    return graph.names


def edges_of(graph: NeighborGraph) -> tuple[list[int], list[int], dict[str, list[float]], bool]:
    """Return sources, targets, data columns, and whether edges are directed. An undirected edge is listed once."""
    kept = once(graph)
    directed = kept is None
    # List each edge at its smaller endpoint, so that a reader restores the order of the rows.
    sources, targets = (graph.indices, graph.targets) if kept is None else (graph.targets[kept], graph.indices[kept])
    data = edge_data(graph, slice(None) if kept is None else kept)
    columns: dict[str, list[float]] = {}
    for field, name in (("edge_weights", "weight"), ("distances", "distance")):
        if field in data:
            columns[name] = data[field].tolist()
    if "edge_features" in data:
        columns |= {f"feature{k + 1}": column.tolist() for k, column in enumerate(data["edge_features"].T)}
    return sources.tolist(), targets.tolist(), columns, directed


def once(graph: NeighborGraph, *, ordered: bool = False) -> np.ndarray | None:
    """Return one edge index per undirected edge, or None if the graph is directed or cannot be rebuilt from them.

    With `ordered`, the neighbours in every row must also be rebuilt in their order.
    """
    if not graph.num_edges or not is_undirected(graph):
        return None
    kept = np.flatnonzero(graph.indices >= graph.targets)
    columns = {name: edge_data(graph, kept).get(name) for name in ("edge_features", "edge_weights", "distances")}
    back = from_pairs(graph.targets[kept], graph.indices[kept], graph.num_nodes, False, columns)
    arrays = _edges if ordered else _sorted
    a, b = arrays(graph), arrays(back)
    return kept if all(np.array_equal(a[name], b[name]) for name in b) else None


def same(graph: NeighborGraph, back: NeighborGraph) -> bool:
    """Return whether two graphs are equal up to the order of named nodes and of the neighbours in a row."""
    if graph.num_nodes != back.num_nodes or (graph.names is None) != (back.names is None):
        return False
    if graph.names is not None and graph.names != back.names:
        places = {name: i for i, name in enumerate(back.names or ())}
        if len(places) != len(graph.names) or not places.keys() >= set(graph.names):
            return False
        back = back.subgraph([places[name] for name in graph.names])
    a, b = (_sorted(g) for g in (graph, back))
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def _edges(graph: NeighborGraph) -> dict[str, np.ndarray]:
    """Return the edges and their data."""
    data = edge_data(graph, slice(None)) if graph.num_edges else {}
    return {"sources": graph.indices, "targets": graph.targets, **data}


def _sorted(graph: NeighborGraph) -> dict[str, np.ndarray]:
    """Return the edges and their data in a canonical order, and the layers."""
    edges = _edges(graph)
    keys = [column for a in list(edges.values())[2:] for column in (a.T if a.ndim == 2 else [a])]
    order = np.lexsort((*keys, graph.indices, graph.targets))
    found = {name: a[order] for name, a in edges.items()}
    return found if graph.layers is None else {**found, "layers": graph.layers}

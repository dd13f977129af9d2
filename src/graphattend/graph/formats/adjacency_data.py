"""JSON with a list of neighbours per node, as `networkx.adjacency_data` writes it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...storage_checks import Refused
from .edge_table import EdgeTable, Nodes, Places, columns_of, names_of
from .node_link import as_key, directed_of, records


def read_document(content: dict[str, Any]) -> EdgeTable:
    """Read an object with ``nodes`` and ``adjacency``. An undirected edge is listed at both endpoints."""
    nodes, lists = records(content, "nodes"), content["adjacency"]
    if not isinstance(lists, list) or len(lists) != len(nodes):
        raise Refused("adjacency: expected a list for every node")
    ids = [as_key(node.get("id", i), f"nodes[{i}]") for i, node in enumerate(nodes)]
    known, directed = Nodes(ids), directed_of(content)
    entries: list[dict[str, Any]] = []
    pairs: list[tuple[int, int]] = []
    for i, neighbours in enumerate(lists):
        where = f"adjacency[{i}]"
        if not isinstance(neighbours, list) or not all(isinstance(entry, dict) for entry in neighbours):
            raise Refused(f"{where}: expected a list of objects")
        entries += neighbours
        pairs += [(i, known.number(as_key(entry.get("id"), where), where)) for entry in neighbours]
    ends = np.array(pairs, dtype=np.intp).reshape(-1, 2)
    return EdgeTable(
        sources=ends[:, 0],
        targets=ends[:, 1],
        num_nodes=len(nodes),
        names=names_of(ids),
        directed=directed,
        columns=columns_of(entries, without=("id", "key")),
        twice=not directed,
        where=Places("adjacency[", "]", [i for i, _ in pairs]),
    )

"""JSON documents, whose keys determine the JSON format."""

from __future__ import annotations

from typing import Any

from ...storage_checks import Refused, parse_json_value
from . import Format, adjacency_data, cytoscape, node_link
from ._columns import roles
from .edge_table import EdgeTable, Places, columns_of, needed, numbered


def read(data: bytes) -> EdgeTable:
    """Read a document in any of the JSON formats."""
    content = parse_json_value(data.removeprefix(b"\xef\xbb\xbf"), "the file")
    if isinstance(content, list):
        return _read_list(content)
    if not isinstance(content, dict):
        raise Refused("the file is neither a JSON object nor a list")
    if "elements" in content:
        return cytoscape.read_document(content)
    if "adjacency" in content:
        return adjacency_data.read_document(content)
    if "nodes" in content:
        return node_link.read_document(content)
    got = ", ".join(map(repr, content)) or "nothing"
    raise Refused(f"expected the keys nodes and links (or edges), nodes and adjacency, or elements, got {got[:120]}")


def _read_list(content: list[Any]) -> EdgeTable:
    """Read a list of Cytoscape's elements, or of edges as in tables of pandas and Vega, directed like .csv edges."""
    if not content or not all(isinstance(record, dict) for record in content):
        raise Refused("expected a list of objects, one for each edge")
    if all(isinstance(record.get("data"), dict) for record in content):
        return cytoscape.read_document({"elements": content})
    names = list(dict.fromkeys(name for record in content for name in record))
    found = roles(names)
    if found is None:
        got = ", ".join(map(repr, names))
        raise Refused(f"expected edges with the keys source and target, or from and to, got {got[:120]}")
    ends = [names[found.source], names[found.target]]
    sources, targets = (
        [str(node_link.as_key(record.get(end), f"[{k}], {end}")) for k, record in enumerate(content)] for end in ends
    )
    (first, second), nodes = numbered(sources, targets)
    return EdgeTable(
        sources=first,
        targets=second,
        num_nodes=len(nodes),
        names=needed(nodes),
        directed=True,
        columns=columns_of(content, without=[*ends, *(names[i] for i in found.rows)]),
        ids=found.ids,
        where=Places("[", "]"),
    )


JSON = Format(read, node_link.write)

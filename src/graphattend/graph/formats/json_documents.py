"""JSON documents; the keys determine which of the JSON formats is read."""

from __future__ import annotations

from ...storage_checks import Refused, parse_json
from . import Format, adjacency_data, cytoscape, node_link
from .edge_table import EdgeTable


def read(data: bytes) -> EdgeTable:
    """Read a document in any of the JSON formats."""
    content = parse_json(data.removeprefix(b"\xef\xbb\xbf"), "the file")
    if "elements" in content:
        return cytoscape.read_document(content)
    if "adjacency" in content:
        return adjacency_data.read_document(content)
    if "nodes" in content:
        return node_link.read_document(content)
    got = ", ".join(map(repr, content)) or "nothing"
    raise Refused(f"expected the keys nodes and links (or edges), nodes and adjacency, or elements, got {got[:120]}")


JSON = Format(read, node_link.write)

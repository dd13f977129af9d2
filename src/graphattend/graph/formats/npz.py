"""Graphs as NumPy archives, written by this package or by `np.savez` from the arrays of a graph."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from ... import storage
from ...errors import LoadError
from ...storage_checks import Refused
from ...storage_npz import read_members
from ..constructors import check_num_nodes, from_edge_index
from ..neighbor_graph import NeighborGraph
from . import Format
from .edge_table import MAX_NODES, EdgeTable

_KIND = "neighbor_graph"
_OPTIONAL = ("edge_features", "edge_weights", "distances", "layers")
_FLOATS = {"edge_features", "edge_weights", "distances"}
_MAX_BYTES = 1 << 30


def write(graph: NeighborGraph) -> bytes:
    """Write the graph as an archive. The names are stored as a JSON list in UTF-8."""
    arrays = {name: getattr(graph, name) for name in ("indptr", "indices", *_OPTIONAL)}
    if graph.names is not None:
        arrays["names"] = np.frombuffer(json.dumps(graph.names, ensure_ascii=False).encode(), dtype=np.uint8)
    return storage.dumps({n: a for n, a in arrays.items() if a is not None}, {"kind": _KIND})


def read(data: bytes) -> EdgeTable:
    """Read the arrays ``indptr`` and ``indices``, or ``edge_index``, and the optional arrays of a graph."""
    members = read_members(memoryview(data), _MAX_BYTES)
    if "__config__" in members:
        try:
            _, members = storage.loads(data, kind=_KIND, max_bytes=_MAX_BYTES, name="graph")
        except LoadError as error:  # the caller knows the file's name
            raise Refused(str(error).removeprefix("graph: ")) from None
        for name in _FLOATS & set(members):
            if members[name].dtype.kind != "f":
                raise Refused(f"array {name!r}: expected floating-point numbers, got {members[name].dtype}")
    given: dict[str, Any] = {name: members.pop(name) for name in _OPTIONAL if name in members}
    if "names" in members:
        given["names"] = _names(members.pop("names"))
    if {"indptr", "indices"} <= set(members):
        graph = NeighborGraph(members.pop("indptr"), members.pop("indices"), **given)
    elif "edge_index" in members:
        edges = members.pop("edge_index")
        graph = from_edge_index(edges, _num_nodes(members, edges), **given)
    else:
        raise Refused(f"expected the arrays indptr and indices, or edge_index, got {', '.join(sorted(members)[:8])}")
    if members:
        raise Refused(f"unknown array {min(members)!r}")
    return EdgeTable.of(graph)


def _num_nodes(members: dict[str, np.ndarray], edges: np.ndarray) -> int:
    if "num_nodes" in members:
        found = members.pop("num_nodes")
        if found.size != 1 or found.dtype.kind not in "iu":
            raise Refused("num_nodes: expected one whole number")
        size = int(found.ravel()[0])
    else:
        size = int(edges.max()) + 1 if edges.size and edges.dtype.kind in "iu" else 1
    if size > MAX_NODES:
        raise Refused(f"num_nodes: expected at most {MAX_NODES}, got {size}")
    return check_num_nodes(size)


def _names(text: np.ndarray) -> list[str]:
    if text.dtype != np.uint8 or text.ndim != 1:
        raise Refused("names: expected the bytes of a JSON list")
    try:
        found = json.loads(text.tobytes())
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise Refused("names: expected a JSON list of strings")
    return found


NPZ = Format(read, write, max_bytes=_MAX_BYTES)

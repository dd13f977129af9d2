"""Graphs from the forms other libraries keep them in."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _validate as check
from ..errors import DimensionMismatchError, EmptyInputError
from . import _csr
from .neighbor_graph import NeighborGraph

# Beyond this the offsets alone would take a gigabyte.
MAX_NODES = 100_000_000


def check_num_nodes(num_nodes: Any, argument: str = "num_nodes") -> int:
    """A usable number of nodes."""
    size = check.as_int(num_nodes, argument, minimum=0, maximum=MAX_NODES)
    if size == 0:
        raise EmptyInputError(
            f"{argument}: expected at least one node, got 0", argument=argument, expected="at least one node", actual=0
        )
    return size


def _ordered(x: Any, argument: str, order: np.ndarray) -> np.ndarray | None:
    """Per-edge data in row order; its shape and values are checked by the graph."""
    if x is None:
        return None
    a = check.as_float(x, argument)
    check.check_ndim(a, argument, 1, 2)
    check.check_length(a, argument, 0, len(order), "one entry per edge")
    ordered: np.ndarray = a[order]
    return ordered


def from_edge_index(
    edge_index: Any,
    num_nodes: Any,
    edge_features: Any = None,
    edge_weights: Any = None,
    distances: Any = None,
    layers: Any = None,
    names: Any = None,
) -> NeighborGraph:
    """See `NeighborGraph.from_edge_index`."""
    size = check_num_nodes(num_nodes)
    edges = check.as_index(edge_index, "edge_index", size, ndim=2)
    if len(edges) != 2:
        raise DimensionMismatchError(
            f"edge_index: expected shape (2, K), got {edges.shape}",
            argument="edge_index",
            expected=2,
            actual=len(edges),
        )
    sources, targets = edges
    order = np.argsort(targets, kind="stable")
    return NeighborGraph(
        _csr.indptr_of(targets, size),
        sources[order],
        edge_features=_ordered(edge_features, "edge_features", order),
        edge_weights=_ordered(edge_weights, "edge_weights", order),
        distances=_ordered(distances, "distances", order),
        layers=layers,
        names=names,
    )

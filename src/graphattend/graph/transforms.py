"""Transformations of graphs: transpose, subgraph, self-loops."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import _validate as check
from .._validate import ArrayLike
from ..errors import InvalidConfigError
from . import _csr

if TYPE_CHECKING:
    from .neighbor_graph import NeighborGraph

_EDGE_FIELDS = ("edge_features", "edge_weights", "distances")


def edge_data(graph: NeighborGraph, edges: object) -> dict[str, np.ndarray]:
    """Return the per-edge arrays that the graph has, restricted to the given edges."""
    return {n: a[edges] for n in _EDGE_FIELDS if (a := getattr(graph, n)) is not None}


def transpose(graph: NeighborGraph) -> NeighborGraph:
    """See `NeighborGraph.transpose`."""
    indptr, indices, order = _csr.transposed(graph.indptr, graph.indices)
    return type(graph)(indptr, indices, **edge_data(graph, order), layers=graph.layers, names=graph.names)


def subgraph(graph: NeighborGraph, nodes: ArrayLike) -> NeighborGraph:
    """See `NeighborGraph.subgraph`."""
    chosen = check.as_index(nodes, "nodes", graph.num_nodes, ndim=1)
    check.check_nonempty(chosen, "nodes")
    new_number = np.full(graph.num_nodes, -1)
    new_number[chosen] = np.arange(len(chosen))
    if np.count_nonzero(new_number >= 0) != len(chosen):
        raise InvalidConfigError(
            "nodes: expected each node once", argument="nodes", expected="each node once", actual="a node given twice"
        )
    starts = graph.indptr[chosen]
    counts = graph.indptr[chosen + 1] - starts
    edges = _csr.ranges(starts, counts)
    rows = np.repeat(np.arange(len(chosen)), counts)
    indices = new_number[graph.indices[edges]]
    kept = indices >= 0
    return type(graph)(
        _csr.indptr_of(rows[kept], len(chosen)),
        indices[kept],
        **edge_data(graph, edges[kept]),
        layers=None if graph.layers is None else graph.layers[chosen],
        names=None if graph.names is None else tuple(graph.names[i] for i in chosen.tolist()),
    )


def with_self_loops(graph: NeighborGraph, fill_value: float | str) -> NeighborGraph:
    """See `NeighborGraph.with_self_loops`."""
    if isinstance(fill_value, str):
        check.as_choice(fill_value, "fill_value", ["mean"])
        fill = None
    else:
        fill = check.as_number(fill_value, "fill_value")
    size = graph.num_nodes
    edges = np.flatnonzero(graph.indices != graph.targets)
    nodes = np.arange(size)
    rows = graph.targets[edges]
    # The loops follow the edges, so a stable sort by row puts each loop at the end of its row.
    order = np.argsort(np.concatenate([rows, nodes]), kind="stable")
    indptr = _csr.indptr_of(rows, size)
    data = {}
    for name, a in edge_data(graph, edges).items():
        if name == "distances":
            loops = np.zeros(size, a.dtype)
        elif fill is None:
            loops = _row_means(a, indptr)
        else:
            loops = np.full((size, *a.shape[1:]), fill, a.dtype)
        data[name] = np.concatenate([a, loops])[order]
    indices = np.concatenate([graph.indices[edges], nodes])[order]
    return type(graph)(indptr + np.arange(size + 1), indices, **data, layers=graph.layers, names=graph.names)


def _row_means(a: np.ndarray, indptr: np.ndarray) -> np.ndarray:
    """Return the mean of each row's entries, 0 for an empty row."""
    counts = np.diff(indptr)
    padded = np.concatenate([a, np.zeros((1, *a.shape[1:]), a.dtype)])  # an empty last row needs a valid start
    sums = np.add.reduceat(padded, indptr[:-1], axis=0)
    sums[counts == 0] = 0
    means: np.ndarray = sums / np.maximum(counts, 1).reshape(-1, *[1] * (a.ndim - 1)).astype(a.dtype)
    return means

"""Blocks of a graph that attend independently: a range of rows with one hop of halo.

Attention of a node needs only its row and the features of its neighbours. A block numbers its own rows first
(0 … n - 1), then the halo: the neighbours outside these rows, in increasing order, with empty rows.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .neighbor_graph import NeighborGraph

#: Per-edge arrays of a `NeighborGraph`.
EDGE_FIELDS = ("edge_features", "edge_weights", "distances")


class Block(NamedTuple):
    """Rows of a graph: local offsets and neighbours, and the halo's nodes in global numbers."""

    indptr: np.ndarray
    indices: np.ndarray
    halo: np.ndarray


def localized(sources: np.ndarray, start: int, stop: int, num_nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Convert the neighbours of the rows start … stop - 1 to local numbers, and find the halo.

    Args:
        sources: Neighbours, (k,), in global numbers.
        start: First row.
        stop: One more than the last row.
        num_nodes: Nodes of the whole graph.

    Returns:
        ``(indices, halo)``.

    Example:
        >>> from graphattend.graph.blocks import localized
        >>> import numpy as np
        >>> indices, halo = localized(np.array([2, 7, 3, 7]), 2, 4, 9)
        >>> indices.tolist(), halo.tolist()
        ([0, 2, 1, 2], [7])
    """
    outside = (sources < start) | (sources >= stop)
    far = sources[outside]
    local = np.asarray(sources - start, dtype=np.intp)
    if 16 * far.size < num_nodes:
        halo, place = np.unique(far, return_inverse=True)
        local[outside] = place + (stop - start)
        return local, halo
    seen = np.zeros(num_nodes, bool)
    seen[far] = True
    halo = np.flatnonzero(seen)
    place = np.empty(num_nodes, np.intp)
    place[halo] = np.arange(stop - start, stop - start + halo.size)
    local[outside] = place[far]
    return local, halo


def cut(indptr: np.ndarray, indices: np.ndarray, start: int, stop: int) -> Block:
    """Return the rows start … stop - 1 of a graph as a block."""
    edges = slice(int(indptr[start]), int(indptr[stop]))
    local, halo = localized(indices[edges], start, stop, len(indptr) - 1)
    return Block(indptr[start : stop + 1] - indptr[start], local, halo)


def block_graph(block: Block, structural: np.ndarray | None = None, **data: object) -> NeighborGraph:
    """Build the graph of a block's own and halo nodes. The arrays are neither checked nor copied.

    Args:
        block: A block from `cut` or from a partition folder.
        structural: Structural features of its nodes, computed on the whole graph.
        **data: `edge_features`, `edge_weights`, `distances` of its edges, `layers` of its nodes.

    Returns:
        The graph; the rows of the halo are empty.
    """
    end = np.full(block.halo.size, block.indptr[-1], block.indptr.dtype)
    fields = {
        "indptr": np.concatenate([block.indptr, end]).astype(np.intp, copy=False),
        "indices": block.indices.astype(np.intp, copy=False),
        **dict.fromkeys((*EDGE_FIELDS, "layers", "names")),
        **data,
    }
    graph = object.__new__(NeighborGraph)
    graph.__setstate__(fields if structural is None else {**fields, "_structural": structural})
    return graph


def ranges(indptr: np.ndarray, count: int) -> np.ndarray:
    """Split the rows into `count` ranges of about equal work, where the work of a row is its number of neighbours + 1.

    Args:
        indptr: Row offsets, (V + 1,).
        count: Number of ranges, at most V.

    Returns:
        Increasing row numbers from 0 to V, (count + 1,), that bound the ranges. No range is empty.

    Example:
        >>> from graphattend.graph.blocks import ranges
        >>> import numpy as np
        >>> ranges(np.array([0, 6, 7, 8, 9]), 2)
        array([0, 1, 4])
    """
    rows = len(indptr) - 1
    cost = indptr + np.arange(rows + 1)
    ends = np.searchsorted(cost, np.linspace(0, float(cost[-1]), count + 1)[1:-1])
    least = np.arange(1, count)
    # Move the bounds so that every range has at least one row.
    ends = np.maximum.accumulate(np.maximum(ends, least) - least) + least
    return np.concatenate([[0], np.minimum(ends, rows - count + least), [rows]]).astype(np.intp)


__all__ = ["EDGE_FIELDS", "Block", "block_graph", "cut", "localized", "ranges"]

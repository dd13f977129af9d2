"""The graphs over which the experts of a mixture attend, and the weights of their edges."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import UnsupportedError
from ..graph import NeighborGraph
from ._base import Attention


def graph_of_expert(
    member: Attention, graph: NeighborGraph, chosen: np.ndarray
) -> tuple[NeighborGraph, np.ndarray | slice]:
    """Return the graph of an expert, with only the edges of rows that chose it, and the indices of these edges.

    An expert that reads structural features gets the whole graph.
    """
    whole = bool({"structural_features", "query_structural"} & set(member.needed + member.used))
    return (graph, slice(None)) if whole or chosen.all() else _keep_rows(graph, chosen, member)


def _keep_rows(graph: NeighborGraph, chosen: np.ndarray, member: Attention) -> tuple[NeighborGraph, np.ndarray]:
    """Return the graph with only the chosen rows' edges and the data that the member reads, and the edges' indices."""
    kept = np.flatnonzero(chosen[graph.targets])
    indptr = np.zeros_like(graph.indptr)
    np.cumsum(np.diff(graph.indptr) * chosen, out=indptr[1:])
    read = member.needed + member.used

    def pick(name: str) -> Any:
        a = getattr(graph, name)
        return None if a is None or name not in read else a.take(kept, axis=0)

    fields: dict[str, Any] = {name: pick(name) for name in ("edge_features", "edge_weights", "distances")}
    fields |= {"indptr": indptr, "indices": graph.indices.take(kept), "layers": graph.layers, "names": None}
    part = object.__new__(NeighborGraph)
    part.__setstate__(fields)  # the fields were checked before
    return part, kept


def adds_edges(i: int, member: Attention) -> UnsupportedError:
    return UnsupportedError(
        f"need_weights: expert {i} ({member.key}) adds edges to the graph", argument="need_weights", actual=member.key
    )


def edge_weights(w: np.ndarray | None, part: NeighborGraph, i: int, member: Attention) -> np.ndarray:
    """Return one weight per edge of the graph of expert i, averaged over its heads."""
    if w is None or w.shape[0] != part.indices.size:
        raise adds_edges(i, member)
    return np.asarray(w.mean(axis=1) if w.ndim == 2 else w)


def add_edge_weights(
    weights: np.ndarray,
    kept: np.ndarray | slice,
    share: np.ndarray,
    w: np.ndarray | None,
    part: NeighborGraph,
    i: int,
    member: Attention,
) -> None:
    """Add the weights of expert i, multiplied by its share of each row (V,), to the edges that it was given."""
    weights[kept] += share[part.targets] * edge_weights(w, part, i, member)

"""Conversion of other libraries' graph representations to `NeighborGraph`."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _validate as check
from .._validate import ArrayLike
from ..errors import DimensionMismatchError, EmptyInputError, InvalidConfigError
from . import _csr
from .neighbor_graph import NeighborGraph

# Row offsets of a larger graph would take a gigabyte.
MAX_NODES = 100_000_000


def check_num_nodes(num_nodes: object, argument: str = "num_nodes") -> int:
    """Check and return a number of nodes."""
    size = check.as_int(num_nodes, argument, minimum=0, maximum=MAX_NODES)
    if size == 0:
        raise EmptyInputError.of(argument, "at least one node", 0)
    return size


def _ordered(x: object, argument: str, order: np.ndarray) -> np.ndarray | None:
    """Return per-edge data in row order. The graph checks its shape and values."""
    if x is None:
        return None
    a = check.as_float(x, argument, beside=np.dtype(np.float32))
    check.check_ndim(a, argument, 1, 2)
    check.check_length(a, argument, 0, len(order), "one entry per edge")
    ordered: np.ndarray = a[order]
    return ordered


def from_edge_index(
    edge_index: ArrayLike,
    num_nodes: object,
    edge_features: ArrayLike | None = None,
    edge_weights: ArrayLike | None = None,
    distances: ArrayLike | None = None,
    layers: Any = None,
    names: Any = None,
) -> NeighborGraph:
    """See `NeighborGraph.from_edge_index`."""
    if num_nodes is None:
        edges = check.as_index(edge_index, "edge_index", ndim=2)
        check.check_nonempty(edges, "edge_index")
        num_nodes = int(edges.max()) + 1
    size = check_num_nodes(num_nodes)
    edges = check.as_index(edge_index, "edge_index", size, ndim=2)
    if len(edges) != 2:
        raise DimensionMismatchError.of("edge_index", 2, len(edges), text="shape (2, K)", got=f"{edges.shape}")
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


def from_networkx(graph: Any, weight: str, distance: str | None, edge_features: str | None) -> NeighborGraph:
    """See `NeighborGraph.from_networkx`."""
    if not all(callable(getattr(graph, name, None)) for name in ("nodes", "edges", "is_directed")):
        expected = "a networkx graph"
        raise InvalidConfigError.of("graph", expected, type(graph).__name__)
    for argument, name in (("weight", weight), ("distance", distance), ("edge_features", edge_features)):
        if not (isinstance(name, str) or (name is None and argument != "weight")):
            raise InvalidConfigError.of(argument, "the name of an attribute", type(name).__name__)
    nodes = list(graph.nodes())
    check_num_nodes(len(nodes), "graph")
    names = None if nodes == list(range(len(nodes))) else [str(n) for n in nodes]
    numbers = {n: i for i, n in enumerate(nodes)}
    edges = list(graph.edges(data=True))
    data = [attributes for _, _, attributes in edges]
    columns = {
        "edge_weights": _weights(data, weight),
        "distances": _attribute(data, distance, "distance"),
        "edge_features": _attribute(data, edge_features, "edge_features"),
    }
    if columns["edge_features"] is not None and columns["edge_features"].ndim == 1:
        columns["edge_features"] = columns["edge_features"][:, None]
    sources = np.array([numbers[u] for u, _, _ in edges], dtype=np.intp)
    targets = np.array([numbers[v] for _, v, _ in edges], dtype=np.intp)
    return from_pairs(sources, targets, len(nodes), graph.is_directed(), columns, names=names)


def from_pairs(
    sources: np.ndarray,
    targets: np.ndarray,
    num_nodes: int,
    directed: bool | np.ndarray,
    columns: dict[str, np.ndarray | None],
    *,
    layers: Any = None,
    names: Any = None,
) -> NeighborGraph:
    """Build a graph from edges. Undirected edges, except loops, are stored in both directions with the same data."""
    if not np.all(directed):
        back = np.flatnonzero((sources != targets) & ~np.asarray(directed))
        sources, targets = np.concatenate([sources, targets[back]]), np.concatenate([targets, sources[back]])
        columns = {n: a if a is None else np.concatenate([a, a[back]]) for n, a in columns.items()}
    edges = np.stack([sources, targets])
    return from_edge_index(edges, num_nodes, **columns, layers=layers, names=names)


def _weights(data: list[dict[str, Any]], name: str) -> np.ndarray | None:
    if not any(name in attributes for attributes in data):
        return None
    return _column([attributes.get(name, 1.0) for attributes in data], name)


def _attribute(data: list[dict[str, Any]], name: str | None, argument: str) -> np.ndarray | None:
    if name is None:
        return None
    if not all(name in attributes for attributes in data):
        expected = f"an attribute {name!r} on every edge"
        raise InvalidConfigError(f"{argument}: expected {expected}", argument=argument, expected=expected)
    return _column([attributes[name] for attributes in data], name)


def _column(values: list[Any], name: str) -> np.ndarray:
    """Convert numbers to float64, which keeps large integers exact. Text and booleans raise an error."""
    a = check.as_array(values, name)
    return a.astype(np.float64) if a.dtype.kind in "iu" else check.as_float(a, name)


def from_scipy(matrix: Any) -> NeighborGraph:
    """See `NeighborGraph.from_scipy`."""
    if not callable(getattr(matrix, "tocsr", None)) or not hasattr(matrix, "nnz"):
        expected = "a SciPy sparse matrix"
        raise InvalidConfigError.of("matrix", expected, type(matrix).__name__)
    if len(matrix.shape) != 2 or matrix.shape[0] != matrix.shape[1]:
        raise DimensionMismatchError.of("matrix", "a square matrix", matrix.shape, got=f"shape {matrix.shape}")
    check_num_nodes(matrix.shape[0], "matrix")
    rows = matrix.tocsr().copy()
    rows.sum_duplicates()  # also sorts each row
    weights = None if rows.dtype == np.bool_ else _column(rows.data, "matrix")
    return NeighborGraph(rows.indptr, rows.indices, edge_weights=weights)

"""The graph every mechanism attends over: an immutable list of neighbours per node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from .. import _validate as check
from ..errors import DimensionMismatchError, EmptyInputError, InvalidConfigError
from . import _csr


def _frozen(a: np.ndarray) -> np.ndarray:
    """A private copy that nobody can write to."""
    copy = np.array(a, order="C")
    copy.setflags(write=False)
    return copy


def _per_edge(x: Any, argument: str, num_edges: int, ndim: int = 1) -> np.ndarray | None:
    if x is None:
        return None
    a = check.as_float(x, argument)
    check.check_ndim(a, argument, ndim, ndim)
    check.check_length(a, argument, 0, num_edges, "one entry per edge")
    if ndim == 2 and a.shape[1] == 0:
        raise EmptyInputError(
            f"{argument}: expected at least one feature per edge, got shape {a.shape}",
            argument=argument,
            expected="at least one feature per edge",
            actual=a.shape,
        )
    check.check_finite(a, argument)
    return _frozen(a)


def _not_negative(a: np.ndarray | None, argument: str) -> np.ndarray | None:
    if a is not None and a.size and a.min() < 0:
        expected = "numbers >= 0"
        raise InvalidConfigError(
            f"{argument}: expected {expected}, got {a.min()}",
            argument=argument,
            expected=expected,
            actual=a.min().item(),
        )
    return a


def _layers(x: Any, num_nodes: int) -> np.ndarray | None:
    if x is None:
        return None
    a = check.as_index(x, "layers", ndim=1)
    check.check_length(a, "layers", 0, num_nodes, "one entry per node")
    return _not_negative(_frozen(a), "layers")


def _names(names: Any, num_nodes: int) -> tuple[str, ...] | None:
    if names is None:
        return None
    if isinstance(names, np.ndarray) and names.dtype.kind == "U":
        names = names.tolist()
    if not isinstance(names, (list, tuple)) or not all(isinstance(n, str) for n in names):
        expected = "a sequence of strings"
        raise InvalidConfigError(
            f"names: expected {expected}, got {type(names).__name__}",
            argument="names",
            expected=expected,
            actual=type(names).__name__,
        )
    if len(names) != num_nodes:
        raise DimensionMismatchError(
            f"names: expected {num_nodes}, one per node, got {len(names)}",
            argument="names",
            expected=num_nodes,
            actual=len(names),
        )
    return tuple(str(n) for n in names)


def _offsets(indptr: Any, num_edges: int) -> np.ndarray:
    a = check.as_index(indptr, "indptr", ndim=1)
    if len(a) < 2:
        raise EmptyInputError(
            f"indptr: expected at least one node, got shape {a.shape}",
            argument="indptr",
            expected="at least one node",
            actual=a.shape,
        )
    if a[0] != 0 or (a[1:] < a[:-1]).any():
        expected = "offsets that start at 0 and never fall"
        raise InvalidConfigError(f"indptr: expected {expected}", argument="indptr", expected=expected, actual=None)
    if a[-1] != num_edges:
        raise DimensionMismatchError(
            f"indptr: expected its last entry to be {num_edges}, the length of indices, got {a[-1]}",
            argument="indptr",
            expected=num_edges,
            actual=int(a[-1]),
        )
    return _frozen(a)


@dataclass(frozen=True, eq=False, repr=False)
class NeighborGraph:
    """A graph as compressed rows: row i lists the nodes that node i attends to.

    An edge j → i (source j, target i) stands in row i: the target attends to the source. An undirected graph stores
    both directions. Duplicate edges and loops are kept. All arrays are private and read-only.

    Args:
        indptr: Row offsets, (V + 1,): row i is ``indices[indptr[i]:indptr[i + 1]]``.
        indices: Sources, (K,), each in 0 … V - 1.
        edge_features: Features per edge, (K, e).
        edge_weights: Weight per edge, (K,); used by `pagerank` and `laplacian`.
        distances: Length per edge, (K,), not negative; summed by `shortest_path_lengths`.
        layers: Layer per node, (V,), whole numbers from 0 (HNSW levels).
        names: One string per node.

    Raises:
        DimensionMismatchError: Lengths that do not fit together.
        EmptyInputError: A graph without nodes.
        OutOfBoundsError: An index that names no node.
        InvalidConfigError: Offsets that fall, negative distances or layers, data that is not numeric.
        NumericalInstabilityError: NaN or infinity in the data.

    Example:
        >>> from graphattend.graph import NeighborGraph
        >>> graph = NeighborGraph([0, 2, 3, 3], [1, 2, 0])
        >>> graph
        NeighborGraph(num_nodes=3, num_edges=3)
        >>> graph.degree()
        array([2, 1, 0])
    """

    indptr: np.ndarray
    indices: np.ndarray
    edge_features: np.ndarray | None = None
    edge_weights: np.ndarray | None = None
    distances: np.ndarray | None = None
    layers: np.ndarray | None = None
    names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        indices = check.as_index(self.indices, "indices", ndim=1)
        indptr = _offsets(self.indptr, len(indices))
        size = len(indptr) - 1
        checked = {
            "indptr": indptr,
            "indices": _frozen(check.as_index(indices, "indices", size)),
            "edge_features": _per_edge(self.edge_features, "edge_features", len(indices), ndim=2),
            "edge_weights": _per_edge(self.edge_weights, "edge_weights", len(indices)),
            "distances": _not_negative(_per_edge(self.distances, "distances", len(indices)), "distances"),
            "layers": _layers(self.layers, size),
            "names": _names(self.names, size),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, NeighborGraph):
            return NotImplemented
        for field in fields(self):
            a, b = getattr(self, field.name), getattr(other, field.name)
            if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
                if a.dtype != b.dtype or not np.array_equal(a, b):
                    return False
            elif a is not b and (isinstance(a, np.ndarray) or isinstance(b, np.ndarray) or a != b):
                return False
        return True

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        parts = [f"num_nodes={self.num_nodes}", f"num_edges={self.num_edges}"]
        if self.edge_features is not None:
            parts.append(f"edge_dim={self.edge_features.shape[1]}")
        parts += [n for n in ("edge_weights", "distances", "layers", "names") if getattr(self, n) is not None]
        return f"NeighborGraph({', '.join(parts)})"

    @property
    def num_nodes(self) -> int:
        """Number of nodes V."""
        return len(self.indptr) - 1

    @property
    def num_edges(self) -> int:
        """Number of stored neighbours K (an undirected edge counts twice)."""
        return len(self.indices)

    @cached_property
    def targets(self) -> np.ndarray:
        """The row of every edge, (K,): edge k lets ``targets[k]`` attend to ``indices[k]``."""
        rows = _csr.rows_of(self.indptr)
        rows.setflags(write=False)
        return rows

    @classmethod
    def from_edge_index(
        cls,
        edge_index: Any,
        num_nodes: int,
        *,
        edge_features: Any = None,
        edge_weights: Any = None,
        distances: Any = None,
        layers: Any = None,
        names: Sequence[str] | None = None,
    ) -> NeighborGraph:
        """Build from columns (source j, target i), as PyTorch Geometric reads them: i attends to j.

        Args:
            edge_index: Whole numbers, (2, K): row 0 the sources, row 1 the targets. Duplicates are kept.
            num_nodes: Number of nodes V.
            edge_features: (K, e), in the order of the columns; reordered with them, as are the next two.
            edge_weights: (K,).
            distances: (K,), not negative.
            layers: (V,).
            names: V strings.

        Returns:
            The graph; within a row the order of the columns is kept.

        Raises:
            DimensionMismatchError: Shapes that do not fit.
            OutOfBoundsError: A node outside 0 … V - 1.
            EmptyInputError: ``num_nodes`` is 0.
            InvalidConfigError: Indices that are not whole numbers, a negative ``num_nodes``.

        Example:
            >>> from graphattend.graph import NeighborGraph
            >>> graph = NeighborGraph.from_edge_index([[1, 0, 2], [0, 1, 0]], 3, edge_weights=[1.0, 2.0, 3.0])
            >>> graph.indices, graph.edge_weights
            (array([1, 2, 0]), array([1., 3., 2.]))
        """
        from .constructors import from_edge_index

        return from_edge_index(edge_index, num_nodes, edge_features, edge_weights, distances, layers, names)

    def degree(self) -> np.ndarray:
        """Number of neighbours of each node: the length of its row.

        Returns:
            Whole numbers, (V,).

        Example:
            >>> from graphattend.graph import NeighborGraph
            >>> NeighborGraph.from_edge_index([[0, 1, 1], [1, 0, 2]], 3).degree()
            array([1, 1, 1])
        """
        return np.diff(self.indptr)

"""`NeighborGraph`, the immutable graph that all mechanisms attend over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from .. import _validate as check
from .._arguments import TypedArguments
from .._frozen import Frozen
from .._validate import ArrayLike
from . import _checked_fields, _csr
from ._conversion_methods import Conversions
from ._measure_methods import Measures
from .metadata import GraphMetadata, NodeMetadata


@dataclass(frozen=True, eq=False, repr=False)
class NeighborGraph(Frozen, Conversions, Measures, metaclass=TypedArguments):
    """A graph in CSR form: row i lists the nodes that node i attends to.

    An edge j → i (source j, target i) is stored in row i: the target attends to the source. An undirected graph stores
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
        DimensionMismatchError: Lengths do not fit together.
        EmptyInputError: The graph has no nodes.
        OutOfBoundsError: An index refers to no node.
        InvalidConfigError: Offsets decrease, distances or layers are negative, or data is not numeric.
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
        indptr = _checked_fields.offsets(self.indptr, len(indices))
        size = len(indptr) - 1
        checked = {
            "indptr": indptr,
            "indices": _checked_fields.frozen(check.as_index(indices, "indices", size)),
            "edge_features": _checked_fields.per_edge(self.edge_features, "edge_features", len(indices), ndim=2),
            "edge_weights": _checked_fields.per_edge(self.edge_weights, "edge_weights", len(indices)),
            "distances": _checked_fields.not_negative(
                _checked_fields.per_edge(self.distances, "distances", len(indices)), "distances"
            ),
            "layers": _checked_fields.layers(self.layers, size),
            "names": _checked_fields.names(self.names, size),
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
        """Number of stored edges K (an undirected edge counts twice)."""
        return len(self.indices)

    @cached_property
    def targets(self) -> np.ndarray:
        """The row of every edge, (K,): ``targets[k]`` attends to ``indices[k]``."""
        rows = _csr.rows_of(self.indptr)
        rows.setflags(write=False)
        return rows

    @cached_property
    def _transposed(self) -> _csr.Transposed:
        """The transposed CSR lists, for sums over the rows that contain a node, in 32-bit integers if they suffice."""
        found = _csr.transposed(self.indptr, self.indices)
        if self.num_edges <= np.iinfo(np.int32).max:
            found = found._replace(indices=found.indices.astype(np.int32), order=found.order.astype(np.int32))
        for array in found:
            array.setflags(write=False)
        return found

    @classmethod
    def from_edge_index(
        cls,
        edge_index: ArrayLike,
        num_nodes: int | None = None,
        *,
        edge_features: ArrayLike | None = None,
        edge_weights: ArrayLike | None = None,
        distances: ArrayLike | None = None,
        layers: ArrayLike | None = None,
        names: Sequence[str] | None = None,
    ) -> NeighborGraph:
        """Build a graph from columns (source j, target i), as in PyTorch Geometric: i attends to j.

        Args:
            edge_index: Whole numbers, (2, K): row 0 the sources, row 1 the targets. Duplicates are kept.
            num_nodes: Number of nodes V; by default one more than the largest index.
            edge_features: (K, e), in the order of the columns. All per-edge data are reordered with the edges.
            edge_weights: (K,).
            distances: (K,), not negative.
            layers: (V,).
            names: V strings.

        Returns:
            The graph; within a row the order of the columns is kept.

        Raises:
            DimensionMismatchError: Shapes do not fit.
            OutOfBoundsError: A node is outside 0 … V - 1.
            EmptyInputError: ``num_nodes`` is 0, or not given and there are no edges.
            InvalidConfigError: Indices are not whole numbers, or ``num_nodes`` is negative.

        Example:
            >>> from graphattend import NeighborGraph
            >>> graph = NeighborGraph.from_edge_index([[1, 0, 2], [0, 1, 0]], 3, edge_weights=[1.0, 2.0, 3.0])
            >>> graph.indices, graph.edge_weights
            (array([1, 2, 0]), array([1., 3., 2.]))
        """
        from .constructors import from_edge_index

        return from_edge_index(edge_index, num_nodes, edge_features, edge_weights, distances, layers, names)

    @classmethod
    def knn(cls, x: ArrayLike, k: int, *, manifold: object = None) -> NeighborGraph:
        """Build the exact k-nearest-neighbour graph of points.

        Args:
            x: Points, (V, D).
            k: Number of neighbours, 1 … V - 1.
            manifold: A manifold of `graphattend.geometry`, whose ``dist`` is used; Euclidean if None.

        Returns:
            The graph with `distances`. Every row is sorted by distance; ties are broken by index.

        Raises:
            DimensionMismatchError: ``x`` is not a matrix.
            InvalidConfigError: ``k`` is out of range, or ``manifold`` has no ``dist``.
            NumericalInstabilityError: NaN or infinity in ``x`` or among the distances.

        Example:
            >>> from graphattend import NeighborGraph
            >>> graph = NeighborGraph.knn([[0.0], [1.0], [3.0]], 1)
            >>> graph.indices.tolist(), graph.distances.tolist()
            ([1, 0, 1], [1.0, 1.0, 2.0])
        """
        from .knn import knn

        return knn(x, k, manifold)

    def to_edge_index(self) -> np.ndarray:
        """Return the edges as columns (source j, target i) in row order, the input of `from_edge_index`.

        Returns:
            Whole numbers, (2, K).

        Example:
            >>> from graphattend import NeighborGraph
            >>> NeighborGraph([0, 1, 1], [1]).to_edge_index().tolist()
            [[1], [0]]
        """
        return np.stack([self.indices, self.targets])

    def transpose(self) -> NeighborGraph:
        """Return the graph with all edges reversed; per-edge data stay with their edges.

        Returns:
            The graph, every row sorted by index.

        Example:
            >>> from graphattend import NeighborGraph
            >>> NeighborGraph([0, 1, 1], [1]).transpose().to_edge_index().tolist()
            [[0], [1]]
        """
        from .transforms import transpose

        return transpose(self)

    def subgraph(self, nodes: ArrayLike) -> NeighborGraph:
        """Return the subgraph of the given nodes and the edges between them.

        Args:
            nodes: (N,) distinct nodes; node ``nodes[k]`` becomes node k.

        Returns:
            The graph; rows keep their order.

        Raises:
            OutOfBoundsError: A node does not exist.
            InvalidConfigError: A node is repeated, or nodes are not whole numbers.
            EmptyInputError: There are no nodes.

        Example:
            >>> from graphattend import NeighborGraph
            >>> graph = NeighborGraph.from_edge_index([[0, 1, 2], [1, 2, 0]], 3)
            >>> graph.subgraph([2, 0]).to_edge_index().tolist()
            [[0], [1]]
        """
        from .transforms import subgraph

        return subgraph(self, nodes)

    def with_self_loops(self, *, fill_value: float | str = "mean") -> NeighborGraph:
        """Replace all self-loops by one self-loop per node, at the end of its row.

        Args:
            fill_value: Features and weights of the loops: ``"mean"`` of the node's other edges (0 if there are none),
                or a number. Their distances are 0.

        Returns:
            The graph with V loops.

        Raises:
            InvalidConfigError: ``fill_value`` is neither ``"mean"`` nor a number.

        Example:
            >>> from graphattend import NeighborGraph
            >>> graph = NeighborGraph.from_edge_index([[1, 2], [0, 0]], 3, edge_features=[[1.0], [3.0]])
            >>> looped = graph.with_self_loops()
            >>> looped.indices.tolist(), looped.edge_features.ravel().tolist()
            ([1, 2, 0, 1, 2], [1.0, 3.0, 2.0, 0.0, 0.0])
        """
        from .transforms import with_self_loops

        return with_self_loops(self, fill_value)

    def metadata(self, node: int) -> GraphMetadata:
        """Return the metadata of one node's neighbourhood, for `Attention.forward`.

        Args:
            node: The node, 0 … V - 1.

        Returns:
            `GraphMetadata` with one entry per neighbour; structural features are computed on first access.

        Raises:
            OutOfBoundsError: The node does not exist.
            InvalidConfigError: ``node`` is not a whole number.

        Example:
            >>> from graphattend import NeighborGraph
            >>> graph = NeighborGraph([0, 2, 3, 3], [1, 2, 0], distances=[1.0, 2.0, 1.0], layers=[0, 1, 2])
            >>> found = graph.metadata(0)
            >>> found.distances.tolist(), found.hnsw_layers.tolist(), found.query_layer
            ([1.0, 2.0], [1, 2], 0)
        """
        node = int(check.as_index(check.as_int(node, "node"), "node", self.num_nodes))
        row = slice(self.indptr[node], self.indptr[node + 1])
        given: dict[str, Any] = {
            name: value[row]
            for name in ("edge_features", "edge_weights", "distances")
            if (value := getattr(self, name)) is not None
        }
        if self.layers is not None:
            given |= {"hnsw_layers": self.layers[self.indices[row]], "query_layer": int(self.layers[node])}
        return NodeMetadata(self.structural_features, node, self.indices[row], **given)

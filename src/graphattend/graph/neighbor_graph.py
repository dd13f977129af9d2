"""`NeighborGraph`, the immutable graph that all mechanisms attend over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from os import PathLike
from typing import Any

import numpy as np

from .. import _validate as check
from .._arguments import TypedArguments
from .._frozen import Frozen
from .._validate import ArrayLike
from . import _checked_fields, _csr
from ._measure_methods import Measures
from .metadata import GraphMetadata, NodeMetadata


@dataclass(frozen=True, eq=False, repr=False)
class NeighborGraph(Frozen, Measures, metaclass=TypedArguments):
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
    def from_networkx(
        cls, graph: object, *, weight: str = "weight", distance: str | None = None, edge_features: str | None = None
    ) -> NeighborGraph:
        """Build a graph from a networkx graph of any of the four classes.

        Nodes keep their order. A directed edge u → v makes v attend to u (row v holds its predecessors). An undirected
        edge is stored in both directions. Parallel edges are kept.

        Args:
            graph: A networkx ``Graph``, ``DiGraph``, ``MultiGraph`` or ``MultiDiGraph``.
            weight: Edge attribute for `edge_weights`; 1.0 where an edge lacks it, no weights if all lack it.
            distance: Edge attribute for `distances`, or None; every edge must have it.
            edge_features: Edge attribute (a number or a vector) for `edge_features`, or None; every edge must have it.

        Returns:
            The graph; `names` are the nodes as text, or None if the nodes are 0 … V - 1 in order.

        Raises:
            InvalidConfigError: `graph` is not a networkx graph, or an attribute is missing or not numeric.
            EmptyInputError: The graph has no nodes.

        Example:
            >>> from graphattend import NeighborGraph
            >>> import networkx as nx
            >>> NeighborGraph.from_networkx(nx.path_graph(3)).to_edge_index().tolist()
            [[1, 0, 2, 1], [0, 1, 1, 2]]
        """
        from .constructors import from_networkx

        return from_networkx(graph, weight, distance, edge_features)

    @classmethod
    def from_scipy(cls, matrix: object) -> NeighborGraph:
        """Build a graph from a square SciPy sparse matrix or array: an entry (i, j) means that i attends to j.

        Args:
            matrix: Any SciPy sparse format, (V, V). Duplicate entries are summed, as SciPy does; stored zeros are kept.
                The entries become `edge_weights`, except in a boolean matrix.

        Returns:
            The graph, every row sorted by index.

        Raises:
            DimensionMismatchError: The matrix is not square.
            InvalidConfigError: `matrix` is not a SciPy sparse matrix, or its entries are not real numbers.
            EmptyInputError: The shape is (0, 0).

        Example:
            >>> from graphattend import NeighborGraph
            >>> import numpy as np, scipy.sparse
            >>> NeighborGraph.from_scipy(scipy.sparse.coo_array(np.array([[0.0, 2.0], [0.0, 0.0]]))).indices
            array([1])
        """
        from .constructors import from_scipy

        return from_scipy(matrix)

    @classmethod
    def from_faiss_hnsw(cls, index: object, layer: int = 0) -> NeighborGraph:
        """Build a graph from the neighbour lists of one layer of a faiss HNSW index (package ``faiss-cpu``).

        Args:
            index: A faiss ``IndexHNSW``, also inside an ``IndexPreTransform`` or an ``IndexIDMap``, whose ids become
                the names.
            layer: The layer, from 0 (all vectors) up to the highest.

        Returns:
            A graph over all vectors: row i lists i's links on that layer (none above i's level); `layers` holds
            the highest layer of each vector.

        Raises:
            InvalidConfigError: `index` is not an HNSW index, or ``layer`` is not a whole number.
            OutOfBoundsError: The index has no such layer.
            EmptyInputError: The index has no vectors.
            UnsupportedError: faiss is not installed.
        """
        from .faiss_hnsw import from_faiss_hnsw

        return from_faiss_hnsw(index, layer)

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

    @classmethod
    def read(
        cls,
        path: str | PathLike[str],
        *,
        directed: bool | None = None,
        weights: str | None = None,
        edge_features: Sequence[str] | None = None,
        format: str | None = None,
    ) -> NeighborGraph:
        """Read a graph from a file. The suffix determines the format.

        The formats are edge lists, tables (CSV), node-link JSON, GraphML, GEXF, GML, Pajek, Matrix Market and others,
        each also compressed (``.gz .bz2 .xz``). The page "File formats" lists them and their contents. Nothing in a
        file is executed. An ambiguous file (``Washington,DC Paris``) raises an error.

        The column ``weight`` holds the weights, the column ``distance`` the distances. All other columns that have a
        number on every edge become the edge features, in their order; a notice names the columns that are left out. If
        a file does not list its nodes, they are the ends of its edges: in numeric order if all are whole numbers
        without leading zeros, else in order of appearance.

        Args:
            path: The file, or an OGB folder of one graph.
            directed: Whether an edge runs one way only. None uses the direction in the file, or the format's default.
            weights: The column that holds the weights.
            edge_features: The columns that become the edge features, in this order; an empty list for none.
            format: A suffix without its dot, such as ``"csv"``, for files whose name has no known suffix.

        Returns:
            The graph; `names` are the nodes' names, or None if they are 0 … V - 1.

        Raises:
            LoadError: The file cannot be read. The message names the file and the line, and suggests a correction.
            InvalidConfigError: An option has the wrong type, or the format is unknown.

        Example:
            >>> from graphattend import NeighborGraph
            >>> import pathlib, tempfile
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     path = pathlib.Path(folder, "graph.csv")
            ...     _ = path.write_text("source,target,weight\\nann,bob,2.5\\n")
            ...     graph = NeighborGraph.read(path)
            >>> graph.names, graph.edge_weights.tolist()
            (('ann', 'bob'), [2.5])
        """
        from .files import read

        return read(path, directed, weights, edge_features, format).graph

    def write(self, path: str | PathLike[str]) -> None:
        """Write the graph to a file atomically. The suffix determines the format.

        ``.npz`` and node-link ``.json`` store every field. An error is raised if the format cannot store the whole
        graph (an edge list cannot store a node without edges). A further suffix ``.gz``, ``.bz2`` or ``.xz``
        compresses the file.

        Args:
            path: The file to write. Its folder must exist.

        Raises:
            InvalidConfigError: No format with this suffix can be written, or the format cannot store the graph.
            LoadError: The file cannot be written.

        Example:
            >>> from graphattend import NeighborGraph
            >>> import pathlib, tempfile
            >>> graph = NeighborGraph([0, 1, 1], [1], names=["ann", "bob"])
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     path = pathlib.Path(folder, "graph.npz")
            ...     graph.write(path)
            ...     NeighborGraph.read(path) == graph
            True
        """
        from .files import save

        save(self, path)

    def save(self, path: str | PathLike[str]) -> None:
        """Alias of `write`, named like the `save` of mechanisms and compressed arrays.

        Args:
            path: The file to write.

        Raises:
            InvalidConfigError: As `write`.
            LoadError: As `write`.
        """
        self.write(path)

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

    def to_networkx(self) -> Any:
        """Convert to a networkx ``MultiDiGraph`` (``DiGraph`` if no edge occurs twice) with edges source → target.

        If the graph has these data, edges have the attributes ``weight``, ``distance`` and ``features``, and nodes the
        attribute ``layer``.

        Returns:
            The networkx graph; its nodes are the names, or 0 … V - 1.

        Raises:
            InvalidConfigError: Two nodes have the same name.
            UnsupportedError: networkx is not installed.

        Example:
            >>> from graphattend import NeighborGraph
            >>> NeighborGraph([0, 1, 1], [1], names=["ann", "bob"]).to_networkx().edges
            OutEdgeView([('bob', 'ann')])
        """
        from .conversions import to_networkx

        return to_networkx(self)

    def to_scipy(self) -> Any:
        """Convert to a SciPy ``csr_array`` (V, V): entry (i, j) is the weight (or 1.0) with which i attends to j.

        Returns:
            The sparse array; duplicate edges stay separate entries.

        Raises:
            UnsupportedError: SciPy is not installed.

        Example:
            >>> from graphattend import NeighborGraph
            >>> NeighborGraph([0, 1, 1], [1]).to_scipy().toarray().tolist()
            [[0.0, 1.0], [0.0, 0.0]]
        """
        from .conversions import to_scipy

        return to_scipy(self)

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

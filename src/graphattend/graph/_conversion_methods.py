"""The conversions of a graph from and to files and other libraries as methods; each calls a pure function."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

from ._part import Part

if TYPE_CHECKING:
    from .neighbor_graph import NeighborGraph


class Conversions(Part):
    """The conversions of `NeighborGraph`; without state."""

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

        save(self._graph, path)

    def save(self, path: str | PathLike[str]) -> None:
        """Alias of `write`, named like the `save` of mechanisms and compressed arrays.

        Args:
            path: The file to write.

        Raises:
            InvalidConfigError: As `write`.
            LoadError: As `write`.
        """
        self.write(path)

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

        return to_networkx(self._graph)

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

        return to_scipy(self._graph)

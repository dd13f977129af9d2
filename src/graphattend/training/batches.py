"""Data sets for mini-batches: nodes, pairs of nodes with negatives, neighbourhoods, or rows of arrays."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol, cast

import numpy as np

from .._arguments import TypedArguments
from .._validate import ArrayLike, as_array, as_index, as_int, as_rng, check_length, check_nonempty, check_size
from ..errors import DimensionMismatchError, EmptyInputError, InvalidConfigError


class Data(Protocol):
    """Interface of a data set: its length, and the batch of the given samples."""

    def __len__(self) -> int:
        """Number of samples."""

    def batch(self, index: np.ndarray, rng: np.random.Generator) -> Any:
        """Return the batch of the samples `index` (B,); `rng` draws its random parts."""


class Nodes(metaclass=TypedArguments):
    """Batches of nodes: arrays (b,) of node indices.

    Args:
        nodes: The nodes, or their number.

    Raises:
        InvalidConfigError: `nodes` is neither a whole number nor an array of whole numbers.
        EmptyInputError: There are no nodes.

    Example:
        >>> import numpy as np
        >>> from graphattend.training import Nodes
        >>> Nodes([5, 7, 9]).batch(np.array([2, 0]), np.random.default_rng(0)).tolist()
        [9, 5]
    """

    def __init__(self, nodes: object) -> None:
        if isinstance(nodes, (int, np.integer)) and not isinstance(nodes, bool):
            check_size([count := as_int(nodes, "nodes", minimum=1)], "nodes")
            self.nodes = np.arange(count, dtype=np.int64)
        else:
            self.nodes = as_index(nodes, "nodes", np.iinfo(np.int64).max, ndim=1)
            check_nonempty(self.nodes, "nodes")

    def __len__(self) -> int:
        return len(self.nodes)

    def batch(self, index: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return the nodes at the positions `index` (B,)."""
        as_rng(rng)
        return np.asarray(self.nodes[_positions(index, self)])


class PairBatch(NamedTuple):
    """Pairs as source (b,) and target (b,), and negatives (b, n), which are not paired with their source."""

    source: np.ndarray
    target: np.ndarray
    negatives: np.ndarray


class Pairs(metaclass=TypedArguments):
    """Batches of node pairs with negatives, drawn uniformly from the nodes that are not paired with the source.

    Args:
        pairs: (2, K) node indices: sources, then targets.
        num_nodes: Number of nodes.
        num_negatives: Negatives per pair, drawn with replacement; never the source itself.

    Raises:
        OutOfBoundsError: A node is out of range.
        EmptyInputError: There are no pairs.
        InvalidConfigError: `num_negatives` > 0, and a source is paired with every other node.

    Example:
        >>> import numpy as np
        >>> from graphattend.training import Pairs
        >>> pairs = Pairs([[0, 1], [1, 2]], 3, num_negatives=2)
        >>> pairs.batch(np.array([0]), np.random.default_rng(0)).negatives.tolist()
        [[2, 2]]
    """

    def __init__(self, pairs: ArrayLike, num_nodes: int, *, num_negatives: int = 0) -> None:
        self.num_nodes = as_int(num_nodes, "num_nodes", minimum=1)
        check_size([self.num_nodes], "num_nodes")
        self.num_negatives = as_int(num_negatives, "num_negatives", minimum=0)
        self.pairs = as_index(pairs, "pairs", self.num_nodes, ndim=2)
        check_length(self.pairs, "pairs", 0, 2, "source over target")
        check_nonempty(self.pairs, "pairs")
        own = np.arange(self.num_nodes)
        both = np.concatenate([self.pairs, np.stack([own, own])], axis=1)
        self._taken = np.unique(both[0] * self.num_nodes + both[1])
        if self.num_negatives:
            sources = np.unique(self.pairs[0])
            full = np.bincount(self._taken // self.num_nodes, minlength=self.num_nodes)[sources] >= self.num_nodes
            if full.any():
                node = int(sources[full][0])
                raise InvalidConfigError(
                    f"pairs: node {node} is paired with every other node, so it has no negatives",
                    argument="pairs",
                    expected="a node that is not paired with it",
                    actual=node,
                )

    def __len__(self) -> int:
        return int(self.pairs.shape[1])

    def contains(self, source: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Return whether each source (K,) is paired with, or equal to, the other node (K,)."""
        source, other = (as_index(x, n, self.num_nodes) for x, n in ((source, "source"), (other, "other")))
        if source.shape != other.shape:
            raise DimensionMismatchError.of("other", source.shape, other.shape)
        return self._contains(source, other)

    def _contains(self, source: np.ndarray, other: np.ndarray) -> np.ndarray:
        code = source * self.num_nodes + other
        place = np.minimum(np.searchsorted(self._taken, code), len(self._taken) - 1)
        return np.asarray(self._taken[place] == code)

    def batch(self, index: np.ndarray, rng: np.random.Generator) -> PairBatch:
        """Return the pairs at the positions `index` (B,) with new negatives."""
        rng, (source, target) = as_rng(rng), self.pairs[:, _positions(index, self)]
        wide = np.repeat(source, self.num_negatives)
        drawn = rng.integers(self.num_nodes, size=wide.size)
        again = np.flatnonzero(self._contains(wide, drawn))
        for _ in range(20):
            if not again.size:
                break
            drawn[again] = rng.integers(self.num_nodes, size=again.size)
            again = again[self._contains(wide[again], drawn[again])]
        for i in again:  # sources paired with nearly all nodes: list the remaining nodes
            row = self._taken[self._taken // self.num_nodes == wide[i]] % self.num_nodes
            drawn[i] = rng.choice(np.setdiff1d(np.arange(self.num_nodes), row))
        return PairBatch(source, target, drawn.reshape(len(source), self.num_negatives))


class NeighborhoodBatch(NamedTuple):
    """Nodes (b,) and their neighbours: nodes[i] has neighbors[indptr[i]:indptr[i + 1]]."""

    nodes: np.ndarray
    indptr: np.ndarray
    neighbors: np.ndarray


class Neighborhoods(metaclass=TypedArguments):
    """Batches of nodes, each with its neighbours in a graph, or with a sample of them.

    Args:
        graph: A `NeighborGraph`, or an object with `indptr` and `indices`.
        nodes: The nodes; all by default.
        fanout: Largest number of neighbours per node, drawn without replacement; all by default.

    Raises:
        InvalidConfigError: `graph` is not a graph.
        OutOfBoundsError: A node is out of range.
        EmptyInputError: There are no nodes.

    Source:
        Hamilton et al. 2017, "Inductive Representation Learning on Large Graphs", section 3.1.

    Example:
        >>> import numpy as np
        >>> from types import SimpleNamespace
        >>> from graphattend.training import Neighborhoods
        >>> graph = SimpleNamespace(indptr=np.array([0, 2, 3]), indices=np.array([0, 1, 0]))
        >>> batch = Neighborhoods(graph).batch(np.array([1, 0]), np.random.default_rng(0))
        >>> batch.indptr.tolist(), batch.neighbors.tolist()
        ([0, 1, 3], [0, 0, 1])
    """

    def __init__(self, graph: Any, nodes: object = None, *, fanout: int | None = None) -> None:
        for field in ("indptr", "indices"):
            if not hasattr(graph, field):
                raise InvalidConfigError.of("graph", "a NeighborGraph", type(graph).__name__)
        self.indptr = as_index(graph.indptr, "graph.indptr", ndim=1)
        self.indices = as_index(graph.indices, "graph.indices", ndim=1)
        count = len(self.indptr) - 1
        self.nodes = np.arange(count, dtype=np.int64) if nodes is None else as_index(nodes, "nodes", count, ndim=1)
        check_nonempty(self.nodes, "nodes")
        self.fanout = None if fanout is None else as_int(fanout, "fanout", minimum=1)

    def __len__(self) -> int:
        return len(self.nodes)

    def batch(self, index: np.ndarray, rng: np.random.Generator) -> NeighborhoodBatch:
        """Return the nodes at the positions `index` (B,) and their neighbours, in the order of the graph."""
        rng, nodes = as_rng(rng), self.nodes[_positions(index, self)]
        start = self.indptr[nodes]
        degree = self.indptr[nodes + 1] - start
        # np.repeat needs counts of NumPy's index type, which has 32 bits in WebAssembly.
        row = np.repeat(np.arange(len(nodes)), degree.astype(np.intp))
        first = np.cumsum(degree) - degree
        edge = np.arange(len(row)) - first[row] + start[row]
        if self.fanout is not None:
            order = np.lexsort((rng.random(len(row)), row))
            keep = np.sort(order[np.arange(len(row)) - first[row] < self.fanout])
            edge, degree = edge[keep], np.minimum(degree, self.fanout)
        return NeighborhoodBatch(nodes, np.concatenate([[0], np.cumsum(degree)]), self.indices[edge])


class Rows(metaclass=TypedArguments):
    """Batches of rows of several arrays: tuples of arrays.

    Args:
        *arrays: Arrays of any dtype with the same number of rows.

    Raises:
        DimensionMismatchError: The numbers of rows differ.
        EmptyInputError: There are no rows.

    Example:
        >>> import numpy as np
        >>> from graphattend.training import Rows
        >>> Rows([[1.0], [2.0]], [0, 1]).batch(np.array([1]), np.random.default_rng(0))
        (array([[2.]]), array([1]))
    """

    def __init__(self, *arrays: object) -> None:
        self.arrays = tuple(np.atleast_1d(as_array(a, f"arrays[{i}]")) for i, a in enumerate(arrays))
        if not self.arrays:
            raise InvalidConfigError("arrays: expected at least one", argument="arrays", expected="arrays", actual=())
        for i, a in enumerate(self.arrays):
            if a.dtype == object:
                raise InvalidConfigError.of(f"arrays[{i}]", "an array", "objects")
            check_nonempty(a, f"arrays[{i}]")
            check_length(a, f"arrays[{i}]", 0, len(self.arrays[0]), "the length of arrays[0]")

    def __len__(self) -> int:
        return len(self.arrays[0])

    def batch(self, index: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        """Return the rows `index` (B,) of each array."""
        as_rng(rng)
        index = _positions(index, self)
        return tuple(a[index] for a in self.arrays)


def _positions(index: object, data: Data) -> np.ndarray:
    """Check and return positions (B,) of samples."""
    return as_index(index, "index", len(data), ndim=1)


def as_data(data: Any) -> Data:
    """Return a data set unchanged, or convert a number or index array to `Nodes` and a tuple to `Rows`."""
    if callable(getattr(data, "batch", None)) and hasattr(type(data), "__len__"):
        if len(data) == 0:
            raise InvalidConfigError("data: expected at least one sample, got none", argument="data", expected=">= 1")
        return cast("Data", data)
    if isinstance(data, tuple):
        return Rows(*data)
    try:
        return Nodes(data)
    except (InvalidConfigError, DimensionMismatchError, EmptyInputError) as error:
        raise type(error).of("data", "nodes, rows of arrays or an object with batches", str(error)) from None

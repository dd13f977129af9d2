"""Sparse attention patterns, which can be combined with ``|`` and ``&``.

A pattern stores only its pairs, so its memory grows with their number. Query i and key i are at position i. By
default there are as many keys as queries.

Source: Child et al., "Generating Long Sequences with Sparse Transformers" (2019); Beltagy et al., "Longformer" (2020);
Zaheer et al., "Big Bird" (2020).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .. import _validate as check
from .._frozen import Frozen
from .._validate import ArrayLike
from ..errors import DimensionMismatchError, InvalidConfigError, UnsupportedError
from . import _csr
from .neighbor_graph import NeighborGraph
from .properties import check_dense

# Largest numbers of positions and of pairs. Their arrays stay below two gigabytes.
_MAX_POSITIONS = 1 << 24
_MAX_ENTRIES = 100_000_000


@dataclass(frozen=True, eq=False, repr=False)
class Pattern(Frozen):
    """Pairs (query, key) that attend. The functions of this module create patterns.

    Args:
        shape: Numbers of queries and keys (M, N).
        pairs: The pairs as sorted, distinct numbers query · N + key.

    Example:
        >>> from graphattend.graph import patterns
        >>> seen = patterns.sliding_window(4, window=1) | patterns.global_tokens(4, nodes=[0])
        >>> seen.as_mask().astype(int).tolist()
        [[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 1, 1], [1, 0, 1, 1]]
        >>> seen.density
        0.875
    """

    shape: tuple[int, int]
    pairs: np.ndarray

    @property
    def density(self) -> float:
        """Fraction of all M · N pairs that attend."""
        return len(self.pairs) / (self.shape[0] * self.shape[1])

    def as_mask(self) -> np.ndarray:
        """Convert to a boolean mask (M, N), True = attend.

        Raises:
            UnsupportedError: The mask has more than 100 000 000 entries; use `as_csr`.
        """
        check_dense(*self.shape, "as_mask")
        mask = np.zeros(self.shape[0] * self.shape[1], dtype=bool)
        mask[self.pairs] = True
        return mask.reshape(self.shape)

    def as_csr(self) -> NeighborGraph:
        """Convert to a graph whose nodes are both queries and keys; rows are sorted by key.

        Raises:
            UnsupportedError: The numbers of queries and keys differ.
        """
        queries, keys = self.shape
        if queries != keys:
            raise UnsupportedError(
                f"as_csr: expected as many keys as queries, got {self.shape}", expected=queries, actual=keys
            )
        rows, columns = _csr.parted(self.pairs, keys)
        return NeighborGraph(_csr.indptr_of(rows, queries), columns)

    def __or__(self, other: object) -> Pattern:
        if not isinstance(other, Pattern):
            return NotImplemented
        self._check_same_shape(other)
        return Pattern(self.shape, _csr.distinct(np.concatenate([self.pairs, other.pairs])))

    def __and__(self, other: object) -> Pattern:
        if not isinstance(other, Pattern):
            return NotImplemented
        self._check_same_shape(other)
        return Pattern(self.shape, np.intersect1d(self.pairs, other.pairs, assume_unique=True))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Pattern):
            return NotImplemented
        return self.shape == other.shape and np.array_equal(self.pairs, other.pairs)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Pattern(shape={self.shape}, density={self.density:.3g})"

    def _check_same_shape(self, other: Pattern) -> None:
        if self.shape != other.shape:
            raise DimensionMismatchError(
                f"pattern: expected shape {self.shape}, got {other.shape}", expected=self.shape, actual=other.shape
            )


def _shape(num_queries: object, num_keys: object) -> tuple[int, int]:
    queries = check.as_int(num_queries, "num_queries", minimum=1, maximum=_MAX_POSITIONS)
    keys = queries if num_keys is None else check.as_int(num_keys, "num_keys", minimum=1, maximum=_MAX_POSITIONS)
    return queries, keys


def _check_size(entries: int) -> None:
    if entries > _MAX_ENTRIES:
        raise UnsupportedError(
            f"pattern: expected at most {_MAX_ENTRIES} pairs, got {entries}", expected=_MAX_ENTRIES, actual=entries
        )


def _steps(shape: tuple[int, int], step: int, reach: int) -> Pattern:
    """Return the pattern with keys at i + step · t, |t| ≤ reach."""
    queries, keys = shape
    reach = min(reach, -(-max(queries, keys) // step))
    rows = np.arange(queries)
    first = np.maximum(rows - step * reach, rows % step)
    last = np.minimum(rows + step * reach, keys - 1)
    counts = np.maximum((last - first) // step + 1, 0)
    _check_size(int(counts.sum()))
    turn = _csr.ranges(np.zeros_like(counts), counts)
    return Pattern(shape, np.repeat(_csr.joined(rows, first, keys), counts) + step * turn)


def sliding_window(num_queries: int, num_keys: int | None = None, *, window: int) -> Pattern:
    """Each query attends to the keys within a window: |i - j| ≤ window.

    Args:
        num_queries: M.
        num_keys: N; M if None.
        window: Largest distance to either side, ≥ 0.

    Returns:
        The pattern.

    Raises:
        InvalidConfigError: A number that is not whole or out of range.

    Example:
        >>> from graphattend.graph.patterns import sliding_window
        >>> sliding_window(3, window=1).as_mask().astype(int).tolist()
        [[1, 1, 0], [1, 1, 1], [0, 1, 1]]
    """
    return _steps(_shape(num_queries, num_keys), 1, check.as_int(window, "window", minimum=0, maximum=_MAX_POSITIONS))


def dilated(num_queries: int, num_keys: int | None = None, *, window: int, dilation: int) -> Pattern:
    """Each query attends to the keys of a window with gaps: j = i + dilation · t with |t| ≤ window.

    Args:
        num_queries: M.
        num_keys: N; M if None.
        window: Number of steps to either side, ≥ 0.
        dilation: Length of a step, ≥ 1.

    Returns:
        The pattern.

    Raises:
        InvalidConfigError: A number that is not whole or out of range.

    Example:
        >>> from graphattend.graph.patterns import dilated
        >>> dilated(5, window=1, dilation=2).as_mask()[2].astype(int).tolist()
        [1, 0, 1, 0, 1]
    """
    step = check.as_int(dilation, "dilation", minimum=1, maximum=_MAX_POSITIONS)
    return _steps(
        _shape(num_queries, num_keys), step, check.as_int(window, "window", minimum=0, maximum=_MAX_POSITIONS)
    )


def strided(num_queries: int, num_keys: int | None = None, *, stride: int) -> Pattern:
    """Each query attends to every stride-th key, counted from the query: stride divides i - j.

    Args:
        num_queries: M.
        num_keys: N; M if None.
        stride: ≥ 1.

    Returns:
        The pattern.

    Raises:
        InvalidConfigError: A number that is not whole or out of range.

    Example:
        >>> from graphattend.graph.patterns import strided
        >>> strided(4, stride=2).as_mask()[1].astype(int).tolist()
        [0, 1, 0, 1]
    """
    shape = _shape(num_queries, num_keys)
    return _steps(shape, check.as_int(stride, "stride", minimum=1, maximum=_MAX_POSITIONS), max(shape))


def block(num_queries: int, num_keys: int | None = None, *, block_size: int) -> Pattern:
    """Each query attends to the keys in its block: i and j lie in the same block on the diagonal.

    Args:
        num_queries: M.
        num_keys: N; M if None.
        block_size: ≥ 1.

    Returns:
        The pattern.

    Raises:
        InvalidConfigError: A number that is not whole or out of range.

    Example:
        >>> from graphattend.graph.patterns import block
        >>> block(3, block_size=2).as_mask().astype(int).tolist()
        [[1, 1, 0], [1, 1, 0], [0, 0, 1]]
    """
    queries, keys = shape = _shape(num_queries, num_keys)
    size = check.as_int(block_size, "block_size", minimum=1, maximum=_MAX_POSITIONS)
    rows = np.arange(queries)
    first = rows // size * size
    counts = np.clip(keys - first, 0, size)
    _check_size(int(counts.sum()))
    return Pattern(shape, np.repeat(_csr.joined(rows, np.zeros_like(rows), keys), counts) + _csr.ranges(first, counts))


def global_tokens(num_queries: int, num_keys: int | None = None, *, nodes: ArrayLike) -> Pattern:
    """The queries at some positions attend to all keys, and all queries attend to the keys there.

    Args:
        num_queries: M.
        num_keys: N; M if None.
        nodes: The positions, (G,), below max(M, N).

    Returns:
        The pattern.

    Raises:
        OutOfBoundsError: A position does not exist.
        InvalidConfigError: Positions are not whole numbers.

    Example:
        >>> from graphattend.graph.patterns import global_tokens
        >>> global_tokens(3, nodes=[1]).as_mask().astype(int).tolist()
        [[0, 1, 0], [1, 1, 1], [0, 1, 0]]
    """
    queries, keys = shape = _shape(num_queries, num_keys)
    chosen = np.unique(check.as_index(nodes, "nodes", max(shape), ndim=1))
    _check_size(len(chosen) * (queries + keys))
    rows, columns = chosen[chosen < queries], chosen[chosen < keys]
    across = _csr.joined(rows[:, None], np.arange(keys), keys).ravel()
    down = _csr.joined(np.arange(queries)[:, None], columns, keys).ravel()
    return Pattern(shape, _csr.distinct(np.concatenate([across, down])))


def random(num_queries: int, num_keys: int | None = None, *, num_random: int, seed: int) -> Pattern:
    """Each query attends to keys that are drawn at random, without replacement.

    Args:
        num_queries: M.
        num_keys: N; M if None.
        num_random: Keys per query, 0 … N.
        seed: Seed of the draw.

    Returns:
        The pattern.

    Raises:
        InvalidConfigError: A number that is not whole or out of range.

    Source: Zaheer et al., "Big Bird" (2020); Floyd's sampling in Bentley, "A sample of brilliance" (1987).

    Example:
        >>> from graphattend.graph.patterns import random
        >>> random(100, num_random=3, seed=0).as_mask().sum(axis=1).tolist() == [3] * 100
        True
    """
    queries, keys = shape = _shape(num_queries, num_keys)
    count = check.as_int(num_random, "num_random", minimum=0, maximum=keys)
    rng = np.random.default_rng(check.as_int(seed, "seed", minimum=0))
    _check_size(queries * count)
    drawn = np.empty((queries, count), dtype=np.intp)
    for t in range(count):
        # Floyd's method: draw from keys 0 … n; a query that already has the drawn key takes key n.
        n = keys - count + t
        draw = rng.integers(0, n + 1, queries)
        taken = (drawn[:, :t] == draw[:, None]).any(axis=1)
        drawn[:, t] = np.where(taken, n, draw)
    return Pattern(shape, np.sort(_csr.joined(np.arange(queries)[:, None], drawn, keys).ravel()))


def from_graph(graph: NeighborGraph) -> Pattern:
    """Each node attends to its neighbours in a graph.

    Args:
        graph: The graph.

    Returns:
        The pattern, (V, V).

    Raises:
        InvalidConfigError: `graph` is not a `NeighborGraph`.

    Example:
        >>> from graphattend import NeighborGraph
        >>> from graphattend.graph.patterns import from_graph
        >>> from_graph(NeighborGraph([0, 1, 1], [1])).as_mask().tolist()
        [[False, True], [False, False]]
    """
    if not isinstance(graph, NeighborGraph):
        expected = "a NeighborGraph"
        raise InvalidConfigError.of("graph", expected, type(graph).__name__)
    size = graph.num_nodes
    return Pattern((size, size), _csr.distinct(_csr.joined(graph.targets, graph.indices, size)))

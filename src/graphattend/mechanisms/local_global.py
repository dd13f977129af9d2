"""Local and global attention: over a window or the graph's neighbours, plus a few global nodes."""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from .. import simd
from .._validate import ArrayLike, all_finite, as_count, as_index, as_int, check_size
from .._vjp import unbroadcast
from ..errors import InvalidConfigError, OutOfBoundsError
from ..graph import GraphMetadata, NeighborGraph
from ._attend import check_graph, chunks
from ._base import Attention
from ._boundary import Call, Context
from ._gradients import CoreGradients, CoreResult, Gradients
from ._mechanism import SingleScores
from ._options import option
from ._scaled_dot import DotProduct

#: Largest number of global keys.
MOST_GLOBAL = 1_000_000


@dataclasses.dataclass(frozen=True, eq=False)
class LocalGlobalAttention(DotProduct):
    """Dot-product attention over a window of nearby keys and a few global keys.

    In `forward`, query row i is position i. It sees the keys with |i - j| <= window and all `global_nodes`; a global
    row sees every key. Only these scores are computed, so the cost is O(M·(2·window + 1 + G)·D). In `attend`, a node
    sees its neighbours in the graph. Edges between every node and the global nodes are added, and the weights are in
    the CSR order of `pattern(graph)`.

    Args:
        dim: Width D of queries and keys; values may have any width.
        window: Largest distance |i - j|, or None for no limit.
        global_nodes: Positions of the global keys, or their number, which selects the first keys.
        temperature: Divides the scores.
        scale: Factor of the dot products, 1/√D by default.
        dropout: Probability of dropping a weight in training.
        seed: Unused; there are no parameters.
        check_finite: Whether NaN and infinity in the inputs raise an error.

    Source:
        Beltagy et al. 2020, "Longformer: The Long-Document Transformer", section 3.1.

    Example:
        >>> import numpy as np, graphattend as ga
        >>> attn = ga.LocalGlobalAttention(4, window=1, global_nodes=[0])
        >>> x = np.ones((6, 4))
        >>> attn.attention_weights(x, x)[3].round(2)
        array([0.25, 0.  , 0.25, 0.25, 0.25, 0.  ])
    """

    window: int | None = option("int", 16, "largest |i - j| that is seen; null sees all", minimum=0, nullable=True)
    global_nodes: Any = option(
        "any",
        (),
        "positions of the keys that every query sees, or how many of the first ones",
        schema={"type": ["array", "integer"], "items": {"type": "integer", "minimum": 0}, "minimum": 0},
    )

    key: ClassVar[str] = "local_global"
    family: ClassVar[str] = "sparse"
    complexity: ClassVar[str] = "O(M·(k_local + k_global)·D)"
    any_value_width: ClassVar[bool] = True
    laws: ClassVar[frozenset[str]] = frozenset({"weights_times_values"})

    def _check_options(self) -> None:
        nodes = self.global_nodes
        if isinstance(nodes, (int, np.integer)):
            nodes = range(as_int(nodes, "global_nodes", minimum=0, maximum=MOST_GLOBAL))
        array = as_index(list(nodes) if isinstance(nodes, range) else nodes, "global_nodes")
        if array.ndim != 1 or (array.size and array.min() < 0):
            raise InvalidConfigError.of(
                "global_nodes",
                "positions >= 0",
                nodes,
                text="a list of positions >= 0 or their number",
                got=f"{nodes!r:.80}",
            )
        object.__setattr__(self, "global_nodes", tuple(sorted({int(i) for i in array})))

    @property
    def rows_are_positions(self) -> bool:
        """Always True, because a window is centred at a position."""
        return True

    @property
    def adds_edges(self) -> bool:
        """Whether there are global nodes, which attend to every node and to which every node attends."""
        return bool(self.global_nodes)

    def _attended_graph(self, graph: NeighborGraph) -> Any:
        return self.pattern(graph)

    def _encode_option(self, name: str, value: Any) -> Any:
        return list(value) if name == "global_nodes" else value

    @classmethod
    def example(cls, rng: np.random.Generator, n: int, dim: int = 8) -> tuple[Attention, dict[str, Any]]:
        """Return an example with a window of two and one global key."""
        _, inputs = super().example(rng, n, dim)
        return cls(dim, window=2, global_nodes=(min(5, n - 1),)), inputs

    def _fused(self, query: Any, keys: Any, values: Any) -> np.ndarray | None:
        # A single query is at position 0. Its window is a slice; only the global keys beyond it are copied.
        if type(query) is not np.ndarray or query.shape != (self.dim,) or not simd.has_kernels(query.dtype):
            return None
        if type(keys) is not np.ndarray or type(values) is not np.ndarray or keys.ndim != 2 or values.ndim != 2:
            return None
        if not query.dtype == keys.dtype == values.dtype:
            return None
        n = keys.shape[0]
        if values.shape[0] != n or (self.global_nodes and self.global_nodes[-1] >= n):
            return None
        if self.check_finite and not (all_finite(keys) and all_finite(values)):
            return None
        if self.window is not None and 0 not in self.global_nodes:
            stop = self.window + 1
            far = [i for i in self.global_nodes if i >= stop]
            near_k, near_v = keys[:stop], values[:stop]
            keys = np.concatenate((near_k, keys[far])) if far else near_k
            values = np.concatenate((near_v, values[far])) if far else near_v
        return simd.single(query, keys, values, self.dim, self.factor, self.check_finite)

    def _fused_weights(
        self, query: Any, keys: Any, values: Any, metadata: Any, mask: Any = None
    ) -> tuple[Any, np.ndarray] | None:
        if metadata is not None or not simd.is_single(query, keys, values, self.dim):
            return None
        n = len(keys)
        seen = self._seen_by_one(n)
        if seen is None or (self.check_finite and not (all_finite(keys) and (values is None or all_finite(values)))):
            return None
        shown = None if values is None else values[seen]
        allowed = None if mask is None else np.ascontiguousarray(mask[:, seen])
        found = simd.single_with_weights(query[None], keys[seen], shown, {"scale": self.factor, "mask": allowed})
        if found is None:
            return None
        weights = np.zeros(n, query.dtype)
        weights[seen] = found[1][0]
        return None if values is None else found[0][0], weights

    def _single_vjp(self, query: np.ndarray, keys: np.ndarray, metadata: GraphMetadata | None) -> SingleScores | None:
        seen = None if metadata is not None else self._seen_by_one(len(keys))
        if seen is None:
            return None
        return SingleScores(query, {"scale": self.factor}, lambda gq, gk, _: (gq, gk, {}, {}), seen)

    def _seen_by_one(self, n: int) -> Any:
        """Return the index of the keys that a single query sees, or None if a global key does not exist."""
        if self.global_nodes and self.global_nodes[-1] >= n:
            return None
        if self.window is None or 0 in self.global_nodes:
            return slice(None)
        stop = min(self.window + 1, n)
        far = [i for i in self.global_nodes if i >= stop]
        return np.array([*range(stop), *far]) if far else slice(stop)

    def _globals(self, n_keys: int) -> np.ndarray:
        nodes = np.asarray(self.global_nodes, np.intp)
        if nodes.size and nodes[-1] >= n_keys:
            raise OutOfBoundsError(
                f"global_nodes: expected positions < {n_keys}, got {int(nodes[-1])}",
                index=int(nodes[-1]),
                length=n_keys,
                argument="global_nodes",
            )
        return nodes

    def row_pattern(self, rows: int, n_keys: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the keys that each query row of `forward` sees, as CSR lists.

        Args:
            rows: M.
            n_keys: N.

        Returns:
            ``(indptr, indices)``; the indices of a row are sorted.

        Raises:
            OutOfBoundsError: A global node is not among the keys.

        Example:
            >>> import graphattend as ga
            >>> ga.LocalGlobalAttention(4, window=1).row_pattern(2, 4)[1]
            array([0, 1, 0, 1, 2])
        """
        rows, n_keys = as_count(rows, "rows", minimum=0), as_count(n_keys, "n_keys")
        if self.window is None:
            check_size([rows, n_keys], "n_keys")
        return self._row_pattern(rows, n_keys)

    def _row_pattern(self, rows: int, n_keys: int) -> tuple[np.ndarray, np.ndarray]:
        """Compute `row_pattern` for checked numbers."""
        nodes = self._globals(n_keys)
        if self.window is None:
            indices = np.tile(np.arange(n_keys), rows)
            return np.arange(rows + 1) * n_keys, indices
        i = np.arange(rows)
        low = np.minimum(np.maximum(i - self.window, 0), n_keys)
        high = np.maximum(np.minimum(i + self.window + 1, n_keys), low)
        full = np.isin(i, nodes)
        low[full], high[full] = 0, n_keys
        row, column = _ranges(low, high)
        far_row = np.repeat(i, nodes.size)
        far = np.tile(nodes, rows)
        outside = (far < low[far_row]) | (far >= high[far_row])
        row, column = np.concatenate([row, far_row[outside]]), np.concatenate([column, far[outside]])
        order = np.lexsort((column, row))
        return np.searchsorted(row[order], np.arange(rows + 1)), column[order]

    def pattern(self, graph: NeighborGraph) -> NeighborGraph:
        """Return the graph that `attend` uses: `graph` with the missing edges from and to the global nodes.

        Args:
            graph: Any graph. Its edges come first in every row, in their order.

        Returns:
            A graph without edge data. Without global nodes, it has the edges of `graph`.

        Example:
            >>> import graphattend as ga
            >>> path = ga.NeighborGraph.from_edge_index([[0, 1], [1, 2]], 3)
            >>> ga.LocalGlobalAttention(4, global_nodes=[0]).pattern(path).degree()
            array([3, 1, 2])
        """
        check_graph(graph)
        if (
            not self.global_nodes
            and graph.edge_features is graph.edge_weights is graph.distances is graph.layers is None
        ):
            return graph
        known = _patterns_of(graph)
        if self.global_nodes not in known:
            known[self.global_nodes] = self._pattern(graph)
        return known[self.global_nodes]

    def _pattern(self, graph: NeighborGraph) -> NeighborGraph:
        v = graph.num_nodes
        nodes = self._globals(v)
        rows = np.repeat(np.arange(v), np.diff(graph.indptr))
        everyone = np.arange(v)
        new_rows = np.concatenate([np.repeat(nodes, v), np.tile(everyone, nodes.size)])
        new_columns = np.concatenate([np.tile(everyone, nodes.size), np.repeat(nodes, v)])
        # Encode each pair as one number of 64 bits, because V² exceeds 32-bit indices.
        given = np.unique(rows.astype(np.int64) * v + graph.indices)
        added = np.setdiff1d(new_rows.astype(np.int64) * v + new_columns, given)
        row = np.concatenate([rows, (added // v).astype(np.intp)])
        column = np.concatenate([graph.indices, (added % v).astype(np.intp)])
        order = np.argsort(row, kind="stable")
        return NeighborGraph(np.searchsorted(row[order], np.arange(v + 1)), column[order])

    def _graph_factor(self) -> float | None:
        return self.factor  # over the graph of `pattern`

    def _attend(
        self, graph: NeighborGraph, queries: ArrayLike, keys: ArrayLike | None, values: ArrayLike | None, call: Call
    ) -> tuple[np.ndarray, Any, Callable[..., Gradients]]:
        pattern = self.pattern(graph) if isinstance(graph, NeighborGraph) else graph
        dense = dataclasses.replace(self, window=None, global_nodes=())
        return super(LocalGlobalAttention, dense)._attend(pattern, queries, keys, values, call)

    def _core(self, q: np.ndarray, k: np.ndarray, v: np.ndarray | None, context: Context) -> CoreResult:
        mask, drop, need_weights = context.mask, context.drop, context.need_weights
        if self.window is None:
            self._globals(k.shape[-2])
            return super()._core(q, k, v, context)
        rows, n_keys = q.shape[-2], k.shape[-2]
        indptr, indices = self._row_pattern(rows, n_keys)
        batch = np.broadcast_shapes(q.shape[:-2], k.shape[:-2], () if v is None else v.shape[:-2])
        parts = []
        out = None if v is None else np.zeros((*batch, rows, v.shape[-1]), q.dtype)
        weights = np.zeros((*batch, rows, n_keys), q.dtype) if need_weights else None
        for chunk in chunks(indptr, q.shape[-1]):
            at = indices[chunk.edges]
            seen = _pick(mask, chunk.nodes, at)
            if chunk.valid is not None:
                seen = _restrict(seen, chunk.valid)
            o, w, pull = super()._core(
                q[..., chunk.nodes, None, :],
                k[..., at, :],
                None if v is None else v[..., at, :],
                context._replace(
                    mask=None if seen is None else seen[..., None, :],
                    drop=None if drop is None else _pick(drop, chunk.nodes, at)[..., None, :],
                ),
            )
            if out is not None:
                out[..., chunk.nodes, :] = o[..., 0, :]
            if weights is not None:
                w = w[..., 0, :]
                if chunk.valid is None:
                    weights[..., chunk.nodes[:, None], at] = w
                else:
                    at_nodes = np.broadcast_to(chunk.nodes[:, None], at.shape)[chunk.valid]
                    weights[..., at_nodes, at[chunk.valid]] = w[..., chunk.valid]
            parts.append((chunk, at, pull))

        def pullback(g: np.ndarray, g_weights: np.ndarray | None = None) -> CoreGradients:
            assert v is not None
            gq = np.zeros((*batch, *q.shape[-2:]), q.dtype)
            gk = np.zeros((*batch, *k.shape[-2:]), q.dtype)
            gv = np.zeros((*batch, *v.shape[-2:]), q.dtype)
            for chunk, at, pull in parts:
                gw = None
                if g_weights is not None:
                    gw = _pick(g_weights, chunk.nodes, at)
                    gw = (gw if chunk.valid is None else gw * chunk.valid)[..., None, :]
                c = pull(g[..., chunk.nodes, None, :], gw)
                gq[..., chunk.nodes, :] = c.q[..., 0, :]
                _scatter_rows(gk, at, c.k)
                _scatter_rows(gv, at, c.v)
            return CoreGradients(unbroadcast(gq, q.shape), unbroadcast(gk, k.shape), unbroadcast(gv, v.shape), {}, {})

        return out, weights, pullback


_Patterns = dict[tuple[int, ...], NeighborGraph]
#: Patterns by the id of a live graph. Graphs are immutable, and computing a pattern costs more than a pass.
_known_patterns: dict[int, tuple[weakref.ref[NeighborGraph], _Patterns]] = {}


def _patterns_of(graph: NeighborGraph) -> _Patterns:
    """Return the cached patterns of this graph by global nodes. They live as long as the graph."""
    key = id(graph)
    if key not in _known_patterns:
        _known_patterns[key] = weakref.ref(graph, lambda _: _known_patterns.pop(key, None)), {}
    return _known_patterns[key][1]


def _ranges(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Concatenate the integer ranges low[i] … high[i]-1; return the row numbers and the values."""
    counts = high - low
    row = np.repeat(np.arange(low.size), counts)
    start = np.concatenate([[0], np.cumsum(counts)[:-1]]) if low.size else np.zeros(0, np.intp)
    return row, np.arange(row.size) - start[row] + low[row]


def _pick(x: np.ndarray | None, rows: np.ndarray, columns: np.ndarray) -> Any:
    """Return the entries (..., n, d) at rows (n,) and columns (n, d) of x, which broadcasts to (..., M, N)."""
    if x is None:
        return None
    x = np.atleast_2d(x)
    r = np.zeros_like(rows) if x.shape[-2] == 1 else rows
    c = np.zeros_like(columns) if x.shape[-1] == 1 else columns
    return x[..., r[:, None], c]


def _restrict(seen: np.ndarray | None, valid: np.ndarray) -> np.ndarray:
    """Return a boolean or additive mask (or None) with the padding masked as well."""
    if seen is None:
        return valid
    if seen.dtype == np.bool_:
        return np.asarray(seen & valid)
    return np.asarray(np.where(valid, seen, seen.dtype.type(-np.inf)))


def _scatter_rows(target: np.ndarray, at: np.ndarray, g: np.ndarray) -> None:
    """Add g (..., n, d, E) to rows `at` (n, d) of target (..., N, E)."""
    moved = np.moveaxis(target, -2, 0)
    rows = np.moveaxis(g.reshape(*g.shape[:-3], -1, g.shape[-1]), -2, 0)
    simd.scatter_add(moved, at.reshape(-1), np.broadcast_to(rows, (rows.shape[0], *moved.shape[1:])))

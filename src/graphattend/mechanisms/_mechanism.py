"""What a mechanism defines; `_base` holds the passes around it.

To write a mechanism you define the options as fields, ``key``, ``family``, ``complexity`` and ``example``, then stages.
Each stage returns its result together with a pullback, so the forward pass and its gradient are written once, side by
side:

    _project(q, k, v, p)     -> (q', k', v'), (gq', gk', gv') -> (gq, gk, gv, {parameter: gradient})
    _scores(q', k', meta, p) -> scores (..., [H,] M, N), gs -> (gq', gk', {parameter: gradient}, {field: gradient})
    _aggregate(w, v', p)     -> output (..., [H,] M, E), g -> (gw, gv', {parameter: gradient})
    _finish(out, p)          -> output (..., M, E'), g -> (g_out, {parameter: gradient})

Only `_scores` has no default. `_project` and `_finish` act on each row alone; `attend` therefore runs them once over
all nodes and the two stages between on the neighbourhoods. `v` is None when only the weights are asked for; a stage
then passes it on. Stages take checked arrays and check nothing again.

A mechanism may also override:

    _init_parameters(rng)       initial parameters by name
    heads, needed, used, …      declarations
    _check_metadata(metadata)   what only the mechanism knows about its metadata
    _core(q', k', v', context)  scores, softmax and aggregation in one, where no matrix of weights is made
    _run(x, call)               the whole pass over checked inputs, where there is a cheaper way to it
    _pair_scores(q', k', …)     in the place of `_scores` (in `_biased`): scores that are dot products with a bias
    _edge_scores(q', k', …)     the scores over a graph's edges as dot products with a bias, for the graph kernel
    _project_edges(q, k, v, p)  what that kernel takes in the place of `_project`'s result, or None
    _attend(graph, …, call)     the pass over a whole graph (in `_base`)
    _single_scores(query, keys, metadata)  the rows and the bias that one query becomes, for the kernel of a few queries
    _fused(query, keys, values) the same in one kernel call, for arguments that nobody has checked; with the weights,
                                `_fused_weights`, with metadata, `_fused_metadata`
    _single_vjp(query, keys, metadata)  what one query becomes, with the pullback, for its gradients in two kernel calls
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np

from .. import simd
from .._float64_fallback import silence
from .._vjp import unbroadcast
from ..errors import UnsupportedError
from ..functional.dot_product import dropout_multiplier, from_scores, weighted_sum
from ..graph import GraphMetadata, NeighborGraph
from ._boundary import Call, Context, Expected, Inputs
from ._gradients import CoreGradients, CoreResult, Grads, Params, add_grads
from ._parameters import Configured


class GraphData(NamedTuple):
    """Metadata of a graph: of its edges (K, ...), of nodes as neighbours (V, ...), of nodes that ask (V, ...)."""

    per_edge: Mapping[str, np.ndarray]
    per_key: Mapping[str, np.ndarray]
    per_query: Mapping[str, np.ndarray]

    @property
    def by_key(self) -> dict[str, np.ndarray]:
        """The fields that `forward` takes one entry per key of."""
        return {**self.per_edge, **self.per_key}


class EdgeScores(NamedTuple):
    """Scores of a graph's edges as factor · q·k + bias, for the fused graph kernel.

    Args:
        q: ([H,] V, d), one row per node that asks.
        k: ([H,] V, d), one row per neighbour.
        factor: Factor of the dot products.
        bias: Added, (K,) or (K, H) in CSR order, or None.
        rotation: Positions (K,), frequency and whether pairs are neighbours, by which k is turned, or None.
        plain: Whether the scores themselves, divided by their sum, are the weights, without exponentials.
        gain: What the weighted sums are multiplied with, (V, [H]), or None.
        pull: ``pull(gq, gk, gs, g_gain) -> (gq, gk, {parameter: gradient}, {field: gradient})`` from the gradients of q
            and k, of the scores (K, [H]), or with a rotation of its positions, and of the gain where that is not 0;
            None where q and k are what was given and nothing else is read.
    """

    q: np.ndarray
    k: np.ndarray
    factor: float
    bias: np.ndarray | None = None
    rotation: tuple[np.ndarray, np.ndarray, bool] | None = None
    plain: bool = False
    gain: np.ndarray | None = None
    pull: Callable[..., tuple[np.ndarray, np.ndarray, Grads, Grads]] | None = None


class SingleScores(NamedTuple):
    """What one query becomes for the kernel of a few queries.

    Args:
        rows: In the place of the query, (H or 1, D).
        options: Of `kernel_ops.attend_few`: ``scale``, and where there are some ``bias``, ``squares`` and ``slope``.
        pull: ``pull(gq, gk, gs) -> (gq, gk, {parameter: gradient}, {field: gradient})`` from the gradients of the rows
            and the keys by the products alone, and of the scores with their bias (H or 1, N); gq becomes (1, D).
        seen: Which of the keys the query sees, an index; None for all.
    """

    rows: np.ndarray
    options: dict[str, Any]
    pull: Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, Grads, Grads]]
    seen: Any = None


def unprojected(gq: np.ndarray, gk: np.ndarray, gv: np.ndarray | None) -> tuple[Any, ...]:
    """The pullback of a `_project` that changes nothing."""
    return gq, gk, gv, {}


@dataclasses.dataclass(frozen=True, eq=False)
class Mechanism(Configured):
    """Options, parameters, declarations and stages of a mechanism."""

    family: ClassVar[str]
    complexity: ClassVar[str]
    supports_variable_length: ClassVar[bool] = True
    #: Metadata fields without which there is no forward pass, and those that are read when given.
    needs: ClassVar[tuple[str, ...]] = ()
    uses: ClassVar[tuple[str, ...]] = ()
    #: Whether values may have another width than dim.
    any_value_width: ClassVar[bool] = False
    #: Laws beyond the universal ones: "permutation" (order of keys does not matter), "weights_times_values"
    #: (weights @ values = output), "stays_on_manifold".
    laws: ClassVar[frozenset[str]] = frozenset()
    # Of a mechanism that does not have the option. Without annotations, these are no fields.
    dropout = 0.0
    is_causal = False

    # -- declarations ------------------------------------------------------------------------

    @property
    def heads(self) -> int | None:
        """Number of heads if the weights have a head axis, else None."""
        return None

    @property
    def rows_are_positions(self) -> bool:
        """Whether row i of the queries stands for position i, so that a row alone may give another result."""
        return self.is_causal

    @property
    def output_manifold(self) -> Any:
        """The manifold that the output lies on, or None for a flat space."""
        return None

    @property
    def sees_all_nodes(self) -> bool:
        """Whether `attend` looks beyond the neighbours, so that no node is hidden from it."""
        return False

    @property
    def adds_edges(self) -> bool:
        """Whether `attend` adds edges to the graph, other than from a node to itself."""
        return False

    @property
    def input_manifolds(self) -> tuple[Any, ...]:
        """The manifolds that the inputs lie on; empty for a flat space."""
        return () if self.output_manifold is None else (self.output_manifold,)

    @classmethod
    def options_from_graph(cls, graph: NeighborGraph) -> dict[str, Any]:
        """Options that let the mechanism read the data of a graph.

        Args:
            graph: A `NeighborGraph`.

        Returns:
            Options by name; empty for most mechanisms.

        Example:
            >>> import numpy as np, graphattend as ga
            >>> graph = ga.NeighborGraph.from_edge_index([[0], [1]], 2, edge_features=np.ones((1, 3)))
            >>> ga.EdgeFeaturedAttention.options_from_graph(graph)
            {'edge_dim': 3}
        """
        return {}

    def _attended_graph(self, graph: NeighborGraph) -> Any:
        """The graph that `attend` works on: `graph`, with the edges that the mechanism adds."""
        return graph

    @property
    def needed(self) -> tuple[str, ...]:
        """Metadata fields that this object requires, given its options."""
        return self.needs

    @property
    def used(self) -> tuple[str, ...]:
        """Metadata fields that this object reads if they are given."""
        return self.uses

    @property
    def unread(self) -> dict[str, str]:
        """Metadata fields that are ignored because an option is not set: field → option."""
        return {}

    @cached_property
    def _expected(self) -> Expected:
        needs, uses = self.needed, self.used
        return Expected(self.dim, self.heads, self.any_value_width, needs, uses, self.check_finite, self.unread)

    def _node_metadata(self, graph: NeighborGraph, node: int, row: int, keys: np.ndarray, values: np.ndarray) -> Any:
        """Metadata with which `forward`, over the neighbours of `row`, gives the result of `attend` for `node`."""
        return graph.metadata(row) if self.needed + self.used else None

    def _check_metadata(self, metadata: Params) -> None:
        """Check what the boundary does not know about the metadata, such as the width of edge features."""

    # -- stages that mechanisms override -----------------------------------------------------------------------

    def _project(
        self, q: np.ndarray, k: np.ndarray, v: np.ndarray | None, p: Params
    ) -> tuple[tuple[Any, Any, Any], Callable[..., Any]]:
        return (q, k, v), unprojected

    def _scores(self, q: np.ndarray, k: np.ndarray, meta: Params, p: Params) -> tuple[np.ndarray, Callable[..., Any]]:
        raise UnsupportedError(f"{type(self).__name__}: has no scores")

    def _aggregate(self, w: np.ndarray, v: np.ndarray, p: Params) -> tuple[np.ndarray, Callable[..., Any]]:
        out, pull = weighted_sum(w, v)
        return out, lambda g: (*pull(g), {})

    def _finish(self, out: np.ndarray, p: Params) -> tuple[np.ndarray, Callable[..., Any]]:
        return out, lambda g: (g, {})

    def _core(self, q: np.ndarray, k: np.ndarray, v: np.ndarray | None, context: Context) -> CoreResult:
        mask, meta, p, drop = context.mask, context.metadata, context.parameters, context.drop
        s, pull_s = self._scores(q, k, meta, p)
        out, w, pull_w = from_scores(s, v, mask, drop, aggregate=lambda w, v: self._aggregate(w, v, p))

        def pullback(g: np.ndarray, g_weights: np.ndarray | None = None) -> CoreGradients:
            gs, gv, gp_a = pull_w(g, g_weights)
            gq, gk, gp_s, gm = pull_s(gs)
            return CoreGradients(gq, gk, gv, add_grads(gp_a, gp_s), gm)

        return out, w, pullback

    def _graph_factor(self) -> float | None:
        """The factor of the scores if the core is nothing but scaled dot products, for the fused graph kernel."""
        return None

    def _project_edges(
        self, q: np.ndarray, k: np.ndarray, v: np.ndarray, p: Params
    ) -> tuple[tuple[Any, Any, Any], Callable[..., Any]] | None:
        """What `_edge_scores` and the graph kernel take, with its pullback; None if they do not apply."""
        return self._project(q, k, v, p)

    def _edge_scores(
        self, q: np.ndarray, k: np.ndarray, graph: NeighborGraph, metadata: GraphData, p: Params
    ) -> EdgeScores | None:
        """The scores over a graph as dot products of rows with a bias, or None if they are something else."""
        factor = self._graph_factor()
        return None if factor is None else EdgeScores(q, k, factor)

    def _fused(self, query: Any, keys: Any, values: Any) -> np.ndarray | None:
        """The whole forward pass in one kernel call that checks its arguments itself, or None if it does not apply."""
        found = None if simd._kernels is None else self._fused_weights(query, keys, values, None)
        return None if found is None else found[0]

    def _fused_weights(self, query: Any, keys: Any, values: Any, metadata: Any) -> tuple[Any, np.ndarray] | None:
        """Output and weights in the same way; without values (None) the output is None."""
        if not simd.is_single(query, keys, values, self.dim):
            return None
        if values is not None and not self.any_value_width and values.shape[1] != self.dim:
            return None
        with silence():
            scores = self._single_scores(query[None], keys, metadata)
            found = None if scores is None else simd.single_with_weights(scores[0], keys, values, scores[1])
            return None if found is None else self._finish_single(*found)

    def _single_scores(
        self, query: np.ndarray, keys: np.ndarray, metadata: GraphMetadata | None
    ) -> tuple[np.ndarray, dict[str, Any]] | None:
        """Rows (H or 1, D) in the place of a query (1, D), and options of `kernel_ops.attend_few`.

        The arrays have one dtype, and that is all that is known of them; None where metadata is anything unusual.
        """
        return None

    def _finish_single(self, out: np.ndarray, weights: np.ndarray) -> tuple[Any, np.ndarray]:
        """From what the rows give to the results for one query."""
        return None if out is None else out[0], weights[0]

    def _fused_metadata(self, query: Any, keys: Any, values: Any, metadata: Any) -> np.ndarray | None:
        """The output in the same way where metadata is given, which nobody has checked either."""
        found = None if simd._kernels is None else self._fused_weights(query, keys, values, metadata)
        return None if found is None else found[0]

    def _single_vjp(self, query: np.ndarray, keys: np.ndarray, metadata: GraphMetadata | None) -> SingleScores | None:
        """`_single_scores` with the pullback, for one query with its gradients; see `_one_query`."""
        return None

    def _finish_single_vjp(
        self, average: np.ndarray, weights: np.ndarray
    ) -> tuple[np.ndarray, Callable[..., tuple[np.ndarray, Grads]]]:
        """Output (1, E) from averages (H or 1, E') of values, and ``pull(g) -> (g_average, {parameter: gradient})``."""
        return average, lambda g: (g, {})

    def _fused_prepared(self, query: Any, prepared: Any) -> np.ndarray | None:
        """The same over keys and values that this mechanism prepared."""
        return self._fused(query, prepared.keys, prepared.values)

    # -- the pass over checked inputs --------------------------------------------------------------------------

    def _drop(self, shape: tuple[int, ...], call: Call, dtype: np.dtype[Any]) -> np.ndarray | None:
        """Inverted dropout of this shape, or None where none is on."""
        return dropout_multiplier(shape, self.dropout, call.rng, dtype) if call.training else None

    def _project_query(self, x: Inputs, p: Params) -> tuple[tuple[Any, Any, Any], Callable[..., Any]]:
        """`_project` where keys and values are prepared."""
        prepared = x.prepared
        if prepared.keys.dtype != x.q.dtype:  # a float64 query over float32 keys: projected anew, in double precision
            return self._project(x.q, x.k, x.v, p)
        (q, _, _), pull = self._project(x.q, prepared.keys[..., :1, :], prepared.values[..., :1, :], p)
        k, v = prepared.projected
        return (q, k, None if x.v is None else v), pull

    def _columns(self, x: Inputs) -> int:
        """How many weights a query has."""
        return int(x.k.shape[-2])

    def _drop_weights(self, x: Inputs, call: Call) -> np.ndarray | None:
        heads = () if self.heads is None else (self.heads,)
        return self._drop((*x.batch, *heads, x.q.shape[-2], x.k.shape[-2]), call, x.q.dtype)

    def _run(self, x: Inputs, call: Call) -> tuple[Any, Any, Any]:
        """Output, weights and pullback; where the pullback is not needed, a mechanism may have a cheaper way."""
        p = self._params(x.q.dtype)
        drop = self._drop_weights(x, call) if call.training else None
        (q, k, v), pull_p = self._project(x.q, x.k, x.v, p) if x.prepared is None else self._project_query(x, p)
        mixed, weights, pull_c = self._core(q, k, v, Context(x.mask, x.metadata, p, drop, call.need_weights))
        if x.v is None:
            return None, weights, None
        out, pull_f = self._finish(mixed, p)

        def pullback(g: np.ndarray, g_weights: np.ndarray | None) -> CoreGradients:
            g_mixed, gp_f = pull_f(g)
            c = pull_c(g_mixed, g_weights)
            inner = (unbroadcast(g, a.shape) for g, a in ((c.q, q), (c.k, k), (c.v, v)))
            gq, gk, gv, gp_p = pull_p(*inner)
            return CoreGradients(gq, gk, gv, add_grads(gp_f, c.parameters, gp_p), c.metadata)

        return out, weights, pullback

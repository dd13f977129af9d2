"""The stages and declarations that a mechanism defines; `_base` contains the passes that run them.

To write a mechanism, define options as fields, ``key``, ``family``, ``complexity`` and ``example``, then its stages.
Each stage returns its result and a pullback, so that the forward pass and its gradient are written side by side:

    _project(q, k, v, p)     -> (q', k', v'), (gq', gk', gv') -> (gq, gk, gv, {parameter: gradient})
    _scores(q', k', meta, p) -> scores (..., [H,] M, N), gs -> (gq', gk', {parameter: gradient}, {field: gradient})
    _aggregate(w, v', p)     -> output (..., [H,] M, E), g -> (gw, gv', {parameter: gradient})
    _finish(out, p)          -> output (..., M, E'), g -> (g_out, {parameter: gradient})

Only `_scores` has no default. `_project` and `_finish` act on each row independently, so `attend` runs them once over
all nodes and runs the other two stages on the neighbourhoods. If only the weights are requested, `v` is None and the
stages pass it on. Stages receive checked arrays and do not check them again.

A mechanism may also override:

    _init_parameters(rng)       initial parameters by name
    heads, needed, used, …      declarations
    _check_metadata(metadata)   checks that are specific to the mechanism's metadata
    _core(q', k', v', context)  scores, softmax and aggregation in one step that forms no matrix of weights
    _run(x, call)               the whole pass over checked inputs, if there is a cheaper way
    _pair_scores(q', k', …)     instead of `_scores` (in `_biased`): scores that are dot products plus a bias
    _edge_scores(q', k', …)     the scores of a graph's edges as dot products plus a bias, for the graph kernel
    _project_edges(q, k, v, p)  the projections for the graph kernel, instead of those of `_project`, or None
    _attend(graph, …, call)     the pass over a whole graph (in `_base`)
    _single_scores(query, keys, metadata)  the rows and options of one query, for the kernel of a few queries
    _fused(query, keys, values) the forward pass in one kernel call, for unchecked arguments; `_fused_weights` also
                                returns the weights, `_fused_metadata` takes metadata, `_fused_masked` a mask
    _single_vjp(query, keys, metadata)  the rows and options of one query with the pullback, for gradients in two calls
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np

from .. import simd
from .._float64_fallback import silence
from .._validate import check_length
from .._vjp import unbroadcast
from ..errors import UnsupportedError
from ..functional.dot_product import dropout_multiplier, from_scores, weighted_sum
from ..graph import GraphMetadata, NeighborGraph
from ._boundary import Call, Context, Expected, Inputs
from ._gradients import CoreGradients, CoreResult, Grads, Params, add_grads
from ._parameters import Configured


class GraphData(NamedTuple):
    """Metadata of a graph: per edge (K, ...), per node as a key (V, ...), and per node as a query (V, ...)."""

    per_edge: Mapping[str, np.ndarray]
    per_key: Mapping[str, np.ndarray]
    per_query: Mapping[str, np.ndarray]

    @property
    def by_key(self) -> dict[str, np.ndarray]:
        """Return the fields that have one entry per key in `forward`."""
        return {**self.per_edge, **self.per_key}


class EdgeScores(NamedTuple):
    """Scores of a graph's edges as factor · q·k + bias, for the fused graph kernel.

    Args:
        q: ([H,] V, d), one row per node as a query.
        k: ([H,] V, d), one row per node as a key.
        factor: Factor of the dot products.
        bias: Added to the scores, (K,) or (K, H) in CSR order, or None.
        rotation: Positions (K,), frequencies and whether coordinate pairs are adjacent, for the rotation of k, or None.
        plain: Whether the weights are the scores divided by their sum, without exponentials.
        gain: Factor of the weighted sums, (V, [H]), or None.
        pull: ``pull(gq, gk, gs, g_gain) -> (gq, gk, {parameter: gradient}, {field: gradient})``. `gs` is the gradient
            of the scores (K, [H]), or with a rotation of its positions; `g_gain` is zero where the gain is 0. None if
            q and k are the inputs and nothing else is read.
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
    """The arguments of the kernel of a few queries for a single query.

    Args:
        rows: Rows that replace the query, (H or 1, D).
        options: Options of `kernel_ops.attend_few`: ``scale``, and if used ``bias``, ``squares``, ``slope`` and
            ``rotation``.
        pull: ``pull(gq, gk, gs) -> (gq, gk, {parameter: gradient}, {field: gradient})``. Its arguments are the
            gradients of the rows and the keys through the products, and of the scores with their bias (H or 1, N). With
            ``squares`` the last is Σ gradient of the score · |k|², (H or 1, 1), with a ``rotation`` the gradients of
            the positions (H or 1, N). The returned gq is (1, D), and gk is returned unchanged.
        seen: Index of the keys that the query sees, or None for all.
    """

    rows: np.ndarray
    options: dict[str, Any]
    pull: Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, Grads, Grads]]
    seen: Any = None


def unprojected(gq: np.ndarray, gk: np.ndarray, gv: np.ndarray | None) -> tuple[Any, ...]:
    """Return the gradients unchanged: the pullback of a `_project` that returns its inputs."""
    return gq, gk, gv, {}


@dataclasses.dataclass(frozen=True, eq=False)
class Mechanism(Configured):
    """Options, parameters, declarations and stages of a mechanism."""

    family: ClassVar[str]
    complexity: ClassVar[str]
    supports_variable_length: ClassVar[bool] = True
    #: Required and optional metadata fields.
    needs: ClassVar[tuple[str, ...]] = ()
    uses: ClassVar[tuple[str, ...]] = ()
    #: Whether the width of values may differ from dim.
    any_value_width: ClassVar[bool] = False
    #: Laws in addition to the universal ones: "permutation" (the order of keys does not matter),
    #: "weights_times_values" (weights @ values = output), "stays_on_manifold".
    laws: ClassVar[frozenset[str]] = frozenset()
    # Values for mechanisms without these options. They have no annotations, so they are not dataclass fields.
    dropout = 0.0
    is_causal = False

    # -- declarations ------------------------------------------------------------------------

    @property
    def heads(self) -> int | None:
        """Number of heads if the weights have a head axis, else None."""
        return None

    @property
    def rows_are_positions(self) -> bool:
        """Whether row i of the queries is position i, so that a row computed alone may give another result."""
        return self.is_causal

    @property
    def output_manifold(self) -> Any:
        """The manifold that the output lies on, or None for a flat space."""
        return None

    @property
    def sees_all_nodes(self) -> bool:
        """Whether `attend` may read all nodes, not only the neighbours."""
        return False

    @property
    def adds_edges(self) -> bool:
        """Whether `attend` adds edges to the graph, apart from self-loops."""
        return False

    @property
    def input_manifolds(self) -> tuple[Any, ...]:
        """The manifolds that the inputs lie on; empty for a flat space."""
        return () if self.output_manifold is None else (self.output_manifold,)

    @classmethod
    def options_from_graph(cls, graph: NeighborGraph) -> dict[str, Any]:
        """Return options with which the mechanism reads the data of a graph.

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
        """Return the graph that `attend` uses: `graph` with the edges that the mechanism adds."""
        return graph

    @property
    def needed(self) -> tuple[str, ...]:
        """Metadata fields that are required with these options."""
        return self.needs

    @property
    def used(self) -> tuple[str, ...]:
        """Metadata fields that are optional with these options."""
        return self.uses

    @property
    def unread(self) -> dict[str, str]:
        """Metadata fields that are ignored because an option is not set: field → option."""
        return {}

    @cached_property
    def _reads(self) -> tuple[str, ...]:
        """The metadata fields that the mechanism reads with these options."""
        return self.needed + self.used

    @cached_property
    def _expected(self) -> Expected:
        needs, uses = self.needed, self.used
        return Expected(self.dim, self.heads, self.any_value_width, needs, uses, self.check_finite, self.unread)

    def _node_metadata(self, graph: NeighborGraph, node: int, row: int, keys: np.ndarray, values: np.ndarray) -> Any:
        """Return metadata for `forward` over the neighbours of `row`, to get the result of `attend` for `node`."""
        return graph.metadata(row) if self.needed + self.used else None

    @cached_property
    def _widths(self) -> dict[str, tuple[int, str]]:
        """The last axis of the metadata fields for which an option determines it: field → (length, option)."""
        return {}

    def _check_metadata(self, metadata: Params) -> None:
        """Check properties of the metadata that are specific to the mechanism: by default the widths."""
        for name, (width, option) in self._widths.items():
            if name in metadata:
                check_length(metadata[name], f"metadata.{name}", -1, width, option)

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
        """Return the factor of the scores if they are plain scaled dot products, for the graph kernel, else None."""
        return None

    def _project_edges(
        self, q: np.ndarray, k: np.ndarray, v: np.ndarray, p: Params
    ) -> tuple[tuple[Any, Any, Any], Callable[..., Any]] | None:
        """Return the projections for `_edge_scores` and the graph kernel with their pullback, or None."""
        return self._project(q, k, v, p)

    def _edge_scores(
        self, q: np.ndarray, k: np.ndarray, graph: NeighborGraph, metadata: GraphData, p: Params
    ) -> EdgeScores | None:
        """Return the scores of a graph's edges as dot products plus a bias, or None if they have another form."""
        factor = self._graph_factor()
        return None if factor is None else EdgeScores(q, k, factor)

    def _fused(self, query: Any, keys: Any, values: Any) -> np.ndarray | None:
        """Run the forward pass in one kernel call, which checks its arguments, or return None if it does not apply."""
        found = None if simd._kernels is None else self._fused_weights(query, keys, values, None)
        return None if found is None else found[0]

    def _fused_weights(
        self, query: Any, keys: Any, values: Any, metadata: Any, mask: Any = None
    ) -> tuple[Any, np.ndarray] | None:
        """Return the output (None without values) and the weights in one kernel call, or None if it does not apply.

        `mask` is a `simd.plain_mask`, the only argument that is checked.
        """
        if not simd.is_single(query, keys, values, self.dim):
            return None
        if values is not None and not self.any_value_width and values.shape[1] != self.dim:
            return None
        with silence():
            scores = self._single_scores(query[None], keys, metadata)
            if scores is None:
                return None
            found = simd.single_with_weights(scores[0], keys, values, {**scores[1], "mask": mask})
            return None if found is None else self._finish_single(*found)

    def _single_scores(
        self, query: np.ndarray, keys: np.ndarray, metadata: GraphMetadata | None
    ) -> tuple[np.ndarray, dict[str, Any]] | None:
        """Return rows (H or 1, D) that replace a query (1, D), and options of `kernel_ops.attend_few`.

        The arrays have one dtype and are otherwise unchecked. Returns None if the metadata is unusual.
        """
        return None

    def _finish_single(self, out: np.ndarray, weights: np.ndarray) -> tuple[Any, np.ndarray]:
        """Convert the results of the rows to the output and the weights of one query."""
        return None if out is None else out[0], weights[0]

    def _fused_metadata(self, query: Any, keys: Any, values: Any, metadata: Any) -> np.ndarray | None:
        """Return the output with unchecked metadata in one kernel call, or None if it does not apply."""
        found = None if simd._kernels is None else self._fused_weights(query, keys, values, metadata)
        return None if found is None else found[0]

    def _fused_masked(self, query: Any, keys: Any, values: Any, metadata: Any, mask: np.ndarray) -> np.ndarray | None:
        """Return the output for a `simd.plain_mask`, or None if it does not apply."""
        found = None if simd._kernels is None else self._fused_weights(query, keys, values, metadata, mask)
        return None if found is None else found[0]

    def _single_vjp(self, query: np.ndarray, keys: np.ndarray, metadata: GraphMetadata | None) -> SingleScores | None:
        """Return `_single_scores` with the pullback, for one query with gradients; see `_one_query`."""
        return None

    def _finish_single_vjp(
        self, query: np.ndarray, average: np.ndarray, weights: np.ndarray
    ) -> tuple[np.ndarray, Callable[..., tuple[np.ndarray, np.ndarray | None, Grads]]]:
        """Convert averages (H or 1, E') of values to the output (1, E), which may also depend on the query (1, D).

        Returns the output and ``pull(g) -> (g_average, g_query or None, {parameter: gradient})``.
        """
        return average, lambda g: (g, None, {})

    def _fused_prepared(self, query: Any, prepared: Any) -> np.ndarray | None:
        """Run `_fused` over keys and values that this mechanism prepared."""
        return self._fused(query, prepared.keys, prepared.values)

    # -- the pass over checked inputs --------------------------------------------------------------------------

    def _drop(self, shape: tuple[int, ...], call: Call, dtype: np.dtype[Any]) -> np.ndarray | None:
        """Draw inverted dropout of this shape, or return None if dropout is off."""
        return dropout_multiplier(shape, self.dropout, call.rng, dtype) if call.training else None

    def _project_query(self, x: Inputs, p: Params) -> tuple[tuple[Any, Any, Any], Callable[..., Any]]:
        """Run `_project`, but take the keys and values from the prepared projections."""
        prepared = x.prepared
        if prepared.keys.dtype != x.q.dtype:  # a float64 query over float32 keys: project again in float64
            return self._project(x.q, x.k, x.v, p)
        (q, _, _), pull = self._project(x.q, prepared.keys[..., :1, :], prepared.values[..., :1, :], p)
        k, v = prepared.projected
        return (q, k, None if x.v is None else v), pull

    def _columns(self, x: Inputs) -> int:
        """Return the number of weights of a query."""
        return int(x.k.shape[-2])

    def _drop_weights(self, x: Inputs, call: Call) -> np.ndarray | None:
        heads = () if self.heads is None else (self.heads,)
        return self._drop((*x.batch, *heads, x.q.shape[-2], x.k.shape[-2]), call, x.q.dtype)

    def _run(self, x: Inputs, call: Call) -> tuple[Any, Any, Any]:
        """Return the output, the weights and the pullback. A subclass may be cheaper if the pullback is not needed."""
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

"""The protocol of all mechanisms: a frozen object with options and parameters around pure stages.

A mechanism overrides stages. Each stage returns its result together with a pullback, so the forward pass and
its gradient are written once, side by side:

    _project(q, k, v, p)    -> (q', k', v'), (gq', gk', gv') -> (gq, gk, gv, {parameter: gradient})
    _scores(q', k', meta, p)-> scores (..., [H,] M, N), gs -> (gq', gk', {parameter: gradient}, {field: gradient})
    _aggregate(w, v', p)    -> output (..., [H,] M, E), g -> (gw, gv', {parameter: gradient})
    _finish(out, p)         -> output (..., M, E'), g -> (g_out, {parameter: gradient})

`_project` and `_finish` act on each row alone; `attend` therefore runs them once over all nodes and the two
stages between on the neighbourhoods. Where no weight matrix exists, a mechanism overrides `_core`, which joins
the two. `v` is None when only the weights are asked for; a stage then passes it on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from .. import simd
from .._float64_fallback import steady, steady_gradients
from .._validate import as_float, as_floats
from .._vjp import unbroadcast
from ..errors import UnsupportedError
from ..functional.attention import dropout_multiplier
from ..functional.softmax import masked_softmax, softmax_pullback
from ._builder import Builder
from ._configured import Configured
from ._gradients import CoreGradients, CoreResult, Gradients, Grads, Params, add_grads
from ._hidden import apart, visible_nodes, without_rubbish
from ._inputs import Call, Expected, Inputs, check_inputs, cotangent, no_gradients, refuse_unread, restore
from ._prepared import Prepared, prepare, use, use_anew


def unprojected(gq: np.ndarray, gk: np.ndarray, gv: Any) -> tuple[Any, ...]:
    """The pullback of a `_project` that changes nothing."""
    return gq, gk, gv, {}


@dataclasses.dataclass(frozen=True, eq=False)
class Attention(Configured):
    """Base class of all mechanisms.

    Args:
        dim: Width D of queries and keys.
        seed: Seed of the initial parameters.
        check_finite: Whether NaN and infinity in the inputs are refused.

    Example:
        >>> import numpy as np, graphattend as ga
        >>> attn = ga.create("scaled_dot_product", 4)
        >>> isinstance(attn, ga.Attention), attn.key
        (True, 'scaled_dot_product')
    """

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

    @classmethod
    def example(cls, rng: np.random.Generator, n: int, dim: int = 8) -> tuple[Attention, dict[str, Any]]:
        """A mechanism and keyword arguments of `forward` with one query and `n` keys, for tests, docs and demos."""
        x = rng.standard_normal((n + 1, dim))
        return cls(dim), {"query": x[0], "keys": x[1:], "values": rng.standard_normal((n, dim))}

    @classmethod
    def builder(cls, dim: int) -> Builder:
        """The same options in fluent form.

        Example:
            >>> import graphattend as ga
            >>> ga.ScaledDotProductAttention.builder(8).temperature(0.07).dropout(0.1).build().temperature
            0.07
        """
        return Builder(cls, dim)

    def save(self, path: Any) -> None:
        """Write options and parameters to a .npz or .safetensors file (by suffix), atomically.

        Raises:
            InvalidConfigError: Another suffix.
        """
        from ._files import save

        save(self, path)

    # -- what a mechanism says of itself ------------------------------------------------------------------------

    @property
    def heads(self) -> int | None:
        """Number of heads if the weights have a head axis, else None."""
        return None

    @property
    def rows_are_positions(self) -> bool:
        """Whether row i of the queries stands at position i, so that a query alone is another query."""
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
    def input_manifolds(self) -> tuple[Any, ...]:
        """The manifolds that the inputs are taken as points of; none for a flat space."""
        return () if self.output_manifold is None else (self.output_manifold,)

    @classmethod
    def options_from_graph(cls, graph: Any) -> dict[str, Any]:
        """Options without which the mechanism would not read what `graph` has.

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

    def _attended_graph(self, graph: Any) -> Any:
        """The graph that `attend` works on: `graph`, with the edges that the mechanism adds."""
        return graph

    @property
    def needed(self) -> tuple[str, ...]:
        """Metadata fields that this object, with its options, cannot do without."""
        return self.needs

    @property
    def used(self) -> tuple[str, ...]:
        """Metadata fields that this object reads where they are given."""
        return self.uses

    @property
    def unread(self) -> dict[str, str]:
        """Metadata fields that it would read if an option were set, which is not: field → option."""
        return {}

    def _node_metadata(self, graph: Any, node: int, row: int, keys: np.ndarray, values: np.ndarray) -> Any:
        """What `forward` must be told to do for `node`, over the neighbours of `row`, what `attend` does."""
        return graph.metadata(row) if self.needed + self.used else None

    def _check_metadata(self, metadata: Params) -> None:
        """Check what only the mechanism knows about its metadata, such as the width of edge features."""

    # -- stages that mechanisms override -----------------------------------------------------------------------

    def _project(
        self, q: np.ndarray, k: np.ndarray, v: Any, p: Params
    ) -> tuple[tuple[Any, Any, Any], Callable[..., Any]]:
        return (q, k, v), unprojected

    def _scores(self, q: np.ndarray, k: np.ndarray, meta: Params, p: Params) -> tuple[np.ndarray, Callable[..., Any]]:
        raise UnsupportedError(f"{type(self).__name__}: has no scores")

    def _aggregate(self, w: np.ndarray, v: np.ndarray, p: Params) -> tuple[np.ndarray, Callable[..., Any]]:
        def pull(g: np.ndarray) -> tuple[np.ndarray, np.ndarray, Grads]:
            return simd.matmul_nt(g, v), simd.matmul_tn(w, g), {}

        return simd.matmul(w, v), pull

    def _finish(self, out: np.ndarray, p: Params) -> tuple[np.ndarray, Callable[..., Any]]:
        return out, lambda g: (g, {})

    def _core(
        self, q: np.ndarray, k: np.ndarray, v: Any, mask: Any, meta: Params, p: Params, drop: Any, need_weights: bool
    ) -> CoreResult:
        s, pull_s = self._scores(q, k, meta, p)
        w = masked_softmax(s, mask)
        wd = w if drop is None else w * drop
        out, pull_a = (None, None) if v is None else self._aggregate(wd, v, p)

        def pullback(g: np.ndarray, g_weights: Any = None) -> CoreGradients:
            assert pull_a is not None
            gw, gv, gp_a = pull_a(g)
            if g_weights is not None:
                gw = gw + g_weights
            if drop is not None:
                gw = gw * drop
            gq, gk, gp_s, gm = pull_s(softmax_pullback(w, gw))
            return CoreGradients(gq, gk, gv, add_grads(gp_a, gp_s), gm)

        return out, wd, pullback

    def _graph_factor(self) -> float | None:
        """The factor of the scores if the core is nothing but scaled dot products, for the fused graph kernel."""
        return None

    def _fused(self, query: Any, keys: Any, values: Any) -> np.ndarray | None:
        """The whole forward pass in one kernel call that checks its arguments itself, or None if it does not apply."""
        return None

    def _fused_prepared(self, query: Any, prepared: Prepared) -> np.ndarray | None:
        """The same over keys and values that this mechanism prepared."""
        return self._fused(query, prepared.keys, prepared.values)

    # -- the public passes -------------------------------------------------------------------------------------

    @cached_property
    def _expected(self) -> Expected:
        return Expected(self.dim, self.heads, self.any_value_width, self.needed, self.used, self.check_finite)

    def _check(
        self,
        query: Any,
        keys: Any,
        values: Any,
        attn_mask: Any = None,
        metadata: Any = None,
        *,
        weights_only: bool = False,
        finite: bool = True,
    ) -> Inputs:
        """The boundary of all passes; `finite=False` leaves out the scan for NaN and infinity."""
        expected = self._expected
        if metadata is not None:
            refuse_unread(self.unread, metadata)
        if not finite:
            expected = expected._replace(finite=False)
        inputs = check_inputs(expected, query, keys, values, attn_mask, metadata, weights_only=weights_only)
        if inputs.metadata:
            self._check_metadata(inputs.metadata)
        # Prepared keys, of which `finite` is known, know as well whether they hold rubbish.
        if finite and (inputs.mask is not None or self.is_causal):
            return without_rubbish(inputs, self.heads, self.is_causal)
        return inputs

    def _drop(self, shape: tuple[int, ...], call: Call, dtype: np.dtype[Any]) -> np.ndarray | None:
        """Inverted dropout of this shape, or None where none is on."""
        return dropout_multiplier(shape, self.dropout, call.rng, dtype) if call.training else None

    def forward(
        self,
        query: Any,
        keys: Any,
        values: Any = None,
        *,
        attn_mask: Any = None,
        metadata: Any = None,
        need_weights: bool = False,
        training: bool = False,
        rng: np.random.Generator | None = None,
    ) -> Any:
        """Attend from each query to the keys and mix their values.

        Args:
            query: (..., M, D), or (D,) for a single query.
            keys: (..., N, D); leading axes broadcast with the query's. Or what `prepare` returned, then without values.
            values: (..., N, E).
            attn_mask: Boolean (True = attend) or additive float mask, broadcastable to (..., [H,] M, N);
                (N,) for a single query.
            metadata: A `GraphMetadata` with what the mechanism needs to know about the keys.
            need_weights: Also return the weights.
            training: Whether dropout is on; then `rng` is needed.
            rng: Generator for the dropout.

        Returns:
            Output (..., M, E), (E,) for a single query; or (output, weights).

        Raises:
            DimensionMismatchError, EmptyInputError, NumericalInstabilityError, InvalidConfigError.
        """
        if attn_mask is None and metadata is None and need_weights is False and training is False:
            if type(keys) is Prepared:
                fast = self._fused_prepared(query, keys) if values is None and keys.attn is self else None
            else:
                fast = self._fused(query, keys, values)
            if fast is not None:
                return fast
        call = Call.checked(need_weights, training, rng)
        if isinstance(keys, Prepared):
            given = {"attn_mask": attn_mask, "metadata": metadata, "training": call.training, "rng": rng}
            out, weights, x = self._use_steady(query, keys, values, need_weights=call.need_weights, **given)
        else:
            x = self._check(query, keys, values, attn_mask, metadata)
            out, weights, _ = steady(
                self._run_seen, x, call, inputs=(x.q, x.k), dtype=x.q.dtype, finite=self.check_finite
            )
        if x.single:
            out = out[..., 0, :]
            weights = None if weights is None else weights[..., 0, :]
        return (out, weights) if need_weights else out

    __call__ = forward

    def _run_seen(self, x: Inputs, call: Call) -> tuple[Any, Any, Any]:
        """`_run` where rows may see different rubbish."""
        return self._run(x, call) if self.check_finite else apart(self, x, call)

    def prepare(self, keys: Any, values: Any) -> Prepared:
        """Check and project keys and values that stay the same between calls, once.

        Args:
            keys: (..., N, D).
            values: (..., N, E).

        Returns:
            What `forward` and `attention_weights` take in the place of the keys: `attn.forward(query, prepared)`.
            Later changes to the arrays do not reach it.

        Raises:
            DimensionMismatchError, EmptyInputError, NumericalInstabilityError, InvalidConfigError.

        Example:
            >>> import numpy as np, graphattend as ga
            >>> attn = ga.ScaledDotProductAttention(3)
            >>> prepared = attn.prepare(np.eye(3), np.eye(3))
            >>> attn.forward(np.ones(3), prepared).round(2)
            array([0.33, 0.33, 0.33])
        """
        return prepare(self, keys, values)

    def _use(self, query: Any, prepared: Prepared, values: Any, **call: Any) -> tuple[Inputs, Any, Any]:
        """The forward pass over prepared keys and values; a mechanism may have a cheaper way to it."""
        return use(self, query, prepared, values, **call)

    def _use_steady(self, query: Any, prepared: Prepared, values: Any, **call: Any) -> tuple[Any, Any, Inputs]:
        """Output, weights and inputs of a query over prepared keys and values; see `steady`."""
        q = as_float(query, "query", beside=prepared.keys.dtype)
        anew = (call.get("attn_mask") is not None or self.is_causal) and prepared.holds_rubbish

        def compute(q: np.ndarray) -> tuple[Any, Any, Inputs]:
            # What was prepared does not know what this call hides.
            x, out, weights = (
                use_anew(self, q, prepared, values, **call) if anew else self._use(q, prepared, values, **call)
            )
            return out, weights, x

        return steady(
            compute,
            q,
            inputs=(q, prepared.keys),
            dtype=np.result_type(q, prepared.keys),
            finite=self.check_finite,
        )

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
        (q, k, v), pull_p = self._project(x.q, x.k, x.v, p)
        mixed, weights, pull_c = self._core(q, k, v, x.mask, x.metadata, p, drop, call.need_weights)
        if x.v is None:
            return None, weights, pull_p
        out, pull_f = self._finish(mixed, p)

        def pullback(g: np.ndarray, g_weights: Any) -> CoreGradients:
            g_mixed, gp_f = pull_f(g)
            c = pull_c(g_mixed, g_weights)
            inner = (unbroadcast(g, a.shape) for g, a in ((c.q, q), (c.k, k), (c.v, v)))
            gq, gk, gv, gp_p = pull_p(*inner)
            return CoreGradients(gq, gk, gv, add_grads(gp_f, c.parameters, gp_p), c.metadata)

        return out, weights, pullback

    def attention_weights(self, query: Any, keys: Any, *, attn_mask: Any = None, metadata: Any = None) -> np.ndarray:
        """The weights alone.

        Args:
            query: (..., M, D) or (D,).
            keys: (..., N, D), or what `prepare` returned.
            attn_mask: As for `forward`.
            metadata: As for `forward`.

        Returns:
            (..., [H,] M, N); without the M axis for a single query.
        """
        if isinstance(keys, Prepared):
            call = {"attn_mask": attn_mask, "metadata": metadata}
            _, weights, x = self._use_steady(query, keys, None, weights_only=True, **call)
        else:
            x = self._check(query, keys, None, attn_mask, metadata, weights_only=True)
            weighted = Call(need_weights=True)
            _, weights, _ = steady(
                self._run_seen, x, weighted, inputs=(x.q, x.k), dtype=x.q.dtype, finite=self.check_finite
            )
        if weights is None:
            raise UnsupportedError(f"attention_weights: {self.key} has no weights")
        return np.asarray(weights[..., 0, :] if x.single else weights)

    def vjp(
        self,
        query: Any,
        keys: Any,
        values: Any,
        *,
        attn_mask: Any = None,
        metadata: Any = None,
        training: bool = False,
        rng: np.random.Generator | None = None,
    ) -> tuple[np.ndarray, Callable[..., Gradients]]:
        """The output and a pullback from its gradient to those of inputs and parameters.

        Args:
            query: As for `forward`, like all others.
            keys: Keys.
            values: Values.
            attn_mask: Mask; held constant.
            metadata: Metadata; real-valued fields have gradients.
            training: Whether dropout is on.
            rng: Generator for the dropout.

        Returns:
            ``(output, pullback)``; ``pullback(grad_output, grad_weights=None) -> Gradients``.
        """
        call = Call.checked(False, training, rng)._replace(differentiate=True)
        out, _, pullback = self._vjp(query, keys, values, attn_mask, metadata, call)
        return out, pullback

    def _vjp(
        self, query: Any, keys: Any, values: Any, mask: Any, metadata: Any, call: Call
    ) -> tuple[np.ndarray, np.ndarray | None, Callable[..., Gradients]]:
        """Output, weights (or None) and pullback from one forward pass."""
        x = self._check(query, keys, values, mask, metadata)
        dtype = x.q.dtype

        def run(x: Inputs) -> tuple[Any, Any, Any, np.dtype[Any]]:
            out, weights, pull = self._run_seen(x, call)
            return out, weights, pull, out.dtype

        out, weights, pull, inner = steady(run, x, inputs=(x.q, x.k), dtype=dtype, finite=self.check_finite)
        if x.single:
            out = out[..., 0, :]
            weights = None if weights is None else weights[..., 0, :]

        def gradients(grad_output: Any, grad_weights: Any = None) -> Gradients:
            g = cotangent(grad_output, "grad_output", out.shape, inner)
            gw = None
            if grad_weights is not None:
                heads = () if self.heads is None else (self.heads,)
                rows = () if x.single else (x.q.shape[-2],)
                gw = cotangent(grad_weights, "grad_weights", (*x.batch, *heads, *rows, self._columns(x)), inner)
            if x.single:
                g = g[..., None, :]
                gw = None if gw is None else gw[..., None, :]
            c = pull(g, gw)
            meta = no_gradients(metadata, inner)  # what was not read (by the experts chosen, say) has none
            meta |= {n: unbroadcast(a, x.metadata[n].shape) for n, a in c.metadata.items()}
            parameters = {
                n: c.parameters[n] if n in c.parameters else np.zeros_like(a) for n, a in self._params(inner).items()
            }
            return Gradients(restore(c.q, query), restore(c.k, keys), restore(c.v, values), parameters, meta)

        def pullback(grad_output: Any, grad_weights: Any = None) -> Gradients:
            return steady_gradients(lambda: gradients(grad_output, grad_weights), dtype, finite=self.check_finite)

        return out, weights, pullback

    def attend(
        self,
        graph: Any,
        queries: Any,
        keys: Any = None,
        values: Any = None,
        *,
        need_weights: bool = False,
        training: bool = False,
        rng: np.random.Generator | None = None,
    ) -> Any:
        """Every node attends over its own neighbours, all nodes at once and in bounded memory.

        Args:
            graph: A `NeighborGraph` with V nodes; row i lists the nodes that i attends to.
            queries: (V, D), one row per node.
            keys: (V, D); the queries by default.
            values: (V, E); the keys by default.
            need_weights: Also return the weights, (K,) or (K, H) in CSR order.
            training: Whether dropout is on.
            rng: Generator for the dropout.

        Returns:
            (V, E), or (output, weights). A node without neighbours gets zeros.
        """
        call = Call.checked(need_weights, training, rng)
        out, weights, _ = self._attend_steady(graph, queries, keys, values, call)
        return (out, weights) if need_weights else out

    def _attend(
        self, graph: Any, queries: Any, keys: Any, values: Any, call: Call
    ) -> tuple[np.ndarray, np.ndarray | None, Callable[..., Gradients]]:
        """The pass over a whole graph; keys and values that are None default to the queries and the keys."""
        from ._attend import attend

        return attend(self, graph, queries, keys, values, call)

    def _attend_steady(self, graph: Any, queries: Any, keys: Any, values: Any, call: Call) -> tuple[Any, Any, Any]:
        """`_attend`, in float64 where float32 overflows."""
        named = (("queries", queries), ("keys", keys), ("values", values))
        found = {n: x for n, x in named if x is not None or n == "queries"}
        floats = dict(zip(found, as_floats(found, *found.values()), strict=True))
        given = tuple(floats.get(n) for n, _ in named)
        dtype = np.result_type(*(a.dtype for a in given if a is not None))

        shown = visible_nodes(self, graph, given)
        out, weights, pull = steady(
            lambda arrays: self._attend(graph, arrays[0], arrays[1], arrays[2], call),
            shown,
            inputs=shown,
            dtype=dtype,
            finite=self.check_finite,
            argument="queries, keys",
        )

        def pullback(grad_output: Any, grad_weights: Any = None) -> Gradients:
            from ._attend import defaulted

            g = steady_gradients(lambda: pull(grad_output, grad_weights), dtype, finite=self.check_finite)
            if shown is given:
                return g
            return defaulted(g.query, g.keys, g.values, g.parameters, g.metadata, values is None, keys is None)

        return out, weights, pullback

    def attend_vjp(
        self,
        graph: Any,
        queries: Any,
        keys: Any = None,
        values: Any = None,
        *,
        training: bool = False,
        rng: np.random.Generator | None = None,
    ) -> tuple[np.ndarray, Callable[..., Gradients]]:
        """`attend` with a pullback, for training over whole graphs.

        Args:
            graph: As for `attend`, like all others.
            queries: One row per node.
            keys: Keys.
            values: Values.
            training: Whether dropout is on.
            rng: Generator for the dropout.

        Returns:
            ``(output, pullback)``; ``pullback(grad_output, grad_weights=None) -> Gradients``. Where keys (or
            values) default to another input, their gradient is part of that input's and theirs is zero.
        """
        call = Call.checked(False, training, rng)._replace(differentiate=True)
        out, _, pullback = self._attend_steady(graph, queries, keys, values, call)
        return out, pullback

"""The base class of all mechanisms: public passes that check their arguments and run the stages of `_mechanism`."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from typing import Any, Self

import numpy as np

from .. import _tasks, simd
from .._float64_fallback import in_dtype, steady, steady_gradients
from .._validate import FLOATS, ArrayLike, as_float, as_floats, check_finite
from .._vjp import unbroadcast
from ..errors import InvalidConfigError, UnsupportedError
from ..graph import GraphMetadata, NeighborGraph
from . import _one_query
from ._attend import attend, attend_into, defaulted
from ._boundary import PLAIN, WITH_PULLBACK, Call, Inputs, check_inputs, cotangent, no_gradients, restore
from ._builder import Builder
from ._gradients import Arrays, Gradients, VjpResult
from ._hidden import apart, visible_nodes, without_rubbish
from ._mechanism import Mechanism
from ._one_query import only_row
from ._prepared import Prepared, parts, prepare


@dataclasses.dataclass(frozen=True, eq=False)
class Attention(Mechanism):
    """Base class of all mechanisms.

    Args:
        dim: Width D of queries and keys.
        seed: Seed of the initial parameters.
        check_finite: Whether NaN and infinity in the inputs raise an error.

    Example:
        >>> import numpy as np, graphattend as ga
        >>> attn = ga.create("scaled_dot_product", 4)
        >>> isinstance(attn, ga.Attention), attn.key
        (True, 'scaled_dot_product')
    """

    @classmethod
    def example(cls, rng: np.random.Generator, n: int, dim: int = 8) -> tuple[Attention, dict[str, Any]]:
        """Return a mechanism and arguments of `forward` with one query and `n` keys, for tests, docs and demos."""
        x = rng.standard_normal((n + 1, dim))
        return cls(dim), {"query": x[0], "keys": x[1:], "values": rng.standard_normal((n, dim))}

    @classmethod
    def builder(cls, dim: int) -> Builder[Self]:
        """Return a builder for the options of this class.

        Example:
            >>> import graphattend as ga
            >>> ga.ScaledDotProductAttention.builder(8).temperature(0.07).dropout(0.1).build().temperature
            0.07
        """
        return Builder(cls, dim)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write options and parameters to a .npz or .safetensors file (by suffix), atomically.

        Raises:
            InvalidConfigError: The path has another suffix.
        """
        from ._files import save

        save(self, path)

    # -- the public passes -------------------------------------------------------------------------------------

    def _check(
        self,
        query: ArrayLike,
        keys: ArrayLike,
        values: ArrayLike | None,
        attn_mask: ArrayLike | None = None,
        metadata: GraphMetadata | None = None,
        *,
        weights_only: bool = False,
        finite: bool = True,
    ) -> Inputs:
        """Check the arguments of a pass; `finite=False` omits the scan for NaN and infinity."""
        expected = self._expected
        if not finite:
            expected = expected._replace(finite=False)
        inputs = check_inputs(expected, query, keys, values, attn_mask, metadata, weights_only=weights_only)
        if inputs.metadata:
            self._check_metadata(inputs.metadata)
        # finite=False means prepared keys, for which `_check_prepared` handles hidden rubbish.
        if finite and (inputs.mask is not None or self.is_causal):
            return without_rubbish(inputs, self.heads, self.is_causal)
        return inputs

    def _check_prepared(
        self,
        query: ArrayLike,
        prepared: Prepared,
        values: object,
        attn_mask: ArrayLike | None,
        metadata: GraphMetadata | None,
        call: Call,
    ) -> Inputs:
        """Check the arguments of a pass over prepared keys and values."""
        prepared.check_owner(self)
        if values is not None:
            raise InvalidConfigError.of(
                "values", "none", type(values).__name__, text="none beside prepared keys, which contain them"
            )
        prepared.check_call(attn_mask is not None or call.need_weights or (call.training and self.dropout > 0))
        q = as_float(query, "query", beside=prepared.keys.dtype)
        if self.check_finite:
            check_finite(q, "query")
        # Check everything again except whether all keys and values are finite, the only expensive check.
        x = self._check(q, prepared.keys, prepared.values, attn_mask, metadata, finite=False)
        hides = x.mask is not None or self.is_causal
        if hides and prepared.holds_rubbish:  # the prepared projection cannot know this call's mask
            return without_rubbish(x, self.heads, self.is_causal)
        return x._replace(prepared=prepared, tame=hides)

    def forward(
        self,
        query: ArrayLike,
        keys: ArrayLike | Prepared,
        values: ArrayLike | None = None,
        *,
        attn_mask: ArrayLike | None = None,
        metadata: GraphMetadata | None = None,
        need_weights: bool = False,
        training: bool = False,
        rng: np.random.Generator | None = None,
        threads: int | None = None,
    ) -> Any:
        """Attend from each query to the keys and average the values with the attention weights.

        Args:
            query: (..., M, D), or (D,) for a single query.
            keys: (..., N, D); leading axes broadcast with the query's. Alternatively the result of `prepare`, without
                `values`.
            values: (..., N, E).
            attn_mask: Boolean (True = attend) or additive float mask, broadcastable to (..., [H,] M, N);
                (N,) for a single query.
            metadata: A `GraphMetadata` with the fields that the mechanism reads.
            need_weights: Also return the weights.
            training: Whether dropout is applied, which needs `rng`.
            rng: Generator for the dropout.
            threads: Number of threads for large products, `ga.get_num_threads()` by default. It does not change the
                result.

        Returns:
            The output, (..., M, E), or (E,) for a single query; with `need_weights` the pair (output, weights).

        Raises:
            DimensionMismatchError: Shapes do not fit each other or `dim`.
            EmptyInputError: There are no keys.
            NumericalInstabilityError: An argument contains NaN or infinity.
            InvalidConfigError: An argument has the wrong type.
        """
        if threads is not None:
            options: dict[str, Any] = {"attn_mask": attn_mask, "metadata": metadata, "need_weights": need_weights}
            with simd.num_threads(threads):
                return self.forward(query, keys, values, **options, training=training, rng=rng)
        if training is False and simd._kernels is not None and (need_weights is True or need_weights is False):
            fast = self._fused_call(query, keys, values, attn_mask, metadata, need_weights)
            if fast is not None:
                return fast
            row = only_row(query)
            fast = None if row is None else self._fused_call(row, keys, values, attn_mask, metadata, need_weights)
            if fast is not None:
                return (fast[0][None], fast[1][..., None, :]) if need_weights else fast[None]
        call = PLAIN if need_weights is training is False else Call.checked(need_weights, training, rng)
        if isinstance(keys, Prepared):
            x = self._check_prepared(query, keys, values, attn_mask, metadata, call)
        else:
            x = self._check(query, keys, values, attn_mask, metadata)
        run = self._run if self.check_finite else self._run_apart
        out, weights, _ = steady(run, x, call, inputs=(x.q, x.k), dtype=x.q.dtype, finite=self.check_finite)
        if x.single:
            out = out[..., 0, :]
            weights = None if weights is None else weights[..., 0, :]
        return (out, weights) if need_weights else out

    __call__ = forward

    def _fused_call(self, query: Any, keys: Any, values: Any, mask: Any, metadata: Any, need_weights: bool) -> Any:
        """Run `forward` in a few kernel calls on unchecked arguments, or return None if it does not apply."""
        if mask is metadata is None and not need_weights:  # the most frequent call
            if not isinstance(keys, Prepared):
                return self._fused(query, keys, values)
            return self._fused_prepared(query, keys) if values is None and keys.attn is self else None
        k, v = parts(self, keys, values)
        seen = None if mask is None else simd.plain_mask(mask, query, k)
        if v is None or (seen is None) is not (mask is None):
            return None
        if need_weights:
            return self._fused_weights(query, k, v, metadata, seen)
        if seen is not None:
            return self._fused_masked(query, k, v, metadata, seen)
        return self._fused_metadata(query, k, v, metadata)

    def _run_apart(self, x: Inputs, call: Call) -> tuple[Any, Any, Any]:
        """Call `_run`. Without `check_finite`, run rows that see different rubbish separately."""
        return self._run(x, call) if self.check_finite else apart(self, x, call)

    def prepare(self, keys: ArrayLike, values: ArrayLike) -> Prepared:
        """Check and project keys and values once, for many calls with different queries.

        Args:
            keys: (..., N, D).
            values: (..., N, E).

        Returns:
            An object that `forward` and `attention_weights` accept in place of the keys:
            ``attn.forward(query, prepared)``. It holds copies, so later changes to the arrays have no effect.

        Raises:
            DimensionMismatchError: Shapes do not fit each other or `dim`.
            EmptyInputError: There are no keys.
            NumericalInstabilityError: An argument contains NaN or infinity.
            InvalidConfigError: An argument has the wrong type.

        Example:
            >>> import numpy as np, graphattend as ga
            >>> attn = ga.ScaledDotProductAttention(3)
            >>> prepared = attn.prepare(np.eye(3), np.eye(3))
            >>> attn.forward(np.ones(3), prepared).round(2)
            array([0.33, 0.33, 0.33])
        """
        return prepare(self, keys, values)

    def attention_weights(
        self,
        query: ArrayLike,
        keys: ArrayLike | Prepared,
        *,
        attn_mask: ArrayLike | None = None,
        metadata: GraphMetadata | None = None,
    ) -> np.ndarray:
        """Compute only the attention weights.

        Args:
            query: (..., M, D) or (D,).
            keys: (..., N, D), or the result of `prepare`.
            attn_mask: As for `forward`.
            metadata: As for `forward`.

        Returns:
            The weights, (..., [H,] M, N), or (..., [H,] N) for a single query.
        """
        k, only = parts(self, keys, None)[0], only_row(query)
        row = query if only is None else only
        seen = None if attn_mask is None else simd.plain_mask(attn_mask, row, k)
        if (seen is None) is (attn_mask is None):
            fast = self._fused_weights(row, k, None, metadata, seen)
            if fast is not None:
                return fast[1] if only is None else fast[1][..., None, :]
        call = Call(need_weights=True)
        if isinstance(keys, Prepared):
            x = self._check_prepared(query, keys, None, attn_mask, metadata, call)._replace(v=None)
        else:
            x = self._check(query, keys, None, attn_mask, metadata, weights_only=True)
        _, weights, _ = steady(self._run_apart, x, call, inputs=(x.q, x.k), dtype=x.q.dtype, finite=self.check_finite)
        if weights is None:
            raise UnsupportedError(f"attention_weights: {self.key} has no weights")
        return np.asarray(weights[..., 0, :] if x.single else weights)

    def vjp(
        self,
        query: ArrayLike,
        keys: ArrayLike,
        values: ArrayLike,
        *,
        attn_mask: ArrayLike | None = None,
        metadata: GraphMetadata | None = None,
        training: bool = False,
        rng: np.random.Generator | None = None,
    ) -> tuple[np.ndarray, Callable[..., Gradients]]:
        """Evaluate `forward` together with its vector-Jacobian product.

        Args:
            query: As for `forward`.
            keys: As for `forward`.
            values: As for `forward`.
            attn_mask: As for `forward`; it has no gradient.
            metadata: As for `forward`; its real-valued fields have gradients.
            training: As for `forward`.
            rng: As for `forward`.

        Returns:
            ``(output, pullback)``; ``pullback(grad_output, grad_weights=None) -> Gradients``.
        """
        call = WITH_PULLBACK
        if training is not False or rng is not None:
            call = Call.checked(False, training, rng)._replace(differentiate=True)
        out, _, pullback = self._vjp(query, keys, values, attn_mask, metadata, call)
        return out, pullback

    def _vjp(
        self,
        query: ArrayLike,
        keys: ArrayLike,
        values: ArrayLike,
        mask: ArrayLike | None,
        metadata: GraphMetadata | None,
        call: Call,
    ) -> VjpResult:
        """Return the output, the weights (or None) and the pullback from one forward pass."""
        only = only_row(query)
        row = query if only is None else only
        seen = None if mask is None else simd.plain_mask(mask, row, keys)
        if (seen is None) is (mask is None) and call.training is False:
            fast = self._fused_vjp(row, keys, values, metadata, seen)
            if fast is not None:
                again = lambda: self._vjp_checked(query, keys, values, mask, metadata, call)  # noqa: E731
                return _one_query.result(self, fast, metadata, again, rows=only is not None)
        return self._vjp_checked(query, keys, values, mask, metadata, call)

    def _fused_vjp(
        self, query: Any, keys: Any, values: Any, metadata: Any, mask: Any = None
    ) -> _one_query.OneQuery | None:
        """Return output, weights and pullback of one query in few kernel calls, or None; see `_one_query.attend`."""
        return _one_query.attend(self, query, keys, values, metadata, mask)

    def _vjp_checked(
        self,
        query: ArrayLike,
        keys: ArrayLike,
        values: ArrayLike,
        mask: ArrayLike | None,
        metadata: GraphMetadata | None,
        call: Call,
    ) -> VjpResult:
        """Compute `_vjp` with checks, for any arguments."""
        x = self._check(query, keys, values, mask, metadata)
        dtype = x.q.dtype

        def run(x: Inputs) -> tuple[Any, Any, Any, np.dtype[Any]]:
            out, weights, pull = self._run_apart(x, call)
            return out, weights, pull, out.dtype

        out, weights, pull, inner = steady(run, x, inputs=(x.q, x.k), dtype=dtype, finite=self.check_finite)
        if x.single:
            out = out[..., 0, :]
            weights = None if weights is None else weights[..., 0, :]

        def gradients(
            pull: Callable[..., Any], inner: np.dtype[Any], grad_output: ArrayLike, grad_weights: ArrayLike | None
        ) -> Gradients:
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
            found = {n: unbroadcast(a, x.metadata[n].shape) for n, a in c.metadata.items()}
            meta = no_gradients(metadata, inner, found)  # unread fields, such as those of unused experts, have none
            parameters = {
                n: np.asarray(c.parameters[n], a.dtype) if n in c.parameters else np.zeros_like(a)
                for n, a in self._params(inner).items()
            }
            return Gradients(restore(c.q, query), restore(c.k, keys), restore(c.v, values), parameters, meta)

        def pullback(grad_output: ArrayLike, grad_weights: ArrayLike | None = None) -> Gradients:
            def again() -> Gradients:
                return gradients(*run(in_dtype(x, FLOATS[1]))[2:], grad_output, grad_weights)

            return steady_gradients(
                lambda: gradients(pull, inner, grad_output, grad_weights),
                dtype,
                finite=self.check_finite,
                again=None if inner == FLOATS[1] or call.training else again,  # else a new dropout would be drawn
            )

        return out, weights, pullback

    def attend(
        self,
        graph: NeighborGraph,
        queries: ArrayLike,
        keys: ArrayLike | None = None,
        values: ArrayLike | None = None,
        *,
        need_weights: bool = False,
        training: bool = False,
        rng: np.random.Generator | None = None,
        threads: int | None = None,
    ) -> Any:
        """Attend from every node of a graph to its neighbours, in bounded memory.

        Args:
            graph: A `NeighborGraph` with V nodes; row i lists the nodes that i attends to.
            queries: (V, D), one row per node.
            keys: (V, D); by default the queries.
            values: (V, E); by default the keys.
            need_weights: Also return the weights, (K,) or (K, H) in CSR order.
            training: Whether dropout is applied, which needs `rng`.
            rng: Generator for the dropout.
            threads: Number of threads for large products, `ga.get_num_threads()` by default. It does not change the
                result.

        Returns:
            The output (V, E); with `need_weights` the pair (output, weights). A node without neighbours gets zeros.
        """
        call = Call.checked(need_weights, training, rng)
        pool = _tasks.pool()
        if pool is not None and not call.training:
            return pool.attend(self, graph, queries, keys, values, need_weights, threads)
        with simd.num_threads(threads):
            out, weights, _ = self._attend_steady(graph, queries, keys, values, call)
        return (out, weights) if need_weights else out

    def _attend(
        self, graph: NeighborGraph, queries: ArrayLike, keys: ArrayLike | None, values: ArrayLike | None, call: Call
    ) -> tuple[np.ndarray, np.ndarray | None, Callable[..., Gradients]]:
        """Run the pass over a whole graph. Keys default to the queries, values to the keys."""
        return attend(self, graph, queries, keys, values, call)

    def _attend_into(
        self, graph: NeighborGraph, qkv: Arrays, out: np.ndarray, weights: np.ndarray | None, gain: np.ndarray
    ) -> bool | None:
        """Add the output over a graph to `out`, with each row multiplied by its gain (V,). Rows of gain 0 are skipped.

        The weights, averaged over the heads and multiplied likewise, are added to `weights` (K,) if that is given.
        Returns True if both were added, False if no kernel applies and nothing has changed, and None if the kernel
        failed after it changed something.
        """
        return type(self)._attend is Attention._attend and attend_into(self, graph, qkv, out, weights, gain)

    def _attend_steady(
        self, graph: NeighborGraph, queries: ArrayLike, keys: ArrayLike | None, values: ArrayLike | None, call: Call
    ) -> tuple[Any, Any, Any]:
        """Call `_attend`, and repeat it in float64 if float32 overflows."""
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

        def pullback(grad_output: ArrayLike, grad_weights: ArrayLike | None = None) -> Gradients:
            def again() -> Gradients:
                wide = in_dtype(shown, FLOATS[1])
                return self._attend(graph, wide[0], wide[1], wide[2], call)[2](grad_output, grad_weights)

            g = steady_gradients(
                lambda: pull(grad_output, grad_weights),
                dtype,
                finite=self.check_finite,
                again=None if dtype == FLOATS[1] or call.training else again,
            )
            if shown is given:
                return g
            return defaulted(g.query, g.keys, g.values, g.parameters, g.metadata, values is None, keys is None)

        return out, weights, pullback

    def attend_vjp(
        self,
        graph: NeighborGraph,
        queries: ArrayLike,
        keys: ArrayLike | None = None,
        values: ArrayLike | None = None,
        *,
        training: bool = False,
        rng: np.random.Generator | None = None,
        threads: int | None = None,
    ) -> tuple[np.ndarray, Callable[..., Gradients]]:
        """Evaluate `attend` together with its vector-Jacobian product, for training on whole graphs.

        Args:
            graph: As for `attend`.
            queries: As for `attend`.
            keys: As for `attend`.
            values: As for `attend`.
            training: As for `attend`.
            rng: As for `attend`.
            threads: As for `attend`; also applies to the pullback.

        Returns:
            ``(output, pullback)``; ``pullback(grad_output, grad_weights=None) -> Gradients``. If keys (or
            values) default to another input, their gradient is added to that input's gradient and is itself zero.
        """
        call = Call.checked(False, training, rng)._replace(differentiate=True)
        with simd.num_threads(threads):
            out, _, pull = self._attend_steady(graph, queries, keys, values, call)

        def pullback(grad_output: ArrayLike, grad_weights: ArrayLike | None = None) -> Gradients:
            with simd.num_threads(threads):
                return pull(grad_output, grad_weights)

        return out, pullback

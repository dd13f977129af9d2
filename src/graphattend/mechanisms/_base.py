"""The base class of all mechanisms: checked passes around the stages that `_mechanism` declares."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

import numpy as np

from .. import _tasks, simd
from .._float64_fallback import steady, steady_gradients
from .._validate import as_floats
from .._vjp import unbroadcast
from ..errors import UnsupportedError
from ._attend import attend, defaulted
from ._boundary import PLAIN, Call, Expected, Inputs, check_inputs, cotangent, no_gradients, restore
from ._builder import Builder
from ._gradients import Gradients
from ._hidden import apart, visible_nodes, without_rubbish
from ._mechanism import Mechanism
from ._prepared import Prepared, check_prepared, prepare


@dataclasses.dataclass(frozen=True, eq=False)
class Attention(Mechanism):
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

    # -- the public passes -------------------------------------------------------------------------------------

    @cached_property
    def _expected(self) -> Expected:
        needs, uses = self.needed, self.used
        return Expected(self.dim, self.heads, self.any_value_width, needs, uses, self.check_finite, self.unread)

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
        if not finite:
            expected = expected._replace(finite=False)
        inputs = check_inputs(expected, query, keys, values, attn_mask, metadata, weights_only=weights_only)
        if inputs.metadata:
            self._check_metadata(inputs.metadata)
        # Prepared keys, of which `finite` is known, know as well whether they hold rubbish.
        if finite and (inputs.mask is not None or self.is_causal):
            return without_rubbish(inputs, self.heads, self.is_causal)
        return inputs

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
        threads: int | None = None,
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
            threads: How many threads large products use, `ga.get_num_threads()` by default; the result is the same.

        Returns:
            Output (..., M, E), (E,) for a single query; or (output, weights).

        Raises:
            DimensionMismatchError, EmptyInputError, NumericalInstabilityError, InvalidConfigError.
        """
        if threads is not None:
            options = {"attn_mask": attn_mask, "metadata": metadata, "need_weights": need_weights}
            with simd.num_threads(threads):
                return self.forward(query, keys, values, **options, training=training, rng=rng)
        if attn_mask is None and metadata is None and need_weights is False and training is False:
            if type(keys) is Prepared:
                fast = self._fused_prepared(query, keys) if values is None and keys.attn is self else None
            else:
                fast = self._fused(query, keys, values)
            if fast is not None:
                return fast
        elif attn_mask is None and training is False and (need_weights is False or need_weights is True):
            kernels = values is not None and simd._kernels is not None
            found = self._fused_single(query, keys, values, metadata) if kernels else None
            if found is not None:
                return found if need_weights else found[0]
        call = PLAIN if need_weights is training is False else Call.checked(need_weights, training, rng)
        if isinstance(keys, Prepared):
            x = check_prepared(self, query, keys, values, attn_mask, metadata, call)
        else:
            x = self._check(query, keys, values, attn_mask, metadata)
        out, weights, _ = steady(self._pass, x, call, inputs=(x.q, x.k), dtype=x.q.dtype, finite=self.check_finite)
        if x.single:
            out = out[..., 0, :]
            weights = None if weights is None else weights[..., 0, :]
        return (out, weights) if need_weights else out

    __call__ = forward

    @property
    def _pass(self) -> Callable[[Inputs, Call], tuple[Any, Any, Any]]:
        """`_run`; where NaN and infinity are not refused, apart for rows that see different ones."""
        return self._run if self.check_finite else partial(apart, self)

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
        if attn_mask is None and simd._kernels is not None:
            found = self._fused_single(query, keys, None, metadata)
            if found is not None:
                return found[1]
        call = Call(need_weights=True)
        if isinstance(keys, Prepared):
            x = check_prepared(self, query, keys, None, attn_mask, metadata, call)._replace(v=None)
        else:
            x = self._check(query, keys, None, attn_mask, metadata, weights_only=True)
        _, weights, _ = steady(self._pass, x, call, inputs=(x.q, x.k), dtype=x.q.dtype, finite=self.check_finite)
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
            out, weights, pull = self._pass(x, call)
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
        threads: int | None = None,
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
            threads: How many threads large products use, `ga.get_num_threads()` by default; the result is the same.

        Returns:
            (V, E), or (output, weights). A node without neighbours gets zeros.
        """
        call = Call.checked(need_weights, training, rng)
        pool = _tasks.pool()
        if pool is not None and not call.training:
            return pool.attend(self, graph, queries, keys, values, need_weights, threads)
        with simd.num_threads(threads):
            out, weights, _ = self._attend_steady(graph, queries, keys, values, call)
        return (out, weights) if need_weights else out

    def _attend(
        self, graph: Any, queries: Any, keys: Any, values: Any, call: Call
    ) -> tuple[np.ndarray, np.ndarray | None, Callable[..., Gradients]]:
        """The pass over a whole graph; keys and values that are None default to the queries and the keys."""
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
        threads: int | None = None,
    ) -> tuple[np.ndarray, Callable[..., Gradients]]:
        """`attend` with a pullback, for training over whole graphs.

        Args:
            graph: As for `attend`, like all others.
            queries: One row per node.
            keys: Keys.
            values: Values.
            training: Whether dropout is on.
            rng: Generator for the dropout.
            threads: As for `attend`; the pullback uses as many.

        Returns:
            ``(output, pullback)``; ``pullback(grad_output, grad_weights=None) -> Gradients``. Where keys (or
            values) default to another input, their gradient is part of that input's and theirs is zero.
        """
        call = Call.checked(False, training, rng)._replace(differentiate=True)
        with simd.num_threads(threads):
            out, _, pull = self._attend_steady(graph, queries, keys, values, call)

        def pullback(grad_output: Any, grad_weights: Any = None) -> Gradients:
            with simd.num_threads(threads):
                return pull(grad_output, grad_weights)

        return out, pullback

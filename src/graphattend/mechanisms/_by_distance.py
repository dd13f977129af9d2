"""The base class of mechanisms that score by distance: passes by the kernels for products of spaces.

If the kernels do not apply, and without kernels, the stages of the mechanism compute the same result.
"""

from __future__ import annotations

import dataclasses
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import simd
from .._float64_fallback import in_dtype
from .._validate import ArrayLike
from .._vjp import unbroadcast
from ..graph import NeighborGraph
from ..simd import metric_ops
from ..simd.kernel_ops import block
from ..simd.metric_ops import Lists, Metric
from ._attend import check_nodes, defaulted
from ._base import Attention
from ._boundary import Call, Inputs, cotangent
from ._gradients import Arrays, CoreGradients, Gradients, Grads, Params, add_grads
from ._one_query import OneQuery, Sums

_DOUBLE = np.dtype(np.float64)


class Pass(NamedTuple):
    """Inputs and results of a kernel pass, as arrays (..., M, D) and (..., N, D), or per node.

    With `joined` the values are the keys, and their gradient is added to that of the keys.
    """

    q: np.ndarray
    k: np.ndarray
    v: np.ndarray
    out: np.ndarray
    weights: np.ndarray
    lists: Lists | None = None
    joined: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class ByDistance(Attention):
    """Attention with scores from distances in a product of spaces, and values averaged in each space."""

    # Value for mechanisms without this option, which accept all points.
    strict = False

    @abstractmethod
    def _make_metric(self, p: Params, dtype: np.dtype[Any]) -> Metric | None:
        """Return the distance of the scores, or None if the kernels do not support it."""

    @property
    def _mean(self) -> str:
        """The mean of the values: "midpoint", "frechet", or another one, which the kernels do not support."""
        return "midpoint"

    def _parameter_gradients(self, shares: np.ndarray, g: np.ndarray, out: np.ndarray) -> Grads:
        """Return the gradients of the parameters, given those of the distances' factors (S,) and of the output."""
        return {}

    def _scale_gradients(self, done: Pass, slopes: CoreGradients) -> Grads:
        """Return the parameter gradients that `_project` would add if it moves no point."""
        return {}

    def _check_points(self, q: np.ndarray, k: np.ndarray, v: np.ndarray | None) -> None:
        """Raise an error for points that the mechanism does not accept."""

    def _metric(self, dtype: np.dtype[Any]) -> Metric | None:
        cast: dict[Any, Any] = self._cast  # type: ignore[attr-defined]
        key = ("metric", dtype)
        if key not in cast:
            cast[key] = self._make_metric(self._params(np.dtype(np.float64)), dtype)
        found: Metric | None = cast[key]
        return found

    def _in_kernel(
        self, q: np.ndarray, k: np.ndarray, v: np.ndarray | None, need_weights: bool, **seen: Any
    ) -> tuple[Any, Any] | None:
        """Return the output (None without values) and the weights, or None if the kernels do not apply."""
        metric, mean = self._metric(q.dtype), self._mean
        if metric is None or (v is not None and mean not in ("midpoint", "frechet")):
            return None
        exact = v is not None and mean == "frechet"
        found = metric_ops.attention(q, k, None if exact else v, metric, need_weights=need_weights or exact, **seen)
        if found is None or not found[2]:
            return None
        out, weights, _ = found
        if exact:
            assert v is not None
            assert weights is not None
            out = metric_ops.frechet_means(v, weights, metric, seen.get("lists"))
            if out is None:
                return None
        return out, weights

    # -- unchecked arguments ---------------------------------------------------------------------------------------

    def _unchecked(
        self, query: Any, keys: Any, values: Any, need_weights: bool, mask: Any = None
    ) -> tuple[Any, Any] | None:
        if type(query) is not np.ndarray or type(keys) is not np.ndarray or not simd.has_kernels(query.dtype):
            return None
        if self.strict:  # only the checked pass calls `_check_points`
            return None
        if query.ndim not in (1, 2) or keys.ndim != 2 or query.shape[-1] != self.dim:
            return None
        if values is not None and (type(values) is not np.ndarray or values.ndim != 2):
            return None
        try:
            found = self._in_kernel(query[None] if query.ndim == 1 else query, keys, values, need_weights, mask=mask)
        except ValueError:
            return None
        if found is None or query.ndim == 2:
            return found
        out, weights = found
        return None if out is None else out[0], None if weights is None else weights[0]

    def _fused(self, query: Any, keys: Any, values: Any) -> np.ndarray | None:
        if values is None or simd._kernels is None:
            return None
        found = self._unchecked(query, keys, values, False)
        return None if found is None else found[0]

    def _fused_weights(
        self, query: Any, keys: Any, values: Any, metadata: Any, mask: Any = None
    ) -> tuple[Any, np.ndarray] | None:
        return self._unchecked(query, keys, values, True, mask) if metadata is None else None

    def _fused_vjp(self, query: Any, keys: Any, values: Any, metadata: Any, mask: Any = None) -> OneQuery | None:
        if metadata is not None or values is None or not simd.is_single(query, keys, values, self.dim):
            return None
        found = self._unchecked(query, keys, values, True, mask)
        if found is None:
            return None
        out, weights = found
        done = Pass(query[None], keys, values, out[None], weights[None])

        def pull(g: np.ndarray, gw: np.ndarray | None, sums: Sums | None) -> CoreGradients | None:
            c = self._gradients(done, g[None], gw, None if sums is None or sums.add else sums)
            if c is None:
                return None
            return c._replace(q=c.q[0], parameters=add_grads(c.parameters, self._scale_gradients(done, c)))

        return OneQuery(out, weights, pull, adds=False)

    # -- checked inputs --------------------------------------------------------------------------------------------

    def _through(
        self, inputs: tuple[Any, Any, Any], keep: bool, joined: bool = False, **seen: Any
    ) -> tuple[Any, Any, Callable[..., CoreGradients | None]] | None:
        """Return the output, the weights and the pullback, or None if the kernels do not apply.

        If the kernels reject the points, they are called again with the projections of `_project`. With `joined` the
        pullback may return the gradient of the values as None, after adding it to that of the keys.
        """
        p = self._params(inputs[0].dtype)
        moved, pull_p = inputs, None
        found = self._in_kernel(*inputs, keep, **seen)
        if found is None:
            moved, pull_p = self._project(*inputs, p)
            found = self._in_kernel(*moved, keep, **seen)
            if found is None:
                return None
        done = Pass(*moved, *found, seen.get("lists"), joined and pull_p is None)
        out, pull_f = done.out, None
        if pull_p is not None and out is not None:
            out, pull_f = self._finish(out, p)

        def pullback(g: np.ndarray, gw: np.ndarray | None) -> CoreGradients | None:
            gp: Grads = {}
            if pull_f is not None:
                g, gp = pull_f(g)
            c = self._gradients(done, g, gw)
            if c is None:
                return None
            if pull_p is None:
                return c._replace(parameters=add_grads(c.parameters, self._scale_gradients(done, c)))
            gq, gk, gv, more = pull_p(*(unbroadcast(a, x.shape) for a, x in zip(c[:3], moved, strict=True)))
            return CoreGradients(gq, gk, gv, add_grads(gp, c.parameters, more), {})

        weights = None if done.weights is None else done.weights.astype(inputs[0].dtype, copy=False)
        return out, weights, pullback

    def _run(self, x: Inputs, call: Call) -> tuple[Any, Any, Any]:
        general = super()._run
        if simd._kernels is None or (call.training and self.dropout):
            return general(x, call)
        self._check_points(x.q, x.k, x.v)
        mask = None if x.mask is None else np.atleast_2d(x.mask)
        keep = call.need_weights or call.differentiate or x.v is None
        found = self._through((x.q, x.k, x.v), keep, mask=mask)
        if found is None:
            return general(x, call)
        out, weights, pull = found
        if weights is not None:
            weights = np.broadcast_to(weights, (*x.batch, *weights.shape[-2:]))

        def pullback(g: np.ndarray, g_weights: np.ndarray | None = None) -> CoreGradients:
            c = pull(g, g_weights)
            return general(x, call)[2](g, g_weights) if c is None else c

        return out, weights, pullback

    def _gradients(
        self, done: Pass, g: np.ndarray, g_weights: np.ndarray | None, into: Sums | None = None
    ) -> CoreGradients | None:
        metric = self._metric(done.q.dtype)
        assert metric is not None
        g = np.ascontiguousarray(g, done.q.dtype)
        if done.lists is not None:
            return self._graph_gradients(done, g, g_weights, metric, done.lists)
        if into is not None:
            by_key, by_value = into.keys, into.values
        else:
            by_key, by_value = block(g.dtype, *((*g.shape[:-2], *x.shape[-2:]) for x in (done.k, done.v)))
        by_values = self._value_gradients(done, g, metric, by_value)
        if by_values is None:
            return None
        gv, gw = by_values
        if g_weights is not None:
            gw += g_weights
        by_scores = metric_ops.attention_vjp(done.q, done.k, done.weights, gw, metric, by_key)
        if by_scores is None:
            return None
        gq, gk, shares = by_scores
        return CoreGradients(gq, gk, gv, self._parameter_gradients(shares, g, done.out), {})

    def _value_gradients(
        self, done: Pass, g: np.ndarray, metric: Metric, out: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Return the gradients of the values and the weights by the means."""
        means = done.out if self._mean == "frechet" else None
        arrays = done.v, done.weights, g, means
        found = metric_ops.means_vjp(*arrays, metric=metric, lists=done.lists, out=out)
        if found is None:  # near the boundary of the ball, single precision has too few digits
            wide: Any = in_dtype(arrays, _DOUBLE)
            found = metric_ops.means_vjp(*wide, metric=metric, lists=done.lists)
            found = None if found is None else in_dtype(found, done.q.dtype)
        return found

    def _graph_gradients(
        self, done: Pass, g: np.ndarray, g_weights: np.ndarray | None, metric: Metric, lists: Lists
    ) -> CoreGradients | None:
        gv: np.ndarray | None = None
        averages, gw = self._mean == "midpoint", g_weights
        if not averages:
            by_values = self._value_gradients(done, g, metric)
            if by_values is None:
                return None
            gv, by_means = by_values
            gw = by_means if g_weights is None else by_means + g_weights
        arrays = done.q, done.k, done.v if averages else None, done.weights, g, gw
        options: dict[str, Any] = {"metric": metric, "lists": lists, "values_are_keys": done.joined and averages}
        found = metric_ops.graph_vjp(*arrays, **options)
        if found is None:  # as above
            wide: Any = in_dtype(arrays, _DOUBLE)
            found = metric_ops.graph_vjp(*wide, **options)
        if found is None:
            return None
        gq, gk, by_midpoints = in_dtype(found[:3], done.q.dtype)
        gp = self._parameter_gradients(found[3], g, done.out)
        return CoreGradients(gq, gk, by_midpoints if averages else gv, gp, {})

    # -- whole graphs ----------------------------------------------------------------------------------------------

    def _attend_into(
        self, graph: NeighborGraph, qkv: Arrays, out: np.ndarray, weights: np.ndarray | None, gain: np.ndarray
    ) -> bool | None:
        q, k, v = qkv
        metric = self._metric(q.dtype)
        if metric is None or self._mean != "midpoint" or not graph.num_edges or not simd.has_kernels(q.dtype):
            return False
        self._check_points(q, k, v)
        found = metric_ops.attention(q, k, v, metric, lists=graph, gain=gain, out=out, mixture=weights)
        if found is None and q is k:  # the kernel checked these points before it changed anything
            return False
        return True if found is not None and found[2] else None

    def _attend(
        self, graph: NeighborGraph, queries: ArrayLike, keys: ArrayLike | None, values: ArrayLike | None, call: Call
    ) -> tuple[np.ndarray, np.ndarray | None, Callable[..., Gradients]]:
        general = super()._attend
        if call.training and self.dropout:
            return general(graph, queries, keys, values, call)
        inputs = check_nodes(self, graph, queries, keys, values)
        dtype = inputs[0].dtype
        if not graph.num_edges or not simd.has_kernels(dtype):
            return general(graph, queries, keys, values, call)
        self._check_points(*inputs)
        keep = call.need_weights or call.differentiate
        found = self._through(inputs, keep, values is None, lists=graph)
        if found is None:
            return general(graph, queries, keys, values, call)
        out, weights, pull = found

        def pullback(grad_output: ArrayLike, grad_weights: ArrayLike | None = None) -> Gradients:
            g = cotangent(grad_output, "grad_output", out.shape, dtype)
            gw = None
            if grad_weights is not None:
                gw = cotangent(grad_weights, "grad_weights", weights.shape, dtype)
            c = pull(g, gw)
            if c is None:
                return general(graph, queries, keys, values, call)[2](grad_output, grad_weights)
            p = self._params(dtype)
            gp = {
                n: np.asarray(c.parameters[n], a.dtype) if n in c.parameters else np.zeros_like(a) for n, a in p.items()
            }
            return defaulted(c.q, c.k, c.v, gp, {}, values is None, keys is None)

        return out, weights, pullback

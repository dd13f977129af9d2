"""One query with gradients in few kernel calls, for unchecked arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import simd
from .._float64_fallback import silence
from .._validate import ArrayLike, all_finite
from ..graph import GraphMetadata
from ._boundary import cotangent, no_gradients
from ._gradients import CoreGradients, Gradients, VjpResult, add_grads
from ._mechanism import Mechanism, SingleScores

#: The checked pass over the same arguments, which `attend` and `result` run if a gradient overflows the dtype.
Again = Callable[[], VjpResult]


def attend(attn: Mechanism, query: Any, keys: Any, values: Any, metadata: Any, again: Again) -> VjpResult | None:
    """Return output, weights and pullback of `_single_vjp`, or None if mechanism or arguments need the checked pass."""
    if values is None or not simd.is_single(query, keys, values, attn.dim):
        return None
    if not attn.any_value_width and values.shape[1] != attn.dim:
        return None
    rows = query[None]
    with silence():
        scores = attn._single_vjp(rows, keys, metadata)
        if scores is None:
            return None
        k, v, seen = keys, values, scores.seen
        if seen is not None:
            if attn.check_finite and not all_finite(keys, values):
                return None
            k, v = keys[seen], values[seen]
        found = simd.single_with_weights(scores.rows, k, v, scores.options)
        if found is None:
            return None
        average, weights = found
        out, pull_out = attn._finish_single_vjp(rows, average, weights)

    def everywhere(x: np.ndarray, n: int) -> np.ndarray:
        """Expand x from the seen keys to all keys, with zeros for the others."""
        if seen is None or len(x) == n:
            return x
        whole = np.zeros((n, *x.shape[1:]), x.dtype)
        whole[seen] = x
        return whole

    shown = weights if seen is None else everywhere(weights.T, len(keys)).T
    given = {name: x for name, x in scores.options.items() if name not in ("bias", "slope")}

    def pull(g: np.ndarray, gw: np.ndarray | None) -> CoreGradients | None:
        if gw is not None:
            gw = gw.reshape(len(weights), -1)
            gw = gw if seen is None else np.ascontiguousarray(gw[:, seen])
        g_average, by_out, gp = pull_out(g[None])
        slopes = _slopes(scores, k, weights)
        grads = simd.single_vjp(scores.rows, k, v, weights, g_average, grad_weights=gw, slopes=slopes, **given)
        if grads is None:  # the kernel checks its own results
            return None
        gq, gk, gp_scores, gm = scores.pull(grads[0], grads[1], grads[3] if grads[4] is None else grads[4])
        gq = gq if by_out is None else gq + by_out
        gk, gv = everywhere(gk, len(keys)), everywhere(grads[2], len(keys))
        return CoreGradients(gq[0], gk, gv, add_grads(gp, gp_scores), gm)

    return result(attn, out[0], shown[0] if attn.heads is None else shown, pull, metadata, again)


def result(
    attn: Mechanism,
    out: np.ndarray,
    weights: np.ndarray,
    pull: Callable[[np.ndarray, np.ndarray | None], CoreGradients | None],
    metadata: GraphMetadata | None,
    again: Again,
) -> VjpResult:
    """Return output (E,), weights ([H,] N) and the pullback with checks.

    `pull` maps the gradients of both (None for the weights if there is none) to those of query (D,), keys, values,
    parameters and metadata. It returns None if a gradient of keys or values is not finite. The others are checked here.
    """

    def pullback(grad_output: ArrayLike, grad_weights: ArrayLike | None = None) -> Gradients:
        g, gw = cotangent(grad_output, "grad_output", out.shape, out.dtype), None
        if grad_weights is not None:
            gw = cotangent(grad_weights, "grad_weights", weights.shape, out.dtype)
        with silence():
            c = pull(g, gw)
        if c is None or not all_finite(c.q, *c.parameters.values(), *c.metadata.values()):
            return again()[2](grad_output, grad_weights)
        with silence():
            params = attn._params(out.dtype)
        parameters = {
            n: np.asarray(c.parameters[n], a.dtype) if n in c.parameters else np.zeros_like(a)
            for n, a in params.items()
        }
        return Gradients(c.q, c.k, c.v, parameters, no_gradients(metadata, out.dtype, c.metadata))

    return out, weights, pullback


def _slopes(scores: SingleScores, keys: np.ndarray, weights: np.ndarray) -> np.ndarray | None:
    """Return the slopes of the LeakyReLU at the scores (H, N), or None without LeakyReLU.

    The LeakyReLU keeps the sign of a score, so that a score is positive if its weight is larger than that of zero. One
    score of each row, the highest, tells the weight of zero.
    """
    slope = scores.options.get("slope", 1.0)
    if slope == 1:
        return None
    real, heads = weights.dtype.type, np.arange(len(weights))
    top, bias = weights.argmax(axis=-1), scores.options["bias"]
    highest = np.einsum("hd,hd->h", scores.rows, keys[top]) * real(scores.options["scale"])
    highest += np.broadcast_to(bias, weights.shape)[heads, top]
    highest *= np.where(highest > 0, real(1), real(slope))
    zero = weights[heads, top] * np.exp(-highest)
    return np.where(weights > zero[:, None], real(1), real(slope))

"""One query with gradients in two kernel calls, for unchecked arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import simd
from .._float64_fallback import silence
from .._validate import ArrayLike, all_finite
from ._boundary import cotangent, no_gradients
from ._gradients import Gradients, VjpResult, add_grads
from ._mechanism import Mechanism, SingleScores


def attend(
    attn: Mechanism, query: Any, keys: Any, values: Any, metadata: Any, again: Callable[[], VjpResult]
) -> VjpResult | None:
    """Return output, weights and pullback, or None if mechanism or arguments need the checked pass; see `_single_vjp`.

    `again` runs the checked pass. Its pullback is used if a gradient overflows the dtype.
    """
    if values is None or not simd.is_single(query, keys, values, attn.dim):
        return None
    if not attn.any_value_width and values.shape[1] != attn.dim:
        return None
    with silence():
        scores = attn._single_vjp(query[None], keys, metadata)
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
        out, pull_out = attn._finish_single_vjp(average, weights)

    def everywhere(x: np.ndarray, n: int) -> np.ndarray:
        """Expand x from the seen keys to all keys, with zeros for the others."""
        if seen is None or len(x) == n:
            return x
        whole = np.zeros((n, *x.shape[1:]), x.dtype)
        whole[seen] = x
        return whole

    shown = everywhere(weights.T, len(keys)).T
    shown = shown[0] if attn.heads is None else shown
    p = attn._params(out.dtype)

    def pullback(grad_output: ArrayLike, grad_weights: ArrayLike | None = None) -> Gradients:
        g, gw = cotangent(grad_output, "grad_output", out.shape[1:], out.dtype)[None], None
        if grad_weights is not None:
            gw = cotangent(grad_weights, "grad_weights", shown.shape, out.dtype).reshape(len(weights), -1)
            gw = gw if seen is None else np.ascontiguousarray(gw[:, seen])
        with silence():
            g_average, gp = pull_out(g)
            given = {name: x for name, x in scores.options.items() if name not in ("bias", "slope")}
            slopes = _slopes(scores, k)
            grads = simd.single_vjp(scores.rows, k, v, weights, g_average, grad_weights=gw, slopes=slopes, **given)
            if grads is None:
                return again()[2](grad_output, grad_weights)
            gq, gk, gp_scores, gm = scores.pull(grads[0], grads[1], grads[3] if grads[4] is None else grads[4])
            gp = add_grads(gp, gp_scores)
        changed = () if gk is grads[1] else (gk,)  # the kernel has checked its own results
        if not all_finite(gq, *changed, *gp.values(), *gm.values()):
            return again()[2](grad_output, grad_weights)
        parameters = {n: gp[n] if n in gp else np.zeros_like(a) for n, a in p.items()}
        gk, gv = everywhere(gk, len(keys)), everywhere(grads[2], len(keys))
        return Gradients(gq[0], gk, gv, parameters, no_gradients(metadata, out.dtype, gm))

    return out[0], shown, pullback


def _slopes(scores: SingleScores, keys: np.ndarray) -> np.ndarray | None:
    """Return the slopes of the LeakyReLU at the scores (H, N), or None without LeakyReLU."""
    slope = scores.options.get("slope", 1.0)
    if slope == 1:
        return None
    s = simd.matmul_nt(scores.rows, keys) * keys.dtype.type(scores.options["scale"]) + scores.options["bias"]
    return np.where(s > 0, s.dtype.type(1), s.dtype.type(slope))

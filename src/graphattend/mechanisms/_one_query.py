"""One query with gradients in few kernel calls, for unchecked arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import simd
from .._float64_fallback import silence
from .._validate import ArrayLike, all_finite
from ..graph import GraphMetadata
from ._boundary import cotangent, no_gradients
from ._gradients import CoreGradients, Gradients, VjpResult, add_grads
from ._mechanism import Mechanism, SingleScores

#: The checked pass over the same arguments, which `result` runs if a gradient overflows the dtype.
Again = Callable[[], VjpResult]


class Sums(NamedTuple):
    """Arrays for the gradients of keys and values, to which several mechanisms add theirs.

    Args:
        keys: (N, D).
        values: (N, E).
        add: Whether the arrays contain gradients already. Otherwise they are to be overwritten.
    """

    keys: np.ndarray
    values: np.ndarray
    add: bool = False

    def plus(self, keys: np.ndarray, values: np.ndarray) -> Sums:
        """Return the sums with these gradients. Gradients that are the arrays of the sums are already in them."""
        for total, a in ((self.keys, keys), (self.values, values)):
            if a is not total:
                np.add(total, a, out=total) if self.add else np.copyto(total, a)
        return self._replace(add=True)


class OneQuery(NamedTuple):
    """The result of a pass over one query with gradients.

    Args:
        out: Output (E,).
        weights: ([H,] N).
        pull: ``pull(g, gw, sums)`` maps the gradients of both (gw is None if there is none) to those of query (D,),
            keys, values, parameters and metadata, or to None if a kernel found one that is not finite. Unless `sums`
            is None, it may write the gradients of keys and values there, and return the arrays of `sums` for them.
        adds: Whether `pull` can also add to `sums`. It then tests the gradients of keys and values itself.
    """

    out: np.ndarray
    weights: np.ndarray
    pull: Callable[[np.ndarray, np.ndarray | None, Sums | None], CoreGradients | None]
    adds: bool = True


def attend(
    attn: Mechanism, query: Any, keys: Any, values: Any, metadata: Any, mask: np.ndarray | None = None
) -> OneQuery | None:
    """Return the result of `_single_vjp`, or None if mechanism or arguments need the checked pass.

    `mask` is a `simd.plain_mask`.
    """
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
            mask = None if mask is None else np.ascontiguousarray(mask[:, seen])
        if mask is not None and mask.dtype != np.bool_ and "slope" in scores.options:
            return None  # `_slopes` tells the sign of a score by its weight
        found = simd.single_with_weights(scores.rows, k, v, {**scores.options, "mask": mask})
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

    def pull(g: np.ndarray, gw: np.ndarray | None, sums: Sums | None) -> CoreGradients | None:
        if gw is not None:
            gw = gw.reshape(len(weights), -1)
            gw = gw if seen is None else np.ascontiguousarray(gw[:, seen])
        g_average, by_out, gp = pull_out(g[None])
        slopes, into = _slopes(scores, k, weights), sums if seen is None else None
        options = {"grad_weights": gw, "slopes": slopes, "sums": into, **given}
        grads = simd.single_vjp(scores.rows, k, v, weights, g_average, **options)
        if grads is None:  # the kernel checks its own results
            return None
        gq, gk, gp_scores, gm = scores.pull(grads[0], grads[1], grads[3] if grads[4] is None else grads[4])
        gq = gq if by_out is None else gq + by_out
        gk, gv = everywhere(gk, len(keys)), everywhere(grads[2], len(keys))
        return CoreGradients(gq[0], gk, gv, add_grads(gp, gp_scores), gm)

    return OneQuery(out[0], shown[0] if attn.heads is None else shown, pull)


def only_row(query: Any) -> Any:
    """Return the query of a matrix (1, D) of one query, or None for anything else."""
    return query[0] if type(query) is np.ndarray and query.ndim == 2 and len(query) == 1 else None


def result(
    attn: Mechanism, found: OneQuery, metadata: GraphMetadata | None, again: Again, *, rows: bool = False
) -> VjpResult:
    """Return output, weights and the pullback with checks; `rows` if the query was a matrix (1, D)."""
    out, weights, pull, adds = found
    if rows:
        out, weights = out[None], weights[..., None, :]

    def pullback(grad_output: ArrayLike, grad_weights: ArrayLike | None = None) -> Gradients:
        g, gw = cotangent(grad_output, "grad_output", out.shape, out.dtype), None
        if grad_weights is not None:
            gw = cotangent(grad_weights, "grad_weights", weights.shape, out.dtype)
        if rows:
            g, gw = g[0], None if gw is None else gw[..., 0, :]
        with silence():
            c = pull(g, gw, None)
        tested = () if c is None else (c.q, *c.parameters.values(), *c.metadata.values())
        if c is None or not all_finite(*tested, *(() if adds else (c.k, c.v))):
            return again()[2](grad_output, grad_weights)
        with silence():
            params = attn._params(out.dtype)
        parameters = {
            n: np.asarray(c.parameters[n], a.dtype) if n in c.parameters else np.zeros_like(a)
            for n, a in params.items()
        }
        by_query, by_metadata = c.q[None] if rows else c.q, no_gradients(metadata, out.dtype, c.metadata)
        return Gradients(by_query, c.k, c.v, parameters, by_metadata)

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

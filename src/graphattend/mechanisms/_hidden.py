"""Keep rubbish in hidden keys and values (NaN, infinity, numbers whose products overflow) out of outputs and gradients.

A hidden key has weight 0, but 0 times NaN or infinity is NaN. Rubbish that no row sees is therefore replaced by zeros.
If some rows see it and others do not, each group of rows that see the same rubbish is computed separately.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from ..functional.dot_product import causal_mask
from ..functional.hidden import holds_rubbish, rubbish, seen_pairs, unseen
from ..graph import NeighborGraph
from ._boundary import Call, Inputs
from ._gradients import CoreGradients, add_grads
from ._mechanism import Mechanism


def _seen(x: Inputs, heads: int | None, is_causal: bool, any_row: bool = False) -> np.ndarray | None:
    """Return the pairs (..., M, N) that any head sees, or None for all.

    With `any_row` only the union over the rows matters, so the result may have a single row.
    """
    seen = None
    if x.mask is not None:
        seen = np.atleast_2d(seen_pairs(x.mask))
        if heads is not None and seen.ndim > 2:
            seen = seen.any(axis=-3)
    if is_causal:
        alike = any_row and (seen is None or seen.shape[-2] == 1)
        rows, keys = x.q.shape[-2], x.k.shape[-2]
        past = np.arange(keys)[None] < rows if alike else causal_mask(rows, keys)
        seen = past if seen is None else seen & past
    return seen


def without_rubbish(x: Inputs, heads: int | None, is_causal: bool) -> Inputs:
    """Replace rubbish in keys and values that no row sees by zeros."""
    if x.tame:
        return x
    seen = _seen(x, heads, is_causal, any_row=True)
    if seen is None or seen.any(axis=-2).all():
        return x
    if not holds_rubbish(x.k, x.v):
        return x._replace(tame=True)

    def cleaned(a: np.ndarray) -> np.ndarray:
        hidden = unseen(seen, a.shape[:-1])
        hidden[hidden] = rubbish(a[hidden])
        return np.where(hidden[..., None], a.dtype.type(0), a) if hidden.any() else a

    return x._replace(k=cleaned(x.k), v=None if x.v is None else cleaned(x.v))


def apart(attn: Mechanism, x: Inputs, call: Call) -> tuple[Any, Any, Any]:
    """Call `_run` once for each group of rows that see the same rubbish, with all other rubbish set to zero.

    This is a single call with `check_finite`, without rubbish, or if every row sees all keys.
    """
    if attn.check_finite or x.tame or (x.mask is None and not attn.is_causal) or not holds_rubbish(x.k, x.v):
        return attn._run(x, call)
    seen = _seen(x, attn.heads, attn.is_causal)
    if seen is None or seen.all():
        return attn._run(x, call)
    rows, keys = x.q.shape[-2], x.k.shape[-2]
    bad = np.broadcast_to(rubbish(x.k), (*x.batch, keys))
    if x.v is not None:
        bad = bad | rubbish(x.v)
    seen = np.broadcast_to(seen, (*x.batch, rows, keys))
    met = seen & bad[..., None, :]
    columns = np.flatnonzero(bad.reshape(-1, keys).any(axis=0))
    patterns, group_of = np.unique(met[..., columns].reshape(-1, columns.size), axis=0, return_inverse=True)
    group_of = group_of.reshape(*x.batch, rows, 1)
    x = x._replace(
        q=np.broadcast_to(x.q, (*x.batch, *x.q.shape[-2:])),
        k=np.broadcast_to(x.k, (*x.batch, *x.k.shape[-2:])),
        v=None if x.v is None else np.broadcast_to(x.v, (*x.batch, *x.v.shape[-2:])),
    )
    # All groups draw the same numbers; the last one advances the caller's generator.
    generators = [copy.deepcopy(call.rng) for _ in patterns[1:]] + [call.rng]
    groups = []
    for i, generator in enumerate(generators):
        mine = group_of == i
        looked_at = (seen & mine).any(axis=-2)[..., None]
        part = _restrict(x, attn.heads, bad[..., None] & ~looked_at, mine | ~bad[..., None, :])
        groups.append((mine, looked_at, *attn._run(part, call._replace(rng=generator))))
    out, weights = None, None
    for mine, _, o, w, _ in groups:
        out = o if out is None else np.where(mine, o, out)
        if w is not None:
            weights = w if weights is None else np.where(_by_head(mine, attn.heads), w, weights)

    def pullback(g: np.ndarray, g_weights: np.ndarray | None = None) -> CoreGradients:
        total: CoreGradients | None = None
        for mine, looked_at, _, _, pull in groups:
            gw = None if g_weights is None else np.where(_by_head(mine, attn.heads), g_weights, 0)
            c = pull(np.where(mine, g, g.dtype.type(0)), gw)
            q, k, v = (np.where(at, a, a.dtype.type(0)) for at, a in ((mine, c.q), (looked_at, c.k), (looked_at, c.v)))
            c = c._replace(q=q, k=k, v=v)
            total = c if total is None else _sum(total, c)
        assert total is not None
        return total

    return out, weights, pullback


def _by_head(rows: np.ndarray, heads: int | None) -> np.ndarray:
    return rows if heads is None else rows[..., None, :, :]


def _restrict(x: Inputs, heads: int | None, zero: np.ndarray, allowed: np.ndarray) -> Inputs:
    """Set some keys (..., N, 1) and their values to zero, and mask all pairs but the `allowed` ones (..., M, N)."""
    allowed = _by_head(allowed, heads)
    if x.mask is None:
        mask = allowed
    elif x.mask.dtype == np.bool_:
        mask = x.mask & allowed
    else:
        mask = np.where(allowed, x.mask, x.mask.dtype.type(-np.inf))
    k, v = (None if a is None else np.where(zero, a.dtype.type(0), a) for a in (x.k, x.v))
    assert k is not None
    return x._replace(k=k, v=v, mask=mask)


def _sum(a: CoreGradients, b: CoreGradients) -> CoreGradients:
    return CoreGradients(
        a.q + b.q, a.k + b.k, a.v + b.v, add_grads(a.parameters, b.parameters), add_grads(a.metadata, b.metadata)
    )


def visible_nodes(
    attn: Mechanism, graph: NeighborGraph, nodes: tuple[np.ndarray | None, ...]
) -> tuple[np.ndarray | None, ...]:
    """Replace rubbish that no row sees by zeros in queries, keys and values (None if defaulted) of `attend`.

    A query is seen if its node has neighbours; a key and its value are seen if their node is a neighbour. Arguments
    that are not per-node arrays are returned unchanged, for the checks to reject.
    """
    queries, keys, values = nodes
    if attn.check_finite or attn.sees_all_nodes or not isinstance(graph, NeighborGraph) or not holds_rubbish(*nodes):
        return nodes
    if any(a is not None and (a.ndim != 2 or len(a) != graph.num_nodes) for a in nodes):
        return nodes
    pattern = attn._attended_graph(graph)
    neighbour = np.zeros(graph.num_nodes, bool)
    neighbour[pattern.indices] = True
    keys = queries if keys is None else keys
    values = keys if values is None else values
    seen = (np.diff(pattern.indptr) > 0, neighbour, neighbour)
    return tuple(
        a if a is None else np.where((~s & rubbish(a))[:, None], a.dtype.type(0), a)
        for a, s in zip((queries, keys, values), seen, strict=True)
    )

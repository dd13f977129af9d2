"""Self-loops in `forward`: each query becomes its own last key, with the mean of its edges' features."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._vjp import unbroadcast
from ._boundary import Inputs
from ._gradients import CoreGradients

Run = Callable[[Inputs], tuple[Any, Any, Callable[..., CoreGradients]]]


def run(x: Inputs, heads: int, fill_value: str | float, inner: Run) -> tuple[Any, Any, Callable[..., CoreGradients]]:
    """Run `inner` for every query row over its own keys. The last column of the weights belongs to the loop.

    Every query row has a different last key, so the rows become a batch axis and the keys are repeated for each row.
    """
    rows = x.q.shape[-2]
    q = x.q[..., :, None, :]
    seen = _seen(x, heads)
    loop, pull_loop = _loop_features(x, seen, fill_value)
    metadata = dict(x.metadata)
    if loop is not None:
        metadata["edge_features"] = _appended(x.metadata["edge_features"][..., None, :, :], loop)
    looped = Inputs(
        q=q,
        k=_appended(x.k[..., None, :, :], q),
        v=None if x.v is None else _appended(x.v[..., None, :, :], q),
        mask=_loop_mask(x.mask, heads),
        metadata=metadata,
        batch=(*x.batch, rows),
        single=False,
    )
    out, weights, pull = inner(looped)

    def pullback(g: np.ndarray, g_weights: np.ndarray | None = None) -> CoreGradients:
        gw = None if g_weights is None else g_weights.swapaxes(-3, -2)[..., None, :]
        c = pull(g[..., None, :], gw)
        gq = c.q[..., 0, :]
        for g_last in (c.k[..., -1, :], c.v[..., -1, :]):
            gq = gq + unbroadcast(g_last, x.q.shape)
        meta = {}
        if loop is not None:
            e, ge = x.metadata["edge_features"], c.metadata["edge_features"]
            meta["edge_features"] = unbroadcast(ge[..., :-1, :].sum(axis=-3), e.shape) + pull_loop(ge[..., -1, :])
        assert x.v is not None
        gk, gv = (unbroadcast(a[..., :-1, :].sum(axis=-3), of.shape) for a, of in ((c.k, x.k), (c.v, x.v)))
        return CoreGradients(gq, gk, gv, c.parameters, meta)

    out = None if out is None else out[..., 0, :]
    return out, None if weights is None else weights[..., 0, :].swapaxes(-3, -2), pullback


def _appended(keys: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Append each row's own last key (..., M, 1, D) to the shared keys (..., 1, N, D); return (..., M, N+1, D)."""
    lead = np.broadcast_shapes(keys.shape[:-2], last.shape[:-2])
    parts = (np.broadcast_to(a, (*lead, *a.shape[-2:])) for a in (keys, last))
    return np.concatenate(list(parts), axis=-2)


def _loop_mask(mask: np.ndarray | None, heads: int) -> np.ndarray | None:
    """Convert a mask (..., [H,] M, N) to (..., M, H, 1, N+1). A node always sees itself."""
    if mask is None:
        return None
    full = mask[None, None] if mask.ndim < 2 else mask
    full = full[None] if full.ndim < 3 else full
    full = full.swapaxes(-3, -2)[..., None, :]
    own = np.ones((*full.shape[:-1], 1), mask.dtype) if mask.dtype == np.bool_ else np.zeros((*full.shape[:-1], 1))
    return np.concatenate([full, own.astype(mask.dtype)], axis=-1)


def _seen(x: Inputs, heads: int) -> np.ndarray:
    """Return 1 for each key (..., M, N) that the mask shows to any head of a row, else 0."""
    shape = (x.q.shape[-2], x.k.shape[-2])
    if x.mask is None:
        return np.ones(shape, x.q.dtype)
    visible = x.mask if x.mask.dtype == np.bool_ else ~np.isneginf(x.mask)
    if visible.ndim > 2:
        visible = visible.any(axis=-3)
    return np.broadcast_to(visible, (*visible.shape[:-2], *shape)).astype(x.q.dtype)


def _loop_features(
    x: Inputs, seen: np.ndarray, fill_value: str | float
) -> tuple[np.ndarray | None, Callable[[np.ndarray], np.ndarray]]:
    """Return the features (..., M, 1, e) of the added loops, and the pullback to the features of all edges."""
    e = x.metadata.get("edge_features")
    if e is None:
        return None, lambda g: g
    if fill_value != "mean":
        loop = np.full((*seen.shape[:-1], 1, e.shape[-1]), fill_value, e.dtype)
        return loop, lambda g: np.zeros(e.shape, e.dtype)
    share = seen / np.maximum(seen.sum(axis=-1, keepdims=True), 1)
    loop = share @ e

    def pull(g: np.ndarray) -> np.ndarray:
        return unbroadcast(share.swapaxes(-1, -2) @ g, e.shape)

    return loop[..., None, :], pull

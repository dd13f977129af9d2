"""Kernels by distance: attention in products of spaces, means, and their gradients; see `kernels/metric.h`.

Every function returns None if its kernel does not apply, for example if a point is outside its space or too near to the
boundary. The functions must be called only while kernels are in use. The NumPy formulations are in `geometry`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from . import kernel_ops, threads
from .graph_ops import part_of
from .kernel_ops import as_int64, joined

Array = np.ndarray
#: The number of each kind of space.
KINDS = {"euclidean": 0, "poincare": 1, "lorentz": 2, "sphere": 3}
MOST_SPACES = 16


class Metric(NamedTuple):
    """The distance of two points in a product of spaces.

    Args:
        spaces: (S, 5): kind, stored coordinates, absolute curvature, factor of the distance in the scores, and the
            smallest allowed distance of a point from the boundary of the ball, in radii.
        root: Whether the score is minus the first factor times the root of the sum of squared distances, instead of
            minus the sum of factors times distances.
    """

    spaces: Array
    root: bool = False


class Lists(Protocol):
    """Interface of the CSR lists of a `NeighborGraph`: the keys of every row, and the rows of every key."""

    @property
    def indptr(self) -> Array:
        """Starts of the rows (M+1,)."""

    @property
    def indices(self) -> Array:
        """Keys (K,)."""

    @property
    def _transposed(self) -> tuple[Array, Array, Array]:
        """The transposed CSR lists: starts (N+1,), rows (K,), and the CSR positions of the entries (K,)."""


def metric(
    spaces: Sequence[tuple[str, int, float]], shares: Any, inside: float, *, root: bool = False
) -> Metric | None:
    """Build a metric from triples (name, stored coordinates, curvature) and the factor of each distance.

    Returns None if there are more spaces than the kernels support.
    """
    if len(spaces) > MOST_SPACES:
        return None
    table = np.array(
        [(KINDS[name], width, abs(curvature), 0.0, inside) for name, width, curvature in spaces], np.float64
    )
    table[:, 3] = shares
    return Metric(table, root)


def _row_parts(indptr: Array, x: Array) -> list[slice]:
    """Split the rows into one block per thread."""
    return threads.blocks(indptr, 2.0 * float(indptr[-1]) * x.shape[-1], align=1)


def _split(lists: Lists | None) -> tuple[Array | None, Array | None]:
    return (None, None) if lists is None else (np.ascontiguousarray(lists.indptr, np.int64), lists.indices)


def attention(
    q: Array,
    k: Array,
    v: Array | None,
    metric: Metric,
    *,
    lists: Lists | None = None,
    mask: Array | None = None,
    gain: Array | None = None,
    out: Array | None = None,
    mixture: Array | None = None,
    need_weights: bool = False,
) -> tuple[Array | None, Array | None, bool] | None:
    """Compute the softmax of the scores and the midpoints of the values.

    Args:
        q: Queries (..., M, D).
        k: Keys (..., N, D).
        v: Values (..., N, D), or None for the weights alone.
        metric: The distance.
        lists: The keys of each query; all keys by default.
        mask: Boolean (True = attend) or additive, (..., M, N).
        gain: With lists, factors of the output (M,). A row with factor 0 is not computed unless weights are needed.
        out: With a gain, the array to which the output times the gain is added (also if the result is None).
        mixture: With a gain, the array (K,) to which the weights times the gain are added.
        need_weights: Whether to return the weights.

    Returns:
        Output (..., M, D), weights (..., M, N) or (K,), and whether everything was finite; or None.
    """
    kernel = kernel_ops.current()
    lead = joined(q.shape[:-2], *[x.shape[:-2] for x in (k, v, mask) if x is not None])
    rows = q.shape[-2]
    if out is None and v is not None:
        out = np.empty((*lead, rows, v.shape[-1]), q.dtype)
    indptr, indices = _split(lists)
    weights = None
    if need_weights:
        weights = np.empty((*lead, rows, k.shape[-2]) if indices is None else indices.shape, q.dtype)
    parts = None if indptr is None else _row_parts(indptr, q)
    if parts is None or len(parts) == 1:
        spaces, root = metric
        done = kernel.metric_attend(q, k, v, spaces, indptr, indices, mask, gain, out, weights, mixture, root)
        return None if done is None else (out, weights, done)

    def attend(part: slice) -> bool | None:
        assert indptr is not None
        assert indices is not None
        own, edges = part_of(indptr, part)
        some, mixed = (None if x is None else x[edges] for x in (weights, mixture))
        to, share = (None if x is None else x[part] for x in (out, gain))
        found: bool | None = kernel.metric_attend(
            q[part], k, v, metric.spaces, own, indices[edges], None, share, to, some, mixed, metric.root
        )
        return found

    answers = threads.run(attend, parts)
    return None if None in answers else (out, weights, all(answers))


def attention_vjp(
    q: Array, k: Array, weights: Array, grad: Array, metric: Metric, out: Array | None = None
) -> tuple[Array, Array, Array] | None:
    """Compute the gradients of q, k and the factors (S,) from the weights and their gradient.

    The gradients of q and k have the leading axes of the batch. That of k is written to `out` if given.
    """
    lead = grad.shape[:-2]
    dq, shares = np.empty((*lead, *q.shape[-2:]), q.dtype), np.empty((q.shape[-2], len(metric.spaces)))
    dk = np.empty((*lead, *k.shape[-2:]), q.dtype) if out is None else out
    arguments = q, k, weights, grad, metric.spaces, dq, dk, shares, metric.root
    return (dq, dk, shares.sum(axis=0)) if kernel_ops.current().metric_vjp(*arguments) else None


def graph_vjp(
    q: Array,
    k: Array,
    v: Array | None,
    weights: Array,
    grad: Array,
    grad_weights: Array | None,
    *,
    metric: Metric,
    lists: Lists,
    values_are_keys: bool = False,
) -> tuple[Array, Array, Array | None, Array] | None:
    """Compute the gradients of q, k, v and the factors (S,) for attention over lists.

    Args:
        q: Queries (M, D).
        k: Keys (N, D).
        v: Values (N, D) that are averaged by midpoints, or None to differentiate the weights only.
        weights: The weights (K,).
        grad: Gradient of the midpoints (M, D); not used without v.
        grad_weights: Gradient of the weights (K,) that is added, or None.
        metric: The distance.
        lists: The keys of each query.
        values_are_keys: Whether to add the gradient of v to that of k and to return it as None.
    """
    spaces, indptr = metric.spaces, as_int64(lists.indptr)
    by_space = len(weights), len(spaces), 2
    none = None if v is None else by_space, None if v is None else q.shape
    dq, slopes, inner, value_slopes, directions = kernel_ops.block(q.dtype, q.shape, by_space, q.shape, *none)
    shares = np.empty((len(q), len(spaces)))

    def by_row(rows: slice) -> bool | None:
        own, edges = part_of(indptr, rows)
        given = None if grad_weights is None else grad_weights[edges]
        seen = (q[rows], k, v, weights[edges], given, None if v is None else grad[rows], spaces)
        more = (None, None) if v is None else (value_slopes[edges], directions[rows])
        lists_of_rows = own, lists.indices[edges]
        done: bool | None = kernel_ops.current().metric_rows(
            *seen, *lists_of_rows, dq[rows], slopes[edges], inner[rows], *more, shares[rows], metric.root
        )
        return done

    if None in threads.run(by_row, _row_parts(indptr, q)):
        return None
    if values_are_keys or v is None:
        dk, dv = _by_key(k, (inner, slopes, directions, value_slopes), spaces, lists), None
    else:
        dk = _by_key(k, (inner, slopes, None, None), spaces, lists)
        dv = _by_key(v, (None, None, directions, value_slopes), spaces, lists)
        if dv is None:
            return None
    return None if dk is None else (dq, dk, dv, shares.sum(axis=0))


def _by_key(k: Array, by_row: tuple[Array | None, ...], spaces: Array, lists: Lists) -> Array | None:
    """Compute the gradients of keys or values by `metric_keys`, from the results of `metric_rows`."""
    starts, indices, order = lists._transposed
    starts, out = as_int64(starts), np.empty(k.shape, k.dtype)

    def by_key(keys: slice) -> bool | None:
        own, edges = part_of(starts, keys)
        lists = own, indices[edges], order[edges]
        done: bool | None = kernel_ops.current().metric_keys(k[keys], *by_row, spaces, *lists, out[keys])
        return done

    return None if None in threads.run(by_key, _row_parts(starts, k)) else out


def frechet_means(v: Array, weights: Array, metric: Metric, lists: Lists | None = None) -> Array | None:
    """Compute the Fréchet mean of v (..., N, D) for each row of weights (..., M, N), or (K,) with lists."""
    if lists is None:
        shape = (*joined(v.shape[:-2], weights.shape[:-2]), weights.shape[-2], v.shape[-1])
    else:
        shape = (len(lists.indptr) - 1, v.shape[-1])
    out = np.empty(shape, v.dtype)
    done = kernel_ops.current().frechet(v, weights, metric.spaces, *_split(lists), out)
    return out if done else None


def means_vjp(
    v: Array,
    weights: Array,
    grad: Array,
    means: Array | None,
    *,
    metric: Metric,
    lists: Lists | None = None,
    out: Array | None = None,
) -> tuple[Array, Array] | None:
    """Compute the gradients of v and the weights, for Fréchet means if `means` is given, else for midpoints.

    The gradient of v has the leading axes of the batch, and is written to `out` if given. With lists, `means` must be
    given.
    """
    kernel, spaces = kernel_ops.current(), metric.spaces
    lead = grad.shape[:-2]
    dw = np.empty((*lead, *weights.shape[-2:]) if lists is None else weights.shape, v.dtype)
    dv = np.empty((*lead, *v.shape[-2:]), v.dtype) if out is None else out
    arguments = v, weights, grad, means, spaces, *_split(lists), dv, dw
    return (dv, dw) if kernel.mean_vjp(*arguments) else None

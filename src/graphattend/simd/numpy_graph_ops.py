"""NumPy formulations of the kernels on neighbour lists, which define the kernels' results in tests.

They store a row for each edge. The arguments are those of `graph_ops`.
"""

from __future__ import annotations

import numpy as np

from . import numpy_ops

Array = np.ndarray
Rotation = tuple[Array, Array, bool]


def _targets(indptr: Array) -> Array:
    """Return the row of every edge."""
    return np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))


def _turned(x: Array, rotation: Rotation | None, *, back: bool = False) -> Array:
    """Rotate rows (K, D) of edges by their positions."""
    if rotation is None:
        return x
    positions, frequency, interleaved = rotation
    return numpy_ops.rotate(x, -positions if back else positions, frequency, interleaved)


def graph_attention(
    q: Array,
    k: Array,
    v: Array,
    indptr: Array,
    indices: Array,
    scale: float,
    *,
    bias: Array | None = None,
    rotation: Rotation | None = None,
    plain: bool = False,
    gain: Array | None = None,
) -> tuple[Array, Array]:
    """Return output and weights, the softmax of scale · q·k + bias over each list, or with `plain` products / sum."""
    scores = np.einsum("k...d,k...d->k...", q[_targets(indptr)], _turned(k[indices], rotation)) * q.dtype.type(scale)
    if plain:
        total = numpy_ops.segment_sum(scores, indptr)
        weights = scores / np.repeat(total, np.diff(indptr), axis=0)
    else:
        weights = numpy_ops.segment_softmax(scores if bias is None else scores + bias, indptr)
    out = numpy_ops.segment_sum(weights[..., None] * v[indices], indptr)
    return out if gain is None else out * gain[..., None], weights


def graph_attention_vjp(
    q: Array,
    k: Array,
    v: Array,
    indptr: Array,
    indices: Array,
    weights: Array,
    grad: Array,
    scale: float,
    *,
    grad_weights: Array | None = None,
    rotation: Rotation | None = None,
    totals: Array | None = None,
) -> tuple[Array, Array, Array, Array]:
    """Return the gradients of q, k, v and the scores, or with a rotation of its positions instead of the scores.

    For plain weights, `totals` (M, 1) are the sums of the products of each query.
    """
    rows = _targets(indptr)
    gw = np.einsum("k...d,k...d->k...", grad[rows], v[indices])
    if grad_weights is not None:
        gw += grad_weights
    mean = numpy_ops.segment_sum(weights * gw, indptr)[rows]
    gs = weights * (gw - mean) if totals is None else (gw - mean) / totals[rows, 0]
    scaled = (gs * grad.dtype.type(scale))[..., None]
    turned = _turned(k[indices], rotation)
    dk, dv = np.zeros(k.shape, grad.dtype), np.zeros(v.shape, grad.dtype)
    numpy_ops.scatter_add(dk, indices, _turned(scaled * q[rows], rotation, back=True))
    numpy_ops.scatter_add(dv, indices, weights[..., None] * grad[rows])
    by_scores = gs if rotation is None else scaled[:, 0] * _slopes(q[rows], turned, rotation)
    return numpy_ops.segment_sum(scaled * turned, indptr), dk, dv, by_scores


def graph_turn(
    x: Array,
    indptr: Array,
    indices: Array,
    weights: Array,
    rotation: Rotation,
    *,
    y: Array | None = None,
    order: Array | None = None,
    back: bool = False,
    scale: float = 1.0,
) -> tuple[Array, Array | None]:
    """Return weighted sums of rotated rows of x over each list, and the derivatives of their products with y.

    The derivatives, by the positions, are None without y.
    """
    at = np.arange(len(indices)) if order is None else order
    positions, frequency, interleaved = rotation
    own = positions[at], frequency, interleaved
    turned = _turned(x[indices], own, back=back)
    factors = weights[at] * x.dtype.type(scale)
    slopes = None
    if y is not None:
        slopes = np.zeros(len(weights), x.dtype)
        slopes[at] = factors * _slopes(y[_targets(indptr)], turned, own)
    return numpy_ops.segment_sum(factors[:, None] * turned, indptr), slopes


def _slopes(y: Array, turned: Array, rotation: Rotation) -> Array:
    """Return the derivatives (K,), by the positions, of the products of rows y with rotated rows (K, D)."""
    first, second = numpy_ops.pairs(y.shape[1], rotation[2])
    terms = y[:, second] * turned[:, first] - y[:, first] * turned[:, second]
    return np.asarray(terms @ rotation[1].astype(y.dtype))

"""Kernels on the neighbour lists of a graph: attention, graph attention layers and sums over lists.

As in `kernel_ops`, every function returns None if its kernel does not apply.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from . import products, threads
from .kernel_ops import as_int64, block, current, matmul
from .thresholds import MATMUL_IN_BLAS

Array = np.ndarray
_empty = np.empty


def graph_attention(
    q: Array,
    k: Array,
    v: Array,
    indptr: Array,
    indices: Array,
    scale: float,
    *,
    bias: Array | None = None,
    rotation: tuple[Array, Array, bool] | None = None,
    plain: bool = False,
    gain: Array | None = None,
    out: Array | None = None,
    mixture: Array | None = None,
    need_weights: bool = False,
) -> tuple[Array, Array | None, bool] | None:
    """Attend from every node to its neighbours, reading the arrays of all nodes in place.

    Args:
        q: Queries (M, D) or (M, H, D).
        k: Keys (V, D) or (V, H, D).
        v: Values (V, E) or (V, H, E).
        indptr: CSR row starts (M+1,).
        indices: CSR neighbours (K,).
        scale: Factor of the scores.
        bias: Added to the scores, (K,) or (K, H), in CSR order.
        rotation: If given, the product is q·(k rotated by position · frequency): positions (K,), frequency (D // 2,),
            and whether coordinate pairs are adjacent.
        plain: Whether the weights are the products divided by their sum, without exponentials. The result is None if a
            product is too small.
        gain: Factors of the output (M, [H]). A row with factor 0 is not computed unless weights are needed.
        out: With a gain, the array to which the output times the gain is added (also if the result is None); zeros by
            default.
        mixture: With a gain, the array (K,) to which the weights times the gain, averaged over the heads, are added.
        need_weights: Whether to return the weights.

    Returns:
        Output (M, E) or (M, H, E), weights (K,) or (K, H) in CSR order or None, and whether everything read was finite.
    """
    whole = _room((*q.shape[:-1], v.shape[-1]), q.dtype, gain) if out is None else out
    weights = _empty((indices.shape[0], *q.shape[1:-1]), q.dtype) if need_weights else None
    starts = as_int64(indptr)
    positions, frequency, interleaved = rotation or (None, None, False)

    def attend(rows: slice) -> bool | None:
        own, edges = part_of(starts, rows)
        more, at, some, mixed = (None if x is None else x[edges] for x in (bias, positions, weights, mixture))
        lists = own, indices[edges]
        share = None if gain is None else gain[rows]
        found: bool | None = current().graph_attend(
            *(q[rows], k, v, *lists, more, at, frequency, share, whole[rows], some, mixed),
            *(scale, bool(interleaved), plain),
        )
        return found

    done = threads.run(attend, _row_parts(starts, q, v))
    return None if None in done else (whole, weights, all(done))


def graph_attention_vjp(
    q: Array,
    k: Array,
    v: Array,
    indptr: Array,
    indices: Array,
    transposed: tuple[Array, Array, Array],
    weights: Array,
    grad: Array,
    scale: float,
    keys_are_queries: bool = False,
    values_are_keys: bool = False,
    totals: Array | None = None,
    rotation: tuple[Array, Array, bool] | None = None,
) -> tuple[Array, Array | None, Array | None, Array] | None:
    """Compute the gradients of q, k, v and the scores with their bias for `graph_attention`.

    Args:
        q: Queries, as for `graph_attention`.
        k: Keys, as for `graph_attention`.
        v: Values, as for `graph_attention`.
        indptr: CSR row starts.
        indices: CSR neighbours.
        transposed: The transposed CSR lists: starts (V+1,), the rows that read each key (K,), and their CSR positions.
        weights: The weights that `graph_attention` returned.
        grad: Gradient of the output.
        scale: Factor of the scores, as for `graph_attention`.
        keys_are_queries: Whether to add the gradient of k to that of q.
        values_are_keys: Whether to add the gradient of v to that of k.
        totals: With `plain`, the sums of the products of each query (M, 1).
        rotation: As for `graph_attention`, without heads. The last result is then the gradient of the positions.

    Returns:
        Gradients shaped like q, k, v and the weights. A gradient that was added to another is None.
    """
    dq, dk, dv, dscores = block(
        q.dtype, q.shape, None if keys_are_queries else k.shape, None if values_are_keys else v.shape, weights.shape
    )
    starts = as_int64(indptr)

    def by_row(rows: slice) -> bool | None:
        own, edges = part_of(starts, rows)
        by_query = None if rotation else dq[rows]  # with a rotation, `graph_turn` computes it
        done: bool | None = current().graph_attend_vjp(
            *(grad[rows], k, v, own, indices[edges], weights[edges], dscores[edges], by_query),
            *(scale, totals is not None),
        )
        return done

    if None in threads.run(by_row, _row_parts(starts, q, v)):
        return None
    if totals is not None:
        dq /= totals
        q = q / totals
    by_key = dq if dk is None else dk
    if rotation is not None:
        turned = graph_turn(k, starts, indices, dscores, rotation, dq, y=q, scale=scale)
        back = graph_turn(q, *transposed[:2], dscores, rotation, by_key, order=transposed[2], back=True, scale=scale)
        if turned is None or back is None or graph_sum(grad, *transposed, weights, dv) is None:
            return None
        return dq, dk, dv, turned
    if graph_sum(q, *transposed, dscores, by_key, scale=scale, add=dk is None) is None:
        return None
    graph_sum(grad, *transposed, weights, by_key if dv is None else dv, add=dv is None)
    return dq, dk, dv, dscores


def graph_sum(
    x: Array,
    indptr: Array,
    indices: Array,
    order: Array | None = None,
    weights: Array | None = None,
    out: Array | None = None,
    *,
    scale: float = 1.0,
    add: bool = False,
) -> Array | None:
    """Compute weighted sums of the rows in each list.

    Args:
        x: Rows (V, D) or (V, H, D).
        indptr: Starts of the lists (M+1,).
        indices: Rows of x (K,).
        order: Index of each entry's weight (K,), or None.
        weights: (K',) or (K', H), or None for sums without weights.
        out: Array for the sums (M, [H,] D).
        scale: Factor of the weights.
        add: Whether to add the sums to `out`.

    Returns:
        `out`, or a new array.
    """
    starts = as_int64(indptr)
    result = _empty((len(starts) - 1, *x.shape[1:]), x.dtype) if out is None else out

    def total(rows: slice) -> bool | None:
        own, edges = part_of(starts, rows)
        done: bool | None = current().graph_sum(
            x, own, indices[edges], None if order is None else order[edges], weights, result[rows], scale, add
        )
        return done

    return None if None in threads.run(total, _row_parts(starts, x)) else result


def graph_turn(
    x: Array,
    indptr: Array,
    indices: Array,
    weights: Array,
    rotation: tuple[Array, Array, bool],
    out: Array,
    *,
    y: Array | None = None,
    order: Array | None = None,
    back: bool = False,
    scale: float = 1.0,
) -> Array | None:
    """Compute weighted sums of the rows in each list, rotated by the positions of the entries.

    Args:
        x: Rows (V, D).
        indptr: Starts of the lists (M+1,).
        indices: Rows of x (K,).
        weights: (K',).
        rotation: Positions (K',), frequency (D // 2,), and whether coordinate pairs are adjacent.
        out: Array for the sums (M, D).
        y: Rows (M, D) whose products with the rotated rows are differentiated by the positions, or None.
        order: Index of each entry's weight and position (K,), or None.
        back: Whether to rotate by the negative angle.
        scale: Factor of the weights.

    Returns:
        The weighted derivatives (K',), or an empty array without y.
    """
    starts = as_int64(indptr)
    positions, frequency, interleaved = rotation
    slopes = _empty(0 if y is None else len(weights), x.dtype)

    def total(rows: slice) -> bool | None:
        own, edges = part_of(starts, rows)
        mine = edges if order is None else slice(None)
        some = (None if y is None else y[rows], own, indices[edges], None if order is None else order[edges])
        by_edge = weights[mine], positions[mine], frequency
        derived = None if y is None else slopes[mine]
        done: bool | None = current().graph_turn(x, *some, *by_edge, out[rows], derived, scale, bool(interleaved), back)
        return done

    return None if None in threads.run(total, _row_parts(starts, x)) else slopes


def _room(shape: tuple[int, ...], dtype: np.dtype[Any], gain: Array | None) -> Array:
    """Create an output array: empty if the kernel writes it, zeros if the kernel adds to it (with a gain)."""
    return _empty(shape, dtype) if gain is None else np.zeros(shape, dtype)


def part_of(starts: Array, rows: slice) -> tuple[Array, slice]:
    """Return the starts of the lists `rows`, relative to their first entry, and the slice of their entries."""
    if rows.start == 0:
        return starts[: rows.stop + 1], slice(0, int(starts[rows.stop]))
    own = starts[rows.start : rows.stop + 1]
    return own - own[0], slice(int(own[0]), int(own[-1]))


def _row_parts(starts: Array, *by_node: Array) -> list[slice]:
    """Split the lists into one block per thread. The work per entry is the total row width of these arrays."""
    return threads.blocks(starts, float(starts[-1]) * sum(math.prod(x.shape[1:]) for x in by_node), align=1)


def gat_layer(
    x: Array,
    w: Array,
    a_query: Array,
    a_key: Array,
    indptr: Array,
    indices: Array,
    *,
    negative_slope: float = 0.2,
    edge_scores: Array | None = None,
    gain: Array | None = None,
    out: Array | None = None,
    mixture: Array | None = None,
    need_weights: bool = False,
) -> tuple[Array, Array | None, GatProjection, bool] | None:
    """Compute a graph attention layer: projection, scores, LeakyReLU, softmax and weighted sum.

    Args:
        x: Node features (V, D).
        w: Projections (H, D, E).
        a_query: Score vectors of the attending node (H, E).
        a_key: Score vectors of the neighbour (H, E).
        indptr: CSR row starts (V+1,).
        indices: CSR neighbours (K,).
        negative_slope: Slope of LeakyReLU below 0.
        edge_scores: Added to the scores of each edge before LeakyReLU, (K,) or (K, H).
        gain: As for `graph_attention`, (V,).
        out: As for `graph_attention`, (V, H, E).
        mixture: As for `graph_attention`, (K,).
        need_weights: Whether to return the weights.

    Returns:
        Output (V, H, E), weights (K, H) or None, the projection (`GatProjection`), and whether the output is finite.
    """
    heads, _, width = w.shape
    projection = gat_projection(_product(x, gat_columns(w)), a_query, a_key)
    if out is None:
        out = _room((x.shape[0], heads, width), x.dtype, gain)
    weights = _empty((indices.shape[0], heads), x.dtype) if need_weights else None
    hidden, query, key = projection
    starts = as_int64(indptr)

    def attend(rows: slice) -> bool | None:
        own, edges = part_of(starts, rows)
        more, some, mixed = (None if x is None else x[edges] for x in (edge_scores, weights, mixture))
        share = None if gain is None else gain[rows]
        found: bool | None = current().gat(
            *(hidden, query[rows], key, own, indices[edges], more, share, out[rows], some, mixed),
            float(negative_slope),
        )
        return found

    done = threads.run(attend, _row_parts(starts, hidden))
    return None if None in done else (out, weights, projection, all(done))


class GatProjection(NamedTuple):
    """The projection of the nodes in a graph attention layer: rows (V, H, E) and their terms of the scores (V, H)."""

    hidden: Array
    query: Array
    key: Array


def gat_columns(w: Array) -> Array:
    """Reshape the projections (H, D, E) to one matrix (D, H·E)."""
    return w.swapaxes(0, 1).reshape(w.shape[1], -1)


def gat_projection(y: Array, a_query: Array, a_key: Array) -> GatProjection:
    """Return the projection of the nodes, given their product y (V, H·E) with `gat_columns`."""
    hidden = y.reshape(len(y), *a_query.shape)
    return GatProjection(hidden, head_dots(hidden, a_query), head_dots(hidden, a_key))


def head_dots(x: Array, a: Array) -> Array:
    """Return the dot products (V, H) of rows (V, H, E) and vectors (H, E) for each head."""
    out = _empty(x.shape[:2], x.dtype)

    def dots(rows: slice) -> bool | None:
        done: bool | None = current().head_dots(x[rows], a, out[rows])
        return done

    # A number that is read once takes as long as eight products.
    done = threads.run(dots, threads.blocks(len(x), 8.0 * x.size, align=1)) if current() else [None]
    return np.einsum("vhe,he->vh", x, a) if None in done else out


def _product(a: Array, b: Array) -> Array:
    found = None if MATMUL_IN_BLAS else matmul(a, b)
    return products.matmul(a, b) if found is None else found


def gat_vjp(
    grad: Array,
    hidden: Array,
    query: Array,
    key: Array,
    indptr: Array,
    indices: Array,
    transposed: tuple[Array, Array, Array],
    weights: Array,
    *,
    negative_slope: float = 0.2,
    edge_scores: Array | None = None,
) -> tuple[Array, Array] | None:
    """Compute the gradients of the scores and the projection for `gat_layer`.

    Args:
        grad: Gradient of the output (V, H, E).
        hidden: The projection (V, H, E).
        query: Its products with a_query (V, H).
        key: Its products with a_key (V, H).
        indptr: CSR row starts (V+1,).
        indices: CSR neighbours (K,).
        transposed: The transposed CSR lists, as for `graph_attention_vjp`.
        weights: The weights that `gat_layer` returned (K, H).
        negative_slope: Slope of LeakyReLU below 0.
        edge_scores: Added to the scores of each edge before LeakyReLU, (K, H).

    Returns:
        The gradient of the edges' scores before LeakyReLU (K, H), and those of `hidden` (through the weighted sum
        only), `query` and `key` side by side (V, H·E + 2·H).
    """
    nodes, heads, width = hidden.shape
    inner = heads * width
    whole, dscores = block(grad.dtype, (nodes, inner + 2 * heads), weights.shape)
    by_value = whole[:, :inner].reshape(hidden.shape)
    by_query, by_key = whole[:, inner : inner + heads], whole[:, inner + heads :]
    starts = as_int64(indptr)

    def by_row(rows: slice) -> bool | None:
        own, edges = part_of(starts, rows)
        more = None if edge_scores is None else edge_scores[edges]
        done: bool | None = current().gat_vjp(
            *(grad[rows], hidden, query[rows], key, own, indices[edges], more, weights[edges]),
            *(dscores[edges], by_query[rows], negative_slope),
        )
        return done

    if None in threads.run(by_row, _row_parts(starts, grad)):
        return None
    if graph_sum(grad, *transposed, weights, by_value) is None:
        return None
    columns, _, order = transposed
    return None if graph_sum(dscores, columns, order, out=by_key) is None else (dscores, whole)

"""NumPy formulations of the operations, which define the kernels' results in tests.

The formulation of a product depends on the platform. Natively, ``@`` uses a BLAS. NumPy for WebAssembly has no BLAS;
there, except for small shapes, a plain `np.einsum` over contiguous rows (without ``optimize=True``) is about twice as
fast.
"""

from __future__ import annotations

import sys
from typing import Final

import numpy as np

from .thresholds import has_blas

#: Below these sizes, ``@`` is faster than einsum even in WebAssembly (measured in Pyodide 314.0.3, NumPy 2.4.3).
EINSUM_MIN_ROWS: Final = 32
EINSUM_MIN_INNER: Final = 48


_prefer_einsum = sys.platform == "emscripten" and not has_blas()


def prefer_einsum(value: bool) -> bool:
    """Set whether matrix products avoid ``@``, for NumPy without BLAS and SIMD loops; return the previous setting."""
    global _prefer_einsum
    before, _prefer_einsum = _prefer_einsum, value
    return before


def matmul(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """``a (..., M, K) @ b (..., K, N)``."""
    if _prefer_einsum and b.shape[-1] >= EINSUM_MIN_ROWS and b.shape[-2] >= EINSUM_MIN_INNER:
        return np.einsum("...ik,...jk->...ij", a, np.ascontiguousarray(b.swapaxes(-1, -2)))
    return np.matmul(a, b)


def matmul_nt(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """``a (..., M, K) @ b (..., N, K)ᵀ``."""
    if _prefer_einsum and b.shape[-2] >= EINSUM_MIN_ROWS and b.shape[-1] >= EINSUM_MIN_INNER:
        return np.einsum("...ik,...jk->...ij", a, b)
    return np.matmul(a, b.swapaxes(-1, -2))


def matmul_tn(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """``a (..., K, M)ᵀ @ b (..., K, N)``."""
    if a.shape[-2] == 1:  # a BLAS is slow for outer products
        return np.multiply(a.swapaxes(-1, -2), b)
    return matmul(a.swapaxes(-1, -2), b)


def exp(x: np.ndarray) -> np.ndarray:
    """Compute the elementwise exponential."""
    return np.exp(x)


def softmax(x: np.ndarray) -> np.ndarray:
    """Compute softmax over the last axis. A row of -inf gives zeros."""
    top = np.maximum.reduce(x, axis=-1, keepdims=True)
    bounded = np.logical_and.reduce(np.isfinite(top), axis=None)
    if not bounded:
        top = np.where(np.isneginf(top), x.dtype.type(0), top)
    w: np.ndarray = np.exp(x - top)
    total = np.add.reduce(w, axis=-1, keepdims=True)
    if not bounded:  # otherwise the largest term of every row is 1
        total[total == 0] = 1
    w /= total
    return w


def favor_exponentials(x: np.ndarray, projection: np.ndarray, *, is_query: bool, shift: bool = False) -> np.ndarray:
    """Compute exp(x Wᵀ·D^(-1/4) - |x|²/(2√D) - stabiliser), the core of FAVOR+ features: (..., N, D) → (..., N, m).

    The stabiliser is the maximum of x Wᵀ·D^(-1/4), or with `shift` of the whole exponent. It is taken over each row
    for queries and over each leading index for keys.
    """
    root = x.dtype.type(x.shape[-1] ** -0.25)
    z = matmul_nt(x * root, projection)
    h = z - 0.5 * np.einsum("...d,...d->...", x, x)[..., None] * (root * root)
    return np.exp(h - (h if shift else z).max(axis=-1 if is_query else (-2, -1), keepdims=True))


def segment_sum(x: np.ndarray, indptr: np.ndarray) -> np.ndarray:
    """Sum the rows of `x (K, ...)` between consecutive `indptr (V+1,)`: (V, ...)."""
    counts = np.diff(indptr)
    out = np.zeros((counts.size, *x.shape[1:]), dtype=x.dtype)
    rows = np.flatnonzero(counts)
    if rows.size:
        out[rows] = np.add.reduceat(x, indptr[rows], axis=0)
    return out


def segment_max(x: np.ndarray, indptr: np.ndarray) -> np.ndarray:
    """Return the maxima of the rows of `x (K, ...)` between consecutive `indptr`. An empty segment gives -inf."""
    counts = np.diff(indptr)
    out = np.full((counts.size, *x.shape[1:]), -np.inf, dtype=x.dtype)
    rows = np.flatnonzero(counts)
    if rows.size:
        out[rows] = np.maximum.reduceat(x, indptr[rows], axis=0)
    return out


def segment_softmax(scores: np.ndarray, indptr: np.ndarray) -> np.ndarray:
    """Compute softmax of `scores (K, ...)` within each segment. A segment of -inf gives zeros."""
    counts = np.diff(indptr)
    top = segment_max(scores, indptr)
    top[np.isneginf(top)] = 0
    w = np.exp(scores - np.repeat(top, counts, axis=0))
    total = segment_sum(w, indptr)
    total[total == 0] = 1
    w /= np.repeat(total, counts, axis=0)
    return w


def scatter_add(target: np.ndarray, index: np.ndarray, rows: np.ndarray) -> None:
    """Add ``target[index[i]] += rows[i]`` for every i, in place. Repeated indices accumulate."""
    order = np.argsort(index, kind="stable")
    ordered = index[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    if order.size:
        target[ordered[starts]] += np.add.reduceat(rows[order], starts, axis=0)


def attention(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    *,
    scale: float,
    mask: np.ndarray | None = None,
    causal: bool = False,
    block_size: int = 128,
) -> tuple[np.ndarray, np.ndarray]:
    """Compute exact attention in tiles of keys: output (..., M, E) and softmax statistics (..., M, 2).

    The extra memory is O(M). The statistics of a row are the maximum of its scores (-inf if nothing is visible) and the
    sum of exp(score - maximum). A single log-sum-exp would lose the sum if the maximum is large.
    """
    m_rows, n_keys = q.shape[-2], k.shape[-2]
    batch = np.broadcast_shapes(q.shape[:-2], k.shape[:-2], v.shape[:-2])
    dtype = q.dtype
    if mask is not None:
        mask = np.broadcast_to(mask, (*np.broadcast_shapes(batch, mask.shape[:-2]), m_rows, n_keys))
    out = np.empty((*batch, m_rows, v.shape[-1]), dtype)
    stats = np.empty((*batch, m_rows, 2), dtype)
    for i in range(0, m_rows, block_size):
        rows = slice(i, min(i + block_size, m_rows))
        count = rows.stop - i
        top = np.full((*batch, count, 1), -np.inf, dtype)
        total = np.zeros((*batch, count, 1), dtype)
        acc = np.zeros((*batch, count, v.shape[-1]), dtype)
        stop = min(n_keys, rows.stop) if causal else n_keys
        for j in range(0, stop, block_size):
            cols = slice(j, min(j + block_size, stop))
            s = _tile_scores(q, k, scale, mask, causal, rows, cols)
            new = np.maximum(top, s.max(axis=-1, keepdims=True))
            base = np.where(np.isneginf(new), dtype.type(0), new)
            p = np.exp(s - base)
            shrink = np.exp(top - base)
            total = total * shrink + p.sum(axis=-1, keepdims=True)
            acc = acc * shrink + matmul(p, v[..., cols, :])
            top = new
        alive = total != 0  # True for NaN, which must not be hidden
        np.divide(acc, total, out=out[..., rows, :], where=np.broadcast_to(alive, acc.shape))
        out[..., rows, :][np.broadcast_to(~alive, acc.shape)] = 0
        stats[..., rows, :1], stats[..., rows, 1:] = top, total
    return out, stats


def attend_few_vjp(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    weights: np.ndarray,
    grad: np.ndarray,
    *,
    scale: float,
    grad_weights: np.ndarray | None = None,
    squares: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Compute the gradients of q, k, v and the scores in softmax(scale · q·kᵀ + bias) · v, given weights (..., M, N).

    Where a weight is zero, its gradient is ignored, even if it is not finite. With `squares`, see `less_squares`.
    """
    gw = matmul_nt(grad, v) if grad_weights is None else matmul_nt(grad, v) + grad_weights
    gw = np.where(weights == 0, gw.dtype.type(0), gw)
    gs = weights * (gw - np.einsum("...n,...n->...", weights, gw)[..., None])
    scaled = gs * q.dtype.type(scale)
    gk = matmul_tn(scaled, q)
    gk, last = less_squares(gs, gk, k, scale) if squares else (gk, gs)
    return matmul(scaled, k), gk, matmul_tn(weights, grad), last


def less_squares(gs: np.ndarray, gk: np.ndarray, k: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradient of k for scores that contain -scale · |k|², and Σ gs · |k|², (..., M, 1).

    Args:
        gs: Gradients of the scores (..., M, N).
        gk: Gradient of k (..., N, D) through the other terms.
        k: Keys (..., N, D).
        scale: Factor of the scores.
    """
    by_key = gs.sum(axis=-2)[..., None] * k.dtype.type(2 * scale)
    return gk - by_key * k, matmul(gs, np.einsum("...d,...d->...", k, k)[..., None])


def attention_vjp(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray,
    out: np.ndarray,
    stats: np.ndarray,
    grad: np.ndarray,
    *,
    scale: float,
    mask: np.ndarray | None = None,
    causal: bool = False,
    block_size: int = 128,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Compute the gradients of q, k and v for `attention`, recomputing the weights in tiles.

    The gradients have the batch axes of the output.
    """
    m_rows, n_keys = q.shape[-2], k.shape[-2]
    batch = out.shape[:-2]
    if mask is not None:
        mask = np.broadcast_to(mask, (*np.broadcast_shapes(batch, mask.shape[:-2]), m_rows, n_keys))
    gq = np.zeros((*batch, m_rows, q.shape[-1]), q.dtype)
    gk = np.zeros((*batch, n_keys, k.shape[-1]), q.dtype)
    gv = np.zeros((*batch, n_keys, v.shape[-1]), q.dtype)
    delta = np.einsum("...e,...e->...", out, grad)[..., None]
    hidden = stats[..., 1:] == 0  # rows that see nothing: every weight is 0
    top, total = np.where(hidden, 0, stats[..., :1]), np.where(hidden, 1, stats[..., 1:])
    for i in range(0, m_rows, block_size):
        rows = slice(i, min(i + block_size, m_rows))
        stop = min(n_keys, rows.stop) if causal else n_keys
        g = grad[..., rows, :]
        for j in range(0, stop, block_size):
            cols = slice(j, min(j + block_size, stop))
            s = _tile_scores(q, k, scale, mask, causal, rows, cols)
            p = np.exp(s - top[..., rows, :]) / total[..., rows, :]
            gs = p * (matmul_nt(g, v[..., cols, :]) - delta[..., rows, :]) * q.dtype.type(scale)
            gv[..., cols, :] += matmul_tn(p, g)
            gq[..., rows, :] += matmul(gs, k[..., cols, :])
            gk[..., cols, :] += matmul_tn(gs, q[..., rows, :])
    return gq, gk, gv


def _tile_scores(
    q: np.ndarray,
    k: np.ndarray,
    scale: float,
    mask: np.ndarray | None,
    causal: bool,
    rows: slice,
    cols: slice,
) -> np.ndarray:
    s = matmul_nt(q[..., rows, :], k[..., cols, :]) * q.dtype.type(scale)
    if mask is not None:
        tile = mask[..., rows, cols]
        s = np.where(tile, s, -np.inf) if tile.dtype == np.bool_ else s + tile
    if causal and cols.stop - 1 > rows.start:
        seen = np.arange(cols.start, cols.stop) <= np.arange(rows.start, rows.stop)[:, None]
        s = np.where(seen, s, -np.inf)
    result: np.ndarray = s.astype(q.dtype, copy=False)
    return result


def rotate(x: np.ndarray, positions: np.ndarray, frequency: np.ndarray, interleaved: bool) -> np.ndarray:
    """Rotate pair i of x (..., D) by position (...) · frequency (D // 2,). A last odd coordinate stays unchanged."""
    d = x.shape[-1]
    # Compute angles in double precision: a float32 angle of 10⁴ has an error of 10⁻³.
    angle = positions[..., None].astype(np.float64) * frequency
    cos, sin = np.cos(angle).astype(x.dtype), np.sin(angle).astype(x.dtype)
    first, second = pairs(d, interleaved)
    out = np.empty(np.broadcast_shapes(x.shape, (*positions.shape, d)), x.dtype)
    out[..., 2 * len(frequency) :] = x[..., 2 * len(frequency) :]
    out[..., first] = x[..., first] * cos - x[..., second] * sin
    out[..., second] = x[..., first] * sin + x[..., second] * cos
    return out


def pairs(d: int, interleaved: bool) -> tuple[slice, slice]:
    """Return slices of the first and second coordinates of the D // 2 pairs: (2i, 2i + 1), or (i, i + D // 2)."""
    half = d // 2
    if interleaved:
        return slice(0, 2 * half, 2), slice(1, 2 * half, 2)
    return slice(0, half), slice(half, 2 * half)

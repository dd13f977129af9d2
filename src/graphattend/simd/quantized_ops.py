"""Products with a matrix of integer codes, computed in blocks so that the whole matrix is never decoded at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .numpy_ops import matmul, matmul_nt

#: Largest number of decoded elements in memory.
BLOCK: int = 1 << 18


def int8_scores(
    q: np.ndarray, codes: np.ndarray, scale: np.ndarray, zero_point: np.ndarray, group_size: int | None = None
) -> np.ndarray:
    """Compute the scores ``q (..., M, D) @ ((codes (..., N, D) − zero_point) · scale)ᵀ``, (..., M, N).

    `scale` has the dtype of q and `zero_point` is int8. Their shape is (), (..., N), or with `group_size` (..., N, G),
    where each of the G entries covers `group_size` consecutive coordinates (the last may cover fewer). `zero_point` may
    always be ().
    """
    batch = np.broadcast_shapes(q.shape[:-2], codes.shape[:-2])
    out = np.empty((*batch, q.shape[-2], codes.shape[-2]), q.dtype)
    total = q.sum(axis=-1, keepdims=True) if group_size is None and zero_point.any() else None
    for rows in _blocks(codes):
        s, z = _rows_of(scale, codes, rows), _rows_of(zero_point, codes, rows)
        if group_size is not None:
            out[..., rows] = matmul_nt(q, _decode_groups(codes[..., rows, :], s, z, group_size))
            continue
        # With one scale per row, scale and zero point can be factored out of the sum over D.
        block = matmul_nt(q, codes[..., rows, :].astype(q.dtype))
        if total is not None:
            block -= total * _over_queries(z).astype(q.dtype)
        block *= _over_queries(s)
        out[..., rows] = block
    return out


def int8_combine(
    w: np.ndarray, codes: np.ndarray, scale: np.ndarray, zero_point: np.ndarray, group_size: int | None = None
) -> np.ndarray:
    """Compute ``w (..., M, N) @ ((codes (..., N, D) − zero_point) · scale)``, (..., M, D); see `int8_scores`."""
    batch = np.broadcast_shapes(w.shape[:-2], codes.shape[:-2])
    out = np.zeros((*batch, w.shape[-2], codes.shape[-1]), w.dtype)
    for rows in _blocks(codes):
        s, z = _rows_of(scale, codes, rows), _rows_of(zero_point, codes, rows)
        if group_size is not None:
            out += matmul(w[..., rows], _decode_groups(codes[..., rows, :], s, z, group_size))
            continue
        scaled = w[..., rows] * _over_queries(s)
        out += matmul(scaled, codes[..., rows, :].astype(w.dtype))
        if zero_point.any():
            out -= (scaled * _over_queries(z).astype(w.dtype)).sum(axis=-1, keepdims=True)
    return out


def _blocks(codes: np.ndarray) -> Iterator[slice]:
    """Yield slices of N with at most `BLOCK` elements each, but at least one row."""
    count = codes.shape[-2]
    step = max(1, BLOCK // max(1, codes.size // count))
    return (slice(start, min(start + step, count)) for start in range(0, count, step))


def _rows_of(per_row: np.ndarray, codes: np.ndarray, rows: slice) -> np.ndarray:
    """Return the entries of scale or zero point for these rows."""
    if per_row.ndim == 0:
        return per_row
    axis = codes.ndim - 2
    return per_row[(slice(None),) * axis + (rows,)]


def _over_queries(per_row: np.ndarray) -> np.ndarray:
    """Reshape (..., n) to (..., 1, n), which broadcasts along the columns of scores."""
    return per_row[..., None, :] if per_row.ndim else per_row


def _decode_groups(codes: np.ndarray, scale: np.ndarray, zero_point: np.ndarray, group_size: int) -> np.ndarray:
    k = codes.astype(scale.dtype)
    if zero_point.ndim:
        k -= np.repeat(zero_point, group_size, axis=-1)[..., : k.shape[-1]]
    k *= np.repeat(scale, group_size, axis=-1)[..., : k.shape[-1]]
    return k

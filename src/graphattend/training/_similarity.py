"""Unit vectors, and dot products of anchors with shared or per-anchor vectors, each with its pullback."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .. import simd
from .._vjp import unbroadcast


def row_norm(x: np.ndarray) -> np.ndarray:
    """Compute the Euclidean norm over the last axis (kept) without intermediate overflow or underflow."""
    peak = np.abs(x).max(axis=-1, keepdims=True, initial=0)
    scaled = x / np.where(peak == 0, peak.dtype.type(1), peak)
    return np.asarray(peak * np.sqrt(np.einsum("...d,...d->...", scaled, scaled))[..., None])


def unit_rows(x: np.ndarray) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
    """Divide rows by their norms; return them and the pullback. Tiny rows become zero and have a zero gradient."""
    norm = row_norm(x)
    # If 1/norm came near overflow, a finite cotangent could give an infinite gradient.
    short = norm < np.finfo(x.dtype).tiny * 1e6
    inverse = np.where(short, x.dtype.type(0), 1 / np.where(short, x.dtype.type(1), norm))
    unit = x * inverse

    def pullback(grad: np.ndarray) -> np.ndarray:
        along = np.einsum("...d,...d->...", unit, grad)[..., None]
        return np.asarray((grad - unit * along) * inverse)

    return unit, pullback


def dot_rows(a: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]]:
    """Return the dot products (B, N) of anchors a (B, D) with x, shared (N, D) or per anchor (B, N, D)."""
    if x.ndim == 2:

        def shared(g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            anchors = np.broadcast_to(a, (len(g), a.shape[1]))
            return unbroadcast(simd.matmul(g, x), a.shape), simd.matmul_tn(g, anchors)

        return simd.matmul_nt(a, x), shared

    def pullback(g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        grad_a = simd.matmul(g[:, None, :], x)[:, 0]
        return unbroadcast(grad_a, a.shape), unbroadcast(g[:, :, None] * a[:, None, :], x.shape)

    return simd.matmul_nt(x, a[:, None, :])[..., 0], pullback

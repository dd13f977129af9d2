"""Smoothest eigenvectors of the normalized Laplacian of a large graph. Inputs are not validated."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from .. import simd
from ..errors import NumericalInstabilityError
from . import _csr

if TYPE_CHECKING:
    from .neighbor_graph import NeighborGraph

#: Largest ‖Lx - λx‖ of a unit eigenvector. Filters with a total degree of a few hundred reach it for any spectrum.
TOLERANCE = 1e-4
_MAX_ROUNDS = 100
_MAX_DEGREE = 40
# Largest ratio of a filter's amplification of the first eigenvector to that of the last; float32 must resolve both.
_AMPLIFICATION = 1e3
# Number of rows, and of gathered entries, per step.
_ROWS = 1 << 16
_GATHERED = 1 << 22

Product = Callable[[np.ndarray], np.ndarray]


def smoothest(graph: NeighborGraph, dim: int, seed: int) -> np.ndarray:
    """Return the non-trivial eigenvectors of the largest eigenvalues of M = D^(-1/2) A D^(-1/2), (V, dim) float32."""
    multiply, trivial = _normalized_adjacency(graph)
    size = len(trivial)
    width = min(dim + max(8, dim // 2), size - 1)
    x = np.random.default_rng(seed).standard_normal((size, width), dtype=np.float32)
    x[trivial == 0] = 0  # isolated nodes
    x = _orthonormal(_without(x, trivial))
    for _ in range(_MAX_ROUNDS):
        product = multiply(x)
        values, turn = np.linalg.eigh(_gram(x, product))
        values, turn = values[::-1], turn[:, ::-1].astype(np.float32)
        x, product = x @ turn, product @ turn
        wanted = x[:, :dim]
        residual = product[:, :dim] - wanted * values[:dim].astype(np.float32)
        if _lengths(residual).max() <= TOLERANCE:
            probe = np.cos(np.arange(1.0, size + 1) * math.sqrt(2.0))
            return wanted * np.where(probe @ wanted < 0, np.float32(-1), np.float32(1))
        x = _orthonormal(_without(_filtered(multiply, x, product, values), trivial))
    raise NumericalInstabilityError(
        f"spectral_embedding: expected ‖Lx - λx‖ <= {TOLERANCE:g} within {_MAX_ROUNDS} rounds",
        argument="graph",
        expected=f"<= {TOLERANCE:g}",
        actual=float(_lengths(residual).max()),
    )


def _filtered(multiply: Product, x: np.ndarray, product: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Apply a Chebyshev polynomial of M to x that is small on [-1, least Ritz value] and grows fast above."""
    centre, half = (values[-1] - 1) / 2, max((values[-1] + 1) / 2, 1e-3)
    top = max((values[0] - centre) / half, 1 + 1e-12)
    degree = int(np.clip(math.acosh(_AMPLIFICATION) / math.acosh(top), 2, _MAX_DEGREE))
    # Scale the polynomial so that the first eigenvector keeps its norm.
    scale = first = 1 / top
    c, h = np.float32(centre), np.float32(half)
    before, now = x, (product - c * x) * np.float32(first / half)
    for _ in range(degree - 1):
        following = 1 / (2 / first - scale)
        after = multiply(now)
        after -= c * now
        after *= np.float32(2 * following) / h
        after -= np.float32(scale * following) * before
        before, now, scale = now, after, following
    return now


def _normalized_adjacency(graph: NeighborGraph) -> tuple[Product, np.ndarray]:
    """Return the function x → M x, and the trivial eigenvector D^(1/2) 1 with norm 1."""
    size = graph.num_nodes
    rows = np.concatenate([graph.targets, graph.indices])
    order = np.argsort(rows, kind="stable")
    columns = np.concatenate([graph.indices, graph.targets])[order]
    rows = rows[order]
    weights = np.ones(len(rows)) if graph.edge_weights is None else np.tile(graph.edge_weights, 2)[order]
    degree = np.bincount(rows, weights, size)
    root = np.divide(1.0, np.sqrt(degree), out=np.zeros(size), where=degree > 0)
    entries = (weights * root[rows] * root[columns]).astype(np.float32)
    trivial = np.sqrt(degree)
    trivial /= np.linalg.norm(trivial) or 1.0
    indptr = _csr.indptr_of(rows, size)
    return _scipy_product(entries, columns, indptr) or _numpy_product(entries, columns, indptr), trivial


def _scipy_product(entries: np.ndarray, columns: np.ndarray, indptr: np.ndarray) -> Product | None:
    try:
        from scipy.sparse import csr_array  # type: ignore[import-untyped, unused-ignore]
    except ImportError:
        return None
    size = len(indptr) - 1
    matrix = csr_array((entries, columns, indptr), shape=(size, size))
    return lambda x: np.asarray(matrix @ x)


def _numpy_product(entries: np.ndarray, columns: np.ndarray, indptr: np.ndarray) -> Product:
    def multiply(x: np.ndarray) -> np.ndarray:
        out = np.empty_like(x)
        start = 0
        while start < len(x):
            last = int(np.searchsorted(indptr, indptr[start] + _GATHERED // x.shape[1], side="right")) - 1
            stop = min(max(last, start + 1), len(x))
            part = slice(indptr[start], indptr[stop])
            gathered = x[columns[part]] * entries[part, None]
            out[start:stop] = simd.segment_sum(gathered, indptr[start : stop + 1] - indptr[start])
            start = stop
        return out

    return multiply


def _blocks(size: int) -> list[slice]:
    return [slice(start, start + _ROWS) for start in range(0, size, _ROWS)]


def _gram(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Compute xᵀ y in float64, symmetrized."""
    total = np.zeros((x.shape[1], y.shape[1]))
    for part in _blocks(len(x)):
        total += x[part].astype(np.float64).T @ y[part].astype(np.float64)
    return (total + total.T) / 2


def _lengths(x: np.ndarray) -> np.ndarray:
    squares = np.zeros(x.shape[1])
    for part in _blocks(len(x)):
        squares += np.square(x[part], dtype=np.float64).sum(axis=0)
    return np.sqrt(squares)


def _without(x: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """Subtract from x, in place, its component along a unit vector."""
    shares = np.zeros(x.shape[1])
    for part in _blocks(len(x)):
        shares += direction[part] @ x[part].astype(np.float64)
    for part in _blocks(len(x)):
        x[part] -= np.outer(direction[part], shares)
    return x


def _orthonormal(x: np.ndarray) -> np.ndarray:
    """Return an orthonormal basis of the columns, with zeros for directions that are lost to rounding."""
    for _ in range(2):
        values, vectors = np.linalg.eigh(_gram(x, x))
        kept = values > 1e-12 * max(values[-1], 1e-300)
        x = x @ (vectors * np.where(kept, 1 / np.sqrt(np.where(kept, values, 1.0)), 0.0)).astype(np.float32)
    return x

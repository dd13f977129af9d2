"""Regularisers of embeddings: smoothness over edges, orthogonal columns, norms near a target."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import simd
from .._float64_fallback import float64_fallback
from .._validate import ArrayLike, as_float, as_index, as_number, check_finite, check_length, check_shape, common_dtype
from .._vjp import WithPullback, with_vjp
from ._reduce import Reduction, loss_data, reduced
from ._registries import LOSSES
from ._similarity import row_norm


def scatter_rows(rows: np.ndarray, index: np.ndarray, length: int) -> np.ndarray:
    """Sum the rows (K, D) by index into an array (length, D)."""
    out = np.zeros((length, rows.shape[-1]), rows.dtype)
    simd.scatter_add(out, index, rows)
    return out


def checked_pairs(pairs: ArrayLike, argument: str, num_nodes: int) -> np.ndarray:
    """Check node pairs (2, K) against the number of nodes and return them as int64."""
    index = as_index(pairs, argument, num_nodes, ndim=2)
    check_length(index, argument, 0, 2, "sources, then targets")
    return index


@LOSSES.register("laplacian_regularization")
@with_vjp
@float64_fallback
def laplacian_regularization(
    embeddings: ArrayLike, edges: ArrayLike, edge_weights: ArrayLike | None = None, *, reduction: Reduction = "sum"
) -> WithPullback[Any]:
    """Laplacian regularization: nodes joined by an edge should have similar embeddings.

    The loss is the sum over the edges of w‖x_i - x_j‖². It equals tr(Xᵀ L X) if each undirected edge is listed once;
    `NeighborGraph.laplacian` returns the matrix L. The older name `laplacian` is an alias of this function.

    Args:
        embeddings: (V, D).
        edges: (2, K) node indices.
        edge_weights: (K,), 1 by default; differentiable.
        reduction: "sum" (default) or "mean" over the edges, or "none" for one term per edge.

    Returns:
        A scalar, or (K,) with "none"; 0 without edges.

    Raises:
        OutOfBoundsError: An edge refers to a node that does not exist.
        DimensionMismatchError: Shapes do not fit.
        NumericalInstabilityError: NaN or infinity in the data.

    Source:
        Belkin & Niyogi 2003, "Laplacian Eigenmaps", section 3.

    Example:
        >>> from graphattend.training import laplacian_regularization
        >>> float(laplacian_regularization([[0.0], [1.0], [3.0]], [[0, 1], [1, 2]]))
        5.0
    """
    x = loss_data(embeddings, "embeddings", 2, 2)
    source, target = checked_pairs(edges, "edges", len(x))
    if edge_weights is None:
        w = None
    else:
        w = as_float(edge_weights, "edge_weights", beside=x.dtype)
        check_shape(w, "edge_weights", source.shape)
        check_finite(w, "edge_weights")
        x, w = common_dtype(x, w)
    difference = x[source] - x[target]
    squared = np.einsum("kd,kd->k", difference, difference)
    # Without edges the loss is 0 for every reduction.
    values = squared if w is None else w * squared
    output, spread = reduced(values, reduction if values.size or reduction == "none" else "sum")

    def pullback(grad_output: ArrayLike) -> tuple[np.ndarray | None, ...]:
        g = spread(grad_output)
        rows = (2 * g if w is None else 2 * g * w)[:, None] * difference
        grad = scatter_rows(rows, source, len(x)) - scatter_rows(rows, target, len(x))
        return grad, None, None if w is None else g * squared

    return output, pullback


#: Alias of `laplacian_regularization`, under the name of its first release.
laplacian = LOSSES.register("laplacian")(laplacian_regularization)


@LOSSES.register("orthogonality")
@with_vjp
@float64_fallback
def orthogonality(embeddings: ArrayLike, *, reduction: Reduction = "mean") -> WithPullback[Any]:
    """Orthogonality penalty ‖XᵀX - I‖²_F: the columns should be orthonormal.

    Args:
        embeddings: (N, D), or (..., N, D) for several matrices.
        reduction: "mean" or "sum" over the matrices, or "none" for one loss per matrix.

    Returns:
        A scalar, or the leading shape with "none".

    Raises:
        DimensionMismatchError: Fewer than two axes.
        EmptyInputError: No entries.
        NumericalInstabilityError: NaN or infinity in the data.

    Source:
        Brock et al. 2017, "Neural Photo Editing with Introspective Adversarial Networks", section 3.3 (squared form).

    Example:
        >>> from graphattend.training import orthogonality
        >>> float(orthogonality([[1.0, 0.0], [0.0, 2.0]]))
        9.0
    """
    x = loss_data(embeddings, "embeddings", 2)
    excess = simd.matmul_tn(x, x) - np.eye(x.shape[-1], dtype=x.dtype)
    output, spread = reduced(np.asarray(np.square(excess).sum(axis=(-2, -1))), reduction)

    def pullback(grad_output: ArrayLike) -> tuple[np.ndarray]:
        return (4 * spread(grad_output)[..., None, None] * simd.matmul(x, excess),)

    return output, pullback


@LOSSES.register("norm_penalty")
@with_vjp
@float64_fallback
def norm_penalty(
    embeddings: ArrayLike, target_norm: ArrayLike = 1.0, *, reduction: Reduction = "mean"
) -> WithPullback[Any]:
    """Norm penalty, the mean of (‖x‖ - target)²: every embedding should have a given norm.

    Args:
        embeddings: (D,) or (..., D).
        target_norm: A number or (...), at least 0; differentiable.
        reduction: "mean" or "sum" over the rows, or "none" for one loss per row.

    Returns:
        A scalar, or the leading shape with "none".

    Raises:
        InvalidConfigError: `target_norm` is negative or not a number.
        EmptyInputError: No entries.
        NumericalInstabilityError: NaN or infinity in the data.

    Example:
        >>> from graphattend.training import norm_penalty
        >>> float(norm_penalty([[3.0, 4.0], [0.0, 1.0]], 1.0))
        8.0
    """
    x = loss_data(embeddings, "embeddings", 1)
    target = as_number(target_norm, "target_norm", minimum=0)
    norm = row_norm(x)
    gap = norm - target
    output, spread = reduced(np.asarray(np.square(gap))[..., 0], reduction)

    def pullback(grad_output: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        g = 2 * spread(grad_output)[..., None] * gap
        # The norm is not differentiable at a zero vector; its gradient is taken as 0.
        return g * x / np.where(norm == 0, norm.dtype.type(1), norm), np.asarray(-g.sum())

    return output, pullback

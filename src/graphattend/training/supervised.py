"""Losses with targets: classes of nodes, values to reconstruct, edges to predict."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._float64_fallback import float64_fallback
from .._validate import (
    ArrayLike,
    as_array,
    as_float,
    as_floats,
    as_index,
    as_number,
    check_finite,
    check_nonempty,
    check_shape,
    common_dtype,
)
from .._vjp import WithPullback, with_vjp
from ..errors import InvalidConfigError
from ..functional.gating import sigmoid
from ._reduce import Reduction, loss_data, reduced, softplus
from ._registries import LOSSES
from .regularizers import checked_pairs, scatter_rows


def _chosen_rows(index: ArrayLike, length: int) -> np.ndarray:
    """Convert row indices or a boolean mask to checked indices."""
    rows = as_array(index, "index")
    if rows.dtype == np.bool_:
        check_shape(rows, "index", (length,))
        rows = np.flatnonzero(rows)
    rows = as_index(rows, "index", length, ndim=1)
    check_nonempty(rows, "index")
    return rows


@LOSSES.register("cross_entropy")
@with_vjp
@float64_fallback
def cross_entropy(
    logits: ArrayLike,
    targets: ArrayLike,
    *,
    index: ArrayLike | None = None,
    label_smoothing: float = 0.0,
    reduction: Reduction = "mean",
) -> WithPullback[Any]:
    """Cross-entropy of class logits, for node classification: -log softmax(logits)[target].

    Args:
        logits: (V, C), or (C,) for one node.
        targets: (V,) integers in 0 … C-1, or one integer.
        index: Rows to use (the training nodes), as indices or as a boolean mask (V,); all by default.
        label_smoothing: Fraction of the target, 0 … 1, that is spread evenly over all classes.
        reduction: "mean" or "sum" over the chosen rows, or "none" for one loss per chosen row.

    Returns:
        A scalar, or one loss per chosen row with "none".

    Raises:
        OutOfBoundsError: A target or an index is out of range.
        DimensionMismatchError: Shapes do not fit.
        EmptyInputError: There are no rows, or none is chosen.
        NumericalInstabilityError: NaN or infinity in the logits.

    Source:
        Label smoothing: Szegedy et al. 2016, "Rethinking the Inception Architecture", section 7.

    Example:
        >>> from graphattend.training import cross_entropy
        >>> round(float(cross_entropy([[0.0, 0.0], [9.0, 0.0]], [0, 1], index=[0])), 4)
        0.6931
    """
    full = loss_data(logits, "logits", 1, 2)
    classes = as_index(targets, "targets", full.shape[-1], ndim=full.ndim - 1)
    check_shape(classes, "targets", full.shape[:-1])
    smooth = as_number(label_smoothing, "label_smoothing", minimum=0, maximum=1)
    if index is not None and full.ndim == 1:
        raise InvalidConfigError.of(
            "index", "logits (V, C)", full.shape, text="logits (V, C) to choose rows of", got="one row"
        )
    rows = None if index is None else _chosen_rows(index, len(full))
    z = np.atleast_2d(full if rows is None else full[rows])
    chosen = np.atleast_1d(classes if rows is None else classes[rows])
    shifted = z - z.max(axis=-1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    hit = (np.arange(len(z)), chosen)
    # (1-s)·NLL + s·mean over classes. The second term is omitted for s = 0, to add no rounding error.
    values = -log_p[hit] if smooth == 0 else -(1 - smooth) * log_p[hit] - smooth * log_p.mean(axis=-1)
    output, spread = reduced(values if full.ndim == 2 else values[0], reduction)

    def pullback(grad_output: ArrayLike) -> tuple[np.ndarray, None]:
        g = spread(grad_output).reshape(-1, 1)
        grad = np.exp(log_p) - log_p.dtype.type(smooth / z.shape[-1])
        grad[hit] -= 1 - smooth
        grad *= g
        if rows is None:
            return grad.reshape(full.shape), None
        return scatter_rows(grad, rows, len(full)), None

    return output, pullback


@LOSSES.register("reconstruction")
@with_vjp
@float64_fallback
def reconstruction(
    prediction: ArrayLike, target: ArrayLike, *, index: ArrayLike | None = None, reduction: Reduction = "mean"
) -> WithPullback[Any]:
    """Squared error (x - y)² of a reconstruction, element by element.

    Args:
        prediction: Any shape.
        target: The same shape; differentiable.
        index: Rows to use, as indices (R,) or as a boolean mask (V,); all by default.
        reduction: "mean" or "sum" over all elements, or "none".

    Returns:
        A scalar, or the shape of the input with "none".

    Raises:
        DimensionMismatchError: Shapes differ.
        EmptyInputError: No entries.
        NumericalInstabilityError: NaN or infinity in the data.

    Example:
        >>> from graphattend.training import reconstruction
        >>> float(reconstruction([[1.0, 2.0]], [[0.0, 4.0]]))
        2.5
    """
    prediction, target = as_floats(("prediction", "target"), prediction, target)
    full = loss_data(prediction, "prediction", 0 if index is None else 1)
    y = loss_data(target, "target", 0)
    check_shape(y, "target", full.shape)
    full, y = common_dtype(full, y)
    rows = None if index is None else _chosen_rows(index, len(full))
    difference = full - y if rows is None else full[rows] - y[rows]
    output, spread = reduced(np.asarray(np.square(difference)), reduction)

    def pullback(grad_output: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        grad = np.asarray(difference.dtype.type(2) * spread(grad_output) * difference)
        if rows is not None:
            grad = scatter_rows(grad.reshape(len(rows), -1), rows, len(full)).reshape(full.shape)
        return grad, -grad

    return output, pullback


@LOSSES.register("adjacency_reconstruction")
@with_vjp
@float64_fallback
def adjacency_reconstruction(
    embeddings: ArrayLike,
    pairs: ArrayLike,
    labels: ArrayLike,
    *,
    pos_weight: float = 1.0,
    bias: float = 0.0,
    reduction: Reduction = "mean",
) -> WithPullback[Any]:
    """Inner-product decoder of a graph autoencoder: x_i·x_j + bias is the logit of an edge between i and j.

    The loss is the binary cross-entropy over the listed pairs: all edges and some non-edges, or every pair.

    Args:
        embeddings: (V, D).
        pairs: (2, K) node indices.
        labels: (K,) in 0 … 1: 1 where the pair is an edge.
        pos_weight: Factor of the terms of edges, for few edges among many pairs.
        bias: Added to every logit; negative if most pairs are not edges.
        reduction: "mean" or "sum" over the pairs, or "none" for one loss per pair.

    Returns:
        A scalar, or (K,) with "none".

    Raises:
        OutOfBoundsError: A pair refers to a node that does not exist.
        InvalidConfigError: A label is outside 0 … 1.
        DimensionMismatchError: Shapes do not fit.
        EmptyInputError: There are no pairs.
        NumericalInstabilityError: NaN or infinity in the data.

    Source:
        Kipf & Welling 2016, "Variational Graph Auto-Encoders", eq. 2 and 3.

    Example:
        >>> from graphattend.training import adjacency_reconstruction
        >>> round(float(adjacency_reconstruction([[1.0], [1.0], [-1.0]], [[0, 0], [1, 2]], [1, 0])), 4)
        0.3133
    """
    x = loss_data(embeddings, "embeddings", 2, 2)
    source, target = checked_pairs(pairs, "pairs", len(x))
    check_nonempty(source, "pairs")
    y = as_float(labels, "labels", beside=x.dtype)
    check_shape(y, "labels", source.shape)
    check_finite(y, "labels")
    if y.min() < 0 or y.max() > 1:
        raise InvalidConfigError.of(
            "labels",
            "numbers in 0 … 1",
            (float(y.min()), float(y.max())),
            got=f"{float(y.min()):g} … {float(y.max()):g}",
        )
    positive = as_number(pos_weight, "pos_weight", minimum=0)
    shift = as_number(bias, "bias")
    x, y = common_dtype(x, y)
    left, right = x[source], x[target]
    z = np.einsum("kd,kd->k", left, right) + x.dtype.type(shift)
    values = positive * y * softplus(-z) + (1 - y) * softplus(z)
    output, spread = reduced(values, reduction)

    def pullback(grad_output: ArrayLike) -> tuple[np.ndarray | None, ...]:
        g = spread(grad_output)
        grad_z = (g * ((1 - y) * sigmoid(z) - positive * y * sigmoid(-z)))[:, None]
        grad_x = scatter_rows(grad_z * right, source, len(x)) + scatter_rows(grad_z * left, target, len(x))
        return grad_x, None, g * (positive * softplus(-z) - softplus(z))

    return output, pullback

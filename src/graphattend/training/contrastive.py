"""Contrastive losses: InfoNCE and its graph-local form."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._float64_fallback import float64_fallback
from .._validate import (
    ArrayLike,
    as_array,
    as_bool,
    as_floats,
    as_number,
    broadcast_shapes,
    check_length,
    check_shape,
    common_dtype,
)
from .._vjp import Pullback, WithPullback, with_vjp
from ..errors import InvalidConfigError
from ..functional.gating import sigmoid
from ._reduce import Reduction, loss_data, reduced, softplus
from ._registries import LOSSES
from ._similarity import dot_rows, unit_rows


def _checked_sets(
    names: tuple[str, str, str], *values: ArrayLike
) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], bool]:
    """Check the anchors and their two sets; return them in one dtype, and whether any of them is batched.

    The anchors get a batch axis.
    """
    values = tuple(as_floats(names, *values))
    a = loss_data(values[0], names[0], 1, 2)
    sets = [loss_data(x, name, 1, 3) for x, name in zip(values[1:], names[1:], strict=True)]
    for x, name in zip(sets, names[1:], strict=True):
        check_length(x, name, -1, a.shape[-1], f"the length of {names[0]}")
    batches = [x.shape[:1] for x in sets if x.ndim == 3] + ([a.shape[:1]] if a.ndim == 2 else [])
    broadcast_shapes(" and ".join(names), *batches)
    first, second, third = common_dtype(np.atleast_2d(a), *(np.atleast_2d(x) for x in sets))
    return (first, second, third), bool(batches)


def _checked_mask(mask: ArrayLike | None, argument: str, x: np.ndarray) -> np.ndarray | None:
    if mask is None:
        return None
    m = as_array(mask, argument)
    if m.dtype != np.bool_:
        raise InvalidConfigError.of(
            argument, "booleans", str(m.dtype), text="booleans (True = counts)", got=f"dtype {m.dtype}"
        )
    check_shape(m, argument, x.shape[:-1])
    return m


def _mean_weights(mask: np.ndarray | None, x: np.ndarray) -> np.ndarray:
    """Return weights that average over the positives in the mask; zeros if the mask has none."""
    if mask is None:
        return np.full(x.shape[-2], 1 / x.shape[-2], x.dtype)
    return np.asarray(mask / np.maximum(mask.sum(axis=-1, keepdims=True), 1), x.dtype)


def _log_sum_exp(s: np.ndarray) -> np.ndarray:
    """Compute the log-sum-exp over the last axis (kept); -inf for a row of -inf."""
    peak = s.max(axis=-1, keepdims=True)
    peak = np.where(np.isneginf(peak), s.dtype.type(0), peak)
    total = np.exp(s - peak).sum(axis=-1, keepdims=True)
    with np.errstate(divide="ignore"):  # log 0 = -inf is correct for a row without negatives
        return np.asarray(np.log(total) + peak)


def _contrast(
    arrays: tuple[np.ndarray, np.ndarray, np.ndarray],
    batched: bool,
    masks: tuple[np.ndarray | None, np.ndarray | None],
    temperature: float,
    normalize: bool,
    reduction: Reduction,
) -> tuple[Any, Pullback]:
    """Compute InfoNCE as softplus(logsumexp(negatives) - positive), which takes no exponential of a large number."""
    units = [unit_rows(x) if normalize else (x, lambda g: g) for x in arrays]
    (a, a_back), (p, p_back), (n, n_back) = units
    inverse = 1 / temperature
    s_p, sp_back = dot_rows(a, p)
    s_n, sn_back = dot_rows(a, n)
    s_n = s_n * inverse
    if masks[1] is not None:
        s_n = np.where(masks[1], s_n, s_n.dtype.type(-np.inf))
    total = _log_sum_exp(s_n)
    z = total - s_p * inverse
    weights = _mean_weights(masks[0], p)
    per_sample = (softplus(z) * weights).sum(axis=-1)
    output, spread = reduced(per_sample if batched else per_sample[0], reduction)

    def pullback(grad_output: ArrayLike) -> tuple[np.ndarray, ...]:
        g = spread(grad_output).reshape(-1, 1)
        grad_z = g * weights * sigmoid(z) * inverse
        shift = np.where(np.isneginf(total), total.dtype.type(0), total)
        grad_n = grad_z.sum(axis=-1, keepdims=True) * np.exp(s_n - shift)
        ga_p, gp = sp_back(-_rows(grad_z, s_p))
        ga_n, gn = sn_back(_rows(grad_n, s_n))
        return a_back(ga_p + ga_n), p_back(gp), n_back(gn)

    return output, pullback


def _rows(grad: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Sum the gradient over the batch if the batch shared the scores."""
    return grad if len(grad) == len(like) else grad.sum(axis=0, keepdims=True)


def _in_shape(pullback: Pullback, *inputs: ArrayLike) -> Pullback:
    """Return the pullback with its gradients reshaped like the caller's arrays."""
    shapes = [np.shape(x) for x in inputs]

    def shaped(grad_output: ArrayLike) -> tuple[np.ndarray, ...]:
        return tuple(g.reshape(shape) for g, shape in zip(pullback(grad_output), shapes, strict=True))

    return shaped


@LOSSES.register("info_nce")
@with_vjp
@float64_fallback
def info_nce(
    anchor: ArrayLike,
    positives: ArrayLike,
    negatives: ArrayLike,
    *,
    temperature: float = 0.07,
    normalize: bool = True,
    reduction: Reduction = "mean",
) -> WithPullback[Any]:
    """InfoNCE: classify each positive among the negatives.

    The loss is the mean over positives p of -log(e^{a·p/τ} / (e^{a·p/τ} + Σ_n e^{a·n/τ})). Vectors are normalised
    first, so the dot products are cosine similarities. A zero vector has similarity 0 to every vector and a zero
    gradient.

    Args:
        anchor: (D,) or (B, D).
        positives: (P, D), shared by all anchors, or (B, P, D). A single positive may be (D,).
        negatives: (N, D) or (B, N, D), likewise.
        temperature: τ > 0.
        normalize: Whether to normalise the vectors; if False, the scores are plain dot products.
        reduction: "mean" or "sum" over the batch, or "none" for one loss per anchor.

    Returns:
        A scalar, or (B,) with "none".

    Raises:
        DimensionMismatchError: Shapes do not fit.
        EmptyInputError: There are no positives or no negatives.
        NumericalInstabilityError: NaN or infinity in the data.

    Source:
        van den Oord et al. 2018, "Representation Learning with Contrastive Predictive Coding", eq. 4.

    Example:
        >>> from graphattend.training import info_nce
        >>> loss = info_nce([1.0, 0.0], [[1.0, 0.0]], [[0.0, 1.0], [-1.0, 0.0]], temperature=1.0)
        >>> round(float(loss), 4)
        0.4076
    """
    arrays, batched = _checked_sets(("anchor", "positives", "negatives"), anchor, positives, negatives)
    tau = as_number(temperature, "temperature", above=0)
    unit = as_bool(normalize, "normalize")
    output, pullback = _contrast(arrays, batched, (None, None), tau, unit, reduction)
    return output, _in_shape(pullback, anchor, positives, negatives)


@LOSSES.register("local_contrastive")
@with_vjp
@float64_fallback
def local_contrastive(
    node: ArrayLike,
    neighbors: ArrayLike,
    non_neighbors: ArrayLike,
    *,
    temperature: float = 0.07,
    neighbor_mask: ArrayLike | None = None,
    non_neighbor_mask: ArrayLike | None = None,
    reduction: Reduction = "mean",
) -> WithPullback[Any]:
    """Graph-local InfoNCE: neighbours are the positives, other nodes are the negatives.

    The formula is that of `info_nce`. For neighbourhoods of unequal size, pad the arrays and mark the valid rows in the
    masks. A node without neighbours (or without non-neighbours) has loss 0.

    Args:
        node: (D,) or (B, D).
        neighbors: (P, D) or (B, P, D).
        non_neighbors: (N, D) or (B, N, D).
        temperature: τ > 0.
        neighbor_mask: Booleans (P,) or (B, P), True = valid; all by default.
        non_neighbor_mask: Booleans (N,) or (B, N), likewise.
        reduction: "mean" or "sum" over the batch, or "none" for one loss per node.

    Returns:
        A scalar, or (B,) with "none".

    Raises:
        DimensionMismatchError: Shapes do not fit.
        EmptyInputError: An array has no entries.
        NumericalInstabilityError: NaN or infinity in the data.

    Source:
        van den Oord et al. 2018, eq. 4, over graph neighbourhoods as in Hamilton et al. 2017 (GraphSAGE), eq. 1.

    Example:
        >>> from graphattend.training import local_contrastive
        >>> loss = local_contrastive([1.0, 0.0], [[2.0, 0.0]], [[0.0, 1.0], [-1.0, 0.0]], temperature=1.0)
        >>> round(float(loss), 4)
        0.4076
    """
    arrays, batched = _checked_sets(("node", "neighbors", "non_neighbors"), node, neighbors, non_neighbors)
    masks = (
        _checked_mask(neighbor_mask, "neighbor_mask", arrays[1]),
        _checked_mask(non_neighbor_mask, "non_neighbor_mask", arrays[2]),
    )
    tau = as_number(temperature, "temperature", above=0)
    output, pullback = _contrast(arrays, batched, masks, tau, True, reduction)
    return output, _in_shape(pullback, node, neighbors, non_neighbors)

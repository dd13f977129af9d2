"""The triplet loss."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._float64_fallback import float64_fallback
from .._validate import ArrayLike, as_floats, as_number, check_shape, common_dtype
from .._vjp import WithPullback, with_vjp
from ._reduce import Reduction, loss_data, reduced
from ._registries import LOSSES
from ._similarity import row_norm


@LOSSES.register("triplet")
@with_vjp
@float64_fallback
def triplet(
    anchor: ArrayLike, positive: ArrayLike, negative: ArrayLike, *, margin: float = 1.0, reduction: Reduction = "mean"
) -> WithPullback[Any]:
    """Triplet loss max(0, ‖a - p‖ - ‖a - n‖ + margin), row by row.

    Args:
        anchor: (..., D).
        positive: The same shape.
        negative: The same shape.
        margin: At least 0.
        reduction: "mean" or "sum" over the rows, or "none" for one loss per row.

    Returns:
        A scalar, or the leading shape with "none".

    Raises:
        DimensionMismatchError: Shapes differ.
        EmptyInputError: No rows.
        NumericalInstabilityError: NaN or infinity in the data.

    Source:
        Schroff et al. 2015, "FaceNet", eq. 2, with distances instead of squared distances.

    Example:
        >>> from graphattend.training import triplet
        >>> float(triplet([0.0, 0.0], [3.0, 4.0], [0.0, 2.0]))
        4.0
    """
    anchor, positive, negative = as_floats(("anchor", "positive", "negative"), anchor, positive, negative)
    a = loss_data(anchor, "anchor", 1)
    p = loss_data(positive, "positive", 1)
    n = loss_data(negative, "negative", 1)
    check_shape(p, "positive", a.shape)
    check_shape(n, "negative", a.shape)
    a, p, n = common_dtype(a, p, n)
    near, far = a - p, a - n
    d_near, d_far = row_norm(near), row_norm(far)
    gap = d_near - d_far + as_number(margin, "margin", minimum=0)
    output, spread = reduced(np.maximum(gap, 0)[..., 0], reduction)

    def pullback(grad_output: ArrayLike) -> tuple[np.ndarray, ...]:
        g = spread(grad_output)[..., None] * (gap > 0)
        # The distance is not differentiable at 0; 0 is the subgradient used there.
        to_near = g * near / np.where(d_near == 0, d_near.dtype.type(1), d_near)
        to_far = g * far / np.where(d_far == 0, d_far.dtype.type(1), d_far)
        return to_near - to_far, -to_near, to_far

    return output, pullback

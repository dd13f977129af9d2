"""The reduction of per-sample losses and its pullback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from .._validate import ArrayLike, as_choice, as_float, check_finite, check_ndim, check_nonempty, check_shape

Reduction = Literal["mean", "sum", "none"]
REDUCTIONS = ("mean", "sum", "none")

#: Maps the cotangent of the reduced loss to the cotangents of the per-sample losses.
Spread = Callable[[Any], np.ndarray]


def loss_data(x: ArrayLike, argument: str, minimum: int, maximum: int | None = None) -> np.ndarray:
    """Check that the data of a loss are finite, non-empty and have the given number of axes; return them as floats."""
    a = as_float(x, argument)
    check_ndim(a, argument, minimum, maximum)
    check_nonempty(a, argument)
    check_finite(a, argument)
    return a


def reduced(values: np.ndarray, reduction: Reduction) -> tuple[Any, Spread]:
    """Reduce per-sample losses; return the loss and its pullback."""
    as_choice(reduction, "reduction", REDUCTIONS)
    dtype, shape = values.dtype, values.shape
    if reduction == "none":
        output = values[()] if values.ndim == 0 else values
        out_shape: tuple[int, ...] = shape
        weight = 1.0
    else:
        weight = 1.0 / values.size if reduction == "mean" else 1.0
        output = dtype.type(values.sum() * weight)
        out_shape = ()

    def spread(grad_output: ArrayLike) -> np.ndarray:
        g = as_float(grad_output, "grad_output", beside=dtype).astype(dtype, copy=False)
        check_shape(g, "grad_output", out_shape)
        return np.broadcast_to(np.asarray(g * weight, dtype), shape)

    return output, spread


def softplus(z: np.ndarray) -> np.ndarray:
    """Compute log(1 + e^z), accurately for large and small z."""
    return np.asarray(np.logaddexp(z.dtype.type(0), z))

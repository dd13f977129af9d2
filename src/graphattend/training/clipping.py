"""Gradient clipping."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from .._validate import as_number
from ._optimizer import Arrays, checked_parameters


def _present(grads: Mapping[str, np.ndarray]) -> Any:
    return {k: g for k, g in grads.items() if g is not None} if isinstance(grads, Mapping) else grads


def global_norm(grads: Mapping[str, Any]) -> float:
    """Compute the Euclidean norm of all gradients, taken as one vector.

    Args:
        grads: Gradients by name; None entries are ignored.

    Returns:
        The norm.

    Raises:
        InvalidConfigError: `grads` is not a mapping from names to arrays.
        NumericalInstabilityError: NaN or infinity in a gradient.

    Example:
        >>> from graphattend.training import global_norm
        >>> global_norm({"a": [3.0], "b": [[4.0]]})
        5.0
    """
    checked = checked_parameters(_present(grads), "grads")
    peaks = [float(np.abs(g).max(initial=0)) for g in checked.values()]
    peak = max(peaks, default=0.0)
    if peak == 0:
        return 0.0
    squares = (np.square(g.astype(np.float64) / peak).sum() for g in checked.values())
    return peak * math.sqrt(sum(float(s) for s in squares))


def clip_by_norm(grads: Mapping[str, Any], max_norm: float) -> Arrays:
    """Scale all gradients by one factor so that their global norm is at most `max_norm`.

    The factor is min(1, max_norm / (norm + 1e-6)), as in PyTorch.

    Args:
        grads: Gradients by name; None entries are dropped.
        max_norm: Above 0.

    Returns:
        New gradients by name.

    Raises:
        InvalidConfigError: `max_norm` is not above 0.
        NumericalInstabilityError: NaN or infinity in a gradient.

    Source:
        Pascanu et al. 2013, "On the difficulty of training recurrent neural networks", algorithm 1.

    Example:
        >>> from graphattend.training import clip_by_norm
        >>> clip_by_norm({"a": [3.0, 4.0]}, 1.0)["a"].round(4)
        array([0.6, 0.8])
    """
    limit = as_number(max_norm, "max_norm", above=0)
    checked = checked_parameters(_present(grads), "grads")
    factor = min(1.0, limit / (global_norm(checked) + 1e-6))
    return {name: np.asarray(g * g.dtype.type(factor)) for name, g in checked.items()}


def clip_by_value(grads: Mapping[str, Any], max_value: float) -> Arrays:
    """Clip every entry of every gradient to ±`max_value`.

    Args:
        grads: Gradients by name; None entries are dropped.
        max_value: Above 0.

    Returns:
        New gradients by name.

    Raises:
        InvalidConfigError: `max_value` is not above 0.
        NumericalInstabilityError: NaN or infinity in a gradient.

    Example:
        >>> from graphattend.training import clip_by_value
        >>> clip_by_value({"a": [3.0, -0.5]}, 1.0)["a"]
        array([ 1. , -0.5])
    """
    limit = as_number(max_value, "max_value", above=0)
    checked = checked_parameters(_present(grads), "grads")
    # A limit beyond the gradients' dtype clips nothing.
    limits = {name: g.dtype.type(min(limit, float(np.finfo(g.dtype).max))) for name, g in checked.items()}
    return {name: np.asarray(np.clip(g, -limits[name], limits[name])) for name, g in checked.items()}

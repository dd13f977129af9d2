"""The results of pullbacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from .._vjp import add_grads as add_grads

Params = Mapping[str, np.ndarray]
Grads = dict[str, np.ndarray]
#: Queries, keys and values.
Arrays = tuple[np.ndarray, np.ndarray, np.ndarray]


class Gradients(NamedTuple):
    """The result of a pullback: gradients of inputs, parameters and given metadata fields, in the shapes of these.

    Example:
        >>> import numpy as np, graphattend as ga
        >>> x = np.eye(3)
        >>> output, pullback = ga.ScaledDotProductAttention(3).vjp(x[0], x, x)
        >>> gradients = pullback(np.ones(3))
        >>> gradients.keys.shape, gradients.parameters
        ((3, 3), {})
    """

    query: np.ndarray
    keys: np.ndarray
    values: np.ndarray
    parameters: Grads
    metadata: Grads = {}  # noqa: RUF012 -- a NamedTuple's default, never mutated


class CoreGradients(NamedTuple):
    """The gradients of the arguments of `_core`. That of v is None if it was added to that of k."""

    q: np.ndarray
    k: np.ndarray
    v: Any
    parameters: Grads
    metadata: Grads


def no_pullback(*_: object) -> Gradients:
    """Placeholder for the pullback of a pass without gradients."""
    raise AssertionError("attend without gradients was asked for")


#: Output, weights (or None if they were not requested or do not exist), and ``pullback(g_out, g_weights)``.
CoreResult = tuple[Any, Any, Callable[[np.ndarray, Any], CoreGradients]]

#: The result of a pass with gradients: output, weights (or None), and ``pullback(grad_output, grad_weights=None)``.
VjpResult = tuple[np.ndarray, np.ndarray | None, Callable[..., Gradients]]

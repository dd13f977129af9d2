"""What pullbacks return."""

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
    """The result of a pullback: one gradient per input, per parameter and per metadata field that was given.

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
    """Gradients of `_core` for its own arguments."""

    q: np.ndarray
    k: np.ndarray
    v: np.ndarray
    parameters: Grads
    metadata: Grads


def no_pullback(*_: object) -> Gradients:
    """In the place of a pullback that nobody asked for."""
    raise AssertionError("attend without gradients was asked for")


#: Output, weights (or None where they are not asked for or do not exist), and ``pullback(g_out, g_weights)``.
CoreResult = tuple[Any, Any, Callable[[np.ndarray, Any], CoreGradients]]

#: Output, weights (or None), and ``pullback(grad_output, grad_weights=None)``: what a pass with gradients returns.
VjpResult = tuple[np.ndarray, np.ndarray | None, Callable[..., Gradients]]

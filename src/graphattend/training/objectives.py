"""Objectives for the trainer, built from a mechanism and a loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._validate import ArrayLike
from ..errors import InvalidConfigError

Objective = Callable[[dict[str, np.ndarray], Any, np.random.Generator], tuple[Any, Any]]


def graph_objective(model: Any, graph: object, queries: ArrayLike, loss: Callable[[np.ndarray, Any], Any]) -> Objective:
    """Build the objective for `Trainer` of a mechanism that attends over a whole graph.

    Each step computes the output of every node, (V, E), and the loss on the batch.

    Args:
        model: A mechanism, or an object with `with_parameters` and `attend_vjp`. Dropout is active.
        graph: The graph.
        queries: (V, D) features of the nodes.
        loss: ``loss(output, batch)`` returns (value, pullback), like `ga.vjp`:
            ``lambda output, nodes: ga.vjp(cross_entropy, output, labels, index=nodes)``.

    Returns:
        ``objective(params, batch, rng)``, which returns (loss, gradients by parameter).

    Raises:
        InvalidConfigError: `model` lacks these methods, or `loss` is not a function.

    Example:
        >>> import numpy as np, graphattend as ga
        >>> from graphattend.training import graph_objective
        >>> class Scale:
        ...     def with_parameters(self, p):
        ...         self.w = p["w"]
        ...         return self
        ...     def attend_vjp(self, graph, x):
        ...         return self.w * x, lambda g: ga.Gradients(g, None, None, {"w": np.sum(g * x)})
        >>> loss = lambda output, batch: ga.vjp(ga.training.reconstruction, output, np.ones((2, 1)))
        >>> objective = graph_objective(Scale(), None, np.array([[1.0], [2.0]]), loss)
        >>> value, grads = objective({"w": np.array(0.0)}, None, None)
        >>> float(value), float(grads["w"])
        (1.0, -3.0)
    """
    for method in ("with_parameters", "attend_vjp"):
        if not callable(getattr(model, method, None)):
            raise InvalidConfigError.of("model", method, type(model).__name__, text=f"a mechanism with {method}")
    if not callable(loss):
        raise InvalidConfigError.of("loss", "a function", type(loss).__name__, text="a function of (output, batch)")

    def objective(params: dict[str, np.ndarray], batch: object, rng: np.random.Generator) -> tuple[Any, Any]:
        options = {"training": True, "rng": rng} if getattr(model, "dropout", 0) else {}
        output, pullback = model.with_parameters(params).attend_vjp(graph, queries, **options)
        value, back = loss(output, batch)
        return value, pullback(back(1.0)[0]).parameters

    return objective

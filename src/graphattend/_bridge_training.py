"""Training for JavaScript: a run over a whole graph, driven a few steps at a time by its event loop."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from ._validate import as_float, as_index, as_number, check_length
from ._vjp import vjp
from .errors import InvalidConfigError
from .mechanisms._base import Attention

#: Seconds of steps per request: long enough that requests cost little, short enough for smooth progress.
SLICE = 0.05
#: Optimizers that can be named.
OPTIMIZERS = ("Adam", "AdamW", "SGD", "RMSprop")


class Training:
    """One run.

    Args:
        attn: The mechanism.
        graph: A `NeighborGraph` with V nodes.
        features: (V, D).
        labels: (V,) classes, for cross entropy; or None.
        targets: (V, E) wanted outputs, for the mean squared error; or None.
        nodes: Nodes that count, None for all.
        options: ``optimizer, lr, epochs, batchSize, seed, patience``.
    """

    def __init__(
        self, attn: Attention, graph: Any, features: Any, labels: Any, targets: Any, nodes: Any, options: Any
    ) -> None:
        from . import training
        from ._bridge_calls import snake_names
        from .training.schedules import Schedule

        named = snake_names(options, "options")
        name, lr = named.pop("optimizer", None) or "Adam", named.pop("lr", None)
        if name not in OPTIMIZERS:
            raise InvalidConfigError(f"optimizer: expected one of {', '.join(OPTIMIZERS)}", argument="optimizer")
        if (labels is None) == (targets is None):
            raise InvalidConfigError("labels: expected either labels or targets", argument="labels")
        if not set(named) <= {"epochs", "batch_size", "seed", "patience"}:
            unknown = sorted(set(named) - {"epochs", "batch_size", "seed", "patience"})[0]
            raise InvalidConfigError(f"{unknown}: no such option", argument=unknown)
        self._attn = attn
        rate = (
            {"lr": lr if isinstance(lr, Schedule) else as_number(lr, "lr", above=0)}
            if lr is not None
            else {"lr": 0.01}
            if name == "SGD"
            else {}
        )
        optimizer = getattr(training, name)(**rate)
        x = as_float(features, "features")
        chosen = np.arange(x.shape[0]) if nodes is None else as_index(nodes, "nodes", x.shape[0], ndim=1)
        objective = training.graph_objective(attn, graph, x, _loss(labels, targets, x.shape[0]))
        trainer = training.Trainer(objective, optimizer, **named)
        self._session = trainer.session(attn.parameters(), training.Nodes(chosen))

    def steps(self) -> dict[str, Any] | None:
        """Steps for about SLICE seconds; the progress after the last one, None when there are no more."""
        end = time.perf_counter() + SLICE
        progress = None
        while (found := self._session.step()) is not None:
            progress = vars(found)
            if time.perf_counter() >= end:
                break
        return progress

    def result(self) -> dict[str, Any]:
        """The trained mechanism, the losses and why the run ended."""
        found = self._session.result()
        return {
            "attention": self._attn.with_parameters(found.best_params),
            "losses": list(found.losses),
            "reason": found.reason,
        }


def _loss(labels: Any, targets: Any, size: int) -> Any:
    from .training import cross_entropy, reconstruction

    if labels is not None:
        classes = as_index(labels, "labels", ndim=1)
        check_length(classes, "labels", 0, size, "one per node")
        return lambda output, nodes: vjp(cross_entropy, output, classes, index=nodes)
    wanted = as_float(targets, "targets")
    check_length(wanted, "targets", 0, size, "one row per node")

    def loss(output: np.ndarray, nodes: np.ndarray) -> Any:
        value, pull = vjp(reconstruction, output[nodes], wanted[nodes])

        def pullback(g: Any) -> tuple[np.ndarray]:
            full = np.zeros_like(output)
            full[nodes] = pull(g)[0]
            return (full,)

        return value, pullback

    return loss

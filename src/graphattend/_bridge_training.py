"""Training for JavaScript: a run over a whole graph, driven a few steps at a time by its event loop."""

from __future__ import annotations

import inspect
import time
from typing import Any

import numpy as np

from ._validate import as_float, as_index, as_number, check_length
from ._vjp import vjp
from .errors import InvalidConfigError
from .mechanisms._base import Attention

#: Seconds of steps per request: long enough that requests cost little, short enough for smooth progress.
SLICE = 0.05


class Training:
    """One run.

    Args:
        attn: The mechanism.
        graph: A `NeighborGraph` with V nodes.
        features: (V, D).
        labels: (V,) classes, for cross entropy unless another loss is named; or None.
        targets: (V, E) wanted outputs, for the mean squared error unless another loss is named; or None.
        nodes: Nodes that count, None for all.
        options: ``loss, optimizer, lr, epochs, batchSize, seed, patience``.
    """

    def __init__(
        self, attn: Attention, graph: Any, features: Any, labels: Any, targets: Any, nodes: Any, options: Any
    ) -> None:
        from . import training
        from ._bridge_names import snake_names
        from .training.schedules import Schedule

        named = snake_names(options, "options")
        name, lr = named.pop("optimizer", None) or "Adam", named.pop("lr", None)
        make = training.OPTIMIZERS.find(name, "optimizer")
        loss = named.pop("loss", None)
        if (labels is not None and targets is not None) or (labels is targets is loss is None):
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
        optimizer = make(**rate)
        x = as_float(features, "features")
        chosen = np.arange(x.shape[0]) if nodes is None else as_index(nodes, "nodes", x.shape[0], ndim=1)
        objective = training.graph_objective(attn, graph, x, _loss(labels, targets, loss, x.shape[0]))
        trainer = training.Trainer(objective, optimizer, **named)
        self._session = trainer.session(attn.parameters(), training.Nodes(chosen))

    def steps(self) -> dict[str, Any] | None:
        """Steps for about SLICE seconds; the progress after the last one, None when there are no more."""
        end = time.perf_counter() + SLICE
        progress = None
        while (found := self._session.step()) is not None:
            progress = vars(found) | {"epochLoss": found.epoch_loss}
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


def _loss(labels: Any, targets: Any, loss: Any, size: int) -> Any:
    """The loss of the nodes' output: `loss` by name, or the usual one for labels or for targets."""
    from .training import LOSSES

    if labels is not None:
        wanted = as_index(labels, "labels", ndim=1)
        check_length(wanted, "labels", 0, size, "one per node")
    elif targets is not None:
        wanted = as_float(targets, "targets")
        check_length(wanted, "targets", 0, size, "one row per node")
    function = LOSSES.find(loss or ("reconstruction" if labels is None else "cross_entropy"), "loss")
    given = () if labels is None and targets is None else (wanted,)
    by_node = "index" in inspect.signature(function).parameters
    return lambda output, nodes: vjp(function, output, *given, **({"index": nodes} if by_node else {}))

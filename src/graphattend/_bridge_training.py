"""Training for JavaScript: a full-graph run, driven a few steps at a time by JavaScript's event loop."""

from __future__ import annotations

import contextlib
import inspect
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ._bridge_names import snake_names
from ._bridge_questions import JavaScriptFunction, answers
from ._validate import (
    ArrayLike,
    as_choice,
    as_float,
    as_index,
    as_number,
    check_length,
    check_nonempty,
    check_shape,
    no_such_option,
)
from ._vjp import vjp
from .errors import DimensionMismatchError, InvalidConfigError, LoadError
from .graph import NeighborGraph
from .mechanisms._base import Attention

#: Seconds of training per request: long enough that requests cost little, short enough for smooth progress.
SLICE = 0.05


#: Options that are passed to `Trainer` as they are.
PLAIN = frozenset(
    {"epochs", "batch_size", "seed", "shuffle", "validate_every", "mode", "patience", "min_delta", "clip_norm"}
    | {"clip_value", "checkpoint_every"}
)


class Training:
    """One training run.

    Args:
        attn: The mechanism.
        graph: A `NeighborGraph` with V nodes.
        features: Node features (V, D).
        labels: Classes (V,), or None; the default loss is cross entropy.
        targets: Target outputs (V, E), or None; the default loss is the mean squared error.
        nodes: Indices of the training nodes, None for all.
        options: ``loss`` (a name or a JavaScript function), ``optimizer`` (a name or an object), ``lr``,
            ``validationNodes`` and ``metric`` ("loss" or "accuracy"), ``resume`` (bytes of a checkpoint),
            ``checkpoints`` (whether to return them) and options of `Trainer`.
    """

    def __init__(
        self,
        attn: Attention,
        graph: NeighborGraph,
        features: object,
        labels: object,
        targets: object,
        nodes: object,
        options: object,
    ) -> None:
        from . import training

        named = snake_names(options, "options")
        loss, metric = named.pop("loss", None), named.pop("metric", None)
        metric = as_choice("loss" if metric is None else metric, "metric", ("loss", "accuracy"))
        held_out = named.pop("validation_nodes", None)
        optimizer = _optimizer(named.pop("optimizer", None), named.pop("lr", None))
        resume, wants_checkpoints = named.pop("resume", None), named.pop("checkpoints", False)
        if (labels is not None and targets is not None) or (labels is targets is loss is None):
            raise InvalidConfigError("labels: expected either labels or targets", argument="labels")
        if unknown := sorted(set(named) - PLAIN):
            raise no_such_option(unknown[0], sorted(PLAIN), "train")
        x = as_float(features, "features")
        check_shape(x, "features", (graph.num_nodes, attn.dim))
        chosen = np.arange(x.shape[0]) if nodes is None else as_index(nodes, "nodes", x.shape[0], ndim=1)
        self._attn = attn
        theirs = isinstance(loss, JavaScriptFunction)
        usual = _asking(loss) if theirs else _loss(labels, targets, loss, x.shape[0])
        objective = training.graph_objective(_Remembering(attn) if theirs else attn, graph, x, usual)
        if held_out is not None:
            held = as_index(held_out, "validationNodes", x.shape[0], ndim=1)
            check_nonempty(held, "validationNodes")
            if metric == "accuracy" and labels is None:
                raise InvalidConfigError("metric: accuracy needs labels", argument="metric", actual=metric)
            if metric == "loss" and theirs:
                raise InvalidConfigError("metric: a loss of JavaScript is for training only", argument="metric")

            def validate(params: dict[str, np.ndarray]) -> float:
                output = attn.with_parameters(params).attend(graph, x)
                if metric == "accuracy":
                    return float((output[held].argmax(axis=-1) == np.asarray(labels)[held]).mean())
                return float(usual(output, held)[0])

            named |= {"validate": validate}
            named.setdefault("mode", "max" if metric == "accuracy" else "min")
        trainer = training.Trainer(objective, optimizer, **named)
        if resume is not None and not (isinstance(resume, np.ndarray) and resume.dtype == np.uint8):
            raise InvalidConfigError.of("resume", "the bytes of a checkpoint", type(resume).__name__)
        self._folder = tempfile.TemporaryDirectory() if wants_checkpoints or resume is not None else None
        files: dict[str, Any] = {}
        if self._folder is not None:
            self._file = Path(self._folder.name, "checkpoint.npz")
            if resume is not None:
                self._file.write_bytes(np.ascontiguousarray(resume).tobytes())
            files = {"checkpoint": self._file, "resume": resume is not None}
        self._wants_checkpoints, self._seen = wants_checkpoints, 0
        with contextlib.ExitStack() as on_error:
            if self._folder is not None:
                on_error.callback(self._folder.cleanup)
            try:
                self._session = trainer.session(attn.parameters(), training.Nodes(chosen), **files)
            except LoadError as error:
                raise LoadError(str(error).replace(str(self._file), "resume"), argument="resume") from None
            on_error.pop_all()

    def steps(self) -> dict[str, Any] | None:
        """Train for about SLICE seconds; return the progress after the last step, or None if no step is left."""
        end = time.perf_counter() + SLICE
        progress = None
        while True:
            found = self._session.step()
            if found is None:
                break
            progress = vars(found) | {"epochLoss": found.epoch_loss}
            if self._wants_checkpoints and found.epoch_loss is not None:
                progress["checkpoint"] = self._file.read_bytes()
            # A finished step never runs again: forget its answers. JavaScript gets a turn after each question.
            if answers.settle() or time.perf_counter() >= end:
                break
        return progress

    def cancel(self) -> None:
        """End the run; the parameters trained so far stay."""
        self._session.cancel()

    def result(self) -> dict[str, Any]:
        """Return the trained mechanism, the losses and the reason why the run ended."""
        found = self._session.result()
        if self._folder is not None:
            self._folder.cleanup()
        return {
            "attention": self._attn.with_parameters(found.best_params),
            "losses": list(found.losses),
            "metrics": [list(pair) for pair in found.metrics],
            "best": found.best,
            "bestEpoch": found.best_epoch,
            "steps": found.steps,
            "reason": found.reason,
        }


def _asking(loss: JavaScriptFunction) -> Callable[[np.ndarray, Any], tuple[float, Any]]:
    """Return a loss that a JavaScript function computes."""

    def asked(output: np.ndarray, nodes: object) -> tuple[float, Any]:
        given = loss(output.astype(np.float32, copy=False), nodes)
        if not isinstance(given, dict) or set(given) != {"loss", "gradient"}:
            raise InvalidConfigError.of("loss", "{ loss, gradient }", type(given).__name__)
        value = float(as_number(given["loss"], "loss"))
        g = as_float(given["gradient"], "gradient", beside=output.dtype)
        if g.size != output.size:
            raise DimensionMismatchError.of("gradient", output.shape, g.shape)
        return value, lambda scale: (g.reshape(output.shape).astype(output.dtype, copy=False) * scale,)

    return asked


class _Remembering:
    """A mechanism that remembers its last pass, because a step that asks JavaScript runs again after the answer."""

    def __init__(self, attn: Attention) -> None:
        self._attn = attn
        self._params: Any = None
        self._made: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._attn, name)

    def with_parameters(self, params: dict[str, np.ndarray]) -> _Remembering:
        """Set the parameters; forget the last pass if they have changed."""
        if self._params is None or any(params[n] is not x for n, x in self._params.items()):
            self._params, self._made = params, None
        return self

    def attend_vjp(self, graph: NeighborGraph, queries: ArrayLike, **options: Any) -> Any:
        """Return the mechanism's `attend_vjp` for the current parameters, computed once."""
        if self._made is None:
            self._made = self._attn.with_parameters(self._params).attend_vjp(graph, queries, **options)
        return self._made


def _optimizer(given: object, lr: object) -> Any:
    """Return the optimizer, created from its name and learning rate if it is a name."""
    from . import training
    from .training.schedules import Schedule

    if given is None:
        given = "Adam"
    if not isinstance(given, str):
        if lr is not None:
            raise InvalidConfigError("lr: the optimizer has one already", argument="lr")
        return given
    make = training.OPTIMIZERS.find(given, "optimizer")
    if lr is None:
        return make(lr=0.01) if given == "SGD" else make()
    return make(lr=lr if isinstance(lr, Schedule) else as_number(lr, "lr", above=0))


def _loss(labels: object, targets: object, loss: object, size: int) -> Any:
    """Return the loss of the node outputs by name; the default depends on whether there are labels."""
    from .training import LOSSES

    if labels is not None:
        wanted = as_index(labels, "labels", ndim=1)
        check_length(wanted, "labels", 0, size, "one per node")
    elif targets is not None:
        wanted = as_float(targets, "targets")
        check_length(wanted, "targets", 0, size, "one row per node")
    usual = "reconstruction" if labels is None else "cross_entropy"
    function = LOSSES.find(usual if loss is None else loss, "loss")
    given = () if labels is None and targets is None else (wanted,)
    by_node = "index" in inspect.signature(function).parameters

    def of_nodes(output: np.ndarray, nodes: object) -> Any:
        if labels is not None:
            as_index(wanted, "labels", output.shape[-1])
        return vjp(function, output, *given, **({"index": nodes} if by_node else {}))

    return of_nodes

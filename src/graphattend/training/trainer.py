"""The training loop: mini-batches, validation, early stopping, checkpoints, progress and cancellation."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np

from .._arguments import TypedArguments
from .._validate import ArrayLike, as_bool, as_choice, as_float, as_int, as_number, check_shape
from ..errors import InvalidConfigError, NumericalInstabilityError
from . import _checkpoint
from ._checkpoint import RunState
from ._optimizer import Arrays, Optimizer, checked_parameters
from .balancing import LossBalancer
from .batches import Data, as_data
from .clipping import clip_by_norm, clip_by_value
from .curriculum import CurriculumScheduler
from .objectives import Objective


@dataclasses.dataclass(frozen=True)
class Progress:
    """Progress of a run after a step. Its fields are numbers or None, so it can be passed to JavaScript.

    Args:
        epoch: Current epoch, from 0.
        epochs: Largest number of epochs.
        batch: Completed batches of this epoch.
        batches: All batches of this epoch.
        step: Completed steps of the run.
        loss: Loss of this batch.
        epoch_loss: Mean loss of the epoch, at the end of the epoch.
        metric: Validation metric, at the end of a validated epoch.
        best: Best metric (or epoch loss) so far.
        fraction: Completed fraction of the run, 0 … 1.

    Example:
        >>> from graphattend.training import Progress
        >>> Progress(0, 10, 1, 2, 1, 0.5, None, None, None, 0.05).fraction
        0.05
    """

    epoch: int
    epochs: int
    batch: int
    batches: int
    step: int
    loss: float
    epoch_loss: float | None
    metric: float | None
    best: float | None
    fraction: float


@dataclasses.dataclass(frozen=True)
class FitResult:
    """The result of a run.

    Args:
        params: Parameters after the last step.
        best_params: Parameters of the best epoch; if no epoch was completed, the last parameters.
        best: Best metric, or best mean loss without validation.
        best_epoch: The best epoch, from 0.
        losses: Mean loss of each epoch.
        metrics: (epoch, metric) of each validation.
        steps: Completed steps, including those before a resume.
        reason: "finished", "early_stopping" or "cancelled".
        model: The model with `best_params`, if `fit` was given a model.

    Example:
        >>> from graphattend.training import FitResult
        >>> FitResult({}, {}, None, None, [], [], 0, "finished", None).reason
        'finished'
    """

    params: Arrays
    best_params: Arrays
    best: float | None
    best_epoch: int | None
    losses: list[float]
    metrics: list[tuple[int, float]]
    steps: int
    reason: str
    model: Any


@dataclasses.dataclass(frozen=True)
class Trainer(metaclass=TypedArguments):
    """Train parameters with mini-batches. The same seed gives bitwise equal results, also after a resume.

    Args:
        objective: ``objective(params, batch, rng)`` returns (loss, gradients by name). For several losses it returns
            a mapping of losses and a mapping of gradients by loss. `rng` depends on the seed and the step only.
        optimizer: Any optimizer of this package.
        epochs: Passes over the data.
        batch_size: Samples per step; all by default.
        seed: Seed of the order of the samples, of negatives and of the random numbers of the objective.
        shuffle: Whether to shuffle the samples in every epoch.
        validate: ``validate(params)`` returns the metric; called after every `validate_every` epochs.
        validate_every: Epochs between validations.
        mode: Whether to minimise ("min") or maximise ("max") the metric. Without `validate`, the training loss is
            minimised.
        patience: Stop after this number of consecutive validations (epochs, without `validate`) without improvement.
        min_delta: Smallest change that counts as an improvement.
        clip_norm: Limit on the global norm of the gradients.
        clip_value: Limit on each entry of the gradients, applied before `clip_norm`.
        balancer: Combines several losses; by default they are added.
        curriculum: Its weights multiply the losses. Its difficulty selects samples if `difficulties` are given.
        difficulties: (N,) one number per sample; small numbers are easy.
        checkpoint_every: Epochs between checkpoints.

    Raises:
        InvalidConfigError: An option has the wrong type or is out of range.

    Example:
        >>> import numpy as np
        >>> from graphattend.training import SGD, Trainer
        >>> target = np.array([1.0, 2.0, 3.0])
        >>> def objective(params, nodes, rng):
        ...     error = params["x"] - target[nodes].mean()
        ...     return error**2, {"x": 2 * error}
        >>> result = Trainer(objective, SGD(lr=0.1), epochs=50).fit({"x": np.array(0.0)}, 3)
        >>> round(float(result.params["x"]), 3), result.reason
        (2.0, 'finished')
    """

    objective: Objective
    optimizer: Optimizer
    _: dataclasses.KW_ONLY
    epochs: int = 100
    batch_size: int | None = None
    seed: int = 0
    shuffle: bool = True
    validate: Callable[[Arrays], Any] | None = None
    validate_every: int = 1
    mode: Literal["min", "max"] = "min"
    patience: int | None = None
    min_delta: float = 0.0
    clip_norm: float | None = None
    clip_value: float | None = None
    balancer: LossBalancer | None = None
    curriculum: CurriculumScheduler | None = None
    difficulties: Any = None
    checkpoint_every: int = 1

    def __post_init__(self) -> None:
        for name in ("objective", "validate"):
            if not callable(getattr(self, name)) and not (name == "validate" and self.validate is None):
                raise _wrong(name, "a function", getattr(self, name))
        for name in ("init", "update"):
            if not callable(getattr(self.optimizer, name, None)):
                raise _wrong("optimizer", "an optimizer with init and update", self.optimizer)
        for name, least in (("epochs", 0), ("seed", 0), ("validate_every", 1), ("checkpoint_every", 1)):
            as_int(getattr(self, name), name, minimum=least)
        for name in ("batch_size", "patience"):
            if getattr(self, name) is not None:
                as_int(getattr(self, name), name, minimum=1)
        for name in ("clip_norm", "clip_value"):
            if getattr(self, name) is not None:
                as_number(getattr(self, name), name, above=0)
        as_number(self.min_delta, "min_delta", minimum=0)
        as_bool(self.shuffle, "shuffle")
        as_choice(self.mode, "mode", ("min", "max"))
        if self.balancer is not None and not isinstance(self.balancer, LossBalancer):
            raise _wrong("balancer", "a LossBalancer", self.balancer)
        if self.curriculum is not None and not isinstance(self.curriculum, CurriculumScheduler):
            raise _wrong("curriculum", "a CurriculumScheduler", self.curriculum)
        if self.difficulties is not None and self.curriculum is None:
            raise _wrong("curriculum", "a CurriculumScheduler along with difficulties", None)

    def fit(
        self,
        model: object,
        data: object,
        *,
        on_progress: Callable[[Progress], Any] | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        resume: bool | str | os.PathLike[str] | None = None,
        cancel: object = None,
    ) -> FitResult:
        """Train until the last epoch, early stopping or cancellation.

        On KeyboardInterrupt (Ctrl-C), a checkpoint of the last complete step is written and the exception is re-raised.

        Args:
            model: Parameters by name, or an object with `parameters()` and `with_parameters()`.
            data: `Nodes`, `Pairs`, `Neighborhoods`, `Rows` or another object with batches. A number or an index array
                means `Nodes`, a tuple of arrays means `Rows`.
            on_progress: Called after every step; returning False cancels.
            checkpoint: File (.npz or .safetensors) to write at the start, after epochs, and at the end. It replaces
                an older checkpoint, but never another file.
            resume: True to continue from `checkpoint` if that file exists, or the file to continue from.
            cancel: Object with `is_set()`, such as threading.Event, or a function. A true value cancels after the step.

        Returns:
            A `FitResult`.

        Raises:
            InvalidConfigError: An argument has the wrong type, or the checkpoint belongs to another run.
            NumericalInstabilityError: The loss or a gradient is not finite.
            LoadError: A checkpoint cannot be read or written.
        """
        if on_progress is not None and not callable(on_progress):
            raise _wrong("on_progress", "a function", on_progress)
        cancelled = _as_signal(cancel)
        session = self.session(model, data, checkpoint=checkpoint, resume=resume)
        try:
            while (progress := session.step()) is not None:
                if (on_progress is not None and on_progress(progress) is False) or cancelled():
                    session.cancel()
        except KeyboardInterrupt:
            session.save()
            raise
        session.save()
        return session.result()

    def session(
        self,
        model: object,
        data: object,
        *,
        checkpoint: str | os.PathLike[str] | None = None,
        resume: bool | str | os.PathLike[str] | None = None,
    ) -> Session:
        """Return the same run as a `Session`, which callers with their own event loop drive step by step.

        The arguments are those of `fit`.
        """
        return Session(self, model, data, checkpoint, resume)


class Session:
    """One run of a `Trainer`. The caller calls `step` until it returns None.

    Args:
        trainer: The options.
        model: As for `Trainer.fit`, as are the other arguments.
        data: The samples.
        checkpoint: File to write.
        resume: True to continue from `checkpoint`, or the file to continue from.

    Example:
        >>> import numpy as np
        >>> from graphattend.training import SGD, Trainer
        >>> trainer = Trainer(lambda params, batch, rng: (params["x"] ** 2, {"x": 2 * params["x"]}), SGD(0.5), epochs=3)
        >>> session = trainer.session({"x": np.array(1.0)}, 1)
        >>> while session.step() is not None:
        ...     pass
        >>> float(session.result().params["x"])
        0.0
    """

    def __init__(
        self,
        trainer: Trainer,
        model: Any,
        data: Any,
        checkpoint: str | os.PathLike[str] | None,
        resume: bool | str | os.PathLike[str] | None,
    ) -> None:
        self._trainer = trainer
        self._model = model if callable(getattr(model, "parameters", None)) else None
        if self._model is not None and not callable(getattr(model, "with_parameters", None)):
            raise _wrong("model", "parameters by name, or an object with parameters() and with_parameters()", model)
        params = checked_parameters(model if self._model is None else model.parameters(), "model")
        params = {name: value.copy() for name, value in params.items()}
        self._data: Data = as_data(data)
        self._difficulties = None
        if trainer.difficulties is not None:
            self._difficulties = as_float(trainer.difficulties, "difficulties", beside=np.dtype(np.float64))
            check_shape(self._difficulties, "difficulties", (len(self._data),))
        self._checkpoint = checkpoint
        self._settings = {
            "seed": trainer.seed,
            "batch_size": trainer.batch_size,
            "shuffle": trainer.shuffle,
            "samples": len(self._data),
            "optimizer": type(trainer.optimizer).__name__,
            "balancer": trainer.balancer.method if trainer.balancer else None,
        }
        self._cancelled = False
        self._order: tuple[int, np.ndarray] | None = None
        self._state = RunState(params, trainer.optimizer.init(params), {})
        source = checkpoint if resume is True else resume
        if resume is True and checkpoint is None:
            raise _wrong("resume", "a file, or True along with a checkpoint", resume)
        _check_path(checkpoint, "checkpoint")
        if not (source is None or source is False or isinstance(source, (str, os.PathLike))):
            raise _wrong("resume", "True, False or a file", resume)
        if resume is not True:
            _check_path(source or None, "resume")
        if source and resume and not (resume is True and not os.path.exists(source)):
            self._state = _checkpoint.load(source, self._settings, self._state)
        _checkpoint.check_target(checkpoint)
        self.save()

    def save(self) -> None:
        """Write the checkpoint if a file was given."""
        if self._checkpoint is not None:
            _checkpoint.save(self._checkpoint, self._state, self._settings)

    def cancel(self) -> None:
        """Make the next `step` return None."""
        self._cancelled = True

    def step(self) -> Progress | None:
        """Take one step and return its progress, or None when the run is over.

        Raises:
            NumericalInstabilityError: The loss or a gradient is not finite. The state stays unchanged.
        """
        trainer, state = self._trainer, self._state
        if self._cancelled or state.epoch >= trainer.epochs or state.stopped_early:
            return None
        order = self._epoch_order(state)
        size = min(trainer.batch_size or len(order), len(order))
        batches = -(-len(order) // size)
        index = order[state.batch * size : (state.batch + 1) * size]
        new, loss = self._stepped(state, index)
        ended = new.batch == batches
        metric = epoch_loss = None
        if ended:
            new, epoch_loss, metric = self._epoch_ended(new)
        self._state = new  # the step is complete from here on
        if ended and new.epoch % trainer.checkpoint_every == 0:
            self.save()
        return Progress(
            epoch=state.epoch,
            epochs=trainer.epochs,
            batch=state.batch + 1,
            batches=batches,
            step=new.step,
            loss=loss,
            epoch_loss=epoch_loss,
            metric=metric,
            best=new.best,
            fraction=1.0 if new.stopped_early else (state.epoch + (state.batch + 1) / batches) / trainer.epochs,
        )

    def result(self) -> FitResult:
        """Return the result of the run so far."""
        state = self._state
        best = state.best_params or state.params
        reason = "early_stopping" if state.stopped_early else "finished"
        if self._cancelled and not state.stopped_early and state.epoch < self._trainer.epochs:
            reason = "cancelled"
        return FitResult(
            params={name: value.copy() for name, value in state.params.items()},
            best_params={name: value.copy() for name, value in best.items()},
            best=state.best,
            best_epoch=state.best_epoch,
            losses=list(state.losses),
            metrics=list(zip(state.metric_epochs, state.metrics, strict=True)),
            steps=state.step,
            reason=reason,
            model=None if self._model is None else self._model.with_parameters(best),
        )

    def _epoch_order(self, state: RunState) -> np.ndarray:
        if self._order is None or self._order[0] != state.epoch:
            trainer = self._trainer
            if trainer.curriculum is not None and self._difficulties is not None:
                chosen = trainer.curriculum.select(state.step - state.batch, self._difficulties)
            else:
                chosen = np.arange(len(self._data), dtype=np.int64)
            if trainer.shuffle:
                chosen = np.random.default_rng([trainer.seed, 0, state.epoch]).permutation(chosen)
            self._order = (state.epoch, chosen)
        return self._order[1]

    def _stepped(self, state: RunState, index: np.ndarray) -> tuple[RunState, float]:
        trainer = self._trainer
        rng = np.random.default_rng([trainer.seed, 1, state.step])
        batch = self._data.batch(index, rng)
        result = trainer.objective(dict(state.params), batch, rng)
        if not isinstance(result, tuple) or len(result) != 2:
            raise _wrong("objective", "(loss, gradients)", result)
        loss, grads, balancer = self._combined(*result, state, rng)
        if not np.isfinite(loss):
            raise NumericalInstabilityError(
                f"objective: the loss of step {state.step} is {loss}", argument="objective", actual=loss
            )
        if trainer.clip_value is not None:
            grads = clip_by_value(grads, trainer.clip_value)
        if trainer.clip_norm is not None:
            grads = clip_by_norm(grads, trainer.clip_norm)
        params, optimizer = trainer.optimizer.update(state.params, grads, state.optimizer)
        return dataclasses.replace(
            state,
            params=params,
            optimizer=optimizer,
            balancer=balancer,
            batch=state.batch + 1,
            step=state.step + 1,
            loss_sum=state.loss_sum + loss * len(index),
            samples=state.samples + len(index),
        ), loss

    def _combined(
        self, loss: Any, grads: Any, state: RunState, rng: np.random.Generator
    ) -> tuple[float, Any, dict[str, Any]]:
        trainer = self._trainer
        if not isinstance(loss, Mapping):
            value = as_float(loss, "objective")
            check_shape(value, "objective", ())
            return float(value), grads, state.balancer
        balancer = trainer.balancer or LossBalancer()
        if trainer.curriculum is not None and (weights := trainer.curriculum.weights(state.step)):
            loss = {name: float(value) * weights.get(name, 0.0) for name, value in loss.items()}
            grads = {
                name: {key: np.asarray(g) * np.asarray(g).dtype.type(weights.get(name, 0.0)) for key, g in own.items()}
                for name, own in grads.items()
            }
        return balancer.combine(loss, grads, state.balancer or balancer.init(list(loss)), rng=rng)

    def _epoch_ended(self, state: RunState) -> tuple[RunState, float, float | None]:
        trainer = self._trainer
        epoch_loss = state.loss_sum / state.samples
        changes: dict[str, Any] = {
            "epoch": state.epoch + 1,
            "batch": 0,
            "loss_sum": 0.0,
            "samples": 0,
            "losses": (*state.losses, epoch_loss),
        }
        metric = None
        value: float | None = epoch_loss
        if trainer.validate is not None:
            value = None
            if (state.epoch + 1) % trainer.validate_every == 0 or state.epoch + 1 == trainer.epochs:
                measured = trainer.validate(dict(state.params))
                value = metric = as_number(_plain(measured), "validate")
                changes["metrics"] = (*state.metrics, metric)
                changes["metric_epochs"] = (*state.metric_epochs, state.epoch)
        if value is not None:
            gain = 0.0 if state.best is None else value - state.best
            largest = trainer.mode == "max" and trainer.validate is not None
            if state.best is None or (gain if largest else -gain) > trainer.min_delta:
                changes |= {"best": value, "best_epoch": state.epoch, "best_params": state.params, "stale": 0}
            else:
                changes["stale"] = state.stale + 1
                changes["stopped_early"] = trainer.patience is not None and changes["stale"] >= trainer.patience
        return dataclasses.replace(state, **changes), epoch_loss, metric


def _plain(value: ArrayLike) -> Any:
    return value.item() if isinstance(value, (np.ndarray, np.generic)) and value.size == 1 else value


def _as_signal(cancel: object) -> Callable[[], bool]:
    if cancel is None:
        return lambda: False
    signal = getattr(cancel, "is_set", cancel)
    if not callable(signal):
        raise _wrong("cancel", "an object with is_set(), or a function", cancel)
    return lambda: bool(signal())


def _check_path(path: str | os.PathLike[str] | None, argument: str) -> None:
    """Raise an error if `path` is neither None nor a valid name of a checkpoint."""
    names = (".npz", ".safetensors")
    if path is not None and not (isinstance(path, (str, os.PathLike)) and str(os.fspath(path)).endswith(names)):
        raise _wrong(argument, "a path ending in .npz or .safetensors", path)


def _wrong(argument: str, expected: str, actual: object) -> InvalidConfigError:
    return InvalidConfigError.of(argument, expected, actual, got=f"{actual!r:.80}")

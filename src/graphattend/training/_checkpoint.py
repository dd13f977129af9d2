"""The state of a training run, and its checkpoint file."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import InvalidConfigError, LoadError
from ..storage import load_errors, read_archive, write_archive
from ..storage_checks import check_names
from ._optimizer import Arrays, State

KIND = "training-checkpoint"


@dataclasses.dataclass(frozen=True)
class RunState:
    """The state of a run after a complete step. Every step creates a new state, so an interrupted step changes nothing.

    Random numbers depend on the seed and the step only, so no generator state has to be stored.
    """

    params: Arrays
    optimizer: State
    balancer: State
    epoch: int = 0
    batch: int = 0
    step: int = 0
    #: Sums over the samples of the current epoch.
    loss_sum: float = 0.0
    samples: int = 0
    losses: tuple[float, ...] = ()
    metrics: tuple[float, ...] = ()
    metric_epochs: tuple[int, ...] = ()
    best: float | None = None
    best_epoch: int | None = None
    best_params: Arrays = dataclasses.field(default_factory=dict)
    stale: int = 0
    stopped_early: bool = False


_NUMBERS = ("epoch", "batch", "step", "loss_sum", "samples", "best", "best_epoch", "stale", "stopped_early")
_ARRAYS = ("params", "optimizer", "best_params")
_LISTS = {"losses": np.float64, "metrics": np.float64, "metric_epochs": np.int64}


def check_target(path: str | os.PathLike[str] | None) -> None:
    """Raise an error if the path is a non-empty file that is not a training checkpoint."""
    if isinstance(path, (str, os.PathLike)) and os.path.isfile(path) and os.path.getsize(path):
        try:
            read_archive(path, kind=KIND)
        except LoadError as error:
            raise LoadError(f"{error}; no checkpoint is written over it", argument="checkpoint") from None


def save(path: str | os.PathLike[str], state: RunState, settings: dict[str, Any]) -> None:
    """Write the state. Parameter names are stored in the config, because archive names allow fewer characters."""
    arrays: Arrays = {}
    config: dict[str, Any] = {"kind": KIND, "settings": settings, "balancer": state.balancer}
    config["run"] = {name: getattr(state, name) for name in _NUMBERS}
    for field in _ARRAYS:
        entries = getattr(state, field)
        config[field] = {}
        for i, (name, value) in enumerate(entries.items()):
            if isinstance(value, np.ndarray):
                arrays[f"{field}/{i}"] = value
                config[field][name] = None
            else:
                config[field][name] = int(value)
    for field, dtype in _LISTS.items():
        arrays[f"history/{field}"] = np.array(getattr(state, field), dtype)
    write_archive(path, arrays, config)


def load(path: str | os.PathLike[str], settings: dict[str, Any], start: RunState) -> RunState:
    """Read a state that continues `start`. Its parameters, its optimizer and all settings must match."""
    config, arrays = read_archive(path, kind=KIND)
    with load_errors(path):
        try:
            state, saved = _parse(config, arrays)
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise LoadError(f"{os.fspath(path)}: no training checkpoint ({error!r:.80})", argument="resume") from None
        own = _shapes(start.params)
        if _shapes(state.params) != own or (state.best is not None and _shapes(state.best_params) != own):
            raise LoadError(f"{os.fspath(path)}: holds other parameters than these", argument="resume")
        if _shapes(state.optimizer) != _shapes(start.optimizer):
            raise LoadError(f"{os.fspath(path)}: holds the state of another optimizer", argument="resume")
    for name, value in settings.items():
        if saved.get(name) != value:
            raise InvalidConfigError(
                f"resume: the checkpoint was made with {name} = {saved.get(name)!r:.60}, not {value!r:.60}",
                argument="resume",
                expected=value,
                actual=saved.get(name),
            )
    return state


def _parse(config: dict[str, Any], arrays: Arrays) -> tuple[RunState, dict[str, Any]]:
    fields: dict[str, Any] = {name: config["run"][name] for name in _NUMBERS}
    rest = dict(arrays)
    for name in ("epoch", "batch", "step", "samples", "stale"):
        if type(fields[name]) is not int or fields[name] < 0:
            raise TypeError(name)
    fields["loss_sum"] = float(fields["loss_sum"])
    for field in _ARRAYS:
        fields[field] = {
            name: rest.pop(f"{field}/{i}") if value is None else int(value)
            for i, (name, value) in enumerate(config[field].items())
        }
    for field, dtype in _LISTS.items():
        entries = rest.pop(f"history/{field}")
        if entries.ndim != 1 or entries.dtype != dtype:
            raise TypeError(field)
        fields[field] = tuple(entries.tolist())
    if len(fields["losses"]) != fields["epoch"] or len(fields["metrics"]) != len(fields["metric_epochs"]):
        raise TypeError("history")
    check_names(rest, [])
    return RunState(balancer=dict(config["balancer"]), **fields), dict(config["settings"])


def _shapes(entries: Mapping[str, Any]) -> dict[str, Any]:
    """Return the shape and dtype of each array by name, and "count" for each whole number."""
    return {
        name: (value.shape, str(value.dtype)) if isinstance(value, np.ndarray) else "count"
        for name, value in entries.items()
    }

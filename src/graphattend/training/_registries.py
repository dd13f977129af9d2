"""The registries of training; every loss, optimizer and schedule adds itself where it is defined."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..registry import Registry

#: Losses by name. A loss takes what the model gave first, then its targets: ``loss(output, *targets, **options)``.
LOSSES: Registry[Callable[..., Any]] = Registry("loss")
#: Optimizer classes by name.
OPTIMIZERS: Registry[type[Any]] = Registry("optimizer")
#: Schedule classes by name.
SCHEDULES: Registry[type[Any]] = Registry("schedule")

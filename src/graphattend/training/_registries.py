"""The registries of losses, optimizers and schedules. Each entry is registered where it is defined."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..registry import Registry

#: Losses by name. A loss takes the model's output, then the targets: ``loss(output, *targets, **options)``.
LOSSES: Registry[Callable[..., Any]] = Registry("loss")
#: Optimizer classes by name.
OPTIMIZERS: Registry[type[Any]] = Registry("optimizer")
#: Schedule classes by name.
SCHEDULES: Registry[type[Any]] = Registry("schedule")

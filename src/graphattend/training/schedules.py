"""Learning rates as functions of the step: ``schedule(t)`` for t = 0, 1, 2 and so on."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

from .._arguments import TypedArguments
from .._validate import as_int, as_number
from ..errors import InvalidConfigError
from ._registries import SCHEDULES

__all__ = ["Schedule", "chain", "constant", "cosine", "step", "warmup"]


class Schedule(metaclass=TypedArguments):
    """A learning rate for every step."""

    def __call__(self, t: int) -> float:
        """The rate of step `t`."""
        raise NotImplementedError

    def at(self, t: int) -> float:
        """Return the rate of step `t`, for callers that cannot call an object.

        Example:
            >>> from graphattend.training import schedules
            >>> schedules.warmup(1.0, 4).at(1)
            0.5
        """
        return self(t)


def _step_number(t: object) -> int:
    return as_int(t, "t", minimum=0)


@SCHEDULES.register("constant")
@dataclasses.dataclass(frozen=True)
class constant(Schedule):
    """The same rate at every step.

    Args:
        lr: The rate.

    Raises:
        InvalidConfigError: A rate below 0.

    Example:
        >>> from graphattend.training import schedules
        >>> schedules.constant(0.1)(7)
        0.1
    """

    lr: float

    def __post_init__(self) -> None:
        as_number(self.lr, "lr", minimum=0)

    def __call__(self, t: int) -> float:
        """The rate of step `t`."""
        _step_number(t)
        return float(self.lr)


@SCHEDULES.register("step")
@dataclasses.dataclass(frozen=True)
class step(Schedule):
    """A rate that is multiplied by `gamma` after every `step_size` steps.

    Args:
        lr: The first rate.
        step_size: Steps between changes.
        gamma: The factor.

    Raises:
        InvalidConfigError: An option out of range.

    Example:
        >>> from graphattend.training import schedules
        >>> [schedules.step(1.0, 2, 0.5)(t) for t in range(5)]
        [1.0, 1.0, 0.5, 0.5, 0.25]
    """

    lr: float
    step_size: int
    gamma: float = 0.1

    def __post_init__(self) -> None:
        as_number(self.lr, "lr", minimum=0)
        as_int(self.step_size, "step_size", minimum=1)
        as_number(self.gamma, "gamma", minimum=0)

    def __call__(self, t: int) -> float:
        """The rate of step `t`."""
        return float(self.lr * self.gamma ** (_step_number(t) // self.step_size))


@SCHEDULES.register("warmup")
@dataclasses.dataclass(frozen=True)
class warmup(Schedule):
    """Linear warm-up: lr·(t+1)/warmup_steps, then lr.

    Args:
        lr: The rate after the warm-up.
        warmup_steps: Number of warm-up steps.

    Raises:
        InvalidConfigError: An option out of range.

    Example:
        >>> from graphattend.training import schedules
        >>> [schedules.warmup(1.0, 4)(t) for t in range(5)]
        [0.25, 0.5, 0.75, 1.0, 1.0]
    """

    lr: float
    warmup_steps: int

    def __post_init__(self) -> None:
        as_number(self.lr, "lr", minimum=0)
        as_int(self.warmup_steps, "warmup_steps", minimum=0)

    def __call__(self, t: int) -> float:
        """The rate of step `t`."""
        done = _step_number(t) + 1
        return float(self.lr) if done >= self.warmup_steps else float(self.lr * done / self.warmup_steps)


@SCHEDULES.register("cosine")
@dataclasses.dataclass(frozen=True)
class cosine(Schedule):
    """Cosine annealing from `lr` at step 0 to `min_lr` at `total_steps`, then `min_lr`.

    Args:
        lr: The initial rate.
        total_steps: Number of steps until the final rate.
        min_lr: The final rate.

    Raises:
        InvalidConfigError: An option out of range.

    Source:
        Loshchilov & Hutter 2017, "SGDR", eq. 5, without restarts.

    Example:
        >>> from graphattend.training import schedules
        >>> [round(schedules.cosine(1.0, 4)(t), 4) for t in range(6)]
        [1.0, 0.8536, 0.5, 0.1464, 0.0, 0.0]
    """

    lr: float
    total_steps: int
    min_lr: float = 0.0

    def __post_init__(self) -> None:
        as_number(self.lr, "lr", minimum=0)
        as_int(self.total_steps, "total_steps", minimum=1)
        as_number(self.min_lr, "min_lr", minimum=0)

    def __call__(self, t: int) -> float:
        """The rate of step `t`."""
        done = _step_number(t) / self.total_steps
        if done >= 1:
            return float(self.min_lr)
        return float(self.min_lr + (self.lr - self.min_lr) * 0.5 * (1 + math.cos(math.pi * done)))


@SCHEDULES.register("chain")
class chain(Schedule):
    """A sequence of schedules, each of which counts its steps from 0.

    Args:
        *parts: ``(schedule, steps)`` pairs in order. The last part is a schedule, or a pair whose final rate also
            applies to all later steps. A `warmup` or `cosine` that is not last may be given without `steps`; it then
            lasts its own number of steps.

    Raises:
        InvalidConfigError: There are no parts, or a part is neither a schedule nor a pair.

    Example:
        >>> from graphattend.training import schedules
        >>> lr = schedules.chain(schedules.warmup(1.0, 2), schedules.cosine(1.0, 4))
        >>> [round(lr(t), 4) for t in range(7)]
        [0.5, 1.0, 1.0, 0.8536, 0.5, 0.1464, 0.0]
    """

    def __init__(self, *parts: Callable[[int], float] | tuple[Callable[[int], float], int]) -> None:
        """Check the parts and compute the first step of each."""
        if not parts:
            raise InvalidConfigError("parts: expected at least one schedule", argument="parts", expected="schedules")
        self._parts: list[tuple[int, int | None, Callable[[int], float]]] = []
        start = 0
        for i, part in enumerate(parts):
            schedule, steps = part if isinstance(part, (tuple, list)) and len(part) == 2 else (part, None)
            if steps is None:
                steps = getattr(schedule, "warmup_steps", getattr(schedule, "total_steps", None))
                steps = None if i == len(parts) - 1 else steps
            if not callable(schedule) or (steps is None and i < len(parts) - 1):
                raise InvalidConfigError(
                    f"parts[{i}]: expected (schedule, steps), got {part!r:.80}",
                    argument="parts",
                    expected="(schedule, steps)",
                    actual=part,
                )
            if steps is not None:
                as_int(steps, f"parts[{i}]", minimum=1 if i == len(parts) - 1 else 0)
            self._parts.append((start, steps, schedule))
            start += steps or 0

    def __call__(self, t: int) -> float:
        """The rate of step `t`."""
        now = _step_number(t)
        for start, steps, schedule in self._parts:
            if steps is None or now < start + steps:
                return float(schedule(now - start))
        start, steps, schedule = self._parts[-1]
        return float(schedule((steps or 1) - 1))

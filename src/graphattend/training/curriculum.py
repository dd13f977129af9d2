"""Curricula: the samples to train on and the weights of the losses, as functions of the step."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from .._arguments import TypedArguments
from .._validate import ArrayLike, as_choice, as_float, as_int, as_number, check_finite, check_ndim
from ..errors import InvalidConfigError


@dataclasses.dataclass(frozen=True)
class Stage(metaclass=TypedArguments):
    """One stage of a curriculum.

    Args:
        steps: Number of steps.
        difficulty: Fraction (0 … 1) of the samples, easiest first, that is used at the end of the stage.
        weights: Weight of each loss, by name, at the end of the stage.

    Raises:
        InvalidConfigError: A value is out of range.

    Example:
        >>> from graphattend.training import Stage
        >>> Stage(100, difficulty=0.3).steps
        100
    """

    steps: int
    difficulty: float = 1.0
    weights: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        as_int(self.steps, "steps", minimum=1)
        as_number(self.difficulty, "difficulty", minimum=0, maximum=1)
        if not isinstance(self.weights, Mapping) or not all(isinstance(name, str) for name in self.weights):
            raise InvalidConfigError(
                "weights: expected a mapping from names of losses to numbers",
                argument="weights",
                expected="a mapping from names to numbers",
                actual=type(self.weights).__name__,
            )
        for name, value in self.weights.items():
            as_number(value, f"weights[{name!r}]", minimum=0)


@dataclasses.dataclass(frozen=True)
class CurriculumScheduler(metaclass=TypedArguments):
    """A sequence of stages. The values of the last stage also apply to all later steps.

    With ``mode="step"`` a stage's values apply to the whole stage. With ``"linear"`` the values are interpolated from
    the previous stage's values and reach the stage's own at its end; the first stage is constant. A loss that one of
    the two stages does not list has weight 0 there.

    Args:
        stages: `Stage` objects, in order.
        mode: "step" or "linear".

    Raises:
        InvalidConfigError: There are no stages, or an entry is not a `Stage`.

    Source:
        Bengio et al. 2009, "Curriculum Learning"; the growing fraction of easy samples is the "fixed exponential
        pacing" of Hacohen & Weinshall 2019 with arbitrary steps.

    Example:
        >>> from graphattend.training import CurriculumScheduler, Stage
        >>> plan = CurriculumScheduler([Stage(10, 0.2, {"nce": 1.0}), Stage(10, 1.0, {"nce": 1.0, "smooth": 0.5})])
        >>> plan.difficulty(3), plan.weights(12)
        (0.2, {'nce': 1.0, 'smooth': 0.5})
    """

    stages: Sequence[Stage]
    mode: Literal["step", "linear"] = "step"

    def __post_init__(self) -> None:
        if not isinstance(self.stages, (list, tuple)) or not self.stages:
            raise InvalidConfigError("stages: expected a list of stages", argument="stages", expected="a list of Stage")
        for i, stage in enumerate(self.stages):
            if not isinstance(stage, Stage):
                raise InvalidConfigError(
                    f"stages[{i}]: expected a Stage, got {type(stage).__name__}",
                    argument="stages",
                    expected="Stage",
                    actual=type(stage).__name__,
                )
        as_choice(self.mode, "mode", ("step", "linear"))
        object.__setattr__(self, "stages", tuple(self.stages))

    @property
    def total_steps(self) -> int:
        """Total number of steps of all stages."""
        return sum(stage.steps for stage in self.stages)

    def stage(self, t: int) -> int:
        """Return the index of the stage that contains step `t`."""
        return self._locate(t)[0]

    def _locate(self, t: int) -> tuple[int, float]:
        """Return the index of the stage of step `t`, and the fraction of the stage that is complete after the step."""
        left = as_int(t, "t", minimum=0)
        for i, stage in enumerate(self.stages):
            if left < stage.steps:
                return i, (left + 1) / stage.steps
            left -= stage.steps
        return len(self.stages) - 1, 1.0

    def _between(self, t: int) -> tuple[Stage, Stage, float]:
        i, done = self._locate(t)
        if self.mode == "step" or i == 0:
            return self.stages[i], self.stages[i], 1.0
        return self.stages[i - 1], self.stages[i], done

    def difficulty(self, t: int) -> float:
        """Return the fraction of the samples, easiest first, that step `t` uses."""
        old, new, done = self._between(t)
        return float(old.difficulty + (new.difficulty - old.difficulty) * done)

    def weights(self, t: int) -> dict[str, float]:
        """Return the weight of each loss at step `t`."""
        old, new, done = self._between(t)
        names = list(dict.fromkeys([*old.weights, *new.weights]))
        a, b = old.weights, new.weights
        return {name: float(a.get(name, 0) + (b.get(name, 0) - a.get(name, 0)) * done) for name in names}

    def select(self, t: int, difficulties: ArrayLike) -> np.ndarray:
        """Select the easiest samples, at least one, that step `t` uses.

        Args:
            t: The step.
            difficulties: (N,) one number per sample; small numbers are easy.

        Returns:
            Indices, easiest first; ties are broken by index.

        Raises:
            DimensionMismatchError: `difficulties` does not have one axis.
            NumericalInstabilityError: `difficulties` contains NaN or infinity.
        """
        d = as_float(difficulties, "difficulties", beside=np.dtype(np.float64))
        check_ndim(d, "difficulties", 1, 1)
        check_finite(d, "difficulties")
        count = max(1, int(np.ceil(self.difficulty(t) * len(d) - 1e-9)))
        return np.argsort(d, kind="stable")[:count].astype(np.int64)

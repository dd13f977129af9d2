"""Curricula at the boundaries of their stages."""

import numpy as np
import pytest

import graphattend as ga
from graphattend.training import CurriculumScheduler, Stage

STAGES = [Stage(4, 0.25, {"a": 1.0}), Stage(2, 0.75, {"a": 0.5, "b": 2.0}), Stage(1, 1.0, {"b": 1.0})]


def test_steps_hold_their_stage():
    plan = CurriculumScheduler(STAGES)
    assert plan.total_steps == 7
    assert [plan.stage(t) for t in (0, 3, 4, 5, 6, 7, 100)] == [0, 0, 1, 1, 2, 2, 2]
    assert [plan.difficulty(t) for t in (3, 4, 6, 99)] == [0.25, 0.75, 1.0, 1.0]
    assert plan.weights(0) == {"a": 1.0}
    assert plan.weights(5) == {"a": 0.5, "b": 2.0}
    assert plan.weights(50) == {"b": 1.0}


def test_linear_reaches_each_stage_at_its_end():
    plan = CurriculumScheduler(STAGES, mode="linear")
    assert [plan.difficulty(t) for t in (0, 3, 4, 5, 6, 9)] == pytest.approx([0.25, 0.25, 0.5, 0.75, 1.0, 1.0])
    assert plan.weights(4) == {"a": 0.75, "b": 1.0}
    assert plan.weights(6) == {"a": 0.0, "b": 1.0}


def test_select_takes_the_easiest_share():
    plan = CurriculumScheduler(STAGES)
    hard = np.array([5, 1, 4, 1, 2, 9, 3, 8])
    assert plan.select(0, hard).tolist() == [1, 3]
    assert plan.select(4, hard).tolist() == [1, 3, 4, 6, 2, 0]
    assert sorted(plan.select(6, hard)) == list(range(8))
    assert plan.select(0, [3.0, 1.0]).tolist() == [1]
    with pytest.raises(ga.NumericalInstabilityError):
        plan.select(0, [np.nan])
    with pytest.raises(ga.DimensionMismatchError):
        plan.select(0, [[1.0]])


@pytest.mark.parametrize(
    "make",
    [
        lambda: Stage(0),
        lambda: Stage(1, 1.5),
        lambda: Stage(1, 0.5, {"a": -1}),
        lambda: Stage(1, 0.5, {"a": "x"}),
        lambda: Stage(1, 0.5, [1.0]),
        lambda: Stage(1, 0.5, {1: 1.0}),
        lambda: CurriculumScheduler([]),
        lambda: CurriculumScheduler("stages"),
        lambda: CurriculumScheduler([3]),
        lambda: CurriculumScheduler(STAGES, mode="smooth"),
        lambda: CurriculumScheduler(STAGES).difficulty(-1),
    ],
)
def test_bad_options(make):
    with pytest.raises(ga.InvalidConfigError):
        make()

"""Learning-rate schedules at the steps where they change."""

import math

import pytest

import graphattend as ga
from graphattend.training import schedules


def test_cosine_is_half_a_cosine_and_then_flat():
    lr = schedules.cosine(0.3, 10, min_lr=0.1)
    for t in range(11):
        assert lr(t) == pytest.approx(0.1 + 0.2 * (1 + math.cos(math.pi * t / 10)) / 2, rel=1e-14)
    assert lr(11) == lr(10_000) == 0.1


def test_warmup_reaches_its_rate_at_its_last_step():
    lr = schedules.warmup(0.5, 5)
    assert [lr(t) for t in range(7)] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 0.5])
    assert schedules.warmup(0.5, 0)(0) == 0.5


def test_step_and_constant():
    lr = schedules.step(1.0, step_size=3, gamma=0.5)
    assert [lr(t) for t in (0, 2, 3, 5, 6, 30)] == pytest.approx([1, 1, 0.5, 0.5, 0.25, 0.5**10])
    assert schedules.constant(0.2)(99) == 0.2


def test_chain_counts_each_part_from_zero():
    lr = schedules.chain((schedules.constant(1.0), 2), schedules.warmup(0.4, 2), (schedules.step(8.0, 1, 0.5), 3))
    assert [lr(t) for t in range(9)] == pytest.approx([1, 1, 0.2, 0.4, 8, 4, 2, 2, 2])
    assert schedules.chain(lambda t: 0.1 * t)(3) == pytest.approx(0.3)


@pytest.mark.parametrize(
    "make",
    [
        lambda: schedules.constant(-1),
        lambda: schedules.constant("x"),
        lambda: schedules.cosine(0.1, 0),
        lambda: schedules.cosine(0.1, 10, -0.1),
        lambda: schedules.warmup(0.1, -1),
        lambda: schedules.warmup(0.1, 2.5),
        lambda: schedules.step(0.1, 0, 0.1),
        lambda: schedules.step(0.1, 3, -1),
        lambda: schedules.chain(),
        lambda: schedules.chain(0.1),
        lambda: schedules.chain(schedules.constant(0.1), schedules.constant(0.2)),
        lambda: schedules.chain((schedules.constant(0.1), -1), schedules.constant(0.2)),
        lambda: schedules.chain((schedules.constant(0.1), "x"), schedules.constant(0.2)),
    ],
)
def test_bad_options(make):
    with pytest.raises(ga.InvalidConfigError):
        make()


@pytest.mark.parametrize("t", [-1, 0.5, None, True])
def test_bad_steps(t):
    for lr in (schedules.constant(1), schedules.cosine(1, 2), schedules.warmup(1, 2), schedules.step(1, 2)):
        for schedule in (lr, schedules.chain(lr)):
            with pytest.raises(ga.InvalidConfigError, match="t"):
                schedule(t)

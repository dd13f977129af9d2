"""Optimizers against PyTorch's recorded trajectories and against scalar implementations of their formulas."""

import json
import math
import pathlib

import numpy as np
import pytest

import graphattend as ga
from graphattend import training
from graphattend.training import SGD, Adam, AdamW, RMSprop, clip_by_norm, clip_by_value, global_norm, schedules

GOLDEN = json.loads(pathlib.Path(__file__).with_name("golden_optimizers.json").read_text())
CLASSES = [SGD, Adam, AdamW, RMSprop]


def gradient(x, step):
    return np.array([1.0, 10.0, 0.1, 3.0]) * x + np.sin(3 * x[::-1]) + math.cos(step)


def run(optimizer, start, steps=20, dtype=np.float64):
    params = {"x": np.array(start, dtype)}
    state = optimizer.init(params)
    points = []
    for i in range(steps):
        params, state = optimizer.update(params, {"x": gradient(params["x"], i)}, state)
        points.append(params["x"])
    return np.array(points), state


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda c: f"{c['name']}-{sorted(c['options'])}")
def test_twenty_steps_of_pytorch(case):
    points, _ = run(getattr(training, case["name"])(**case["options"]), GOLDEN["start"])
    np.testing.assert_allclose(points, case["points"], rtol=1e-12, atol=1e-12)


def scalar_steps(name, x, options, steps=20):
    """Optimize one coordinate, f'(x) = 2x + cos(step), in plain floats by the formulas of papers and PyTorch's docs."""
    o = {"weight_decay": 0.01 if name == "AdamW" else 0.0, "betas": (0.9, 0.999), "eps": 1e-8, "alpha": 0.99} | options
    m = v = top = buffer = mean = 0.0
    out = []
    for t in range(1, steps + 1):
        g = 2 * x + math.cos(t)
        if name == "AdamW":
            x -= o["lr"] * o["weight_decay"] * x
        else:
            g += o["weight_decay"] * x
        if name == "SGD":
            mu = o.get("momentum", 0.0)
            buffer = g if t == 1 else mu * buffer + (1 - o.get("dampening", 0.0)) * g
            x -= o["lr"] * (g + mu * buffer if o.get("nesterov") else buffer)
        elif name == "RMSprop":
            v = o["alpha"] * v + (1 - o["alpha"]) * g**2
            mean = o["alpha"] * mean + (1 - o["alpha"]) * g
            scale = math.sqrt(v - mean**2 if o.get("centered") else v) + o["eps"]
            buffer = o.get("momentum", 0.0) * buffer + g / scale
            x -= o["lr"] * buffer
        else:
            b1, b2 = o["betas"]
            m = b1 * m + (1 - b1) * g
            v = b2 * v + (1 - b2) * g**2
            top = max(top, v) if o.get("amsgrad") else v
            x -= o["lr"] * (m / (1 - b1**t)) / (math.sqrt(top / (1 - b2**t)) + o["eps"])
        out.append(x)
    return out


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("SGD", {"lr": 0.05, "momentum": 0.9}),
        ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1}),
        ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.5}),
        ("Adam", {"lr": 0.1}),
        ("Adam", {"lr": 0.1, "amsgrad": True, "weight_decay": 0.1}),
        ("AdamW", {"lr": 0.1}),
        ("AdamW", {"lr": 0.1, "weight_decay": 0.3, "betas": (0.5, 0.6)}),
        ("RMSprop", {"lr": 0.01}),
        ("RMSprop", {"lr": 0.01, "momentum": 0.9, "centered": True}),
    ],
)
def test_formulas_stated_again(name, options):
    optimizer = getattr(training, name)(**options)
    params = {"x": np.array([0.7])}
    state = optimizer.init(params)
    for t, expected in enumerate(scalar_steps(name, 0.7, options), start=1):
        params, state = optimizer.update(params, {"x": 2 * params["x"] + math.cos(t)}, state)
        assert params["x"][0] == pytest.approx(expected, rel=1e-12, abs=1e-13)


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize("shape", [(), (3,), (2, 2)])
def test_float32_stays_float32_and_nothing_passed_in_changes(cls, shape):
    optimizer = cls(lr=np.float64(0.1))
    params = {"a": np.ones(shape, np.float32), "b": np.ones(shape)}
    grads = {"a": np.full(shape, 0.5), "b": np.full(shape, 0.5, np.float32)}
    state = optimizer.init(params)
    new, after = optimizer.update(params, grads, state)
    assert new["a"].dtype == np.float32
    assert new["b"].dtype == np.float64
    assert all(isinstance(v, (int, np.ndarray)) for v in after.values())
    assert all(v.dtype == (np.float32 if k.endswith("/a") else np.float64) for k, v in after.items() if np.ndim(v))
    assert (params["a"] == 1).all()
    assert state["step"] == 0
    assert all(not np.any(v) for v in state.values())


@pytest.mark.parametrize("cls", CLASSES)
def test_a_parameter_without_gradient_stays_as_it_is(cls):
    optimizer = cls(lr=0.1)
    params = {"a": np.ones(2), "b": np.ones(2)}
    state = optimizer.init(params)
    params, state = optimizer.update(params, {"a": np.ones(2), "b": None}, state)
    assert (params["b"] == 1).all()
    assert state["count/b"] == 0
    # Its next step is then its first, not its second.
    late, _ = optimizer.update(params, {"b": np.ones(2)}, state)
    np.testing.assert_allclose(late["b"], params["a"], rtol=1e-15)


def test_state_survives_npz_without_pickle(tmp_path):
    optimizer = Adam(lr=0.1, amsgrad=True)
    params = {"w/1": np.array([1.0, -2.0])}
    state = optimizer.init(params)
    params, state = optimizer.update(params, {"w/1": np.array([0.3, 0.1])}, state)
    np.savez(tmp_path / "s.npz", **state)
    with np.load(tmp_path / "s.npz", allow_pickle=False) as file:
        loaded = dict(file)
    a, _ = optimizer.update(params, {"w/1": np.array([0.2, 0.1])}, state)
    b, _ = optimizer.update(params, {"w/1": np.array([0.2, 0.1])}, loaded)
    assert np.array_equal(a["w/1"], b["w/1"])


def test_schedules_drive_the_rate():
    optimizer = SGD(lr=schedules.step(1.0, 2, 0.1))
    params = {"x": np.array([0.0])}
    state = optimizer.init(params)
    moved = []
    for _ in range(4):
        new, state = optimizer.update(params, {"x": np.array([1.0])}, state)
        moved.append(float(params["x"][0] - new["x"][0]))
        params = new
    np.testing.assert_allclose(moved, [1, 1, 0.1, 0.1])
    with pytest.raises(ga.InvalidConfigError, match="lr"):
        SGD(lr=lambda t: float("nan")).update(params, {"x": np.array([1.0])}, state)


def test_groups_by_name_and_pattern():
    optimizer = SGD(lr=1.0, groups={"w_*": {"lr": 0.1}, "w_q": {"lr": 0.01, "momentum": 0.9}})
    params = {"w_q": np.zeros(1), "w_k": np.zeros(1), "b": np.zeros(1)}
    state = optimizer.init(params)
    assert sorted(state) == ["count/b", "count/w_k", "count/w_q", "momentum_buffer/w_q", "step"]
    new, _ = optimizer.update(params, {k: np.ones(1) for k in params}, state)
    assert {k: float(v[0]) for k, v in new.items()} == {"w_q": -0.01, "w_k": -0.1, "b": -1.0}
    for groups in ({"w": {"learning_rate": 1}}, {"w": {"lr": -1}}, {"w": 3}, 3, {"w": {"groups": {}}}):
        with pytest.raises(ga.InvalidConfigError):
            SGD(groups=groups)


def test_defaults_are_pytorchs():
    assert (SGD().lr, SGD().momentum, SGD().weight_decay) == (1e-3, 0, 0)
    assert (Adam().lr, Adam().betas, Adam().eps, Adam().weight_decay) == (1e-3, (0.9, 0.999), 1e-8, 0)
    assert (AdamW().lr, AdamW().weight_decay) == (1e-3, 1e-2)
    assert (RMSprop().lr, RMSprop().alpha, RMSprop().eps) == (1e-2, 0.99, 1e-8)


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (SGD, {"lr": -1}),
        (SGD, {"lr": "fast"}),
        (SGD, {"lr": float("nan")}),
        (SGD, {"momentum": -0.1}),
        (SGD, {"nesterov": True}),
        (SGD, {"nesterov": True, "momentum": 0.9, "dampening": 0.1}),
        (SGD, {"nesterov": 1}),
        (SGD, {"weight_decay": -1}),
        (Adam, {"betas": (0.9, 1.0)}),
        (Adam, {"betas": 0.9}),
        (Adam, {"eps": -1}),
        (AdamW, {"amsgrad": "yes"}),
        (RMSprop, {"alpha": 2}),
        (RMSprop, {"centered": None}),
    ],
)
def test_options_are_checked_when_given(cls, options):
    with pytest.raises(ga.InvalidConfigError):
        cls(**options)


def test_errors_of_update_name_what_is_wrong():
    optimizer, params = Adam(), {"w": np.ones((2, 2))}
    state = optimizer.init(params)
    for args, error, text in [
        (({"w": "x"}, {}, state), ga.InvalidConfigError, "params"),
        (([1.0], {}, state), ga.InvalidConfigError, "params"),
        (({1: np.ones(2)}, {}, state), ga.InvalidConfigError, "params"),
        ((params, {"v": np.ones(2)}, state), ga.InvalidConfigError, "grads"),
        ((params, {"w": np.ones(2)}, state), ga.DimensionMismatchError, "grads"),
        ((params, {"w": np.full((2, 2), np.nan)}, state), ga.NumericalInstabilityError, "grads"),
        ((params, None, state), ga.InvalidConfigError, "grads"),
        ((params, {"w": np.ones((2, 2))}, {}), ga.InvalidConfigError, "state"),
        ((params, {"w": np.ones((2, 2))}, None), ga.InvalidConfigError, "state"),
        ((params, {"w": np.ones((2, 2))}, SGD().init(params)), ga.InvalidConfigError, "exp_avg"),
        ((params, {"w": np.ones((2, 2))}, state | {"exp_avg/w": np.ones(2)}), ga.DimensionMismatchError, "exp_avg"),
    ]:
        with pytest.raises(error, match=text):
            optimizer.update(*args)


@pytest.mark.parametrize("cls", [Adam, RMSprop])
def test_gradients_that_were_always_zero_move_nothing_even_without_eps(cls):
    optimizer, params = cls(eps=0.0), {"x": np.array([1.0, 1.0])}
    new, _ = optimizer.update(params, {"x": np.array([0.0, 1.0])}, optimizer.init(params))
    assert new["x"][0] == 1
    assert new["x"][1] < 1


def test_clipping():
    grads = {"a": np.array([3.0, 0.0]), "b": np.array([[4.0]], np.float32), "c": None}
    assert global_norm(grads) == pytest.approx(5)
    clipped = clip_by_norm(grads, 1.0)
    assert sorted(clipped) == ["a", "b"]
    assert global_norm(clipped) == pytest.approx(5 / (5 + 1e-6), rel=1e-6)
    assert clipped["b"].dtype == np.float32
    assert np.array_equal(clip_by_norm(grads, 10.0)["a"], grads["a"])
    np.testing.assert_allclose(clip_by_value(grads, 3.5)["b"], [[3.5]])
    assert global_norm({}) == 0
    assert global_norm({"a": np.array([3e200, 4e200])}) == pytest.approx(5e200)
    for bad in (0, -1, np.inf, None):
        with pytest.raises(ga.InvalidConfigError):
            clip_by_norm(grads, bad)
        with pytest.raises(ga.InvalidConfigError):
            clip_by_value(grads, bad)

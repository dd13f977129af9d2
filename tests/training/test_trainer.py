"""The training loop: its results, which interruptions, resumption and cancellation do not change by a bit."""

import threading

import numpy as np
import pytest

import graphattend as ga
from graphattend.training import (
    SGD,
    Adam,
    CurriculumScheduler,
    LossBalancer,
    Nodes,
    RMSprop,
    Stage,
    Trainer,
    cross_entropy,
    graph_objective,
    schedules,
)

RNG = np.random.default_rng(11)
X = RNG.normal(size=(20, 3))
Y = X @ np.array([1.0, -2.0, 0.5]) + 0.1 * RNG.normal(size=20)
START = {"w": np.zeros(3), "b/0": np.array(0.5)}


def regression(params, index, rng):
    """Return the squared error of a line, with noise on the inputs from the step's generator."""
    x = X[index] + 0.01 * rng.normal(size=(len(index), 3))
    error = x @ params["w"] + params["b/0"] - Y[index]
    return np.mean(error**2), {"w": 2 * x.T @ error / len(index), "b/0": 2 * np.mean(error)}


def exact_error(params):
    return float(np.mean((X @ params["w"] + params["b/0"] - Y) ** 2))


def make(**options):
    defaults = {"epochs": 6, "batch_size": 7, "seed": 3, "validate": exact_error}
    return Trainer(regression, Adam(lr=schedules.cosine(0.1, 30)), **(defaults | options))


def same(a, b):
    assert a.losses == b.losses
    assert a.metrics == b.metrics
    assert (a.best, a.best_epoch, a.steps) == (b.best, b.best_epoch, b.steps)
    for field in ("params", "best_params"):
        for name, value in getattr(a, field).items():
            assert value.tobytes() == getattr(b, field)[name].tobytes()


def joined(lists):
    return [x for part in lists for x in part]


def test_full_batches_are_plain_gradient_descent():
    trainer = Trainer(
        lambda p, i, rng: (0.0, {"w": 2 * X.T @ (X @ p["w"] - Y) / 20}), SGD(0.1), epochs=15, shuffle=False
    )
    result = trainer.fit({"w": np.zeros(3)}, 20)
    w = np.zeros(3)
    for _ in range(15):
        w = w - 0.1 * 2 * X.T @ (X @ w - Y) / 20
    np.testing.assert_allclose(result.params["w"], w, rtol=1e-13)
    assert result.steps == 15
    assert result.reason == "finished"


def test_every_sample_once_per_epoch_in_a_new_order():
    seen = []
    trainer = Trainer(lambda p, i, rng: (seen.append(i.tolist()) or 1.0, {}), SGD(), epochs=2, batch_size=8)
    trainer.fit(START, Nodes(np.arange(100, 120)))
    assert [len(i) for i in seen] == [8, 8, 4] * 2
    first, second = joined(seen[:3]), joined(seen[3:])
    assert sorted(first) == sorted(second) == list(range(100, 120))
    assert first != second


def test_the_seed_decides_and_inputs_stay():
    start = {name: value.copy() for name, value in START.items()}
    a, b, c = make().fit(start, 20), make().fit(start, 20), make(seed=4).fit(start, 20)
    same(a, b)
    assert not np.array_equal(a.params["w"], c.params["w"])
    assert all(np.array_equal(start[k], START[k]) for k in START)
    assert a.losses[-1] < a.losses[0]
    assert a.best == min(m for _, m in a.metrics) == exact_error(a.best_params)


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
@pytest.mark.parametrize("stop", [1, 3, 4, 10, 17])
def test_cancel_and_resume_is_bit_identical_anywhere_in_an_epoch(tmp_path, stop, suffix):
    path = tmp_path / f"run.{suffix}"
    partial = make().fit(START, 20, checkpoint=path, on_progress=lambda p: p.step < stop)
    assert partial.reason == "cancelled"
    assert partial.steps == stop
    same(make().fit(START, 20, checkpoint=path, resume=True), make().fit(START, 20))
    longer = make(epochs=8).fit(START, 20, resume=str(path))
    same(longer, make(epochs=8).fit(START, 20))


@pytest.mark.parametrize("where", ["objective", "validate", "progress"])
def test_ctrl_c_leaves_a_checkpoint_of_the_last_whole_step(tmp_path, where):
    path = tmp_path / "run.npz"
    calls = {"objective": 0, "validate": 0, "progress": 0}

    def interrupt(kind, result):
        calls[kind] += 1
        if kind == where and calls[kind] == 3:
            raise KeyboardInterrupt
        return result

    trainer = Trainer(
        lambda p, i, rng: interrupt("objective", regression(p, i, rng)),
        Adam(lr=schedules.cosine(0.1, 30)),
        epochs=6,
        batch_size=7,
        seed=3,
        validate=lambda p: interrupt("validate", exact_error(p)),
    )
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(START, 20, checkpoint=path, on_progress=lambda p: interrupt("progress", None))
    same(make().fit(START, 20, resume=path), make().fit(START, 20))
    assert [p.name for p in tmp_path.iterdir()] == ["run.npz"]


@pytest.mark.parametrize(
    "optimizer", [SGD(0.05, momentum=0.9), RMSprop(0.01, centered=True, momentum=0.5), Adam(amsgrad=True)]
)
def test_every_optimizers_state_survives(tmp_path, optimizer):
    trainer = Trainer(regression, optimizer, epochs=4, batch_size=9)
    path = tmp_path / "run.npz"
    trainer.fit(START, 20, checkpoint=path, on_progress=lambda p: p.step < 5)
    same(trainer.fit(START, 20, resume=path), trainer.fit(START, 20))


def test_float32_parameters_survive_a_resume(tmp_path):
    start = {k: v.astype(np.float32) for k, v in START.items()}
    path = tmp_path / "run.npz"
    make().fit(start, 20, checkpoint=path, on_progress=lambda p: p.step < 5)
    result = make().fit(start, 20, resume=path)
    assert result.params["w"].dtype == np.float32
    same(result, make().fit(start, 20))


def test_cancel_tokens():
    event = threading.Event()
    event.set()
    assert make().fit(START, 20, cancel=event).steps == 1
    steps = []
    result = make().fit(START, 20, cancel=lambda: len(steps) == 2, on_progress=steps.append)
    assert (result.steps, result.reason) == (2, "cancelled")
    with pytest.raises(ga.InvalidConfigError, match="cancel"):
        make().fit(START, 20, cancel=3)


def test_progress_tells_where_the_run_is():
    seen = []
    make(epochs=2).fit(START, 20, on_progress=seen.append)  # append returns None, which does not cancel
    assert [(p.epoch, p.batch, p.batches, p.step) for p in seen] == [
        (0, 1, 3, 1), (0, 2, 3, 2), (0, 3, 3, 3), (1, 1, 3, 4), (1, 2, 3, 5), (1, 3, 3, 6),
    ]  # fmt: skip
    assert [p.metric is None for p in seen] == [True, True, False] * 2
    assert seen[2].epoch_loss == pytest.approx(np.average([p.loss for p in seen[:3]], weights=[7, 7, 6]))
    assert [p.fraction for p in seen] == pytest.approx([1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1])


def test_early_stopping_keeps_the_best_and_survives_a_resume(tmp_path):
    metrics = iter([3.0, 2.0, 2.5, 1.95, 2.1, 9.0])
    trainer = make(validate=lambda p: next(metrics), patience=3, min_delta=0.1, epochs=50)
    result = trainer.fit(START, 20, checkpoint=tmp_path / "run.npz")
    assert result.reason == "early_stopping"
    assert (result.best, result.best_epoch) == (2.0, 1)
    assert [m for _, m in result.metrics] == [3.0, 2.0, 2.5, 1.95, 2.1]
    again = trainer.fit(START, 20, checkpoint=tmp_path / "run.npz", resume=True)
    assert again.reason == "early_stopping"
    same(again, result)


def test_mode_max_and_sparse_validation():
    metrics = iter([0.1, 0.3, 0.2])
    result = make(validate=lambda p: np.float32(next(metrics)), mode="max", validate_every=2, epochs=5).fit(START, 20)
    assert [e for e, _ in result.metrics] == [1, 3, 4]
    assert result.best_epoch == 3


def test_without_validation_the_epoch_loss_decides():
    losses = iter([3.0, 1.0, 2.0, 2.0, 2.0])
    trainer = Trainer(lambda p, i, rng: (next(losses), {}), SGD(), epochs=9, patience=2, mode="max")
    result = trainer.fit(START, 20)
    assert result.losses == [3.0, 1.0, 2.0, 2.0]
    assert (result.best, result.best_epoch, result.reason) == (1.0, 1, "early_stopping")


def test_clipping_limits_the_step():
    trainer = Trainer(lambda p, i, rng: (0.0, {"w": np.array([30.0, 0, 40])}), SGD(1.0), epochs=1, clip_norm=1.0)
    np.testing.assert_allclose(trainer.fit({"w": np.zeros(3)}, 1).params["w"], [-0.6, 0, -0.8], rtol=1e-6)
    trainer = Trainer(lambda p, i, rng: (0.0, {"w": np.array([30.0, 0, 40])}), SGD(1.0), epochs=1, clip_value=2.0)
    np.testing.assert_allclose(trainer.fit({"w": np.zeros(3)}, 1).params["w"], [-2, 0, -2])


def two_losses(params, index, rng):
    w = params["w"]
    return {"fit": np.sum((w - 1) ** 2), "small": np.sum(w**2)}, {"fit": {"w": 2 * (w - 1)}, "small": {"w": 2 * w}}


def test_several_losses_with_a_balancer_and_a_curriculum(tmp_path):
    added = Trainer(two_losses, SGD(0.1), epochs=100).fit({"w": np.zeros(2)}, 1)
    np.testing.assert_allclose(added.params["w"], 0.5, rtol=1e-6)
    weighted = Trainer(two_losses, SGD(0.1), epochs=100, balancer=LossBalancer(weights={"fit": 3.0}))
    np.testing.assert_allclose(weighted.fit({"w": np.zeros(2)}, 1).params["w"], 0.75, rtol=1e-6)
    plan = CurriculumScheduler([Stage(50, weights={"small": 1.0}), Stage(50, weights={"fit": 1.0})])
    staged = Trainer(two_losses, SGD(0.1), epochs=100, curriculum=plan).fit({"w": np.zeros(2)}, 1)
    np.testing.assert_allclose(staged.params["w"], 1 - 0.8**50, rtol=1e-12)
    learned = Trainer(two_losses, SGD(0.1), epochs=20, balancer=LossBalancer("uncertainty", lr=0.1))
    learned.fit({"w": np.zeros(2)}, 1, checkpoint=tmp_path / "run.npz", on_progress=lambda p: p.step < 7)
    same(learned.fit({"w": np.zeros(2)}, 1, resume=tmp_path / "run.npz"), learned.fit({"w": np.zeros(2)}, 1))


def test_a_curriculum_starts_with_the_easy_samples(tmp_path):
    def run(**options):
        seen = []
        trainer = Trainer(
            lambda p, i, rng: (seen.append(i.tolist()) or 1.0, {}),
            SGD(),
            epochs=3,
            batch_size=2,
            curriculum=CurriculumScheduler([Stage(2, 0.4), Stage(9, 1.0)]),
            difficulties=np.arange(10)[::-1].astype(float),
        )
        trainer.fit(START, 10, **options)
        return seen

    seen = run()
    assert sorted(joined(seen[:2])) == [6, 7, 8, 9]
    assert sorted(joined(seen[2:7])) == list(range(10))
    stop = {"checkpoint": tmp_path / "run.npz", "on_progress": lambda p: p.step < 4}
    assert run(**stop) + run(resume=tmp_path / "run.npz") == seen


def test_models_are_trained_through_their_protocol():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 30)
    x = np.eye(2)[labels] + 0.3 * rng.normal(size=(30, 2))
    edges = np.array([(i, j) for i in range(30) for j in range(30) if i != j and labels[i] == labels[j]][::3]).T
    graph = ga.NeighborGraph.from_edge_index(edges, 30)
    model = ga.create("multi_head", 2, num_heads=1)
    objective = graph_objective(model, graph, x, lambda out, nodes: ga.vjp(cross_entropy, out, labels, index=nodes))
    accuracy = lambda p: np.mean(model.with_parameters(p).attend(graph, x).argmax(-1) == labels)  # noqa: E731
    trainer = Trainer(objective, Adam(lr=0.05), epochs=30, batch_size=10, validate=accuracy, mode="max")
    result = trainer.fit(model, 30)
    assert result.best > 0.95
    assert accuracy(result.model.parameters()) == result.best
    assert type(result.model) is type(model)


def test_bad_resumes_are_typed_errors(tmp_path):
    path = tmp_path / "run.npz"
    make().fit(START, 20, checkpoint=path)
    for trainer, start, data, error in [
        (make(seed=9), START, 20, ga.InvalidConfigError),
        (make(batch_size=5), START, 20, ga.InvalidConfigError),
        (make(), START, 19, ga.InvalidConfigError),
        (make(), {"w": np.zeros(3)}, 20, ga.LoadError),
        (make(), START | {"w": np.zeros(4)}, 20, ga.LoadError),
        (Trainer(regression, SGD(), batch_size=7, seed=3), START, 20, ga.LoadError),
    ]:
        with pytest.raises(error) as caught:
            trainer.fit(start, data, resume=path)
        assert "\n" not in str(caught.value)
    with pytest.raises(ga.LoadError, match=r"missing\.npz"):
        make().fit(START, 20, resume=tmp_path / "missing.npz")
    data = path.read_bytes()
    for i, damaged in enumerate([b"", data[:100], data[:-10], data.replace(b"run", b"ran"), b"x" * 1000]):
        bad = tmp_path / f"bad{i}.npz"
        bad.write_bytes(damaged)
        with pytest.raises(ga.LoadError, match=bad.name):
            make().fit(START, 20, resume=bad)
    ga.create("multi_head", 4).save(tmp_path / "model.npz")
    with pytest.raises(ga.LoadError):
        make().fit(START, 20, resume=tmp_path / "model.npz")
    same(make().fit(START, 20, checkpoint=tmp_path / "new.npz", resume=True), make().fit(START, 20))


def test_a_config_of_another_shape_is_no_checkpoint(tmp_path):
    from graphattend.storage import read_archive, write_archive

    path = tmp_path / "run.npz"
    make().fit(START, 20, checkpoint=path)
    config, arrays = read_archive(path, kind="training-checkpoint")
    for key in ("run", "params", "optimizer", "best_params", "settings", "balancer"):
        for value in (None, 3, [], {"x": None}):
            if key == "balancer" and value in ([], {"x": None}):
                continue
            write_archive(path, arrays, config | {key: value})
            with pytest.raises(ga.AttentionError):
                make().fit(START, 20, resume=path)


def test_a_loss_that_is_not_finite_stops_before_the_step(tmp_path):
    trainer = Trainer(lambda p, i, rng: (np.nan, {"w": np.ones(3)}), SGD(), epochs=2)
    with pytest.raises(ga.NumericalInstabilityError, match="step 0"):
        trainer.fit({"w": np.zeros(3)}, 1, checkpoint=tmp_path / "run.npz")
    trainer = Trainer(lambda p, i, rng: (1.0, {"w": np.full(3, np.inf)}), SGD(), epochs=2)
    with pytest.raises(ga.NumericalInstabilityError):
        trainer.fit({"w": np.zeros(3)}, 1)


@pytest.mark.parametrize(
    "options",
    [
        {"objective": 3},
        {"optimizer": "adam"},
        {"epochs": -1},
        {"epochs": 1.5},
        {"batch_size": 0},
        {"seed": -1},
        {"shuffle": 1},
        {"validate": 3},
        {"validate_every": 0},
        {"mode": "best"},
        {"patience": 0},
        {"min_delta": -1},
        {"clip_norm": 0},
        {"clip_value": -1},
        {"balancer": "pcgrad"},
        {"curriculum": 3},
        {"difficulties": np.ones(20)},
        {"checkpoint_every": 0},
    ],
)
def test_options_are_checked(options):
    with pytest.raises(ga.InvalidConfigError) as caught:
        Trainer(**({"objective": regression, "optimizer": SGD()} | options))
    assert caught.value.argument in (next(iter(options)), "curriculum")


def test_arguments_of_fit_are_checked(tmp_path):
    fit = Trainer(regression, SGD(), epochs=1).fit
    for model, data, options in [
        (3, 20, {}),
        ({"w": "x"}, 20, {}),
        (START, 0, {}),
        (START, "nodes", {}),
        (START, [], {}),
        (START, 20, {"on_progress": 3}),
        (START, 20, {"resume": True}),
        (START, 20, {"resume": 3}),
        (START, 20, {"checkpoint": tmp_path / "run.pkl"}),
        (type("M", (), {"parameters": lambda self: START})(), 20, {}),
    ]:
        with pytest.raises(ga.AttentionError):
            fit(model, data, **options)
    with pytest.raises(ga.LoadError):
        fit(START, 20, checkpoint=tmp_path / "no" / "run.npz")
    for returned in (1.0, (1.0,), ("x", {}), (1.0, 3), (np.ones(2), {})):
        with pytest.raises(ga.AttentionError):
            Trainer(lambda p, i, rng, returned=returned: returned, SGD(), epochs=1).fit(START, 1)
    with pytest.raises(ga.InvalidConfigError, match="validate"):
        make(validate=lambda p: "good").fit(START, 20)


def test_graph_objective_checks_its_model():
    with pytest.raises(ga.InvalidConfigError, match="model"):
        graph_objective(3, None, X, lambda out, batch: None)
    with pytest.raises(ga.InvalidConfigError, match="loss"):
        graph_objective(ga.create("scaled_dot_product", 3), None, X, 3)


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
def test_a_checkpoint_takes_the_place_of_a_checkpoint_alone(tmp_path, suffix):
    path = tmp_path / f"run.{suffix}"
    ga.create("flash", 4).save(path)
    before = path.read_bytes()
    with pytest.raises(ga.LoadError, match="no checkpoint is written over it"):
        make().fit(START, 20, checkpoint=path)
    assert path.read_bytes() == before
    path.write_bytes(b"")
    for _ in range(2):
        make().fit(START, 20, checkpoint=path)
    same(make().fit(START, 20, checkpoint=path, resume=True), make().fit(START, 20))

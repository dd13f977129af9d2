"""The Cora benchmark on a made-up citation graph: reading, gradients, training, the table."""

import importlib.util
import pathlib
import sys

import numpy as np
import pytest

SCRIPT = pathlib.Path(__file__).parents[1] / "benchmarks" / "cora.py"


@pytest.fixture(scope="module")
def bench():
    if not SCRIPT.is_file():  # inside Pyodide only the tests may be there
        pytest.skip("the benchmarks are not here")
    spec = importlib.util.spec_from_file_location("cora_benchmark", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def data(tmp_path):
    """Three classes of twenty nodes with words of their own, linked mostly among themselves."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 20)
    x = rng.random((60, 30)) < np.where(labels[:, None] == np.arange(30) // 10, 0.5, 0.1)
    i, j = rng.integers(0, 60, (2, 300))
    kept = (labels[i] == labels[j]) | (rng.random(300) < 0.1)
    edges = np.stack([i[kept], j[kept]], axis=1)
    np.savez(
        tmp_path / "cora.npz",
        x_indptr=np.append(0, x.sum(axis=1).cumsum()),
        x_indices=np.nonzero(x)[1],
        x_shape=x.shape,
        edges=np.concatenate([edges, edges[:, ::-1]]),
        labels=labels,
        train_index=np.arange(0, 60, 4),
        val_index=np.arange(1, 60, 4),
        test_index=np.arange(2, 60, 4),
    )
    return tmp_path / "cora.npz"


def test_rows_sum_to_one_and_every_node_has_one_loop(bench, data):
    task = bench.read(data)
    np.testing.assert_allclose(task.x.sum(axis=1), 1, rtol=1e-6)
    assert (np.bincount(task.graph.targets[task.graph.targets == task.graph.indices]) == 1).all()


def test_gradients_are_those_of_the_loss(bench, data):
    task = bench.read(data)
    task = task._replace(x=task.x.astype(np.float64))
    net = bench.Network.new(30, 3, 0)
    params = {f"{n}/{p}": a for n in ("first", "second") for p, a in getattr(net, n).parameters().items()}
    rng = np.random.default_rng(1)
    direction = {name: rng.standard_normal(a.shape) for name, a in params.items()}

    def loss(t):
        moved = net.with_parameters({n: a + t * direction[n] for n, a in params.items()})
        return moved.gradients(task, np.random.default_rng(2))[0]

    grads = net.gradients(task, np.random.default_rng(2))[1]
    slope = sum(float((grads[name] * d).sum()) for name, d in direction.items())
    assert slope == pytest.approx((loss(1e-6) - loss(-1e-6)) / 2e-6, rel=1e-5)


def test_training_learns_the_classes(bench, data):
    run = bench.train(bench.read(data), 0, epochs=40, patience=40)
    assert run["test_accuracy"] > 0.8
    assert run["epochs"] <= 40


def test_runs_repeat(bench, data):
    task = bench.read(data)
    runs = [bench.train(task, 1, epochs=5, patience=5) for _ in range(2)]
    assert runs[0]["test_accuracy"] == runs[1]["test_accuracy"]


def test_a_run_ends_when_validation_only_gets_worse(bench, data, monkeypatch):
    calls = []

    def worse(logits, labels, index):
        calls.append(index)
        return 1 / len(calls), float(len(calls))

    monkeypatch.setattr(bench, "score", worse)
    assert bench.train(bench.read(data), 0, epochs=30, patience=3)["epochs"] == 4


def test_the_table_states_mean_and_spread(bench):
    runs = [{"test_accuracy": a, "epochs": 100} for a in (0.82, 0.84)]
    text = bench.table({"mean": 0.83, "deviation": 0.01, "median_epoch_ms": 50.0, "runs": runs})
    assert "83.0 ± 1.0 | 82.0 … 84.0 | 2 | 100 | 50" in text


def test_without_data_it_says_so_and_ends(bench, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(sys, "argv", ["cora", "--data", str(tmp_path / "none.npz")])
    bench.main()
    assert capsys.readouterr().out.startswith("Skipped: no Cora data at ")

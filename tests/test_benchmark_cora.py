"""The Cora benchmark on an artificial citation graph: reading, gradients, training, table."""

import numpy as np
import pytest

import graphattend as ga
from benchmarks import cora as bench

pytestmark = pytest.mark.native  # reads the repository's own scripts


@pytest.fixture
def data(tmp_path):
    """Write three classes of twenty nodes, each with its own words and mostly internal links."""
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


def test_rows_sum_to_one_and_every_node_has_one_loop(data):
    task = bench.read(data)
    np.testing.assert_allclose(task.x.sum(axis=1), 1, rtol=1e-6)
    assert (np.bincount(task.graph.targets[task.graph.targets == task.graph.indices]) == 1).all()


@pytest.mark.parametrize("detailed", [True, False])
def test_gradients_are_those_of_the_loss(data, detailed):
    task = bench.read(data)
    task = task._replace(x=task.x.astype(np.float64))
    net = bench.Network.new(task, bench.Recipe(detailed, detailed, detailed))
    rng = np.random.default_rng(1)
    params = {n: a.astype(np.float64) for n, a in net.parameters(30, rng).items()}
    grads = net.gradients(params, task, np.random.default_rng(2))[1]
    assert sorted(grads) == sorted(params)
    for name, a in params.items():
        direction = rng.standard_normal(a.shape)

        def loss(t, name=name, a=a, direction=direction):
            return net.gradients(params | {name: a + t * direction}, task, np.random.default_rng(2))[0]

        slope = float((grads[name] * direction).sum())
        assert slope == pytest.approx((loss(1e-6) - loss(-1e-6)) / 2e-6, rel=1e-5, abs=1e-9), name


def test_the_layers_are_those_of_the_library(data):
    """Without dropout, projection and attention together equal one `EdgeFeaturedAttention`."""
    task = bench.read(data)
    net = bench.Network.new(task, bench.Recipe())
    params = net.parameters(30, np.random.default_rng(3))
    params["first/bias"] += 0.1
    first = ga.EdgeFeaturedAttention(30, num_heads=8, head_dim=8)
    second = ga.EdgeFeaturedAttention(64, num_heads=1, head_dim=3)
    own = {n.split("/")[1]: a for n, a in params.items() if n.startswith("first/")}
    first = first.with_parameters(own | {"w": own["w"].swapaxes(0, 1)})
    own = {n.split("/")[1]: a for n, a in params.items() if n.startswith("second/")}
    second = second.with_parameters(own | {"w": own["w"].swapaxes(0, 1)})
    expected = second.attend(task.graph, bench.elu(first.attend(task.graph, task.x)))
    np.testing.assert_allclose(net.logits(params, task), expected, rtol=1e-4, atol=1e-5)


def test_every_head_drops_its_own_entries(data):
    """With one input dropout, heads with equal parameters see the same features; with one per head they differ."""
    task = bench.read(data)
    words = bench.Words.of(task.x)
    w = np.repeat(np.random.default_rng(4).standard_normal((30, 1, 8)).astype(np.float32), 8, axis=1)
    for columns in (1, 8):
        drop = np.random.default_rng(5).random((len(words.values), columns)) < 0.5
        heads = words.project(w, drop.astype(np.float32))[0].reshape(60, 8, 8)
        assert np.allclose(heads[:, :1], heads) == (columns == 1)
        for h in range(8):
            x = np.zeros_like(task.x)
            x[words.rows, words.columns] = words.values * drop[:, h % columns]
            np.testing.assert_allclose(heads[:, h], x @ w[:, h], rtol=1e-5, atol=1e-6)


def test_training_learns_the_classes(data):
    run = bench.train(bench.read(data), 0, epochs=120, patience=120)
    assert run["test_accuracy"] > 0.8
    assert run["epochs"] <= 120


def test_runs_repeat(data):
    task = bench.read(data)
    runs = [bench.train(task, 1, epochs=5, patience=5) for _ in range(2)]
    assert runs[0]["test_accuracy"] == runs[1]["test_accuracy"]


def test_a_run_ends_when_validation_only_gets_worse(data, monkeypatch):
    calls = []

    def worse(logits, labels, index):
        calls.append(index)
        return 1 / len(calls), float(len(calls))

    monkeypatch.setattr(bench, "score", worse)
    assert bench.train(bench.read(data), 0, epochs=30, patience=3)["epochs"] == 4


def test_the_table_states_mean_and_spread():
    runs = [{"test_accuracy": a, "epochs": 100, "median_epoch_ms": 50.0} for a in (0.82, 0.84)]
    result = bench.summary(runs) | {"ablations": {"without it": bench.summary(runs[:1])}}
    text = bench.table(result)
    assert "83.0 ± 1.0 | 82.0 … 84.0 | 2 | 100 | 50" in text
    assert "| without it | 82.0 ± 0.0 | 82.0 … 82.0 | 1 |" in text

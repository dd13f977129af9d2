"""Training on parts: gradients equal the whole graph's, and results do not depend on workers or resumption."""

import threading

import numpy as np
import pytest

import graphattend as ga
from graphattend.dask import Layout, Trained, _train, evaluate, partition, train
from graphattend.mechanisms import mechanism_class

NODES, EDGES, DIM = 40, 240, 8


@pytest.fixture
def world(rng, tmp_path):
    """Return a graph in three parts, features that predict its classes, and the classes."""
    labels = rng.integers(0, 3, NODES)
    x = (np.eye(3, DIM)[labels] + 0.3 * rng.standard_normal((NODES, DIM))).astype(np.float32)
    pairs = rng.integers(0, NODES, (2, EDGES))
    alike = [rng.choice(np.flatnonzero(labels == labels[i])) for i in pairs[1]]
    pairs[0] = np.where(rng.random(EDGES) < 0.8, alike, pairs[0])  # most neighbours have the same class
    graph = ga.NeighborGraph.from_edge_index(
        pairs,
        NODES,
        distances=rng.random(EDGES),
        edge_features=rng.standard_normal((EDGES, 2)),
        layers=rng.integers(0, 2, NODES),
    ).with_self_loops()
    partition(graph, tmp_path / "g", 3, structural_features=True)
    np.save(tmp_path / "x.npy", x)
    return graph, x, labels, tmp_path


def whole_graph_loss(attn, graph, x, labels, params, nodes):
    """Return the nodes' mean cross-entropy, from `attend` over the whole graph."""
    own = {n.removeprefix("layer/"): a for n, a in params.items() if n.startswith("layer/")}
    out = attn.with_parameters(own).attend(graph, x)
    return float(ga.training.cross_entropy(out[nodes] @ params["weight"] + params["bias"], labels[nodes]))


@pytest.mark.parametrize("key", ["multi_head", "edge_featured", "structural", "graph_rope", "hnsw_aware"])
def test_gradients_are_those_of_the_whole_graph(key, world, rng):
    graph, x, labels, folder = world
    options = mechanism_class(key).options_from_graph(graph)
    attn = ga.create(key, DIM, **options)
    setting = _train._setting(attn, folder / "g", x.astype(float), labels, None)
    params = {n: a.astype(float) for n, a in _train._start(setting, 0).items()}
    nodes = rng.permutation(NODES)[:17]
    groups = _train._groups(setting.layout, nodes, _train._numbers(setting.layout))
    found = [_train.gradients(setting, (i, own, 0, params)) for i, own in groups]
    value = sum(v for v, _ in found) / 17
    assert value == pytest.approx(whole_graph_loss(attn, graph, x.astype(float), labels, params, nodes), rel=1e-9)
    for name, a in params.items():
        way = rng.standard_normal(a.shape)
        step = 1e-5
        ends = [
            whole_graph_loss(attn, graph, x.astype(float), labels, params | {name: a + s * way}, nodes)
            for s in (step, -step)
        ]
        slope = sum(np.vdot(g[name], way) for _, g in found) / 17
        assert slope == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-5, abs=1e-8)


def test_learns(world):
    _, x, labels, folder = world
    attn = ga.create("edge_featured", DIM, edge_dim=2)
    before = Trained(attn, np.zeros((8, 3), np.float32), np.zeros(3, np.float32), [], [], "finished")
    start = evaluate(before, folder / "g", x, labels)["accuracy"]
    found = train(attn, folder / "g", folder / "x.npy", labels, epochs=30, batch_size=16, fanout=4)
    measured = evaluate(found, folder / "g", folder / "x.npy", labels)
    assert found.reason == "finished"
    assert len(found.losses) == 30
    assert found.losses[-1] < 0.5 * found.losses[0]
    assert measured["accuracy"] > max(start, 0.8)
    assert set(measured) == {"loss", "accuracy", "macro_f1"}


def test_evaluate_is_attend_with_the_classifier(world, rng):
    graph, x, labels, folder = world
    attn = ga.create("multi_head", DIM)
    model = Trained(attn, rng.standard_normal((DIM, 3)), rng.standard_normal(3), [], [], "finished")
    logits = attn.attend(graph, x.astype(float)) @ model.weight + model.bias
    found = evaluate(model, folder / "g", x.astype(float), labels, nodes=[3, 9, 30, 31])
    nodes = [3, 9, 30, 31]
    assert found["accuracy"] == (logits.argmax(axis=1) == labels)[nodes].mean()
    assert found["loss"] == pytest.approx(float(ga.training.cross_entropy(logits[nodes], labels[nodes])))


def test_the_number_of_rows_at_a_time_does_not_matter(world, rng, monkeypatch):
    _, x, labels, folder = world
    model = Trained(ga.create("flash", DIM), rng.standard_normal((DIM, 3)), np.zeros(3), [], [], "finished")
    expected = evaluate(model, folder / "g", x, labels)
    monkeypatch.setattr(_train, "ROWS", 5)
    found = evaluate(model, folder / "g", x, labels)
    assert found == pytest.approx(expected, rel=1e-6)


def test_curved_spaces_take_tangent_vectors(world):
    _, x, labels, folder = world
    found = train(ga.create("hyperbolic", DIM), folder / "g", x, labels, epochs=15, batch_size=20)
    assert found.losses[-1] < found.losses[0]


def same(a, b):
    assert a.losses == b.losses
    assert a.metrics == b.metrics
    assert np.array_equal(a.weight, b.weight)
    for name, value in a.attention.parameters().items():
        assert np.array_equal(value, b.attention.parameters()[name])


OPTIONS = {"epochs": 4, "batch_size": 10, "fanout": 3, "validation": [1, 2, 3, 4, 5], "seed": 7}


def test_the_same_seed_gives_the_same_bits(world):
    _, x, labels, folder = world
    attn = ga.create("multi_head", DIM)
    first = train(attn, folder / "g", x, labels, **OPTIONS)
    same(first, train(attn, folder / "g", folder / "x.npy", labels, **OPTIONS))
    assert train(attn, folder / "g", x, labels, **OPTIONS | {"seed": 8}).losses != first.losses


@pytest.mark.native
def test_workers_do_not_matter(world):
    _, _, labels, folder = world
    attn = ga.create("multi_head", DIM)
    expected = train(attn, folder / "g", folder / "x.npy", labels, **OPTIONS)
    same(train(attn, folder / "g", folder / "x.npy", labels, client=2, **OPTIONS), expected)


def test_resume(world):
    _, x, labels, folder = world
    attn = ga.create("multi_head", DIM)
    expected = train(attn, folder / "g", x, labels, **OPTIONS)
    stop = threading.Event()
    part = train(
        attn,
        folder / "g",
        x,
        labels,
        **OPTIONS,
        checkpoint=folder / "c.npz",
        cancel=stop,
        on_progress=lambda p: stop.set() if p.step == 9 else None,
    )
    assert part.reason == "cancelled"
    same(train(attn, folder / "g", x, labels, **OPTIONS, checkpoint=folder / "c.npz", resume=True), expected)


def test_unknown_classes_are_left_out(world):
    _, x, labels, folder = world
    hidden = labels.copy()
    hidden[::2] = -1
    seen = []
    inner = _train.gradients

    def spy(setting, task):
        seen.extend(task[1].tolist())
        return inner(setting, task)

    order = Layout.open(folder / "g").node_array("order")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_train, "gradients", spy)
        train(ga.create("flash", DIM), folder / "g", x, hidden, epochs=1)
    met = np.array(seen) if order is None else order[seen]
    assert sorted(met.tolist()) == np.flatnonzero(hidden >= 0).tolist()


@pytest.mark.parametrize(
    ("arguments", "error", "name"),
    [
        ({"attn": 3}, ga.InvalidConfigError, "attn"),
        ({"folder": "nowhere"}, ga.LoadError, "folder"),
        ({"labels": np.zeros(NODES - 1, int)}, ga.DimensionMismatchError, "labels"),
        ({"labels": np.zeros(NODES)}, ga.InvalidConfigError, "labels"),
        ({"labels": np.full(NODES, -1)}, ga.InvalidConfigError, "labels"),
        ({"labels": np.full(NODES, -2)}, ga.InvalidConfigError, "labels"),
        ({"nodes": [NODES]}, ga.OutOfBoundsError, "nodes"),
        ({"validation": []}, ga.EmptyInputError, "validation"),
        ({"features": np.zeros((NODES, 3))}, ga.DimensionMismatchError, "features"),
        ({"fanout": 0}, ga.InvalidConfigError, "fanout"),
        ({"epochs": -1}, ga.InvalidConfigError, "epochs"),
        ({"seed": -1}, ga.InvalidConfigError, "seed"),
        ({"client": 0.5}, ga.InvalidConfigError, "executor"),
    ],
)
def test_bad_arguments(arguments, error, name, world):
    _, x, labels, folder = world
    given = {"attn": ga.create("flash", DIM), "folder": folder / "g", "features": x, "labels": labels} | arguments
    with pytest.raises(error) as info:
        train(**given)
    assert info.value.argument == name


def test_evaluate_refuses_what_is_no_model(world):
    _, x, labels, folder = world
    with pytest.raises(ga.InvalidConfigError, match="model"):
        evaluate(ga.create("flash", DIM), folder / "g", x, labels)
    model = Trained(ga.create("flash", DIM), np.zeros((DIM, 2)), np.zeros(2), [], [], "finished")
    with pytest.raises(ga.InvalidConfigError, match="labels"):
        evaluate(model, folder / "g", x, labels)

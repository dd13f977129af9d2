"""The benchmarks of published results: the two-layer network, embeddings by distance, the table."""

import networkx as nx
import numpy as np
import pytest

import graphattend as ga
from benchmarks import published, two_layers

pytestmark = pytest.mark.native  # reads the repository's own scripts


def test_gradients_of_two_layers_by_finite_differences():
    rng = np.random.default_rng(0)
    graph = ga.NeighborGraph.knn(rng.random((40, 3)), 5).with_self_loops()
    network = two_layers.TwoLayers(rng.random((40, 6)), 4)
    params = {n: a + 0.3 * rng.standard_normal(a.shape) for n, a in network.init(0).items()}
    pairs, labels = rng.integers(0, 40, (2, 30)), np.repeat([1.0, 0.0], 15)

    def value(params):
        return two_layers.loss(network.apply(params, graph, None)[0], pairs, labels)[0]

    points, pullback = network.apply(params, graph, None)
    grads = pullback(two_layers.loss(points, pairs, labels)[1])
    assert set(grads) == set(params)
    for name, a in params.items():
        step = 1e-6 * rng.standard_normal(a.shape)
        slope = value(params | {name: a + step}) - value(params | {name: a - step})
        assert 2 * (grads[name] * step).sum() == pytest.approx(slope, rel=1e-4, abs=1e-13), name


def test_near_pairs_score_higher_and_links_are_learned():
    points = np.array([[0.0, 0.0], [0.1, 0.0], [0.9, 0.0]])
    score = two_layers.scores(points)(np.array([[0, 0], [1, 2]]))
    # The distance from the centre is 2 artanh |x|.
    np.testing.assert_allclose(score, 2 - (2 * np.arctanh([0.1, 0.9])) ** 2)
    clubs = published.symmetric(nx.connected_caveman_graph(8, 6))
    x = np.eye(48, dtype=np.float32)
    found = two_layers.links_learned(two_layers.TwoLayers(x, 8), clubs, None, 0, epochs=60)
    assert found["roc_auc"] > 0.8


def test_a_path_has_no_distortion_in_the_plane(monkeypatch):
    monkeypatch.setattr(published, "STEPS", 5)
    found = published.distortions(nx.path_graph(6))
    assert found["Euclidean"] < 1e-6 < found["hyperbolic"]


def test_table():
    line = published.row("tree", "1.0 (A 2000)", ("ours", [0.5, 0.7]), ("simple", 0.25), "two seeds")
    text = published.table({"tree": [line]})
    assert text.splitlines()[2] == "| tree | 1.0 (A 2000) | ours 60.0 ± 14.1 | simple 25.0 | two seeds |"

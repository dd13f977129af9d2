"""The trained networks: gradients for every registered mechanism, and the baselines."""

import numpy as np
import pytest

import graphattend as ga
from graphattend.analysis import make, with_distances
from graphattend.errors import AttentionError
from graphattend.evaluation import baselines, networks, tasks

from .test_tasks import linked, small_world

GRAPH = with_distances(small_world(24))
X = np.random.default_rng(1).standard_normal((24, 6))


def layers():
    for key in ga.list_mechanisms():
        graph = GRAPH
        try:
            layer = networks.AttentionLayer(make(key, graph, 8, {}, 0), graph)
        except AttentionError:  # needs the layers of an index
            graph = ga.NeighborGraph(graph.indptr, graph.indices, layers=np.arange(24) % 3)
            layer = networks.AttentionLayer(make(key, graph, 8, {}, 0), graph)
        yield pytest.param(layer, id=key)
    yield pytest.param(networks.GCNLayer(GRAPH, 8), id="gcn")


@pytest.mark.parametrize(("classes", "count"), [(None, 1), (3, 1), (None, 2)])
@pytest.mark.parametrize("layer", layers())
def test_gradients_by_finite_differences(layer, classes, count):
    network = networks.LayerNetwork(X, layer, 8, classes, 0.0, count)
    rng = np.random.default_rng(3)
    params = {n: a.astype(np.float64) for n, a in network.init(0).items()}
    output, pullback = network.apply(params)
    g = rng.standard_normal(output.shape)
    grads = pullback(g)
    assert set(grads) == set(params)
    for name, value in params.items():
        direction = rng.standard_normal(value.shape)
        direction /= np.sqrt((direction**2).sum())
        h = 1e-6
        ends = [(network.apply(params | {name: value + s * h * direction})[0] * g).sum() for s in (1, -1)]
        slope = (ends[0] - ends[1]) / (2 * h)
        assert (grads[name] * direction).sum() == pytest.approx(slope, rel=2e-5, abs=2e-6), name


@pytest.mark.parametrize("count", [1, 2])
def test_scores_start_with_a_standard_deviation_of_one(count):
    layer = networks.AttentionLayer(ga.create("scaled_dot_product", 8), GRAPH)
    network = networks.LayerNetwork(X, layer, 8, None, 0.0, count)
    z = network.last(network.init(0))[1]
    scores = (z[GRAPH.targets] * z[GRAPH.indices]).sum(axis=1) / np.sqrt(8)
    of_rows = [scores[a:b] for a, b in zip(GRAPH.indptr[:-1], GRAPH.indptr[1:], strict=True) if b > a]
    squares = sum(((row - row.mean()) ** 2).sum() for row in of_rows)
    assert np.sqrt(squares / (len(scores) - len(of_rows))) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("layer", layers())
def test_attention_starts_alike_whatever_the_unit_of_the_features(layer):
    large, small = (networks.LayerNetwork(unit * X, layer, 8, None, 0.0) for unit in (1, 2**-10))
    z = large.last(large.init(0))[1]
    np.testing.assert_allclose(small.last(small.init(0))[1] / z, 2**-10 if layer.scale(z) == {} else 1, rtol=1e-5)


def test_two_layers_see_the_neighbours_of_neighbours():
    """On a path where node i attends only to i - 1, layers are products with shifts."""
    i = np.arange(1, 24)
    path = ga.NeighborGraph.from_edge_index([i - 1, i], 24)
    layer = networks.AttentionLayer(ga.create("scaled_dot_product", 8), path)
    one, two = (networks.LayerNetwork(X, layer, 8, 3, 0.0, count) for count in (1, 2))
    params = {n: a.astype(np.float64) for n, a in two.init(0).items()}
    back = np.eye(24, k=-1)
    h, w = X @ params["w_in"] + params["b_in"], (params["0/w_out"], params["1/w_out"])

    def decoded(h):
        return np.maximum(h, 0) @ params["w_class"] + params["b_class"]

    np.testing.assert_allclose(one.apply(params)[0], decoded(h + back @ h @ w[0]), rtol=1e-12)
    wanted = h + back @ h @ (w[0] + w[1]) + back @ back @ h @ w[0] @ w[1]
    np.testing.assert_allclose(two.apply(params)[0], decoded(wanted), rtol=1e-12)
    own, latents = two.last(params)
    assert own == {}
    np.testing.assert_allclose(latents, (h + back @ h @ w[0]) * np.exp(params["1/log_scale"]), rtol=1e-12)


def test_the_space_keeps_its_curvature_and_temperatures_their_sign():
    layer = networks.AttentionLayer(ga.create("hyperbolic", 8), GRAPH)
    assert layer.trained == ("temperature",)
    learned = layer.with_parameters({"temperature": np.array(-3.0)})
    assert float(learned.parameters()["temperature"]) == pytest.approx(np.exp(-3.0))
    assert float(learned.parameters()["curvature"]) == -1.0


def test_convolution_is_the_dense_matrix():
    a = np.zeros((24, 24))
    np.add.at(a, (GRAPH.targets, GRAPH.indices), 1)
    a = (a + a.T) / 2 + np.eye(24)
    root = np.diag(a.sum(axis=1) ** -0.5)
    z = np.random.default_rng(0).standard_normal((24, 8))
    np.testing.assert_allclose(networks.GCNLayer(GRAPH, 8).apply({}, z, None)[0], root @ a @ root @ z, rtol=1e-12)


def test_outputs_for_links_lie_between_the_hidden_states_and_unit_vectors():
    h = np.random.default_rng(0).standard_normal((24, 8)) * np.geomspace(1e-3, 1e3, 24)[:, None]
    out, _ = networks._embedded(h, {"log_sharpness": np.log(7.0)})
    length = np.linalg.norm(h, axis=1)
    np.testing.assert_allclose(out / np.linalg.norm(out, axis=1)[:, None], h / length[:, None], rtol=1e-9)
    np.testing.assert_allclose((out**2).sum(axis=1), 7 / (1 + np.mean(length**2) / length**2), rtol=1e-9)
    np.testing.assert_array_equal(networks._embedded(0 * h, {"log_sharpness": np.log(7.0)})[0], 0)


def test_dropout_is_on_in_training_alone():
    network = networks.LayerNetwork(X, networks.GCNLayer(GRAPH, 8), 8, 3, 0.5)
    params = network.init(0)
    np.testing.assert_array_equal(network.apply(params)[0], network.apply(params)[0])
    first, second = (network.apply(params, np.random.default_rng(s))[0] for s in (0, 1))
    assert not np.array_equal(first, second)


@pytest.mark.native
def test_neighbourhood_scores_are_networkx():
    nx = pytest.importorskip("networkx")
    task = tasks.links(small_world(), None, 0)
    graph = nx.Graph(list(linked(task.graph)))
    graph.remove_edges_from(nx.selfloop_edges(graph))
    pairs = np.stack([task.test.pairs[0], task.test.negatives[:, 0]])
    both = [tuple(map(int, p)) for p in pairs.T]
    wanted = [p for _, _, p in nx.adamic_adar_index(graph, both)]
    np.testing.assert_allclose(baselines.adamic_adar(task, X, None)(pairs), wanted)
    common = [len(list(nx.common_neighbors(graph, u, v))) for u, v in both]
    np.testing.assert_array_equal(baselines.common_neighbors(task, X, None)(pairs), common)


def test_the_spectral_embedding_is_a_baseline_beside_other_features():
    task = tasks.links(small_world(), None, 0)
    own = baselines.scaled(baselines.own_features(task.graph))
    assert baselines.spectral(task, own, None) is None
    scores = baselines.spectral(task, X, None)(task.test.pairs)
    a, b = own[task.test.pairs]
    np.testing.assert_allclose(
        scores, (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1), rtol=1e-5
    )

"""The navigator as a policy, as a search, and after training."""

import heapq

import networkx as nx
import numpy as np
import pytest

import graphattend as ga
from graphattend.mechanisms._policy_gradient import objective


def points(count=300, dim=6, seed=0):
    """Draw points whose variance is concentrated in a few directions."""
    return np.random.default_rng(seed).standard_normal((count, dim)) * np.linspace(3, 0.5, dim)


@pytest.fixture(scope="module")
def world():
    x = points()
    edges = np.random.default_rng(1).integers(0, 300, (2, 300))  # a few long links keep the graph connected
    near = ga.NeighborGraph.knn(x, 6).to_edge_index()
    both = np.concatenate([near, near[::-1], edges, edges[::-1]], axis=1)
    return ga.NeighborGraph.from_edge_index(both, 300), x


def reference_greedy(graph, x, query, entry, k, budget):
    """Search best-first with Python's data structures on networkx's adjacency."""
    known = graph.to_networkx()
    distance = {entry: float(((x[entry] - query) ** 2).sum())}
    queue = [(distance[entry], entry)]
    while queue and len(distance) < budget:
        node = heapq.heappop(queue)[1]
        for other in sorted(set(known.predecessors(node)) - set(distance)):
            if len(distance) < budget:
                distance[other] = float(((x[other] - query) ** 2).sum())
                heapq.heappush(queue, (distance[other], other))
    return sorted(distance, key=lambda n: (distance[n], n))[:k], len(distance)


def test_untrained_policy_prefers_near_neighbours():
    q, k = points(1)[0], points(20, seed=3)
    expected = np.exp(-0.7 * ((k - q) ** 2).sum(axis=1))
    weights = ga.RLNavigator(6, sharpness=0.7).attention_weights(q, k)
    np.testing.assert_allclose(weights, expected / expected.sum(), rtol=1e-10)


@pytest.mark.parametrize("budget", [1, 2, 30, 100, 10_000])
def test_greedy_search_is_best_first(world, budget):
    graph, x = world
    for query in points(5, seed=4):
        nodes, work = reference_greedy(graph, x, query, 5, 7, budget)
        found = ga.RLNavigator(6).greedy_search(graph, x, query, entry=5, k=7, budget=budget)
        assert found.indices.tolist() == nodes
        assert found.work == work == len(found.visited)


@pytest.mark.parametrize("budget", [4, 4.5, 6, 17, 60, 10_000, 2.0**53, 1e308])
def test_work_stays_within_the_budget_and_is_a_prefix(world, budget):
    graph, x = world
    navigator = ga.RLNavigator(6, rank=2).fitted(x)
    query = points(1, seed=5)[0]
    found = navigator.search(graph, x, query, k=3, budget=budget)
    longest = navigator.search(graph, x, query, k=3, budget=10_000)
    assert found.work <= budget
    assert len(set(found.visited)) == len(found.visited)
    assert found.visited.tolist() == longest.visited[: len(found.visited)].tolist()
    np.testing.assert_allclose(found.distances, np.linalg.norm(x[found.indices] - query, axis=1))
    assert (np.diff(found.distances) >= 0).all()


@pytest.mark.parametrize("rank", [1, 2])
def test_work_is_exact_where_a_coordinate_is_a_third_of_a_distance(rank):
    x = points(200, 3, seed=13)
    graph, navigator = ga.NeighborGraph.knn(x, 6), ga.RLNavigator(3, rank=rank).fitted(x)
    for query in x[:4] + 0.1:
        longest = navigator.search(graph, x, query, budget=20)
        for budget in np.arange(6 * rank, 60) / 3:
            found = navigator.search(graph, x, query, budget=budget)
            assert found.work <= budget
            assert len(found.visited) == (longest.visited_at <= budget).sum()


def test_work_counts_the_projection_of_the_query():
    """By hand on the path 0-1-2-3 in 4 dimensions, rank 2: 2 for the query, 1 per visit, 1/2 per new neighbour."""
    graph = ga.NeighborGraph.from_edge_index([[0, 1, 1, 2, 2, 3], [1, 0, 2, 1, 3, 2]], 4)
    x = np.arange(4.0)[:, None] * np.ones(4)
    navigator = ga.RLNavigator(4, rank=2).fitted(x)
    found = navigator.search(graph, x, x[3], k=1, budget=100)
    assert found.visited.tolist() == [0, 1, 2, 3]
    assert found.visited_at.tolist() == [3.0, 4.5, 6.0, 7.5]
    assert found.work == 7.5


def test_coordinates_are_summed_only_as_far_as_the_order_needs():
    """By hand, 8 coordinates in two steps: of node 0's neighbours only the near one's sum is completed."""
    graph = ga.NeighborGraph.from_edge_index([[1, 2], [0, 0]], 3)
    x = np.array([[4.0] + [0] * 7, [0] * 8, [9] + [0] * 7])
    found = ga.RLNavigator(8).search(graph, x, np.zeros(8), k=1, budget=16)
    assert found.visited.tolist() == [0, 1, 2]
    assert found.visited_at.tolist() == [9.0, 11.5, 13.0]  # 8 + 1; two looks at half, one more half, 1; half, 1


def reference_visits(graph, x, query, entry, count, codes, code):
    """Return the order of visits by complete estimates, with plain lists."""
    known, estimate = graph.to_networkx(), {}
    visited, best = [], entry
    while best is not None and len(visited) < count:
        visited.append(best)
        carried = 0.3 * ((x[best] - query) @ (x[best] - query) - estimate[best][0]) if best != entry else 0.0
        for other in known.predecessors(best):
            if other not in estimate and other != entry:
                own = float(((codes[other] - code) ** 2).sum())
                estimate[other] = own, own + carried
        open_ = [n for n in estimate if n not in visited]
        best = min(open_, key=lambda n: (estimate[n][1], n), default=None)
    return visited


@pytest.mark.parametrize("rank", [1, 3, 4, 6])
def test_partial_sums_do_not_change_the_order(world, rank):
    graph, x = world
    navigator = ga.RLNavigator(6, rank=rank).fitted(x)
    w = navigator.parameters()["w_key"]
    for query in points(4, seed=14):
        found = navigator.search(graph, x, query, entry=5, budget=60)
        assert found.visited.tolist() == reference_visits(graph, x, query, 5, len(found.visited), x @ w, query @ w)


@pytest.mark.parametrize("budget", [1, 2, 5, 7.9])
def test_a_budget_that_the_projection_would_take_goes_to_greedy_search(world, budget):
    graph, x = world
    navigator = ga.RLNavigator(6, rank=4).fitted(x)
    for codes in (None, navigator.encode(x)):
        found = navigator.search(graph, x, x[7] + 0.1, entry=3, budget=budget, codes=codes)
        greedy = navigator.greedy_search(graph, x, x[7] + 0.1, entry=3, budget=budget)
        assert found.visited.tolist() == greedy.visited.tolist()
        assert found.work == greedy.work


@pytest.fixture(scope="module")
def calibrated(world):
    graph, x = world
    return ga.RLNavigator(6, rank=2).fitted(x).calibrate(graph, x, points(30, seed=11), k=5, entry=3)


def mean_recall(world, navigator, budget):
    graph, x = world
    hits = 0
    for query in points(30, seed=11):
        true = np.argsort(((x - query) ** 2).sum(axis=1))[:5]
        hits += np.isin(true, navigator.search(graph, x, query, k=5, entry=3, budget=budget).indices).sum()
    return hits / 150


@pytest.mark.parametrize("recall", [0.3, 0.8, 0.95])
def test_recall_takes_the_least_budget_that_reached_it(world, calibrated, recall):
    budgets, recalls = calibrated.calibration[:2]
    place = int(np.argmax(recalls >= recall))
    for at in (place - 1, place):
        assert mean_recall(world, calibrated, budgets[at]) == pytest.approx(recalls[at], abs=1e-12)
    graph, x = world
    query = points(1, seed=12)[0]
    found = calibrated.search(graph, x, query, k=5, entry=3, recall=recall)
    alone = calibrated.search(graph, x, query, k=5, entry=3, budget=budgets[place])
    assert found.visited.tolist() == alone.visited.tolist()


@pytest.mark.parametrize("rank", [1, 2, 6])
def test_a_calibrated_search_is_nowhere_below_greedy(world, rank):
    """On the calibration queries, at every budget; with one of six coordinates, greedy search has to help."""
    graph, x = world
    plain, queries = ga.RLNavigator(6, rank=rank).fitted(x), points(30, seed=11)
    calibrated = plain.calibrate(graph, x, queries, k=5, entry=3, budget=150)
    assert calibrated.calibration.greedy.any()
    for budget in (1, 2.5, 5, 8, 12, 20, 40, 80, 150):
        hits = np.zeros(2)
        for query in queries:
            true = np.argsort(((x - query) ** 2).sum(axis=1))[:5]
            for i, search in enumerate((calibrated.search, plain.greedy_search)):
                hits[i] += np.isin(true, search(graph, x, query, k=5, entry=3, budget=budget).indices).sum()
        assert hits[0] >= hits[1]


def test_half_the_work_of_greedy_search_suffices():
    """With most variance in 8 of 64 dimensions: recall@10 of 0.95 on queries not used for calibration."""
    rng = np.random.default_rng(20)
    x, known, queries = (rng.standard_normal((n, 64)) * np.arange(1, 65) ** -1.2 for n in (1500, 60, 60))
    near = ga.NeighborGraph.knn(x, 10).to_edge_index()
    links = rng.integers(0, 1500, (2, 1500))
    graph = ga.NeighborGraph.from_edge_index(np.concatenate([near, near[::-1], links, links[::-1]], axis=1), 1500)
    navigator = ga.RLNavigator(64, rank=8).fitted(x).calibrate(graph, x, known, budget=400)
    codes, hits = navigator.encode(x), np.zeros(2)
    for query in queries:
        true = np.argsort(((x - query) ** 2).sum(axis=1))[:10]
        found = navigator.search(graph, x, query, recall=0.95, codes=codes)
        greedy = navigator.greedy_search(graph, x, query, budget=2 * found.work)
        hits += [np.isin(true, f.indices).mean() for f in (found, greedy)]
    assert hits[0] / 60 >= 0.94
    assert hits[1] < hits[0]


def test_calibration_is_a_frozen_copy_and_goes_with_the_parameters(world, calibrated):
    graph, x = world
    plain = ga.RLNavigator(6, rank=2).fitted(x)
    assert plain.calibrate(graph, x, x[:3]).calibration is not None
    assert plain.calibration is None
    assert calibrated == plain
    with pytest.raises(ValueError, match="read-only"):
        calibrated.calibration.budgets[0] = 0
    assert calibrated.with_parameters({}).calibration is None
    assert calibrated.fitted(x).calibration is None


@pytest.mark.parametrize(
    "changes",
    [{"recall": 0}, {"recall": 1.1}, {"recall": "high"}, {"budget": 50}, {"k": 6}, {"entry": 0}],
)
def test_a_recall_that_was_not_calibrated_is_named(world, calibrated, changes):
    graph, x = world
    with pytest.raises(ga.InvalidConfigError, match=r"^recall") as caught:
        calibrated.search(graph, x, x[0], **{"k": 5, "entry": 3, "recall": 0.5} | changes)
    assert caught.value.argument == "recall"


def test_a_recall_without_calibration_or_out_of_reach_is_named(world):
    graph, x = world
    navigator = ga.RLNavigator(6, rank=2).fitted(x)
    with pytest.raises(ga.InvalidConfigError, match=r"recall: .*calibrate\(\)"):
        navigator.search(graph, x, x[0], recall=0.9)
    short = navigator.calibrate(graph, x, points(30, seed=11), budget=10)
    with pytest.raises(ga.InvalidConfigError, match="recall: expected at most 0"):
        short.search(graph, x, x[0], recall=0.9)
    with pytest.raises(ga.InvalidConfigError, match="budget"):
        navigator.calibrate(graph, x, x[:2], budget=3)


def test_an_unlimited_search_finds_the_nearest(world):
    graph, x = world
    assert nx.is_connected(graph.to_networkx().to_undirected())
    for query in points(5, seed=6):
        true = np.argsort(((x - query) ** 2).sum(axis=1))[:5]
        for rank in (1, None):
            found = ga.RLNavigator(6, rank=rank).search(graph, x, query, k=5, budget=10_000)
            assert found.indices.tolist() == true.tolist()


def test_full_rank_visits_as_exact_distances_say(world):
    graph, x = world
    query = points(1, seed=7)[0]
    found = ga.RLNavigator(6).search(graph, x, query, k=5, budget=400)
    greedy = ga.RLNavigator(6).greedy_search(graph, x, query, k=5, budget=400)
    assert found.indices.tolist() == greedy.indices.tolist()


def test_encoded_vectors_change_nothing(world):
    graph, x = world
    navigator = ga.RLNavigator(6, rank=2).fitted(x)
    runs = [navigator.search(graph, x, x[3] + 0.1, budget=50, codes=c) for c in (None, navigator.encode(x))]
    assert runs[0].visited.tolist() == runs[1].visited.tolist()


def test_fitted_scores_are_distances_where_the_axes_suffice():
    rng = np.random.default_rng(0)
    plane = rng.standard_normal((40, 2)) @ rng.standard_normal((2, 5)) + rng.standard_normal(5)
    navigator = ga.RLNavigator(5, rank=2).fitted(plane)
    scores = np.log(navigator.attention_weights(plane[0], plane)) / navigator.parameters()["sharpness"]
    squares = ((plane - plane[0]) ** 2).sum(axis=1)
    np.testing.assert_allclose(scores - scores[0], squares[0] - squares, atol=1e-9)


def test_policy_gradient_is_unbiased(world):
    """The mean gradient over many one-step walks is that of the expected reward, computed by differences."""
    graph, x = world
    navigator = ga.RLNavigator(6, rank=2, sharpness=0.1)
    query, params = points(1, seed=8), navigator.parameters()
    loss = objective(navigator, graph, x, query, steps=1, rollouts=20_000, discount=0.0)
    grads = loss(params, np.array([0]), np.random.default_rng(0))[1]
    scale = ((x - x.mean(axis=0)) ** 2).sum(axis=1).mean()

    def expected(parameters):
        policy = navigator.with_parameters(parameters)
        total = 0.0
        for node in range(300):
            row = graph.indices[graph.indptr[node] : graph.indptr[node + 1]]
            row = row[row != node]
            total += policy.attention_weights(query[0], x[row]) @ ((x[row] - query[0]) ** 2).sum(axis=1)
        return total / 300 / scale

    rng = np.random.default_rng(1)
    for name in ("w_query", "w_key", "bias", "sharpness"):
        d = rng.standard_normal(params[name].shape)
        up, down = (expected({**params, name: params[name] + s * d}) for s in (1e-5, -1e-5))
        np.testing.assert_allclose((grads[name] * d).sum(), (up - down) / 2e-5, rtol=0.15, atol=2e-3)


TRAINING = {"epochs": 12, "lr": 0.03, "batch_size": 32, "rollouts": 2}


@pytest.fixture(scope="module")
def training(world):
    """Return a navigator with random axes, the same navigator trained, and the losses."""
    graph, x = world
    start, losses = ga.RLNavigator(6, rank=2, seed=1), []
    trained = start.train(graph, x, points(96, seed=9), **TRAINING, on_progress=lambda p: losses.append(p.loss))
    return start, trained, losses


def test_training_raises_the_return(training):
    start, _, losses = training
    assert np.mean(losses[-6:]) < 0.9 * np.mean(losses[:6])
    assert start == ga.RLNavigator(6, rank=2, seed=1)


def test_training_improves_the_search(world, training):
    graph, x = world
    start, trained, _ = training

    def mean_distance(navigator):
        return np.mean([navigator.search(graph, x, q, k=1, budget=40).distances[0] for q in points(40, seed=10)])

    assert mean_distance(trained) < mean_distance(start)


def test_training_repeats_and_depends_on_the_seed(world):
    graph, x = world
    runs = [ga.RLNavigator(6).train(graph, x, points(8), epochs=1, seed=seed) for seed in (3, 3, 4)]
    assert runs[0] == runs[1] != runs[2]


def test_training_can_be_cancelled(world):
    graph, x = world
    seen = []

    def stop(progress):
        seen.append(progress.step)
        return len(seen) < 2

    ga.RLNavigator(6).train(graph, x, points(32), epochs=5, batch_size=8, on_progress=stop)
    assert seen == [1, 2]


def test_trained_navigator_survives_a_file(world, tmp_path):
    graph, x = world
    trained = ga.RLNavigator(6, rank=3).fitted(x).train(graph, x, points(16), epochs=1)
    trained.save(tmp_path / "navigator.npz")
    assert ga.load(tmp_path / "navigator.npz") == trained


def test_nodes_without_neighbours_end_a_walk():
    graph = ga.NeighborGraph([0, 1, 1, 1], [1])
    x = np.eye(3)
    found = ga.RLNavigator(3).search(graph, x, x[2], k=5)
    assert sorted(found.indices.tolist()) == [0, 1]
    ga.RLNavigator(3).train(graph, x, x, epochs=1)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"graph": "graph"}, ga.InvalidConfigError),
        ({"vectors": np.zeros((299, 6))}, ga.DimensionMismatchError),
        ({"vectors": np.full((300, 6), np.nan)}, ga.NumericalInstabilityError),
        ({"query": np.zeros(5)}, ga.DimensionMismatchError),
        ({"entry": 300}, ga.OutOfBoundsError),
        ({"k": 0}, ga.InvalidConfigError),
        ({"budget": 0.5}, ga.InvalidConfigError),
        ({"codes": "codes"}, ga.InvalidConfigError),
    ],
)
def test_bad_input_is_named(world, changes, error):
    graph, x = world
    arguments = {"graph": graph, "vectors": x, "query": x[0]} | changes
    with pytest.raises(error, match=next(iter(changes))):
        ga.RLNavigator(6).search(**arguments)


def test_rank_beyond_dim_is_refused():
    with pytest.raises(ga.InvalidConfigError, match="rank"):
        ga.RLNavigator(4, rank=5)

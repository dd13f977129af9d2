"""Laws of graphs, losses, optimizers, codecs and metrics, on random inputs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphattend as ga
from graphattend.compression import LowRank, Quantizer, SparseStorage
from graphattend.training import OPTIMIZERS

T, E = ga.training, ga.evaluation
numbers = given(st.integers(0, 2**32 - 1))
EDGES = np.array([[0, 1, 2, 2], [1, 2, 3, 0]])


def close(found, wanted, tolerance=1e-9):
    np.testing.assert_allclose(
        found, wanted, rtol=tolerance, atol=tolerance * max(1e-30, np.abs(wanted).max(initial=0))
    )


def random_graph(seed, *, weights=False):
    rng = np.random.default_rng(seed)
    nodes = int(rng.integers(1, 8))
    edges = rng.integers(0, nodes, (2, rng.integers(0, 20)))
    extra = {"edge_weights": rng.random(edges.shape[1]) + 0.1} if weights else {}
    return rng, ga.NeighborGraph.from_edge_index(edges, nodes, **extra)


def renamed(graph, order):
    """Return the graph with node i renamed to order[i]."""
    extra = {} if graph.edge_weights is None else {"edge_weights": graph.edge_weights}
    return ga.NeighborGraph.from_edge_index(order[graph.to_edge_index()], graph.num_nodes, **extra)


# -- graphs ----------------------------------------------------------------------------------------------------


@numbers
def test_the_transpose_of_the_transpose(seed):
    _, graph = random_graph(seed)
    there = graph.transpose()
    back = there.transpose()
    assert there.num_edges == graph.num_edges
    assert (back.indptr == graph.indptr).all()
    assert sorted(map(tuple, back.to_edge_index().T)) == sorted(map(tuple, graph.to_edge_index().T))


@numbers
def test_degrees_count_the_edges(seed):
    _, graph = random_graph(seed)
    assert graph.degree().sum() == graph.num_edges
    assert (graph.transpose().degree() == np.bincount(graph.indices, minlength=graph.num_nodes)).all()


@numbers
def test_edges_make_the_graph_they_came_from(seed):
    _, graph = random_graph(seed, weights=True)
    again = ga.NeighborGraph.from_edge_index(graph.to_edge_index(), graph.num_nodes, edge_weights=graph.edge_weights)
    assert (again.indptr == graph.indptr).all()
    assert (again.indices == graph.indices).all()
    assert (again.edge_weights == graph.edge_weights).all()


@numbers
def test_all_nodes_are_the_whole_subgraph(seed):
    _, graph = random_graph(seed)
    whole = graph.subgraph(np.arange(graph.num_nodes))
    assert sorted(map(tuple, whole.to_edge_index().T)) == sorted(map(tuple, graph.to_edge_index().T))


@numbers
def test_a_second_loop_replaces_the_first(seed):
    _, graph = random_graph(seed)
    once = graph.with_self_loops()
    twice = once.with_self_loops()
    assert (once.indptr == twice.indptr).all()
    assert (once.indices == twice.indices).all()


@numbers
def test_pagerank_is_a_distribution(seed):
    _, graph = random_graph(seed, weights=True)
    rank = graph.pagerank()
    assert (rank >= 0).all()
    close(rank.sum(), 1.0, 1e-8)


@pytest.mark.parametrize("measure", ["closeness", "betweenness", "pagerank", "clustering", "degree"])
@numbers
def test_measures_do_not_know_names(measure, seed):
    rng, graph = random_graph(seed)
    order = rng.permutation(graph.num_nodes)
    found = getattr(renamed(graph, order), measure)()
    np.testing.assert_allclose(found[order], getattr(graph, measure)(), rtol=1e-8, atol=1e-10)


@numbers
def test_detours_are_not_shorter(seed):
    _, graph = random_graph(seed)
    d = graph.shortest_path_lengths()
    assert (d <= (d[:, :, None] + d[None, :, :]).min(axis=1)).all()
    assert not np.diag(d).any()


@numbers
def test_distances_of_the_transpose_are_the_other_way_round(seed):
    _, graph = random_graph(seed)
    assert (graph.transpose().shortest_path_lengths() == graph.shortest_path_lengths().T).all()


@numbers
def test_rows_of_a_laplacian_sum_to_zero(seed):
    _, graph = random_graph(seed, weights=True)
    np.testing.assert_allclose(graph.laplacian().sum(axis=1), 0, atol=1e-5)


@numbers
def test_clustering_is_a_share(seed):
    _, graph = random_graph(seed)
    c = graph.clustering()
    assert ((c >= 0) & (c <= 1 + 1e-12)).all()


@numbers
def test_the_nearest_stay_so_when_all_are_moved(seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((7, 3))
    near, moved = (ga.NeighborGraph.knn(y, 2) for y in (x, 4 * x + 8))
    assert (near.indices == moved.indices).all()


@numbers
def test_patterns_are_symmetric(seed):
    rng = np.random.default_rng(seed)
    n, w = int(rng.integers(1, 9)), int(rng.integers(0, 5))
    mask = ga.graph.patterns.sliding_window(n, window=w).as_mask()
    assert (mask == mask.T).all()
    assert mask.diagonal().all()


# -- losses ----------------------------------------------------------------------------------------------------


def vectors(seed, *shapes):
    rng = np.random.default_rng(seed)
    scale = 10.0 ** rng.integers(-1, 2)
    return rng, *(scale * rng.standard_normal(s) for s in shapes)


@numbers
def test_triplet_is_the_margin_where_all_are_equal(seed):
    rng, a = vectors(seed, (3, 4))
    margin = float(rng.random() * 5)
    close(T.triplet(a, a, a, margin=margin), margin)


@numbers
def test_triplet_ignores_where_all_are(seed):
    rng, a, p, n = vectors(seed, (3, 4), (3, 4), (3, 4))
    shift = rng.standard_normal(4)
    close(T.triplet(a + shift, p + shift, n + shift), T.triplet(a, p, n), 1e-7)
    assert T.triplet(a, p, n) >= 0


@numbers
def test_cosines_ignore_lengths(seed):
    rng, a, p, n = vectors(seed, (3, 4), (2, 4), (5, 4))
    lengths = rng.random((5, 1)) + 0.1
    close(T.info_nce(a * lengths[:3], p * lengths[:2], n * lengths), T.info_nce(a, p, n), 1e-8)


@numbers
def test_more_negatives_are_not_easier(seed):
    _, a, p, n = vectors(seed, (3, 4), (2, 4), (5, 4))
    assert T.info_nce(a, p, n) >= T.info_nce(a, p, n[:3]) - 1e-12


@numbers
def test_equal_neighbours_are_smooth(seed):
    rng, x = vectors(seed, (4, 3))
    assert T.laplacian(np.repeat(x[:1], 4, axis=0), EDGES) == 0
    close(T.laplacian(x + rng.standard_normal(3), EDGES), T.laplacian(x, EDGES), 1e-7)
    close(T.laplacian(2 * x, EDGES), 4 * T.laplacian(x, EDGES))


@numbers
def test_rotations_change_neither_orthogonality_nor_lengths(seed):
    _, x, q = vectors(seed, (5, 3), (5, 5))
    turn, _ = np.linalg.qr(q)
    close(T.orthogonality(turn @ x), T.orthogonality(x), 1e-8)
    close(T.norm_penalty(x.T @ turn, 1.5), T.norm_penalty(x.T, 1.5), 1e-8)


@numbers
def test_entropy_ignores_a_shift(seed):
    rng, logits = vectors(seed, (4, 3))
    targets = rng.integers(0, 3, 4)
    shifted = logits + rng.standard_normal((4, 1)) * 100
    close(T.cross_entropy(shifted, targets), T.cross_entropy(logits, targets), 1e-7)
    assert T.cross_entropy(logits, targets) >= 0


@numbers
def test_what_is_reconstructed_costs_nothing(seed):
    _, x, y = vectors(seed, (4, 3), (4, 3))
    assert T.reconstruction(x, x) == 0
    close(T.reconstruction(x, y), T.reconstruction(y, x))


# -- optimizers ------------------------------------------------------------------------------------------------


def optimizer(name, **options):
    cls = OPTIMIZERS[name]
    space = {"manifold": ga.geometry.Euclidean()} if name.startswith("Riemannian") else {}
    return cls(lr=0.1, **space, **options)


@pytest.mark.parametrize("name", list(OPTIMIZERS))
@numbers
def test_no_gradient_no_step(name, seed):
    _, x = vectors(seed, (3, 2))
    o = optimizer(name, weight_decay=0.0)
    params, _ = o.update({"x": x}, {"x": 0 * x}, o.init({"x": x}))
    assert (params["x"] == x).all()


@pytest.mark.parametrize("name", list(OPTIMIZERS))
@numbers
def test_parameters_are_learned_apart(name, seed):
    _, x, y, g, h = vectors(seed, (3, 2), (4, 2), (3, 2), (4, 2))
    o = optimizer(name)
    both, _ = o.update({"x": x, "y": y}, {"y": h, "x": g}, o.init({"x": x, "y": y}))
    alone, _ = o.update({"x": x}, {"x": g}, o.init({"x": x}))
    assert (both["x"] == alone["x"]).all()


@pytest.mark.parametrize("name", list(OPTIMIZERS))
@numbers
def test_small_steps_go_downhill(name, seed):
    _, x = vectors(seed, (3, 2))
    cls = OPTIMIZERS[name]
    space = {"manifold": ga.geometry.Euclidean()} if name.startswith("Riemannian") else {}
    o = cls(lr=1e-7, **space)
    params, state = {"x": x}, o.init({"x": x})
    for _ in range(3):
        params, state = o.update(params, {"x": params["x"]}, state)  # the gradient of |x|² / 2
    assert (params["x"] ** 2).sum() < (x**2).sum()


@numbers
def test_clipped_gradients_keep_their_direction(seed):
    _, x = vectors(seed, (3, 2))
    clipped = T.clip_by_norm({"x": x}, 0.5)["x"]
    norm = T.global_norm({"x": x})
    close(clipped, x * min(1.0, 0.5 / norm), 1e-6)


@numbers
def test_schedules_stay_between_their_rates(seed):
    rng = np.random.default_rng(seed)
    steps = int(rng.integers(1, 50))
    rates = [T.schedules.cosine(0.3, steps, min_lr=0.1)(t) for t in range(steps + 3)]
    assert all(0.1 - 1e-12 <= r <= 0.3 + 1e-12 for r in rates)
    assert rates == sorted(rates, reverse=True)


# -- codecs ----------------------------------------------------------------------------------------------------


@numbers
def test_codes_of_what_was_decoded_decode_the_same(seed):
    _, x = vectors(seed, (4, 6))
    codec = Quantizer(8, granularity="row")
    once = codec.encode(x).decode()
    close(codec.encode(once).decode(), once, 1e-6)


@numbers
def test_powers_of_two_pass_through_a_quantizer(seed):
    _, x = vectors(seed, (4, 6))
    x = x.astype(np.float32)
    for bits in (4, 8):
        assert (Quantizer(bits).encode(4 * x).codes == Quantizer(bits).encode(x).codes).all()


@numbers
def test_full_rank_is_exact(seed):
    _, x = vectors(seed, (4, 6))
    close(LowRank(4).encode(x).decode(), x, 1e-8)


@numbers
def test_more_rank_is_not_worse(seed):
    _, x = vectors(seed, (5, 6))
    errors = [np.linalg.norm(LowRank(r).encode(x).decode() - x) for r in (1, 2, 3)]
    assert errors[0] >= errors[1] - 1e-9
    assert errors[1] >= errors[2] - 1e-9


@numbers
def test_the_largest_entries_are_kept(seed):
    _, x = vectors(seed, (4, 6))
    kept = SparseStorage(top_k=2).encode(x).decode()
    for row, of in zip(kept, x, strict=True):
        largest = np.sort(np.abs(of))[-2:]
        np.testing.assert_array_equal(np.sort(np.abs(row[row != 0])), largest)


# -- metrics ---------------------------------------------------------------------------------------------------


def ranked(seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, 12)
    labels[:2] = 0, 1
    return labels, rng.standard_normal(12).round(1)


@numbers
def test_areas_depend_on_the_order_alone(seed):
    labels, scores = ranked(seed)
    close(E.roc_auc(labels, np.exp(scores)), E.roc_auc(labels, scores))
    close(E.average_precision(labels, np.exp(scores)), E.average_precision(labels, scores))


@numbers
def test_the_area_of_the_opposite(seed):
    labels, scores = ranked(seed)
    close(E.roc_auc(labels, -scores) + E.roc_auc(labels, scores), 1.0)
    close(E.roc_auc(1 - labels, scores) + E.roc_auc(labels, scores), 1.0)


@numbers
def test_accuracy_does_not_know_names(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 3, (2, 20))
    order = rng.permutation(3)
    assert E.accuracy(order[a], order[b]) == E.accuracy(a, b)
    close(E.macro_f1(order[a], order[b]), E.macro_f1(a, b))

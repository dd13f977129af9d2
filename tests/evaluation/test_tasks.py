"""Splits: training never sees held-out data, and negatives are not links."""

import numpy as np
import pytest

import graphattend as ga
from graphattend.evaluation import tasks


def small_world(size=40, seed=0):
    rng = np.random.default_rng(seed)
    i = np.arange(size)
    edges = np.concatenate([np.stack([i, (i + r) % size]) for r in (1, 2)] + [rng.integers(0, size, (2, size))], axis=1)
    return ga.NeighborGraph.from_edge_index(np.concatenate([edges, edges[::-1]], axis=1), size)


def linked(graph):
    return {(int(a), int(b)) for a, b in zip(graph.indices, graph.targets, strict=True)} | {
        (int(b), int(a)) for a, b in zip(graph.indices, graph.targets, strict=True)
    }


@pytest.mark.parametrize("seed", range(3))
def test_held_out_links_are_gone_and_negatives_are_none(seed):
    graph = small_world(seed=seed)
    task = tasks.links(graph, None, seed)
    whole, rest = linked(graph), linked(task.graph)
    parts = [
        {(min(p), max(p)) for p in map(tuple, pairs.T.tolist())}
        for pairs in (task.train, task.validation.pairs, task.test.pairs)
    ]
    assert sum(map(len, parts)) == len({(a, b) for a, b in whole if a < b})
    assert not parts[0] & parts[1]
    assert not (parts[0] | parts[1]) & parts[2]
    assert not (parts[1] | parts[2]) & rest
    assert parts[0] <= rest
    for held in (task.validation, task.test):
        assert held.negatives.shape == (held.pairs.shape[1], tasks.RANKED)
        for source, negatives in zip(held.pairs[0], held.negatives, strict=True):
            assert all((int(source), int(n)) not in whole and n != source for n in negatives)
        assert held.unlinked.shape == held.pairs.shape
        assert not whole & set(map(tuple, held.unlinked.T.tolist()))


def test_unlinked_pairs_are_uniform(rng):
    links = np.array([[0, 1, 3, 0], [1, 2, 4, 4]])
    found = tasks.UnlinkedPairs(links, 5).draw(30_000, rng)
    counts = np.zeros((5, 5))
    np.add.at(counts, tuple(found), 1)
    free = ~np.eye(5, dtype=bool)
    free[tuple(links)] = free[tuple(links[::-1])] = False
    assert not counts[~free].any()
    expected = 30_000 / free.sum()
    assert ((counts[free] - expected) ** 2 / expected).sum() < 34  # chi-square with 11 degrees of freedom: p = 0.0004
    with pytest.raises(ga.InvalidConfigError, match="two nodes without a link"):
        tasks.UnlinkedPairs(np.array([[0, 1, 0], [1, 2, 2]]), 3)


def test_training_draws_new_unlinked_pairs(rng):
    task = tasks.links(small_world(), None, 0)
    data = task.data()
    index = np.array([3, 0, 5])
    first, second = data.batch(index, rng), data.batch(index, rng)
    np.testing.assert_array_equal(first.pairs, task.train[:, index])
    assert first.unlinked.shape == (2, 3)
    assert not np.array_equal(first.unlinked, second.unlinked)
    every = data.batch(np.arange(len(data)), rng)
    known = {tuple(sorted(pair)) for pair in task.train.T.tolist()}
    assert not known & {tuple(sorted(pair)) for pair in every.unlinked.T.tolist()}


def test_roc_auc_compares_with_unlinked_pairs():
    task = tasks.links(small_world(), None, 0)
    x = np.random.default_rng(0).standard_normal((40, 4))
    positive, negative = ((x[a] * x[b]).sum(axis=1) for a, b in (task.test.pairs, task.test.unlinked))
    wins = (positive[:, None] > negative).mean() + (positive[:, None] == negative).mean() / 2
    assert task.measure(x, "test")["roc_auc"] == pytest.approx(wins)
    labels, chances = task.probabilities(x, "test")
    expected = 1 / (1 + np.exp(tasks.UNLINKED - np.concatenate([positive, negative])))
    np.testing.assert_allclose(chances, expected)
    assert labels.tolist() == [1] * positive.size + [0] * negative.size


def test_half_of_the_negatives_are_two_steps_away():
    graph = small_world()
    held = tasks.links(graph, None, 0).test
    near = {i: set() for i in range(graph.num_nodes)}
    for a, b in linked(graph):
        near[a].add(b)
    two = {i: {k for j in near[i] for k in near[j]} for i in near}
    share = np.mean(
        [
            int(n) in two[int(s)]
            for s, row in zip(held.pairs[0], held.negatives[:, tasks.RANKED // 2 :], strict=True)
            for n in row
        ]
    )
    assert share > 0.6
    uniform = np.mean(
        [
            int(n) in two[int(s)]
            for s, row in zip(held.pairs[0], held.negatives[:, : tasks.RANKED // 2], strict=True)
            for n in row
        ]
    )
    assert uniform < share


def test_edge_fields_go_with_their_edges():
    graph = small_world()
    weighted = ga.NeighborGraph(graph.indptr, graph.indices, edge_weights=np.arange(graph.num_edges, dtype=float))
    rest = tasks.without_pairs(weighted, np.array([[0], [1]]))
    kept = [(a, b) not in {(0, 1), (1, 0)} for a, b in zip(weighted.indices, weighted.targets, strict=True)]
    np.testing.assert_array_equal(rest.edge_weights, np.flatnonzero(kept))
    assert linked(rest) == linked(weighted) - {(0, 1), (1, 0)}


def test_a_star_has_negatives_for_its_leaves_alone():
    star = ga.NeighborGraph.from_edge_index([[0] * 12, list(range(1, 13))], 13)
    task = tasks.links(star, None, 0)
    assert (task.test.pairs[0] != 0).all()
    assert (task.train[0] != 0).all()


def test_a_complete_graph_has_no_negatives():
    i, j = np.triu_indices(6, 1)
    with pytest.raises(ga.InvalidConfigError, match="graph"):
        tasks.links(ga.NeighborGraph.from_edge_index([i, j], 6), None, 0)


def test_classes_are_split_each():
    labels = np.repeat([0, 1, 2, -1], [30, 20, 10, 5])
    task = tasks.labels(small_world(65), labels, None, 0)
    parts = [task.train, task.validation, task.test]
    assert [np.bincount(labels[p]).tolist() for p in parts] == [[18, 12, 6], [6, 4, 2], [6, 4, 2]]
    together = np.concatenate(parts)
    assert len(set(together.tolist())) == 60
    assert (labels[together] >= 0).all()


def test_given_parts_and_names_of_classes():
    graph = small_world(6)
    parts = ([0, 1], np.array([False, False, True, False, False, False]), [3, 4])
    task = tasks.labels(graph, np.array(list("abcabc")), parts, 0)
    assert task.labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert [p.tolist() for p in (task.train, task.validation, task.test)] == [[0, 1], [2], [3, 4]]
    named = tasks.labels(
        graph, np.array(list("abcabc")), dict(zip(("train", "validation", "test"), parts, strict=True)), 0
    )
    assert named.test.tolist() == [3, 4]
    pairs = tasks.links(small_world(), ([[0], [1]], [[1], [2]], [[2], [3]]), 0)
    assert (1, 2) not in linked(pairs.graph)


@pytest.mark.parametrize("split", [(0.5, 0.5), (1, 0, 1), "half", {"train": [0]}, ([0], [1], [99])])
def test_bad_splits_are_named(split):
    with pytest.raises(ga.AttentionError, match="split"):
        tasks.labels(small_world(9), np.arange(9) % 3, split, 0)

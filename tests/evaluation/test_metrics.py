"""Metrics against their definitions, computed pair by pair."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphattend as ga
from graphattend import evaluation as ev

SCORES = st.lists(st.tuples(st.booleans(), st.integers(0, 4)), min_size=2, max_size=12).filter(
    lambda rows: 0 < sum(y for y, _ in rows) < len(rows)
)


@given(SCORES)
def test_roc_auc_is_the_chance_that_a_positive_is_ahead(rows):
    pairs = [(p, n) for (y, p), (z, n) in itertools.product(rows, rows) if y and not z]
    wanted = np.mean([1.0 if p > n else 0.5 if p == n else 0.0 for p, n in pairs])
    labels, scores = zip(*rows, strict=True)
    assert ev.roc_auc(np.array(labels, int), scores) == pytest.approx(wanted, abs=1e-12)


@given(SCORES)
def test_average_precision_adds_precision_over_the_thresholds(rows):
    wanted, before = 0.0, 0.0
    positives = sum(y for y, _ in rows)
    for threshold in sorted({s for _, s in rows}, reverse=True):
        chosen = [y for y, s in rows if s >= threshold]
        recall = sum(chosen) / positives
        wanted += (recall - before) * sum(chosen) / len(chosen)
        before = recall
    labels, scores = zip(*rows, strict=True)
    assert ev.average_precision(np.array(labels, int), scores) == pytest.approx(wanted, abs=1e-12)


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=20), st.integers(1, 7))
def test_calibration_counts_and_averages_each_interval(rows, bins):
    labels, chances = (np.array(x, float) for x in zip(*rows, strict=True))
    found = ev.calibration(labels, chances, bins)
    assert found.shape == (bins, 3)
    for b, (count, predicted, true) in enumerate(found):
        own = [(y, p) for y, p in rows if min(int(p * bins), bins - 1) == b]
        assert count == len(own)
        wanted = np.mean(np.array(own, float), axis=0) if own else (0, 0)
        assert (true, predicted) == pytest.approx(tuple(wanted), abs=1e-12)


def test_calibration_agrees_with_scikit_learn(rng):
    reference = pytest.importorskip("sklearn.calibration")
    labels, chances = rng.integers(0, 2, 500), rng.random(500)
    found = ev.calibration(labels, chances)
    true, predicted = reference.calibration_curve(labels, chances, n_bins=10)
    np.testing.assert_allclose(found[:, 1:], np.stack([predicted, true], 1), atol=1e-12)


@pytest.mark.parametrize(
    ("labels", "chances", "argument"),
    [([0, 2], [0.5, 0.5], "labels"), ([0, 1], [0.5, 1.5], "probabilities"), ([0, 1], [-0.1, 0.5], "probabilities")],
)
def test_calibration_refuses_what_is_no_probability(labels, chances, argument):
    with pytest.raises(ga.InvalidConfigError, match=argument):
        ev.calibration(labels, chances)


def test_ranks_count_a_tie_one_half():
    positive, negatives = [2.0, 1.0, 0.0], [[1.0, 0.0], [1.0, 0.0], [1.0, 2.0]]
    assert ev.mean_reciprocal_rank(positive, negatives) == pytest.approx((1 + 1 / 1.5 + 1 / 3) / 3)
    assert ev.hits_at(positive, negatives, 1) == pytest.approx(1 / 3)
    assert ev.hits_at(positive, negatives, 2) == pytest.approx(2 / 3)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=10))
def test_macro_f1_from_precision_and_recall(rows):
    wanted = []
    for c in {c for row in rows for c in row}:
        hit = sum(y == p == c for y, p in rows)
        precision = hit / max(sum(p == c for _, p in rows), 1)
        recall = hit / max(sum(y == c for y, _ in rows), 1)
        wanted.append(2 * precision * recall / (precision + recall) if hit else 0.0)
    truth, predicted = zip(*rows, strict=True)
    assert ev.macro_f1(truth, predicted) == pytest.approx(np.mean(wanted))
    assert ev.accuracy(truth, predicted) == pytest.approx(np.mean([y == p for y, p in rows]))


def test_sign_flips_are_all_tried():
    assert ev.sign_flip_test([1.0, 2.0]) == 0.5
    assert ev.sign_flip_test([0.0, 0.0, 0.0]) == 1.0
    d = np.array([3.0, -1.0, 2.0, 5.0])
    sums = [abs(np.dot(signs, d)) for signs in itertools.product((1, -1), repeat=4)]
    assert ev.sign_flip_test(d) == np.mean([s >= d.sum() for s in sums])
    many = np.full(30, 1.0)
    assert ev.sign_flip_test(many) <= 1e-3


STAR = ga.NeighborGraph.from_edge_index([[1, 2, 3, 0], [0, 0, 0, 1]], 4)


def test_divergence_of_attentions():
    p, q = np.array([0.5, 0.5, 0.0, 1.0]), np.array([0.0, 0.5, 0.5, 1.0])
    middle = (p + q) / 2
    terms = [x * np.log2(x / m) / 2 for a in (p, q) for x, m in zip(a, middle, strict=True) if x > 0]
    assert ev.jensen_shannon(STAR, p, q) == pytest.approx(np.sum(terms) / 2)  # two nodes have neighbours
    assert ev.jensen_shannon(STAR, p, p) == 0


def test_overlap_of_the_strongest():
    assert ev.top_overlap(STAR, [0.6, 0.3, 0.1, 1.0], [0.6, 0.1, 0.3, 1.0], 2) == 0.5
    assert ev.top_overlap(STAR, [0.6, 0.3, 0.1, 1.0], [0.1, 0.3, 0.6, 1.0], 5) == 1.0


@pytest.mark.parametrize(
    "call",
    [
        lambda: ev.roc_auc([1, 1], [0.0, 1.0]),
        lambda: ev.roc_auc([0, 2], [0.0, 1.0]),
        lambda: ev.roc_auc([None, None], [0.0, 1.0]),  # which cannot be sorted
        lambda: ev.calibration([None, None], [0.0, 1.0]),
        lambda: ev.roc_auc([0, 1], [0.0, np.nan]),
        lambda: ev.average_precision([0, 1, 1], [0.0, 1.0]),
        lambda: ev.hits_at([1.0], [[0.0]], 0),
        lambda: ev.mean_reciprocal_rank([1.0, 2.0], [[0.0]]),
        lambda: ev.accuracy([0, 1], [0]),
        lambda: ev.macro_f1([], []),
        lambda: ev.jensen_shannon(STAR, [1.0], [1.0]),
    ],
)
def test_bad_input_is_a_typed_error(call):
    with pytest.raises(ga.AttentionError):
        call()

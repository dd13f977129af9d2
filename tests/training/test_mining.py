"""Hard negatives against brute force, and nodes that they must never return."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graphattend as ga
from graphattend.training import mining, sample_hard_negatives

RNG = np.random.default_rng(5)
X = RNG.normal(size=(60, 3))
DEGREES = RNG.integers(0, 9, 60).astype(float)
DISTANCE = np.sqrt(((X - X[7]) ** 2).sum(1))
POSITIVES = np.array([7, 3, 20])
OTHERS = np.setdiff1d(np.arange(60), POSITIVES)


def mine(k, strategy="distance", **options):
    return sample_hard_negatives(X[7], X, POSITIVES, k, strategy=strategy, **options)


@pytest.mark.parametrize("chunk", [7, 16_384])
def test_distance_is_the_sorted_list(monkeypatch, chunk):
    monkeypatch.setattr(mining, "_CHUNK", chunk)
    expected = OTHERS[np.argsort(DISTANCE[OTHERS], kind="stable")]
    for k in (1, 5, 57):
        assert mine(k).tolist() == expected[:k].tolist()
    assert mine(2).dtype == np.int64


def test_equal_distances_come_in_the_order_of_their_indices():
    x = np.array([[1.0], [1.0], [-1.0], [1.0], [0.5]])
    assert sample_hard_negatives([0.0], x, [1], 3).tolist() == [4, 0, 2]


def test_semi_hard_is_beyond_the_farthest_positive_nearest_first():
    limit = DISTANCE[POSITIVES].max()
    far = OTHERS[DISTANCE[OTHERS] > limit]
    far = far[np.argsort(DISTANCE[far])]
    near = OTHERS[DISTANCE[OTHERS] <= limit]
    near = near[np.argsort(-DISTANCE[near])]
    assert len(far) > 3
    assert len(near) > 3
    assert mine(3, "semi_hard").tolist() == far[:3].tolist()
    k = len(far) + 2
    assert mine(k, "semi_hard").tolist() == [*far, *near[:2]]
    with pytest.raises(ga.InvalidConfigError, match="positive_indices"):
        sample_hard_negatives(X[0], X, [], 1, strategy="semi_hard")


def test_degree_without_rng_is_the_highest_degrees():
    expected = OTHERS[np.argsort(-DEGREES[OTHERS], kind="stable")][:6]
    assert mine(6, "degree", degrees=DEGREES).tolist() == expected.tolist()


def test_degree_with_rng_draws_in_proportion():
    x, degrees = np.zeros((4, 1)), [1.0, 3.0, 0.0, 6.0]
    rng = np.random.default_rng(0)
    draws = [
        sample_hard_negatives([0.0], x, [], 1, strategy="degree", degrees=degrees, rng=rng)[0] for _ in range(4000)
    ]
    share = np.bincount(draws, minlength=4) / 4000
    # four standard deviations of a binomial share
    np.testing.assert_allclose(share, [0.1, 0.3, 0.0, 0.6], atol=4 * np.sqrt(0.25 / 4000))
    # Nodes of degree 0 are used if no others are left.
    assert sorted(sample_hard_negatives([0.0], x, [], 4, strategy="degree", degrees=degrees, rng=1)) == [0, 1, 2, 3]


def test_mixed_is_half_near_half_by_degree():
    chosen = mine(6, "mixed", degrees=DEGREES)
    assert chosen[:3].tolist() == mine(3).tolist()
    left = np.setdiff1d(OTHERS, chosen[:3])
    assert chosen[3:].tolist() == left[np.argsort(-DEGREES[left], kind="stable")][:3].tolist()
    assert mine(6, "mixed", degrees=DEGREES, mix=1.0).tolist() == mine(6).tolist()
    assert mine(6, "mixed", degrees=DEGREES, mix=0.0).tolist() == mine(6, "degree", degrees=DEGREES).tolist()


@given(
    st.integers(1, 30),
    st.sets(st.integers(0, 29), min_size=1, max_size=20),
    st.sampled_from(mining.STRATEGIES),
    st.one_of(st.none(), st.integers(0, 99)),
)
@settings(max_examples=100, deadline=None)
def test_never_a_positive_never_twice_and_the_same_for_the_same_seed(k, positives, strategy, seed):
    x, degrees = X[:30], DEGREES[:30]
    call = lambda: sample_hard_negatives(  # noqa: E731
        x[0], x, sorted(positives), k, strategy=strategy, degrees=degrees, rng=seed
    )
    if k > 30 - len(positives):
        with pytest.raises(ga.InvalidConfigError, match="k:"):
            call()
        return
    chosen = call()
    assert len(set(chosen.tolist())) == k
    assert not positives & set(chosen.tolist())
    assert chosen.tolist() == call().tolist()


def test_other_distances_by_manifold():
    class Taxicab:
        def dist(self, x, y):
            return np.abs(x - y).sum(-1)

    expected = OTHERS[np.argsort(np.abs(X[OTHERS] - X[7]).sum(1))][:5]
    assert mine(5, manifold=Taxicab()).tolist() == expected.tolist()
    with pytest.raises(ga.InvalidConfigError, match="manifold"):
        mine(5, manifold="poincare")


@pytest.mark.parametrize(
    ("options", "error", "argument"),
    [
        ({"anchor": np.ones(4)}, ga.DimensionMismatchError, "anchor"),
        ({"anchor": np.ones((1, 3))}, ga.DimensionMismatchError, "anchor"),
        ({"anchor": [np.nan, 0, 0]}, ga.NumericalInstabilityError, "anchor"),
        ({"embeddings": np.ones(3)}, ga.DimensionMismatchError, "embeddings"),
        ({"embeddings": np.ones((0, 3))}, ga.EmptyInputError, "embeddings"),
        ({"embeddings": "x"}, ga.InvalidConfigError, "embeddings"),
        ({"positive_indices": [60]}, ga.OutOfBoundsError, "positive_indices"),
        ({"positive_indices": [-1]}, ga.OutOfBoundsError, "positive_indices"),
        ({"positive_indices": [0.5]}, ga.InvalidConfigError, "positive_indices"),
        ({"positive_indices": [True]}, ga.InvalidConfigError, "positive_indices"),
        ({"k": 0}, ga.InvalidConfigError, "k"),
        ({"k": 58}, ga.InvalidConfigError, "k"),
        ({"k": 1.5}, ga.InvalidConfigError, "k"),
        ({"strategy": "distnace"}, ga.InvalidConfigError, "strategy"),
        ({"strategy": "degree"}, ga.InvalidConfigError, "degrees"),
        ({"strategy": "degree", "degrees": np.ones(3)}, ga.DimensionMismatchError, "degrees"),
        ({"strategy": "mixed", "degrees": -np.ones(60)}, ga.InvalidConfigError, "degrees"),
        ({"rng": "seed"}, ga.InvalidConfigError, "rng"),
        ({"mix": 2}, ga.InvalidConfigError, "mix"),
    ],
)
def test_errors_name_the_argument(options, error, argument):
    call = {"anchor": X[0], "embeddings": X, "positive_indices": POSITIVES, "k": 3} | options
    with pytest.raises(error) as caught:
        sample_hard_negatives(
            call.pop("anchor"), call.pop("embeddings"), call.pop("positive_indices"), call.pop("k"), **call
        )
    assert caught.value.argument == argument

"""Contents of mini-batches."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import graphattend as ga
from graphattend.training import Neighborhoods, Nodes, Pairs, Rows
from graphattend.training.batches import as_data


@given(st.integers(3, 8), st.data(), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_negatives_are_never_paired_with_their_source(count, data, seed):
    pairs = data.draw(
        st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), min_size=1, max_size=20)
    )
    taken = set(pairs) | {(i, i) for i in range(count)}
    full = [u for u in {p[0] for p in pairs} if all((u, v) in taken for v in range(count))]
    if full:
        with pytest.raises(ga.InvalidConfigError, match="pairs"):
            Pairs(np.array(pairs).T, count, num_negatives=2)
        return
    source = Pairs(np.array(pairs).T, count, num_negatives=9)
    index = np.arange(len(pairs))[::-1]
    batch = source.batch(index, np.random.default_rng(seed))
    assert list(zip(batch.source.tolist(), batch.target.tolist(), strict=True)) == pairs[::-1]
    assert batch.negatives.shape == (len(pairs), 9)
    assert not {(u, int(v)) for u, row in zip(batch.source.tolist(), batch.negatives, strict=True) for v in row} & taken
    again = source.batch(index, np.random.default_rng(seed))
    assert np.array_equal(again.negatives, batch.negatives)


def test_negatives_are_uniform():
    pairs = Pairs([[0, 0], [1, 3]], 6, num_negatives=6000)
    drawn = pairs.batch(np.array([0]), np.random.default_rng(0)).negatives
    share = np.bincount(drawn.ravel(), minlength=6) / 6000
    np.testing.assert_allclose(share, [0, 0, 1 / 3, 0, 1 / 3, 1 / 3], atol=4 * np.sqrt(2 / 9 / 6000))


def test_a_node_paired_with_all_but_one_gets_that_one():
    count = 3000
    pairs = Pairs([np.zeros(count - 2, int), np.arange(1, count - 1)], count, num_negatives=3)
    assert pairs.batch(np.array([0, 5]), np.random.default_rng(0)).negatives.tolist() == [[count - 1] * 3] * 2


def test_neighbourhoods_are_the_graphs_rows():
    rng = np.random.default_rng(2)
    degree = np.array([3, 0, 5, 1])
    graph = SimpleNamespace(indptr=np.concatenate([[0], np.cumsum(degree)]), indices=rng.integers(0, 4, 9))
    rows = [graph.indices[a:b].tolist() for a, b in zip(graph.indptr, graph.indptr[1:], strict=False)]
    batch = Neighborhoods(graph).batch(np.array([2, 1, 0]), rng)
    assert batch.nodes.tolist() == [2, 1, 0]
    got = [batch.neighbors[a:b].tolist() for a, b in zip(batch.indptr, batch.indptr[1:], strict=False)]
    assert got == [rows[2], rows[1], rows[0]]
    graph.indices = np.arange(9) % 4
    seen = set()
    for seed in range(60):
        part = Neighborhoods(graph, [2, 3], fanout=2).batch(np.array([0, 1]), np.random.default_rng(seed))
        assert part.indptr.tolist() == [0, 2, 3]
        pair = tuple(part.neighbors[:2].tolist())
        assert len(part.neighbors) == 3
        seen.add(pair)
    # Row 2 is [3, 0, 1, 2, 3]; the sample is any two of it, in its order.
    row = [3, 0, 1, 2, 3]
    assert seen <= {(row[i], row[j]) for i in range(5) for j in range(i + 1, 5)}
    assert len(seen) > 5


def test_numbers_indices_and_tuples_become_data():
    assert isinstance(as_data(3), Nodes)
    assert isinstance(as_data([1, 2]), Nodes)
    assert isinstance(as_data((np.ones((3, 2)), ["a", "b", "c"])), Rows)
    own = SimpleNamespace(batch=lambda i, rng: i, __len__=lambda self: 3)
    with pytest.raises(ga.AttentionError):
        as_data(own)  # len() does not call it


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: Nodes(0), ga.InvalidConfigError),
        (lambda: Nodes([]), ga.EmptyInputError),
        (lambda: Nodes([-1]), ga.OutOfBoundsError),
        (lambda: Nodes([0.5]), ga.InvalidConfigError),
        (lambda: Nodes(True), ga.AttentionError),
        (lambda: Pairs([[0], [3]], 3), ga.OutOfBoundsError),
        (lambda: Pairs([[0, 1]], 3), ga.DimensionMismatchError),
        (lambda: Pairs(np.zeros((2, 0), int), 3), ga.EmptyInputError),
        (lambda: Pairs([[0], [1]], 0), ga.InvalidConfigError),
        (lambda: Pairs([[0], [1]], 3, num_negatives=-1), ga.InvalidConfigError),
        (lambda: Neighborhoods(3), ga.InvalidConfigError),
        (lambda: Neighborhoods(SimpleNamespace(indptr=[0, 1], indices=[0]), [1]), ga.OutOfBoundsError),
        (lambda: Neighborhoods(SimpleNamespace(indptr=[0, 1], indices=[0]), []), ga.EmptyInputError),
        (lambda: Neighborhoods(SimpleNamespace(indptr=[0, 1], indices=[0]), fanout=0), ga.InvalidConfigError),
        (lambda: Rows(), ga.InvalidConfigError),
        (lambda: Rows([1, 2], [1]), ga.DimensionMismatchError),
        (lambda: Rows([]), ga.EmptyInputError),
        (lambda: Rows(None), ga.InvalidConfigError),
    ],
)
def test_errors(make, error):
    with pytest.raises(error):
        make()

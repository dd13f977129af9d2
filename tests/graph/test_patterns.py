"""Patterns against dense masks computed from their definitions."""

import doctest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphattend import errors
from graphattend.graph import NeighborGraph, patterns


def test_examples_run():
    assert doctest.testmod(patterns).failed == 0


def dense(m, n, rule):
    i, j = np.ogrid[:m, :n]
    return np.broadcast_to(rule(i, j), (m, n))


sizes = st.tuples(st.integers(1, 12), st.integers(1, 12))
small = st.integers(1, 15)


@settings(max_examples=60, deadline=None)
@given(sizes, st.integers(0, 15), small)
def test_steps_and_blocks(shape, window, step):
    for found, rule in [
        (patterns.sliding_window(*shape, window=window), lambda i, j: abs(i - j) <= window),
        (
            patterns.dilated(*shape, window=window, dilation=step),
            lambda i, j: (abs(i - j) <= window * step) & ((i - j) % step == 0),
        ),
        (patterns.strided(*shape, stride=step), lambda i, j: (i - j) % step == 0),
        (patterns.block(*shape, block_size=step), lambda i, j: i // step == j // step),
    ]:
        np.testing.assert_array_equal(found.as_mask(), dense(*shape, rule))
        assert found.density == found.as_mask().mean()
        assert (np.diff(found.pairs) > 0).all()


@settings(max_examples=40, deadline=None)
@given(sizes, st.lists(st.integers(0, 11), max_size=4))
def test_global_tokens(shape, nodes):
    nodes = [n for n in nodes if n < max(shape)]
    found = patterns.global_tokens(*shape, nodes=nodes).as_mask()
    np.testing.assert_array_equal(found, dense(*shape, lambda i, j: np.isin(i, nodes) | np.isin(j, nodes)))


@settings(max_examples=40, deadline=None)
@given(sizes, st.integers(0, 12), st.integers(0, 99))
def test_random_keys_are_distinct_and_repeatable(shape, count, seed):
    count = min(count, shape[1])
    found = patterns.random(*shape, num_random=count, seed=seed)
    assert found.as_mask().sum(axis=1).tolist() == [count] * shape[0]
    assert found == patterns.random(*shape, num_random=count, seed=seed)


def test_random_keys_are_uniform():
    counts = patterns.random(20_000, 10, num_random=3, seed=0).as_mask().sum(axis=0)
    assert abs(counts - 6000).max() < 5 * np.sqrt(20_000 * 0.3 * 0.7)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 10), st.integers(0, 99), st.integers(0, 99))
def test_sets(size, a, b):
    p = patterns.random(size, num_random=size // 2, seed=a)
    q = patterns.random(size, num_random=size // 2, seed=b)
    np.testing.assert_array_equal((p | q).as_mask(), p.as_mask() | q.as_mask())
    np.testing.assert_array_equal((p & q).as_mask(), p.as_mask() & q.as_mask())
    assert p & (p | q) == p
    assert patterns.from_graph((p | q).as_csr()) == p | q


def test_rows_of_the_graph_are_the_keys():
    graph = (patterns.sliding_window(5, window=1) | patterns.global_tokens(5, nodes=[4])).as_csr()
    assert isinstance(graph, NeighborGraph)
    assert graph.indices[graph.indptr[1] : graph.indptr[2]].tolist() == [0, 1, 2, 4]


def test_a_long_window_costs_what_it_touches():
    found = patterns.sliding_window(100_000, window=2)
    assert len(found.pairs) == 5 * 100_000 - 6
    with pytest.raises(errors.UnsupportedError):
        found.as_mask()


def test_a_pattern_cannot_change():
    for found in (patterns.block(3, block_size=2), patterns.block(3, block_size=2) | patterns.strided(3, stride=2)):
        with pytest.raises(ValueError, match="read-only"):
            found.pairs[0] = 1
    assert repr(patterns.block(4, block_size=2)) == "Pattern(shape=(4, 4), density=0.5)"
    assert patterns.block(3, block_size=2) != patterns.block(4, block_size=2)
    with pytest.raises(TypeError):
        patterns.block(3, block_size=2) | [0]


BAD = [
    (lambda: patterns.sliding_window(0, window=1), errors.InvalidConfigError),
    (lambda: patterns.sliding_window(3, -1, window=1), errors.InvalidConfigError),
    (lambda: patterns.sliding_window(3, window=-1), errors.InvalidConfigError),
    (lambda: patterns.sliding_window(3, window=1.5), errors.InvalidConfigError),
    (lambda: patterns.sliding_window("3", window=1), errors.InvalidConfigError),
    (lambda: patterns.sliding_window(10**30, window=1), errors.InvalidConfigError),
    (lambda: patterns.dilated(3, window=1, dilation=0), errors.InvalidConfigError),
    (lambda: patterns.dilated(3, window=1, dilation=10**30), errors.InvalidConfigError),
    (lambda: patterns.strided(3, stride=0), errors.InvalidConfigError),
    (lambda: patterns.strided(100_000, stride=1), errors.UnsupportedError),
    (lambda: patterns.block(3, block_size=True), errors.InvalidConfigError),
    (lambda: patterns.block(100_000, block_size=100_000), errors.UnsupportedError),
    (lambda: patterns.global_tokens(3, nodes=[3]), errors.OutOfBoundsError),
    (lambda: patterns.global_tokens(3, nodes=[0.5]), errors.InvalidConfigError),
    (lambda: patterns.global_tokens(3, nodes="a"), errors.InvalidConfigError),
    (lambda: patterns.random(3, num_random=4, seed=0), errors.InvalidConfigError),
    (lambda: patterns.random(3, num_random=1, seed=None), errors.InvalidConfigError),
    (lambda: patterns.from_graph(np.eye(3)), errors.InvalidConfigError),
    (lambda: patterns.block(3, block_size=1) | patterns.block(4, block_size=1), errors.DimensionMismatchError),
    (lambda: patterns.block(3, block_size=1) & patterns.block(4, block_size=1), errors.DimensionMismatchError),
    (lambda: patterns.block(3, 4, block_size=1).as_csr(), errors.UnsupportedError),
]


@pytest.mark.parametrize(("call", "error"), BAD, ids=[str(i) for i in range(len(BAD))])
def test_bad_options(call, error):
    with pytest.raises(error):
        call()

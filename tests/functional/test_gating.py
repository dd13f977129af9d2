"""Top-k gating and the load-balance loss against loops."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphattend as ga
from graphattend.testing import check_vjp

F = ga.functional


@given(st.integers(1, 6), st.integers(1, 5), st.integers(0, 10**6))
def test_gating_is_a_loop(experts, rows, seed):
    logits = np.random.default_rng(seed).standard_normal((rows, experts)) * 3
    for k in range(1, experts + 1):
        chosen, weights = F.top_k_gating(logits, k)
        assert chosen.shape == weights.shape == (rows, k)
        for t in range(rows):
            order = sorted(range(experts), key=lambda x, t=t: -logits[t, x])[:k]
            assert chosen[t].tolist() == order
            e = [math.exp(logits[t, x] - logits[t, order[0]]) for x in order]
            np.testing.assert_allclose(weights[t], np.asarray(e) / math.fsum(e), rtol=1e-12)
            assert abs(weights[t].sum() - 1) < 1e-12


def test_ties_and_axes():
    chosen, weights = F.top_k_gating([1.0, 1.0, 1.0], 2)
    assert chosen.tolist() == [0, 1]  # ties are broken by index
    assert weights.tolist() == [0.5, 0.5]
    chosen, weights = F.top_k_gating(np.zeros((2, 3, 4), np.float32), 4)
    assert chosen.shape == (2, 3, 4)
    assert weights.dtype == np.float32
    assert F.top_k_gating([[1e4, -1e4]], 2)[1].tolist() == [[1.0, 0.0]]


@given(st.integers(1, 6), st.integers(1, 9), st.integers(0, 10**6))
def test_load_balance_is_a_loop(experts, rows, seed):
    rng = np.random.default_rng(seed)
    logits = rng.standard_normal((rows, experts))
    k = int(rng.integers(1, experts + 1))
    total = 0.0
    for x in range(experts):
        f = sum(x in sorted(range(experts), key=lambda y, t=t: -logits[t, y])[:k] for t in range(rows)) / rows
        p = sum(math.exp(logits[t, x]) / sum(math.exp(z) for z in logits[t]) for t in range(rows)) / rows
        total += f * p
    loss = F.load_balance_loss(logits, k)
    assert np.shape(loss) == ()
    assert abs(float(loss) - experts * total) < 1e-12 * experts * k


def test_balanced_and_collapsed():
    even = np.eye(4) * 50.0
    assert abs(float(F.load_balance_loss(even, 1)) - 1.0) < 1e-12
    collapsed = np.zeros((5, 4))
    collapsed[:, 2] = 50.0
    assert abs(float(F.load_balance_loss(collapsed, 1)) - 4.0) < 1e-9


def test_gradients(rng):
    logits = rng.standard_normal((5, 4))
    check_vjp(F.load_balance_loss, logits, k=2)
    _, pullback = ga.vjp(F.load_balance_loss, logits, 2)
    assert pullback(np.float64(1.0))[1] is None
    (_, weights), pullback = ga.vjp(F.top_k_gating, logits, 2)
    g = rng.standard_normal(weights.shape)
    d = rng.standard_normal(logits.shape)

    def along(t):
        return float((F.top_k_gating(logits + t * d, 2)[1] * g).sum())

    numeric = (along(1e-6) - along(-1e-6)) / 2e-6
    assert abs(np.vdot(pullback((None, g))[0], d) - numeric) < 1e-7
    assert not pullback((None, None))[0].any()


@pytest.mark.parametrize("function", [F.top_k_gating, F.load_balance_loss])
def test_bad_input(function):
    x = np.ones((2, 3))
    for call, error, argument in [
        (lambda: function("x", 1), ga.InvalidConfigError, "logits"),
        (lambda: function(None, 1), ga.InvalidConfigError, "logits"),
        (lambda: function(1.0, 1), ga.DimensionMismatchError, "logits"),
        (lambda: function(x[:0], 1), ga.EmptyInputError, "logits"),
        (lambda: function(x, 0), ga.InvalidConfigError, "k"),
        (lambda: function(x, 4), ga.InvalidConfigError, "k"),
        (lambda: function(x, 1.0), ga.InvalidConfigError, "k"),
        (lambda: function(x, True), ga.InvalidConfigError, "k"),
    ]:
        with pytest.raises(error) as info:
            call()
        assert info.value.argument == argument

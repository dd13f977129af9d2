"""LocalGlobalAttention against dense masks, and the number of scores that it computes."""

import numpy as np
import pytest

import graphattend as ga
from graphattend.graph import NeighborGraph
from graphattend.mechanisms import _scaled_dot


def seen(m, n, window, nodes):
    """Return the mask |i - j| <= w, or j global, or i global."""
    i, j = np.arange(m)[:, None], np.arange(n)[None, :]
    mask = np.ones((m, n), bool) if window is None else np.abs(i - j) <= window
    return mask | np.isin(j, nodes) | np.isin(i, nodes)


def dense(q, k, v, mask):
    s = np.where(mask, q @ k.swapaxes(-1, -2) * q.shape[-1] ** -0.5, -np.inf)
    top = s.max(-1, keepdims=True)
    e = np.exp(s - np.where(np.isfinite(top), top, 0))
    total = e.sum(-1, keepdims=True)
    w = np.where(total > 0, e / np.where(total > 0, total, 1), 0)
    return w @ v, w


@pytest.mark.parametrize("shape", [(6, 6), (3, 9), (9, 3), (1, 5), (20, 20)])
@pytest.mark.parametrize("window", [0, 1, 3, 50, None])
@pytest.mark.parametrize("nodes", [(), (0,), (1, 2), (2,)])
def test_is_a_dense_mask(rng, shape, window, nodes):
    m, n = shape
    q, k, v = rng.standard_normal((2, m, 4)), rng.standard_normal((2, n, 4)), rng.standard_normal((n, 3))
    attn = ga.LocalGlobalAttention(4, window=window, global_nodes=nodes)
    band = seen(m, n, window, nodes)
    for mask in (None, rng.random((m, n)) < 0.6, rng.random(n) < 0.6, rng.random((2, 1, n)) < 0.5):
        full = band if mask is None else band & mask
        out, w = attn.forward(q, k, v, attn_mask=mask, need_weights=True)
        expected = dense(q, k, v, full)
        np.testing.assert_allclose(out, expected[0], rtol=1e-11, atol=1e-13)
        np.testing.assert_allclose(w, expected[1], rtol=1e-11, atol=1e-14)
    bias = rng.standard_normal((m, n))
    s = np.where(band, q @ k.swapaxes(-1, -2) / 2 + bias, -np.inf)
    if band.any(axis=1).all():
        e = np.exp(s - s.max(-1, keepdims=True))
        np.testing.assert_allclose(attn.forward(q, k, v, attn_mask=bias), e / e.sum(-1, keepdims=True) @ v, rtol=1e-10)
    indptr, indices = attn.row_pattern(m, n)
    rows = np.repeat(np.arange(m), np.diff(indptr))
    listed = np.zeros((m, n), bool)
    listed[rows, indices] = True
    assert np.array_equal(listed, band)
    assert indices.size == band.sum()


@pytest.mark.parametrize("nodes", [(), (0, 100), (5, 250, 499)])
def test_only_the_pattern_is_scored(rng, monkeypatch, nodes):
    """It computes k_local + k_global scores per row (N for global rows) and little padding, never M·N."""
    counted = []
    original = _scaled_dot.scaled_dot

    def counting(q, k, factor):
        s, pull = original(q, k, factor)
        counted.append(s.size)
        return s, pull

    monkeypatch.setattr(_scaled_dot, "scaled_dot", counting)
    n, window = 500, 4
    x = rng.standard_normal((n, 4))
    ga.LocalGlobalAttention(4, window=window, global_nodes=nodes).forward(x, x, x)
    needed = int(seen(n, n, window, nodes).sum())
    assert needed <= sum(counted) <= 1.35 * needed
    assert sum(counted) <= n * (2 * window + 1 + len(nodes)) * 1.35 + n * len(nodes)
    assert sum(counted) < n * n / 10


def graph_mask(graph, nodes):
    mask = np.zeros((graph.num_nodes,) * 2, bool)
    mask[graph.targets, graph.indices] = True
    mask[list(nodes), :] = True
    mask[:, list(nodes)] = True
    return mask


@pytest.mark.parametrize("nodes", [(), (0,), (3, 7)])
def test_attend_is_dense_masked_attention(rng, nodes):
    n = 12
    edges = rng.integers(0, n, (2, 30))
    edges = np.unique(edges, axis=1)
    graph = NeighborGraph.from_edge_index(edges, n)
    x, v = rng.standard_normal((n, 5)), rng.standard_normal((n, 2))
    attn = ga.LocalGlobalAttention(5, global_nodes=nodes, window=2)
    out, w = attn.attend(graph, x, x, v, need_weights=True)
    expected = dense(x, x, v, graph_mask(graph, nodes))
    np.testing.assert_allclose(out, expected[0], rtol=1e-11, atol=1e-13)
    pattern = attn.pattern(graph)
    assert w.shape == (pattern.indices.size,)
    np.testing.assert_allclose(w, expected[1][pattern.targets, pattern.indices], rtol=1e-11)
    if not nodes:
        assert np.array_equal(pattern.indices, graph.indices)
    g = rng.standard_normal(out.shape)
    gradients = attn.attend_vjp(graph, x, x, v)[1](g)
    np.testing.assert_allclose(gradients.values, expected[1].T @ g, rtol=1e-10, atol=1e-12)


def test_global_nodes_forms_and_bounds(rng):
    assert ga.LocalGlobalAttention(4, global_nodes=3).global_nodes == (0, 1, 2)
    assert ga.LocalGlobalAttention(4, global_nodes=np.array([5, 1, 5])).global_nodes == (1, 5)
    assert ga.LocalGlobalAttention(4, global_nodes=0).global_nodes == ()
    x = rng.standard_normal((5, 4))
    for window in (1, None):
        attn = ga.LocalGlobalAttention(4, window=window, global_nodes=[5])
        with pytest.raises(ga.OutOfBoundsError, match="global_nodes") as info:
            attn.forward(x, x, x)
        assert (info.value.index, info.value.length) == (5, 5)
        with pytest.raises(ga.OutOfBoundsError):
            attn.attend(NeighborGraph.from_edge_index([[0], [1]], 5), x)
    with pytest.raises(ga.InvalidConfigError, match="window"):
        ga.LocalGlobalAttention(4, window=-1)


@pytest.mark.parametrize(("rows", "keys"), [("a", 3), (-1, 3), (2.0, 3), (2, 0), (2, None)])
def test_patterns_are_checked(rows, keys):
    attn = ga.LocalGlobalAttention(4)
    with pytest.raises(ga.InvalidConfigError):
        attn.row_pattern(rows, keys)
    with pytest.raises(ga.InvalidConfigError, match="graph"):
        attn.pattern("graph")

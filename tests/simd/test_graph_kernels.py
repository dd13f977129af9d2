"""Attention over CSR lists, forward and backward, and the graph attention layer, against loops over nodes."""

from __future__ import annotations

import kernel_numbers as numbers
import numpy as np
import pytest
from kernel_numbers import close, normal

from graphattend.simd import graph_ops

pytestmark = pytest.mark.usefixtures("kernels", "real")


def random_graph(rng, nodes, targets, most=9):
    degree = rng.integers(0, most, nodes)
    degree[0] = 0
    indptr = np.concatenate([[0], np.cumsum(degree)])
    return indptr, rng.integers(0, targets, indptr[-1])


def turned_round(indptr, indices, targets):
    """Return the transposed CSR lists: for every target the rows that list it, and the positions of the entries."""
    order = np.argsort(indices, kind="stable").astype(np.int32)
    starts = np.concatenate([[0], np.cumsum(np.bincount(indices.astype(np.intp), minlength=targets))])
    return starts, np.repeat(np.arange(len(indptr) - 1), np.diff(indptr).astype(np.intp))[order], order


def softmax64(s):
    e = np.exp(s - s.max(0))
    return e / e.sum(0)


def loop_attention(q, k, v, indptr, indices, scale, bias=None):
    """Compute output and weights in float64, for arrays (M, H, D)."""
    out, weights = np.zeros((*q.shape[:2], v.shape[-1])), np.zeros((len(indices), q.shape[1]))
    for i in range(len(q)):
        row = slice(indptr[i], indptr[i + 1])
        if row.start == row.stop:
            continue
        neighbors = indices[row]
        scores = scale * np.einsum("hd,nhd->nh", q[i].astype(float), k[neighbors].astype(float))
        weights[row] = softmax64(scores if bias is None else scores + bias[row])
        out[i] = np.einsum("nh,nhe->he", weights[row], v[neighbors].astype(float))
    return out, weights


@pytest.mark.parametrize("heads", [1, 2, 3])
@pytest.mark.parametrize(("d", "e"), [(1, 1), (4, 8), (7, 5), (33, 16), (16, 58), (32, 32)])
@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_graph_attention_and_its_gradient(heads, d, e, index):
    rng = np.random.default_rng(heads * d)
    indptr, indices = random_graph(rng, 30, 20)
    indices = indices.astype(index)
    q, k, v = normal(rng, 30, heads, d), normal(rng, 20, heads, d), normal(rng, 20, heads, e)
    bias = normal(rng, len(indices), heads)
    expected, expected_weights = loop_attention(q, k, v, indptr, indices, 0.7, bias)
    out, weights, finite = graph_ops.graph_attention(q, k, v, indptr, indices, 0.7, bias=bias, need_weights=True)
    assert finite
    close(out, expected)
    close(weights, expected_weights)

    grad = normal(rng, *out.shape)
    turned = turned_round(indptr, indices, 20)
    dq, dk, dv, dbias = graph_ops.graph_attention_vjp(q, k, v, indptr, indices, turned, weights, grad, 0.7)
    exact = [np.zeros(x.shape) for x in (q, k, v, bias)]
    for i in range(30):
        for at in range(indptr[i], indptr[i + 1]):
            j = indices[at]
            for h in range(heads):
                p = expected_weights[at, h]
                ds = p * (grad[i, h].astype(float) @ v[j, h] - grad[i, h].astype(float) @ expected[i, h])
                exact[0][i, h] += 0.7 * ds * k[j, h]
                exact[1][j, h] += 0.7 * ds * q[i, h]
                exact[2][j, h] += p * grad[i, h]
                exact[3][at, h] = ds
    for mine, full in zip((dq, dk, dv, dbias), exact, strict=True):
        close(mine, full, 3e-6, floor=1)


def test_gradients_of_inputs_that_are_one_array_add_up():
    rng = np.random.default_rng(5)
    indptr, indices = random_graph(rng, 30, 30)
    x, y, grad = (normal(rng, 30, 2, 21) for _ in range(3))
    lists = indptr, indices, turned_round(indptr, indices, 30)
    for k, v, same_k, same_v in ((x, x, True, True), (y, y, False, True), (x, y, True, False)):
        _, weights, _ = graph_ops.graph_attention(x, k, v, indptr, indices, 0.7, need_weights=True)
        apart = graph_ops.graph_attention_vjp(x, k, v, *lists, weights, grad, 0.7)
        dk = apart[1] + apart[2] if same_v else apart[1]
        expected = [
            apart[0] + dk if same_k else apart[0],
            None if same_k else dk,
            None if same_v else apart[2],
            apart[3],
        ]
        found = graph_ops.graph_attention_vjp(
            x, k, v, *lists, weights, grad, 0.7, keys_are_queries=same_k, values_are_keys=same_v
        )
        for mine, full in zip(found, expected, strict=True):
            assert (mine is None) == (full is None)
            if full is not None:
                close(mine, full, floor=1)


def test_sums_are_put_or_added_where_they_are_wanted():
    rng = np.random.default_rng(6)
    indptr, indices = random_graph(rng, 9, 12)
    x, weights = normal(rng, 12, 70), normal(rng, len(indices))
    order = rng.permutation(len(indices)).astype(np.int32)
    made = graph_ops.graph_sum(x, indptr, indices, order, weights, scale=0.5)
    full = np.zeros((9, 70))
    np.add.at(
        full,
        np.repeat(np.arange(9), np.diff(indptr).astype(np.intp)),
        0.5 * weights[order][:, None].astype(float) * x[indices],
    )
    close(made, full, floor=1)
    before = normal(rng, 9, 70)
    out = before.copy()
    assert graph_ops.graph_sum(x, indptr, indices, order, weights, out, scale=0.5, add=True) is out
    close(out, before + full, floor=1)


@pytest.mark.parametrize("wrong", [-1, 99])
def test_an_order_outside_is_refused(wrong):
    x = np.ones((2, 3), numbers.REAL)
    with pytest.raises(ValueError, match="order"):
        graph_ops.graph_sum(x, np.array([0, 1, 2]), np.array([0, 1]), np.array([0, wrong]), np.ones(2, numbers.REAL))


def test_without_heads_and_weights():
    rng = np.random.default_rng(0)
    indptr, indices = random_graph(rng, 12, 12)
    x = normal(rng, 12, 6)
    out, weights, _ = graph_ops.graph_attention(x, x, x, indptr, indices, 1.0)
    assert weights is None
    close(out, loop_attention(x[:, None], x[:, None], x[:, None], indptr, indices, 1.0)[0][:, 0])


@pytest.mark.parametrize("bad_index", [-1, 12, 2**32 + 1])
def test_an_index_outside_is_refused(bad_index):
    rng = np.random.default_rng(0)
    indptr, indices = random_graph(rng, 12, 12)
    x = normal(rng, 12, 6)
    indices = indices.astype(np.int64)
    indices[-1] = bad_index
    with pytest.raises(ValueError, match="indices"):
        graph_ops.graph_attention(x, x, x, indptr, indices, 1.0)


@pytest.mark.parametrize("which", [0, -1])
def test_row_starts_that_are_wrong_are_refused(which):
    rng = np.random.default_rng(0)
    indptr, indices = random_graph(rng, 12, 12)
    x = normal(rng, 12, 6)
    indptr[which] += 1
    with pytest.raises(ValueError, match="indptr"):
        graph_ops.graph_attention(x, x, x, indptr, indices, 1.0)


@pytest.mark.parametrize(("heads", "width"), [(1, 1), (3, 5), (8, 8), (4, 4), (2, 20), (5, 12), (3, 16), (2, 32)])
@pytest.mark.parametrize("with_edges", [False, True])
def test_gat_layer(heads, width, with_edges):
    rng = np.random.default_rng(heads)
    indptr, indices = random_graph(rng, 25, 25)
    x, w = normal(rng, 25, 10), normal(rng, heads, 10, width)
    a_query, a_key = normal(rng, heads, width), normal(rng, heads, width)
    added = normal(rng, len(indices), heads) if with_edges else None
    out, weights, projection, finite = graph_ops.gat_layer(
        x, w, a_query, a_key, indptr, indices, edge_scores=added, need_weights=True
    )
    assert finite
    h = np.einsum("vd,hde->vhe", x.astype(float), w.astype(float))
    close(projection.hidden, h)
    close(projection.query, (h * a_query).sum(-1))
    close(projection.key, (h * a_key).sum(-1))
    source = np.repeat(np.arange(25), np.diff(indptr).astype(np.intp))
    scores = (h * a_query).sum(-1)[source] + (h * a_key).sum(-1)[indices]
    if added is not None:
        scores = scores + added
    scores = np.where(scores < 0, 0.2 * scores, scores)
    expected, expected_weights = np.zeros(h.shape), np.zeros(scores.shape)
    for i in range(25):
        row = slice(indptr[i], indptr[i + 1])
        if row.start < row.stop:
            expected_weights[row] = softmax64(scores[row])
            expected[i] = np.einsum("nh,nhe->he", expected_weights[row], h[indices[row]])
    close(out, expected, 4e-6)
    close(weights, expected_weights, 4e-6)
    x[3, 3] = np.nan
    assert not graph_ops.gat_layer(x, w, a_query, a_key, indptr, indices)[3]

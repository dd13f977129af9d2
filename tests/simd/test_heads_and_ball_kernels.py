"""Folded multi-head attention and attention in the Poincaré ball against plain float64 formulas."""

from __future__ import annotations

import kernel_numbers as numbers
import numpy as np
import pytest
from kernel_numbers import close, normal

from graphattend.geometry.poincare import project_eps
from graphattend.simd import kernel_ops, metric_ops

pytestmark = pytest.mark.usefixtures("kernels", "real")


def softmax64(s):
    e = np.exp(s - s.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def multi_head64(q, k, v, p, heads, gain=1):
    p = {name: x.astype(float) for name, x in p.items()}
    width = p["w_q"].shape[1] // heads
    split = lambda x: x.reshape(len(x), heads, width).transpose(1, 0, 2)  # noqa: E731
    qh = split(q.astype(float) @ p["w_q"] + p.get("b_q", 0))
    kh = split(k.astype(float) @ p["w_k"] + p.get("b_k", 0))
    vh = split(v.astype(float) @ p["w_v"] + p.get("b_v", 0))
    out = softmax64(qh @ kh.transpose(0, 2, 1) / np.sqrt(width)) @ vh * gain
    return out.transpose(1, 0, 2).reshape(len(q), -1) @ p["w_o"] + p.get("b_o", 0)


@pytest.mark.parametrize("heads", [1, 2, 4, 5, 8])
@pytest.mark.parametrize("queries", [None, 1, 3])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("n", [1, 65, 130])
def test_folded_heads(heads, queries, bias, n):
    rng = np.random.default_rng(heads + n)
    d, dk, dv = 8 * heads if heads != 5 else 15, 13, 22
    p = {"w_q": normal(rng, 9, d), "w_k": normal(rng, dk, d), "w_v": normal(rng, dv, d), "w_o": normal(rng, d, 11)}
    p = {name: x / numbers.REAL(np.sqrt(len(x))) for name, x in p.items()}
    if bias:
        p |= {"b_q": normal(rng, d), "b_k": normal(rng, d), "b_v": normal(rng, d), "b_o": normal(rng, 11)}
    q, k, v = normal(rng, queries or 1, 9), normal(rng, n, dk), normal(rng, n, dv)
    expected = multi_head64(q, k, v, p, heads)
    if queries is None:
        q, expected = q[0], expected[0]
    out, finite = kernel_ops.multi_head_single(q, k, v, p, heads)
    assert finite
    close(out, expected, 3e-6)
    m = queries or 1
    p |= {"w_gate": normal(rng, 9, heads), "b_gate": normal(rng, heads)}
    z = np.atleast_2d(q).astype(float) @ p["w_gate"] + p["b_gate"]
    for threshold in (0.0, 0.5, 1.0):
        gates = 1 / (1 + np.exp(-0.7 * z))
        gates *= (gates >= threshold) | (z == z.max(axis=-1, keepdims=True))
        expected = multi_head64(np.atleast_2d(q), k, v, p, heads, gates.T[..., None])
        gated, finite = kernel_ops.multi_head_single(q, k, v, p, heads, gates=(0.7, threshold))
        assert finite
        close(np.atleast_2d(gated), expected, 3e-6)
    weights, alone = (np.empty((m * heads, n), numbers.REAL) for _ in range(2))
    kernel_ops.multi_head_single(q, k, v, p, heads, weights=weights)
    assert kernel_ops.multi_head_single(q, k, None, p, heads, weights=alone) == (None, True)
    close(alone, weights, 3e-6)
    for which in range(2):
        spoiled = [q.copy(), k.copy(), None]
        spoiled[which].reshape(-1)[-1] = np.inf
        assert not kernel_ops.multi_head_single(*spoiled, p, heads, weights=alone)[1]
    for which in range(3):
        spoiled = [q.copy(), k.copy(), v.copy()]
        spoiled[which].reshape(-1)[-1] = np.inf
        assert not kernel_ops.multi_head_single(*spoiled, p, heads)[1]
        assert not kernel_ops.multi_head_single(*spoiled, p, heads, gates=(1.0, 0.5))[1]


def test_heads_without_values_give_nothing_but_weights():
    rng = np.random.default_rng(0)
    d, n = 8, 5
    q, k, out, weights = normal(rng, 1, d), normal(rng, n, d), normal(rng, 1, d), normal(rng, 2, n)
    w = [normal(rng, d, d) for _ in range(4)]
    heads = kernel_ops.current().heads
    none = None, None, None, None

    def run(v, w_v, w_o, out, weights):
        return heads(q, k, v, w[0], w[1], w_v, w_o, *none, None, out, weights, 2, 0.5, None, 1.0, 0.0)

    assert run(None, None, None, None, weights) is True
    assert run(k, w[2], w[3], out, None) is True
    for wrong in (
        (None, None, None, None, None),
        (None, None, None, out, weights),
        (None, w[2], w[3], out, None),
        (k, None, w[3], out, weights),
        (k, w[2], None, out, weights),
        (k, w[2], w[3], None, weights),
    ):
        with pytest.raises(ValueError, match="heads"):
            run(*wrong)


def ball(rng, n, d, c, largest):
    x = rng.standard_normal((n, d))
    radius = largest * rng.random((n, 1)) / np.sqrt(c)
    return (x / np.linalg.norm(x, axis=1, keepdims=True) * radius).astype(numbers.REAL)


def attention64(q, k, v, c, temperature):
    q, k, v = q.astype(float), k.astype(float), v.astype(float)
    difference = np.linalg.norm(q[:, None] - k, axis=-1)
    gap = lambda x: 1 - c * (x * x).sum(-1)  # noqa: E731
    distance = 2 / np.sqrt(c) * np.arcsinh(np.sqrt(c) * difference / np.sqrt(gap(q)[:, None] * gap(k)))
    weights = softmax64(-distance / temperature)
    factor = 2 / gap(v)
    mean = (weights * factor) @ v / (weights * (factor - 1)).sum(-1, keepdims=True)
    return mean / (1 + np.sqrt(1 - c * (mean * mean).sum(-1, keepdims=True))), weights


def in_ball(q, k, v, c, temperature):
    """Return output and weights of attention in the ball of curvature -c, or None."""
    name = "poincare", q.shape[-1], -c
    space = metric_ops.metric([name], [1 / temperature], project_eps(np.dtype(numbers.REAL)))
    found = metric_ops.attention(q, k, v, space, need_weights=True)
    return found and found[:2]


@pytest.mark.parametrize("c", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("largest", [0.1, 0.9, 0.999])
@pytest.mark.parametrize(("m", "n", "d"), [(1, 1, 1), (1, 9, 3), (4, 130, 17), (2, 50, 128)])
def test_attention_in_the_ball(c, largest, m, n, d):
    rng = np.random.default_rng(n)
    q, k, v = ball(rng, m, d, c, largest), ball(rng, n, d, c, largest), ball(rng, n, d, c, largest)
    expected = attention64(q, k, v, c, 0.7)
    for mine, exact in zip(in_ball(q, k, v, c, 0.7), expected, strict=True):
        close(mine, exact, 5e-6)
    close(in_ball(q[:1], k, k, c, 0.7)[0], attention64(q[:1], k, k, c, 0.7)[0], 5e-6)


def test_a_point_near_the_boundary_is_its_own_midpoint():
    y = np.zeros((2, 16), numbers.REAL)
    y[0, 0], y[1, 3] = 1 - 2e-6, 0.999
    out, weights = in_ball(y, y, y, 1.0, 0.01)
    np.testing.assert_allclose(out, y, rtol=0, atol=2e-7)
    np.testing.assert_array_equal(weights, np.eye(2))


@pytest.mark.parametrize("value", [1.0, 1.5, np.nan, np.inf])
@pytest.mark.parametrize("which", [0, 1, 2])
def test_points_outside_the_ball_are_declined(value, which):
    arrays = [np.zeros((1, 4), numbers.REAL), np.zeros((6, 4), numbers.REAL), np.zeros((6, 4), numbers.REAL)]
    arrays[which][-1, 2] = value
    assert in_ball(*arrays, 1.0, 1.0) is None


def test_gradients_of_frechet_means_that_are_too_small_to_square_are_kept():
    rng = np.random.default_rng(5)
    grad = normal(rng, 1, 6)
    v = np.eye(1, 6) + 1e-2 * rng.standard_normal((9, 6))
    v = (v / np.linalg.norm(v, axis=-1, keepdims=True)).astype(grad.dtype)
    weights = np.full((1, 9), 1 / 9, v.dtype)
    sphere = metric_ops.metric([("sphere", 6, 1.0)], 1.0, 1e-6)
    mean = metric_ops.frechet_means(v, weights, sphere)
    tiny = v.dtype.type(1e-24 if v.dtype == np.float32 else 1e-180)
    large = metric_ops.means_vjp(v, weights, grad, mean, metric=sphere)
    small = metric_ops.means_vjp(v, weights, grad * tiny, mean, metric=sphere)
    for a, b in zip(large, small, strict=True):
        np.testing.assert_allclose(b / tiny, a, rtol=1e-2, atol=1e-3)

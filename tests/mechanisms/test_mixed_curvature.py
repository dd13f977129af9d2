"""MixedCurvatureAttention against closed forms in all spaces."""

import math

import numpy as np

import graphattend as ga

G = ga.geometry


def soft(s):
    e = np.exp(s - np.max(s))
    return e / e.sum()


def test_mixed_curvature_scores(rng):
    spaces = [("euclidean", 3, 0.0), ("poincare", 2, -0.5), ("sphere", 3, 2.0)]
    attn = ga.MixedCurvatureAttention(8, spaces=spaces, temperature=0.7)
    attn = attn.with_parameters({"mixing": [0.3, -1.0, 0.5]})
    x = attn.output_manifold.random(rng, (6, 8))
    share = soft(np.array([0.3, -1.0, 0.5])) * 3
    np.testing.assert_allclose(attn.shares(), share, rtol=1e-12)
    parts = np.zeros((3, 5))
    for j, y in enumerate(x[1:]):
        p, q = x[0, 3:5], y[3:5]
        arg = 1 + 2 * 0.5 * ((p - q) @ (p - q)) / ((1 - 0.5 * (p @ p)) * (1 - 0.5 * (q @ q)))
        parts[0, j] = math.dist(x[0, :3], y[:3])
        parts[1, j] = math.acosh(arg) / math.sqrt(0.5)
        parts[2, j] = math.acos(max(-1, min(1, 2 * float(x[0, 5:] @ y[5:])))) / math.sqrt(2)
    contributions = -share[:, None] * parts / 0.7
    np.testing.assert_allclose(attn.contributions(x[0], x[1:]), contributions, rtol=1e-8)
    out, w = attn.forward(x[0], x[1:], x[1:], need_weights=True)
    np.testing.assert_allclose(w, soft(contributions.sum(0)), rtol=1e-8)
    np.testing.assert_allclose(out[:3], w @ x[1:, :3], rtol=1e-10)
    np.testing.assert_allclose(out[3:5], G.Poincare(-0.5).midpoint(x[1:, 3:5], w), rtol=1e-9)
    np.testing.assert_allclose(out[5:], G.Sphere(2.0).midpoint(x[1:, 5:], w), rtol=1e-9)


def test_mixed_curvature_of_one_space_is_that_space(rng):
    x = G.Poincare(-0.7).random(rng, (6, 4))
    one = ga.MixedCurvatureAttention(4, spaces=[("poincare", 4, -0.7)], temperature=0.5)
    ball = ga.HyperbolicAttention(4, curvature=-0.7, temperature=0.5)
    np.testing.assert_allclose(one(x[:2], x, x), ball(x[:2], x, x), rtol=1e-9)
    assert ga.MixedCurvatureAttention(1).spaces == (("euclidean", 1, 0.0),)
    assert ga.MixedCurvatureAttention(5).spaces == (("euclidean", 3, 0.0), ("poincare", 2, -1.0))

"""ManifoldAttention against closed forms."""

import math

import numpy as np
import pytest

import graphattend as ga

G = ga.geometry


def soft(s):
    e = np.exp(s - np.max(s))
    return e / e.sum()


def test_euclidean_is_a_distance_kernel(rng):
    q, k, v = rng.standard_normal(5), rng.standard_normal((7, 5)), rng.standard_normal((7, 5))
    for aggregation in ("frechet", "midpoint"):
        out, w = ga.ManifoldAttention(5, temperature=0.5, aggregation=aggregation).forward(q, k, v, need_weights=True)
        expected = soft(np.array([-math.dist(q, x) / 0.5 for x in k]))
        np.testing.assert_allclose(w, expected, rtol=1e-12)
        np.testing.assert_allclose(out, expected @ v, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("curvature", [1.0, 4.0, 0.1])
def test_sphere_uses_great_circles(rng, curvature):
    r = curvature**-0.5
    x = rng.standard_normal((6, 4)) * 0.5 + np.array([2.0, 0, 0, 0])
    x *= r / np.linalg.norm(x, axis=1, keepdims=True)
    attn = ga.ManifoldAttention(4, manifold=G.Sphere(curvature), temperature=0.3)
    out, w = attn.forward(x[0], x[1:], x[1:], need_weights=True)
    arcs = [r * math.acos(max(-1, min(1, float(x[0] @ y) / r**2))) for y in x[1:]]
    np.testing.assert_allclose(w, soft(-np.array(arcs) / 0.3), rtol=1e-9)
    assert abs(np.linalg.norm(out) - r) < 1e-12 * r
    logs = []
    for y in x[1:]:  # at a Fréchet mean the weighted logarithms sum to zero
        u = y - (out @ y) / r**2 * out
        angle = math.acos(max(-1, min(1, float(out @ y) / r**2)))
        logs.append(u / np.linalg.norm(u) * angle * r)
    assert np.abs(w @ np.array(logs)).max() < 1e-8


def test_lorentz(rng):
    space = rng.standard_normal((6, 3))
    x = np.concatenate([np.sqrt(2.0 + (space**2).sum(1, keepdims=True)), space], axis=1)  # curvature -1/2
    attn = ga.ManifoldAttention(4, manifold=G.Lorentz(-0.5))
    out, w = attn.forward(x[0], x[1:], x[1:], need_weights=True)
    d = [math.sqrt(2) * math.acosh(max(1.0, (x[0, 0] * y[0] - x[0, 1:] @ y[1:]) / 2)) for y in x[1:]]
    np.testing.assert_allclose(w, soft(-np.array(d)), rtol=1e-8)
    assert abs(-(out[0] ** 2) + (out[1:] ** 2).sum() + 2.0) < 1e-9


def test_product_distance_is_the_root_of_the_squares(rng):
    m = G.Product([(G.Euclidean(), 2), (G.Sphere(), 3)])
    x = m.project(rng.standard_normal((5, 5)) + np.array([0, 0, 3.0, 0, 0]))
    w = ga.ManifoldAttention(5, manifold=m).attention_weights(x[0], x[1:])
    d = [math.hypot(math.dist(x[0, :2], y[:2]), math.acos(min(1, float(x[0, 2:] @ y[2:])))) for y in x[1:]]
    np.testing.assert_allclose(w, soft(-np.array(d)), rtol=1e-9)


def test_a_manifold_of_the_users_own():
    class Line(G.ManifoldBase):
        """Euclidean space that defines only the required methods."""

        def dist(self, x, y):
            return np.linalg.norm(np.asarray(x) - y, axis=-1)

        def expmap(self, x, v):
            return np.asarray(x) + v

        def logmap(self, x, y):
            return np.asarray(y) - x

        def inner(self, x, u, v):
            return (np.asarray(u) * v).sum(-1)

        def frechet_mean(self, points, weights, **_):
            return (points * weights[..., None]).sum(-2) / weights.sum(-1)[..., None]

    attn = ga.ManifoldAttention(2, manifold=Line())
    x = np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]])
    w = attn.attention_weights(x[0], x)
    np.testing.assert_allclose(w, soft(np.array([0.0, -5.0, -1.0])), rtol=1e-12)
    np.testing.assert_allclose(attn(x[0], x, x), w @ x, rtol=1e-12)
    with pytest.raises(ga.UnsupportedError, match="to_config"):
        attn.to_config()


def test_config_of_the_manifold():
    attn = ga.ManifoldAttention(4, manifold={"type": "lorentz", "curvature": -2.0})
    assert isinstance(attn.manifold, G.Lorentz)
    assert attn.to_config()["options"]["manifold"] == {"type": "lorentz", "curvature": -2.0}

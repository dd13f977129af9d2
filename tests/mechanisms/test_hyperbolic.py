"""Hyperbolic, manifold and mixed-curvature attention against 60-digit mpmath, also near the boundary."""

import numpy as np
import pytest

import graphattend as ga

mpmath = pytest.importorskip("mpmath")
mp = mpmath.mp.clone()
mp.dps = 60


def mpv(x):
    return [mp.mpf(float(a)) for a in x]


def norm2(x):
    return mp.fsum(a * a for a in x)


def distance(x, y, c):
    d = norm2([a - b for a, b in zip(x, y, strict=True)])
    return mp.acosh(1 + 2 * c * d / ((1 - c * norm2(x)) * (1 - c * norm2(y)))) / mp.sqrt(c)


def softmax(s):
    e = [mp.exp(a - max(s)) for a in s]
    return [a / mp.fsum(e) for a in e]


def midpoint(points, w, c):
    """Compute Ungar's gyromidpoint ½ ⊗ (Σ w λ x / Σ w (λ - 1))."""
    lam = [2 / (1 - c * norm2(p)) for p in points]
    den = mp.fsum(a * (l - 1) for a, l in zip(w, lam, strict=True))
    u = [mp.fsum(a * l * p[i] for a, l, p in zip(w, lam, points, strict=True)) / den for i in range(len(points[0]))]
    n = mp.sqrt(norm2(u))
    if n == 0:
        return u
    half = mp.tanh(mp.atanh(mp.sqrt(c) * n) / 2) / mp.sqrt(c)
    return [a * half / n for a in u]


def tangent_mean(points, w, c):
    def log0(x):
        n = mp.sqrt(norm2(x))
        return [a * mp.atanh(mp.sqrt(c) * n) / (mp.sqrt(c) * n) if n else a for a in x]

    logs = [log0(p) for p in points]
    m = [mp.fsum(a * l[i] for a, l in zip(w, logs, strict=True)) for i in range(len(points[0]))]
    n = mp.sqrt(norm2(m))
    return [a * mp.tanh(mp.sqrt(c) * n) / (mp.sqrt(c) * n) if n else a for a in m]


def points_of_norm(rng, n, d, r):
    x = rng.standard_normal((n, d))
    return x / np.linalg.norm(x, axis=1, keepdims=True) * r


@pytest.mark.parametrize("curvature", [-1.0, -0.25, -4.0])
@pytest.mark.parametrize("radius", [1e-6, 0.5, 0.99999, 1 - 1e-9, 1.5])
@pytest.mark.parametrize("aggregation", ["midpoint", "tangent"])
def test_against_60_digits(rng, curvature, radius, aggregation):
    """Points at radius 1.5 are outside and are projected first."""
    c, tau = -curvature, 0.7
    q = points_of_norm(rng, 1, 3, 0.3 * c**-0.5)[0]
    k, v = points_of_norm(rng, 5, 3, radius * c**-0.5), points_of_norm(rng, 5, 3, min(radius, 0.99999) * c**-0.5)
    v[1] *= 0.1
    attn = ga.HyperbolicAttention(3, curvature=curvature, temperature=tau, aggregation=aggregation)
    out, w = attn.forward(q, k, v, need_weights=True)
    mc = mp.mpf(c)
    ball = ga.geometry.Poincare(curvature)
    if radius > 1:  # the tests of geometry cover the projection
        assert np.allclose(np.linalg.norm(ball.project(k), axis=1), c**-0.5)
    mk, mv = [mpv(x) for x in ball.project(k)], [mpv(x) for x in ball.project(v)]
    weights = softmax([-distance(mpv(q), x, mc) / mp.mpf(tau) for x in mk])
    mean = (midpoint if aggregation == "midpoint" else tangent_mean)(mv, weights, mc)
    tol = 1e-11 if radius <= 1 else 1e-8
    np.testing.assert_allclose(w, np.array(weights, float), rtol=tol)
    np.testing.assert_allclose(out, np.array(mean, float), rtol=tol, atol=tol * 1e-3)
    assert np.linalg.norm(out) < c**-0.5


@pytest.mark.parametrize("aggregation", ["midpoint", "tangent", "frechet"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_output_lies_strictly_inside(rng, aggregation, dtype):
    for radius in (0.0, 1e-8, 0.9, 0.999999, 1.0, 3.0, 1e6):
        x = points_of_norm(rng, 6, 4, radius).astype(dtype)
        y, pullback = ga.HyperbolicAttention(4, aggregation=aggregation).vjp(x[:2], x, x)
        assert y.dtype == dtype
        assert (np.linalg.norm(y.astype(np.float64), axis=1) < 1).all()
        g = pullback(np.ones_like(y))
        assert all(np.isfinite(a).all() for a in (*g[:3], *g.parameters.values()))


def test_frechet_minimises_the_mean_squared_distance(rng):
    x = points_of_norm(rng, 5, 3, 0.7)
    attn = ga.HyperbolicAttention(3, aggregation="frechet", curvature=-0.8)
    out, w = attn.forward(x[0], x, x, need_weights=True)
    c = mp.mpf("0.8")

    def cost(p):
        return mp.fsum(mp.mpf(float(a)) * distance(mpv(p), mpv(y), c) ** 2 for a, y in zip(w, x, strict=True))

    best = cost(out)
    for step in (1e-3, 1e-5):
        for _ in range(6):
            assert cost(out + step * rng.standard_normal(3)) > best


def test_strict_refuses_what_lies_outside(rng):
    attn = ga.HyperbolicAttention(3, strict=True, curvature=-4.0)
    inside, outside = points_of_norm(rng, 4, 3, 0.49), points_of_norm(rng, 4, 3, 0.5)
    outside[0] *= 0.1
    outside[1:] *= 1.01
    assert np.isfinite(attn.forward(inside[0], inside, inside)).all()
    for name in ("query", "keys", "values"):
        x = {"query": inside[:2], "keys": inside, "values": inside, name: outside}
        with pytest.raises(ga.InvalidConfigError, match=f"{name}: .*radius 0.5, row 1") as info:
            attn.forward(**x)
        assert info.value.argument == name
    loose = ga.HyperbolicAttention(3, curvature=-4.0)
    moved = ga.geometry.Poincare(-4.0).project(outside)
    np.testing.assert_allclose(loose(inside[0], outside, inside), loose(inside[0], moved, inside), rtol=1e-9)


def test_learnable_scalars(rng):
    attn = ga.HyperbolicAttention(3, curvature=-0.5, temperature=2.0)
    p = attn.parameters()
    assert {n: (a.shape, float(a)) for n, a in p.items()} == {"curvature": ((), -0.5), "temperature": ((), 2.0)}
    x = points_of_norm(rng, 4, 3, 0.6)
    other = attn.with_parameters({"curvature": -1.5, "temperature": 0.1})
    same = ga.HyperbolicAttention(3, curvature=-1.5, temperature=0.1)
    np.testing.assert_allclose(other(x[0], x, x), same(x[0], x, x), rtol=1e-13)
    assert other.output_manifold.curvature == -1.5
    for name, bad in (("curvature", 0.0), ("curvature", 1.0), ("temperature", 0.0), ("temperature", -1.0)):
        with pytest.raises(ga.InvalidConfigError, match=name):
            attn.with_parameters({name: bad})


def test_coincident_points_have_finite_gradients():
    x = np.zeros((3, 4))
    for aggregation in ("midpoint", "tangent", "frechet"):
        y, pullback = ga.HyperbolicAttention(4, aggregation=aggregation).vjp(x[0], x, x)
        g = pullback(np.ones(4))
        assert not y.any()
        assert all(np.isfinite(a).all() for a in (*g[:3], *g.parameters.values()))


def test_manifold_is_hyperbolic_on_the_ball(rng):
    x = points_of_norm(rng, 6, 4, 0.8)
    for aggregation in ("midpoint", "frechet"):
        ours = ga.ManifoldAttention(4, manifold=ga.geometry.Poincare(-0.7), aggregation=aggregation, temperature=0.4)
        ball = ga.HyperbolicAttention(4, curvature=-0.7, aggregation=aggregation, temperature=0.4)
        for a, b in zip(
            ours.forward(x[:2], x, x, need_weights=True), ball.forward(x[:2], x, x, need_weights=True), strict=True
        ):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("aggregation", ["midpoint", "tangent", "frechet"])
@pytest.mark.parametrize("lengths", [(3.0, 0.5, 0.5), (0.87, 0.8, 0.8), (0.5, 0.5, 0.7)])
def test_curvature_gradient_with_points_outside(aggregation, lengths, rng):
    """Points projected to the rim move with it; the gradient must not contain cancelling terms of 1e12."""
    attn = ga.create("hyperbolic", 4, aggregation=aggregation, curvature=-1.3)  # of radius 0.877
    arrays = [rng.standard_normal((n, 4)) for n in (2, 5, 5)]
    arrays = [x / np.linalg.norm(x, axis=1, keepdims=True) * s for x, s in zip(arrays, lengths, strict=True)]
    output, pullback = attn.vjp(*arrays)
    g = rng.standard_normal(output.shape)
    ends = [
        (attn.with_parameters({"curvature": -1.3 + step})(*arrays) * g).sum() for step in (-2e-5, -1e-5, 1e-5, 2e-5)
    ]
    slope = (ends[0] - 8 * ends[1] + 8 * ends[2] - ends[3]) / 12e-5
    np.testing.assert_allclose(pullback(g).parameters["curvature"], slope, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("aggregation", ["midpoint", "tangent", "frechet"])
def test_curvature_gradient_with_all_points_outside(aggregation, rng):
    """Everything then scales with the radius: d output / d c = -output / 2c, and distances act like 1 / temperature."""
    attn = ga.create("hyperbolic", 4, aggregation=aggregation, curvature=-1.3, temperature=0.7)
    output, pullback = attn.vjp(*(3 * rng.standard_normal((n, 4)) + 3 for n in (2, 5, 5)))
    g = rng.standard_normal(output.shape)
    gradients = pullback(g).parameters
    expected = ((output * g).sum() - 0.7 * gradients["temperature"]) / 2.6
    np.testing.assert_allclose(gradients["curvature"], expected, rtol=1e-9)


def test_gradients_over_a_graph_with_a_point_on_the_rim_and_a_node_without_neighbours():
    """In float32, the node's zeros and the rim's projection once made the gradient of the curvature NaN."""
    x = np.array([[2.0, 0.0], [1.9, 0.1], [0.1, 0.0]], np.float32)
    graph = ga.NeighborGraph.from_edge_index([[0, 1], [1, 0]], 3)
    out, pullback = ga.HyperbolicAttention(2, temperature=0.1).attend_vjp(graph, x)
    assert not out[2].any()
    assert all(np.isfinite(a).all() for a in pullback(np.ones_like(out)).parameters.values())

"""Laws of the Poincaré ball over random curvatures and points, up to the boundary."""

import math

import numpy as np
import pytest

import graphattend as ga
from graphattend.geometry import Poincare, poincare

hypothesis = pytest.importorskip("hypothesis")
st = hypothesis.strategies
settings = hypothesis.settings(max_examples=60, deadline=None)

curvatures = st.floats(-10.0, -0.01)
seeds = st.integers(0, 2**32 - 1)
# Exponent of the distance from the boundary relative to the radius.
depths = st.floats(-9.0, 0.0)


def points(seed, curvature, depth, count, dim=4):
    rng = np.random.default_rng(seed)
    u = rng.standard_normal((count, dim))
    u /= np.linalg.norm(u, axis=-1, keepdims=True)
    return (1 - 10 ** (depth * rng.random((count, 1)))) / math.sqrt(-curvature) * u


@settings
@hypothesis.given(seeds, curvatures, depths)
def test_metric(seed, curvature, depth):
    ball = Poincare(curvature)
    x, y, z = points(seed, curvature, depth, 3)
    d = ball.dist(x, y)
    assert d == ball.dist(y, x)
    assert d <= (ball.dist(x, z) + ball.dist(z, y)) * (1 + 1e-14)
    assert ball.dist(x, x) == 0.0
    assert ball.norm(x, ball.logmap(x, y)) == pytest.approx(d, rel=1e-13)
    # Curvature is a scale: distances are those of the ball of radius 1, divided by √c.
    root = math.sqrt(-curvature)
    a, b = points(seed, -1.0, min(depth, -0.1) / 9, 2)
    assert Poincare(curvature).dist(a / root, b / root) * root == pytest.approx(Poincare().dist(a, b), rel=1e-12)


@settings
@hypothesis.given(seeds, curvatures, st.floats(-3.0, 0.0))
def test_translations_and_transport_are_isometries(seed, curvature, depth):
    ball = Poincare(curvature)
    x, y, z = points(seed, curvature, depth, 3)
    d = ball.dist(x, y)
    # Rounding moves the translated points near the boundary by 1e-16 times the conformal factor.
    loss = 1e-15 * sum(float(ball.lambda_x(ball.mobius_add(z, p))) for p in (x, y)) / math.sqrt(-curvature)
    assert abs(ball.dist(ball.mobius_add(z, x), ball.mobius_add(z, y)) - d) <= 1e-13 * d + loss
    np.testing.assert_allclose(ball.mobius_add(-x, ball.mobius_add(x, y)), y, rtol=0, atol=1e-9 / math.sqrt(-curvature))
    u, v = np.random.default_rng(seed).standard_normal((2, 4))
    moved = ball.transport(x, y, u), ball.transport(x, y, v)
    size = ball.norm(x, u) * ball.norm(x, v)
    assert abs(ball.inner(y, *moved) - ball.inner(x, u, v)) <= 1e-13 * size
    np.testing.assert_allclose(ball.transport(y, x, moved[0]), u, rtol=0, atol=1e-13)
    there, back = ball.logmap(x, y), ball.logmap(y, x)
    np.testing.assert_allclose(ball.transport(x, y, there), -back, rtol=0, atol=1e-12 * np.linalg.norm(back))


@settings
@hypothesis.given(seeds, curvatures, depths)
def test_round_trips(seed, curvature, depth):
    ball = Poincare(curvature)
    x, y = points(seed, curvature, depth, 2)
    radius = 1 / math.sqrt(-curvature)
    np.testing.assert_allclose(ball.expmap0(ball.logmap0(x)), x, rtol=1e-13)
    # The direction of a velocity at x has error 1e-16, which a geodesic of length d multiplies by sinh(d).
    spread = math.sinh(ball.dist(x, y) / radius) + 1
    near = ball.expmap(x, ball.logmap(x, y))
    assert np.linalg.norm(near - y) <= (1e-14 + 1e-15 * spread / ball.lambda_x(y)) * radius
    half = ball.expmap(x, 0.5 * ball.logmap(x, y))
    d = ball.dist(x, y)
    loss = 1e-14 * ball.lambda_x(half) * radius * (1 + spread**0.5)
    assert abs(ball.dist(x, half) - d / 2) <= 1e-13 * d + loss
    assert np.allclose(ball.mobius_scalar_mul(2.0, ball.mobius_scalar_mul(0.5, x)), x, rtol=1e-12, atol=0)
    assert np.allclose(ball.mobius_scalar_mul(np.array([1.0]), x), x, rtol=1e-13, atol=0)


@settings
@hypothesis.given(seeds, curvatures, depths)
def test_means_lie_between(seed, curvature, depth):
    ball = Poincare(curvature)
    p = points(seed, curvature, depth, 6)
    weights = np.random.default_rng(seed + 1).random((2, 6))
    for mean in (ball.midpoint, ball.frechet_mean):
        m = mean(p, weights)
        assert (np.linalg.norm(m, axis=-1) <= np.linalg.norm(p, axis=-1).max()).all()
        np.testing.assert_allclose(mean(p[::-1], weights[:, ::-1]), m, rtol=1e-6, atol=1e-12)
    cost = [
        (weights[0] * ball.dist(q, p) ** 2).sum()
        for q in (ball.frechet_mean(p, weights[0]), ball.midpoint(p, weights[0]))
    ]
    assert cost[0] <= cost[1] * (1 + 1e-12)


@pytest.mark.parametrize("shapes", [((4,), (4,)), ((3, 4), (4,)), ((2, 1, 4), (5, 4)), ((1, 4), (6, 4))])
def test_shapes_broadcast_and_gradients_keep_theirs(shapes):
    ball = Poincare()
    rng = np.random.default_rng(0)
    x, y = (ball.random(rng, shape) for shape in shapes)
    lead = np.broadcast_shapes(shapes[0][:-1], shapes[1][:-1])
    for name, shape in {"dist": lead, "logmap": (*lead, 4), "mobius_add": (*lead, 4), "expmap": (*lead, 4)}.items():
        out, pull = ga.vjp(getattr(ball, name), x, y)
        assert out.shape == shape
        assert [g.shape for g in pull(np.ones(shape))] == [x.shape, y.shape]
    factors = rng.standard_normal(lead)
    out, pull = ga.vjp(ball.mobius_scalar_mul, factors, y)
    assert out.shape == (*lead, 4)
    assert [np.shape(g) for g in pull(np.ones(out.shape))] == [lead, y.shape]


def test_textbook_values():
    ball = Poincare(-1.0)
    x, y = np.array([0.3, -0.2]), np.array([-0.1, 0.6])
    argument = 1 + 2 * ((x - y) ** 2).sum() / ((1 - (x**2).sum()) * (1 - (y**2).sum()))
    assert ball.dist(x, y) == pytest.approx(math.acosh(argument), rel=1e-14)
    assert ball.dist(np.zeros(2), x) == pytest.approx(2 * math.atanh(math.sqrt(0.13)), rel=1e-14)
    assert ball.lambda_x(x) == pytest.approx(2 / 0.87, rel=1e-15)
    np.testing.assert_allclose(ball.inner(x, y, y), (2 / 0.87) ** 2 * 0.37, rtol=1e-14)
    np.testing.assert_allclose(ball.egrad2rgrad(x, y), (0.87 / 2) ** 2 * y, rtol=1e-14)
    np.testing.assert_array_equal(ball.project_tangent(x, y), y)


def test_not_a_number_passes_through():
    x = np.array([[0.1, np.nan], [0.1, 0.2]])
    d = Poincare().dist(x, np.zeros(2))
    assert np.isnan(d[0])
    assert d[1] == pytest.approx(2 * math.atanh(math.sqrt(0.05)))


def test_pairwise_of_a_set_with_itself():
    rng = np.random.default_rng(0)
    x = Poincare().random(rng, (2, 9, 5))
    x[:, 3] = x[:, 4]
    d, pull = poincare.pairwise_distance_vjp(x, x, 1.0)
    assert (d[:, range(9), range(9)] == 0).all()
    assert (d[:, 3, 4] == 0).all()
    assert all(np.isfinite(g).all() for g in pull(np.ones_like(d)))

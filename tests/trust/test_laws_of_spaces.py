"""Laws of geometry, on random points of every registered manifold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from soak.manifolds import CURVATURES, MANIFOLDS, manifold

import graphattend as ga
from graphattend.geometry import Lorentz, Poincare, Product

numbers = given(st.integers(0, 2**32 - 1))
every_manifold = pytest.mark.parametrize("name", list(MANIFOLDS))


def points(name, seed, count):
    """Return a manifold of moderate curvature, points on it, and the generator."""
    rng = np.random.default_rng(seed)
    m = manifold(name, int(rng.integers(len(CURVATURES) - 1)))  # not the strongest curvature, which leaves few digits
    return m, rng, *m.random(rng, (count, 5 if isinstance(m, Product) else 4))


def tangent(m, rng, x):
    return m.project_tangent(x, 0.3 * rng.standard_normal(x.shape) / np.sqrt(1 + abs(getattr(m, "curvature", 1.0))))


def close(found, wanted, tolerance=1e-7):
    size = max(np.abs(wanted).max(initial=0), 1e-9)
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance * size)


@every_manifold
@numbers
def test_distance_is_symmetric(name, seed):
    m, _, x, y = points(name, seed, 2)
    close(m.dist(x, y), m.dist(y, x), 1e-10)


@every_manifold
@numbers
def test_distance_to_itself_is_zero(name, seed):
    m, _, x = points(name, seed, 1)
    assert m.dist(x, x) <= 1e-6 * (1 + np.abs(x).max())


@every_manifold
@numbers
def test_triangles_close(name, seed):
    m, _, x, y, z = points(name, seed, 3)
    a, b, c = m.dist(x, y), m.dist(y, z), m.dist(x, z)
    assert c <= (a + b) * (1 + 1e-9)


@every_manifold
@numbers
def test_exp_undoes_log(name, seed):
    m, _, x, y = points(name, seed, 2)
    close(m.expmap(x, m.logmap(x, y)), y, 1e-6)


@every_manifold
@numbers
def test_log_is_as_long_as_the_distance(name, seed):
    m, _, x, y = points(name, seed, 2)
    close(m.norm(x, m.logmap(x, y)), m.dist(x, y), 1e-6)


@every_manifold
@numbers
def test_exp_goes_as_far_as_its_vector_is_long(name, seed):
    m, rng, x = points(name, seed, 1)
    v = tangent(m, rng, x)
    if m.norm(x, v) < 2 / np.sqrt(abs(getattr(m, "curvature", 0.0)) or 1.0):  # not beyond a sphere's antipode
        close(m.dist(x, m.expmap(x, v)), m.norm(x, v), 1e-6)


@every_manifold
@numbers
def test_log_to_itself_is_zero(name, seed):
    m, _, x = points(name, seed, 1)
    np.testing.assert_allclose(m.logmap(x, x), 0, atol=1e-6 * (1 + np.abs(x).max()))


@every_manifold
@numbers
def test_logs_are_tangent(name, seed):
    m, _, x, y = points(name, seed, 2)
    v = m.logmap(x, y)
    close(m.project_tangent(x, v), v)


@every_manifold
@numbers
def test_to_project_twice_is_to_project_once(name, seed):
    m, rng, x = points(name, seed, 1)
    moved = m.project(x + 0.01 * rng.standard_normal(x.shape))
    close(m.project(moved), moved, 1e-10)


@every_manifold
@numbers
def test_transport_keeps_angles_and_lengths(name, seed):
    m, rng, x, y = points(name, seed, 2)
    u, v = tangent(m, rng, x), tangent(m, rng, x)
    lengths = float(m.norm(x, u) * m.norm(x, v))
    moved = m.inner(y, m.transport(x, y, u), m.transport(x, y, v))
    assert abs(moved - m.inner(x, u, v)) <= 1e-6 * max(lengths, 1e-12)


@every_manifold
@numbers
def test_transport_there_and_back(name, seed):
    m, rng, x, y = points(name, seed, 2)
    v = tangent(m, rng, x)
    close(m.transport(y, x, m.transport(x, y, v)), v, 1e-6)


@every_manifold
@numbers
def test_transport_turns_a_geodesic_into_itself(name, seed):
    m, _, x, y = points(name, seed, 2)
    close(m.transport(x, y, m.logmap(x, y)), -m.logmap(y, x), 1e-5)


@every_manifold
@numbers
def test_the_middle_of_equal_points_is_there(name, seed):
    m, rng, x = points(name, seed, 1)
    same, weights = np.repeat(x[None], 3, axis=0), rng.random(3) + 0.1
    close(m.midpoint(same, weights), x)
    close(m.frechet_mean(same, weights), x)


@every_manifold
@numbers
def test_the_middle_of_two_points_is_equally_far(name, seed):
    m, _, x, y = points(name, seed, 2)
    for mean in (m.midpoint, m.frechet_mean):
        middle = mean(np.stack([x, y]), np.ones(2))
        close(m.dist(middle, x), m.dist(middle, y), 1e-5)
        close(m.dist(middle, x), m.dist(x, y) / 2, 1e-5)


@every_manifold
@numbers
def test_the_order_of_points_does_not_matter_to_a_mean(name, seed):
    m, rng, *many = points(name, seed, 4)
    many, weights, order = np.stack(many), rng.random(4) + 0.1, rng.permutation(4)
    close(m.midpoint(many[order], weights[order]), m.midpoint(many, weights))
    close(m.frechet_mean(many[order], weights[order]), m.frechet_mean(many, weights), 1e-6)


@every_manifold
@numbers
def test_all_pairs_are_pairs(name, seed):
    m, _, *many = points(name, seed, 4)
    many = np.stack(many)
    pairs = np.array([[m.dist(x, y) for y in many] for x in many])
    np.testing.assert_allclose(m.pairwise(many, many), pairs, rtol=1e-8, atol=1e-6 * (1 + pairs.max()))


@every_manifold
@numbers
def test_at_the_origin_there_are_shorter_names(name, seed):
    m, rng, x = points(name, seed, 1)
    origin = m.origin(len(x))
    v = m.project_tangent(origin, 0.1 * rng.standard_normal(x.shape))
    close(m.expmap0(v), m.expmap(origin, v))
    close(m.logmap0(x), m.logmap(origin, x))


@every_manifold
@numbers
def test_the_gradient_is_what_the_metric_says(name, seed):
    m, rng, x = points(name, seed, 1)
    g, v = rng.standard_normal(x.shape), tangent(m, rng, x)
    assert abs(m.inner(x, m.egrad2rgrad(x, g), v) - g @ v) <= 1e-6 * (1 + np.abs(g @ v)) * (1 + np.abs(x).max() ** 2)


# -- hyperbolic space ------------------------------------------------------------------------------------------


def ball_points(seed, count):
    rng = np.random.default_rng(seed)
    ball = Poincare(-(10.0 ** rng.uniform(-2, 1)))
    return ball, rng, *ball.random(rng, (count, 3))


@numbers
def test_what_is_added_on_the_left_can_be_taken_away(seed):
    ball, _, x, y = ball_points(seed, 2)
    close(ball.mobius_add(-x, ball.mobius_add(x, y)), y)


@numbers
def test_zero_is_neutral(seed):
    ball, _, x = ball_points(seed, 1)
    close(ball.mobius_add(x, 0 * x), x)
    close(ball.mobius_add(0 * x, x), x)


@numbers
def test_adding_on_the_left_keeps_distances(seed):
    ball, _, a, x, y = ball_points(seed, 3)
    close(ball.dist(ball.mobius_add(a, x), ball.mobius_add(a, y)), ball.dist(x, y), 1e-6)


@numbers
def test_multiples_multiply(seed):
    ball, rng, x = ball_points(seed, 1)
    r, s = rng.uniform(-1.5, 1.5, 2)
    close(ball.mobius_scalar_mul(r, ball.mobius_scalar_mul(s, x)), ball.mobius_scalar_mul(r * s, x))


@numbers
def test_twice_is_a_sum(seed):
    ball, _, x = ball_points(seed, 1)
    close(ball.mobius_scalar_mul(2.0, x), ball.mobius_add(x, x))


@numbers
def test_multiples_stretch_the_distance_to_the_origin(seed):
    ball, rng, x = ball_points(seed, 1)
    r = rng.uniform(0, 2)
    close(ball.dist(0 * x, ball.mobius_scalar_mul(r, x)), r * ball.dist(0 * x, x))


@numbers
def test_curvature_is_a_scale(seed):
    ball, _, x, y = ball_points(seed, 2)
    root = np.sqrt(-ball.curvature)
    close(ball.dist(x, y) * root, Poincare(-1.0).dist(root * x, root * y))


@numbers
def test_ball_and_hyperboloid_are_one_space(seed):
    """Equal tangent vectors at the origin give points at equal distances."""
    rng = np.random.default_rng(seed)
    curvature = -(10.0 ** rng.uniform(-1, 1))
    u, v = rng.standard_normal((2, 3)) / np.sqrt(-curvature)
    flat = [np.concatenate([[0.0], w]) for w in (u, v)]
    ball, hyperboloid = Poincare(curvature), Lorentz(curvature)
    # The ball's metric at the origin is four times the Euclidean metric.
    a = ball.dist(ball.expmap0(u / 2), ball.expmap0(v / 2))
    close(a, hyperboloid.dist(*(hyperboloid.expmap0(w) for w in flat)), 1e-6)


@numbers
def test_little_curvature_is_almost_flat(seed):
    rng = np.random.default_rng(seed)
    x, y = 0.1 * rng.standard_normal((2, 3))
    close(Poincare(-1e-8).dist(x, y), 2 * np.linalg.norm(x - y), 1e-6)


# -- products --------------------------------------------------------------------------------------------------


@numbers
def test_squared_distances_of_a_product_add(seed):
    rng = np.random.default_rng(seed)
    factors = [ga.geometry.Euclidean(), Poincare(-0.5)]
    x, y = ([f.random(rng, (2,)) for f in factors] for _ in range(2))
    total = Product([(f, 2) for f in factors]).dist(np.concatenate(x), np.concatenate(y))
    close(total**2, sum(f.dist(a, b) ** 2 for f, a, b in zip(factors, x, y, strict=True)), 1e-9)

"""The Poincaré ball: comparison with 60-digit values, laws and gradients."""

import inspect
import math

import numpy as np
import pytest

import graphattend as ga
from graphattend.geometry import Poincare, poincare

CURVATURES = [0.01, 0.3, 1.0, 10.0]
NORMS = [1e-12, 1e-5, 0.1, 0.7, 0.999, 1 - 1e-6, 1 - 1e-9]
TOLERANCE = 1e-12


def direction(rng, dim):
    v = rng.standard_normal(dim)
    return v / np.linalg.norm(v)


def pairs(c, dim=5):
    """Return points for all pairs of norms: general, nearly equal, nearly antipodal, on one ray, equal."""
    rng = np.random.default_rng(7)
    radius = 1 / math.sqrt(c)
    for r in NORMS:
        for s in NORMS:
            u = direction(rng, dim)
            for other in (
                direction(rng, dim),
                u,
                -u,
                u + 1e-9 * direction(rng, dim),
                -u + 1e-7 * direction(rng, dim),
                u + 1e-3 * direction(rng, dim),
            ):
                yield radius * r * u, radius * s * other / np.linalg.norm(other)


def sample(c):
    """Return a fifth of the pairs, different for each curvature, because 60 digits take time."""
    return list(pairs(c))[CURVATURES.index(c) :: 5]


@pytest.mark.parametrize("c", CURVATURES)
def test_distance_logmap_mobius_transport_exact(exact, c):
    ball = Poincare(-c)
    xs, ys = map(np.array, zip(*sample(c), strict=True))
    vs = np.random.default_rng(1).standard_normal(xs.shape)
    d, log, total, moved = ball.dist(xs, ys), ball.logmap(xs, ys), ball.mobius_add(xs, ys), ball.transport(xs, ys, vs)
    log0, half = ball.logmap0(xs), ball.mobius_scalar_mul(0.3, xs)
    for i in range(len(xs)):
        x, y, v = exact.vec(xs[i]), exact.vec(ys[i]), exact.vec(vs[i])
        k = exact.mp.mpf(c)
        assert exact.error(d[i], exact.dist(x, y, k)) < TOLERANCE
        assert exact.error(log[i], exact.log(x, y, k)) < TOLERANCE
        assert exact.error(log0[i], exact.log0(x, k)) < TOLERANCE
        assert exact.error(half[i], exact.exp0(exact.scale(exact.mp.mpf(0.3), exact.log0(x, k)), k)) < TOLERANCE
        assert exact.error(moved[i], exact.transport(x, y, v, k)) < TOLERANCE
        sum_exact = exact.add(x, y, k)
        if exact.norm(sum_exact) * math.sqrt(c) < 1 - 1e-12:  # otherwise project moves it
            assert exact.error(total[i], sum_exact) < TOLERANCE


@pytest.mark.parametrize("c", CURVATURES)
def test_expmap_exact(exact, c):
    ball = Poincare(-c)
    for x, y in sample(c):
        v = ball.logmap(x, y)
        for scale in (1.0, 0.5, -0.1):
            z = ball.expmap(x, scale * v)
            e = exact.exp(exact.vec(x), exact.vec(scale * v), exact.mp.mpf(c))
            size = exact.norm(e)
            if size * math.sqrt(c) < 1 - 1e-12:
                # A step towards the origin is a difference, so the error is relative to x if the result is nearer to the origin.
                assert exact.error(z, e, max(size, exact.norm(exact.vec(x)))) < TOLERANCE
        z = ball.expmap0(v)
        e = exact.exp0(exact.vec(v), exact.mp.mpf(c))
        if exact.norm(e) * math.sqrt(c) < 1 - 1e-12:
            assert exact.error(z, e) < TOLERANCE


@pytest.mark.parametrize("c", CURVATURES)
@pytest.mark.parametrize("spread", [1.0, 1e-3, 1e-8])
@pytest.mark.parametrize("r", NORMS)
def test_midpoint_exact(exact, c, spread, r):
    rng = np.random.default_rng(3)
    u = direction(rng, 4)
    points = []
    for _ in range(6):
        p = u + spread * direction(rng, 4)
        points.append(r / math.sqrt(c) * p / np.linalg.norm(p) * (1 - 0.5 * spread * rng.random()))
    points = np.array(points)
    weights = rng.random(6)
    m = Poincare(-c).midpoint(points, weights)
    e = exact.midpoint([exact.vec(p) for p in points], exact.vec(weights), exact.mp.mpf(c))
    assert exact.error(m, e) < TOLERANCE


@pytest.mark.parametrize("dim", [1, 2, 3, 128])
def test_distance_exact_in_many_dimensions(exact, dim):
    for x, y in list(pairs(1.0, dim))[::7]:
        assert exact.error(poincare.distance(x, y, 1.0), exact.dist(exact.vec(x), exact.vec(y), 1)) < TOLERANCE


@pytest.mark.parametrize("c", CURVATURES)
def test_pairwise_equals_one_by_one(exact, c):
    xs, ys = map(np.array, zip(*list(pairs(c))[::4], strict=True))
    table = poincare.pairwise_distance(xs, ys, c)
    single = poincare.distance(xs[:, None], ys[None], c)
    np.testing.assert_allclose(table, single, rtol=1e-12, atol=0)


RULES = {
    "distance": (poincare.distance_vjp, "xy"),
    "mobius_add": (poincare.mobius_add_vjp, "xy"),
    "expmap": (poincare.expmap_vjp, "xv"),
    "logmap": (poincare.logmap_vjp, "xy"),
    "expmap0": (poincare.expmap0_vjp, "v"),
    "logmap0": (poincare.logmap0_vjp, "x"),
    "mobius_scalar_mul": (poincare.mobius_scalar_mul_vjp, "sx"),
    "pairwise_distance": (poincare.pairwise_distance_vjp, "xk"),
    "midpoint": (poincare.midpoint_vjp, "pw"),
    "midpoints": (poincare.midpoints_vjp, "pW"),
    "frechet_mean": (poincare.frechet_mean_vjp, "pw"),
}


def argument(letter, rng, radius, reach):
    shape = {
        "x": (3, 4),
        "y": (2, 3, 4),
        "v": (3, 4),
        "s": (3,),
        "k": (5, 4),
        "p": (2, 5, 4),
        "w": (2, 5),
        "W": (2, 3, 5),
    }
    a = rng.standard_normal(shape[letter])
    if letter in "xykp":
        return (
            radius * reach * a / np.linalg.norm(a, axis=-1, keepdims=True) * rng.uniform(0.5, 1.0, (*a.shape[:-1], 1))
        )
    return np.abs(a) if letter in "wW" else a * radius * 0.3


@pytest.mark.parametrize("c", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("reach", [1e-4, 0.3, 0.95])
@pytest.mark.parametrize("name", RULES)
def test_gradients_with_curvature(exact, name, reach, c):
    rule, letters = RULES[name]
    rng = np.random.default_rng(5)
    arrays = [argument(letter, rng, 1 / math.sqrt(c), reach) for letter in letters]
    steps = [1e-4 * min(reach, 0.05) / c] * len(arrays) + [1e-3 * c * min(1.0, 0.1 / reach)]
    exact.check_gradient(lambda *a: rule(*a[:-1], float(a[-1])), [*arrays, np.array(c)], steps=steps)


def test_project_gradient(exact):
    x = np.random.default_rng(2).standard_normal((6, 3)) * np.array([[0.1], [0.3], [3.0], [10.0], [0.2], [5.0]])
    exact.check_gradient(lambda a, c: poincare.project_vjp(a, float(c), 1e-12), [x, np.array(1.3)], steps=1e-4)


def near_boundary_gradient(exact, x, y, c):
    """Return the gradient of the distance with respect to x and c, by 60-digit differences."""
    mp = exact.mp
    h = min(exact.norm([a - b for a, b in zip(x, y, strict=True)]), mp.mpf(10) ** -9) / 10**15
    gx = []
    for i in range(len(x)):
        up, down = list(x), list(x)
        up[i] += h
        down[i] -= h
        gx.append((exact.dist(up, y, c) - exact.dist(down, y, c)) / (2 * h))
    h = c / 10**15
    return gx, (exact.dist(x, y, c + h) - exact.dist(x, y, c - h)) / (2 * h)


@pytest.mark.parametrize("c", CURVATURES)
def test_distance_gradient_exact_to_the_boundary(exact, c):
    for x, y in sample(c):
        if np.array_equal(x, y):
            continue
        gx, gc = near_boundary_gradient(exact, exact.vec(x), exact.vec(y), exact.mp.mpf(c))
        _, pull = poincare.distance_vjp(x, y, c)
        ours = pull(np.ones(()))
        assert exact.error(ours[0], gx) < 1e-10
        assert exact.error(ours[2], gc) < 1e-10


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("method", ["dist", "mobius_add", "expmap", "logmap", "midpoint", "frechet_mean"])
def test_gradients_finite_at_the_hard_places(method, dtype):
    rng = np.random.default_rng(0)
    u = rng.standard_normal(6)
    u /= np.linalg.norm(u)
    places = [np.zeros(6), 1e-12 * u, 0.5 * u, (1 - 1e-9) * u, (1 - 1e-12) * u, 7.0 * u, -(1 - 1e-9) * u]
    ball = Poincare()
    for x in places:
        for y in places:
            x, y = x.astype(dtype), y.astype(dtype)
            if method in ("midpoint", "frechet_mean"):
                arguments = (np.stack([x, y]), np.array([0.4, 0.6], dtype))
            else:
                arguments = (x, y)
            out, pull = ga.vjp(getattr(ball, method), *arguments)
            assert np.isfinite(out).all()
            assert all(np.isfinite(g).all() and g.dtype == dtype for g in pull(np.ones_like(out)))
    out, pull = ga.vjp(ball.dist, places[2], places[2])
    assert out == 0
    assert not any(g.any() for g in pull(np.ones(())))


@pytest.mark.parametrize("c", CURVATURES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_stay_strictly_inside(exact, dtype, c):
    ball = Poincare(-c)
    rng = np.random.default_rng(4)
    radius = 1 / math.sqrt(c)
    u = rng.standard_normal((40, 8))
    u /= np.linalg.norm(u, axis=-1, keepdims=True)
    sizes = 10 ** rng.uniform(-3, 6, (40, 1))
    x = (radius * np.where(sizes > 1, 1 - 10 ** rng.uniform(-12, -5, (40, 1)), 0.1) * u).astype(dtype)
    v = (sizes * u[::-1]).astype(dtype)
    results = [
        ball.project(v),
        ball.project(1e30 * v),
        ball.expmap(x, v),
        ball.expmap0(v),
        ball.mobius_add(x, x),
        ball.mobius_add(v, v),
        ball.mobius_scalar_mul(1e3, x),
        ball.midpoint(np.stack([x, x], 1), np.ones((40, 2), dtype)),
        ball.frechet_mean(np.stack([x, x], 1), np.ones((40, 2), dtype)),
    ]
    eps = 1e-6 if dtype == np.float32 else 1e-12
    for z in results:
        assert z.dtype == dtype
        for row in z:
            assert exact.mp.mpf(c) * exact.dot(exact.vec(row), exact.vec(row)) < 1
    for z in results:
        largest = max(float(exact.norm(exact.vec(row))) for row in z)
        assert largest <= radius * (1 - eps) * (1 + 1e-15)
        np.testing.assert_array_equal(ball.project(z), z)
    assert max(np.linalg.norm(results[0].astype(float), axis=-1)) >= radius * (1 - 1.5 * eps)


def test_project_leaves_points_inside_alone():
    x = np.array([[0.3, 0.4], [1 - 2e-12, 0.0]])
    np.testing.assert_array_equal(Poincare().project(x), x)
    assert Poincare().project(x.astype(np.float32))[1, 0] == pytest.approx(1 - 1e-6, rel=2e-7)


@pytest.mark.parametrize("r", [0.5, 0.99, 1 - 1e-6, 1 - 1e-9])
@pytest.mark.parametrize("spread", [2.0, 0.1, 1e-5])
def test_frechet_mean_is_where_the_logarithms_cancel(exact, r, spread):
    rng = np.random.default_rng(11)
    u = direction(rng, 3)
    points = np.array([r * p / np.linalg.norm(p) for p in (u + spread * direction(rng, 3) for _ in range(5))])
    points[0] *= 0.5
    for weights in (rng.random(5), np.array([1e-9, 1.0, 1e-3, 1.0, 0.0]), np.array([0.0, 0.0, 3.0, 0.0, 0.0])):
        m = Poincare().frechet_mean(points, weights)
        centre = exact.vec(m)
        logs = [exact.log(centre, exact.vec(p), 1) for p in points]
        rest = [
            exact.mp.fsum(exact.mp.mpf(float(w)) * g[i] for w, g in zip(weights, logs, strict=True)) for i in range(3)
        ]
        residual = float(exact.norm(rest) * exact.lam(centre, 1)) / weights.sum()
        assert residual <= 1e-9 + 1e-14 * float(exact.lam(centre, 1))


def test_frechet_mean_says_when_it_does_not_converge():
    points = np.array([[0.99, 0.0], [0.0, 0.99], [-0.5, -0.5]])
    with pytest.raises(ga.NumericalInstabilityError, match="frechet_mean"):
        Poincare().frechet_mean(points, np.array([1.0, 2.0, 3.0]), tolerance=1e-13, max_iterations=1)


def test_zero_weights_give_the_origin():
    points = np.full((2, 3, 2), 0.5)
    weights = np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    for mean in (Poincare().midpoint, Poincare().frechet_mean):
        out, pull = ga.vjp(mean, points, weights)
        np.testing.assert_allclose(out, [[0.0, 0.0], [0.5, 0.5]], atol=1e-15)
        assert all(np.isfinite(g).all() for g in pull(np.ones_like(out)))


def test_midpoint_ignores_the_scale_of_the_weights_and_shares_points():
    rng = np.random.default_rng(0)
    ball = Poincare(-0.5)
    points, weights = ball.random(rng, (7, 3)), rng.random((4, 5, 7))
    m = ball.midpoint(points, weights)
    assert m.shape == (4, 5, 3)
    np.testing.assert_allclose(ball.midpoint(points, 1e-5 * weights), m, rtol=1e-13)
    np.testing.assert_allclose(ball.midpoint(points[None, None], weights), m, rtol=1e-13)
    np.testing.assert_allclose(ball.midpoint(points, weights[1, 2]), m[1, 2], rtol=1e-13)


#: Arguments after the arrays.
OPTIONS = {"c": 0.7, "eps": 1e-3, "tolerance": 1e-12, "max_iterations": 50}


@pytest.mark.parametrize("name", [n for n in poincare.__all__ if f"{n}_vjp" in poincare.__all__])
def test_a_function_gives_what_its_rule_gives(name):
    rng = np.random.default_rng(4)
    x, y, v = 0.3 * rng.standard_normal((3, 5, 4))
    given = {
        "x": x,
        "y": y,
        "q": x,
        "k": y,
        "v": v,
        "points": x,
        "weights": rng.random(5),
        "r": rng.random(5),
    } | OPTIONS
    if name == "midpoints":
        given["weights"] = rng.random((2, 5))
    names = inspect.signature(getattr(poincare, f"{name}_vjp")).parameters
    arrays = [given[n] for n, parameter in names.items() if n in given and parameter.kind is not parameter.KEYWORD_ONLY]
    np.testing.assert_array_equal(getattr(poincare, name)(*arrays), getattr(poincare, f"{name}_vjp")(*arrays)[0])

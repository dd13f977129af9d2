"""The Poincaré ball against 60-digit values, its laws and its gradients."""

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
    """Points of all pairs of norms: in general position, nearly coincident, nearly antipodal, on one ray, coincident."""
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


@pytest.mark.parametrize("c", CURVATURES)
def test_distance_logmap_mobius_transport_exact(exact, c):
    ball = Poincare(-c)
    xs, ys = map(np.array, zip(*pairs(c), strict=True))
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
        if exact.norm(sum_exact) * math.sqrt(c) < 1 - 1e-12:  # else project moves it
            assert exact.error(total[i], sum_exact) < TOLERANCE


@pytest.mark.parametrize("c", CURVATURES)
def test_expmap_exact(exact, c):
    ball = Poincare(-c)
    for x, y in pairs(c):
        v = ball.logmap(x, y)
        for scale in (1.0, 0.5, 1e-6, -0.1, 1.3):
            z = ball.expmap(x, scale * v)
            e = exact.exp(exact.vec(x), exact.vec(scale * v), exact.mp.mpf(c))
            size = exact.norm(e)
            if size * math.sqrt(c) < 1 - 1e-12:
                # A way back towards the origin is a difference: where the result is nearer to it than x, relative to x.
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

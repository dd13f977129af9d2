"""The sphere: comparison with 60-digit values, laws and gradients."""

import dataclasses
import math

import numpy as np
import pytest

import graphattend as ga
from graphattend.geometry import Sphere

CURVATURES = [0.01, 1.0, 10.0]
ANGLES = [1e-12, 1e-9, 1e-4, 0.3, math.pi / 2, 3.0, math.pi - 1e-6, math.pi - 1e-9]


def pairs(curvature, dim):
    rng = np.random.default_rng(4)
    radius = 1 / math.sqrt(curvature)
    for angle in ANGLES:
        for _ in range(5):
            u, v = np.linalg.qr(rng.standard_normal((dim, 2)))[0].T
            yield radius * u, radius * (math.cos(angle) * u + math.sin(angle) * v), radius * v


def unit(exact, x):
    return exact.scale(1 / exact.norm(x), x)


def minus(x, y):
    return [a - b for a, b in zip(x, y, strict=True)]


def plus(x, y):
    return [a + b for a, b in zip(x, y, strict=True)]


@pytest.mark.parametrize("dim", [2, 5])
@pytest.mark.parametrize("curvature", CURVATURES)
def test_distance_logmap_expmap_exact(exact, curvature, dim):
    sphere = Sphere(curvature)
    mp = exact.mp
    radius = 1 / mp.sqrt(curvature)
    for x, y, v in pairs(curvature, dim):
        a, b = unit(exact, exact.vec(x)), unit(exact, exact.vec(y))
        angle = 2 * mp.atan2(exact.norm(minus(a, b)), exact.norm(plus(a, b)))
        assert exact.error(sphere.dist(x, y), radius * angle) < 1e-12
        log = exact.scale(radius * angle / mp.sin(angle), minus(b, exact.scale(exact.dot(a, b), a)))
        # Coordinates of unit vectors are rounded to 1e-16, which limits the direction of a short difference.
        assert exact.error(sphere.logmap(x, y), log) < 1e-12
        for scale in (1e-12, 0.1, 1.0, 2.0):
            w = exact.vec(scale * v)
            theta = exact.norm(w) / radius
            z = plus(exact.scale(mp.cos(theta), exact.vec(x)), exact.scale(mp.sin(theta) / theta, w))
            assert exact.error(sphere.expmap(x, scale * v), exact.scale(radius, unit(exact, z))) < 1e-12
        t = exact.vec(v)
        t = minus(t, exact.scale(exact.dot(t, a), a))
        moved = minus(t, exact.scale(exact.dot(b, t) / (1 + exact.dot(a, b)), plus(a, b)))
        assert exact.error(sphere.transport(x, y, np.array([float(s) for s in t])), moved) < 1e-12


def test_midpoint_is_the_normalised_mean():
    rng = np.random.default_rng(0)
    sphere = Sphere(4.0)
    points, weights = sphere.random(rng, (3, 6, 4)), rng.random((3, 6))
    mean = (weights[..., None] * points).sum(-2)
    expected = 0.5 * mean / np.linalg.norm(mean, axis=-1, keepdims=True)
    np.testing.assert_allclose(sphere.midpoint(points, weights), expected, rtol=1e-13)
    np.testing.assert_allclose(sphere.midpoint(points, 1e6 * weights), expected, rtol=1e-13)
    np.testing.assert_array_equal(sphere.midpoint(points, 0 * weights), np.tile([0.5, 0, 0, 0], (3, 1)))


@pytest.mark.parametrize("curvature", [0.3, 4.0])
def test_laws(curvature):
    sphere = Sphere(curvature)
    rng = np.random.default_rng(5)
    x, y = sphere.random(rng, (30, 4)), sphere.random(rng, (30, 4))
    for z in (
        x,
        sphere.expmap(x, rng.standard_normal((30, 4))),
        sphere.midpoint(x, np.ones(30)),
        sphere.project(5 * x),
    ):
        np.testing.assert_allclose((z**2).sum(-1), 1 / curvature, rtol=1e-14)
    np.testing.assert_allclose(sphere.expmap(x, sphere.logmap(x, y)), y, rtol=0, atol=1e-13)
    np.testing.assert_allclose(sphere.expmap0(sphere.logmap0(x)), x, rtol=0, atol=1e-13)
    np.testing.assert_allclose(sphere.norm(x, sphere.logmap(x, y)), sphere.dist(x, y), rtol=1e-13)
    u, v = (sphere.project_tangent(x, rng.standard_normal((30, 4))) for _ in range(2))
    np.testing.assert_allclose((u * x).sum(-1), 0, atol=1e-14)
    moved = [sphere.transport(x, y, w) for w in (u, v)]
    np.testing.assert_allclose(sphere.inner(y, *moved), (u * v).sum(-1), atol=1e-13)
    np.testing.assert_allclose(sphere.transport(x, y, sphere.logmap(x, y)), -sphere.logmap(y, x), atol=1e-13)


def test_antipodal_points():
    sphere = Sphere()
    x = np.array([0.6, 0.8, 0.0])
    assert sphere.dist(x, -x) == math.pi
    v = sphere.logmap(x, -x)
    assert np.linalg.norm(v) == pytest.approx(math.pi, rel=1e-15)
    np.testing.assert_allclose(sphere.expmap(x, v), -x, atol=1e-15)
    u = np.array([0.0, 0.0, 1.0])
    assert np.linalg.norm(sphere.transport(x, -x, u)) == pytest.approx(1.0)


@pytest.mark.parametrize("curvature", [0.3, 4.0])
@pytest.mark.parametrize(
    "name", ["dist", "logmap", "expmap", "expmap0", "logmap0", "project", "midpoint", "frechet_mean"]
)
def test_gradients(exact, name, curvature):
    sphere = Sphere(curvature)
    rng = np.random.default_rng(3)
    x, y = sphere.random(rng, (2, 1, 4)), sphere.random(rng, (2, 3, 4))
    y = sphere.project(y + 0.8 * x)  # in one hemisphere, where the mean is unique
    v = sphere.project_tangent(x, rng.standard_normal((2, 1, 4)))
    arrays = {
        "dist": (x, y),
        "logmap": (x, y),
        "expmap": (x, v),
        "expmap0": (rng.standard_normal((3, 3)),),
        "logmap0": (y,),
        "project": (y + 0.1,),
        "midpoint": (y, rng.random((2, 3))),
        "frechet_mean": (y, rng.random((2, 3))),
    }[name]
    options = {"tolerance": 1e-14} if name == "frechet_mean" else {}
    exact.check_gradient(lambda *a: ga.vjp(getattr(sphere, name), *a, **options), arrays, steps=1e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("method", ["dist", "logmap", "midpoint"])
def test_gradients_finite_at_coincident_and_antipodal_points(method, dtype):
    sphere = Sphere()
    x = np.array([0.6, 0.0, 0.8], dtype)
    for y in (x, -x, sphere.project(x + 1e-6), sphere.project(-x + dtype(1e-6))):
        arguments = (np.stack([x, y]), np.array([0.5, 0.5], dtype)) if method == "midpoint" else (x, y)
        out, pull = ga.vjp(getattr(sphere, method), *arguments)
        assert np.isfinite(out).all()
        assert all(np.isfinite(g).all() and g.dtype == dtype for g in pull(np.ones_like(out)))
    _, pull = ga.vjp(sphere.dist, x, x)
    assert not any(g.any() for g in pull(np.ones((), dtype)))


def test_frechet_mean_of_a_wide_spread():
    rng = np.random.default_rng(1)
    sphere = Sphere(0.5)
    top = np.array([math.sqrt(2.0), 0.0, 0.0])
    points = sphere.expmap(
        np.broadcast_to(top, (40, 3)), np.concatenate([np.zeros((40, 1)), rng.uniform(-1.5, 1.5, (40, 2))], 1)
    )
    m = sphere.frechet_mean(points, np.ones(40))
    rest = sphere.logmap(np.broadcast_to(m, points.shape), points).mean(0)
    assert np.linalg.norm(rest) < 1e-9


@pytest.mark.parametrize("name", sorted({*ga.geometry.MANIFOLDS} - {"product"}))
def test_manifolds_cannot_change(name):
    with pytest.raises(dataclasses.FrozenInstanceError):
        ga.geometry.MANIFOLDS[name]().curvature = 2.0

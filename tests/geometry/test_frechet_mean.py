"""The Fréchet mean: few Newton steps for all rows at once, and internal functions that equal the public ones."""

import numpy as np
import pytest

import graphattend as ga
from graphattend.geometry._unchecked import distances, means, project

G = ga.geometry
MANIFOLDS = [
    G.Euclidean(),
    G.Poincare(-0.5),
    G.Lorentz(-0.5),
    G.Sphere(2.0),
    G.Product([(G.Poincare(-2.0), 2), (G.Lorentz(-1.0), 3)]),
]
every_manifold = pytest.mark.parametrize("manifold", MANIFOLDS, ids=lambda m: type(m).__name__)


def near_points(manifold, rng, shape):
    """Draw points within a quarter turn of one another on the sphere, where the mean is unique."""
    x = manifold.random(rng, shape)
    return manifold.project(x + np.array([2.0, 0, 0, 0, 0])) if isinstance(manifold, G.Sphere) else x


@every_manifold
def test_ten_newton_steps_reach_1e_12(manifold, rng):
    points, weights = near_points(manifold, rng, (200, 12, 5)), rng.random((200, 12))
    m = manifold.frechet_mean(points, weights, tolerance=1e-12, max_iterations=10)
    exact = manifold.frechet_mean(points, weights, tolerance=1e-15)
    assert manifold.dist(m, exact).max() < 1e-12
    one = manifold.frechet_mean(points[7], weights[7], tolerance=1e-12, max_iterations=10)
    np.testing.assert_allclose(one, m[7], rtol=0, atol=1e-12)


@every_manifold
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_inner_face_equals_public_face(manifold, dtype, rng):
    x, y = (near_points(manifold, rng, (2, n, 5)).astype(dtype) for n in (3, 4))
    w = rng.random((2, 3, 4)).astype(dtype)
    tolerance = 1e-12 if dtype == np.float64 else 1e-5
    shared = y[..., None, :, :]
    for (out, pull), (expected, pull_expected) in [
        (project(manifold, 1.5 * x), ga.vjp(manifold.project, 1.5 * x)),
        (distances(manifold, x, y), ga.vjp(manifold.pairwise, x, y)),
        (means(manifold, "midpoint", y, w), ga.vjp(manifold.midpoint, shared, w)),
        (means(manifold, "frechet", y, w), ga.vjp(manifold.frechet_mean, shared, w)),
    ]:
        np.testing.assert_allclose(out, expected, rtol=tolerance, atol=tolerance)
        g = rng.standard_normal(out.shape).astype(dtype)
        for found, given in zip(pull(g), pull_expected(g), strict=True):
            np.testing.assert_allclose(found, given.reshape(found.shape), rtol=tolerance, atol=10 * tolerance)
            assert found.dtype == dtype


def test_distances_in_tiles(monkeypatch, rng):
    from graphattend.geometry import _unchecked

    x, y = rng.standard_normal((2, 5, 3)), rng.standard_normal((4, 3))
    sphere = G.Sphere()
    whole, pull = distances(sphere, x, y)
    monkeypatch.setattr(_unchecked, "TILE_ELEMENTS", 2 * 4 * 3 * 2)
    tiled, pull_tiled = distances(sphere, x, y)
    np.testing.assert_allclose(tiled, whole, rtol=1e-15)
    g = rng.standard_normal(whole.shape)
    for a, b in zip(pull_tiled(g), pull(g), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-14)


def test_a_method_overridden_by_the_user_counts(rng):
    class Twice(G.Sphere):
        def dist(self, x, y):
            return 2.0 * super().dist(x, y)

    x, y = rng.standard_normal((3, 4)), rng.standard_normal((5, 4))
    np.testing.assert_allclose(distances(Twice(), x, y)[0], 2.0 * distances(G.Sphere(), x, y)[0], rtol=1e-14)

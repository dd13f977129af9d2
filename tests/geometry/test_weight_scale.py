"""Means depend only on the ratios of the weights, over float64's whole range; likewise normalised vectors."""

import inspect

import numpy as np
import pytest

import graphattend as ga

hypothesis = pytest.importorskip("hypothesis")
st, given, settings = hypothesis.strategies, hypothesis.given, hypothesis.settings

G = ga.geometry
_PRODUCT = [(G.Poincare(-2.0), 2), (G.Lorentz(-0.5), 3), (G.Sphere(1.5), 3), (G.Euclidean(), 2)]
#: Arguments of each manifold without defaults, and the number of coordinates of its points here.
_ARGUMENTS = {"Product": (_PRODUCT,)}


def _manifolds():
    for name in G.__all__:
        cls = getattr(G, name)
        concrete = inspect.isclass(cls) and issubclass(cls, G.ManifoldBase) and cls is not G.ManifoldBase
        if concrete:
            yield pytest.param(cls(*_ARGUMENTS.get(name, ())), id=name)


class Stretched(G.ManifoldBase):
    """A user-defined manifold with the inherited mean."""

    def expmap(self, x, v):
        return x + v

    def logmap(self, x, y):
        return y - x


MANIFOLDS = [*_manifolds(), pytest.param(Stretched(), id="own")]
MEANS = ["midpoint", "frechet_mean"]
# The largest weight ranges from the smallest to the largest float64.
EXPONENTS = [-1074, -1060, -1000, -600, -530, -300, 300, 511, 600, 1000, 1023]


def _example(manifold, rng):
    width = manifold.dim if isinstance(manifold, G.Product) else 4
    # Points within a hemisphere have a unique mean.
    points = manifold.expmap0(0.45 * manifold.logmap0(manifold.random(rng, (3, 5, width))))
    weights = rng.random((3, 5))
    return points, weights / weights.max(axis=-1, keepdims=True)


def test_all_manifolds_are_here():
    assert {type(p.values[0]).__name__ for p in MANIFOLDS} >= {"Euclidean", "Poincare", "Lorentz", "Sphere", "Product"}


@pytest.mark.parametrize("exponent", EXPONENTS)
@pytest.mark.parametrize("method", MEANS)
@pytest.mark.parametrize("manifold", MANIFOLDS)
def test_a_mean_ignores_the_scale_of_the_weights(manifold, method, exponent, rng):
    points, weights = _example(manifold, rng)
    if exponent < -1000:  # coarse weights, so that scaling to subnormal numbers is exact
        weights = np.floor(weights * 3.0) if exponent < -1070 else np.round(weights * 64) / 64
    mean = getattr(manifold, method)
    expected = mean(points, weights)
    scaled = np.ldexp(weights, exponent)
    np.testing.assert_allclose(mean(points, scaled), expected, rtol=1e-12, atol=1e-14)
    # Each row of weights has its own scale.
    if exponent >= -1000:
        rows = np.ldexp(weights, np.array([[exponent], [0], [-min(exponent, 900)]]))
        np.testing.assert_allclose(mean(points, rows), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("manifold", MANIFOLDS)
@settings(deadline=None, max_examples=30)
@given(exponent=st.floats(-300.0, 300.0), seed=st.integers(0, 99))
def test_law_of_the_scale_of_weights(manifold, exponent, seed):
    points, weights = _example(manifold, np.random.default_rng(seed))
    for method in MEANS:
        mean = getattr(manifold, method)
        np.testing.assert_allclose(mean(points, 10.0**exponent * weights), mean(points, weights), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("exponent", [-1000, -700, -530, 511, 700, 1000])
@pytest.mark.parametrize("method", MEANS)
@pytest.mark.parametrize("manifold", [m for m in MANIFOLDS if m.id != "own"])
def test_so_do_its_gradients(manifold, method, exponent, rng):
    points, weights = _example(manifold, rng)
    mean = getattr(manifold, method)
    out, pull = ga.vjp(mean, points, weights)
    g = rng.standard_normal(out.shape)
    by_points, by_weights = pull(g)
    scaled_points, scaled_weights = ga.vjp(mean, points, np.ldexp(weights, exponent))[1](g)
    np.testing.assert_allclose(scaled_points, by_points, rtol=1e-9, atol=1e-11)
    # The mean is homogeneous of degree 0 in the weights, so its derivative has degree -1.
    np.testing.assert_allclose(np.ldexp(scaled_weights, exponent), by_weights, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("exponent", [-140, -80, 80, 126])
@pytest.mark.parametrize("method", MEANS)
@pytest.mark.parametrize("manifold", MANIFOLDS)
def test_so_in_float32(manifold, method, exponent, rng):
    points, weights = (x.astype(np.float32) for x in _example(manifold, rng))
    weights = np.round(weights * 4) / np.float32(4)
    mean = getattr(manifold, method)
    expected = mean(points, weights)
    np.testing.assert_allclose(mean(points, np.ldexp(weights, exponent)), expected, rtol=1e-6, atol=1e-6)


def test_the_formulas_of_the_ball_keep_it_too(rng):
    from graphattend.geometry import poincare

    points, weights = G.Poincare().random(rng, (6, 3)), rng.random((2, 6))
    for name in ("midpoints", "midpoint", "frechet_mean"):
        mean = getattr(poincare, name)
        shape = weights if name != "frechet_mean" else weights[0]
        for exponent in (-1000, 1000):
            np.testing.assert_allclose(
                mean(points, np.ldexp(shape, exponent), 1.0), mean(points, shape, 1.0), rtol=1e-12
            )


@pytest.mark.parametrize("scale", [1e-320, 1e-200, 1e-160, 1e160, 1e200, 1e307])
def test_a_vector_has_a_direction_whatever_its_length(scale):
    sphere, unit = G.Sphere(0.25), np.array([0.0, 0.6, -0.8])
    rtol = 1e-3 if scale < 1e-300 else 1e-14
    np.testing.assert_allclose(sphere.project(scale * unit), 2.0 * unit, rtol=rtol)
    other = np.array([0.0, 2.0, 0.0])
    np.testing.assert_allclose(sphere.dist(scale * unit, other), 2.0 * np.arccos(0.6), rtol=rtol)
    np.testing.assert_allclose(sphere.midpoint(scale * np.stack([unit, unit]), np.ones(2)), 2.0 * unit, rtol=rtol)
    np.testing.assert_allclose(G.Poincare().project(max(scale, 2.0) * unit), unit, atol=1e-11)


@pytest.mark.parametrize("scale", [1e-200, 1e-160, 1e160, 1e200])
def test_and_so_has_its_gradient(scale, rng):
    sphere, unit = G.Sphere(0.25), np.array([0.0, 0.6, -0.8])
    g = rng.standard_normal(3)
    expected = ga.vjp(sphere.project, unit)[1](g)[0]
    np.testing.assert_allclose(scale * ga.vjp(sphere.project, scale * unit)[1](g)[0], expected, rtol=1e-12)
    other = np.array([0.0, 2.0, 0.0])
    one = ga.vjp(sphere.dist, unit, other)[1](1.0)
    big = ga.vjp(sphere.dist, scale * unit, other)[1](1.0)
    np.testing.assert_allclose(scale * big[0], one[0], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(big[1], one[1], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("scale", [1e-300, 1e-170, 1e170, 1e300])
def test_distances_in_flat_space_span_the_range(scale):
    x, y = np.zeros(2), scale * np.array([3.0, 4.0])
    flat = G.Euclidean()
    np.testing.assert_allclose(flat.dist(x, y), 5.0 * scale, rtol=1e-14)
    np.testing.assert_allclose(ga.vjp(flat.dist, x, y)[1](1.0)[1], [0.6, 0.8], rtol=1e-14)

"""Very large and very small numbers give a correct result or a typed error, without a warning."""

import numpy as np
import pytest

import graphattend as ga
from graphattend.geometry import _stable_math

G = ga.geometry
MANIFOLDS = [
    G.Euclidean(),
    G.Poincare(-0.5),
    G.Lorentz(-0.5),
    G.Sphere(2.0),
    G.Product([(G.Poincare(-2.0), 2), (G.Lorentz(-1.0), 3)]),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("exponent", [-0.98, -0.5, 0.5, 0.9])
@pytest.mark.parametrize("manifold", MANIFOLDS, ids=lambda m: type(m).__name__)
def test_finite_or_refused(manifold, exponent, dtype, rng):
    width = 5 if isinstance(manifold, G.Product) else 4
    scale = float(np.finfo(dtype).max) ** exponent
    big, other = ((rng.uniform(0.3, 1, (3, width)) * s * scale).astype(dtype) for s in (1, -1))
    point, weights = manifold.random(rng, (3, width)).astype(dtype), rng.random(3).astype(dtype)
    calls = {
        "dist": (big, other),
        "expmap": (point, big),
        "expmap0": (big,),
        "logmap": (big, other),
        "logmap0": (big,),
        "project": (big,),
        "project_tangent": (point, big),
        "transport": (point, big, other),
        "midpoint": (big, weights),
        "frechet_mean": (big, weights),
    }
    done = 0
    for name, arrays in calls.items():
        method = getattr(manifold, name)
        try:
            result = method(*arrays)
        except ga.NumericalInstabilityError:
            continue
        done += 1
        assert result.dtype == dtype
        assert np.isfinite(result).all(), name
        if hasattr(method, "vjp_rule"):
            pullback = ga.vjp(method, *arrays)[1]
            try:
                gradients = pullback(np.ones_like(result))
            except ga.NumericalInstabilityError as error:
                assert error.argument == "grad_output"  # noqa: PT017
            else:
                assert all(np.isfinite(g).all() for g in gradients), name
    assert done >= (8 if exponent < 0 else 2)


def test_the_ball_takes_any_length():
    ball = G.Poincare()
    for dtype, length in [(np.float64, 1e300), (np.float32, 1e38)]:
        inside = ball.project(np.array([length, -length], dtype))
        np.testing.assert_allclose(inside, np.array([1, -1]) / np.sqrt(2), rtol=1e-5)
        assert np.linalg.norm(inside.astype(np.float64)) < 1


def test_a_tiny_step_on_the_hyperboloid_stays(rng):
    manifold = G.Lorentz()
    x = manifold.random(rng, (4,))
    v = manifold.project_tangent(x, rng.standard_normal(4)) * 1e-200
    np.testing.assert_allclose(manifold.expmap(x, v), x, rtol=1e-15)


def test_what_float32_cannot_hold_is_refused():
    with pytest.raises(ga.NumericalInstabilityError, match="overflow"):
        G.Lorentz().expmap0(np.array([0.0, 200.0], np.float32))
    assert np.isfinite(G.Lorentz().expmap0(np.array([0.0, 200.0]))).all()


def test_nan_passes():
    assert np.isnan(G.Euclidean().dist(np.array([np.nan]), np.array([0.0])))


@pytest.mark.parametrize("seed", range(40))
def test_the_gap_next_to_the_rim_has_all_its_digits(seed):
    mp = pytest.importorskip("mpmath")
    rng = np.random.default_rng(seed)
    c, gap = 10.0 ** rng.uniform(-3, 3), 10.0 ** rng.uniform(-13, -2)
    x = rng.standard_normal(int(rng.integers(1, 100)))
    x *= np.sqrt((1 - gap) / c) / np.linalg.norm(x)
    with mp.workdps(60):
        exact = 1 - mp.mpf(float(c)) * sum(mp.mpf(float(a)) ** 2 for a in x)
        assert abs(mp.mpf(float(_stable_math.gap(x, c))) / exact - 1) < 1e-14

"""Products, flat space, configurations, user-defined manifolds, and errors."""

import json
import math

import numpy as np
import pytest

import graphattend as ga
from graphattend.geometry import Euclidean, Lorentz, Manifold, ManifoldBase, Poincare, Product, Sphere, from_config

SPACE = Product([(Euclidean(), 2), (Poincare(-0.5), 3), (Lorentz(-2.0), 3), (Sphere(0.7), 3)])
ALL = [Euclidean(), Poincare(-0.5), Lorentz(-2.0), Sphere(0.7), SPACE]


def size(manifold):
    return manifold.dim if isinstance(manifold, Product) else 4


def test_product_is_its_factors_side_by_side():
    rng = np.random.default_rng(0)
    x, y = SPACE.random(rng, (6, 11)), SPACE.random(rng, (6, 11))
    v, w = rng.standard_normal((6, 11)), rng.random(6)
    slices = [slice(0, 2), slice(2, 5), slice(5, 8), slice(8, 11)]
    parts = [(m, s) for (m, _), s in zip(SPACE.factors, slices, strict=True)]
    squares = sum(m.dist(x[:, s], y[:, s]) ** 2 for m, s in parts)
    np.testing.assert_allclose(SPACE.dist(x, y), np.sqrt(squares), rtol=1e-14)
    v = SPACE.project_tangent(x, v)
    for name, arrays in {
        "expmap": (x, v),
        "logmap": (x, y),
        "expmap0": (v,),
        "logmap0": (y,),
        "project": (v,),
        "project_tangent": (x, v),
        "transport": (x, y, v),
        "egrad2rgrad": (x, v),
    }.items():
        whole = getattr(SPACE, name)(*arrays)
        for m, s in parts:
            np.testing.assert_array_equal(whole[:, s], getattr(m, name)(*(a[:, s] for a in arrays)))
    for name in ("midpoint", "frechet_mean"):
        whole = getattr(SPACE, name)(x, w)
        for m, s in parts:
            np.testing.assert_array_equal(whole[s], getattr(m, name)(x[:, s], w))
    np.testing.assert_allclose(SPACE.inner(x, v, v), sum(m.inner(x[:, s], v[:, s], v[:, s]) for m, s in parts))


@pytest.mark.parametrize("name", ["dist", "pairwise", "logmap", "expmap", "midpoint", "frechet_mean"])
@pytest.mark.parametrize("manifold", ALL, ids=lambda m: type(m).__name__)
def test_gradients(exact, manifold, name):
    rng = np.random.default_rng(3)
    n = size(manifold)
    x, y = manifold.random(rng, (2, 1, n)), manifold.random(rng, (2, 3, n))
    if name == "pairwise":
        x = manifold.random(rng, (2, n))
    if name in ("midpoint", "frechet_mean"):
        arrays = (manifold.expmap(x, 0.3 * manifold.logmap(x, y)), rng.random((2, 3)))
    else:
        arrays = (x, manifold.project_tangent(x, 0.3 * y) if name == "expmap" else y)
    options = {"tolerance": 1e-14} if name == "frechet_mean" else {}
    exact.check_gradient(lambda *a: ga.vjp(getattr(manifold, name), *a, **options), arrays, steps=1e-4)


@pytest.mark.parametrize("manifold", ALL, ids=lambda m: type(m).__name__)
def test_every_manifold(manifold):
    rng = np.random.default_rng(6)
    n = size(manifold)
    assert isinstance(manifold, Manifold)
    x, y, z = (manifold.random(rng, (25, n)) for _ in range(3))
    np.testing.assert_array_equal(manifold.random(6, (25, n)), manifold.random(6, (25, n)))
    d = manifold.dist(x, y)
    np.testing.assert_allclose(manifold.dist(y, x), d, rtol=1e-13)
    assert (manifold.dist(x, x) == 0).all()
    assert (d <= (manifold.dist(x, z) + manifold.dist(z, y)) * (1 + 1e-13)).all()
    np.testing.assert_allclose(manifold.dist(x[:, None], y[None]).diagonal(), d, rtol=1e-14)
    np.testing.assert_allclose(manifold.expmap(x, manifold.logmap(x, y)), y, atol=1e-11)
    np.testing.assert_allclose(manifold.project(x), x, rtol=1e-14, atol=1e-14)
    u, v = (manifold.project_tangent(x, rng.standard_normal(x.shape)) for _ in range(2))
    np.testing.assert_allclose(
        manifold.inner(y, manifold.transport(x, y, u), manifold.transport(x, y, v)), manifold.inner(x, u, v), atol=1e-10
    )
    np.testing.assert_allclose(manifold.pairwise(x, y), manifold.dist(x[:, None], y), rtol=1e-12)
    assert manifold.pairwise(x[:6].reshape(2, 1, 3, n), y).shape == (2, 1, 3, 25)
    grad, _ = ga.vjp(manifold.dist, x, y)[1](d)
    np.testing.assert_allclose(manifold.egrad2rgrad(x, grad), -manifold.logmap(x, y), atol=1e-10)
    one = np.zeros(25)
    one[3] = 2.5
    np.testing.assert_allclose(manifold.midpoint(x, one), x[3], atol=1e-13)
    np.testing.assert_allclose(manifold.frechet_mean(x, one), x[3], atol=1e-9)
    halfway = manifold.expmap(x, 0.5 * manifold.logmap(x, y))
    np.testing.assert_allclose(manifold.midpoint(np.stack([x, y], 1), np.ones((25, 2))), halfway, atol=1e-10)
    np.testing.assert_allclose(manifold.frechet_mean(np.stack([x, y], 1), np.ones((25, 2))), halfway, atol=1e-8)
    np.testing.assert_allclose(manifold.midpoint(x, 0 * one), manifold.origin(n), atol=1e-15)


@pytest.mark.parametrize("manifold", ALL, ids=lambda m: type(m).__name__)
def test_float32_and_untouched_input(manifold):
    rng = np.random.default_rng(6)
    x, y = (manifold.random(rng, (25, size(manifold))) for _ in range(2))
    a, b = x.astype(np.float32), y.astype(np.float32)
    w = np.ones(25, np.float32)
    before = [q.copy() for q in (a, b, w)]
    for name, arrays, precise in [
        ("dist", (a, b), (a, b)),
        ("logmap", (a, b), (a, b)),
        ("expmap", (a, b), (a, b)),
        ("midpoint", (a, w), (a, w)),
        ("frechet_mean", (a, w), (a, w)),
    ]:
        out, pull = ga.vjp(getattr(manifold, name), *arrays)
        assert out.dtype == np.float32
        reference = getattr(manifold, name)(*(q.astype(float) for q in precise))
        np.testing.assert_allclose(out, reference, rtol=1e-5, atol=1e-5)
        assert all(g.dtype == np.float32 for g in pull(np.ones_like(out)))
    for q, old in zip((a, b, w), before, strict=True):
        np.testing.assert_array_equal(q, old)
    assert manifold.dist(a, y).dtype == np.float64


@pytest.mark.parametrize("manifold", ALL, ids=lambda m: type(m).__name__)
def test_config_equality_hash(manifold):
    again = from_config(json.loads(json.dumps(manifold.to_config())))
    assert again == manifold
    assert hash(again) == hash(manifold)
    assert repr(again) == repr(manifold)
    assert len({again, manifold, Poincare(-7.0)}) == 2


@pytest.mark.parametrize("bad", [0.0, 1.0, math.nan, math.inf, "x", None, True, [1.0]])
def test_bad_curvature(bad):
    for kind in (Poincare, Lorentz):
        with pytest.raises(ga.InvalidConfigError, match="curvature"):
            kind(bad)
    if bad != 1.0 or bad is True:
        with pytest.raises(ga.InvalidConfigError, match="curvature"):
            Sphere(bad)


@pytest.mark.parametrize(
    "config",
    [
        None,
        {},
        {"type": "torus"},
        {"type": "poincare", "k": 1},
        {"type": "product", "factors": 3},
        {"type": "euclidean", "curvature": 0},
    ],
)
def test_bad_config(config):
    with pytest.raises(ga.InvalidConfigError):
        from_config(config)


@pytest.mark.parametrize(
    "factors", [[(Euclidean, 2)], [Euclidean()], [(Euclidean(), 0)], [(Sphere(), 1)], 5, [("x", 2)]]
)
def test_bad_factors(factors):
    with pytest.raises(ga.InvalidConfigError):
        Product(factors)


def test_no_factors():
    with pytest.raises(ga.EmptyInputError):
        Product([])


@pytest.mark.parametrize("manifold", ALL, ids=lambda m: type(m).__name__)
def test_bad_arrays(manifold):
    n = size(manifold)
    good = manifold.random(0, (5, n))
    with pytest.raises(ga.DimensionMismatchError) as caught:
        manifold.dist(good, good[:, :-1])
    assert (caught.value.expected, caught.value.actual) == (n, n - 1)
    with pytest.raises(ga.DimensionMismatchError):
        manifold.dist(good, good[:3])
    with pytest.raises(ga.DimensionMismatchError):
        manifold.dist(1.0, good)
    with pytest.raises(ga.DimensionMismatchError):
        manifold.midpoint(good, np.ones(4))
    with pytest.raises(ga.DimensionMismatchError):
        manifold.midpoint(good[0], np.ones(4))
    with pytest.raises(ga.EmptyInputError):
        manifold.dist(good[:0], good[:0])
    with pytest.raises(ga.InvalidConfigError):
        manifold.midpoint(good, -np.ones(5))
    for bad in ("text", None, np.ones(n, complex), np.ones(n, bool), [[1.0], [1.0, 2.0]], np.array([object()] * n)):
        with pytest.raises(ga.InvalidConfigError):
            manifold.dist(good, bad)
    with pytest.raises(ga.DimensionMismatchError):
        manifold.pairwise(good, good[0])
    with pytest.raises(ga.DimensionMismatchError):
        manifold.pairwise(good, good[:, :-1])
    for shape in ((), (0, n), (2.5,), "ab", None, [1, [2, 3]]):
        with pytest.raises(ga.AttentionError):
            manifold.random(0, shape)
    with pytest.raises(ga.InvalidConfigError):
        manifold.random("seed", (2, n))
    with pytest.raises(ga.InvalidConfigError):
        manifold.frechet_mean(good, np.ones(5), tolerance=0.0)


class Stretched(ManifoldBase):
    """The plane with another unit of length along the x axis."""

    def dist(self, x, y):
        return self.norm(x, y - x)

    def expmap(self, x, v):
        return x + v

    def logmap(self, x, y):
        return y - x

    def inner(self, x, u, v):
        return 9.0 * u[..., 0] * v[..., 0] + u[..., 1] * v[..., 1]


def test_manifold_of_the_users_own():
    own = Stretched()
    assert isinstance(own, Manifold)
    points, weights = np.array([[0.0, 0.0], [2.0, 4.0]]), np.array([1.0, 3.0])
    np.testing.assert_allclose(own.frechet_mean(points, weights), [1.5, 3.0])
    np.testing.assert_allclose(own.midpoint(points[None], np.stack([weights, 0 * weights])), [[1.5, 3.0], [0.0, 0.0]])
    np.testing.assert_allclose(own.expmap0(own.logmap0(points)), points)
    space = Product([(own, 2), (Poincare(), 2)])
    x, y = space.random(0, (3, 4)), space.random(1, (3, 4))
    expected = np.sqrt(own.dist(x[:, :2], y[:, :2]) ** 2 + Poincare().dist(x[:, 2:], y[:, 2:]) ** 2)
    d, pull = ga.vjp(space.dist, x, y)
    np.testing.assert_allclose(d, expected)
    with pytest.raises(ga.UnsupportedError, match="dist"):
        pull(np.ones(3))
    np.testing.assert_allclose(space.pairwise(x, y), space.dist(x[:, None], y))
    with pytest.raises(ga.UnsupportedError, match="to_config"):
        space.to_config()
    with pytest.raises(ga.UnsupportedError, match="transport"):
        own.transport(points, points, points)


class Plain(ManifoldBase):
    """Flat space that defines only its two maps and inherits everything else."""

    def expmap(self, x, v):
        return np.asarray(x) + v

    def logmap(self, x, y):
        return np.asarray(y) - x


def test_what_is_inherited_is_right_for_flat_space():
    rng = np.random.default_rng(1)
    x, y, v = rng.standard_normal((3, 5, 4))
    flat = Plain()
    np.testing.assert_allclose(flat.dist(x, y), np.linalg.norm(x - y, axis=-1), rtol=1e-14)
    np.testing.assert_array_equal(flat.project_tangent(x, v), v)
    np.testing.assert_array_equal(flat.egrad2rgrad(x, v), v)
    np.testing.assert_array_equal(flat.random(3, (2, 4)), np.random.default_rng(3).standard_normal((2, 4)))
    beside = Product([(Plain(), 4), (Sphere(), 3)])
    points = np.concatenate([x, beside.factors[1][0].random(2, (5, 3))], axis=-1)
    moved = beside.project(points)
    np.testing.assert_allclose(moved, points, rtol=1e-14)


def test_what_a_manifold_lacks_is_named():
    class Bare(ManifoldBase):
        pass

    for name in ("expmap", "logmap"):
        with pytest.raises(ga.UnsupportedError, match=f"{name}: Bare has none"):
            getattr(Bare(), name)(np.zeros(2), np.zeros(2))
    out, pull = ga.vjp(Plain().pairwise, np.zeros((2, 3)), np.ones((4, 3)))
    np.testing.assert_allclose(out, np.full((2, 4), np.sqrt(3)))
    with pytest.raises(ga.UnsupportedError, match=r"ManifoldBase\.dist has no gradient rule"):
        pull(np.ones((2, 4)))

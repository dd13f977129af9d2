"""Riemannian optimizers against the papers' steps, implemented with textbook formulas for one point at a time."""

import math

import numpy as np
import pytest

import graphattend as ga
from graphattend.geometry import Euclidean, Lorentz, Poincare, Product, Sphere
from graphattend.training import SGD, Adam, RiemannianAdam, RiemannianSGD, schedules


class PlainSphere:
    """The unit sphere."""

    start = np.array([0.6, 0.0, -0.8])

    def gradient(self, x, g):
        return g - (g @ x) * x

    def exp(self, x, v):
        length = math.sqrt(v @ v)
        return math.cos(length) * x + math.sin(length) * v / length

    def carry(self, x, y, u):
        return u - (y @ u) / (1 + x @ y) * (x + y)

    def square(self, x, u):
        return u @ u


class PlainBall:
    """The Poincaré ball of curvature -1 by Möbius addition and gyration."""

    start = np.array([0.3, -0.2, 0.5])

    def add(self, x, y):
        xy, xx, yy = x @ y, x @ x, y @ y
        return ((1 + 2 * xy + yy) * x + (1 - xx) * y) / (1 + 2 * xy + xx * yy)

    def factor(self, x):
        return 2 / (1 - x @ x)

    def gradient(self, x, g):
        return g / self.factor(x) ** 2

    def exp(self, x, v):
        length = math.sqrt(v @ v)
        return self.add(x, math.tanh(self.factor(x) * length / 2) * v / length)

    def carry(self, x, y, u):
        size = 4 * math.sqrt(u @ u)  # gyrations are linear, but defined only for points of the ball
        turned = self.add(-self.add(y, -x), self.add(y, self.add(-x, u / size))) * size
        return self.factor(x) / self.factor(y) * turned

    def square(self, x, u):
        return self.factor(x) ** 2 * (u @ u)


class PlainLorentz:
    """The hyperboloid of curvature -1."""

    start = np.array([math.sqrt(1.25), 0.3, -0.4])
    signs = np.array([-1.0, 1.0, 1.0])

    def gradient(self, x, g):
        h = self.signs * g
        return h + (self.signs * x @ h) * x

    def exp(self, x, v):
        length = math.sqrt(self.signs * v @ v)
        return math.cosh(length) * x + math.sinh(length) * v / length

    def carry(self, x, y, u):
        return u + (self.signs * y @ u) / (1 - self.signs * x @ y) * (x + y)

    def square(self, x, u):
        return self.signs * u @ u


PAIRS = [(Sphere(), PlainSphere()), (Poincare(), PlainBall()), (Lorentz(), PlainLorentz())]
IDS = ["sphere", "poincare", "lorentz"]


def slope(x, t):
    return np.array([0.8, -0.5, 0.3]) + 0.3 * np.sin(3 * x) + 0.1 * math.cos(t)


def plain_sgd(m, x, lr, momentum=0.0, dampening=0.0, nesterov=False, weight_decay=0.0):
    buffer = None
    for t in range(20):
        g = m.gradient(x, slope(x, t) + weight_decay * x)
        buffer = g if buffer is None else momentum * buffer + (1 - dampening) * g
        new = m.exp(x, -lr * (g + momentum * buffer if nesterov else buffer))
        buffer = m.carry(x, new, buffer)
        x = new
        yield x


def plain_adam(m, x, lr, betas=(0.9, 0.999), eps=1e-8, amsgrad=False):
    mean, square, top = np.zeros(3), 0.0, 0.0
    for t in range(20):
        g = m.gradient(x, slope(x, t))
        mean = betas[0] * mean + (1 - betas[0]) * g
        square = betas[1] * square + (1 - betas[1]) * m.square(x, g)
        top = max(top, square) if amsgrad else square
        step = mean / (1 - betas[0] ** (t + 1)) / (math.sqrt(top / (1 - betas[1] ** (t + 1))) + eps)
        new = m.exp(x, -lr * step)
        mean = m.carry(x, new, mean)
        x = new
        yield x


def follow(optimizer, start, reference):
    params = {"x": np.stack([start, start])}
    state = optimizer.init(params)
    for t, expected in enumerate(reference):
        grads = {"x": np.stack([slope(row, t) for row in params["x"]])}
        params, state = optimizer.update(params, grads, state)
        np.testing.assert_allclose(params["x"], np.stack([expected, expected]), rtol=1e-9, atol=1e-10)
    return state


@pytest.mark.parametrize(("manifold", "plain"), PAIRS, ids=IDS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"momentum": 0.7},
        {"momentum": 0.7, "dampening": 0.2, "weight_decay": 0.1},
        {"momentum": 0.6, "nesterov": True},
    ],
)
def test_sgd_is_its_formula(manifold, plain, options):
    follow(
        RiemannianSGD(manifold=manifold, lr=0.1, **options), plain.start, plain_sgd(plain, plain.start, 0.1, **options)
    )


@pytest.mark.parametrize(("manifold", "plain"), PAIRS, ids=IDS)
@pytest.mark.parametrize("options", [{}, {"betas": (0.5, 0.7), "amsgrad": True}])
def test_adam_is_its_formula(manifold, plain, options):
    state = follow(
        RiemannianAdam(manifold=manifold, lr=0.05, **options),
        plain.start,
        plain_adam(plain, plain.start, 0.05, **options),
    )
    assert state["exp_avg/x"].shape == (2, 3)
    assert state["exp_avg_sq/x"].shape == (2,)


@pytest.mark.parametrize("manifold", [Poincare(), Poincare(-2.0), Lorentz(), Sphere(), Sphere(0.5), Euclidean()])
@pytest.mark.parametrize("make", [RiemannianSGD, RiemannianAdam])
def test_walks_to_a_target_by_the_gradient_of_the_squared_distance(manifold, make):
    rng = np.random.default_rng(0)
    dim = 4
    x, target = (manifold.expmap0(0.4 * manifold.project_tangent(*at_origin(manifold, rng, (5, dim)))) for _ in "xy")
    optimizer = make(manifold=manifold, lr=schedules.cosine(0.2, 150, 1e-4))
    params, state = {"x": x}, optimizer.init({"x": x})
    for _ in range(200):
        distance, pullback = ga.vjp(manifold.dist, params["x"], target)
        params, state = optimizer.update(params, {"x": pullback(2 * distance)[0]}, state)
    assert manifold.dist(params["x"], target).max() < 1e-2
    np.testing.assert_allclose(manifold.project(params["x"]), params["x"], atol=1e-12)


def at_origin(manifold, rng, shape):
    origin = manifold.expmap0(np.zeros(shape))
    return origin, rng.normal(size=shape)


def test_products_move_every_factor():
    manifold = Product([(Poincare(), 2), (Sphere(), 3), (Euclidean(), 1)])
    x = np.array([[0.1, 0.2, 0.0, 0.6, 0.8, 1.0]])
    for optimizer in (
        RiemannianSGD(manifold=manifold, lr=0.1, momentum=0.9),
        RiemannianAdam(manifold=manifold, lr=0.1),
    ):
        params, state = {"x": x}, optimizer.init({"x": x})
        for _ in range(5):
            params, state = optimizer.update(params, {"x": np.ones((1, 6))}, state)
        ball, sphere = params["x"][0, :2], params["x"][0, 2:5]
        assert ball @ ball < 1
        assert sphere @ sphere == pytest.approx(1, abs=1e-12)
        assert (params["x"] != x).all()


@pytest.mark.parametrize(
    ("flat", "curved"),
    [
        (SGD(lr=0.1, momentum=0.5), RiemannianSGD(manifold={"ball": Poincare()}, lr=0.1, momentum=0.5)),
        (Adam(lr=0.1), RiemannianAdam(manifold={"b*": Poincare()}, lr=0.1)),
    ],
)
def test_a_mapping_leaves_other_parameters_flat(flat, curved):
    params = {"ball": np.array([0.1, 0.2]), "w": np.array([1.0, 2.0])}
    grads = {name: np.array([0.3, -0.1]) for name in params}
    a, b = flat.init(params), curved.init(params)
    expected, got = dict(params), dict(params)
    for _ in range(3):
        expected, a = flat.update(expected, grads, a)
        got, b = curved.update(got, grads, b)
    assert np.array_equal(got["w"], expected["w"])
    assert not np.allclose(got["ball"], expected["ball"])


def test_euclidean_sgd_is_plain_sgd():
    params = {"x": np.array([[1.0, 2.0]])}
    options = {"lr": 0.1, "momentum": 0.9, "nesterov": True}
    flat, curved = SGD(**options), RiemannianSGD(manifold=Euclidean(), **options)
    a, b = (params, flat.init(params)), (params, curved.init(params))
    for t in range(5):
        grads = {"x": np.array([[math.sin(t), 1.0]])}
        a, b = flat.update(a[0], grads, a[1]), curved.update(b[0], grads, b[1])
    np.testing.assert_allclose(a[0]["x"], b[0]["x"], rtol=1e-14)


def test_points_without_gradient_stay_bit_for_bit():
    x = np.random.default_rng(0).uniform(-0.5, 0.5, (4, 3))
    for optimizer in (RiemannianSGD(manifold=Poincare(), lr=0.1), RiemannianAdam(manifold=Poincare(), eps=0.0)):
        grads = np.zeros((4, 3))
        grads[2] = 1
        new, _ = optimizer.update({"x": x}, {"x": grads}, optimizer.init({"x": x}))
        assert np.array_equal(new["x"] == x, np.arange(4)[:, None] != np.full((4, 3), 2))


# The hyperboloid is unbounded: a few steps as long as in the ball would leave float32's range.
@pytest.mark.parametrize(("manifold", "lr"), [(Poincare(), 10.0), (Sphere(), 10.0), (Lorentz(), 0.01)])
@pytest.mark.parametrize("make", [RiemannianSGD, RiemannianAdam])
def test_float32_stays_float32_on_the_manifold(manifold, lr, make):
    x = manifold.expmap0(np.zeros((3, 4), np.float32))
    optimizer = make(manifold=manifold, lr=lr)
    params, state = {"x": x}, optimizer.init({"x": x})
    for _ in range(20):
        params, state = optimizer.update(params, {"x": np.full((3, 4), 0.5, np.float32)}, state)
    assert params["x"].dtype == np.float32
    assert np.isfinite(params["x"]).all()
    if isinstance(manifold, Poincare):
        assert np.linalg.norm(params["x"], axis=-1).max() < 1


def test_errors():
    for bad in ("poincare", Poincare, None, {"x": 3}, 1.0):
        for make in (RiemannianSGD, RiemannianAdam):
            with pytest.raises(ga.InvalidConfigError, match="manifold"):
                make(manifold=bad)
    optimizer = RiemannianSGD(manifold=Poincare())
    with pytest.raises(ga.DimensionMismatchError):
        optimizer.update({"x": np.array(0.5)}, {"x": np.array(0.5)}, optimizer.init({"x": np.array(0.5)}))

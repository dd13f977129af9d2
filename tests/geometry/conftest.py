"""The Poincaré ball in 60-digit arithmetic by textbook formulas, available as the fixture `exact`."""

import sys

import numpy as np
import pytest

try:
    import mpmath as mp
except ImportError:
    mp = None
else:
    mp.mp.dps = 60


@pytest.fixture(scope="session")
def exact():
    """Return this module, whose functions are oracles and checks."""
    pytest.importorskip("mpmath")
    return sys.modules[__name__]


def vec(x):
    return [mp.mpf(float(t)) for t in x]


def dot(x, y):
    return mp.fsum(a * b for a, b in zip(x, y, strict=True))


def norm(x):
    return mp.sqrt(dot(x, x))


def add(x, y, c):
    xy, xx, yy = dot(x, y), dot(x, x), dot(y, y)
    p, q, n = 1 + 2 * c * xy + c * yy, 1 - c * xx, 1 + 2 * c * xy + c * c * xx * yy
    return [(p * a + q * b) / n for a, b in zip(x, y, strict=True)]


def neg(x):
    return [-a for a in x]


def scale(s, x):
    return [s * a for a in x]


def lam(x, c):
    return 2 / (1 - c * dot(x, x))


def dist(x, y, c):
    w = norm([a - b for a, b in zip(x, y, strict=True)])
    if w == 0:
        return mp.mpf(0)
    return 2 / mp.sqrt(c) * mp.asinh(mp.sqrt(c) * w * mp.sqrt(lam(x, c) * lam(y, c)) / 2)


def exp0(v, c):
    n = mp.sqrt(c) * norm(v)
    return v if n == 0 else scale(mp.tanh(n) / n, v)


def log0(y, c):
    n = mp.sqrt(c) * norm(y)
    return y if n == 0 else scale(mp.atanh(n) / n, y)


def exp(x, v, c):
    return add(x, exp0(scale(lam(x, c) / 2, v), c), c)


def log(x, y, c):
    return scale(2 / lam(x, c), log0(add(neg(x), y, c), c))


def gyr(u, v, w, c):
    return add(neg(add(u, v, c)), add(u, add(v, w, c), c), c)


def transport(x, y, v, c):
    # The gyration is linear, so a short vector can stand for v and stays in the ball.
    small = mp.mpf(10) ** -3 / (1 + norm(v)) / mp.sqrt(c)
    turned = gyr(y, neg(x), scale(small, v), c)
    return scale(lam(x, c) / lam(y, c) / small, turned)


def midpoint(points, weights, c):
    lams = [lam(p, c) for p in points]
    t = mp.fsum(w * (n - 1) for w, n in zip(weights, lams, strict=True))
    z = [
        mp.fsum(w * n * p[i] for w, n, p in zip(weights, lams, points, strict=True)) / t for i in range(len(points[0]))
    ]
    return exp0(scale(mp.mpf(1) / 2, log0(z, c)), c)


def error(ours, exact, scale_by=None):
    """Return the relative error of a vector (or number) in the Euclidean norm."""
    ours, exact = np.atleast_1d(ours), exact if isinstance(exact, list) else [exact]
    size = norm(exact) if scale_by is None else scale_by
    if size < mp.mpf(10) ** -50:  # zero, up to the oracle's rounding
        size = mp.mpf(1)
    return float(norm([mp.mpf(float(a)) - b for a, b in zip(ours, exact, strict=True)]) / size)


def check_gradient(rule, arrays, *, steps=1e-5, tolerance=1e-6, seed=0):
    """Check a pullback against fourth-order central differences in random directions, one argument at a time."""
    steps = np.broadcast_to(steps, len(arrays))
    rng = np.random.default_rng(seed)
    arrays = [np.asarray(a, float) for a in arrays]
    out, pull = rule(*arrays)
    for _ in range(3):
        g = rng.standard_normal(np.shape(out))
        gradients = pull(g)
        assert len(gradients) == len(arrays)
        for i, a in enumerate(arrays):
            assert np.shape(gradients[i]) == a.shape
            way = rng.standard_normal(a.shape)

            def along(t, i=i, way=way, g=g):
                return float((rule(*[b + t * way if j == i else b for j, b in enumerate(arrays)])[0] * g).sum())

            step = steps[i]
            slope = (8 * (along(step) - along(-step)) - (along(2 * step) - along(-2 * step))) / (12 * step)
            ours = float((gradients[i] * way).sum())
            assert abs(ours - slope) <= tolerance * max(1e-3, abs(slope), abs(ours)), (i, ours, slope)

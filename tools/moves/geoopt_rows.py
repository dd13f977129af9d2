"""geoopt."""

import geoopt
import numpy as np
import torch

import graphattend as ga

from . import table
from .torch_rows import steps

DISTRIBUTION, TITLE = "geoopt", "geoopt"
ROWS, row = table()
BALL = geoopt.PoincareBall(c=torch.tensor(0.75, dtype=torch.float64))  # a number would become float32


def same_maps(rng, ours, theirs, dim):
    """Distances, maps and metric of two points and a tangent vector."""
    x, y = ours.random(rng, (6, dim)), ours.random(rng, (6, dim))
    v = ours.project_tangent(x, rng.standard_normal((6, dim)))
    tx, ty, tv = map(torch.tensor, (x, y, v))
    yield ours.dist(x, y), theirs.dist(tx, ty)
    yield ours.expmap(x, v), theirs.expmap(tx, tv)
    yield ours.logmap(x, y), theirs.logmap(tx, ty)
    # Without keepdim, geoopt's ball makes a matrix of several points.
    yield ours.inner(x, v, v)[:, None], theirs.inner(tx, tv, tv, keepdim=True)
    moved = ours.transport(x, y, v)
    if isinstance(ours, ga.geometry.Sphere):  # theirs projects to the other tangent space; ours keeps the length
        yield np.linalg.norm(moved, axis=-1), np.linalg.norm(v, axis=-1)
        yield ours.project_tangent(y, v), theirs.transp(tx, ty, tv)
    else:
        yield moved, theirs.transp(tx, ty, tv)
    yield ours.egrad2rgrad(x, v), theirs.egrad2rgrad(tx, tv)  # last: geoopt's Lorentz changes the gradient in place


@row("`PoincareBall(c=c)`")
def ball(rng):
    yield from same_maps(rng, ga.geometry.Poincare(-0.75), BALL, 3)


@row("`ball.mobius_add(x, y)`, `expmap0`, `logmap0`, `lambda_x`")
def gyrovectors(rng):
    ours, theirs = ga.geometry.Poincare(-0.75), BALL
    x, y = ours.random(rng, (2, 6, 3))
    tx, ty = map(torch.tensor, (x, y))
    yield ours.mobius_add(x, y), theirs.mobius_add(tx, ty)
    yield ours.expmap0(x), theirs.expmap0(tx)
    yield ours.logmap0(x), theirs.logmap0(tx)
    yield np.squeeze(ours.lambda_x(x)), theirs.lambda_x(tx)


@row("`ball.projx(x)`")
def projection(rng):
    inside = ga.geometry.Poincare(-0.75).random(rng, (6, 3))
    yield ga.geometry.Poincare(-0.75).project(inside), BALL.projx(torch.tensor(inside))


@row("`ball.weighted_midpoint(xs, ws)`")
def midpoint(rng):
    points, weights = ga.geometry.Poincare().random(rng, (6, 3)), rng.random(6)
    theirs = geoopt.PoincareBall().weighted_midpoint(*map(torch.tensor, (points, weights)))
    yield ga.geometry.Poincare().midpoint(points, weights), theirs


@row("`Lorentz(k)`")
def lorentz(rng):
    yield from same_maps(rng, ga.geometry.Lorentz(-1.0), geoopt.Lorentz(1.0), 4)


@row("`Sphere()`")
def sphere(rng):
    yield from same_maps(rng, ga.geometry.Sphere(), geoopt.Sphere(), 4)


@row("`ProductManifold((ball, 3), (sphere, 4))`")
def product(rng):
    ours = ga.geometry.Product([(ga.geometry.Poincare(), 3), (ga.geometry.Sphere(), 4)])
    theirs = geoopt.ProductManifold((geoopt.PoincareBall(), 3), (geoopt.Sphere(), 4))
    x, y = ours.random(rng, (6, 7)), ours.random(rng, (6, 7))
    yield ours.dist(x, y), theirs.dist(torch.tensor(x), torch.tensor(y))
    yield ours.logmap(x, y), theirs.logmap(torch.tensor(x), torch.tensor(y))


@row("`RiemannianSGD(ps, lr)`, `RiemannianAdam(ps, lr)`")
def optimizers(rng):
    ball, theirs = ga.geometry.Poincare(), geoopt.PoincareBallExact()
    point = ball.random(rng, (4, 3))
    for name in ("RiemannianSGD", "RiemannianAdam"):
        ours = getattr(ga.training, name)(lr=0.05, manifold=ball)

        def optimizer(leaves, name=name):
            leaves[0].__class__ = geoopt.ManifoldTensor
            leaves[0].manifold = theirs
            return getattr(geoopt.optim, name)(leaves, lr=0.05)

        yield steps(rng, ours, optimizer, point)

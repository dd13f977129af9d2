"""Calls of every loss with its gradient, every optimizer, clipping and schedules."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

import graphattend as ga
from graphattend.training import LOSSES, OPTIMIZERS

from .draw import Draw
from .watch import REFUSED, Watch

T = ga.training
EDGES = np.array([[0, 1, 2, 2], [1, 2, 3, 0]])

#: Loss → function that draws its arguments. The tests fail for a loss without an entry.
ARGUMENTS: dict[str, Callable[[Draw, Any], tuple[tuple[Any, ...], dict[str, Any]]]] = {
    "info_nce": lambda d, t: (
        (d.array(2, 4, dtype=t), d.array(3, 4, dtype=t), d.array(5, 4, dtype=t)),
        {"normalize": d.chance(0.7), "temperature": d.pick((0.07, 1e-3, 100.0))},
    ),
    "local_contrastive": lambda d, t: (
        (d.array(2, 4, dtype=t), d.array(2, 3, 4, dtype=t), d.array(2, 5, 4, dtype=t)),
        {"neighbor_mask": d.rng.random((2, 3)) < 0.5},
    ),
    "triplet": lambda d, t: (
        tuple(d.array(2, 4, dtype=t) for _ in range(3)),
        {"margin": d.pick((1.0, 0.0, 1e4))},
    ),
    "laplacian_regularization": lambda d, t: ((d.array(4, 3, dtype=t), EDGES), {}),
    "orthogonality": lambda d, t: ((d.array(4, 3, dtype=t),), {}),
    "norm_penalty": lambda d, t: ((d.array(4, 3, dtype=t), d.pick((1.0, 0.0, 1e4))), {}),
    "cross_entropy": lambda d, t: (
        (d.array(3, 4, dtype=t), np.array([0, 3, 1])),
        {"label_smoothing": d.pick((0.0, 0.1, 1.0))},
    ),
    "reconstruction": lambda d, t: ((d.array(3, 4, dtype=t), d.array(3, 4, dtype=t)), {}),
    "adjacency_reconstruction": lambda d, t: (
        (d.array(4, 3, dtype=t), EDGES, np.array([1.0, 0.0, 0.5, 1.0])),
        {"pos_weight": d.pick((1.0, 1e4)), "bias": d.pick((0.0, -1e4))},
    ),
}
ARGUMENTS["laplacian"] = ARGUMENTS["laplacian_regularization"]
SPACES = [ga.geometry.Euclidean(), ga.geometry.Poincare(), ga.geometry.Lorentz(), ga.geometry.Sphere()]


@functools.cache
def optimizer(name: str, number: int) -> Any:
    """Create an optimizer with its defaults, on one of several manifolds if it takes one."""
    cls = OPTIMIZERS[name]
    needs_manifold = "manifold" in inspect.signature(cls).parameters
    return (
        cls(manifold=SPACES[number % len(SPACES)], lr=0.1) if needs_manifold else cls(lr=(0.1, 1e-8, 10.0)[number % 3])
    )


def _loss(d: Draw, call: Watch) -> None:
    name = d.pick(sorted(ARGUMENTS.keys() & set(LOSSES)))
    loss, (args, options) = LOSSES[name], ARGUMENTS[name](d, d.dtype())
    options["reduction"] = d.pick(("mean", "sum", "none"))
    call(name, loss, *args, **options)
    found = call(f"{name}'s vjp", ga.vjp, loss, *args, **options)
    if found is not REFUSED:
        g = d.array(*np.shape(found[0]), dtype=found[0].dtype)
        call(f"{name}'s pullback", found[1], g)


def _optimizer(d: Draw, call: Watch) -> None:
    name = d.pick(list(OPTIMIZERS))
    o, dtype = optimizer(name, d.number(12)), d.dtype()
    space = getattr(o, "manifold", None)
    start = d.array(2, 3, dtype=dtype) if space is None else space.random(d.rng, (2, 3)).astype(dtype)
    params: Any = {"x": start}
    state = call(f"{name}.init", o.init, params)
    for _ in range(2):
        grads = {"x": d.array(2, 3, dtype=dtype)}
        found = call(f"{name}.update", o.update, params, grads, state)
        if found is REFUSED:
            return
        params, state = found


def _clipping(d: Draw, call: Watch) -> None:
    grads = {"x": d.array(2, 3, dtype=d.dtype()), "y": d.array(4)}
    call("global_norm", T.global_norm, grads)
    call("clip_by_norm", T.clip_by_norm, grads, d.pick((1.0, 1e-30, 1e30)))
    call("clip_by_value", T.clip_by_value, grads, d.pick((1.0, 1e-30, 1e30)))


def case(d: Draw, call: Watch) -> None:
    """Run a loss, a few steps of an optimizer, or clipping."""
    d.pick((_loss, _loss, _loss, _optimizer, _optimizer, _clipping))(d, call)

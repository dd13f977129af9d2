"""Calls of every method of every registered manifold, each with its gradient."""

from __future__ import annotations

import functools
import inspect
from typing import Any

import numpy as np

import graphattend as ga
from graphattend.geometry import MANIFOLDS, Lorentz, Poincare, Product

from .draw import Draw
from .watch import REFUSED, Watch

CURVATURES = (1.0, 1e-4, 0.3, 50.0, 1e4)
KNOWN = {"x", "y", "u", "v", "g", "points", "weights", "r"}


@functools.cache
def manifold(name: str, number: int) -> Any:
    """Create a manifold of this kind with one of several curvatures."""
    cls = MANIFOLDS[name]
    if cls is Product:
        return Product([(Poincare(-CURVATURES[number]), 2), (Lorentz(-1.0), 3)])
    default = inspect.signature(cls).parameters.get("curvature")
    return cls() if default is None else cls(float(np.sign(default.default)) * CURVATURES[number])


@functools.cache
def methods(name: str) -> dict[str, list[str]]:
    """Return method → required arguments, for methods of points, vectors and weights."""
    found = {}
    for attribute in dir(manifold(name, 0)):
        method = getattr(manifold(name, 0), attribute)
        if attribute[0] == "_" or not inspect.ismethod(method):
            continue
        parameters = inspect.signature(method).parameters.values()
        needed = [p.name for p in parameters if p.default is p.empty]
        if needed and set(needed) <= KNOWN:
            found[attribute] = needed
    return found


def _argument(d: Draw, m: Any, name: str, width: int, dtype: Any) -> Any:
    if name == "weights":
        return np.abs(d.array(3, dtype=dtype))
    if name == "r":
        return d.pick((0.0, 1.0, -2.0, 1e-300, 1e4))
    shape = (3, width) if name == "points" else (width,) if d.chance(0.7) else (2, width)
    if name in ("x", "y", "points") and d.chance(0.5):
        return m.random(d.rng, shape).astype(dtype)
    return d.array(*shape, dtype=dtype)


def case(d: Draw, call: Watch) -> None:
    """Call a method and its gradient."""
    name = d.pick(list(MANIFOLDS))
    m = manifold(name, d.number(len(CURVATURES)))
    method_name, needed = d.pick(list(methods(name).items()))
    width, dtype = 5 if isinstance(m, Product) else d.pick((2, 3, 8)), d.dtype()
    args = [_argument(d, m, argument, width, dtype) for argument in needed]
    if method_name == "pairwise":
        args = [np.atleast_2d(a) for a in args]
    method, what = getattr(m, method_name), f"{name}.{method_name}"
    out = call(what, method, *args)
    if out is not REFUSED and hasattr(method, "vjp_rule"):
        found = call(f"{what}'s vjp", ga.vjp, method, *args)
        if found is not REFUSED:
            call(f"{what}'s pullback", found[1], d.array(*np.shape(found[0]), dtype=dtype))

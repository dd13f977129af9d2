"""Manifolds whose methods are JavaScript functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ._bridge_names import unknown
from ._bridge_questions import JavaScriptFunction, numbers
from ._vjp import differentiable, unbroadcast
from .errors import DimensionMismatchError, InvalidConfigError, UnsupportedError
from .geometry import ManifoldBase
from .geometry._manifold import check_points, check_weighted

#: Pointwise methods and their arguments.
_BY_POINT = {
    "dist": ("x", "y"),
    "expmap": ("x", "v"),
    "logmap": ("x", "y"),
    "expmap0": ("v",),
    "logmap0": ("y",),
    "project": ("x",),
    "project_tangent": ("x", "v"),
    "transport": ("x", "y", "v"),
    "inner": ("x", "u", "v"),
    "norm": ("x", "v"),
    "egrad2rgrad": ("x", "g"),
}
#: Methods that return one number per point.
_NUMBERS = frozenset({"dist", "inner", "norm"})
_MEANS = dict.fromkeys(("midpoint", "frechet_mean"), ("points", "weights"))
_METHODS = _BY_POINT | _MEANS
_NEEDED = ("expmap", "logmap")


class _Flat(NamedTuple):
    """Arguments of a method, flattened for its JavaScript function."""

    arrays: list[np.ndarray]
    #: Shapes of the arguments as given and after broadcasting, shape of the result, dtype of the result.
    given: list[tuple[int, ...]]
    broadcast: list[tuple[int, ...]]
    result: tuple[int, ...]
    dtype: np.dtype[Any]


class _OfFunctions(ManifoldBase):
    def to_config(self) -> dict[str, Any]:
        """Raise UnsupportedError: functions cannot be saved."""
        raise UnsupportedError("manifold: functions of JavaScript cannot be saved", argument="manifold")


def manifold(functions: dict[str, Any]) -> ManifoldBase:
    """Create a manifold from JavaScript functions.

    Args:
        functions: Functions by the Python names of the methods. They get points as float64 arrays (P, D), broadcast
            against each other. Means get points (B, N, D) and weights (B, N); ``origin`` gets D. The functions in
            ``gradients`` also get the gradient of the result and return a list of gradients of the arguments.
    """
    gradients = functions.get("gradients") or {}
    if not isinstance(gradients, dict):
        raise InvalidConfigError.of("manifold.gradients", "functions by name", type(gradients).__name__)
    allowed = {"": {*_METHODS, "origin", "gradients"}, "gradients.": set(_METHODS)}
    for prefix, named in (("", functions), ("gradients.", gradients)):
        for name, function in named.items():
            if name not in allowed[prefix]:
                raise unknown(name, allowed[prefix], "function of a manifold")
            if not (function is None or isinstance(function, JavaScriptFunction) or function is gradients):
                raise InvalidConfigError.of(f"manifold.{prefix}{name}", "a function", type(function).__name__)
    for name in (*_NEEDED, *gradients):
        if functions.get(name) is None:
            raise InvalidConfigError(f"manifold.{name}: expected a function", argument=f"manifold.{name}")
    methods: dict[str, Any] = {
        name: _method(name, functions[name], gradients.get(name))
        for name in _METHODS
        if functions.get(name) is not None
    }
    if (origin := functions.get("origin")) is not None:
        methods["origin"] = lambda self, dim: numbers(origin(dim), "manifold.origin", (dim,))
    made: ManifoldBase = type("CustomManifold", (_OfFunctions,), {"__module__": __name__} | methods)()
    return made


def _method(name: str, function: JavaScriptFunction, gradient: JavaScriptFunction | None) -> Callable[..., Any]:
    def method(self: ManifoldBase, *arrays: object) -> Any:
        flat = _flat(name, arrays)
        return numbers(function(*flat.arrays), f"manifold.{name}", flat.result).astype(flat.dtype, copy=False)

    if gradient is None:
        return method

    def rule(self: ManifoldBase, *arrays: object) -> Any:
        flat = _flat(name, arrays)

        def pullback(g: np.ndarray) -> tuple[np.ndarray, ...]:
            where = f"manifold.gradients.{name}"
            size = len(flat.arrays[0])
            rows = np.broadcast_to(g, flat.result).astype(np.float64)
            found = gradient(*flat.arrays, rows.reshape((size,) if name in _NUMBERS else (size, -1)), many=True)
            if not isinstance(found, list) or len(found) != len(flat.arrays):
                got = len(found) if isinstance(found, list) else type(found).__name__
                raise DimensionMismatchError.of(where, len(flat.arrays), got, text=f"{len(flat.arrays)} gradients")
            parts = zip(found, flat.broadcast, flat.given, strict=True)
            return tuple(
                unbroadcast(numbers(x, where, wide), shape).astype(flat.dtype, copy=False) for x, wide, shape in parts
            )

        return method(self, *arrays), pullback

    return differentiable(rule)(method)


def _flat(name: str, arrays: tuple[Any, ...]) -> _Flat:
    """Flatten points (..., D) to (P, D), sets of points (..., N, D) to (B, N, D) and weights (..., N) to (B, N)."""
    names = _METHODS[name]
    if len(arrays) != len(names):
        raise InvalidConfigError(
            f"{name}: expected {', '.join(names)}, got {len(arrays)} arguments", argument="arguments", expected=names
        )
    checked = check_weighted(*arrays) if name in _MEANS else check_points(dict(zip(names, arrays, strict=True)))
    own = [x.shape[-2:] if name in _MEANS and i == 0 else x.shape[-1:] for i, x in enumerate(checked)]
    lead = np.broadcast_shapes(*(x.shape[: x.ndim - len(tail)] for x, tail in zip(checked, own, strict=True)))
    wide = [(*lead, *tail) for tail in own]
    flat = [
        np.broadcast_to(x, shape).astype(np.float64).reshape(-1, *tail)
        for x, shape, tail in zip(checked, wide, own, strict=True)
    ]
    result = lead if name in _NUMBERS else (*lead, checked[0].shape[-1])
    return _Flat(flat, [x.shape for x in checked], wide, result, np.result_type(*checked))

"""Finite float32 arguments whose products overflow are computed in float64; what overflows there is refused."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from .._range import looks_like_overflow, may_hide_overflow, silence, trap
from .._validate import all_finite
from ..errors import NumericalInstabilityError

Rule = Callable[..., tuple[Any, Callable[..., tuple[Any, ...]]]]


def _map(x: Any, change: Callable[[np.ndarray], np.ndarray]) -> Any:
    """`x` with every float array in it changed, through tuples and mappings of parameters."""
    if isinstance(x, (np.ndarray, np.generic)):
        return change(x) if x.dtype.kind == "f" else x  # type: ignore[arg-type]
    if isinstance(x, tuple):
        return tuple(_map(part, change) for part in x)
    if isinstance(x, Mapping):
        return {name: _map(part, change) for name, part in x.items()}
    return x


def _wide(x: np.ndarray) -> np.ndarray:
    return x.astype(np.float64, copy=False)


def _narrow(x: np.ndarray) -> np.ndarray:
    with silence():
        return x.astype(np.float32, copy=False)


def _single(x: Any) -> bool:
    """Whether an argument leaves the result in float32."""
    if isinstance(x, Mapping):
        return all(_single(a) for a in x.values())
    if isinstance(x, (list, tuple)):
        return np.asarray(x).dtype.kind != "f"
    return getattr(x, "dtype", None) != np.float64


def widening(rule: Rule) -> Rule:
    """A gradient rule (and its function) without NumPy's warnings: in float64 where float32 overflows.

    Infinity and NaN in the arguments pass, as everywhere in the functional layer.
    """

    @functools.wraps(rule)
    def wrapped(*arrays: Any, **options: Any) -> tuple[Any, Callable[..., tuple[Any, ...]]]:
        change: Callable[[Any], Any] = _same
        try:
            with trap(divide="ignore"):
                output, pull = rule(*arrays, **options)
            first = _first(output)
            hidden = may_hide_overflow(first, arrays) or (first.ndim == 0 and not np.isfinite(first))
        except FloatingPointError:  # an overflow, infinity among the arguments, or a false alarm of a BLAS library
            with silence():
                output, pull = rule(*arrays, **options)
            first = _first(output)
            hidden = looks_like_overflow(first, arrays) or (first.ndim == 0 and not np.isfinite(first))
        if hidden:
            if all(_single(a) for a in arrays):
                arrays, change = _map(arrays, _wide), functools.partial(_map, change=_narrow)
            with silence():
                output, pull = rule(*arrays, **options)
            first = _first(change(output))
            if looks_like_overflow(first, arrays) or (not all_finite(first) and _finite(arrays)):
                raise _error(rule)

        def pullback(g: Any) -> tuple[Any, ...]:
            with silence():
                gradients: tuple[Any, ...] = change(pull(g))
            return gradients

        return change(output), pullback

    return wrapped


def _finite(x: Any) -> bool:
    """Whether all numbers among the arguments are finite."""
    if isinstance(x, np.ndarray):
        return x.dtype.kind != "f" or all_finite(x)
    if isinstance(x, Mapping):
        return all(_finite(part) for part in x.values())
    if isinstance(x, (tuple, list)):
        return all(_finite(part) for part in x)
    return not isinstance(x, (float, np.floating)) or bool(np.isfinite(x))


def _first(output: Any) -> np.ndarray:
    return np.asarray(output[0] if isinstance(output, tuple) else output)


def _same(x: Any) -> Any:
    return x


def _error(rule: Rule) -> NumericalInstabilityError:
    name = rule.__name__.removeprefix("_").removesuffix("_vjp")
    return NumericalInstabilityError(
        f"{name}: expected a finite result, got an overflow: the arguments are too large",
        argument=name,
        expected="a finite result",
        actual="overflow",
    )

"""A common interface to functions and mechanisms: flat arrays in, output and flat gradients out."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .._vjp import vjp
from ..errors import InvalidConfigError, UnsupportedError


def is_mechanism(function: Callable[..., Any]) -> bool:
    """Return whether `function` is a mechanism, with parameters and a method `vjp`."""
    return all(callable(getattr(function, name, None)) for name in ("vjp", "parameters", "with_parameters"))


def check_function(function: Callable[..., Any]) -> None:
    """Raise unless `function` has a gradient rule or is a mechanism."""
    if is_mechanism(function) or getattr(function, "vjp_rule", None) is not None:
        return
    raise InvalidConfigError.of(
        "function", "a differentiable graphattend function or a mechanism", function, got=f"{function!r:.80}"
    )


def check_parameters(function: Callable[..., Any], parameters: Mapping[str, np.ndarray]) -> None:
    """Raise unless the parameters are None, or a mapping and `function` is a mechanism."""
    if parameters is None:
        return
    if not is_mechanism(function) or not isinstance(parameters, Mapping):
        raise InvalidConfigError(
            "parameters: expected a mapping from names to arrays, along with a mechanism",
            argument="parameters",
            expected="a mapping from names to arrays, along with a mechanism",
            actual=type(parameters).__name__,
        )


def evaluate(function: Any, names: Sequence[str], arrays: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """Return ``(output, flat pullback)``; the last arrays are the parameters `names` of a mechanism."""
    if not is_mechanism(function):
        return vjp(function, *arrays, **options)
    count = len(arrays) - len(names)
    model = function.with_parameters(dict(zip(names, arrays[count:], strict=True))) if names else function
    output, pullback = model.vjp(*arrays[:count], **options)

    def flat(cotangent: object) -> Sequence[Any]:
        gradients = pullback(cotangent)
        inputs = (gradients.query, gradients.keys, gradients.values)[:count]
        return (*inputs, *(gradients.parameters[name] for name in names))

    return output, flat


def optional_module(name: str, extra: str) -> Any:
    """Return the module; if it is missing, the error says how to install it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UnsupportedError(
            f"{name} cannot be imported ({error}); install graphattend[{extra}]", argument=name, actual=str(error)
        ) from None

"""Vector-Jacobian products of functions; the gradient rule of a function is attached to it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, Protocol, TypeVar, get_args

import numpy as np

from ._validate import ArrayLike, as_float, check_shape
from .errors import InvalidConfigError, UnsupportedError

F = TypeVar("F", bound=Callable[..., Any])
P = ParamSpec("P")
R = TypeVar("R")

#: A function from the cotangent of the output to one gradient per array.
Pullback = Callable[..., tuple[Any, ...]]


#: The output of a function and its pullback.
WithPullback = tuple[R, Pullback]


class Rule(Protocol):
    """``rule(*arrays, **options) -> (output, pullback)``, with the signature of its function."""

    def __call__(self, *arrays: object, **options: object) -> tuple[Any, Pullback]: ...


def differentiable(rule: Callable[..., tuple[Any, Pullback]]) -> Callable[[F], F]:
    """Decorator that attaches a gradient rule to a function, so that `ga.vjp` finds it.

    The rule has the signature of the function and returns ``(output, pullback)``. The pullback returns one gradient per
    positional array (None for arrays that are not real numbers). The rule of a method takes ``self`` first, too.

    Example:
        >>> import numpy as np, graphattend as ga
        >>> from graphattend.geometry import differentiable
        >>> def rule(x):
        ...     return x * x, lambda g: (2 * x * g,)
        >>> @differentiable(rule)
        ... def square(x):
        ...     return x * x
        >>> float(ga.vjp(square, np.float64(3.0))[1](1.0)[0])
        6.0
    """

    def attach(function: F) -> F:
        function.vjp_rule = rule  # type: ignore[attr-defined]
        return function

    return attach


def with_vjp(rule: Callable[P, WithPullback[R]]) -> Callable[P, R]:
    """Decorator that turns a gradient rule into its function, which returns only the output.

    The rule has the signature and the documentation of the function, and returns ``(output, pullback)``.
    """

    @functools.wraps(rule)
    def function(*args: P.args, **options: P.kwargs) -> R:
        return rule(*args, **options)[0]

    hints = dict(rule.__annotations__)
    if isinstance(hint := hints.get("return"), str):
        hints["return"] = hint.removeprefix("WithPullback[").removesuffix("]")
    elif hint is not None:
        hints["return"] = get_args(hint)[0]
    function.__annotations__ = hints
    return differentiable(rule)(function)


def vjp(function: Callable[..., Any], *arrays: object, **options: object) -> tuple[Any, Pullback]:
    """Evaluate a graphattend function and return its output and its vector-Jacobian product.

    Args:
        function: Any differentiable function of graphattend: `ga.functional.*`, the losses of
            `ga.training`, a manifold's ``dist``, ...
        *arrays: Its positional arrays, which are differentiated. The gradient of boolean and integer arrays is None.
        **options: Its keyword arguments, held constant.

    Returns:
        ``(output, pullback)``. ``pullback(g)`` takes a cotangent of the shape of the output (a tuple for several
        outputs, in which None means zero) and returns a tuple of one gradient per array.

    Raises:
        UnsupportedError: The function has no gradient rule.

    Example:
        >>> import numpy as np, graphattend as ga
        >>> y, pullback = ga.vjp(ga.functional.softmax, np.array([0.0, 0.0]))
        >>> pullback(np.array([1.0, 0.0]))[0]
        array([ 0.25, -0.25])
    """
    rule = getattr(function, "vjp_rule", None)
    if rule is None:
        name = getattr(function, "__qualname__", None) or repr(function)
        if not callable(function):
            raise InvalidConfigError.of("function", "a graphattend function", type(function).__name__)
        raise UnsupportedError(f"function: {name} has no gradient rule", argument="function", actual=name)
    owner = getattr(function, "__self__", None)
    output, pull = rule(*arrays, **options) if owner is None else rule(owner, *arrays, **options)

    def pullback(cotangent: object) -> tuple[Any, ...]:
        cotangent = _check_cotangent(output, cotangent)
        # A rule may return gradients of keyword arguments, too; those are held constant.
        gradients = pull(cotangent)[: len(arrays)]
        return gradients + (None,) * (len(arrays) - len(gradients))

    return output, pullback


def _check_cotangent(output: ArrayLike, cotangent: object) -> Any:
    """Return the cotangent as arrays of the output's shapes, or raise a typed error."""
    if not isinstance(output, tuple):
        g = as_float(cotangent, "grad_output", beside=np.asarray(output).dtype)
        check_shape(g, "grad_output", np.shape(output))
        return g
    if not isinstance(cotangent, (tuple, list)) or len(cotangent) != len(output):
        expected = f"a tuple of {len(output)}, one per output"
        raise InvalidConfigError.of("grad_output", expected, type(cotangent).__name__)
    return tuple(None if g is None else _check_cotangent(y, g) for y, g in zip(output, cotangent, strict=True))


def unbroadcast(gradient: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Sum `gradient` over the axes along which an array of `shape` was broadcast."""
    if gradient.shape == shape:
        return gradient
    extra = gradient.ndim - len(shape)
    if extra:
        gradient = gradient.sum(axis=tuple(range(extra)))
    axes = tuple(i for i, n in enumerate(shape) if n == 1 and gradient.shape[i] != 1)
    if axes:
        gradient = gradient.sum(axis=axes, keepdims=True)
    return gradient


def add_grads(*parts: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the sum of several dictionaries of gradients."""
    out: dict[str, np.ndarray] = {}
    for part in parts:
        for name, g in part.items():
            out[name] = out[name] + g if name in out else g
    return out

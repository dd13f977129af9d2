"""graphattend's functions as primitives of HIPS autograd."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._adapt import check_function, check_parameters, evaluate, optional_module


def autograd_primitive(function: Callable[..., Any]) -> Callable[..., Any]:
    """Convert a graphattend function to a HIPS autograd primitive with its gradient.

    Args:
        function: A differentiable function (`ga.functional.*`, a loss, a manifold's `dist` …), or a mechanism.

    Returns:
        A function with the same arguments, differentiable with respect to the positional ones. For a mechanism its
        arguments are ``(query, keys, values, parameters=None, **options)``, and it is differentiable with respect to
        `parameters`, too.

    Raises:
        InvalidConfigError: `function` has no gradient.
        UnsupportedError: autograd is not installed.

    Example:
        >>> import numpy as np, graphattend as ga
        >>> from graphattend.interop import autograd_primitive
        >>> from autograd import grad
        >>> norm_penalty = autograd_primitive(ga.training.norm_penalty)
        >>> grad(lambda x: norm_penalty(2 * x, 1.0))(np.array([0.3, 0.4]))
        array([0., 0.])
    """
    check_function(function)
    extend = optional_module("autograd.extend", "autograd")
    optional_module("autograd.numpy", "autograd")  # registers arrays with autograd

    def plain(names: tuple[str, ...], options: dict[str, Any], *arrays: object) -> Any:
        return evaluate(function, names, arrays, options)[0]

    def make_vjp(argnums: Any, output: Any, args: Any, kwargs: Any) -> Callable[[Any], tuple[Any, ...]]:
        names, options, *arrays = args
        _, pullback = evaluate(function, names, arrays, options)

        def pull(cotangent: Any) -> tuple[Any, ...]:
            gradients = pullback(cotangent)
            return tuple(gradients[i - 2] for i in argnums)

        return pull

    call = extend.primitive(plain)
    extend.defvjp_argnums(call, make_vjp)

    def wrapped(*arrays: object, parameters: Any = None, **options: object) -> Any:
        check_parameters(function, parameters)
        names = tuple(parameters) if parameters else ()
        return call(names, options, *arrays, *(parameters[name] for name in names))

    wrapped.__name__ = getattr(function, "__name__", type(function).__name__)
    wrapped.__doc__ = function.__doc__
    return wrapped

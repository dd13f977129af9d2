"""Compare gradients with finite differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .._vjp import vjp

_STEP = 1e-5


def tangent(f: Callable[[Any], Any]) -> Any:
    """Approximate the derivative at 0 by a fourth-order central difference."""
    return (8 * (f(_STEP) - f(-_STEP)) - (f(2 * _STEP) - f(-2 * _STEP))) / (12 * _STEP)


def compare(value: float, reference: float, rtol: float, scale: float, what: str) -> None:
    """Raise if a gradient differs from its finite difference, relative to the larger of `reference` and `scale`."""
    error = abs(value - reference) / max(abs(reference), scale, 1e-12)
    assert error <= rtol, f"{what}: gradient {value:.12g}, finite difference {reference:.12g} (relative {error:.1e})"


def check_vjp(
    function: Callable[..., Any],
    *arrays: object,
    rtol: float = 1e-6,
    directions: int = 3,
    seed: int = 0,
    **options: object,
) -> None:
    """Compare `ga.vjp` of a function with finite differences in random directions.

    Args:
        function: A function with a gradient rule.
        *arrays: Its positional arrays; float64 arrays are checked.
        rtol: Maximum difference, relative to the derivative.
        directions: Number of random directions per array.
        seed: Seed of the directions and the cotangent.
        **options: Keyword arguments, held constant.

    Raises:
        AssertionError: The gradient and the finite difference disagree.

    Example:
        >>> import numpy as np, graphattend as ga
        >>> from graphattend.testing import check_vjp
        >>> check_vjp(ga.functional.softmax, np.array([0.3, -1.0, 2.0]))
    """
    rng = np.random.default_rng(seed)
    output, pullback = vjp(function, *arrays, **options)
    outputs = output if isinstance(output, tuple) else (output,)
    cotangents = tuple(rng.standard_normal(np.shape(y)) for y in outputs)
    gradients = pullback(cotangents if isinstance(output, tuple) else cotangents[0])

    def along(index: int, direction: Any) -> Callable[[Any], float]:
        def f(t: float) -> float:
            moved = [a + t * direction if i == index else a for i, a in enumerate(arrays)]
            y = function(*moved, **options)
            ys = y if isinstance(y, tuple) else (y,)
            return float(sum(np.vdot(c, part) for c, part in zip(cotangents, ys, strict=True)))

        return f

    for i, a in enumerate(arrays):
        if not isinstance(a, np.ndarray) or a.dtype != np.float64:
            continue
        gradient = np.asarray(gradients[i])
        assert gradient.shape == a.shape, f"argument {i}: gradient of shape {gradient.shape} for {a.shape}"
        for _ in range(directions):
            direction = rng.standard_normal(a.shape)
            reference = float(tangent(along(i, direction)))
            value = float(np.vdot(gradient, direction))
            scale = float(np.linalg.norm(gradient)) * 1e-2
            compare(value, reference, rtol, scale, f"argument {i}")

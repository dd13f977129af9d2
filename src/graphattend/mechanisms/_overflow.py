"""Finite inputs whose products leave float32: computed again in float64, or refused; never wrong, never a warning."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from .._range import may_hide_overflow, silence, trap
from .._validate import FLOATS, all_finite
from ..errors import NumericalInstabilityError
from ._inputs import Inputs

if TYPE_CHECKING:
    from ._base import Gradients

R = TypeVar("R", bound=tuple[Any, ...])
G = TypeVar("G", bound="Gradients")

_SINGLE, _DOUBLE = FLOATS


def overflow_error(argument: str) -> NumericalInstabilityError:
    """What is raised where a result cannot be represented."""
    return NumericalInstabilityError(
        f"{argument}: expected a finite result, got an overflow: the inputs (or 1 / temperature) are too large",
        argument=argument,
        expected="a finite result",
        actual="overflow",
    )


def _sound(result: tuple[Any, ...], inputs: Iterable[Any], finite: bool) -> bool:
    """Whether the first array shows no overflow: the output shows what happened to the weights, and the gradient for
    the query what happened to the scores."""
    first = next((a for a in result if isinstance(a, np.ndarray)), None)
    return first is None or not (may_hide_overflow(first, inputs) or (finite and not all_finite(first)))


def narrow(a: Any, dtype: np.dtype[Any]) -> Any:
    """An array in the dtype that the caller's inputs ask for; whatever is not one passes."""
    if not isinstance(a, np.ndarray) or a.dtype == dtype:
        return a
    with silence():
        return a.astype(dtype)


def double(x: Inputs) -> Inputs:
    """The same inputs in float64."""
    return x._replace(
        q=x.q.astype(_DOUBLE),
        k=x.k.astype(_DOUBLE),
        v=None if x.v is None else x.v.astype(_DOUBLE),
        mask=x.mask.astype(_DOUBLE) if x.mask is not None and x.mask.dtype.kind == "f" else x.mask,
        metadata={n: a.astype(_DOUBLE) if a.dtype.kind == "f" else a for n, a in x.metadata.items()},
    )


def steady(
    dtype: np.dtype[Any],
    compute: Callable[[bool], R],
    inputs: tuple[Any, ...],
    *,
    finite: bool,
    argument: str = "query, keys",
) -> R:
    """The result of ``compute(in_double)``, in float32 as long as nothing overflows there, else in float64.

    Args:
        dtype: That of the inputs; the arrays of the result are returned in it.
        compute: A tuple of arrays, None and functions from the inputs as they are (False) or in float64 (True).
        inputs: The arrays whose products may overflow.
        finite: Whether a result that is not finite is an error. Without it, infinity and NaN pass.
        argument: What the error names.
    """
    # A ZeroDivisionError is a scalar parameter that float32 rounds to zero.
    with contextlib.suppress(FloatingPointError, ZeroDivisionError), trap():
        result = compute(False)
        if _sound(result, inputs, finite):
            return result
    try:
        with trap() if finite else silence():
            result = compute(dtype == _SINGLE)
            out: Any = tuple(narrow(a, dtype) for a in result)
    except (FloatingPointError, ZeroDivisionError):
        raise overflow_error(argument) from None
    if finite and not _sound(out, inputs if dtype == _DOUBLE else (), finite):
        raise overflow_error(argument)
    return out


def steady_gradients(dtype: np.dtype[Any], compute: Callable[[], G], *, finite: bool) -> G:
    """The gradients that a pullback computes, in this dtype; an overflow is an error if `finite`, and passes if not."""
    try:
        with trap() if finite else silence():
            g = compute()
    except FloatingPointError:
        raise overflow_error("grad_output") from None
    if g.query.dtype != dtype:
        inputs = [narrow(a, dtype) for a in (g.query, g.keys, g.values)]
        named = [{n: narrow(a, dtype) for n, a in part.items()} for part in (g.parameters, g.metadata)]
        g = type(g)(*inputs, *named)
    if not _sound(g, (), finite):
        raise overflow_error("grad_output")
    return g

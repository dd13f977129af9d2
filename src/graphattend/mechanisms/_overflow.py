"""Finite inputs whose products leave float32: computed again in float64, or refused; never wrong, never a warning."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from .._range import looks_like_overflow, may_hide_overflow, silence, trap
from .._validate import FLOATS, all_finite
from ..errors import NumericalInstabilityError
from ._inputs import Inputs

if TYPE_CHECKING:
    from ._gradients import Gradients

T = TypeVar("T")
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
    for first in result:
        if isinstance(first, np.ndarray):
            return not may_hide_overflow(first, inputs, or_not_finite=finite)
    return True


def _arrays(result: tuple[Any, ...]) -> list[np.ndarray]:
    return [a for a in result if isinstance(a, np.ndarray)]


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
    compute: Callable[..., R],
    given: T,
    *options: Any,
    widen: Callable[[T], T],
    inputs: tuple[Any, ...],
    dtype: np.dtype[Any],
    finite: bool,
    argument: str = "query, keys",
) -> R:
    """The result of ``compute(given, *options)``, in float32 as long as nothing overflows there, else in float64.

    Args:
        compute: Returns a tuple of arrays, None and functions.
        given: The inputs.
        *options: Passed on.
        widen: Gives the inputs in float64.
        inputs: The arrays whose products may overflow.
        dtype: That of the inputs; the arrays of the result are returned in it.
        finite: Whether a result that is not finite is an error. Without it, infinity and NaN pass.
        argument: What the error names.
    """
    # A ZeroDivisionError is a scalar parameter that float32 rounds to zero.
    trapped = (FloatingPointError, ZeroDivisionError)
    with contextlib.suppress(*trapped), trap():
        result = compute(given, *options)
        if _sound(result, inputs, finite):
            return result
    # From here on results decide, not flags: some BLAS libraries raise them where nothing overflows.
    out: Any = None
    for wide in (False, True) if dtype == _SINGLE else (False,):
        with contextlib.suppress(*trapped), silence():
            out = tuple(narrow(a, dtype) for a in compute(widen(given) if wide else given, *options))
            if not any(looks_like_overflow(a, () if wide else inputs) for a in _arrays(out)) and _sound(
                out, (), finite
            ):
                return out
    if finite or out is None:
        raise overflow_error(argument)
    return out


def steady_gradients(dtype: np.dtype[Any], compute: Callable[[], G], *, finite: bool) -> G:
    """The gradients that a pullback computes, in this dtype; an overflow is an error if `finite`, and passes if not."""
    found: G | None = None
    with contextlib.suppress(FloatingPointError), trap():
        found = compute()
    if found is None:
        with silence():
            found = compute()
        every = (found.query, found.keys, found.values, *found.parameters.values(), *found.metadata.values())
        if finite and not all(all_finite(a) for a in every):
            raise overflow_error("grad_output")
    g = found
    if g.query.dtype != dtype:
        inputs = [narrow(a, dtype) for a in (g.query, g.keys, g.values)]
        named = [{n: narrow(a, dtype) for n, a in part.items()} for part in (g.parameters, g.metadata)]
        g = type(g)(*inputs, *named)
    if not _sound(g, (), finite):
        raise overflow_error("grad_output")
    return g

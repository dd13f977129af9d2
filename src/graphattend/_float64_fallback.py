"""Repeat a computation in float64 if it overflows in float32; raise if that overflows, too. Nothing warns.

NumPy's floating-point flags signal an overflow. WebAssembly and compiled kernels set no flags; there the result is
inspected.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any, ParamSpec, TypeVar

import numpy as np

from . import _validate
from ._validate import FLOATS, all_finite
from ._vjp import WithPullback
from .errors import NumericalInstabilityError

R = TypeVar("R", bound=tuple[Any, ...])
G = TypeVar("G", bound=tuple[Any, ...])
P = ParamSpec("P")
Output = TypeVar("Output")

_SINGLE, _DOUBLE = FLOATS


# -- flags -------------------------------------------------------------------------------------------------------------


def _has_flags() -> bool:
    try:
        with np.errstate(over="raise"):
            np.square(np.full(1, 1e30, np.float32))
    except FloatingPointError:
        return True
    return False


#: Whether NumPy detects overflows on this platform.
FLAGS = _has_flags()
_flags_reliable = FLAGS


def set_kernels(in_use: bool) -> None:
    """Record whether kernels run; they do not set NumPy's floating-point flags."""
    global _flags_reliable
    _flags_reliable = FLAGS and not in_use


#: If NumPy detects no overflows, an empty context is cheaper than `np.errstate`, which costs more than small arrays.
_NOTHING: AbstractContextManager[Any] | None = None if FLAGS else nullcontext()


def trap(divide: Any = "raise") -> AbstractContextManager[Any]:
    """Return a context in which nothing warns and an overflow raises FloatingPointError, if the platform allows it."""
    if not (FLAGS or _validate.beyond_float32):
        return silence()
    return np.errstate(over="raise", invalid="raise", divide=divide)


def silence() -> AbstractContextManager[Any]:
    """Return a context in which nothing warns."""
    if _NOTHING is not None and not _validate.beyond_float32:
        return _NOTHING
    return np.errstate(over="ignore", invalid="ignore", divide="ignore")


# -- detecting an overflow ---------------------------------------------------------------------------------------------


def may_hide_overflow(result: np.ndarray, inputs: tuple[Any, ...], finite: bool | None) -> bool:
    """Return whether a result shows an overflow that no flag signalled; `finite` as for `steady`."""
    if not all_finite(result):
        if finite is not False and (finite or _finite(inputs)):
            return True
        return not _flags_reliable and _any_large(inputs)
    return not _flags_reliable and _has_zero_row(result) and _any_large(inputs)


def looks_like_overflow(result: np.ndarray, inputs: Iterable[Any]) -> bool:
    """Return whether a result has non-finite numbers or rows of zeros (all scores were -inf) and the inputs are large
    enough to be the cause.

    A flag alone is no proof, because some BLAS libraries raise flags when nothing overflows.
    """
    return not (all_finite(result) and not _has_zero_row(result)) and _any_large(inputs)


def _has_zero_row(x: np.ndarray) -> bool:
    if not x.size:
        return False
    if not x.ndim or x.size == x.shape[-1]:  # a single row
        return x.item(0) == 0 and not x.any()
    first = x[..., 0]  # usually has no zeros, so that no row can be zero
    return bool(np.count_nonzero(first) < first.size and not x.any(axis=-1).all())


def _any_large(inputs: Iterable[Any]) -> bool:
    return any(_large(x) for x in inputs if isinstance(x, np.ndarray) and x.dtype.kind == "f" and x.size)


def _large(x: np.ndarray) -> bool:
    # max(|x|) would allocate a second array; a NaN makes both comparisons false.
    with silence():
        return bool(1e-4 * np.sqrt(np.finfo(x.dtype).max) < max(x.max(), -x.min()) < np.inf)


# -- the second attempt ------------------------------------------------------------------------------------------------

#: Errors of Python's arithmetic if float32 rounds a scalar parameter to zero or infinity.
_SCALAR_ERRORS = (ZeroDivisionError, OverflowError)


def overflow_error(argument: str, too_large: str = "the inputs (or 1 / temperature)") -> NumericalInstabilityError:
    """Return the error for a result that overflows in float64, too."""
    got = f"an overflow: {too_large} are too large"
    return NumericalInstabilityError.of(argument, "a finite result", "overflow", got=got)


def steady(
    compute: Callable[..., R],
    given: Iterable[Any],
    *options: object,
    dtype: np.dtype[Any] | None,
    inputs: tuple[Any, ...],
    finite: bool | None,
    argument: str = "query, keys",
    too_large: str = "the inputs (or 1 / temperature)",
    divide: str = "raise",
) -> R:
    """Return ``compute(given, *options)``, computed in float64 if it overflows in float32.

    Args:
        compute: Returns a tuple whose first array shows any overflow: the output shows an overflow of the weights,
            the gradient with respect to the query one of the scores.
        given: The arrays to compute on, see `in_dtype`.
        *options: Passed on unchanged.
        dtype: dtype of the inputs and of the arrays of the result; None if `given` is a tuple of arguments from which
            it follows.
        inputs: The arrays whose products may overflow.
        finite: Whether a non-finite result is an error. None: only if all inputs are finite.
        argument: Argument that the error names.
        too_large: Words of the error for the numbers that are too large.
        divide: Treatment of a division by zero: "raise" takes it for an overflow, "ignore" allows it.

    Raises:
        NumericalInstabilityError: The result overflows in float64, too.
    """
    result: R | None = None
    try:
        with trap(divide):
            result = compute(given, *options)
        first = _first_array(result)
        if first is None or not may_hide_overflow(first, inputs, finite):
            return result
    except (FloatingPointError, *_SCALAR_ERRORS):
        # From here on only the results decide: some BLAS libraries raise flags when nothing overflows.
        with suppress(*_SCALAR_ERRORS), silence():
            result = compute(given, *options)
            if _is_sound(result, inputs, finite):
                return result
    if dtype == _SINGLE or (dtype is None and all(_single(a) for a in given)):
        result = None
        with suppress(*_SCALAR_ERRORS), silence():
            given = in_dtype(given, _DOUBLE)
            result = in_dtype(compute(given, *options), _SINGLE)
    if result is None or not _is_acceptable(result, given, inputs, finite):
        raise overflow_error(argument, too_large)
    return result


def _first_array(result: tuple[Any, ...]) -> np.ndarray | None:
    for a in result:
        if isinstance(a, np.ndarray):
            return a
    return None


def _is_sound(result: tuple[Any, ...], inputs: tuple[Any, ...], finite: bool | None) -> bool:
    """Return whether a result shows no overflow."""
    first = _first_array(result)
    if first is not None and finite is not False and not all_finite(first) and (finite or _finite(inputs)):
        return False
    return not any(looks_like_overflow(a, inputs) for a in result if isinstance(a, np.ndarray))


def _is_acceptable(result: tuple[Any, ...], given: Iterable[Any], inputs: tuple[Any, ...], finite: bool | None) -> bool:
    """Return whether the final result may be returned, as it cannot be computed in higher precision."""
    first = _first_array(result)
    if first is None or finite is False:
        return True
    if finite:
        return all_finite(first)
    return not looks_like_overflow(first, given) and (all_finite(first) or not _finite(inputs))


def _finite(x: object) -> bool:
    """Return whether all numbers in `x`, also in nested containers, are finite."""
    arrays: list[np.ndarray] = []
    return _collect(x, arrays) and all_finite(*arrays)


def _collect(x: object, arrays: list[np.ndarray]) -> bool:
    """Append all float arrays in `x` to `arrays`. Return whether all other numbers are finite."""
    if isinstance(x, np.ndarray):
        if x.dtype.kind == "f":
            arrays.append(x)
        return True
    if isinstance(x, Mapping):
        return all(_collect(part, arrays) for part in x.values())
    if isinstance(x, (tuple, list)):
        return all(_collect(part, arrays) for part in x)
    return not isinstance(x, (float, np.floating)) or bool(np.isfinite(x))


# -- for pure functions ------------------------------------------------------------------------------------------------


def float64_fallback(rule: Callable[P, WithPullback[Output]]) -> Callable[P, WithPullback[Output]]:
    """Decorator that lets a gradient rule (and its function) use float64 if float32 overflows, without warnings.

    Infinity and NaN in the arguments are allowed, as everywhere in the functional layer.
    """
    name = rule.__name__.removeprefix("_").removesuffix("_vjp")

    @functools.wraps(rule)
    def wrapped(*arrays: P.args, **options: P.kwargs) -> WithPullback[Output]:
        def compute(given: tuple[Any, ...]) -> tuple[Any, ...]:
            output, pull = rule(*given, **options)
            first = np.asarray(output[0] if isinstance(output, tuple) else output)
            widened = given is not arrays
            lost = _lost_statistics(output, widened)
            if widened and lost.size and _finite(arrays):
                raise overflow_error(name, "the arguments")
            return lost if lost.size else first, output, pull, widened

        if not FLAGS:  # before a context is entered
            for x in (*arrays, *options.values()):
                if isinstance(x, (int, float)):
                    _validate.notice_width(x)
        _, output, pull, widened = steady(
            compute,
            arrays,
            dtype=None,
            inputs=arrays,
            finite=None,
            argument=name,
            too_large="the arguments",
            divide="ignore",
        )

        def pullback(g: object) -> tuple[Any, ...]:
            with silence():
                gradients = pull(g)
                gradients = tuple(in_dtype(gradients, _SINGLE)) if widened else gradients
                if _finite(gradients) or not (_finite(g) and _finite(arrays)):
                    return gradients
                # With a generator, the repeated call would draw another dropout mask.
                if not widened and options.get("rng") is None and all(_single(a) for a in arrays):
                    wide = rule(*in_dtype(arrays, _DOUBLE), **options)[1]
                    gradients = tuple(in_dtype(wide(g), _SINGLE))
                    if _finite(gradients):
                        return gradients
            raise overflow_error("grad_output", "its numbers (or the arguments)")

        return output, pullback

    return wrapped


def _lost_statistics(output: object, widened: bool) -> np.ndarray:
    """Return the non-finite log-sum-exp values of the rows whose output is not zero.

    If they were computed in float64 (`widened`), return also those that overflow in float32.
    """
    if not isinstance(output, tuple) or output[-1].shape != output[0].shape[:-1]:
        return np.empty(0)
    found = output[-1]
    kept = in_dtype(found, _SINGLE) if widened else found
    if all_finite(kept):
        return np.empty(0)
    return np.asarray(kept[~np.isfinite(kept) & (np.isfinite(found) | output[0].any(axis=-1))])


def steady_gradients(
    compute: Callable[[], G], dtype: np.dtype[Any], *, finite: bool, again: Callable[[], G] | None = None
) -> G:
    """Return the gradients that ``compute()`` returns, in this dtype; with `finite`, an overflow is an error.

    Args:
        compute: Computes the gradients.
        dtype: dtype of the result.
        finite: Whether non-finite gradients are an error.
        again: Computes the gradients in float64 from the original inputs, if `compute` uses float32.
    """
    try:
        with trap():
            found = compute()
    except FloatingPointError:
        with silence():
            found = compute()
    with silence():
        found = found if found[0].dtype == dtype else in_dtype(found, dtype)
        usable = not finite or _finite(found)
        if not usable and again is not None:
            found = in_dtype(again(), dtype)
            usable = _finite(found)
    if not usable:
        raise overflow_error("grad_output")
    return found


def in_dtype(x: object, dtype: np.dtype[Any]) -> Any:
    """Return `x` with all its float arrays cast to `dtype`, also in tuples and mappings."""
    if isinstance(x, (np.ndarray, np.generic)):
        return x.astype(dtype, copy=False) if x.dtype.kind == "f" else x
    if isinstance(x, tuple):
        parts = [in_dtype(part, dtype) for part in x]
        return type(x)(*parts) if hasattr(x, "_fields") else tuple(parts)
    if isinstance(x, Mapping):
        return {name: in_dtype(part, dtype) for name, part in x.items()}
    return x


def _single(x: object) -> bool:
    """Return whether an argument has no float64 numbers, so that the result may be float32."""
    if isinstance(x, Mapping):
        return all(_single(a) for a in x.values())
    if isinstance(x, (list, tuple)):
        return np.asarray(x).dtype.kind != "f"
    return getattr(x, "dtype", None) != np.float64

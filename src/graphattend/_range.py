"""Has finite input led to overflow? NumPy's floating-point flags tell; without them (WebAssembly) the result does."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from ._validate import all_finite


def _has_flags() -> bool:
    try:
        with np.errstate(over="raise"):
            np.square(np.full(1, 1e30, np.float32))
    except FloatingPointError:
        return True
    return False


#: Whether NumPy notices overflows at all.
FLAGS = _has_flags()
_flags_reliable = FLAGS


def set_kernels(in_use: bool) -> None:
    """Say whether kernels compute, at whose flags NumPy does not look."""
    global _flags_reliable
    _flags_reliable = FLAGS and not in_use


#: Where NumPy never warns, entering a context would only cost time, more than much of the arithmetic.
_NOTHING: AbstractContextManager[Any] | None = None if FLAGS else nullcontext()


def trap(**quiet: Any) -> AbstractContextManager[Any]:
    """A context in which an overflow raises FloatingPointError where that is possible, and nothing warns."""
    mode: Any = "raise" if FLAGS else "ignore"
    return _NOTHING or np.errstate(**({"over": mode, "invalid": mode, "divide": mode} | quiet))


def silence() -> AbstractContextManager[Any]:
    """A context in which nothing warns."""
    return _NOTHING or np.errstate(over="ignore", invalid="ignore", divide="ignore")


def may_hide_overflow(result: np.ndarray, inputs: Iterable[Any], *, or_not_finite: bool = False) -> bool:
    """Whether `looks_like_overflow`, where there are no flags that would have told; or whether it is not finite."""
    if not all_finite(result):
        return or_not_finite or (not _flags_reliable and _any_large(inputs))
    return not _flags_reliable and _has_zero_row(result) and _any_large(inputs)


def looks_like_overflow(result: np.ndarray, inputs: Iterable[Any]) -> bool:
    """Whether a result is not finite, or has rows of zeros (all scores were -inf), and the inputs are large enough to
    be the cause.

    A flag alone is no proof: some BLAS libraries raise flags where nothing overflows.
    """
    return not (all_finite(result) and not _has_zero_row(result)) and _any_large(inputs)


def _has_zero_row(x: np.ndarray) -> bool:
    if not x.size:
        return False
    rows = x if x.ndim else x[None]
    # The first column, nearly always free of zeros, settles it.
    first = rows[..., 0]
    return bool(np.count_nonzero(first) < first.size and not rows.any(axis=-1).all())


def _any_large(inputs: Iterable[Any]) -> bool:
    return any(_large(x) for x in inputs if isinstance(x, np.ndarray) and x.dtype.kind == "f" and x.size)


def _large(x: np.ndarray) -> bool:
    with silence():
        return bool(1e-4 * np.sqrt(np.finfo(x.dtype).max) < np.abs(x).max() < np.inf)

"""Checks of a call: its allowed errors, changes and results."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import graphattend as ga

#: Result of a call that raised an allowed error.
REFUSED = object()


class Broken(AssertionError):
    """A call broke a rule."""


def arrays(value: Any) -> list[np.ndarray]:
    """Yield every array inside arguments or results."""
    found: list[np.ndarray] = []
    _collect(value, found)
    return found


def _collect(value: Any, found: list[np.ndarray]) -> None:
    kind = type(value)
    if kind is np.ndarray:
        found.append(value)
    elif kind in _WITHOUT:  # tested before the classes, because most values have these types
        return
    elif isinstance(value, (tuple, list)):
        for part in value:
            _collect(part, found)
    elif isinstance(value, Mapping):
        for part in value.values():
            _collect(part, found)
    elif isinstance(value, (np.ndarray, np.generic)):
        found.append(np.asarray(value))
    elif isinstance(value, (ga.GraphMetadata, ga.NeighborGraph)):
        for field in dataclasses.fields(value):
            _collect(getattr(value, field.name), found)


_WITHOUT = {type(None), bool, int, float, str, bytes, types.FunctionType, types.MethodType}


class Watch:
    """Makes calls and counts them. Warnings have to be errors during the calls, as `run` ensures.

    Args:
        trail: Whether to print every call, to inspect a case.
    """

    def __init__(self, trail: bool = False) -> None:
        self.calls = 0
        self.refused = 0
        self.trail = trail

    def __call__(
        self,
        what: str,
        function: Callable[..., Any],
        *args: Any,
        may: tuple[type[Exception], ...] = (ga.NumericalInstabilityError,),
        finite: bool = True,
        **options: Any,
    ) -> Any:
        """Make a call and check it; return its result, or `REFUSED` after an allowed error.

        Args:
            what: Description of the call.
            function: The function to call.
            *args: Its positional arguments.
            may: Allowed errors.
            finite: Whether the result has to be finite.
            **options: Its keyword arguments.
        """
        before = [(a, a.tobytes()) for a in arrays((args, options))]
        if self.trail:
            shown = [f"{a.dtype}{list(a.shape)} up to {np.abs(a).max(initial=0):.3g}" for a, _ in before]
            print(f"{what}: {', '.join(shown)}")
        self.calls += 1
        try:
            result = function(*args, **options)
        except may as error:
            if isinstance(error, ga.InternalError) or "\n" in str(error):
                raise Broken(f"{what}: {type(error).__name__}: {error}") from error
            self.refused += 1
            result = REFUSED
            if self.trail:
                print(f"    refused: {error}")
        except Exception as error:
            raise Broken(f"{what}: {type(error).__name__}: {error}") from error
        for a, content in before:
            if a.tobytes() != content:
                raise Broken(f"{what}: changed an input of shape {a.shape}")
        if finite and result is not REFUSED:
            for a in arrays(result):
                if a.dtype.kind == "f" and not np.isfinite(a).all():
                    raise Broken(f"{what}: returned {a[~np.isfinite(a)][0]} in shape {a.shape}")
        return result

    def check(self, condition: Any, what: str) -> None:
        """Check a condition of a result."""
        if not condition:
            raise Broken(what)

"""The judge of a call: how it may end, what it may change, what it may return."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

import graphattend as ga

#: What a call that was refused returns here.
REFUSED = object()


class Broken(AssertionError):
    """A call did what none may do."""


def arrays(value: Any) -> Iterator[np.ndarray]:
    """Every array inside arguments or results."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, np.generic):
        yield np.asarray(value)
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from arrays(part)
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from arrays(part)
    elif isinstance(value, (ga.GraphMetadata, ga.NeighborGraph)):
        yield from arrays([getattr(value, field.name) for field in dataclasses.fields(value)])


class Watch:
    """Makes calls and counts them.

    Args:
        trail: Print every call, to look at one case.
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
        """The result of a call that is as it should be, or `REFUSED`.

        Args:
            what: Words for the call.
            function: What to call.
            *args: Its positional arguments.
            may: Errors it may raise.
            finite: Whether its result may hold no NaN and no infinity.
            **options: Its keyword arguments.
        """
        before = [(a, a.tobytes()) for a in arrays((args, options))]
        if self.trail:
            shown = [f"{a.dtype}{list(a.shape)} up to {np.abs(a).max(initial=0):.3g}" for a, _ in before]
            print(f"{what}: {', '.join(shown)}")
        self.calls += 1
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
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
        """Something that has to hold of a result."""
        if not condition:
            raise Broken(what)

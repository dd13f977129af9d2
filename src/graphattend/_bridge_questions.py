"""Calls of JavaScript functions during a request.

Python cannot wait for JavaScript, which may run in another thread. A call whose result is not known yet raises `Asked`
and ends the request with a question. JavaScript sends the answer, and the request runs again from its start with one
more known answer. Each function therefore has to return the same result for the same arguments.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .errors import DimensionMismatchError, InvalidConfigError


class Asked(Exception):
    """Ends a request that needs an answer: the function, its arguments, and whether the answer is a list."""

    def __init__(self, function: int, arguments: tuple[Any, ...], many: bool) -> None:
        super().__init__("a function of JavaScript can be called by a request alone")
        self.function, self.arguments, self.many = function, arguments, many


class Answers:
    """The answers of JavaScript functions to the current request, in the order of the calls."""

    def __init__(self) -> None:
        self._known: list[Any] = []
        self._used = 0

    def begin(self, known: list[Any]) -> None:
        """Start a request, perhaps again, with the answers known so far."""
        self._known, self._used = known, 0

    @property
    def used(self) -> bool:
        """Whether the request has used an answer."""
        return self._used > 0

    def ask(self, function: int, arguments: tuple[Any, ...], many: bool) -> Any:
        """Return the next answer, or raise `Asked` if it is not known."""
        if self._used == len(self._known):
            raise Asked(function, arguments, many)
        self._used += 1
        return self._known[self._used - 1]

    def settle(self) -> bool:
        """Forget the answers used so far, which will not be needed again; return whether there were any."""
        had = self.used
        del self._known[: self._used]
        self._used = 0
        return had


answers = Answers()


class JavaScriptFunction:
    """A JavaScript function, by its number in JavaScript."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __call__(self, *arguments: object, many: bool = False) -> Any:
        """Return its answer for these arguments; with `many`, a list of arrays."""
        return answers.ask(self._number, arguments, many)


class Waiting:
    """A request that waits for an answer, with its arguments and the answers so far."""

    _numbers = itertools.count(1)

    def __init__(self, request: dict[str, Any], arguments: Sequence[Any]) -> None:
        self.request, self.arguments = request, arguments
        self.answers: list[Any] = []
        self.number = next(self._numbers)


def numbers(answer: object, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return an answer, which may be flat, as a float64 array of this shape."""
    found = np.asarray(answer) if isinstance(answer, (np.ndarray, int, float)) else None
    if found is None or found.dtype.kind not in "iuf":
        raise InvalidConfigError.of(name, "numbers", type(answer).__name__)
    size = int(np.prod(shape, dtype=np.intp))
    if found.size != size:
        raise DimensionMismatchError.of(name, size, found.size, text=f"{size} numbers", got=f"{found.size}")
    return found.astype(np.float64).reshape(shape)


def score_mod(function: JavaScriptFunction) -> Callable[..., np.ndarray]:
    """Return a ``score_mod`` for attention; JavaScript gets float64 scores, in which it is differentiated."""

    def modify(scores: np.ndarray, *_indices: object) -> np.ndarray:
        return numbers(function(scores.astype(np.float64)), "score_mod", scores.shape)

    return modify

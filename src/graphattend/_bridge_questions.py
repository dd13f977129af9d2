"""Functions of JavaScript in the middle of a request, which is answered with a question and made again with the answer.

Python cannot wait for JavaScript, which may run in another thread. A function that is called where no answer is known
ends the request by `Asked`. The request comes back with one answer more, is made again from its start and gets further.
Each function has to give the same for the same arguments.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .errors import DimensionMismatchError, InvalidConfigError


class Asked(Exception):
    """Ends a request that needs an answer: of which function, for which arguments, and whether it is a list."""

    def __init__(self, function: int, arguments: tuple[Any, ...], many: bool) -> None:
        super().__init__("a function of JavaScript can be called by a request alone")
        self.function, self.arguments, self.many = function, arguments, many


class Answers:
    """What the functions have answered so far in the request that runs, in their order."""

    def __init__(self) -> None:
        self._known: list[Any] = []
        self._used = 0

    def begin(self, known: list[Any]) -> None:
        """Make a request, perhaps once more: these are known."""
        self._known, self._used = known, 0

    @property
    def used(self) -> bool:
        """Whether the request has used one."""
        return self._used > 0

    def ask(self, function: int, arguments: tuple[Any, ...], many: bool) -> Any:
        """The next answer, or a question."""
        if self._used == len(self._known):
            raise Asked(function, arguments, many)
        self._used += 1
        return self._known[self._used - 1]

    def settle(self) -> bool:
        """Say that what was asked so far will not be asked again, and whether there was anything."""
        had = self.used
        del self._known[: self._used]
        self._used = 0
        return had


answers = Answers()


class JavaScriptFunction:
    """A function of JavaScript, by the number that it has there."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __call__(self, *arguments: object, many: bool = False) -> Any:
        """Its answer for these arguments; `many` if that is a list of arrays."""
        return answers.ask(self._number, arguments, many)


class Waiting:
    """A request that waits for an answer: what it was, and the answers so far."""

    _numbers = itertools.count(1)

    def __init__(self, request: dict[str, Any], arguments: Sequence[Any]) -> None:
        self.request, self.arguments = request, arguments
        self.answers: list[Any] = []
        self.number = next(self._numbers)


def numbers(answer: object, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """An answer as float64 of this shape, which may have come flat."""
    found = np.asarray(answer) if isinstance(answer, (np.ndarray, int, float)) else None
    if found is None or found.dtype.kind not in "iuf":
        raise InvalidConfigError.of(name, "numbers", type(answer).__name__)
    size = int(np.prod(shape, dtype=np.intp))
    if found.size != size:
        raise DimensionMismatchError.of(name, size, found.size, text=f"{size} numbers", got=f"{found.size}")
    return found.astype(np.float64).reshape(shape)


def score_mod(function: JavaScriptFunction) -> Callable[..., np.ndarray]:
    """A function of the scores as attention takes it; asked in double precision, in which it is differentiated."""

    def modify(scores: np.ndarray, *_indices: object) -> np.ndarray:
        return numbers(function(scores.astype(np.float64)), "score_mod", scores.shape)

    return modify

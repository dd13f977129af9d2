"""The errors of graphattend: every bad input ends in exactly one of these.

Each carries a short machine-readable ``code`` (the same string in JavaScript) and, where it is known,
the ``argument`` at fault, what was ``expected`` and what was the ``actual`` value.
"""

from __future__ import annotations

import functools
from typing import Any, ClassVar, Self

from ._printable import printable as _printable


class AttentionError(Exception):
    """Base of all errors raised by graphattend.

    Args:
        message: One line for people: the argument, what was expected, what came.
        argument: Name of the argument at fault, if there is one.
        expected: What was expected (a number, a shape, or words).
        actual: What came instead.

    Example:
        >>> import graphattend as ga
        >>> try:
        ...     ga.create("scaled_dot_product", -1)
        ... except ga.AttentionError as error:
        ...     print(error.code, error.argument)
        invalid_config dim
    """

    code: ClassVar[str] = "attention_error"

    def __init__(
        self,
        message: str,
        *,
        argument: str | None = None,
        expected: object = None,
        actual: object = None,
    ) -> None:
        if "\n" in message:  # an array that is shown has several lines
            message = " ".join(message.split())
        message = _printable(message)  # a name out of a file may hold what steers a terminal
        super().__init__(message)
        self.message = message
        self.argument = argument
        self.expected: Any = expected
        self.actual: Any = actual

    @classmethod
    def of(
        cls, argument: str, expected: object, actual: object, *, text: str | None = None, got: str | None = None
    ) -> Self:
        """The error whose message is ``"argument: expected …, got …"``.

        Args:
            argument: Name of the argument at fault.
            expected: What was expected.
            actual: What came instead.
            text: Words for `expected` in the message, where the value itself says too little.
            got: Words for `actual` in the message.

        Returns:
            The error, to be raised.

        Example:
            >>> from graphattend.errors import DimensionMismatchError
            >>> print(DimensionMismatchError.of("names", 3, 2, text="3, one per node"))
            names: expected 3, one per node, got 2
        """
        message = f"{argument}: expected {expected if text is None else text}, got {actual if got is None else got}"
        return cls(message, argument=argument, expected=expected, actual=actual)

    def __str__(self) -> str:
        return self.message


class DimensionMismatchError(AttentionError, ValueError):
    """An array has the wrong number of axes or the wrong length along one; see ``expected`` and ``actual``."""

    code = "dimension_mismatch"


class EmptyInputError(AttentionError, ValueError):
    """An array has an axis of length zero where at least one entry is required."""

    code = "empty_input"


class NumericalInstabilityError(AttentionError, ArithmeticError):
    """NaN or infinity in data, or an iteration that did not converge."""

    code = "numerical_instability"


class InvalidConfigError(AttentionError, ValueError):
    """An option, name or kind of data that is not allowed (also: text, objects or complex numbers as data)."""

    code = "invalid_config"


class OutOfBoundsError(AttentionError, IndexError):
    """An index outside its range.

    Args:
        message: One sentence for people.
        index: The index that was asked for.
        length: The number of entries there are.
        argument: Name of the argument at fault.
    """

    code = "out_of_bounds"

    def __init__(self, message: str, *, index: int, length: int, argument: str | None = None) -> None:
        super().__init__(message, argument=argument, expected=f"0 <= index < {length}", actual=index)
        self.index = index
        self.length = length

    def __reduce__(self) -> tuple[Any, ...]:
        """What copies (also those that a process pool sends back) are made from."""
        return functools.partial(type(self), index=self.index, length=self.length), self.args, self.__dict__


class UnsupportedError(AttentionError, NotImplementedError):
    """Something this build, backend or mechanism cannot do."""

    code = "unsupported"


class LoadError(AttentionError, OSError):
    """A file that is missing, damaged, hostile or of an unknown version; the message names it."""

    code = "load_error"


class CancelledError(AttentionError, RuntimeError):
    """Work that its caller stopped before there was a result."""

    code = "cancelled"


class WorkerLostError(AttentionError, RuntimeError):
    """Processes that worked for a call died more often than it may make good."""

    code = "worker_lost"


class InternalError(AttentionError, RuntimeError):
    """A fault of graphattend itself: please report it."""

    code = "internal_error"

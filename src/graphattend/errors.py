"""The errors of graphattend; every bad input raises one of them.

Each error has a short machine-readable ``code`` (the same string in JavaScript) and, if known, the ``argument`` at
fault, the ``expected`` and the ``actual`` value.
"""

from __future__ import annotations

import functools
from typing import Any, ClassVar, Self

from ._printable import printable as _printable


class AttentionError(Exception):
    """Base of all errors raised by graphattend.

    Args:
        message: One line of text: the argument, the expected and the actual value.
        argument: Name of the argument at fault, or None.
        expected: The expected value (a number, a shape, or words).
        actual: The actual value.

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
        if "\n" in message:  # a printed array has several lines
            message = " ".join(message.split())
        message = _printable(message)  # a name from a file may contain control characters
        super().__init__(message)
        self.message = message
        self.argument = argument
        self.expected: Any = expected
        self.actual: Any = actual

    @classmethod
    def of(
        cls, argument: str, expected: object, actual: object, *, text: str | None = None, got: str | None = None
    ) -> Self:
        """Create the error whose message is ``"argument: expected …, got …"``.

        Args:
            argument: Name of the argument at fault.
            expected: The expected value.
            actual: The actual value.
            text: Words for `expected` in the message; by default the value.
            got: Words for `actual` in the message; by default the value.

        Returns:
            The error.

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
    """An array has the wrong number of axes, or an axis has the wrong length."""

    code = "dimension_mismatch"


class EmptyInputError(AttentionError, ValueError):
    """An array has an axis of length zero where at least one entry is required."""

    code = "empty_input"


class NumericalInstabilityError(AttentionError, ArithmeticError):
    """Data contain NaN or infinity, a result overflows, or an iteration did not converge."""

    code = "numerical_instability"


class InvalidConfigError(AttentionError, ValueError):
    """An option, a name or a type of data is not allowed (for example text, objects or complex numbers as data)."""

    code = "invalid_config"


class OutOfBoundsError(AttentionError, IndexError):
    """An index is out of range.

    Args:
        message: One line of text.
        index: The index.
        length: The number of entries.
        argument: Name of the argument at fault.
    """

    code = "out_of_bounds"

    def __init__(self, message: str, *, index: int, length: int, argument: str | None = None) -> None:
        super().__init__(message, argument=argument, expected=f"0 <= index < {length}", actual=index)
        self.index = index
        self.length = length

    def __reduce__(self) -> tuple[Any, ...]:
        """Return the function and arguments that copy and unpickle the error, as in a process pool."""
        return functools.partial(type(self), index=self.index, length=self.length), self.args, self.__dict__


class UnsupportedError(AttentionError, NotImplementedError):
    """This build, backend or mechanism does not support the operation."""

    code = "unsupported"


class LoadError(AttentionError, OSError):
    """A file is missing, damaged, hostile or of an unknown version; the message names it."""

    code = "load_error"


class CancelledError(AttentionError, RuntimeError):
    """The caller cancelled the work before there was a result."""

    code = "cancelled"


class WorkerLostError(AttentionError, RuntimeError):
    """More worker processes of a call died than it may replace."""

    code = "worker_lost"


class InternalError(AttentionError, RuntimeError):
    """A bug of graphattend: please report it."""

    code = "internal_error"

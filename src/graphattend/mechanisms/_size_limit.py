"""How many numbers initial parameters may hold, so that a size out of a file or a typing error costs no memory."""

from __future__ import annotations

import contextlib
import contextvars
import math
from collections.abc import Iterator

from .._validate import LARGEST
from ..errors import InvalidConfigError

_left: contextvars.ContextVar[list[int] | None] = contextvars.ContextVar("_left", default=None)


@contextlib.contextmanager
def budget(numbers: int) -> Iterator[None]:
    """A context in which all mechanisms that are made hold at most so many numbers."""
    token = _left.set([numbers])
    try:
        yield
    finally:
        _left.reset(token)


def reserve(*shape: int) -> None:
    """Refuse an array of this shape, about to be made for initial parameters, if it is too large."""
    size, left = math.prod(shape), _left.get()
    allowed = LARGEST if left is None else left[0]
    if size > allowed:
        names = " × ".join(f"{n:.3g}" if n < 1e300 else "…" for n in shape)
        raise InvalidConfigError.of("parameters", allowed, names, text=f"at most {allowed} numbers")
    if left is not None:
        left[0] -= size

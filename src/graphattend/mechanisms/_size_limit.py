"""A limit on the size of initial parameters, so that a wrong size from a file or a typing error uses no memory."""

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
    """Limit the total number of parameters of all mechanisms that are created in this context."""
    token = _left.set([numbers])
    try:
        yield
    finally:
        _left.reset(token)


def reserve(*shape: int) -> None:
    """Raise an error if an initial parameter of this shape would be too large. Call before creating it."""
    size, left = math.prod(shape), _left.get()
    allowed = LARGEST if left is None else left[0]
    if size > allowed:
        names = " × ".join(f"{n:.3g}" if n < 1e300 else "…" for n in shape)
        raise InvalidConfigError.of("parameters", allowed, names, text=f"at most {allowed} numbers")
    if left is not None:
        left[0] -= size

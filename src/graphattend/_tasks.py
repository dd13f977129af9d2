"""The pool that runs tasks: none (this thread), unless the call is inside a block of `ga.parallel`.

This module contains only the protocol of a pool. Mechanisms and `evaluate` import it; `_parallel`, which implements
it, imports them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any, Protocol

from ._validate import ArrayLike


class Pool(Protocol):
    """The protocol of the pool that `ga.parallel` yields."""

    def map(
        self,
        function: Callable[[Any, Any], Any],
        common: object,
        tasks: Sequence[Any],
        *,
        on_done: Callable[[int, Any], Any] | None = None,
        folder: str | None = None,
    ) -> list[Any]:
        """Compute ``function(common, task)`` for every task, in the order of the tasks."""

    def cancelled_by(self, cancel: object) -> Pool:
        """Return the same pool, which `cancel` cancels, too."""

    def attend(
        self,
        attn: object,
        graph: object,
        queries: ArrayLike,
        keys: ArrayLike | None,
        values: ArrayLike | None,
        need_weights: bool,
        threads: int | None,
    ) -> Any:
        """Compute `Attention.attend` with ranges of nodes as tasks."""


_current: ContextVar[Pool | None] = ContextVar("graphattend_pool", default=None)


def pool() -> Pool | None:
    """Return the pool of the innermost block, or None."""
    return _current.get()


@contextlib.contextmanager
def using(pool: Pool | None) -> Iterator[None]:
    """Run the tasks of this block on `pool`; None: in this thread."""
    token = _current.set(pool)
    try:
        yield
    finally:
        _current.reset(token)

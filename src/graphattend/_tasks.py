"""Where work that can be cut into tasks runs: in this thread, unless a block of `ga.parallel` says otherwise.

This module only knows what such a pool can do, so that the mechanisms and `evaluate` may ask for it; the pools
themselves are above them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any, Protocol

from ._validate import ArrayLike


class Pool(Protocol):
    """What `ga.parallel` gives."""

    def map(
        self,
        function: Callable[[Any, Any], Any],
        common: object,
        tasks: Sequence[Any],
        *,
        on_done: Callable[[int, Any], Any] | None = None,
        folder: str | None = None,
    ) -> list[Any]:
        """``function(common, task)`` for every task, in the order of the tasks."""

    def cancelled_by(self, cancel: object) -> Pool:
        """The same pool, which also stops when this says so."""

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
        """`Attention.attend`, ranges of nodes as tasks."""


_current: ContextVar[Pool | None] = ContextVar("graphattend_pool", default=None)


def pool() -> Pool | None:
    """The pool of the innermost block, if there is one."""
    return _current.get()


@contextlib.contextmanager
def using(pool: Pool | None) -> Iterator[None]:
    """Let this block's work run there; None: in this thread."""
    token = _current.set(pool)
    try:
        yield
    finally:
        _current.reset(token)

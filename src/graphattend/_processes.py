"""The processes that `ga.parallel(4)` starts."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any

from . import _blas


class Processes(ProcessPoolExecutor):
    """A pool of processes that divide the cores among their BLAS libraries.

    The processes are spawned. Forking a process with threads (such as those of BLAS) may deadlock the child, and a fork
    server has the environment of its first use.
    """

    def __init__(self, count: int) -> None:
        super().__init__(count, multiprocessing.get_context("spawn"), _ignore_interrupts)
        self._threads = _blas.share(count)

    def submit(self, fn: Callable[..., Any], /, *args: object, **kwargs: object) -> Future[Any]:
        """As `ProcessPoolExecutor.submit`, which starts the processes."""
        with _blas.inherited(self._threads):
            return super().submit(fn, *args, **kwargs)


def _ignore_interrupts() -> None:
    """Ignore Ctrl-C, which reaches all processes of a terminal; the main process terminates the workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

"""The number of threads of BLAS in worker processes.

By default BLAS has a thread per core in every process. Several such processes compete for the cores, and together they
may be slower than one.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

#: Environment variables that BLAS libraries read when they are loaded.
VARIABLES = (
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "OMP_NUM_THREADS",
)

_environment = threading.Lock()


def share(workers: int) -> int:
    """Return the number of threads that each of `workers` processes may use."""
    return max((os.cpu_count() or 1) // workers, 1)


def chosen() -> bool:
    """Return whether the user (or the program that started this process) has set a number of threads."""
    return any(name in os.environ for name in VARIABLES)


@contextlib.contextmanager
def inherited(threads: int) -> Iterator[None]:
    """Give the processes that are started in this block BLAS libraries with `threads` threads."""
    with _environment:
        if chosen():
            yield
            return
        os.environ.update(dict.fromkeys(VARIABLES, str(threads)))
        try:
            yield
        finally:
            for name in VARIABLES:
                os.environ.pop(name, None)


@contextlib.contextmanager
def limited(threads: int) -> Iterator[None]:
    """Limit the BLAS libraries of this process in this block, if it is a worker process and threadpoolctl is installed.

    It is for processes that others started. Those that start with a setting keep it: the processes of `ga.parallel`, of
    loky and of Dask, and all processes if the user has set one.
    """
    import multiprocessing

    control = None if chosen() or multiprocessing.parent_process() is None else _control()
    with contextlib.nullcontext() if control is None else control.limit(limits=threads, user_api="blas"):
        yield


@lru_cache(maxsize=1)
def _control() -> Any:
    """Return threadpoolctl's control of the loaded libraries, or None."""
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return None
    return ThreadpoolController()

"""Workers that run the tasks of `ga.parallel`: this thread, an executor, a cluster's client, or a joblib backend."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from functools import lru_cache
from typing import Any, Protocol

import numpy as np

from . import _blas, _sharing, _tasks
from .errors import InvalidConfigError, UnsupportedError
from .graph.conversions import need

#: Submitted tasks per worker: enough to keep it busy, few enough to cancel.
QUEUED = 2
#: Seconds between checks of `cancel` while no task finishes.
PATIENCE = 0.1
#: Names of joblib backends; "joblib" is the one set by `joblib.parallel_config`.
JOBLIB = ("joblib", "loky", "threading", "multiprocessing", "dask", "ray")

Done = Callable[[int, Any], Any]
Work = Callable[[Any, Any], Any]


class Control(Protocol):
    """The part of a pool that workers use."""

    folder: str | None  #: folder of large arrays, None for shared memory

    def check(self) -> None:
        """Raise `CancelledError` once the caller has cancelled."""


def call(shared: bytes, task: object) -> bytes:
    """Run one task in a worker; the result is returned as `_sharing.Store` dumps it, like the arguments."""
    path, threads, function, common = _sharing.loads_once(shared)
    with _blas.limited(threads):
        return _sharing.Store(path).dumps(_here(function, common, task))


def _here(function: Callable[[Any, Any], Any], common: object, task: object) -> Any:
    _keep_freed_memory()
    with _tasks.using(None):
        return function(common, task)


@lru_cache(maxsize=1)
def _keep_freed_memory() -> None:
    """Make glibc keep freed memory for the next task, because the system would have to clear new memory.

    glibc keeps twice the size of the largest block freed before, if that has at most 32 MB (`mallopt(3)`).
    """
    if sys.platform == "linux":
        np.empty(31 << 20, np.uint8)


class Workers:
    """Runs tasks one after another in this thread; the base of other workers."""

    def run(
        self, function: Work, common: object, tasks: Sequence[Any], left: set[int], pool: Control, done: Done
    ) -> None:
        """Run the tasks `left`; remove each finished task from the set and call ``done(i, result)``.

        Raises:
            BrokenExecutor: A worker died; the tasks that are left can be run again.
        """
        for i in sorted(left):
            pool.check()
            result = _here(function, common, tasks[i])
            left.discard(i)
            done(i, result)

    def renew(self) -> None:
        """Replace broken workers."""

    def close(self) -> None:
        """Release the resources that were created here."""


class OnExecutor(Workers):
    """Runs tasks on an executor, created here or by the caller.

    Args:
        executor: The caller's executor, or None to create one.
        make: Creates an executor, at first and when one breaks; None if a broken executor cannot be replaced.
    """

    def __init__(self, executor: Executor | None, make: Callable[[], Executor] | None) -> None:
        self._given, self._make = executor, make
        self._own: Executor | None = None

    def _executor(self) -> Executor:
        if self._given is not None:
            return self._given
        if self._own is None:
            assert self._make is not None
            self._own = self._make()
            if not isinstance(self._own, Executor):
                found, self._own = type(self._own).__name__, None
                raise InvalidConfigError.of("executor", "a function that makes an Executor", found)
        return self._own

    def renew(self) -> None:
        """Replace the executor if `make` is given; clusters replace their workers themselves."""
        if self._make is not None:
            self._given = None
            self.close()

    def close(self) -> None:
        """Shut down the executor if it was created here."""
        if self._own is not None:
            self._own.shutdown(wait=True, cancel_futures=True)
            self._own = None

    def _end(self) -> None:
        """Terminate the processes started here, so that an interrupted call does not wait for its tasks."""
        for process in list((getattr(self._own, "_processes", None) or {}).values()):
            process.terminate()

    def run(
        self, function: Work, common: object, tasks: Sequence[Any], left: set[int], pool: Control, done: Done
    ) -> None:
        """As `Workers.run`."""
        executor = self._executor()
        if isinstance(executor, ThreadPoolExecutor):  # shares this process's memory
            self._all(lambda i: executor.submit(_here, function, common, tasks[i]), left, pool, done)
            return
        with contextlib.closing(_sharing.Store.made(pool.folder, _sharing_size(common))) as store:
            shared = store.dumps((store.path, _blas.share(_size(executor)), function, common))
            self._all(
                lambda i: executor.submit(call, shared, tasks[i]), left, pool, lambda i, r: done(i, store.take(r))
            )

    def _all(self, submit: Callable[[int], Future[Any]], left: set[int], pool: Control, done: Done) -> None:
        room = QUEUED * _size(self._executor())
        waiting = sorted(left, reverse=True)
        running: dict[Future[Any], int] = {}
        try:
            while waiting or running:
                while waiting and len(running) < room:
                    running[submit(waiting[-1])] = waiting[-1]
                    waiting.pop()
                finished, _ = wait(running, PATIENCE, FIRST_COMPLETED)
                for future in finished:
                    i = running.pop(future)
                    result = future.result()
                    left.discard(i)
                    done(i, result)
                pool.check()
        except KeyboardInterrupt:
            self._end()
            raise
        finally:
            # Wait for running tasks, because they may write to the folder that is removed next.
            wait([future for future in running if not future.cancel()])


class OnJoblib(Workers):
    """Runs tasks on a joblib backend."""

    def __init__(self, name: str) -> None:
        self._joblib, self._name = need("joblib", "joblib"), name
        with self._configured() as run:
            del run  # raises at once if the backend is missing

    @contextlib.contextmanager
    def _configured(self) -> Iterator[Any]:
        """Yield joblib's `Parallel` on the backend."""
        with contextlib.ExitStack() as stack:
            try:
                if self._name != "joblib":
                    stack.enter_context(self._joblib.parallel_config(self._name, n_jobs=-1))
                run = self._joblib.Parallel(return_as="generator_unordered")
            except (ImportError, ValueError) as error:
                reason = " ".join(str(error).split())[:200]
                raise UnsupportedError(f"executor: {self._name!r} of joblib ({reason})", argument="executor") from None
            yield run

    def run(
        self, function: Work, common: object, tasks: Sequence[Any], left: set[int], pool: Control, done: Done
    ) -> None:
        """As `Workers.run`."""
        made = _sharing.Store.made(pool.folder, _sharing_size(common))
        with self._configured() as run, contextlib.closing(made) as store:
            threads = _blas.share(self._joblib.effective_n_jobs(run.n_jobs))
            shared = store.dumps((store.path, threads, function, common))
            results = run(self._joblib.delayed(_numbered)(shared, i, tasks[i]) for i in sorted(left))
            try:
                for i, result in results:
                    left.discard(i)
                    done(i, store.take(result))
                    pool.check()
            finally:
                results.close()


def _numbered(shared: bytes, i: int, task: object) -> tuple[int, bytes]:
    return i, call(shared, task)


def _sharing_size(common: object) -> int:
    """Return the number of bytes of the arrays that are not memory maps."""
    parts = common.values() if isinstance(common, dict) else [common]
    return sum(a.nbytes for a in parts if isinstance(a, np.ndarray) and _sharing.file_of(a) is None)


def processes(count: int) -> Executor:
    """Return a pool of processes of this machine."""
    from ._processes import Processes  # WebAssembly lacks what it imports

    return Processes(count)


def _size(executor: Executor) -> int:
    """Return the number of workers of an executor; the number of processors if it does not tell."""
    return int(getattr(executor, "_max_workers", None) or os.cpu_count() or 1)


def workers_of(executor: Any) -> Workers:
    """Return the workers for the `executor` argument of `ga.parallel`."""
    if isinstance(executor, str):
        if executor not in JOBLIB:
            raise _wrong(executor)
        _refuse_wasm(f"joblib's backend {executor!r}")
        return OnJoblib(executor)
    if isinstance(executor, (int, np.integer)) and not isinstance(executor, bool):
        count = int(executor)
        if count == -1:
            count = 1 if sys.platform == "emscripten" else os.cpu_count() or 1
        if count < 1:
            raise _wrong(executor)
        if count == 1:
            return Workers()
        _refuse_wasm(f"{count} processes")
        return OnExecutor(None, lambda: processes(count))
    if callable(getattr(executor, "get_executor", None)):  # a client of dask.distributed
        return OnExecutor(executor.get_executor(pure=False), None)
    if isinstance(executor, Executor):
        kinds = {kind.__name__ for kind in type(executor).__mro__}  # WebAssembly cannot import ProcessPoolExecutor
        if {"ThreadPoolExecutor", "ProcessPoolExecutor"} & kinds:
            _refuse_wasm(f"a {type(executor).__name__}")
        if "ProcessPoolExecutor" in kinds:  # a broken one is replaced by ours; the caller's is left alone
            return OnExecutor(executor, lambda: processes(_size(executor)))
        return OnExecutor(executor, None)
    if callable(executor):
        return OnExecutor(None, executor)
    raise _wrong(executor)


def _wrong(executor: object) -> InvalidConfigError:
    text = "a number of processes (-1 for all processors), an Executor, a function that makes one, a Client of "
    text += f"dask.distributed, or a backend of joblib ({', '.join(JOBLIB)})"
    return InvalidConfigError.of("executor", "an executor", executor, text=text, got=f"{executor!r:.80}")


def _refuse_wasm(what: str) -> None:
    if sys.platform == "emscripten":
        raise UnsupportedError(
            f"executor: {what}, but WebAssembly has neither processes nor threads; 1 runs the tasks in turn, and from "
            "JavaScript connect({ workers }) uses several workers",
            argument="executor",
            expected=1,
        )

"""`ga.parallel`: calls that can be cut into tasks, on processes, threads or a cluster.

The module has an underscore because importing it would hide the function of the same name.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, ThreadPoolExecutor, wait
from typing import Any

import numpy as np

from . import _sharing, _tasks
from ._validate import all_finite, as_floats, as_int
from .errors import AttentionError, CancelledError, InvalidConfigError, UnsupportedError, WorkerLostError
from .graph import NeighborGraph
from .graph.blocks import EDGE_FIELDS, block_graph, cut, ranges
from .graph.conversions import need

#: Neighbours × width of one task, about (floats), and the most tasks of one call. Neither depends on the workers, so
#: that the result does not, either.
TASK_ELEMENTS, MOST_TASKS = 1_000_000, 64
#: Tasks that wait in the executor, per worker: enough to keep it busy, few enough to cancel.
QUEUED = 2
#: Seconds between looks at `cancel` while nothing is finished.
PATIENCE = 0.1
#: joblib's backends by name; "joblib" is the one that `joblib.parallel_config` has set.
JOBLIB = ("joblib", "loky", "threading", "multiprocessing", "dask", "ray")
#: What executors raise when a worker died, beside `BrokenExecutor`.
_LOST = ("KilledWorker", "TerminatedWorkerError", "WorkerCrashedError")

Done = Callable[[int, Any], Any]
Work = Callable[[Any, Any], Any]


@contextlib.contextmanager
def parallel(
    executor: object,
    *,
    retries: int = 3,
    on_progress: Callable[[int, int], Any] | None = None,
    cancel: object = None,
    folder: str | os.PathLike[str] | None = None,
) -> Iterator[Pool]:
    """Let `attend`, `evaluate` and `graphattend.dask` in this block run as tasks on several workers.

    Like ``joblib.parallel_config`` in scikit-learn it is a context manager: the calls inside it do not change. `attend`
    is cut into ranges of nodes, `evaluate` into seeds × mechanisms,
    `graphattend.dask` into parts. Tasks depend on the data alone: the result has the same bits on any executor, with
    any number of workers, also after some of them died. Large arrays are not copied to the workers: they lie in shared
    memory, and those that are memory maps of a file (`np.load(..., mmap_mode="r")`) are opened there.

    Where kernels compute, the range of a node does not matter, and `attend` gives the bits that it gives outside the
    block. In NumPy's formulations, and where BLAS projects the nodes, sums may be taken in another order: the result
    then differs by rounding from the one outside, but not between executors. Mechanisms that look beyond the neighbours
    (`sees_all_nodes`, `adds_edges`) and calls with dropout run as one task, here. Processes pay for mechanisms that
    compute much per edge; for dot products ``threads=`` costs less.

    Processes are started anew, not forked: a script needs ``if __name__ == "__main__":`` around the block.

    Args:
        executor: A number of processes (1: none, in turn; -1: one per processor); any `concurrent.futures.Executor`;
            a function that makes one; a ``dask.distributed.Client``; or a backend of joblib by name: "loky",
            "threading", "multiprocessing", "dask", "ray", or "joblib" for the one that ``joblib.parallel_config`` set.
        retries: How many lost workers (or broken pools) are made good before `WorkerLostError`.
        on_progress: Called as ``on_progress(done, total)`` with tasks, after each; returning False cancels.
        cancel: Object with `is_set()` (as threading.Event), or a function; true cancels.
        folder: Where shared arrays go: for workers on other machines a folder that all of them see. By default memory
            that the processes of this machine share.

    Returns:
        A block; it gives the `Pool`, whose `map` runs other functions.

    Raises:
        InvalidConfigError: Something else as `executor`.
        UnsupportedError: Processes or threads in WebAssembly; joblib is not installed.
        WorkerLostError: Inside the block: workers died more often than `retries`.
        CancelledError: Inside the block: `cancel` or `on_progress` said so.

    Example:
        >>> import numpy as np, graphattend as ga
        >>> from concurrent.futures import ThreadPoolExecutor
        >>> attn = ga.create("scaled_dot_product", 4)
        >>> ring = ga.NeighborGraph.from_edge_index([[1, 2, 0], [0, 1, 2]], 3)
        >>> with ga.parallel(1):
        ...     attn.attend(ring, np.eye(3, 4)).tolist()
        [[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0], [1.0, 0.0, 0.0, 0.0]]
    """
    retries = as_int(retries, "retries", minimum=0)
    if on_progress is not None and not callable(on_progress):
        raise InvalidConfigError.of("on_progress", "a function", type(on_progress).__name__)
    if folder is not None and not os.path.isdir(folder):
        raise InvalidConfigError.of("folder", "a folder that exists", folder, got=f"{folder!r:.80}")
    pool = Pool(
        _workers(executor), retries, on_progress, _signal(cancel), None if folder is None else os.fspath(folder)
    )
    try:
        with _tasks.using(pool):
            yield pool
    finally:
        pool.close()


def _signal(cancel: object) -> Callable[[], Any]:
    if cancel is None:
        return lambda: False
    found = getattr(cancel, "is_set", cancel)
    if not callable(found):
        raise InvalidConfigError.of("cancel", "an object with is_set(), or a function", type(cancel).__name__)
    return found


# -- what runs a task --------------------------------------------------------------------------------------------------


def call(shared: bytes, task: object) -> bytes:
    """Run one task in a worker; what it returns travels as the arguments do."""
    path, function, common = _sharing.loads_once(shared)
    with _tasks.using(None):
        result = function(common, task)
    return _sharing.Store(path).dumps(result)


def _here(function: Callable[[Any, Any], Any], common: object, task: object) -> Any:
    with _tasks.using(None):
        return function(common, task)


class Workers:
    """Runs tasks in turn, in this thread; the base of what runs them elsewhere."""

    def run(self, function: Work, common: object, tasks: Sequence[Any], left: set[int], pool: Pool, done: Done) -> None:
        """Run the tasks that are `left`, and say of each what it gave; one that is done leaves the set.

        Raises:
            BrokenExecutor: A worker died; those that are left can be tried again.
        """
        for i in sorted(left):
            pool.check()
            result = _here(function, common, tasks[i])
            left.discard(i)
            done(i, result)

    def renew(self) -> None:
        """Make good what has broken."""

    def close(self) -> None:
        """Give back what was made here."""


class OnExecutor(Workers):
    """Tasks on an executor, made here or by the caller.

    Args:
        executor: The caller's, or None to make one.
        make: Makes one, and another where it breaks; None if that cannot be done.
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
        """Take another executor where one can be made; clusters and joblib's replace their workers themselves."""
        if self._make is not None:
            self._given = None
            self.close()

    def close(self) -> None:
        """Shut down an executor that was made here."""
        if self._own is not None:
            self._own.shutdown(wait=True, cancel_futures=True)
            self._own = None

    def run(self, function: Work, common: object, tasks: Sequence[Any], left: set[int], pool: Pool, done: Done) -> None:
        """As `Workers.run`."""
        executor = self._executor()
        if isinstance(executor, ThreadPoolExecutor):  # shares our memory
            self._all(lambda i: executor.submit(_here, function, common, tasks[i]), left, pool, done)
            return
        with contextlib.closing(_sharing.Store.made(pool.folder, _sharing_size(common))) as store:
            shared = store.dumps((store.path, function, common))
            self._all(
                lambda i: executor.submit(call, shared, tasks[i]), left, pool, lambda i, r: done(i, store.take(r))
            )

    def _all(self, submit: Callable[[int], Future[Any]], left: set[int], pool: Pool, done: Done) -> None:
        room = QUEUED * (getattr(self._executor(), "_max_workers", None) or os.cpu_count() or 1)
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
        finally:
            # Nobody may write into a folder that is being removed.
            wait([future for future in running if not future.cancel()])


class OnJoblib(Workers):
    """Tasks on one of joblib's backends."""

    def __init__(self, name: str) -> None:
        self._joblib, self._name = need("joblib", "joblib"), name
        with self._configured() as run:
            del run  # what cannot be had is said at once

    @contextlib.contextmanager
    def _configured(self) -> Iterator[Any]:
        """Joblib's `Parallel` on the backend."""
        with contextlib.ExitStack() as stack:
            try:
                if self._name != "joblib":
                    stack.enter_context(self._joblib.parallel_config(self._name, n_jobs=-1))
                run = self._joblib.Parallel(return_as="generator_unordered")
            except (ImportError, ValueError) as error:
                reason = " ".join(str(error).split())[:200]
                raise UnsupportedError(f"executor: {self._name!r} of joblib ({reason})", argument="executor") from None
            yield run

    def run(self, function: Work, common: object, tasks: Sequence[Any], left: set[int], pool: Pool, done: Done) -> None:
        """As `Workers.run`."""
        made = _sharing.Store.made(pool.folder, _sharing_size(common))
        with self._configured() as run, contextlib.closing(made) as store:
            shared = store.dumps((store.path, function, common))
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
    """Bytes of the arrays that have no file of their own."""
    parts = common.values() if isinstance(common, dict) else [common]
    return sum(a.nbytes for a in parts if isinstance(a, np.ndarray) and _sharing.file_of(a) is None)


def _processes(count: int) -> Executor:
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    # Forking a process that has threads (BLAS has) may lock up the child.
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    return ProcessPoolExecutor(count, multiprocessing.get_context(method), _ignore_interrupts)


def _ignore_interrupts() -> None:
    """Ctrl-C reaches all processes of a terminal; the one that waits for the workers ends them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _workers(executor: Any) -> Workers:
    """What runs tasks, from what the caller calls it."""
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
        return OnExecutor(None, lambda: _processes(count))
    if callable(getattr(executor, "get_executor", None)):  # a client of dask.distributed
        return OnExecutor(executor.get_executor(pure=False), None)
    if isinstance(executor, Executor):
        name = type(executor).__name__
        if name in ("ThreadPoolExecutor", "ProcessPoolExecutor"):
            _refuse_wasm(f"a {name}")
        if name == "ProcessPoolExecutor":  # cannot be mended; the caller's is left alone
            size = int(getattr(executor, "_max_workers", None) or os.cpu_count() or 1)
            return OnExecutor(executor, lambda: _processes(size))
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


# -- the pool ----------------------------------------------------------------------------------------------------------


class Pool:
    """What the block of `ga.parallel` gives."""

    def __init__(
        self,
        workers: Workers,
        retries: int,
        on_progress: Callable[[int, int], Any] | None,
        cancelled: Callable[[], Any],
        folder: str | None,
    ) -> None:
        self._workers, self._retries = workers, retries
        self._on_progress, self._cancelled = on_progress, cancelled
        self.folder = folder

    def check(self) -> None:
        """Stop if the caller has cancelled."""
        if self._cancelled():
            raise CancelledError("cancel: the caller stopped the work", argument="cancel")

    def cancelled_by(self, cancel: object) -> Pool:
        """The same pool, which also stops when this says so."""
        before, more = self._cancelled, _signal(cancel)
        return Pool(self._workers, self._retries, self._on_progress, lambda: before() or more(), self.folder)

    def close(self) -> None:
        """Shut down what was started here."""
        self._workers.close()

    def map(
        self,
        function: Callable[[Any, Any], Any],
        common: object,
        tasks: Sequence[Any],
        *,
        on_done: Done | None = None,
        folder: str | None = None,
    ) -> list[Any]:
        """``function(common, task)`` for every task.

        Args:
            function: Importable by the workers: at the top of a module.
            common: What all tasks need; its large arrays are shared, and read-only.
            tasks: Small values.
            on_done: Called as ``on_done(i, result)`` when task i is finished; returning False cancels.
            folder: Where shared arrays go, unless the pool has a folder.

        Returns:
            The results, in the order of the tasks. Large arrays among them may be read-only.

        Raises:
            WorkerLostError: More workers died than `retries`.
            CancelledError: The caller cancelled.
        """
        results: list[Any] = [None] * len(tasks)
        left = set(range(len(tasks)))

        def done(i: int, result: object) -> None:
            results[i] = result
            going = on_done is None or on_done(i, result) is not False
            if self._on_progress is not None:
                going = self._on_progress(len(tasks) - len(left), len(tasks)) is not False and going
            if not going and left:
                raise CancelledError("on_progress: the caller stopped the work", argument="on_progress")

        before, self.folder = self.folder, self.folder or folder
        try:
            self._until_done(function, common, tasks, left, done)
        finally:
            self.folder = before
        return results

    def _until_done(self, function: Work, common: object, tasks: Sequence[Any], left: set[int], done: Done) -> None:
        lost = 0
        while left:
            try:
                self._workers.run(function, common, tasks, left, self, done)
            except AttentionError:
                raise
            except Exception as error:
                if not isinstance(error, BrokenExecutor) and type(error).__name__ not in _LOST:
                    raise
                lost += 1
                self._workers.renew()
                if lost > self._retries:
                    raise WorkerLostError(
                        f"executor: workers died {lost} times ({type(error).__name__}), {len(left)} of {len(tasks)} "
                        "tasks are left; they may need more memory than there is",
                        argument="executor",
                        expected=f"at most {self._retries} lost workers",
                        actual=lost,
                    ) from error

    def attend(
        self,
        attn: Any,
        graph: Any,
        queries: object,
        keys: object,
        values: object,
        need_weights: bool,
        threads: int | None,
    ) -> Any:
        """`Attention.attend`, ranges of nodes as tasks."""
        named = {"queries": queries, "keys": keys, "values": values}
        given = {name: x for name, x in named.items() if x is not None or name == "queries"}
        nodes = dict(zip(given, as_floats(given, *given.values()), strict=True))
        if not _can_be_cut(attn, graph, nodes):
            with _tasks.using(None):  # says what is wrong, if anything is
                return attn.attend(graph, queries, keys, values, need_weights=need_weights, threads=threads)
        read = {*attn.needed, *attn.used}
        structural = {"structural_features", "query_structural"} & read
        common = {
            "attn": attn,
            "options": {"need_weights": need_weights, "threads": threads},
            "indptr": graph.indptr,
            "indices": graph.indices,
            **{name: getattr(graph, name) for name in EDGE_FIELDS if name in read},
            "layers": graph.layers,
            "structural": graph.structural_features() if structural else None,
            **nodes,
        }
        work = (graph.num_edges + graph.num_nodes) * attn.dim
        ends = ranges(graph.indptr, int(min(max(work // TASK_ELEMENTS, 1), MOST_TASKS, graph.num_nodes)))
        tasks = [(int(a), int(b)) for a, b in itertools.pairwise(ends)]
        parts: list[Any] = [None] * len(tasks)
        out: np.ndarray | None = None

        def keep(i: int, result: tuple[np.ndarray, Any]) -> None:
            nonlocal out
            rows, parts[i] = result
            if out is None:
                out = np.empty((graph.num_nodes, rows.shape[1]), rows.dtype)
            out[slice(*tasks[i])] = rows

        self.map(attend_rows, common, tasks, on_done=keep)
        return (out, np.concatenate(parts)) if need_weights else out


def _can_be_cut(attn: Any, graph: object, nodes: dict[str, np.ndarray]) -> bool:
    """Whether nodes can attend in ranges. What is wrong with the arguments is left to the ordinary pass to say."""
    if attn.sees_all_nodes or attn.adds_edges or not isinstance(graph, NeighborGraph):
        return False
    for name, a in nodes.items():
        any_width = name == "values" and attn.any_value_width
        if a.ndim != 2 or len(a) != graph.num_nodes or not a.size or not (any_width or a.shape[1] == attn.dim):
            return False
    return not attn.check_finite or all_finite(*nodes.values())


def attend_rows(common: dict[str, Any], rows: tuple[int, int]) -> tuple[np.ndarray, np.ndarray | None]:
    """Output, and weights if asked for, of a range of nodes: a task of `Pool.attend`."""
    start, stop = rows
    block = cut(common["indptr"], common["indices"], start, stop)
    edges = slice(int(common["indptr"][start]), int(common["indptr"][stop]))
    data = {name: common[name][edges] for name in EDGE_FIELDS if common.get(name) is not None}

    def local(x: np.ndarray | None) -> Any:
        return None if x is None else np.concatenate([x[start:stop], x[block.halo]])

    graph = block_graph(block, local(common["structural"]), layers=local(common["layers"]), **data)
    attn, options = common["attn"], common["options"]
    found = attn.attend(graph, *(local(common.get(n)) for n in ("queries", "keys", "values")), **options)
    if not options["need_weights"]:
        return found[: stop - start], None
    out, weights = found
    own = int(attn._attended_graph(graph).indptr[stop - start])  # with the edges that the mechanism adds
    return out[: stop - start], weights[:own]

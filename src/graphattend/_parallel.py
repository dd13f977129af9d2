"""`ga.parallel`: run calls as tasks on processes, threads or a cluster.

The module's name has an underscore, because importing ``graphattend.parallel`` would hide the function.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import BrokenExecutor
from typing import Any

import numpy as np

from . import _tasks
from ._validate import all_finite, as_floats, as_int
from ._workers import Done, Work, Workers, workers_of
from .errors import AttentionError, CancelledError, InvalidConfigError, WorkerLostError
from .graph import NeighborGraph
from .graph.blocks import EDGE_FIELDS, block_graph, cut, ranges

#: Approximate size of a task (neighbours × width, in floats), and the maximum number of tasks of one call. Neither
#: depends on the workers, so the result does not, either.
TASK_ELEMENTS, MOST_TASKS = 1_000_000, 64
#: Errors besides `BrokenExecutor` that executors raise when a worker dies.
_LOST = ("KilledWorker", "TerminatedWorkerError", "WorkerCrashedError")


@contextlib.contextmanager
def parallel(
    executor: object,
    *,
    retries: int = 3,
    on_progress: Callable[[int, int], Any] | None = None,
    cancel: object = None,
    folder: str | os.PathLike[str] | None = None,
) -> Iterator[Pool]:
    """Run `attend`, `evaluate` and `graphattend.dask` in this block as tasks on several workers.

    It is a context manager, like ``joblib.parallel_config`` in scikit-learn: the calls inside it do not change. A task
    is a range of nodes for `attend`, one seed and mechanism for `evaluate`, and a partition for `graphattend.dask`.
    The tasks depend only on the data. The result therefore has the same bits on any executor with any number of
    workers, even if some of them die. Large arrays are not copied to the workers but put in shared memory; arrays that
    are memory maps of a file (`np.load(..., mmap_mode="r")`) are mapped by the workers.

    With kernels, `attend` returns the same bits as outside the block. NumPy's formulations, and BLAS where it projects
    the nodes, may sum in another order: the result then differs from that outside the block by rounding, but not
    between executors. Mechanisms that read more than the neighbours (`sees_all_nodes`, `adds_edges`) and calls with
    dropout run as one task in this process. Processes pay off for mechanisms that compute much per edge; for dot
    products ``threads=`` costs less.

    Processes are not forked: a script needs ``if __name__ == "__main__":`` around the block. They divide the cores
    among their BLAS libraries, with at least one thread each. So do the processes of an executor that is given, if
    threadpoolctl is installed, and only inside the block. ``OPENBLAS_NUM_THREADS`` and the variables of other BLAS
    libraries take precedence.

    Args:
        executor: A number of processes (1: none, the tasks run one after another in this process; -1: one per
            processor); any `concurrent.futures.Executor`; a function that creates one; a ``dask.distributed.Client``;
            or the name of a joblib backend: "loky", "threading", "multiprocessing", "dask", "ray", or "joblib" for the
            one set by ``joblib.parallel_config``.
        retries: Number of lost workers (or broken pools) that are replaced before `WorkerLostError` is raised.
        on_progress: Called as ``on_progress(done, total)`` after each task; returning False cancels.
        cancel: An object with `is_set()` (such as threading.Event), or a function; a true result cancels.
        folder: Folder for shared arrays; workers on other machines need one that all of them see. By default the
            shared memory of this machine.

    Returns:
        A context manager that yields the `Pool`, whose `map` runs other functions.

    Raises:
        InvalidConfigError: `executor` is none of these.
        UnsupportedError: Processes or threads in WebAssembly; joblib is not installed.
        WorkerLostError: Inside the block: more workers died than `retries`.
        CancelledError: Inside the block: `cancel` or `on_progress` cancelled.

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
        workers_of(executor), retries, on_progress, _signal(cancel), None if folder is None else os.fspath(folder)
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


class Pool:
    """The pool that ``with ga.parallel(...) as pool`` yields."""

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
        """Raise `CancelledError` if the caller has cancelled."""
        if self._cancelled():
            raise CancelledError("cancel: the caller stopped the work", argument="cancel")

    def cancelled_by(self, cancel: object) -> Pool:
        """Return the same pool, which `cancel` cancels, too."""
        before, more = self._cancelled, _signal(cancel)
        return Pool(self._workers, self._retries, self._on_progress, lambda: before() or more(), self.folder)

    def close(self) -> None:
        """Shut down the workers that were started here."""
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
        """Compute ``function(common, task)`` for every task.

        Args:
            function: A function that the workers can import: defined at the top level of a module.
            common: Data for all tasks; its large arrays are shared and read-only.
            tasks: Small values.
            on_done: Called as ``on_done(i, result)`` when task i is finished; returning False cancels.
            folder: Folder for shared arrays, unless the pool has a folder.

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
        """Compute `Attention.attend` with ranges of nodes as tasks."""
        named = {"queries": queries, "keys": keys, "values": values}
        given = {name: x for name, x in named.items() if x is not None or name == "queries"}
        nodes = dict(zip(given, as_floats(given, *given.values()), strict=True))
        if not _can_be_cut(attn, graph, nodes):
            with _tasks.using(None):  # raises if the arguments are wrong
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
    """Return whether ranges of nodes can attend separately. Wrong arguments return False: the ordinary call raises."""
    if attn.sees_all_nodes or attn.adds_edges or not isinstance(graph, NeighborGraph):
        return False
    for name, a in nodes.items():
        any_width = name == "values" and attn.any_value_width
        if a.ndim != 2 or len(a) != graph.num_nodes or not a.size or not (any_width or a.shape[1] == attn.dim):
            return False
    return not attn.check_finite or all_finite(*nodes.values())


def attend_rows(common: dict[str, Any], rows: tuple[int, int]) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the output and the weights (None unless ``need_weights``) of a range of nodes: a task of `Pool.attend`."""
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
    own = int(attn._attended_graph(graph).indptr[stop - start])  # counts the edges that the mechanism adds
    return out[: stop - start], weights[:own]

"""`ga.parallel`: calls that can be cut into tasks, on processes, threads or a cluster.

The module has an underscore because importing it would hide the function of the same name.
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

#: Neighbours × width of one task, about (floats), and the most tasks of one call. Neither depends on the workers, so
#: that the result does not, either.
TASK_ELEMENTS, MOST_TASKS = 1_000_000, 64
#: What executors raise when a worker died, beside `BrokenExecutor`.
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

"""`ga.parallel`: the same bits on any executor, progress, cancellation, dead workers."""

import os
import sys
import threading
from concurrent.futures import Executor, Future, ThreadPoolExecutor

import ctrl_c
import numpy as np
import pytest
from graph_cases import case, made_graph

import graphattend as ga
from graphattend import _parallel, _sharing, _workers
from graphattend.graph.blocks import block_graph, cut, localized, ranges


@pytest.fixture(autouse=True)
def small_tasks(monkeypatch):
    monkeypatch.setattr(_parallel, "TASK_ELEMENTS", 500)


@pytest.fixture(scope="module")
def processes():
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MALLOC_TRIM_THRESHOLD_", raising=False)  # Dask's clusters leave it in the environment
        pool = _workers.processes(2)
        yield pool
        pool.shutdown()


def bits_equal(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


# -- blocks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("num_nodes", [9, 9000])
def test_localized_numbers_own_rows_first(num_nodes):
    indices, halo = localized(np.array([2, 7, 3, 7, 0]), 2, 4, num_nodes)
    assert indices.tolist() == [0, 3, 1, 3, 2]
    assert halo.tolist() == [0, 7]


@pytest.mark.parametrize("count", [1, 2, 5, 60])
def test_ranges_cover_all_rows_and_none_is_empty(rng, count):
    graph = made_graph(rng)
    ends = ranges(graph.indptr, count)
    assert (ends[0], ends[-1], len(ends)) == (0, 60, count + 1)
    assert (np.diff(ends) > 0).all()


def test_a_block_holds_the_rows(rng):
    graph = made_graph(rng)
    block = cut(graph.indptr, graph.indices, 10, 20)
    part = block_graph(block)
    names = np.concatenate([np.arange(10, 20), block.halo])
    assert names[part.indices].tolist() == graph.indices[graph.indptr[10] : graph.indptr[20]].tolist()
    assert part.degree()[:10].tolist() == graph.degree()[10:20].tolist()
    assert not part.degree()[10:].any()


# -- the same result ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ga.list_mechanisms())
def test_equals_the_call_outside(key, rng):
    attn, graph, x = case(key, rng)
    expected, weights = attn.attend(graph, x, need_weights=True)
    with ga.parallel(1):
        out, found = attn.attend(graph, x, need_weights=True)
        alone = attn.attend(graph, x)
    np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(found, weights, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(alone, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.native
@pytest.mark.parametrize("key", ga.list_mechanisms())
def test_same_bits_on_processes_and_threads(key, rng, processes, monkeypatch):
    monkeypatch.setattr(_sharing, "LARGE", 256)
    attn, graph, x = case(key, rng, np.float32)
    with ga.parallel(1):
        expected = attn.attend(graph, x, need_weights=True)
    with ga.parallel(processes):
        on_processes = attn.attend(graph, x, need_weights=True)
    with ThreadPoolExecutor(3) as threads, ga.parallel(threads):
        on_threads = attn.attend(graph, x, need_weights=True)
    for found in (on_processes, on_threads):
        assert all(bits_equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.with_kernels  # the rounding of NumPy's formulations depends on the padding of rows
@pytest.mark.parametrize("key", ["scaled_dot_product", "flash"])
def test_kernels_give_the_bits_of_the_call_outside(key, rng):
    graph = made_graph(rng)
    attn = ga.create(key, 8)
    x = rng.standard_normal((60, 8)).astype(np.float32)
    with ga.parallel(1):
        assert bits_equal(attn.attend(graph, x), np.asarray(ga.create(key, 8).attend(graph, x)))


def test_keys_and_values_of_their_own(rng):
    graph = made_graph(rng)
    attn = ga.create("scaled_dot_product", 8)
    q, k, v = rng.standard_normal((60, 8)), rng.standard_normal((60, 8)), rng.standard_normal((60, 3))
    expected = attn.attend(graph, q, k, v)
    with ga.parallel(1):
        np.testing.assert_allclose(attn.attend(graph, q, k, v), expected, rtol=1e-12)
        np.testing.assert_allclose(attn.attend(graph, q, values=v), attn.attend(graph, q, q, v), rtol=1e-12)


def test_added_loops_keep_their_weights(rng):
    graph = made_graph(rng)
    attn = ga.create("edge_featured", 8, edge_dim=3, add_self_loops=True)
    x = rng.standard_normal((60, 8))
    expected = attn.attend(graph, x, need_weights=True)
    with ga.parallel(1):
        for a, b in zip(attn.attend(graph, x, need_weights=True), expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12)


def test_global_nodes_see_everyone(rng):
    graph = made_graph(rng)
    attn = ga.create("local_global", 8, global_nodes=[3])
    x = rng.standard_normal((60, 8))
    expected = attn.attend(graph, x)
    with ga.parallel(1):
        assert bits_equal(attn.attend(graph, x), expected)


@pytest.mark.native
def test_memory_maps_travel_as_paths(rng, tmp_path, processes):
    x = rng.standard_normal((60, 64))
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    store = _sharing.Store.made()
    assert store.keep(mapped)[0] == str(tmp_path / "x.npy")
    assert store.keep(mapped[1:])[0].startswith(store.path)
    assert store.keep(mapped.T)[0].startswith(store.path)
    again = _sharing.loads(store.dumps({"x": mapped[1:], "y": mapped, "z": mapped.T}))
    assert bits_equal(again["x"], x[1:])
    assert bits_equal(again["y"], x)
    np.testing.assert_array_equal(again["z"], x.T)
    store.close()
    graph = made_graph(rng)
    attn = ga.create("scaled_dot_product", 64)
    with ga.parallel(processes):
        found = attn.attend(graph, mapped)
    with ga.parallel(1):
        assert bits_equal(found, attn.attend(graph, x))


@pytest.mark.native
@pytest.mark.parametrize("backend", ["joblib", "threading", "loky"])
def test_joblib(backend, rng):
    joblib = pytest.importorskip("joblib")
    attn, graph, x = case("multi_head", rng)
    with ga.parallel(1):
        expected = attn.attend(graph, x)
    with joblib.parallel_config("threading", n_jobs=2), ga.parallel(backend):
        assert bits_equal(attn.attend(graph, x), expected)


@pytest.mark.native
def test_joblib_without_what_the_backend_needs(monkeypatch):
    pytest.importorskip("joblib")
    monkeypatch.setitem(sys.modules, "ray", None)
    for backend in ("ray", "dask"):  # ray is not installed; dask has no client
        with pytest.raises(ga.UnsupportedError, match=backend) as info, ga.parallel(backend):
            pass
        assert info.value.argument == "executor"


def test_evaluate_gives_the_same_numbers():
    ring = ga.NeighborGraph.from_edge_index([list(range(30)), [*range(1, 30), 0]], 30)
    options = {"mechanisms": ["scaled_dot_product", "multi_head"], "seeds": 2, "epochs": 3}
    expected = ga.evaluate(ring, "links", **options)
    seen = []
    with ga.parallel(1):
        found = ga.evaluate(ring, "links", **options, on_progress=lambda *at: seen.append(at))
    assert [e.name for e in found.entries] == [e.name for e in expected.entries]
    for a, b in zip(found.entries, expected.entries, strict=True):
        assert [r.metrics for r in a.runs] == [r.metrics for r in b.runs]
        assert [r.seed for r in a.runs] == [0, 1]
    assert [at[0] for at in seen] == sorted(at[0] for at in seen)
    assert seen[-1][0] == seen[-1][1]


@pytest.mark.native
def test_evaluate_on_processes(processes):
    ring = ga.NeighborGraph.from_edge_index([list(range(30)), [*range(1, 30), 0]], 30)
    options = {"mechanisms": ["scaled_dot_product", "hyperbolic"], "seeds": 2, "epochs": 2, "baselines": False}
    expected = ga.evaluate(ring, "links", **options)
    with ga.parallel(processes):
        found = ga.evaluate(ring, "links", **options)
    for a, b in zip(found.entries, expected.entries, strict=True):
        assert [r.metrics for r in a.runs] == [r.metrics for r in b.runs]
        assert np.array_equal(a.attended.after, b.attended.after)


def test_cancelled_evaluate_keeps_what_is_finished():
    ring = ga.NeighborGraph.from_edge_index([list(range(30)), [*range(1, 30), 0]], 30)
    with ga.parallel(1):
        found = ga.evaluate(
            ring,
            "links",
            mechanisms=["scaled_dot_product", "flash"],
            seeds=2,
            epochs=2,
            on_progress=lambda done, total, name: done < 4,
        )
    assert [e.name for e in found.entries] == ["scaled_dot_product"]
    assert not found.complete


# -- progress, cancelling, dead workers --------------------------------------------------------------------------------


def doubled(common, task):
    return common * task


def nested(common, task):
    from graphattend import _tasks

    return _tasks.pool() is None


def die_once(path, task):
    """End the process when task 3 runs for the first time."""
    if task == 3 and not os.path.exists(path):
        with open(path, "w"):
            pass
        os._exit(9)
    return task * task


def die(common, task):
    os._exit(9)


def refuse(common, task):
    raise ga.OutOfBoundsError("task: expected 0 <= index < 1, got 5", index=5, length=1, argument="task")


def test_map_keeps_the_order():
    with ga.parallel(1) as pool:
        assert pool.map(doubled, 2, [3, 1, 2]) == [6, 2, 4]
        assert pool.map(doubled, 2, []) == []
        assert pool.map(nested, None, [0]) == [True]


def test_progress_and_cancel(rng):
    attn, graph, x = case("scaled_dot_product", rng)
    seen = []
    with ga.parallel(1, on_progress=lambda done, total: seen.append((done, total))):
        attn.attend(graph, x)
    total = seen[0][1]
    assert total > 3
    assert seen == [(i + 1, total) for i in range(total)]
    with ga.parallel(1, on_progress=lambda done, total: done < 2), pytest.raises(ga.CancelledError):
        attn.attend(graph, x)
    stop = threading.Event()
    stop.set()
    for cancel in (stop, lambda: True):
        with ga.parallel(1, cancel=cancel), pytest.raises(ga.CancelledError) as info:
            attn.attend(graph, x)
    assert info.value.code == "cancelled"
    assert len(attn.attend(graph, x)) == 60  # after the block everything works as before


def faults_of_a_task(common, task):
    """Return the page faults while the task allocates and frees 24 MB."""
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    arrays = [np.ones(3 << 20, np.uint8) for _ in range(8)]
    assert all(a[-1] for a in arrays)
    return os.getpid(), resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.mark.native
def test_a_task_has_the_memory_that_the_one_before_it_freed(processes):
    with ga.parallel(processes) as pool:
        found = pool.map(faults_of_a_task, None, range(8))
    later = [faults for i, (worker, faults) in enumerate(found) if worker in [w for w, _ in found[:i]]]
    pages = (24 << 20) // os.sysconf("SC_PAGE_SIZE")
    assert len(later) >= 6
    assert max(later) < (pages // 4 if sys.platform == "linux" else 2 * pages)


@pytest.mark.native
def test_cancel_on_processes(processes):
    with ga.parallel(processes, on_progress=lambda done, total: False) as pool, pytest.raises(ga.CancelledError):
        pool.map(doubled, 1, range(50))
    assert processes.submit(doubled, 2, 3).result() == 6  # the caller's executor keeps working


@pytest.mark.native
@pytest.mark.parametrize("given", ["number", "executor", "function"])
def test_a_dead_worker_is_made_good(given, tmp_path):
    from concurrent.futures.process import BrokenProcessPool

    path = str(tmp_path / "died")
    executor = {"number": 2, "executor": _workers.processes(2), "function": lambda: _workers.processes(2)}[given]
    with ga.parallel(executor) as pool:
        assert pool.map(die_once, path, range(8)) == [i * i for i in range(8)]
    assert os.path.exists(path)
    if given == "executor":
        with pytest.raises(BrokenProcessPool):
            executor.submit(doubled, 1, 1).result()
        executor.shutdown()


SCRIPT = """
import os, time, graphattend as ga

def wait(common, task):
    os.write(1, b"%d\\n" % os.getpid())  # in one piece
    time.sleep(600)  # nobody waits for it

if __name__ == "__main__":
    with ga.parallel(2) as pool:
        pool.map(wait, None, range(100))
"""


@pytest.mark.native
def test_an_interrupt_ends_everything_quietly(tmp_path):
    import signal
    import subprocess

    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    with subprocess.Popen(
        [sys.executable, script],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        preexec_fn=ctrl_c.heard,
    ) as process:
        try:
            workers = set()
            while len(workers) < 2:  # a starting worker could not handle the signal yet
                workers.add(int(process.stdout.readline()))
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does on Ctrl-C
            _, err = process.communicate(timeout=60)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)  # else leaving waits until the workers have slept
            raise
    assert process.returncode != 0
    assert err.count("Traceback") == 1  # only the script's, none of the workers'


@pytest.mark.native
def test_workers_that_keep_dying_are_an_error():
    with ga.parallel(2, retries=1) as pool, pytest.raises(ga.WorkerLostError) as info:
        pool.map(die, None, range(4))
    assert (info.value.code, info.value.actual) == ("worker_lost", 2)


@pytest.mark.native
def test_a_dead_loky_worker_is_made_good(tmp_path):
    pytest.importorskip("joblib")
    with ga.parallel("loky") as pool:
        assert pool.map(die_once, str(tmp_path / "died"), range(8)) == [i * i for i in range(8)]


@pytest.mark.native
def test_typed_errors_come_back(processes):
    with ga.parallel(processes) as pool, pytest.raises(ga.OutOfBoundsError) as info:
        pool.map(refuse, None, range(4))
    assert (info.value.index, info.value.argument) == (5, "task")


@pytest.mark.native
def test_nothing_is_left_behind(processes, tmp_path):
    with ga.parallel(processes, folder=tmp_path) as pool:
        found = pool.map(doubled, np.ones(100_000), [2.0, 3.0])
    assert [float(a.sum()) for a in found] == [200_000.0, 300_000.0]
    assert not list(tmp_path.iterdir())


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("executor", [0, -2, 1.5, None, "pool", True, object()])
def test_no_executor(executor):
    with pytest.raises(ga.InvalidConfigError) as info, ga.parallel(executor):
        pass
    assert info.value.argument == "executor"


@pytest.mark.parametrize(
    ("option", "value"), [("retries", -1), ("on_progress", 3), ("cancel", "now"), ("folder", "/no/such/folder")]
)
def test_bad_options(option, value):
    with pytest.raises(ga.InvalidConfigError) as info, ga.parallel(1, **{option: value}):
        pass
    assert info.value.argument == option


def test_a_function_that_makes_no_executor():
    with ga.parallel(lambda: 3) as pool, pytest.raises(ga.InvalidConfigError):
        pool.map(doubled, 1, [1])


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda x: x[:-1], ga.DimensionMismatchError),
        (lambda x: x[:, :3], ga.DimensionMismatchError),
        (lambda x: np.where(x == x[5, 2], np.nan, x), ga.NumericalInstabilityError),
        (lambda x: x[0], ga.DimensionMismatchError),
    ],
)
def test_bad_nodes_are_refused_as_outside(change, error, rng):
    attn, graph, x = case("scaled_dot_product", rng)
    with pytest.raises(error) as outside:
        attn.attend(graph, change(x))
    with ga.parallel(1), pytest.raises(error) as inside:
        attn.attend(graph, change(x))
    assert str(inside.value) == str(outside.value)


def test_missing_metadata_is_refused_as_outside(rng):
    graph = ga.NeighborGraph.from_edge_index([[1, 2, 0], [0, 1, 2]], 3)
    with ga.parallel(1), pytest.raises(ga.InvalidConfigError, match=r"graph\.distances"):
        ga.create("graph_rope", 4).attend(graph, np.eye(3, 4))


class Inline(Executor):
    """A user-defined executor without processes or threads."""

    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        future.set_result(fn(*args, **kwargs))
        return future


def test_any_executor(rng):
    attn, graph, x = case("scaled_dot_product", rng)
    with ga.parallel(1):
        expected = attn.attend(graph, x)
    with ga.parallel(Inline()):
        assert bits_equal(attn.attend(graph, x), expected)


class Interrupted(Executor):
    """An executor of the caller whose first task gets the Ctrl-C; the others are never run."""

    def __init__(self):
        self.futures = []

    def submit(self, fn, /, *args, **kwargs):
        self.futures.append(Future())
        if len(self.futures) == 1:
            self.futures[0].set_exception(KeyboardInterrupt())
        return self.futures[-1]


def test_a_task_that_is_interrupted_ends_the_call(rng):
    attn, graph, x = case("scaled_dot_product", rng)
    executor = Interrupted()
    with ga.parallel(executor), pytest.raises(KeyboardInterrupt):
        attn.attend(graph, x)
    assert all(future.done() for future in executor.futures)  # the others are cancelled, none is waited for


def test_webassembly_has_no_processes(monkeypatch):
    monkeypatch.setattr(sys, "platform", "emscripten")  # inside Pyodide this changes nothing
    for executor in (2, "loky", ThreadPoolExecutor(1)):
        with pytest.raises(ga.UnsupportedError, match="WebAssembly") as info, ga.parallel(executor):
            pass
        assert info.value.argument == "executor"
    for executor in (1, -1):
        with ga.parallel(executor):
            pass

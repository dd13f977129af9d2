"""Attention over parts: equal to that in memory, resumed after interruptions, on a cluster that loses a worker."""

import os
import signal
import threading

import numpy as np
import pytest
from graph_cases import NODES, case, made_graph

import graphattend as ga
from graphattend.dask import Layout, _arrays, _attend, attend, partition
from graphattend.mechanisms import mechanism_class

LOCAL = [key for key in ga.list_mechanisms() if not mechanism_class(key)(8).sees_all_nodes]


@pytest.fixture
def place(rng, tmp_path):
    """Return a graph in four parts, features, and the path of the output."""
    graph = made_graph(rng)
    partition(graph, tmp_path / "g", 4, method="rcm" if _has("scipy") else "range")
    x = rng.standard_normal((NODES, 8)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    return graph, x, tmp_path


def _has(name):
    import importlib.util

    return importlib.util.find_spec(name) is not None


SDPA = ga.create("scaled_dot_product", 8)


@pytest.mark.parametrize("method", ["metis", "rcm", "range"])
@pytest.mark.parametrize("key", LOCAL)
def test_equals_the_call_in_memory(key, method, rng, tmp_path):
    for needed, library in (("metis", "pymetis"), ("rcm", "scipy")):
        if method == needed:
            pytest.importorskip(library)
    attn, graph, x = case(key, rng)
    if attn.adds_edges:  # an example that has global nodes
        attn = mechanism_class(key)(attn.dim)
    structural = bool({"structural_features"} & {*attn.needed, *attn.used})
    partition(graph, tmp_path / "g", 5, method=method, structural_features=structural)
    np.save(tmp_path / "x.npy", x)
    found = attend(attn, tmp_path / "g", tmp_path / "x.npy", tmp_path / "out.npy")
    np.testing.assert_allclose(found, attn.attend(graph, x), rtol=1e-12, atol=1e-14)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["g", "out.npy", "x.npy"]


@pytest.mark.with_kernels  # the rounding of NumPy's formulations depends on the padding of rows
@pytest.mark.parametrize("parts", [1, 3])
def test_kernels_give_the_bits_of_the_call_in_memory(parts, place):
    graph, x, folder = place
    partition(graph, folder / "h", parts)
    found = attend(SDPA, folder / "h", folder / "x.npy", folder / "out.npy")
    assert found.dtype == np.float32
    assert found.tobytes() == SDPA.attend(graph, x).tobytes()


@pytest.mark.parametrize("key", ["multi_head", "edge_featured"])
def test_float32_agrees_to_1e6(key, place):
    graph, x, folder = place
    attn = ga.create(key, 8)
    found = attend(attn, folder / "g", x, folder / "out.npy")
    np.testing.assert_allclose(found, attn.attend(graph, x), rtol=1e-6, atol=1e-6)


def test_added_loops(place):
    graph, x, folder = place
    attn = ga.create("edge_featured", 8, edge_dim=3, add_self_loops=True)
    found = attend(attn, folder / "g", x, folder / "out.npy")
    np.testing.assert_allclose(found, attn.attend(graph, x), rtol=1e-5, atol=1e-6)


def test_layers_follow_each_other(place):
    graph, x, folder = place
    layers = [ga.create("scaled_dot_product", 8), ga.create("multi_head", 8), ga.create("flash", 8)]
    expected = x
    for layer in layers:
        expected = layer.attend(graph, expected)
    seen = []
    found = attend(layers, folder / "g", x, folder / "out.npy", on_progress=lambda *at: seen.append(at))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert seen[-1] == (12, 12)
    assert [at[0] for at in seen] == sorted(at[0] for at in seen)


@pytest.mark.parametrize("form", ["path", pytest.param("map", marks=pytest.mark.native), "array", "zarr", "zarr path"])
def test_forms_of_features_and_output(form, place):
    graph, x, folder = place
    expected = SDPA.attend(graph, x)
    source, out = str(folder / "x.npy"), str(folder / "out.npy")
    if form == "map":
        source = np.load(source, mmap_mode="r")
        out = np.lib.format.open_memmap(out, mode="w+", dtype=np.float32, shape=x.shape)
    elif form == "array":
        source, out = x, np.zeros_like(x)
    elif form.startswith("zarr"):
        zarr = pytest.importorskip("zarr")
        stored = zarr.create_array(str(folder / "x.zarr"), shape=x.shape, chunks=(7, 8), dtype=x.dtype)
        stored[:] = x
        if form == "zarr":
            out = zarr.create_array(str(folder / "o.zarr"), shape=x.shape, chunks=(9, 8), dtype=x.dtype)
            source = stored
        else:
            source, out = str(folder / "x.zarr"), str(folder / "out.zarr")
    found = attend(SDPA, folder / "g", source, out)
    if not isinstance(out, str):
        assert found is out
    np.testing.assert_allclose(np.asarray(found[:]), expected, rtol=1e-6)
    assert not list(folder.glob("*.parts"))


@pytest.mark.parametrize("method", ["rcm", "range"])
def test_without_maps_that_can_be_written(method, place, monkeypatch):
    """Without writeable memory maps, as in WebAssembly."""
    if method == "rcm":
        pytest.importorskip("scipy")
    monkeypatch.setattr(_arrays, "_CAN_MAP", False)
    graph, x, folder = place
    partition(graph, folder / "g", 3, method=method)
    np.testing.assert_allclose(attend(SDPA, folder / "g", x, folder / "out.npy"), SDPA.attend(graph, x), rtol=1e-6)
    np.save(folder / "e.npy", graph.to_edge_index())
    partition(folder / "e.npy", folder / "g", 3)
    np.testing.assert_allclose(attend(SDPA, folder / "g", x, folder / "out.npy"), SDPA.attend(graph, x), rtol=1e-6)


def test_whole_numbers_are_features(place):
    graph, x, folder = place
    whole = (10 * x).astype(np.int16)
    found = attend(SDPA, folder / "g", whole, folder / "out.npy")
    np.testing.assert_allclose(found, SDPA.attend(graph, whole), rtol=1e-6)
    assert found.dtype == np.float32


# -- interruptions -----------------------------------------------------------------------------------------------------


class Stop(Exception):
    """Stands for anything that ends a process."""


def counting(monkeypatch, fail_at=None):
    """Record which parts are computed; one of them may fail while its output is written."""
    done = []
    inner = _attend.attend_part

    def task(common, number):
        if number == fail_at:
            part = common["layout"].part(number)
            order = common["layout"].node_array("order")
            rows = np.arange(part.start, part.stop - 1)
            with _arrays.changed(os.path.join(common["here"], "out.npy")) as out:
                out[rows if order is None else order[rows]] = 99  # half of it
            raise Stop
        done.append(number)
        return inner(common, number)

    monkeypatch.setattr(_attend, "attend_part", task)
    return done


def test_a_rerun_skips_what_is_complete(place, monkeypatch):
    graph, x, folder = place
    with monkeypatch.context() as patch:
        done = counting(patch, fail_at=2)
        with pytest.raises(Stop):
            attend(SDPA, folder / "g", folder / "x.npy", folder / "out.npy")
    assert done == [0, 1]
    assert not (folder / "out.npy").exists()
    with monkeypatch.context() as patch:
        done = counting(patch)
        found = attend(SDPA, folder / "g", folder / "x.npy", folder / "out.npy")
    assert done == [2, 3]
    np.testing.assert_allclose(found, SDPA.attend(graph, x), rtol=1e-6)
    assert not list(folder.glob("*.parts"))


def test_what_a_loss_of_power_took_is_computed_again(place, monkeypatch):
    graph, x, folder = place
    with monkeypatch.context() as patch:
        counting(patch, fail_at=3)
        with pytest.raises(Stop):
            attend(SDPA, folder / "g", folder / "x.npy", folder / "out.npy")
    here = folder / "out.npy.parts" / "layer-0"
    lost = Layout.open(folder / "g").own(1)
    with _arrays.changed(str(here / "out.npy")) as out:
        out[lost[2:4] if isinstance(lost, np.ndarray) else slice(lost.start + 2, lost.start + 4)] = 0
    (here / "part-0.done").write_text("")
    with monkeypatch.context() as patch:
        done = counting(patch)
        found = attend(SDPA, folder / "g", folder / "x.npy", folder / "out.npy")
    assert done == [0, 1, 3]
    np.testing.assert_allclose(found, SDPA.attend(graph, x), rtol=1e-6)


@pytest.mark.parametrize("changed", ["mechanism", "features", "graph"])
def test_a_rerun_of_something_else_starts_over(changed, place, monkeypatch, rng):
    graph, x, folder = place
    with monkeypatch.context() as patch:
        counting(patch, fail_at=2)
        with pytest.raises(Stop):
            attend(SDPA, folder / "g", folder / "x.npy", folder / "out.npy")
    attn = SDPA
    if changed == "mechanism":
        attn = ga.create("scaled_dot_product", 8, temperature=0.5)
    elif changed == "features":
        x = x + 1
        np.save(folder / "x.npy", x)
        os.utime(folder / "x.npy", ns=(1, 1))  # a changed time, even if the file system's clock is coarse
    else:
        graph = made_graph(rng)
        partition(graph, folder / "g", 4)
    with monkeypatch.context() as patch:
        done = counting(patch)
        found = attend(attn, folder / "g", folder / "x.npy", folder / "out.npy")
    assert done == [0, 1, 2, 3]
    np.testing.assert_allclose(found, attn.attend(graph, x), rtol=1e-6)


def test_layers_that_are_finished_are_not_repeated(place, monkeypatch):
    graph, x, folder = place
    layers = [SDPA, ga.create("flash", 8)]
    stop = threading.Event()

    def halt(done, total):
        if done >= 6:
            stop.set()

    with pytest.raises(ga.CancelledError):
        attend(layers, folder / "g", folder / "x.npy", folder / "out.npy", on_progress=halt, cancel=stop)
    with monkeypatch.context() as patch:
        done = counting(patch)
        found = attend(layers, folder / "g", folder / "x.npy", folder / "out.npy")
    assert done == [2, 3]
    np.testing.assert_allclose(found, layers[1].attend(graph, SDPA.attend(graph, x)), rtol=1e-6)


def test_progress_cancels(place):
    _, _, folder = place
    with pytest.raises(ga.CancelledError):
        attend(SDPA, folder / "g", folder / "x.npy", folder / "out.npy", on_progress=lambda done, total: done < 2)
    seen = []
    attend(SDPA, folder / "g", folder / "x.npy", folder / "out.npy", on_progress=lambda *at: seen.append(at))
    assert seen == [(2, 4), (3, 4), (4, 4)]


# -- workers -----------------------------------------------------------------------------------------------------------


@pytest.mark.native
def test_on_processes_and_threads(place):
    _, x, folder = place
    expected = attend(SDPA, folder / "g", folder / "x.npy", folder / "a.npy")
    with ga.parallel(2) as pool:
        around = attend(SDPA, folder / "g", folder / "x.npy", folder / "b.npy")
        with pytest.raises(ga.CancelledError):
            attend(SDPA, folder / "g", folder / "x.npy", folder / "d.npy", cancel=lambda: True)
        assert pool.map(len, [1], []) == []
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as threads:
        given = attend(SDPA, folder / "g", x, folder / "c.npy", client=threads)
    assert np.array_equal(around, expected)
    assert np.array_equal(given, expected)


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", host="127.0.0.1"
        ) as local,
        distributed.Client(local) as client,
    ):
        yield client


@pytest.mark.native
def test_a_cluster_gives_the_same_bits(cluster, place):
    _, _, folder = place
    expected = attend(SDPA, folder / "g", folder / "x.npy", folder / "a.npy")
    found = attend(SDPA, folder / "g", folder / "x.npy", folder / "b.npy", client=cluster)
    assert np.array_equal(found, expected)


@pytest.mark.native
@pytest.mark.filterwarnings("default")  # distributed warns about the lost worker
def test_a_killed_worker_changes_nothing(cluster, rng, tmp_path):
    graph = made_graph(rng)
    partition(graph, tmp_path / "g", 12, method="range")
    x = rng.standard_normal((NODES, 8))
    np.save(tmp_path / "x.npy", x)
    killed = []

    def kill(done, total):
        if done == 6 and not killed:
            killed.append(next(iter(cluster.run(os.getpid).values())))
            os.kill(killed[0], signal.SIGKILL)

    found = attend(SDPA, tmp_path / "g", tmp_path / "x.npy", tmp_path / "o.npy", client=cluster, on_progress=kill)
    assert killed
    assert killed[0] not in cluster.run(os.getpid).values()
    assert found.tobytes() == attend(SDPA, tmp_path / "g", x, tmp_path / "p.npy").tobytes()


@pytest.mark.native
def test_attend_in_memory_on_a_cluster(cluster, place):
    graph, x, _ = place
    with ga.parallel(1):
        expected = SDPA.attend(graph, x)
    with ga.parallel(cluster):
        assert np.array_equal(SDPA.attend(graph, x), expected)


@pytest.mark.native
def test_joblib_on_a_cluster(cluster, place):
    pytest.importorskip("joblib")
    _, _, folder = place
    expected = attend(SDPA, folder / "g", folder / "x.npy", folder / "a.npy")
    with ga.parallel("dask"):
        found = attend(SDPA, folder / "g", folder / "x.npy", folder / "b.npy")
    assert np.array_equal(found, expected)


# -- errors ------------------------------------------------------------------------------------------------------------


def test_mechanisms_that_look_further_are_refused(place):
    _, x, folder = place
    for attn in (ga.create("cross_space", 8), ga.create("local_global", 8, global_nodes=[1])):
        with pytest.raises(ga.UnsupportedError, match="beyond") as info:
            attend(attn, folder / "g", x, folder / "out.npy")
        assert info.value.argument == "attn"
    with pytest.raises(ga.UnsupportedError):
        attend(ga.create("flash", 8, is_causal=True), folder / "g", x, folder / "out.npy")


def test_what_the_folder_lacks_is_named(rng, tmp_path):
    ring = ga.NeighborGraph.from_edge_index([[1, 2, 0], [0, 1, 2]], 3)
    partition(ring, tmp_path / "g", 2)
    for key, word in (
        ("graph_rope", "distances"),
        ("structural", "structural_features"),
        ("hnsw_aware", "layers"),
    ):
        with pytest.raises(ga.InvalidConfigError, match=word):
            attend(ga.create(key, 4), tmp_path / "g", np.eye(3, 4), tmp_path / "out.npy")
    with pytest.raises(ga.InvalidConfigError, match="edge_features"):
        attend(ga.create("edge_featured", 4, edge_dim=2), tmp_path / "g", np.eye(3, 4), tmp_path / "out.npy")
    assert not (tmp_path / "out.npy.parts").exists()


@pytest.mark.parametrize(
    ("arguments", "error", "name"),
    [
        ({"attn": "flash"}, ga.InvalidConfigError, "attn"),
        ({"attn": []}, ga.InvalidConfigError, "attn"),
        ({"folder": "nowhere"}, ga.LoadError, "folder"),
        ({"features": np.zeros((NODES - 1, 8))}, ga.DimensionMismatchError, "features"),
        ({"features": np.zeros((NODES, 9))}, ga.DimensionMismatchError, "features"),
        ({"features": np.zeros(NODES)}, ga.DimensionMismatchError, "features"),
        ({"features": np.zeros((NODES, 8), complex)}, ga.InvalidConfigError, "features"),
        ({"features": "x.txt"}, ga.InvalidConfigError, "features"),
        ({"features": "missing.npy"}, ga.LoadError, "path"),
        ({"out": "out.txt"}, ga.InvalidConfigError, "out"),
        ({"out": 3}, ga.InvalidConfigError, "out"),
        ({"out": np.zeros((NODES, 7))}, ga.DimensionMismatchError, "out"),
        ({"out": np.zeros((NODES, 8), int)}, ga.InvalidConfigError, "out"),
        ({"out": "no/such/folder/out.npy"}, ga.LoadError, "out"),
        ({"out": "x.npy", "features": "x.npy"}, ga.InvalidConfigError, "out"),
        ({"client": "nobody"}, ga.InvalidConfigError, "executor"),
        ({"on_progress": 3}, ga.InvalidConfigError, "on_progress"),
        ({"cancel": 3}, ga.InvalidConfigError, "cancel"),
        ({"threads": 0}, ga.InvalidConfigError, "threads"),
    ],
)
def test_bad_arguments(arguments, error, name, place, monkeypatch):
    _, x, folder = place
    monkeypatch.chdir(folder)
    given = {"attn": SDPA, "folder": "g", "features": x, "out": "out.npy"} | arguments
    with pytest.raises(error) as info:
        attend(**given)
    assert info.value.argument == name
    assert not (folder / "out.npy").exists()


def test_rubbish_is_named_by_its_node(place):
    _, x, folder = place
    x = x.astype(float)
    x[37, 2] = np.nan
    with pytest.raises(ga.NumericalInstabilityError, match=r"nan at index \(37, 2\)"):
        attend(SDPA, folder / "g", x, folder / "out.npy")


def test_an_overflow_of_finite_features_is_no_fault_of_a_node(place):
    _, x, folder = place
    x[37] = 3e38
    with pytest.raises(ga.NumericalInstabilityError, match="expected a finite result"):
        attend(ga.create("multi_head", 8), folder / "g", x, folder / "out.npy")


def test_truncated_files_are_refused(place):
    _, _, folder = place
    path = folder / "x.npy"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ga.LoadError, match=r"x\.npy"):
        attend(SDPA, folder / "g", path, folder / "out.npy")
    path = folder / "g" / "part-2" / "indptr.npy"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ga.LoadError, match=r"indptr\.npy"):
        attend(SDPA, folder / "g", np.zeros((NODES, 8)), folder / "out.npy")

"""The error messages of partitioned graphs: streams, folders, outputs, labels."""

import json

import numpy as np
import pytest

import graphattend as ga
from graphattend.dask import Layout, _edges, _stream, attend, partition, train

SDPA = ga.create("scaled_dot_product", 4)
RING = ga.NeighborGraph.from_edge_index([np.arange(12), (np.arange(12) + 1) % 12], 12)


@pytest.fixture
def parts(tmp_path):
    partition(RING, tmp_path / "g", 3, method="range")
    return tmp_path / "g"


def test_a_line_without_an_end(tmp_path, monkeypatch):
    monkeypatch.setattr(_edges, "_HEAD", 64)
    monkeypatch.setattr(_edges, "BLOCK_BYTES", 64)
    path = tmp_path / "g.txt"
    path.write_bytes(b"0 1\n1 2\n" + b" " * 200 + b"2 0\n")
    with pytest.raises(ga.LoadError, match="line 3: longer than 64 bytes"):
        partition(path, tmp_path / "parts", 1)


def test_a_stream_without_edges(tmp_path):
    np.save(tmp_path / "none.npy", np.zeros((2, 0), np.int64))
    with pytest.raises(ga.LoadError, match="holds no edges"):
        partition(tmp_path / "none.npy", tmp_path / "parts", 1)


@pytest.mark.parametrize(
    "text",
    [
        "# nothing but a comment\n",
        "\ufeff0 1\n1 0\n",
        "source,target,weight,time\n0,1,2,3\n",
        "source,target\nann,bob\n",
    ],
    ids=["comments", "a mark of byte order", "more columns", "names"],
)
def test_what_is_no_stream_is_left_to_the_reader(tmp_path, text):
    path = tmp_path / "g.csv"
    path.write_text(text, "utf-8")
    assert _edges.edge_file(path, None) is None


def test_the_line_of_a_number_that_is_none(tmp_path):
    path = tmp_path / "g.csv"
    path.write_text("source,target,weight\n0,1,1\n\n1,0,2\n1,2,--\n")
    with pytest.raises(ga.LoadError, match="line 5: expected a number, got '--'"):
        partition(path, tmp_path / "parts", 1)


def test_halos_of_sparse_parts_are_those_of_dense_ones(rng):
    sources = rng.integers(0, 400, 30)
    dense, sparse = (_stream._Sources(100, 200, 400, total) for total in (400, 1))
    for some in np.split(sources, 3):
        dense.add(some)
        sparse.add(some)
    expected = sorted({int(i) for i in sources if not 100 <= i < 200})
    assert dense.halo().tolist() == sparse.halo().tolist() == expected
    assert _stream._Sources(0, 1, 400, 1).halo().size == 0


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda told: told["arrays"].update(layers={"dtype": "<i8", "shape": [5]}), r"layers: expected shape \(12,\)"),
        (lambda told: told["part-0"]["arrays"]["indptr"].update(dtype="<f8"), "indptr: expected whole numbers"),
    ],
)
def test_folders_that_contradict_themselves(parts, change, says):
    path = parts / "graph.json"
    told = json.loads(path.read_text())
    change(told)
    path.write_text(json.dumps(told))
    with pytest.raises(ga.LoadError, match=says):
        Layout.open(parts)


def test_an_output_is_no_input(parts):
    x = np.ones((12, 4))
    with pytest.raises(ga.InvalidConfigError, match="out: expected another array than the features"):
        attend(SDPA, parts, x, x)


def test_a_caller_who_stops_a_run_that_goes_on(parts, tmp_path):
    x, out = np.ones((12, 4)), tmp_path / "out.npy"
    told = []

    def once(done, total):
        told.append(done)
        return len(told) < 3

    for _ in range(2):  # the second run starts from the output of the first
        with pytest.raises(ga.CancelledError):
            attend(SDPA, parts, x, out, on_progress=once)
    assert told[-1] > 0
    np.testing.assert_allclose(attend(SDPA, parts, x, out), SDPA.attend(RING, x))


def test_nodes_without_a_class(parts):
    labels = np.where(np.arange(12) == 3, -1, np.arange(12) % 2)
    with pytest.raises(ga.InvalidConfigError, match=r"nodes: expected labelled nodes, got 1 without a class"):
        train(SDPA, parts, np.ones((12, 4)), labels, nodes=np.arange(6), epochs=1)

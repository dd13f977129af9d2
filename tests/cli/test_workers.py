"""The commands on partitioned graphs, and the options for workers."""

import json

import numpy as np
import pytest

import graphattend as ga
from graphattend.cli import main


@pytest.fixture
def run(capsys):
    """Return a function that runs a command and returns exit status, standard output and standard error."""

    def run(*words):
        status = main([str(word) for word in words])
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def place(rng, tmp_path):
    """Return an edge list, features, and a folder for the outputs."""
    pairs = rng.integers(0, 40, (2, 300))
    (tmp_path / "g.txt").write_text("".join(f"{a} {b}\n" for a, b in pairs.T))
    graph = ga.NeighborGraph.read(tmp_path / "g.txt")
    x = rng.standard_normal((graph.num_nodes, 8)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    return graph, x, tmp_path


def refused(result, *words):
    status, out, err = result
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert all(word in err for word in words)


def test_partition_and_attend(run, place):
    graph, x, folder = place
    status, out, err = run("partition", "--graph", folder / "g.txt", "--parts", 3, "--out", folder / "p", "--json")
    assert (status, err) == (0, "")
    told = json.loads(out)
    assert (told["nodes"], told["edges"], told["parts"], told["method"]) == (graph.num_nodes, 300, 3, "range")
    words = ["attend", folder / "p", "--embeddings", folder / "x.npy", "--out", folder / "y.npy"]
    status, out, err = run(*words, "--mechanism", "scaled_dot_product", "--option", "temperature=0.5")
    assert (status, err) == (0, "")
    assert out == f"{folder / 'y.npy'}: {graph.num_nodes} nodes, 8 coordinates, float32\n"
    attn = ga.create("scaled_dot_product", 8, temperature=0.5)
    np.testing.assert_allclose(np.load(folder / "y.npy"), attn.attend(graph, x), rtol=1e-6)


def test_partition_in_words_and_from_standard_input(run, place, monkeypatch):
    import io
    import sys

    _, _, folder = place
    words = ["--parts", 2, "--method", "range", "--out", folder / "p"]
    status, out, _ = run("partition", "--graph", folder / "g.txt", "--weights", "weight", *words)
    assert status == 2  # the file has no such column
    status, out, _ = run("partition", "--graph", folder / "g.txt", *words)
    assert out.startswith("40 nodes with 300 neighbours in 2 parts (range); halo: ")
    data = (folder / "g.txt").read_bytes()
    monkeypatch.setattr(sys, "stdin", type("Stdin", (), {"buffer": io.BytesIO(data)})())
    assert run("partition", "--graph", "-", *words)[1] == out


def test_layers_and_models(run, place):
    graph, x, folder = place
    run("partition", "--graph", folder / "g.txt", "--parts", 2, "--out", folder / "p")
    words = ["attend", folder / "p", "--embeddings", folder / "x.npy", "--out", folder / "y.npy"]
    told = json.loads(run(*words, "--mechanism", "flash", "--mechanism", "multi_head", "--seed", 3, "--json")[1])
    assert told["mechanisms"] == ["flash", "multi_head"]
    expected = ga.create("multi_head", 8, seed=3).attend(graph, ga.create("flash", 8).attend(graph, x))
    np.testing.assert_allclose(np.load(folder / "y.npy"), expected, rtol=1e-5, atol=1e-6)
    model = ga.create("multi_head", 8, seed=5)
    model.save(folder / "m.npz")
    assert run(*words, "--model", folder / "m.npz")[0] == 0
    np.testing.assert_allclose(np.load(folder / "y.npy"), model.attend(graph, x), rtol=1e-5, atol=1e-6)


def test_refusals(run, place):
    _, _, folder = place
    run("partition", "--graph", folder / "g.txt", "--parts", 2, "--out", folder / "p")
    words = ["attend", folder / "p", "--embeddings", folder / "x.npy", "--out", folder / "y.npy"]
    refused(run(*words), "--mechanism")
    refused(run(*words, "--mechanism", "flash", "--model", folder / "m.npz"), "--mechanism")
    refused(run(*words, "--mechanism", "flesh"), "flash")
    refused(run(*words, "--mechanism", "flash", "--workers", 0), "executor")
    refused(run(*words, "--mechanism", "flash", "--threads", 0), "threads")
    refused(run(*words[:-1], folder / "x.npy", "--mechanism", "flash"), "--out")
    refused(run("attend", folder, *words[2:], "--mechanism", "flash"), "partition")
    refused(run("partition", "--graph", folder / "none.txt", "--parts", 2, "--out", folder / "q"), "none.txt")
    refused(run("partition", "--graph", folder / "g.txt", "--parts", 99, "--out", folder / "q"), "parts")


@pytest.mark.parametrize("command", ["analyze", "compare"])
def test_threads_and_one_worker_change_nothing(run, place, command):
    _, _, folder = place
    words = [command, "--graph", folder / "g.txt", "--mechanism", "flash", "--mechanism", "linear", "--csv"]
    expected = run(*words)
    assert expected[0] == 0
    assert run(*words, "--threads", 1, "--workers", 1) == expected
    refused(run(*words, "--threads", "-1"), "threads")


@pytest.mark.native
def test_workers_change_nothing(run, place):
    _, _, folder = place
    run("partition", "--graph", folder / "g.txt", "--parts", 4, "--out", folder / "p")
    words = ["attend", folder / "p", "--embeddings", folder / "x.npy", "--mechanism", "multi_head"]
    run(*words, "--out", folder / "a.npy")
    status, _, err = run(*words, "--out", folder / "b.npy", "--workers", 2)
    assert (status, err) == (0, "")
    assert (folder / "a.npy").read_bytes() == (folder / "b.npy").read_bytes()


@pytest.mark.native
def test_a_cluster_by_its_address(run, place):
    distributed = pytest.importorskip("distributed")
    _, _, folder = place
    run("partition", "--graph", folder / "g.txt", "--parts", 4, "--out", folder / "p")
    words = ["attend", folder / "p", "--embeddings", folder / "x.npy", "--mechanism", "flash"]
    run(*words, "--out", folder / "a.npy")
    options = {"threads_per_worker": 1, "processes": False, "dashboard_address": ":0", "host": "127.0.0.1"}
    with distributed.LocalCluster(n_workers=1, protocol="tcp", **options) as cluster:
        address = cluster.scheduler_address
        status, _, err = run(*words, "--out", folder / "b.npy", "--scheduler", address)
        assert (status, err) == (0, "")
        evaluated = ["evaluate", "--graph", folder / "g.txt", "--task", "links", "--mechanism", "flash", "--epochs", 2]
        here, there = (run(*evaluated, "--json", *more) for more in ((), ("--scheduler", address)))
        assert here[0] == there[0] == 0
        rows = [json.loads(found[1])["rows"] for found in (here, there)]
        assert [row["roc_auc"] for row in rows[0]] == [row["roc_auc"] for row in rows[1]]
    assert (folder / "a.npy").read_bytes() == (folder / "b.npy").read_bytes()
    refused(run(*words, "--out", folder / "c.npy", "--scheduler", "nonsense://1"), "--scheduler")

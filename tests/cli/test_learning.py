"""The commands that train, embed and compress, on realistic files."""

import csv
import json
import re

import numpy as np
import pytest

import graphattend as ga
from graphattend.cli import main, parser
from graphattend.cli._learning import read_labels

FAST = ["--epochs", "4", "--hidden", "8"]
FIRST_LINE = re.compile(r"30 nodes, \d+ edges, (un)?directed")


@pytest.fixture
def graph(tmp_path):
    rng = np.random.default_rng(0)
    i = np.arange(30)
    edges = np.concatenate([np.stack([i, (i + r) % 30]) for r in (1, 2)] + [rng.integers(0, 30, (2, 30))], axis=1)
    lines = [f"n{a},n{b}" for a, b in np.concatenate([edges, edges[::-1]], axis=1).T]
    path = tmp_path / "graph.csv"
    path.write_text("source,target\n" + "\n".join(lines) + "\n")
    return str(path)


def names(graph):
    return [str(n) for n in ga.NeighborGraph.read(graph).names]


def test_evaluate(graph, tmp_path, capsys):
    plot = tmp_path / "e.html"
    call = ["evaluate", "--graph", graph, "--task", "links", "--mechanism", "flash", "--seeds", "1", *FAST]
    assert main([*call, "--plot", str(plot)]) == 0
    first, _, header, *_ = capsys.readouterr().out.splitlines()
    assert FIRST_LINE.fullmatch(first)
    assert header.split()[0] == "mechanism"
    assert "roc_auc" in plot.read_text()
    assert main([*call, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["best"] == "flash"
    assert main([*call, "--csv"]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    # Without features, the inputs are the spectral embedding, so that `spectral` would be `features` again.
    assert {row["mechanism"] for row in rows} == {"flash", *ga.evaluation.BASELINES} - {"spectral"}
    assert 0 <= float(rows[0]["roc_auc_mean"]) <= 1


def test_layers(graph, tmp_path, capsys):
    call = ["--graph", graph, "--task", "links", "--mechanism", "flash", *FAST]
    for words in (["evaluate", *call, "--seeds", "1"], ["compare", *call, "--seeds", "1"]):
        assert main([*words, "--layers", "2", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["settings"]["layers"] == 2
        assert found["rows"][0]["parameters"] == 16 * 8 + 8 + 2 * (8 * 8 + 1) + 1
    attended = []
    for count in "12":
        out = [str(tmp_path / f"{count}-{name}") for name in ("model.npz", "latents.npy")]
        assert main(["train", *call, "--out", out[0], "--latents", out[1], "--layers", count]) == 0
        attended.append(ga.load(out[0]).attend(ga.NeighborGraph.read(graph), np.load(out[1])))
    assert not np.allclose(*attended)
    with pytest.raises(SystemExit):
        parser().parse_args(["evaluate", *call, "--layers", "3"])


@pytest.mark.parametrize("form", ["{},{}", "{}\t{}", "{};{}", "{} {}", '"{}","{}"', "{1}"])
def test_labels(graph, tmp_path, capsys, form):
    path = tmp_path / "labels.txt"
    lines = [form.format(name, "ab"[i % 2]) for i, name in enumerate(names(graph))]
    path.write_text(("" if form == "{1}" else form.format("node", "label") + "\n") + "\n".join(lines) + "\n")
    found = read_labels(str(path), ga.NeighborGraph.read(graph))
    assert found.tolist() == ["ab"[i % 2] for i in range(30)]
    call = ["evaluate", "--graph", graph, "--task", "labels", "--labels", str(path), "--seeds", "1", *FAST]
    assert main([*call, "--mechanism", "flash", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"] == ["accuracy", "macro_f1"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a\nb\n", "2 labels for 30 nodes; expected one a line, or NODE,LABEL with nodes such as"),
        ("".join(f"none{i},a\n" for i in range(30)), "all lines differ"),
        ("{0},a\n{1},b,c\n", "line 2: expected NODE,LABEL, got 3 fields"),
        ("{0},a\nnone,b\n", "line 2: no node 'none' in the graph; expected NODE,LABEL with nodes such as"),
        ("{0},\0\n", "line 1: a zero byte"),
    ],
)
def test_bad_labels(graph, tmp_path, text, said):
    path = tmp_path / "labels.csv"
    path.write_text(text.format(*names(graph)))
    with pytest.raises(ga.LoadError, match=re.escape(said)):
        read_labels(str(path), ga.NeighborGraph.read(graph))


def test_train_writes_what_analyze_and_load_read(graph, tmp_path, capsys):
    out, latents = tmp_path / "model.npz", tmp_path / "latents.npy"
    call = ["train", "--graph", graph, "--task", "links", "--mechanism", "hyperbolic", *FAST]
    assert main([*call, "--out", str(out), "--latents", str(latents), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["mechanism"] == "hyperbolic"
    attn, x = ga.load(out), np.load(latents)
    assert attn.attend(ga.NeighborGraph.read(graph), x).shape == (30, 8)


def test_analyze_a_model(graph, tmp_path, capsys):
    out, latents = tmp_path / "model.npz", tmp_path / "latents.npy"
    train = ["train", "--graph", graph, "--task", "links", "--mechanism", "rl_navigator", "--epochs", "4"]
    train += ["--hidden", "6"]
    assert main([*train, "--out", str(out), "--latents", str(latents)]) == 0
    assert FIRST_LINE.match(capsys.readouterr().out)
    call = ["analyze", "--graph", graph, "--model", str(out), "--json"]
    assert main([*call, "--embeddings", str(latents), "--mechanism", "flash"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [r["key"] for r in found["results"]] == ["model.npz", "flash"]
    _, weights = ga.load(out).attend(ga.NeighborGraph.read(graph), np.load(latents).astype(float), need_weights=True)
    np.testing.assert_allclose(found["results"][0]["weights"], weights, rtol=1e-12)
    assert main([*call[:-1], "--embeddings", str(latents)]) == 0
    header, row = capsys.readouterr().out.splitlines()[2:4]
    entropy = row.split()[1]
    assert row.index(entropy) + len(entropy) == header.index("entropy") + len("entropy")
    for words, said in (([], "embeddings"), (["--embeddings", graph], "graph.csv"), (["--model", graph], "graph.csv")):
        assert main([*call, *words]) == 2
        assert said in capsys.readouterr().err


def test_compare_by_a_task_is_evaluate(graph, capsys):
    words = ["--graph", graph, "--task", "links", "--mechanism", "flash", "--seeds", "1", *FAST, "--json"]
    found = []
    for command in ("compare", "evaluate"):
        assert main([command, *words]) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert found[0]["metrics"] == found[1]["metrics"]
    assert [row["roc_auc"] for row in found[0]["rows"]] == [row["roc_auc"] for row in found[1]["rows"]]


def test_embed(graph, tmp_path, capsys):
    out = tmp_path / "e.csv"
    assert main(["embed", "--graph", graph, "--dim", "3", "--out", str(out)]) == 0
    assert FIRST_LINE.match(capsys.readouterr().out)
    rows = list(csv.reader(out.read_text().splitlines()))
    assert [row[0] for row in rows[1:]] == names(graph)
    found = np.array([row[1:] for row in rows[1:]], float)
    np.testing.assert_allclose(found, ga.graph.spectral_embedding(ga.NeighborGraph.read(graph), 3))
    learned = tmp_path / "e.npz"
    assert (
        main(["embed", "--graph", graph, "--dim", "8", "--mechanism", "flash", "--epochs", "3", "--out", str(learned)])
        == 0
    )
    with np.load(learned) as file:
        assert file["embeddings"].shape == (30, 8)
        assert file["names"].tolist() == names(graph)
    assert "roc_auc" in capsys.readouterr().out


def test_compress(tmp_path, capsys):
    x = np.random.default_rng(0).standard_normal((20, 16)).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    call = ["compress", "--embeddings", str(tmp_path / "x.npy"), "--out", str(tmp_path / "x.npz")]
    assert main([*call, "--option", "bits=8", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    compressed = ga.compression.Compressed.load(tmp_path / "x.npz")
    back = compressed.decode()
    assert told["largest_error"] == pytest.approx(np.abs(back - x).max(), rel=1e-6)


def test_recommend(graph, capsys):
    assert main(["recommend", "--graph", graph, "--json"]) == 0
    wanted = ga.recommend(ga.NeighborGraph.read(graph))
    assert json.loads(capsys.readouterr().out)["key"] == wanted.key


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["evaluate", "--task", "labels"], "--labels"),
        (["evaluate", "--task", "links", "--labels", "x.txt"], "--labels"),
        (["evaluate", "--task", "links", "--seeds", "0"], "seeds"),
        (["compare", "--task", "links", "--seed", "1"], "--seed"),
        (["compare", "--cache", "runs"], "--task"),
        (["compare", "--task", "labels"], "--labels"),
        (["train", "--task", "links", "--mechanism", "flash", "--out", "m.txt"], "--out"),
        (["train", "--task", "links", "--mechanism", "flahs", "--out", "m.npz"], "flahs"),
        (["embed", "--out", "no/such/folder/x.npy"], "--out"),
        (["embed", "--out", "x.npy", "--dim", "0"], "dim"),
    ],
)
def test_bad_usage_is_one_line(graph, tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    assert main([words[0], "--graph", graph, *words[1:]]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["graph.csv"]


def test_an_input_is_never_replaced(graph, tmp_path, capsys):
    x = tmp_path / "x.npz"
    np.savez(x, np.eye(4))
    before = x.read_bytes()
    assert main(["compress", "--embeddings", str(x), "--out", str(x)]) == 2
    assert x.read_bytes() == before
    assert "--out" in capsys.readouterr().err

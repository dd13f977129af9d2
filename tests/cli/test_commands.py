"""The commands on real files: output, streams and exit status."""

import csv
import io
import itertools
import json
import math
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import graphattend as ga
from graphattend.cli import COMMANDS, benchmark, main, parser

Run = Callable[..., tuple[int, str, str]]
EDGES = "a b\nb c\nc a\nc d\nd c\n"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs a command and returns exit status, standard output and standard error."""

    def run(*words: object) -> tuple[int, str, str]:
        status = main([str(word) for word in words])
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    path = tmp_path / "graph.txt"
    path.write_text(EDGES)
    return path


def refused(result: tuple[int, str, str], *words: str) -> None:
    """Check for status 2 and one line on stderr that names the fault."""
    status, out, err = result
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert err.startswith("graphattend")
    assert "Traceback" not in err
    for word in words:
        assert word in err


def test_list_names_every_mechanism(run: Run) -> None:
    status, out, err = run("list")
    assert (status, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()[1:]] == ga.list_mechanisms()
    assert json.loads(run("list", "--json")[1]) == json.loads(json.dumps(ga.schema()))
    rows = list(csv.DictReader(io.StringIO(run("list", "--csv")[1])))
    assert [row["key"] for row in rows] == ga.list_mechanisms()


def test_info(run: Run) -> None:
    status, out, err = run("info", "--json")
    assert (status, err) == (0, "")
    facts = json.loads(out)
    assert facts["graphattend"] == ga.__version__
    assert facts["backend"] == ga.backend_info()["backend"]
    assert ga.__version__ in run("info")[1]
    assert dict(csv.reader(io.StringIO(run("info", "--csv")[1])))["backend"] == facts["backend"]


def test_version(run: Run) -> None:
    assert run("--version") == (0, f"graphattend {ga.__version__}\n", "")


def test_help_of_everything(run: Run) -> None:
    for words in [[], *([name] for name in COMMANDS)]:
        status, out, err = run(*words, "--help")
        assert (status, err) == (0, "")
        assert out.startswith("usage: graphattend")


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_of_the_help_are_valid(run: Run, name: str) -> None:
    assert COMMANDS[name].EXAMPLES
    for example in COMMANDS[name].EXAMPLES:
        assert f"  {example}\n" in run(name, "--help")[1]
        words = shlex.split(example[example.index("graphattend") :])
        assert parser().parse_args(words[1:]).command == name


COMPLETED = {
    "an": ["analyze"],
    "--ver": ["--version"],
    "analyze --mechanism hn": ["hnsw_aware"],
    "analyze --gr": ["--graph"],
    "analyze --seed ": [],
    "train --task ": ["links", "labels"],
    "compress --codec low": ["low_rank"],
    "info --graph gra": ["graph.csv"],
    "convert gra": ["graph.csv"],
    "--print-completion t": ["tcsh"],
}


@pytest.mark.native
def test_completion_in_bash(run: Run, tmp_path: Path) -> None:
    status, script, err = run("--print-completion", "bash")
    assert (status, err) == (0, "")
    (tmp_path / "graph.csv").touch()
    for typed, expected in COMPLETED.items():
        words = shlex.join(["graphattend", *typed.split(" ")])
        code = f'{script}\nCOMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _graphattend; printf "%s\\n" "${{COMPREPLY[@]}}"'
        done = subprocess.run(["bash", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert (done.stdout.split(), done.stderr) == (expected, ""), typed


def test_completion_of_the_other_shells(run: Run) -> None:
    assert run("--print-completion", "zsh")[1].startswith("autoload -U +X bashcompinit && bashcompinit\n_graphattend()")
    tcsh = run("--print-completion", "tcsh")[1]
    assert tcsh.startswith("complete graphattend 'p/1/(list info analyze ")
    assert "'n/--task/(links labels)/'" in tcsh
    assert "'n/--graph/f/'" in tcsh
    fish = run("--print-completion", "fish")[1].splitlines()
    assert f"complete -c graphattend -n __fish_use_subcommand -a list -d '{COMMANDS['list'].HELP}'" in fish
    (task,) = [line for line in fish if "__fish_seen_subcommand_from train'" in line and "-l task " in line]
    assert "-x -a 'links labels'" in task
    (graph,) = [line for line in fish if "__fish_seen_subcommand_from train'" in line and "-l graph " in line]
    assert "-r -F" in graph
    assert "complete -c graphattend -n '__fish_seen_subcommand_from convert' -F" in fish
    refused(run("--print-completion", "powershell"), "powershell")


@pytest.mark.parametrize("suffix", [".txt", ".edges", ".edgelist", ".csv", ".tsv", ".json", ".npz"])
def test_analyze_reads_every_format(run: Run, tmp_path: Path, graph: Path, suffix: str) -> None:
    path = tmp_path / f"same{suffix}"
    pairs = [line.split() for line in EDGES.splitlines()]
    if suffix in (".json", ".npz"):
        ga.NeighborGraph.read(graph).save(path)
    elif suffix in (".csv", ".tsv"):
        sign = "," if suffix == ".csv" else "\t"
        path.write_text("".join(f"{sign.join(p)}\n" for p in [["source", "target"], *pairs]))
    else:
        path.write_text(EDGES)
    words = ["--mechanism", "flash", "--json"]
    found = json.loads(run("analyze", "--graph", path, *words)[1])
    wanted = json.loads(run("analyze", "--graph", graph, *words)[1])
    assert found["nodes"] == wanted["nodes"] == ["a", "b", "c", "d"]
    assert found["results"][0]["weights"] == wanted["results"][0]["weights"]


def test_analyze_prints_tables(run: Run, graph: Path) -> None:
    status, out, err = run("analyze", "--graph", graph, "--nodes", 2)
    assert (status, err) == (0, "")
    assert out.startswith("4 nodes, 5 edges")
    assert out.count(" attends to\n") == 2
    assert "skipped hnsw_aware" in out


def test_how_a_graph_is_read(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "trips.csv"
    path.write_text("source,target,trips,km\na,b,4,1\nb,c,2,3\n")
    words = ["--mechanism", "flash"]
    assert run("analyze", "--graph", path, *words)[1].startswith("3 nodes, 2 edges, directed, ")
    assert run("analyze", "--graph", path, "--undirected", *words)[1].startswith("3 nodes, 2 edges, undirected, ")
    wide = ["--undirected", "--weights", "trips", "--edge-features", "km", "--json", "--mechanism", "edge_featured"]
    found = json.loads(run("analyze", "--graph", path, *wide)[1])
    assert found["edges"] == 2
    assert len(found["indices"]) == 4
    assert found["results"][0]["options"]["edge_dim"] == 1
    refused(run("analyze", "--graph", path, "--weights", "price"), "trips.csv", "price", "'trips'")
    refused(run("analyze", "--graph", path, "--directed", "--undirected"), "--undirected")
    refused(run("analyze", "--graph", path, "--format", "xyz"), "format")

    def given(text: bytes) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))

    given(path.read_bytes())
    assert run("analyze", "--graph", "-", *words)[1].startswith("3 nodes, 2 edges, directed, ")
    given(b"a b\nb c\n")
    assert run("compare", "--graph", "-", "--undirected", "--format", "edges", *words)[0] == 0
    given(b"")
    refused(run("analyze", "--graph", "-", *words), "standard input: is empty")


def test_convert(run: Run, tmp_path: Path, graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("g.graphml", "g.csv", "g.json.gz", "g.net"):
        assert run("convert", graph, tmp_path / name) == (0, "4 nodes, 5 edges, directed\n", "")
        assert run("convert", tmp_path / name, tmp_path / "back.edges")[0] == 0
        assert sorted((tmp_path / "back.edges").read_text().split("\n")) == sorted(EDGES.split("\n"))
    assert run("convert", graph, tmp_path / "g.gml", "--undirected")[1] == "4 nodes, 5 edges, undirected\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(EDGES.encode())))
    assert run("convert", "-", tmp_path / "g.json")[0] == 0
    refused(run("convert", graph, graph), "TO", "is the input")
    refused(run("convert", graph, tmp_path / "g.xyz"), "ending in")
    refused(run("convert", graph, tmp_path / "g.mtx"), "names")
    refused(run("convert", tmp_path / "none.csv", tmp_path / "g.json"), "none.csv")


def test_info_about_a_graph(run: Run, tmp_path: Path, graph: Path) -> None:
    facts = json.loads(run("info", "--graph", graph, "--json")[1])
    assert facts == {
        "nodes": 4,
        "edges": 5,
        "directed": True,
        "loops": 0,
        "most_neighbours": 2,
        "without_neighbours": 0,
        "names": True,
        "weights": False,
        "distances": False,
        "edge_features": 0,
        "layers": 0,
    }
    assert "undirected" not in run("info", "--graph", graph)[1]
    assert json.loads(run("info", "--graph", graph, "--undirected", "--json")[1])["directed"] is False
    refused(run("info", "--graph", tmp_path / "none.csv"), "none.csv")


def test_edges_are_counted_as_people_count_them(run: Run, tmp_path: Path) -> None:
    nx = pytest.importorskip("networkx")
    path = tmp_path / "miserables.json"
    path.write_text(json.dumps(nx.node_link_data(nx.les_miserables_graph(), edges="links")))
    words = ["--mechanism", "flash"]
    assert run("analyze", "--graph", path, *words)[1].startswith("77 nodes, 254 edges, undirected, ")
    assert json.loads(run("analyze", "--graph", path, "--json", *words)[1])["edges"] == 254
    assert json.loads(run("info", "--graph", path, "--json")[1])["edges"] == 254
    for name in ("g.csv", "g.npz", "g.gexf", "g.gml"):
        assert run("convert", path, tmp_path / name)[1] == "77 nodes, 254 edges, undirected\n"
        assert json.loads(run("info", "--graph", tmp_path / name, "--json")[1])["edges"] == 254
    assert run("analyze", "--graph", path, *words, "--plot", tmp_path / "page.html")[0] == 0
    assert "77 nodes, 254 edges, undirected" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_analyze_json_and_csv_agree(run: Run, graph: Path) -> None:
    words = ["analyze", "--graph", graph, "--mechanism", "flash", "--mechanism", "hyperbolic"]
    found = json.loads(run(*words, "--json")[1])
    rows = list(csv.DictReader(io.StringIO(run(*words, "--csv")[1])))
    assert [r["mechanism"] for r in rows] == ["flash"] * 5 + ["hyperbolic"] * 5
    weights = [w for r in found["results"] for w in r["weights"]]
    np.testing.assert_array_equal([float(r["weight"]) for r in rows], weights)
    sums: dict[tuple[str, str], float] = {}
    for r in rows:
        sums[r["mechanism"], r["node"]] = sums.get((r["mechanism"], r["node"]), 0) + float(r["weight"])
    np.testing.assert_allclose(list(sums.values()), 1, rtol=1e-12)


def test_options_and_seed_act(run: Run, graph: Path) -> None:
    words = ["analyze", "--graph", graph, "--mechanism", "multi_head", "--json"]
    results = [
        json.loads(run(*words, *more)[1])["results"][0]
        for more in ([], ["--seed", 1], ["--option", "temperature=0.1"], ["--option", "num-heads=2"])
    ]
    assert len({tuple(r["weights"]) for r in results}) == 4
    assert [r["options"]["temperature"] for r in results] == [1, 1, 0.1, 1]
    assert results[1]["options"]["seed"] == 1
    assert results[3]["options"]["num_heads"] == 2


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".csv", ".txt"])
def test_embeddings_from_files(run: Run, tmp_path: Path, graph: Path, suffix: str, rng: np.random.Generator) -> None:
    x = rng.standard_normal((4, 8)).round(6)
    path = tmp_path / f"x{suffix}"
    if suffix == ".npy":
        np.save(path, x)
    elif suffix == ".npz":
        np.savez(path, x)
    else:
        np.savetxt(path, x, delimiter="," if suffix == ".csv" else " ")
    words = ["analyze", "--graph", graph, "--mechanism", "flash", "--json", "--embeddings", path]
    from graphattend.analysis import analyze

    wanted = analyze(ga.NeighborGraph.read(graph), x, ["flash"]).results[0].weights
    np.testing.assert_array_equal(json.loads(run(*words)[1])["results"][0]["weights"], wanted)


@pytest.mark.parametrize("text", ["4 2\n10 1 2\n11 1 2\n12 1 2\n13 1 2\n", "10 0.5\n11 1.5\n12 2.5\n13 3.5\n"])
def test_words_are_no_coordinates(run: Run, tmp_path: Path, graph: Path, text: str) -> None:
    path = tmp_path / "words.txt"
    path.write_text(text)
    refused(run("analyze", "--graph", graph, "--mechanism", "flash", "--embeddings", path), "words.txt", "names")


def test_embeddings_are_matched_by_name(run: Run, tmp_path: Path, graph: Path) -> None:
    path = tmp_path / "words.vec"
    path.write_text("5 2\nd 1 0\nc 0 1\nx 9 9\nb 1 1\na 0 2\n")
    words = ["analyze", "--graph", graph, "--mechanism", "flash", "--json", "--embeddings"]
    np.save(tmp_path / "rows.npy", np.array([[0.0, 2], [1, 1], [0, 1], [1, 0]]))
    found, wanted = (json.loads(run(*words, p)[1])["results"][0]["weights"] for p in (path, tmp_path / "rows.npy"))
    assert found == wanted
    path.write_text("a 1 0\nb 0 1\n")
    refused(run(*words, path), "words.vec", "2 of 4 nodes: 'c', 'd'")


def test_compare(run: Run, graph: Path) -> None:
    words = ["compare", "--graph", graph, "--mechanism", "flash", "--mechanism", "linear", "--mechanism", "hyperbolic"]
    found = json.loads(run(*words, "--json")[1])
    assert found["mechanisms"] == ["flash", "linear", "hyperbolic"]
    np.testing.assert_allclose(np.diag(found["agreement"]), 1, rtol=1e-12)
    rows = list(csv.reader(io.StringIO(run(*words, "--csv")[1])))
    assert rows[0] == ["mechanism", "flash", "linear", "hyperbolic"]
    np.testing.assert_allclose(np.array([r[1:] for r in rows[1:]], float), found["agreement"], atol=6e-4)
    first, _, *table = run(*words)[1].splitlines()
    assert first == "4 nodes, 5 edges, directed"
    assert len(table) == 4


def test_benchmark(run: Run) -> None:
    words = ["benchmark", "--mechanism", "flash", "--neighbors", 8, "--dim", 8, "--seconds", 0.001]
    status, out, err = run(*words, "--json")
    assert (status, err) == (0, "")
    [row] = json.loads(out)
    assert row["mechanism"] == "flash"
    assert 0 < row["ms_p50"] <= row["ms_p95"]
    assert row["ops_per_second"] == pytest.approx(1000 / row["ms_p50"])
    assert run(*words)[1].splitlines()[1].startswith("flash")
    assert run(*words, "--option", "block_size=4")[0] == 0


def test_benchmark_with_a_clock_of_whole_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    passed = [0.0]
    durations = itertools.chain([0.02], itertools.repeat(3e-4))  # one slow call does not settle how many are timed
    monkeypatch.setattr(benchmark.time, "perf_counter", lambda: math.floor(passed[0] * 1e3) / 1e3)

    def call() -> None:
        passed[0] += next(durations)

    median, _, per_second = benchmark._time(call, 0.1)
    assert median == pytest.approx(0.3, rel=0.1)
    assert per_second == pytest.approx(1e3 / median)


BAD_GRAPHS: dict[str, tuple[bytes, str]] = {
    "empty.txt": (b"", "empty"),
    "garbage.txt": (bytes(range(256)) * 4, "garbage.txt"),
    "truncated.json": (b'{"nodes": [{"id": 1}], "links": [{"sour', "truncated.json"),
    "list.json": (b"[1, 2]", "list.json"),
    "deep.json": (b"[" * 100_000, "deep.json"),
    "columns.csv": (b"left,right\na,b\n", "columns.csv"),
    "short_row.csv": (b"source,target,weight\na,b,1\nc\n", "short_row.csv"),
    "nan.csv": (b"source,target,weight\na,b,nan\n", "nan.csv"),
    "word.csv": (b"source,target,weight\na,b,heavy\n", "word.csv"),
    "garbage.npz": (b"PK\x03\x04 not a zip", "garbage.npz"),
    "graph.pkl": (b"\x80\x04N.", "graph.pkl"),
}


@pytest.mark.parametrize("command", ["analyze", "compare"])
@pytest.mark.parametrize("name", BAD_GRAPHS)
def test_bad_graph(run: Run, tmp_path: Path, command: str, name: str) -> None:
    content, word = BAD_GRAPHS[name]
    (tmp_path / name).write_bytes(content)
    refused(run(command, "--graph", tmp_path / name), word)


def test_missing_file_folder_and_truncated_archive(run: Run, tmp_path: Path, graph: Path) -> None:
    refused(run("analyze", "--graph", tmp_path / "none.csv"), "none.csv")
    (tmp_path / "folder.csv").mkdir()
    refused(run("analyze", "--graph", tmp_path / "folder.csv"), "folder.csv", "folder")
    whole = tmp_path / "whole.npz"
    ga.NeighborGraph.read(graph).save(whole)
    (tmp_path / "half.npz").write_bytes(whole.read_bytes()[:-40])
    refused(run("analyze", "--graph", tmp_path / "half.npz"), "half.npz")


def test_bad_embeddings(run: Run, tmp_path: Path, graph: Path) -> None:
    def with_file(name: str, content: bytes) -> tuple[int, str, str]:
        (tmp_path / name).write_bytes(content)
        return run("analyze", "--graph", graph, "--embeddings", tmp_path / name)

    def npy(x: object) -> bytes:
        out = io.BytesIO()
        np.save(out, x, allow_pickle=True)
        return out.getvalue()

    refused(with_file("rows.npy", npy(np.ones((3, 2)))), "embeddings", "4", "3")
    refused(with_file("nan.npy", npy(np.full((4, 2), np.nan))), "embeddings")
    refused(with_file("flat.npy", npy(np.ones(4))), "embeddings")
    refused(with_file("none.npy", npy(np.ones((4, 0)))), "embeddings")
    refused(with_file("pickle.npy", npy(np.array([{}], object))), "pickle.npy")
    refused(with_file("words.npy", npy(np.array([["a"]] * 4))), "embeddings")
    refused(with_file("garbage.npy", b"garbage"), "garbage.npy")
    refused(with_file("garbage.npz", b"garbage"), "garbage.npz")
    refused(with_file("ragged.csv", b"1,2\n3\n"), "ragged.csv")
    refused(with_file("words.txt", b"one two\n"), "words.txt")
    refused(with_file("empty.txt", b""), "empty.txt")
    refused(run("analyze", "--graph", graph, "--embeddings", tmp_path), str(tmp_path))
    refused(run("compare", "--graph", graph, "--embeddings", tmp_path / "no.npy"), "no.npy")
    two = io.BytesIO()
    np.savez(two, a=np.ones((4, 2)), b=np.ones((4, 2)))
    refused(with_file("two.npz", two.getvalue()), "two.npz", "one array of numbers")


@pytest.mark.parametrize("command", ["analyze", "compare", "benchmark"])
def test_near_misses_are_named(run: Run, graph: Path, command: str) -> None:
    given = [command] if command == "benchmark" else [command, "--graph", graph]
    refused(run(*given, "--mechanism", "hyperbolik"), "hyperbolik", "hyperbolic")
    refused(run(*given, "--mechanism", "flash", "--option", "temprature=1"), "temprature", "temperature")
    refused(run(*given, "--mechanism", "flash", "--option", "temperature=hot"), "temperature")
    refused(run(*given, "--mechanism", "flash", "--option", "temperature=NaN"), "temperature")
    refused(run(*given, "--mechanism", "flash", "--option", "temperature"), "NAME=VALUE")
    refused(run(*given, "--seed", "-1"), "seed")


def test_bad_usage(run: Run, graph: Path) -> None:
    refused(run(), "COMMAND")
    refused(run("analyse"), "analyse", "analyze")
    refused(run("analyze"), "--graph")
    refused(run("list", "--nope"), "--nope")
    refused(run("list", "--json", "--csv"), "--csv")
    refused(run("analyze", "--graph", graph, "--dim", 0), "dim")
    refused(run("analyze", "--graph", graph, "--dim", "many"), "--dim")
    refused(run("analyze", "--graph", graph, "--nodes", -1), "--nodes")
    for words in (["--neighbors", 0], ["--dim", 4], ["--seconds", 0], ["--seconds", "nan"]):
        refused(run("benchmark", *words), words[0])


def test_plots(run: Run, tmp_path: Path, graph: Path) -> None:
    import xml.etree.ElementTree as ElementTree

    words = ["analyze", "--graph", graph, "--mechanism", "flash", "--csv", "--plot"]
    status, out, err = run(*words, tmp_path / "report.html")
    assert status == 0
    assert out.startswith("mechanism,")
    assert err == ""
    assert (tmp_path / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert run(*words, tmp_path / "picture.svg")[0] == 0
    assert ElementTree.parse(tmp_path / "picture.svg").getroot().tag.endswith("svg")
    for bad in ("picture.gif", "no/folder/report.html", "plain"):
        refused(run(*words, tmp_path / bad), "--plot")
        assert not (tmp_path / bad).exists()


@pytest.mark.parametrize("command", ["compare", "benchmark"])
def test_every_command_on_a_graph_draws(command: str, run: Run, tmp_path: Path, graph: Path) -> None:
    import xml.etree.ElementTree as ElementTree

    words = [command, "--graph", graph, "--mechanism", "flash", "--mechanism", "multi_head", "--seed", 1]
    words += ["--seconds", 0.001] if command == "benchmark" else []
    assert run(*words, "--plot", tmp_path / "page.html")[0] == 0
    assert (tmp_path / "page.html").read_text(encoding="utf-8").count("multi_head") >= 1
    assert run(*words, "--plot", tmp_path / "picture.svg")[0] == 0
    text = "".join(ElementTree.parse(tmp_path / "picture.svg").getroot().itertext())
    assert "flash" in text
    assert "multi_head" in text
    refused(run(*words, "--plot", tmp_path / "picture.gif"), "--plot")


def test_benchmark_over_a_graph(run: Run, tmp_path: Path, graph: Path) -> None:
    words = ["benchmark", "--graph", graph, "--seconds", 0.001, "--json"]
    status, out, _ = run(*words)
    assert status == 0
    found = [row["mechanism"] for row in json.loads(out)]
    first, _, header = run(*words[:-1], "--mechanism", "flash")[1].splitlines()[:3]
    assert re.fullmatch(r"\d+ nodes, \d+ edges, (un)?directed", first)
    assert header.split()[0] == "mechanism"
    assert "flash" in found
    assert "hnsw_aware" not in found  # the graph has no HNSW layers
    refused(run(*words, "--mechanism", "hnsw_aware"), "layers")
    refused(run(*words, "--embeddings", tmp_path / "none.npy"), "none.npy")
    refused(run("benchmark", "--embeddings", graph), "--embeddings")


@pytest.mark.parametrize("command", ["analyze", "compare", "benchmark"])
def test_png(command: str, run: Run, tmp_path: Path, graph: Path) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / "picture.png"
    seconds = ["--seconds", 0.001] if command == "benchmark" else []
    assert run(command, "--graph", graph, "--mechanism", "flash", "--plot", path, *seconds)[0] == 0
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_plot_never_takes_the_place_of_an_input(run: Run, tmp_path: Path, graph: Path) -> None:
    link, vectors = tmp_path / "link.html", tmp_path / "vectors.svg"
    vectors.write_text("1 0\n0 1\n1 1\n0 0\n")
    link.symlink_to(graph)
    for command, plot in (("analyze", link), ("compare", link), ("benchmark", vectors), ("analyze", vectors)):
        words = ["--graph", graph, "--embeddings", vectors, "--mechanism", "flash", "--plot", plot]
        refused(run(command, *words), "--plot", "is an input")
    assert graph.read_text() == EDGES
    (tmp_path / "folder.svg").mkdir()
    status, _, err = run("analyze", "--graph", graph, "--mechanism", "flash", "--plot", tmp_path / "folder.svg")
    assert (status, err.count("\n")) == (2, 1)
    assert "folder.svg: is not a regular file" in err


def test_png_without_matplotlib(run: Run, tmp_path: Path, graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "matplotlib" else find(name, *a))
    refused(run("analyze", "--graph", graph, "--plot", tmp_path / "picture.png"), "--plot", "matplotlib")

"""The commands on a terminal: progress, written files, fitting tables, interrupts, labels that do not fit."""

import io
import os
import re
import signal
import sys

import numpy as np
import pytest

from graphattend.__main__ import main as program
from graphattend.cli import info, main
from graphattend.cli._common import print_rows, progress

EDGES = "source,target\n" + "".join(f"n{i},n{(i + 1) % 12}\n" for i in range(12))


@pytest.fixture
def graph(tmp_path):
    path = tmp_path / "graph.csv"
    path.write_text(EDGES)
    return str(path)


@pytest.fixture
def terminal(monkeypatch, capsys):
    """Make standard output and error terminals, and return what was printed."""
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda self: True)
    return capsys.readouterr


def test_progress_is_a_line_that_is_cleared(graph, terminal):
    assert main(["benchmark", "--graph", graph, "--mechanism", "flash", "--dim", "8", "--seconds", "0.01"]) == 0
    lines = terminal().err.split("\r\x1b[K")
    assert lines[1].startswith("[" + " " * 24 + "] 0/1 flash")
    assert lines[-1] == ""


def test_the_time_that_is_left(terminal):
    show = progress()
    show(1, 2, "flash")
    assert re.search(r"\[#{12} {12}\] 1/2 flash, 0:00 left$", terminal().err)


def test_progress_through_javascript_is_shown_at_once(graph, monkeypatch):
    from graphattend._bridge_calls import command_line

    call = ["benchmark", "--graph", graph, "--mechanism", "flash", "--dim", "8", "--seconds", "0.01"]
    for terminal in (True, False):
        monkeypatch.setattr(sys, "__stderr__", io.StringIO())
        found = command_line(call, {}, [], terminal)
        assert found["status"] == 0
        assert found["stderr"] == ""
        assert ("0/1 flash" in sys.__stderr__.getvalue()) == terminal


def test_no_progress_in_a_pipe():
    assert progress() is None


def test_what_was_written_is_named(graph, terminal, tmp_path):
    out = str(tmp_path / "model.npz")
    call = ["train", "--graph", graph, "--task", "links", "--mechanism", "flash", "--epochs", "2", "--hidden", "8"]
    assert main([*call, "--out", out]) == 0
    assert terminal().err.endswith(f"{out}\n")


@pytest.mark.parametrize(
    "words",
    [
        ["analyze", "--mechanism", "flash"],
        ["compare", "--mechanism", "flash"],
        ["evaluate", "--task", "links", "--mechanism", "flash", "--seeds", "1", "--epochs", "2", "--hidden", "8"],
        ["benchmark", "--mechanism", "flash", "--dim", "8", "--seconds", "0.01"],
    ],
    ids=lambda words: words[0],
)
def test_a_picture_is_there_before_the_output(graph, tmp_path, monkeypatch, words):
    picture = tmp_path / "picture.svg"
    seen = []
    monkeypatch.setattr("builtins.print", lambda *text, **how: seen.append(picture.read_text()))
    assert main([*words, "--graph", graph, "--plot", str(picture)]) == 0
    assert seen
    assert all(text == picture.read_text() for text in seen)


@pytest.mark.parametrize("rich", [True, False])
def test_tables_hold_every_cell(terminal, monkeypatch, rich):
    if rich:
        pytest.importorskip("rich")
    else:
        monkeypatch.setitem(sys.modules, "rich.console", None)

    class Plain:
        json = csv = False

    print_rows(("name", "value"), [("[bold]a[/bold]", 0.5), ("b", 2)], Plain, None)
    out = terminal().out
    for cell in ("name", "value", "[bold]a[/bold]", "0.5", "b", "2"):
        assert cell in out


def test_a_recommendation_in_words(graph, capsys):
    assert main(["recommend", "--graph", graph, "--dim", "4"]) == 0
    first, *reasons = capsys.readouterr().out.splitlines()
    assert first.split()[0] in first
    assert reasons
    assert all(line.startswith("  ") for line in reasons)


def test_an_interrupt_has_its_status(monkeypatch, capsys):
    def interrupted(arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(info, "run", interrupted)
    assert main(["info"]) == 130
    assert capsys.readouterr().err == "graphattend: interrupted\n"


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError(13, "Permission denied", "x.csv"), "x.csv: Permission denied"),
        (OSError("told in\ntwo lines"), "told in two lines"),
        (MemoryError("many\nwords"), "not enough memory"),
    ],
    ids=str,
)
def test_what_the_machine_refuses_is_one_line(monkeypatch, capsys, error, says):
    def refused(arguments):
        raise error

    monkeypatch.setattr(info, "run", refused)
    assert main(["info"]) == 2
    assert capsys.readouterr() == ("", f"graphattend: {says}\n")


class Full(io.StringIO):
    """An output that cannot be written."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def flush(self):
        raise self.error


@pytest.mark.parametrize(
    ("error", "status", "says"),
    [(OSError(28, "full"), 2, "graphattend: full\n"), (BrokenPipeError(), 0, "")],
    ids=["full", "closed"],
)
def test_output_that_is_lost_at_the_end(monkeypatch, capsys, error, status, says):
    monkeypatch.setattr(sys, "stdout", Full(error))
    assert main(["info", "--json"]) == status
    assert capsys.readouterr().err == says


def test_the_program_opens_what_is_closed(monkeypatch, capsys):
    for stream in ("stdin", "stdout"):
        monkeypatch.setattr(sys, stream, None)
    monkeypatch.setattr(sys, "argv", ["graphattend", "info"])
    assert program() == 0
    assert (sys.stdin.read(), sys.stdout.name) == ("", os.devnull)
    sys.stdin.close()
    sys.stdout.close()
    assert capsys.readouterr().err == ""


def test_the_program_ends_on_an_interrupt_before_it_runs(monkeypatch, capsys):
    def interrupted():
        raise KeyboardInterrupt

    ways = []
    monkeypatch.setattr("graphattend.cli.main", interrupted)
    monkeypatch.setattr("signal.signal", lambda *way: ways.append(way))
    assert program() == 130
    assert ways == [(signal.SIGINT, signal.SIG_DFL)]
    assert capsys.readouterr().err == "graphattend: interrupted\n"


def test_a_training_that_is_cancelled_writes_nothing(graph, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("graphattend.evaluation.fit", lambda *arguments, **options: None)
    out = tmp_path / "model.npz"
    assert main(["train", "--graph", graph, "--task", "links", "--mechanism", "flash", "--out", str(out)]) == 2
    assert "a run that is not cancelled" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"a\nb\n", "2 labels for 12 nodes"),
        (b"n0,a,b\nn1,a\n", "line 1: expected NODE,LABEL, got 3 fields"),
        (b"node,label\nn0,a\nn99,b\n", "line 3: no node 'n99' in the graph"),
        (b"\x80\x81\n", "is not UTF-8 text"),
        (b"#" * (1 << 24), "larger than"),
    ],
    ids=["too few", "three fields", "no node", "no text", "too large"],
)
def test_labels_that_do_not_fit(graph, tmp_path, monkeypatch, capsys, content, says):
    monkeypatch.setattr("graphattend.cli._learning.MAX_BYTES", 1 << 20)
    path = tmp_path / "labels.txt"
    path.write_bytes(content)
    assert main(["evaluate", "--graph", graph, "--task", "labels", "--labels", str(path)]) == 2
    assert says in capsys.readouterr().err


def test_numbers_are_names_where_a_graph_has_none(tmp_path, capsys):
    edges, labels = tmp_path / "graph.txt", tmp_path / "labels.txt"
    edges.write_text("".join(f"{i} {(i + 1) % 12}\n" for i in range(12)))
    labels.write_text("".join(f"{i},{'ab'[i % 2]}\n" for i in range(12)))
    call = ["evaluate", "--graph", str(edges), "--task", "labels", "--labels", str(labels), "--mechanism", "flash"]
    assert main([*call, "--seeds", "1", "--epochs", "2", "--hidden", "8", "--json"]) == 0
    assert np.char.find(capsys.readouterr().out, '"best"') >= 0

"""The command line as a process: pipes, terminals and Ctrl-C."""

import contextlib
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import ctrl_c
import pytest

pytestmark = pytest.mark.native
COMMAND = [sys.executable, "-m", "graphattend"]


def run(*words: object, **options: Any) -> subprocess.CompletedProcess[str]:
    how = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    return subprocess.run([*COMMAND, *map(str, words)], text=True, timeout=60, **how)


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    path = tmp_path / "graph.csv"
    path.write_text("source,target\na,b\nb,a\nb,c\nc,b\n")
    return path


def test_module_runs_and_is_quiet_in_a_pipe(graph: Path) -> None:
    done = run("analyze", "--graph", graph, "--mechanism", "flash")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("3 nodes, 4 edges")
    assert "\r" not in done.stdout
    assert "\x1b" not in done.stdout


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    done = run("analyze", "--graph", tmp_path / "none.csv")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_installed_program_is_the_same() -> None:
    program = Path(sys.executable).with_name("graphattend")
    words = [str(program)] if program.exists() else COMMAND
    assert subprocess.run([*words, "--version"], capture_output=True, text=True).stdout == run("--version").stdout


def test_ctrl_c() -> None:
    # Import first: Python exits on a Ctrl-C during an `exec`, which creates dataclasses.
    code = "from graphattend.cli import benchmark, main; print('ready', flush=True); raise SystemExit(main())"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "benchmark", "--mechanism", "flash", "--seconds", "60"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=ctrl_c.heard,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(2)  # wait until it measures
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, "", "graphattend: interrupted\n")


def on_terminal(*words: object, stream: str, **options: Any) -> tuple[str, bytes]:
    """Run a command with a terminal as its `stream`; return the outputs on the pipe and on the terminal."""
    ours, theirs = pty.openpty()
    command = [*COMMAND, *map(str, words)]
    process = subprocess.Popen(command, **{"stdout": subprocess.PIPE, stream: theirs}, text=True, **options)
    os.close(theirs)
    out, _ = process.communicate(timeout=60)
    shown = b""
    with contextlib.suppress(OSError):  # the terminal's other end is closed
        while piece := os.read(ours, 4096):
            shown += piece
    os.close(ours)
    assert process.returncode == 0
    return out, shown


def test_progress_on_a_terminal_is_taken_away(graph: Path) -> None:
    out, shown = on_terminal("analyze", "--graph", graph, "--json", stream="stderr")
    assert out.startswith("{")
    assert b"0/" in shown
    assert shown.endswith(b"\r\x1b[K")


@pytest.mark.parametrize("rich", [True, False])
def test_table_on_a_terminal(tmp_path: Path, rich: bool) -> None:
    if rich:
        pytest.importorskip("rich")
    else:  # hide the package by one that cannot be imported
        (tmp_path / "rich.py").write_text("raise ImportError")
    paths = [str(tmp_path), *sys.path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "COLUMNS": "80", "TERM": "xterm"}
    _, shown = on_terminal("info", stream="stdout", env=environment)
    assert b"backend" in shown
    assert ("━".encode() in shown) == rich


def test_a_reader_that_leaves(graph: Path) -> None:
    process = subprocess.Popen([*COMMAND, "list", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert (process.wait(timeout=60), err) == (0, b"")


def test_ctrl_c_while_numpy_is_imported(tmp_path: Path) -> None:
    (tmp_path / "numpy.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    done = run(
        "list",
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        preexec_fn=ctrl_c.heard,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "graphattend: interrupted\n")


def test_an_unknown_backend_is_one_line() -> None:
    done = run("list", env={**os.environ, "GRAPHATTEND_BACKEND": "zzz"})
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("graphattend: backend: expected one of ")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a device that is full")
@pytest.mark.parametrize("words", [["list"], ["--help"], ["--version"], ["--print-completion", "bash"]], ids=str)
def test_a_full_disk_is_one_line(words: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = run(*words, stdout=full)
        assert (done.returncode, done.stderr) == (2, "graphattend: No space left on device\n")
        assert run("no-such-command", stderr=full).returncode == 2


@pytest.mark.parametrize("words", [["list"], ["--help"], ["--version"]], ids=str)
def test_a_pipe_without_a_reader(words: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = run(*words, stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("stream", range(3))
def test_a_closed_stream(graph: Path, stream: int) -> None:
    done = run("convert", graph, graph.with_suffix(".gml"), preexec_fn=lambda: os.close(stream))
    assert (done.returncode, done.stderr) == (0, "")
    done = run("info", preexec_fn=lambda: os.close(stream))
    assert (done.returncode, done.stderr, bool(done.stdout)) == (0, "", stream != 1)


def test_no_input_is_one_line() -> None:
    done = run("analyze", "--graph", "-", preexec_fn=lambda: os.close(0))
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "graphattend: standard input: is empty\n")


def test_an_encoding_without_the_characters(tmp_path: Path) -> None:
    (tmp_path / "graph.csv").write_text("source,target\nä,b\nb,ä\n", "utf-8")
    words = "analyze", "--graph", tmp_path / "graph.csv", "--mechanism", "flash"
    done = run(*words, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (0, "")
    assert r"\xe4" in done.stdout
    assert "ä" in run(*words, env={**os.environ, "PYTHONIOENCODING": "utf-8"}, encoding="utf-8").stdout

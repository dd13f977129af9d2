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

import pytest

pytestmark = pytest.mark.native
COMMAND = [sys.executable, "-m", "graphattend"]


def run(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *map(str, words)], capture_output=True, text=True, timeout=60)


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
        # Background jobs of a shell ignore Ctrl-C, and children inherit this.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
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

"""Random public calls with hostile numbers, by the million: on several processes, with progress, resumable.

    .venv/bin/python tools/run_soak.py                          # 10 000 000 calls on two processes
    .venv/bin/python tools/run_soak.py --only readers           # damaged files alone
    .venv/bin/python tools/run_soak.py --case 4711              # one case again, call by call
    .venv/bin/python tools/run_soak.py --pyodide --calls 500000 --backend wasm-simd128    # inside Pyodide, in Node.js

Ctrl-C stops after the cases at hand; the same command goes on from there. With --record the run begins after the last
seed that tests/trust/results.json has of its kind, and its range is written there as it grows, with date and commit.
"""

import argparse
import concurrent.futures
import concurrent.futures.process
import faulthandler
import json
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing import get_context
from typing import Any

from pyodide_process import PyodideError, PyodideProcess, distribution
from records import FOLDER as TRUST
from records import RESULTS, ROOT, changing, machine, now, read, replace

sys.path.insert(0, str(TRUST))

FOLDER = ROOT / "build" / "soak"
CHUNK = 1000  # cases that a process runs at a time
HANG = 600  # seconds for a chunk
MEMORY = 256 << 10  # kilobytes by which a process may grow during a chunk
MAX_FAILURES = 50
IN_PYODIDE = " in Pyodide"  # after the name of a backend

_current = -1


def refuse_unknown(backend: str, inside_pyodide: bool) -> None:
    """End with one line if there is no such backend, or not on this machine."""
    from graphattend.errors import UnsupportedError
    from graphattend.simd import backends

    if inside_pyodide:
        here = [name for name in backends.NAMES if not name.startswith("native")]
        if backend not in here:
            sys.exit(f"--backend: expected one of {', '.join(here)}, got {backend!r}")
    elif backend != "auto":
        try:
            backends.require(backend, "")
        except UnsupportedError as error:
            sys.exit(f"--{error}")


def choose(backend: str) -> None:
    """Set the backend of the library before it is imported."""
    if backend != "auto":
        os.environ["GRAPHATTEND_BACKEND"] = backend


def start_process(backend: str) -> None:
    """Prepare a process: its backend, and a file with its current case."""
    global _current
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent waits for the current cases
    choose(backend)
    _current = os.open(FOLDER / f"at-{os.getpid()}", os.O_CREAT | os.O_RDWR)


def chunk(first: int, count: int, only: str | None) -> dict[str, Any]:
    """Run the cases first … first + count - 1."""
    import soak

    faulthandler.dump_traceback_later(HANG, exit=True)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = soak.run_range(first, count, only, lambda seed: os.pwrite(_current, f"{seed:<20}".encode(), 0))
    faulthandler.cancel_dump_traceback_later()
    os.pwrite(_current, f"{'':20}".encode(), 0)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return finished(found, before, peak)


def finished(found: dict[str, Any], before: int, peak: int) -> dict[str, Any]:
    """Add to the results of a chunk the memory of its process in kilobytes, and a failure if that grew."""
    if peak - before > MEMORY:
        first = found["first"]
        found["failures"].append([first, f"cases from {first}: the process grew by {(peak - before) >> 10} MB"])
    return found | {"peak": peak}


class InsidePyodide:
    """Runs chunks inside Pyodide, with one process of Node.js for each thread that calls it."""

    def __init__(self, backend: str) -> None:
        self.folder, self.backend, self.own = distribution(), backend, threading.local()

    def __call__(self, first: int, count: int, only: str | None) -> dict[str, Any]:
        """Run the cases first … first + count - 1."""
        if not hasattr(self.own, "machine"):
            self.own.machine = PyodideProcess(self.folder, self.backend)
        before = self.own.machine.memory
        found = self.own.machine("soak", "run_range", first, count, only)
        found["backend"] += IN_PYODIDE
        return finished(found, (before or self.own.machine.memory) >> 10, self.own.machine.memory >> 10)


class Run:
    """The state of a run, saved in a file; that of a recorded run also in the results that the documentation shows."""

    def __init__(self, backend: str, only: str | None, start: int, recorded: bool = False) -> None:
        self.path = FOLDER / f"{backend.replace(' ', '-')}-{only or 'all'}-{start}.json"
        self.kinds, self.recorded = only or "all", recorded
        self.state: dict[str, Any] = {"start": start, "next": start, "done": [], "calls": 0, "refused": 0, "cases": 0}
        self.state |= {"failures": [], "seconds": 0.0, "peak": 0, "backend": backend}
        if self.path.exists():
            self.state = json.loads(self.path.read_text())

    def add(self, found: dict[str, Any]) -> None:
        """Add the result of a chunk."""
        for name in ("calls", "refused"):
            self.state[name] += found[name]
        self.state["cases"] += CHUNK
        self.state["failures"] = (self.state["failures"] + found["failures"])[:MAX_FAILURES]
        self.state["peak"] = max(self.state["peak"], found["peak"])
        self.state |= {name: found[name] for name in ("backend", "python", "numpy")}
        done = sorted([*self.state["done"], found["first"]])
        while done and done[0] == self.state["next"]:
            self.state["next"] += CHUNK
            done.pop(0)
        self.state["done"] = done

    def save(self) -> None:
        """Write the state atomically."""
        replace(self.path, json.dumps(self.state))
        if self.recorded and self.state["next"] > self.state["start"]:
            found = self.range()
            with changing(RESULTS) as results:
                others = [run for run in results["soak"] if any(run[key] != found[key] for key in ("backend", "kinds"))]
                same = [run for run in results["soak"] if run not in others and run["seeds"][0] != found["seeds"][0]]
                results["soak"] = sorted(
                    [*others, *same, found], key=lambda run: (run["kinds"], run["backend"], run["seeds"])
                )

    def range(self) -> dict[str, Any]:
        """Return the finished seeds without gaps, their results, date, machine and commit."""
        state = self.state
        return {
            "backend": state["backend"],
            "kinds": self.kinds,
            "calls": state["calls"],
            "cases": state["cases"],
            "refused": state["refused"],
            "failures": len(state["failures"]),
            "seeds": [state["start"], state["next"] - 1],
            "seconds": round(state["seconds"]),
            "peak_mb": round(state["peak"] / 1024),
            "python": state["python"],
            "numpy": state["numpy"],
            "machine": machine(),
        } | now()


def first_new(backend: str, only: str | None) -> int:
    """Return the first seed after those in the results of a backend and kind."""
    import graphattend as ga

    same = (ga.backend_info()["backend"] if backend == "auto" else backend, only or "all")
    runs = read(RESULTS)["soak"]
    return 1 + max((run["seeds"][1] for run in runs if (run["backend"], run["kinds"]) == same), default=-1)


def workers(
    options: argparse.Namespace, backend: str
) -> tuple[concurrent.futures.Executor, Callable[[int, int, str | None], dict[str, Any]]]:
    """Return what runs the chunks side by side, and the function that runs one."""
    if options.pyodide:
        return concurrent.futures.ThreadPoolExecutor(options.processes), InsidePyodide(backend)
    pool = concurrent.futures.ProcessPoolExecutor(
        options.processes, get_context("spawn"), initializer=start_process, initargs=(backend,)
    )
    return pool, chunk


def soak_for(run: Run, options: argparse.Namespace, backend: str) -> bool:
    """Make calls until there are enough, the time is over or the user stops them; return whether a process died."""
    begin, before, told = time.monotonic(), run.state["seconds"], 0.0
    first, pending, died, asked = run.state["next"], {}, False, []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: asked.append(True))
    pool, task = workers(options, backend)
    with pool:
        try:
            while True:
                over = time.monotonic() - begin > options.minutes * 60
                enough = run.state["calls"] >= options.calls or len(run.state["failures"]) >= MAX_FAILURES
                while not (over or enough or asked) and len(pending) < 2 * options.processes:
                    if first not in run.state["done"]:
                        pending[pool.submit(task, first, CHUNK, options.only)] = first
                    first += CHUNK
                if not pending:
                    break
                done, _ = concurrent.futures.wait(pending, 1, return_when=concurrent.futures.FIRST_COMPLETED)
                for future in done:
                    del pending[future]
                    found = future.result()
                    run.add(found)
                    for seed, message in found["failures"]:
                        print(f"\n{message}\n    repeat: {repeat(seed, options, backend)}", flush=True)
                run.state["seconds"] = before + time.monotonic() - begin
                if time.monotonic() - told > (1 if sys.stdout.isatty() else 60):
                    told = time.monotonic()
                    run.save()
                    progress(run, options.calls)
        except (concurrent.futures.process.BrokenProcessPool, PyodideError) as error:
            died = True
            print(f"\n{error}", flush=True)
            for path in FOLDER.glob("at-*"):
                if seed := path.read_text().strip():
                    print(f"\nA process died or hung at {seed}\n    repeat: {repeat(seed, options, backend)}")
    for path in FOLDER.glob("at-*"):
        path.unlink()
    run.save()
    if asked:
        print("\nStopped; the same command goes on from here.")
    return died


def repeat(seed: Any, options: argparse.Namespace, backend: str) -> str:
    """Return the command that repeats one case."""
    kind = f" --only {options.only}" if options.only else ""
    where = " --pyodide" if options.pyodide else ""
    return f".venv/bin/python tools/run_soak.py --case {seed}{kind} --backend {backend}{where}"


def progress(run: Run, wanted: int) -> None:
    """Print one line about the run."""
    state = run.state
    rate = state["calls"] / max(state["seconds"], 1e-9)
    end = "\r" if sys.stdout.isatty() else "\n"
    text = f"{state['calls']:>10,} of {wanted:,} calls, {state['refused']:,} refused, {len(state['failures'])} failures"
    print(f"{text}, {rate:,.0f} a second, {state['seconds'] / 60:.0f} min", end=end, flush=True)


def again(options: argparse.Namespace) -> int:
    """Repeat one case and print every call; only what is broken inside Pyodide."""
    if options.pyodide:
        found = InsidePyodide(options.backend)(options.case, 1, options.only)
        print("\n".join(message for _, message in found["failures"]) or f"case {options.case} is as it should be")
        return len(found["failures"])
    import soak

    import graphattend as ga

    if options.backend != "auto":
        ga.use_backend(options.backend)
    try:
        soak.run(options.case, soak.Watch(trail=True), options.only)
    except soak.Broken as error:
        print(error)
        if error.__cause__ is not None and error.__cause__.__cause__ is not None:
            raise error.__cause__.__cause__ from None
        return 1
    print(f"case {options.case} is as it should be")
    return 0


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=10_000_000)
    parser.add_argument("--minutes", type=float, default=1e9, help="stop after so long")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", help="one kind of calls: mechanisms, functional, geometry, readers, …")
    parser.add_argument("--start", type=int, help="the first seed; by default 0, or with --record what comes next")
    parser.add_argument("--backend", default="auto", help="as for GRAPHATTEND_BACKEND; several with commas")
    parser.add_argument("--pyodide", action="store_true", help="inside Pyodide, in Node.js; needs --backend")
    parser.add_argument("--again", action="store_true", help="begin anew")
    parser.add_argument("--record", action="store_true", help="add the range to tests/trust/results.json")
    parser.add_argument("--case", type=int, help="make this case alone, and show its calls")
    options = parser.parse_args()
    for backend in options.backend.split(","):
        refuse_unknown(backend, options.pyodide)
    FOLDER.mkdir(parents=True, exist_ok=True)
    if options.case is not None:
        return again(options)
    failed = False
    for backend in options.backend.split(","):
        start, name = options.start, backend + IN_PYODIDE * options.pyodide
        if start is None:
            start = first_new(name, options.only) if options.record else 0
        if options.again:
            Run(name, options.only, start).path.unlink(missing_ok=True)
        run = Run(name, options.only, start, options.record)
        died = soak_for(run, options, backend)
        progress(run, options.calls)
        print(
            f"\n{backend}: seeds {run.state['start']} to {run.state['next'] - 1}, at most {run.state['peak'] // 1024} MB"
        )
        failed |= died or bool(run.state["failures"])
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

"""Random public calls with hostile numbers, by the million: on several processes, with progress, resumable.

    .venv/bin/python tools/run_soak.py                          # 10 000 000 calls on two processes
    .venv/bin/python tools/run_soak.py --only readers           # damaged files alone
    .venv/bin/python tools/run_soak.py --case 4711              # one case again, call by call

Ctrl-C stops after the cases at hand; the same command goes on from there. With --record the run begins after the last
seed that tests/trust/results.json has of its kind, and its range is written there as it grows, with date and commit.
"""

import argparse
import concurrent.futures
import concurrent.futures.process
import datetime
import faulthandler
import json
import os
import platform
import resource
import signal
import subprocess
import sys
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "trust"))

FOLDER = ROOT / "build" / "soak"
RESULTS = ROOT / "tests" / "trust" / "results.json"
CHUNK = 1000  # cases that a process runs at a time
HANG = 600  # seconds for a chunk
MEMORY = 256 << 10  # kilobytes by which a process may grow during a chunk
MAX_FAILURES = 50

_current = -1


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

    import graphattend as ga

    faulthandler.dump_traceback_later(HANG, exit=True)
    watch, failures = soak.Watch(), []
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for seed in range(first, first + count):
        os.pwrite(_current, f"{seed:<20}".encode(), 0)
        try:
            soak.run(seed, watch, only)
        except soak.Broken as error:
            failures.append([seed, str(error)])
    faulthandler.cancel_dump_traceback_later()
    os.pwrite(_current, f"{'':20}".encode(), 0)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if peak - before > MEMORY:
        failures.append([first, f"cases from {first}: the process grew by {(peak - before) >> 10} MB"])
    found = {"first": first, "calls": watch.calls, "refused": watch.refused, "failures": failures, "peak": peak}
    return found | {"backend": ga.backend_info()["backend"]}


class Run:
    """The state of a run, saved in a file; that of a recorded run also in the results that the documentation shows."""

    def __init__(self, backend: str, only: str | None, start: int, recorded: bool = False) -> None:
        self.path = FOLDER / f"{backend}-{only or 'all'}-{start}.json"
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
        self.state["backend"] = found["backend"]
        done = sorted([*self.state["done"], found["first"]])
        while done and done[0] == self.state["next"]:
            self.state["next"] += CHUNK
            done.pop(0)
        self.state["done"] = done

    def save(self) -> None:
        """Write the state atomically."""
        replace(self.path, json.dumps(self.state))
        if self.recorded and self.state["next"] > self.state["start"]:
            results = json.loads(RESULTS.read_text())
            found = self.range()
            others = [run for run in results["soak"] if any(run[key] != found[key] for key in ("backend", "kinds"))]
            same = [run for run in results["soak"] if run not in others and run["seeds"][0] != found["seeds"][0]]
            results["soak"] = sorted(
                [*others, *same, found], key=lambda run: (run["kinds"], run["backend"], run["seeds"])
            )
            replace(RESULTS, json.dumps(results, indent=1, sort_keys=True) + "\n")

    def range(self) -> dict[str, Any]:
        """Return the finished seeds without gaps, their results, date, machine and commit."""
        import numpy as np

        state = self.state
        commit = subprocess.run(
            ["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
        )
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
            "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
            "commit": commit.stdout.strip(),
            "python": platform.python_version(),
            "numpy": np.__version__,
            "machine": f"{platform.machine()}, {os.cpu_count()} processors",
        }


def replace(path: Path, text: str) -> None:
    """Write a file atomically."""
    part = path.with_suffix(".part")
    part.write_text(text)
    part.replace(path)


def first_new(backend: str, only: str | None) -> int:
    """Return the first seed after those in the results of a backend and kind."""
    import graphattend as ga

    same = (ga.backend_info()["backend"] if backend == "auto" else backend, only or "all")
    runs = json.loads(RESULTS.read_text())["soak"]
    return 1 + max((run["seeds"][1] for run in runs if (run["backend"], run["kinds"]) == same), default=-1)


def soak_for(run: Run, options: argparse.Namespace, backend: str) -> bool:
    """Make calls until there are enough, the time is over or the user stops them; return whether a process died."""
    begin, before, told = time.monotonic(), run.state["seconds"], 0.0
    first, pending, died, asked = run.state["next"], {}, False, []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: asked.append(True))
    with concurrent.futures.ProcessPoolExecutor(
        options.processes, get_context("spawn"), initializer=start_process, initargs=(backend,)
    ) as pool:
        try:
            while True:
                over = time.monotonic() - begin > options.minutes * 60
                enough = run.state["calls"] >= options.calls or len(run.state["failures"]) >= MAX_FAILURES
                while not (over or enough or asked) and len(pending) < 2 * options.processes:
                    if first not in run.state["done"]:
                        pending[pool.submit(chunk, first, CHUNK, options.only)] = first
                    first += CHUNK
                if not pending:
                    break
                done, _ = concurrent.futures.wait(pending, 1, return_when=concurrent.futures.FIRST_COMPLETED)
                for future in done:
                    del pending[future]
                    found = future.result()
                    run.add(found)
                    for seed, message in found["failures"]:
                        print(f"\n{message}\n    repeat: {repeat(seed, options.only, backend)}", flush=True)
                run.state["seconds"] = before + time.monotonic() - begin
                if time.monotonic() - told > (1 if sys.stdout.isatty() else 60):
                    told = time.monotonic()
                    run.save()
                    progress(run, options.calls)
        except concurrent.futures.process.BrokenProcessPool:
            died = True
            for path in FOLDER.glob("at-*"):
                if seed := path.read_text().strip():
                    print(f"\nA process died or hung at {seed}\n    repeat: {repeat(seed, options.only, backend)}")
    for path in FOLDER.glob("at-*"):
        path.unlink()
    run.save()
    if asked:
        print("\nStopped; the same command goes on from here.")
    return died


def repeat(seed: Any, only: str | None, backend: str) -> str:
    """Return the command that repeats one case."""
    kind = f" --only {only}" if only else ""
    return f".venv/bin/python tools/run_soak.py --case {seed}{kind} --backend {backend}"


def progress(run: Run, wanted: int) -> None:
    """Print one line about the run."""
    state = run.state
    rate = state["calls"] / max(state["seconds"], 1e-9)
    end = "\r" if sys.stdout.isatty() else "\n"
    text = f"{state['calls']:>10,} of {wanted:,} calls, {state['refused']:,} refused, {len(state['failures'])} failures"
    print(f"{text}, {rate:,.0f} a second, {state['seconds'] / 60:.0f} min", end=end, flush=True)


def again(seed: int, only: str | None, backend: str) -> int:
    """Repeat one case and print every call."""
    choose(backend)
    import soak

    try:
        soak.run(seed, soak.Watch(trail=True), only)
    except soak.Broken as error:
        print(error)
        if error.__cause__ is not None and error.__cause__.__cause__ is not None:
            raise error.__cause__.__cause__ from None
        return 1
    print(f"case {seed} is as it should be")
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
    parser.add_argument("--again", action="store_true", help="begin anew")
    parser.add_argument("--record", action="store_true", help="add the range to tests/trust/results.json")
    parser.add_argument("--case", type=int, help="make this case alone, and show its calls")
    options = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    if options.case is not None:
        return again(options.case, options.only, options.backend)
    failed = False
    for backend in options.backend.split(","):
        start = options.start
        if start is None:
            start = first_new(backend, options.only) if options.record else 0
        if options.again:
            Run(backend, options.only, start).path.unlink(missing_ok=True)
        run = Run(backend, options.only, start, options.record)
        died = soak_for(run, options, backend)
        progress(run, options.calls)
        print(
            f"\n{backend}: seeds {run.state['start']} to {run.state['next'] - 1}, at most {run.state['peak'] // 1024} MB"
        )
        failed |= died or bool(run.state["failures"])
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

"""Measure every workload and mechanism in every runtime, and write JSON, a picture and tables: `make bench`.

All contenders in all runtimes take turns within each round of a workload, so that compared figures come from the same seconds.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import datetime
import gzip
import itertools
import json
import os
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import report, runtimes
from benchmarks.chart import chart
from benchmarks.results_file import Results
from benchmarks.targets import ACCELERATE, TITLES, targets

RESULTS = runtimes.HERE / "results"
DOCUMENT = runtimes.ROOT / "docs" / "benchmarks.md"
PICTURE = runtimes.ROOT / "docs" / "benchmarks.svg"
README = runtimes.ROOT / "README.md"
#: Turns of a contender in a round, and for how many contenders of a workload a round has time.
TURNS, MOST = 4, 4


def say(message: str) -> None:
    """Print the progress."""
    print(message, flush=True)


def payload(distribution: Path) -> dict[str, float]:
    """Return the gzipped size in kB of all compiled kernels in the wheel, and of the largest set an engine loads."""
    (wheel,) = distribution.glob("graphattend-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        sizes = {
            Path(name).name: len(gzip.compress(archive.read(name), 9)) / 1e3
            for name in archive.namelist()
            if name.endswith(".wasm")
        }
    loaded = [max(v for k, v in sizes.items() if k.startswith(part)) for part in {k.partition("_")[0] for k in sizes}]
    return {name: round(size, 1) for name, size in sizes.items()} | {"loaded": round(sum(loaded), 1)}


def catalogue() -> Any:
    """Return the workloads of this version, including one for each registered mechanism."""
    sys.path.insert(0, str(runtimes.ROOT / "src"))
    from benchmarks import workloads

    return workloads


class Run:
    """One run: queries the runtimes, and keeps their answers and errors."""

    def __init__(self, chosen: dict[str, runtimes.Runtime], results: Results) -> None:
        self.chosen = chosen
        self.results = results
        self.errors: list[str] = []

    def ask(self, runtime: str, name: str, *given: Any) -> Any:
        """Return a runtime's answer, or None after recording the error."""
        try:
            return self.chosen[runtime](name, *given)
        except Exception as error:
            self.errors.append(f"{TITLES[runtime]}: {name}{list(given)}: {str(error).strip()}")
            say(f"  failed: {self.errors[-1][-400:]}")
            return None

    def workload(self, name: str, rounds: int, seconds: float) -> None:
        """Measure each contender in each runtime in turn, so that a slow minute of the machine slows all of them."""
        contenders = {runtime: self.ask(runtime, "contenders", name) or [] for runtime in self.chosen}
        found: dict[str, dict[str, list[float]]] = {runtime: {} for runtime in self.chosen}
        spent: dict[tuple[str, str], float] = collections.Counter()
        for i, j in itertools.product(range(rounds), range(TURNS)):
            for runtime, names in contenders.items():
                turn = seconds / TURNS * min(1, MOST / max(1, len(names)))
                for contender in list(names):
                    # Who calls longer than a turn sits some turns out, but never a whole round.
                    if j and spent[runtime, contender] > turn * (i * TURNS + j + 1):
                        continue
                    begin = time.monotonic()
                    value = self.ask(runtime, "rate", name, contender, turn)
                    spent[runtime, contender] += time.monotonic() - begin
                    if value is None:
                        names.remove(contender)
                        continue
                    figures = found[runtime].setdefault(contender, [])
                    figures[i:] = [max([float(f"{value:.5g}"), *figures[i:]])]
        if name.startswith("attend:"):
            for runtime in self.chosen:
                found[runtime]["memory"] = [self.ask(runtime, "memory", name)]
        self.results["workloads"][name] = found
        known = catalogue().prepared(name)
        self.results["flops"][name] = known.flops
        self.results["reads"][name] = known.sizes.get("reads", 1.0)
        catalogue().forget()

    def facts(self) -> None:
        """Record facts about the runtimes, and figures that are measured once."""
        for runtime in self.chosen:
            entry = self.ask(runtime, "facts") or {}
            entry["extra_memory"] = self.ask(runtime, "extraMemory")
            self.results["runtimes"][runtime] = entry

    def accelerate(self) -> None:
        """Measure the gain of accelerate_numpy()."""
        source = (runtimes.HERE / "accelerate" / "bench.py").read_text()
        for runtime in self.chosen:
            if not runtime.startswith("native"):
                say(f"accelerate_numpy() in {TITLES[runtime]}")
                self.results["accelerate"][runtime] = self.ask(runtime, "accelerate", source, list(ACCELERATE)) or {}

    def javascript(self, distribution: Path, rounds: int, seconds: float) -> None:
        """Compare the npm package with Python and with plain JavaScript."""
        self.once(
            "javascript", "The npm package in Node.js", lambda: runtimes.javascript(distribution, rounds, seconds)
        )

    def page(self, distribution: Path, rounds: int, seconds: float) -> None:
        """Compare the npm package and its kernels without Python with the peers, in a page."""
        self.once("page", "The npm package in a page", lambda: runtimes.page(distribution, rounds, seconds))

    def once(self, name: str, title: str, run: Callable[[], Any]) -> None:
        """Record the figures of one program, or its error."""
        say(title)
        try:
            self.results[name] = run()
        except Exception as error:
            self.errors.append(f"{title}: {error}")
            say(f"  failed: {self.errors[-1][-400:]}")


def measure(arguments: argparse.Namespace, distribution: Path, folder: Path) -> tuple[Results, list[str]]:
    """Run everything; save the results so far after each step."""
    rounds, seconds = (1, 0.05) if arguments.quick else (arguments.rounds, 0.3)
    results: Results = {
        "date": datetime.date.today().isoformat(),
        "rounds": rounds,
        "load": 0.0,
        "cores": os.cpu_count() or 1,
        "seconds": seconds,
        "runtimes": {},
        "payload_kb": payload(distribution),
        "accelerate": {},
        "javascript": {},
        "page": {},
        "flops": {},
        "reads": {},
        "workloads": {},
    }
    makers = {
        "native": runtimes.native,
        "native-avx2": lambda: runtimes.native("native-avx2"),
        "native-sse4": lambda: runtimes.native("native-sse4"),
        "node": lambda: runtimes.node(distribution),
        "chromium": lambda: runtimes.chromium(distribution),
    }
    names = [name for name in catalogue().WORKLOADS if arguments.only in name]
    if not names:
        sys.exit(f"--only: no workload contains {arguments.only!r}; there are {', '.join(catalogue().WORKLOADS)}")
    with contextlib.ExitStack() as stack:
        chosen = {}
        for name in arguments.runtime or [name for name in makers if "-" not in name]:
            say(f"Starting {TITLES[name]}")
            chosen[name] = stack.enter_context(makers[name]())
        run = Run(chosen, results)
        run.facts()
        for i, name in enumerate(names, 1):
            begin = time.monotonic()
            run.workload(name, rounds, seconds)
            # The runner itself occupies one core.
            results["load"] = max(results["load"], round(os.getloadavg()[0] - 1, 1))
            save(results, folder)
            say(f"[{i}/{len(names)}] {name}: {time.monotonic() - begin:.0f} s")
        if not arguments.only:
            run.accelerate()
            if "node" in chosen:
                run.javascript(distribution, rounds, seconds)
            if "chromium" in chosen:
                run.page(distribution, rounds, seconds)
            save(results, folder)
    return results, run.errors


def save(results: Results, folder: Path) -> None:
    """Write the figures as JSON."""
    (folder / "bench.json").write_text(json.dumps(results, indent=1) + "\n")


def write(results: Results) -> None:
    """Write the picture and the tables."""
    PICTURE.write_text(chart(results), encoding="utf-8")
    for path, content in ((DOCUMENT, report.full(results)), (README, report.short(results))):
        if report.insert(path, content):
            say(f"Updated {path.relative_to(runtimes.ROOT)}")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one short round; writes to build/bench/ only")
    parser.add_argument("--rounds", type=int, default=3, help="how often the runtimes take turns (3)")
    parser.add_argument("--only", default="", help="workloads whose name contains this; writes to build/bench/ only")
    parser.add_argument("--runtime", action="append", choices=list(TITLES), help="repeatable")
    parser.add_argument("--page", action="store_true", help="only what a page gets from the npm package")
    parser.add_argument("--report", action="store_true", help="measure nothing: tables and picture from the last run")
    parser.add_argument("--distribution", type=Path, help="Pyodide with graphattend (default: $PYODIDE_DIST)")
    arguments = parser.parse_args()
    if arguments.report:
        write(json.loads((RESULTS / "bench.json").read_text()))
        return
    distribution = arguments.distribution or os.environ.get("PYODIDE_DIST")
    if not distribution:
        sys.exit("No distribution: `make bench`, or --distribution with the folder that `make dist-path` prints")
    if arguments.page:
        again: Results = json.loads((RESULTS / "bench.json").read_text())
        rounds, seconds = (1, 0.05) if arguments.quick else (arguments.rounds, 0.3)
        run = Run({}, again)
        run.page(Path(distribution), rounds, seconds)
        if run.errors:
            sys.exit("\n".join(run.errors))
        save(again, RESULTS)
        write(again)
        return
    partial = arguments.quick or arguments.only or arguments.runtime
    folder = runtimes.ROOT / "build" / "bench" if partial else RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    results, errors = measure(arguments, Path(distribution), folder)
    if not partial:
        write(results)
    print(report.target_table(results))
    say(f"{sum(t.met is True for t in targets(results))} of {len(targets(results))} targets met; {folder}/bench.json")
    if errors:
        sys.exit("\n".join(["These failed:", *errors]))


if __name__ == "__main__":
    main()

"""The fuzz test of the kernels for an hour of processor time or more: under sanitizers, or in WebAssembly. Resumable.

    .venv/bin/python tools/run_fuzz.py                         # an hour with AddressSanitizer and UndefinedBehaviorSanitizer
    .venv/bin/python tools/run_fuzz.py threads --minutes 10    # calls on four threads, with ThreadSanitizer
    .venv/bin/python tools/run_fuzz.py wasm-relaxed-simd            # in Node.js, on one build for WebAssembly

A piece is one seed. With --record, the run begins after the last seed of its kind in tests/trust/results.json and adds its
seeds, calls, date and commit there after every piece.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import records
from build_wheel import kernel_builder
from pyodide_process import PyodideProcess, distribution

TESTS = records.ROOT / "tests" / "simd"
ROUNDS = 40  # of all kernels in both dtypes, per piece
KINDS = ("address", "threads", "wasm-relaxed-simd", "wasm-simd128")


def sanitized(
    library: str, module: Path, script: str, *words: str, seconds: float | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a script of tests/simd on a build with sanitizers, whose library has to be preloaded."""
    preload = subprocess.run(["gcc", f"-print-file-name={library}"], capture_output=True, text=True, check=True)
    environment = os.environ | {
        "LD_PRELOAD": preload.stdout.strip(),
        "ASAN_OPTIONS": "detect_leaks=0",
        "TSAN_OPTIONS": "halt_on_error=1",
        "PYTHONMALLOC": "malloc",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "OPENBLAS_NUM_THREADS": "1",
    }
    command = [sys.executable, str(TESTS / script), str(module), *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=seconds)


def told(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Return the counts and failures in the last line of a piece's output."""
    try:
        counts: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):  # a sanitizer ended it
        return {"failures": [done.stdout[-2000:] + done.stderr[-6000:]]}
    return counts


class Native:
    """Pieces under sanitizers."""

    def __init__(self, kind: str) -> None:
        self.words: tuple[str, Path, str, tuple[str, ...]]
        if kind == "threads":
            self.words = "libtsan.so", kernel_builder().build_sanitized("thread"), "race_check.py", ("split",)
        else:
            self.words = "libasan.so", kernel_builder().build_sanitized(), "test_fuzz.py", ()

    def __call__(self, seed: int) -> dict[str, Any]:
        """Run the piece of a seed; return its counts and failures."""
        library, module, script, words = self.words
        rounds = () if words else (str(ROUNDS),)
        return told(sanitized(library, module, script, *words, str(seed), *rounds))

    def seconds(self) -> float:
        """Return the processor time of all pieces."""
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
        return spent.ru_utime + spent.ru_stime


class InWasm:
    """Pieces inside Pyodide."""

    def __init__(self, kind: str) -> None:
        self.kind, self.machine = kind, PyodideProcess(distribution(), kind)

    def __call__(self, seed: int) -> dict[str, Any]:
        """Run the piece of a seed; return its counts and failures."""
        counts: dict[str, Any] = self.machine("test_fuzz", "counts", self.kind, seed, ROUNDS)
        return counts

    def seconds(self) -> float:
        """Return the processor time of all pieces."""
        return self.machine.seconds


def begin(kind: str) -> dict[str, Any]:
    """Return the record of a run that begins after the recorded seeds."""
    runs = records.read(records.RESULTS).get("fuzz", {}).get(kind, [])
    first = 1 + max((run["seeds"][1] for run in runs), default=999)
    return {"seeds": [first, first - 1], "calls": 0, "computed": 0, "failures": 0, "seconds": 0}


def save(kind: str, run: dict[str, Any]) -> None:
    """Put the record of a run in the place of its last one."""
    with records.changing(records.RESULTS) as results:
        runs = results.setdefault("fuzz", {}).setdefault(kind, [])
        runs[:] = [other for other in runs if other["seeds"][0] != run["seeds"][0]] + [run]


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", nargs="?", choices=KINDS, default="address")
    parser.add_argument("--minutes", type=float, default=60, help="of processor time, after which no piece begins")
    parser.add_argument("--limit", type=float, default=1e9, help="minutes of the clock, likewise")
    parser.add_argument("--record", action="store_true", help="add the run to tests/trust/results.json")
    options = parser.parse_args()
    piece: Native | InWasm = InWasm(options.kind) if options.kind.startswith("wasm") else Native(options.kind)
    run, start, before = begin(options.kind), time.monotonic(), piece.seconds()
    while run["seconds"] < 60 * options.minutes and time.monotonic() - start < 60 * options.limit:
        seed = run["seeds"][1] + 1
        counts = piece(seed)
        for failure in counts["failures"]:
            print(failure, flush=True)
        run["failures"] += len(counts["failures"])
        for name in ("calls", "computed"):
            run[name] += counts.get(name, 0)
        run |= {"seeds": [run["seeds"][0], seed], "seconds": round(piece.seconds() - before)} | records.now()
        if options.record:
            save(options.kind, run)
        print(f"seed {seed}: {run['calls']:,} calls, {run['failures']} failures, {run['seconds']} s", flush=True)
    return int(run["failures"] > 0)


if __name__ == "__main__":
    sys.exit(main())

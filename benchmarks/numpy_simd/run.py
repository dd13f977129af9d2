"""The official NumPy wheel, `accelerate_numpy()` on it, and the WASM-SIMD wheel, side by side in Node.js and Chromium.

    python benchmarks/numpy_simd/run.py "$(make dist-path | tail -n 1)" WHEEL [--only TEXT] [--rounds N]

The contenders take turns, call by call, so that other load on the machine slows all of them. The shortest time of the rounds
counts; `--runtime` adds rounds with the same wheel. Writes benchmarks/results/numpy_simd.json and its tables (see tables.py).
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tools"), str(ROOT / "recipes" / "numpy"), str(HERE)]

import chromium  # noqa: E402
import tables  # noqa: E402
from distribution import with_numpy  # noqa: E402

from benchmarks.runtimes import FLAGS, Runtime, lines, served  # noqa: E402

SECONDS = 0.06
PAGE = """async (source) => {
  const { loadPyodide } = await import("/pyodide/pyodide.mjs");
  const { start } = await import("/benchmarks/numpy_simd/runtime.mjs");
  window.call = await start(loadPyodide, "/pyodide/", source);
}"""


@contextlib.contextmanager
def in_chromium(*distributions: Path) -> Iterator[list[Runtime]]:
    """Open a page of one Chromium for each distribution; only one works at a time."""
    from playwright.sync_api import sync_playwright

    with contextlib.ExitStack() as stack:
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=chromium.find(), args=chromium.FLAGS)
        found: list[Runtime] = []
        for distribution in distributions:
            page = browser.new_page()
            page.goto(f"{stack.enter_context(served(distribution))}/pyodide/pyodide-lock.json")
            page.evaluate(PAGE, (HERE / "bench.py").read_text("utf-8"))
            found.append(lambda *given, page=page: page.evaluate("(given) => window.call(...given)", list(given)))
        yield found
        browser.close()


@contextlib.contextmanager
def in_node(*distributions: Path) -> Iterator[list[Runtime]]:
    """Start a Node.js process for each distribution."""
    with contextlib.ExitStack() as stack:
        command = ("node", *FLAGS, str(HERE / "node.mjs"))
        yield [stack.enter_context(lines(*command, str(folder))) for folder in distributions]


def measure(runtimes: list[Runtime], only: str, rounds: int) -> dict[str, dict[str, float]]:
    """Return the milliseconds of each call by name and contender."""
    official, simd = runtimes
    sides = {
        "official": (official, False),
        "accelerated": (official, True),
        "simd": (simd, False),
        "simd, accelerated": (simd, True),
    }
    found: dict[str, dict[str, float]] = {}
    for name in official("names"):
        if only not in name:
            continue
        best = dict.fromkeys(sides, float("inf"))
        for _ in range(rounds):
            for side, (runtime, accelerated) in sides.items():
                best[side] = min(best[side], runtime("measure", name, accelerated, SECONDS))
        found[name] = {side: float(f"{value:.4g}") for side, value in best.items()}
        gains = ", ".join(f"{side} {best['official'] / best[side]:.2f}×" for side in list(sides)[1:])
        print(f"{name:40} {best['official']:10.4f} ms; {gains}", file=sys.stderr, flush=True)
    return found


def shortest(times: dict[str, float], before: dict[str, float]) -> dict[str, float]:
    """Return the shorter of two times for each contender."""
    return {side: min(value, before[side]) for side, value in times.items()}


def main() -> None:
    """Measure, write the results, and compare them with the targets."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("distribution", type=Path)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--only", default="")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--runtime", choices=["node", "chromium"], help="further rounds in this one")
    given = parser.parse_args()
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    wheel = given.wheel.read_bytes()
    known = json.loads(tables.RESULTS.read_text("utf-8")) if tables.RESULTS.exists() else {}
    results: dict[str, Any] = {
        "wheel": {"file": given.wheel.name, "sha256": hashlib.sha256(wheel).hexdigest(), "bytes": len(wheel)}
    }
    if given.runtime and known.get("wheel") == results["wheel"]:
        results = known
    with tempfile.TemporaryDirectory() as folder:
        simd = with_numpy(given.distribution, given.wheel, Path(folder, "simd"))
        for key, title, start in (
            ("node", f"Node.js {version[1:]}", in_node),
            ("chromium", "Chromium", in_chromium),
        ):
            if given.runtime in (None, key):
                with start(given.distribution, simd) as runtimes:
                    facts = [runtime("facts") for runtime in runtimes]
                    print(f"{title}: {facts}", file=sys.stderr, flush=True)
                    found = measure(runtimes, given.only, given.rounds)
                    before = results.get(key, {}).get("results", {})
                    results[key] = {
                        "runtime": title,
                        "official": facts[0]["numpy"],
                        "simd": facts[1]["numpy"],
                        "backend": facts[1]["backend"],
                        "results": before
                        | {name: shortest(times, before.get(name, times)) for name, times in found.items()},
                    }
    if {"node", "chromium"} <= results.keys() and (given.runtime or not given.only):
        tables.RESULTS.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", "utf-8")
        tables.write(results)
    missed = tables.missed(results)
    sys.exit(f"below target: {', '.join(missed)}" if missed else 0)


if __name__ == "__main__":
    main()

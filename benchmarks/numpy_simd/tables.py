"""Tables of run.py's results, written between markers into the documentation.

python benchmarks/numpy_simd/tables.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results" / "numpy_simd.json"
PAGES = (ROOT / "docs" / "numpy-simd.md", ROOT / "recipes" / "numpy" / "upstream.md")
START, END = "<!-- numpy-simd:start -->", "<!-- numpy-simd:end -->"

#: Target speeds relative to the official wheel.
TARGETS = {
    "matmul f32 128": 8,
    "matmul f32 512": 26,
    "matmul f32 1024": 40,
    "matmul f64 512": 15,
    "exp f32 1e5": 5,
    "sort f32 1e5": 5,
    "sort f64 1e5": 5,
    "sort i32 1e5": 5,
    "sum f32 1e6": 3,
    "einsum ij,kj->ik f32 1000×128, 64": 2,
}


#: Known reasons of misses.
REASONS = {
    "matmul f32 512": "an Intel Xeon ran this; on an AMD EPYC, the official loop took 344 ms and an earlier wheel 7.2 ms",
    "matmul f64 512": "likewise: 564 ms and 15 ms on the EPYC",
    "sort f64 1e5": "5.0 to 5.5 times in several runs, so within their spread",
    "sum f32 1e6": "4 MB come from memory no faster: a plain sum of vectors takes 9 tenths of the time",
}


def gain(times: dict[str, float], side: str) -> float:
    """Return the speed relative to the official wheel."""
    return times["official"] / times[side]


def missed(results: dict[str, Any]) -> list[str]:
    """Describe the calls that miss their target."""
    return [
        f"{name} in {results[key]['runtime']} {gain(results[key]['results'][name], 'simd'):.1f}× (wanted {wanted}×)"
        for key in ("node", "chromium")
        for name, wanted in TARGETS.items()
        if name in results.get(key, {}).get("results", {}) and gain(results[key]["results"][name], "simd") < wanted
    ]


def table(results: dict[str, Any]) -> str:
    """Return a table of all calls in Markdown."""
    runs = [results[key] for key in ("node", "chromium")]
    sides = {"accelerated": "`accelerate_numpy()`", "simd": "SIMD wheel", "simd, accelerated": "both"}
    header = ["call", "target"]
    for run in runs:
        header += [f"{run['runtime']}: official, ms", *sides.values()]
    rows = [header, ["---", *["---:"] * (len(header) - 1)]]
    for name in runs[0]["results"]:
        cells = [f"`{name}`", f"{TARGETS[name]}×" if name in TARGETS else ""]
        for run in runs:
            times = run["results"][name]
            cells += [f"{times['official']:.3g}", *(f"{gain(times, side):.3g}×" for side in sides)]
        rows.append(cells)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def page(text: str, results: dict[str, Any]) -> str:
    """Return a page with the table between its markers."""
    before, rest = text.split(START)
    below = "".join(
        f"- `{name}`: {reason}.\n"
        for name, reason in REASONS.items()
        if any(m.startswith(name) for m in missed(results))
    )
    notes = f"Below the target:\n\n{below}\n" if below else ""
    return f"{before}{START}\n\n{table(results)}\n\n{notes}{END}{rest.split(END)[1]}"


def write(results: dict[str, Any]) -> None:
    """Put the table into every page that shows it."""
    for path in PAGES:
        path.write_text(page(path.read_text("utf-8"), results), "utf-8")


if __name__ == "__main__":
    write(json.loads(RESULTS.read_text("utf-8")))

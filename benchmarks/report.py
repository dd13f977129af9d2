"""Markdown tables of the results of `make bench`, written between markers into the documentation."""

from __future__ import annotations

from pathlib import Path

from benchmarks import mechanism_rows
from benchmarks.results_file import OTHERS, PEERS, Results, ratio, share_of_peak, speed
from benchmarks.targets import ROWS, TITLES, WASM, number, targets

START, END = "<!-- bench:start -->", "<!-- bench:end -->"

MORE_ROWS = {
    "query-10": "1 query, N = 10",
    "flash": "flash, 1 query, N = 1 000",
    "hyperbolic": "hyperbolic, 1 query, N = 1 000",
    "exact-1024-backward": "exact attention 1024², d = 64, backward",
    "gemm-256": "matrix product 256³",
    "gemm-1024": "matrix product 1024³",
    "projection": "projection 1000×128×128",
}
SHORT = ("query-1000", "queries-1000", "exact-1024", "heads-1", "gemm-512", "gat")


def table(header: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table, names left-aligned, figures right-aligned."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def times(value: float | None) -> str:
    """Format a ratio as a cell."""
    return "–" if value is None else f"{number(value)}×"


def comparison(results: Results, runtime: str, rows: dict[str, str]) -> str:
    """Return a table of our speed relative to each other contender."""
    others = {**PEERS, **OTHERS}
    header = ["", *others.values(), "native NumPy", "share of peak"]
    body = []
    for workload, title in rows.items():
        if runtime not in results["workloads"].get(workload, {}):
            continue
        cells = [times(ratio(results, workload, runtime, name)) for name in others]
        native = "graphattend" if speed(results, workload, "native") else "numpy"
        cells.append(times(ratio(results, workload, runtime, native, other_runtime="native")))
        flops = results["flops"].get(workload)
        share = share_of_peak(results, workload, runtime) if flops else None
        body.append([title, *cells, "–" if share is None else f"{100 * share:.0f} %"])
    return table(header, body)


def mechanism_table(results: Results) -> str:
    """Return a table of calls per second of every mechanism's example in every runtime."""
    names = [name for name in results["workloads"] if name.startswith("mechanism:")]
    runtimes = [name for name in TITLES if name in results["runtimes"]]
    body = []
    for name in names:
        speeds = [speed(results, name, runtime) for runtime in runtimes]
        body.append([f"`{name.partition(':')[2]}`", *["–" if s is None else number(s) for s in speeds]])
    return table(["mechanism", *[TITLES[name] for name in runtimes]], body)


def mechanism_details(results: Results) -> list[str]:
    """Return a table of times, forward and over a graph, relative to dot products and the lower bound; misses are bold."""
    titles = {"mechanism": "forward", "attend": "over a graph of 10 000 nodes, 200 000 edges, 64 wide"}
    parts = []
    for kind, title in titles.items():
        for runtime in TITLES:
            if runtime in results["runtimes"] and mechanism_rows.keys_of(results, kind):
                parts.append(f"### Every mechanism {title}, {TITLES[runtime]}")
                parts.append(table(*mechanism_rows.rows(results, kind, runtime)))
    return parts


def target_table(results: Results) -> str:
    """Return a table of every target with its measured value."""
    verdicts = {True: "met", False: "**missed**", None: "**not measured**"}
    rows = [
        [t.what, t.runtime, t.wanted, t.measured, verdicts[t.met] + (f": {t.why}" if t.why else "")]
        for t in targets(results)
    ]
    return table(["target", "where", "wanted", "measured", ""], rows)


def setting(results: Results) -> str:
    """Describe each runtime in a sentence."""
    lines = []
    for name, facts in results["runtimes"].items():
        lines.append(
            f"- {TITLES[name]}: Python {facts['python']}, NumPy {facts['numpy']}, backend `{facts['backend']}`; importing"
            f" graphattend takes {number(facts['graphattend_ms'])} ms after NumPy's {number(facts['numpy_ms'])} ms"
        )
    load, cores = results["load"], results["cores"]
    if load > cores:
        lines.append(
            f"\nOther programs ran beside this one (load average {load:.0f} on {cores} cores). Long calls were interrupted"
            " more often than short ones, so that the ratios below are rough."
        )
    return "\n".join(lines)


def full(results: Results) -> str:
    """Return all tables, for docs/benchmarks.md."""
    found = [t.met for t in targets(results)]
    parts = ["## What ran", setting(results)]
    for runtime in WASM:
        if runtime in results["runtimes"]:
            parts += [
                f"## graphattend in {TITLES[runtime]}: times as fast as",
                comparison(results, runtime, ROWS | MORE_ROWS),
            ]
    if results.get("page"):
        parts += ["## What a page gets", page_table(results), first_answers(results)]
    parts += [
        "## Every mechanism, calls a second",
        "One query, 1 000 keys, 128 wide, validation included, as each mechanism's own example asks.",
        mechanism_table(results),
        "In the next tables, the columns after the bound are times relative to the plain call. `masked` hides every fifth key,"
        " and `prepared` passes the result of `prepare`. `backward` is forward pass and pullback, less a forward pass.",
        *mechanism_details(results),
    ]
    parts += [
        "## Targets",
        f"{found.count(True)} met, {len(found) - found.count(True)} missed or not measured. Times in a reason are those of"
        " the machine on which it was looked for, not of this run.",
        target_table(results),
    ]
    return "\n\n".join(parts)


#: Contenders in a page, by their names in without_python.mjs.
PAGE = {"onnxruntime": "onnxruntime-web", "tfjs": "tfjs-wasm", "javascript": "plain JS"}
FIRST = "first answer after opening the page (ms)"


def page_table(results: Results) -> str:
    """Return a table of a JavaScript caller's microseconds per call, and the speed relative to each peer."""
    header = ["", "`graphattend`", "`graphattend/kernels`", *(f"{title}, against" for title in PAGE.values())]
    body = []
    for title, found in results.get("page", {}).items():
        if title == FIRST or "package" not in found:
            continue
        ours = [f"{number(found[name])} µs" if name in found else "–" for name in ("package", "kernels")]
        body.append(
            [
                title.removesuffix(" (µs)"),
                *ours,
                *(times(found.get(name) and found[name] / found["package"]) for name in PAGE),
            ]
        )
    return table(header, body)


def first_answers(results: Results) -> str:
    """Return a table of milliseconds from opening a page to the first answer, with an empty cache."""
    names = {
        "kernels": "`graphattend/kernels`",
        "tfjs": "tfjs-wasm",
        "onnxruntime": "onnxruntime-web",
        "package": "`graphattend`",
        "worker": "`graphattend` in a worker",
        "package again": "second visit",
        "worker again": "second visit, worker",
        "nothing": "an empty page",
    }
    found = results.get("page", {}).get(FIRST, {})
    return table(
        ["first answer of a page", "ms"],
        [[title, number(found[name])] for name, title in names.items() if name in found],
    )


def short(results: Results) -> str:
    """Return the table of a JavaScript caller's speeds, for the README."""
    if not results.get("page"):
        return comparison(results, "chromium", {name: ROWS[name] for name in SHORT})
    return page_table(results)


def insert(path: Path, content: str) -> bool:
    """Put text between a file's markers; return False without a change if there are none."""
    if not path.exists():
        return False
    text = path.read_text(encoding="utf-8")
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        return False
    path.write_text(f"{before}{START}\n{content}\n{END}{after}", encoding="utf-8")
    return True

"""Write the tables of docs/browser.md: times of a start, failures with their messages, environments with their results.

    .venv/bin/python tools/gen_browser_tables.py            # write the page
    .venv/bin/python tools/gen_browser_tables.py --check    # fail if the page is stale

The figures are in benchmarks/results/: start.json is written by benchmarks/start.mjs, failures.json and environments.json by the
tests of js/ with GRAPHATTEND_RECORD set.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "browser.md"
RESULTS = ROOT / "benchmarks" / "results"
ENGINES = ("Chromium", "Firefox", "Node.js")


def table(header: list[str], rows: list[list[str]], figures: int = 0) -> str:
    """Return a Markdown table whose last columns are figures."""
    rule = ["---"] * (len(header) - figures) + ["---:"] * figures
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [header, rule, *rows])


def milliseconds(value: float | None) -> str:
    """Format a time as a cell, with a space between thousands."""
    return "–" if value is None else f"{round(value):,}".replace(",", " ")


def start(results: dict[str, Any]) -> str:
    """Tabulate milliseconds to the first answer by engine and visit, for the main thread and for workers."""
    engines = {name: results["versions"][name] for name in ENGINES if name in results["versions"]}
    titles = {"main": "The main thread", "worker": "A worker"}
    parts = []
    for thread, title in titles.items():
        header = [title, *[f"{name}, {visit}" for name in engines for visit in ("first", "later")]]
        rows = [
            [
                name,
                *[milliseconds(found.get(engine, {}).get(visit)) for engine in engines for visit in ("first", "later")],
            ]
            for name, found in results["ms"][thread].items()
        ]
        parts.append(table(header, rows, len(header) - 1))
    versions = ", ".join(f"{name} {version}" for name, version in engines.items())
    parts.append(
        f"{versions}; the least of {results['rounds']} rounds, {results['date']}. The load average was up to {results['load']:.0f}"
        f" on {results['cores']} cores."
    )
    return "\n\n".join(parts)


def failures(results: dict[str, Any]) -> str:
    """Tabulate the failures, their messages and times."""
    rows = [
        [
            name,
            f"`{row['code']}`",
            row["message"].replace("|", "\\|"),
            milliseconds(row.get("page")),
            milliseconds(row.get("worker")),
        ]
        for name, row in results.items()
    ]
    return table(["what goes wrong", "code", "message", "page, ms", "worker, ms"], rows, 2)


def environments(results: dict[str, Any]) -> str:
    """Tabulate the environments in which the package was tried, with the results."""
    rows = [[name, row["version"], row["where"], row["result"]] for name, row in results.items()]
    return table(["environment", "version", "where", "result"], rows)


TABLES: dict[str, Callable[[dict[str, Any]], str]] = {
    "start": start,
    "failures": failures,
    "environments": environments,
}


def written(text: str) -> str:
    """Return the page with current tables; tables without results stay unchanged."""
    for name, build in TABLES.items():
        begin, end = f"<!-- {name} begin -->\n", f"<!-- {name} end -->"
        before, rest = text.split(begin)
        path = RESULTS / f"{name}.json"
        if path.exists():
            text = f"{before}{begin}{build(json.loads(path.read_text('utf-8')))}\n{end}{rest.split(end)[1]}"
    return text


def main() -> None:
    """Write or check."""
    text = PAGE.read_text("utf-8")
    wanted = written(text)
    if "--check" in sys.argv[1:]:
        sys.exit(0 if text == wanted else "docs/browser.md: run tools/gen_browser_tables.py")
    PAGE.write_text(wanted, "utf-8")


if __name__ == "__main__":
    main()

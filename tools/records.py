"""Files with the results of long runs, in tests/trust/: several runs may add to one file at a time."""

import contextlib
import datetime
import fcntl
import json
import os
import platform
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "tests" / "trust"
RESULTS, MUTANTS, VERSIONS = FOLDER / "results.json", FOLDER / "mutants.json", FOLDER / "versions.json"
SUITES = FOLDER / "suites.json"


def now() -> dict[str, str]:
    """Return today's date and the current commit."""
    commit = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return {"date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"), "commit": commit.stdout.strip()}


def machine() -> str:
    """Return the kind of this machine."""
    return f"{platform.machine()}, {os.cpu_count()} processors"


def read(path: Path) -> dict[str, Any]:
    """Read a file of results; empty if it does not exist."""
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def replace(path: Path, text: str) -> None:
    """Write a file atomically."""
    part = path.with_suffix(".part")
    part.write_text(text, "utf-8")
    part.replace(path)


@contextlib.contextmanager
def changing(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the results of a file, which are written when the block ends. Other processes wait meanwhile."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        results = read(path)
        yield results
        replace(path, json.dumps(results, indent=1, sort_keys=True) + "\n")
    finally:
        os.close(folder)


def put_version(setting: str, found: dict[str, Any], tests: list[str]) -> None:
    """Write how these tests ended on a version of Python, NumPy or an engine; earlier results of other tests stay."""
    with changing(VERSIONS) as results:
        runs = {run["tests"]: run for run in results.get(setting, []) if "missing" not in run}
        run = found | {"tests": " ".join(tests), "machine": machine()} | now()
        results[setting] = list((runs | {run["tests"]: run}).values())

"""NumPy's own tests inside Pyodide, on the official wheel and on another: what passes there must pass here.

    python recipes/numpy/compare_tests.py DISTRIBUTION WHEEL [--runtime node|chromium] [--cache FOLDER] [FILE...]

Takes 10 to 15 minutes of one core for each wheel in Node.js. The results of each shard are kept in the cache folder by
the wheel's hash, so an interrupted run goes on, and the official wheel's tests run once. Ends with 1 if a test that
passes on the official wheel does not on the other.
"""

from __future__ import annotations

import argparse
import collections
import functools
import hashlib
import http.server
import json
import sys
import tempfile
import threading
import zipfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TOOLS = HERE.parent.parent / "tools"
sys.path[:0] = [str(HERE), str(TOOLS)]

import chromium  # noqa: E402
from distribution import with_numpy  # noqa: E402
from numpy_tests import FILES, run, tests_of  # noqa: E402
from pyodide_dist import cache_folder  # noqa: E402

#: numpy/_core/tests is most of the work, so it is cut.
CORE_SHARDS = 6
PAGE = """async ([files, loops]) => {
  const { loadPyodide } = await import("/pyodide.mjs");
  const pyodide = await loadPyodide({ indexURL: "/" });
  await pyodide.loadPackage(["graphattend", "pytest", "hypothesis"], { messageCallback() {} });
  for (const name of ["numpy_tests_inside.py", "tests.zip"])
    pyodide.FS.writeFile(name, new Uint8Array(await (await fetch("/" + name)).arrayBuffer()));
  pyodide.runPython(`import zipfile; zipfile.ZipFile("tests.zip").extractall("/given")`);
  return pyodide.pyimport("numpy_tests_inside").run(loops, pyodide.toPy(files));
}"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *_: Any) -> None:
        """Nothing to say."""


def shards(tests: Path) -> list[list[str]]:
    """All test folders, the largest cut by files."""
    core = sorted(f"_core/tests/{p.name}" for p in (tests / "numpy" / "_core" / "tests").glob("test_*.py"))
    rest = [[file] for file in (*FILES, "random/tests") if file != "_core/tests"]
    return [core[i::CORE_SHARDS] for i in range(CORE_SHARDS)] + rest


def run_in_chromium(distribution: Path, tests: Path, loops: str, files: list[str]) -> dict[str, Any]:
    """The result of each test in a page of Chromium."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder:
        served = Path(folder)
        for path in (*distribution.iterdir(), TOOLS / "numpy_tests_inside.py"):
            (served / path.name).symlink_to(path.resolve())
        with zipfile.ZipFile(served / "tests.zip", "w") as archive:
            for path in tests.rglob("*"):
                if path.is_file():
                    archive.write(path, path.relative_to(tests))
        handler = functools.partial(Quiet, directory=folder)
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, sync_playwright() as playwright:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            browser = playwright.chromium.launch(executable_path=chromium.find(), args=chromium.FLAGS)
            page = browser.new_page()
            page.goto(f"http://127.0.0.1:{server.server_address[1]}/pyodide-lock.json")
            found: dict[str, Any] = json.loads(page.evaluate(PAGE, [files, loops]))
            browser.close()
            server.shutdown()
    return found


def outcomes(distribution: Path, tests: Path, runtime: str, files: list[str], cache: Path) -> dict[str, str]:
    """The outcome of each test, from the cache if this wheel has run them already."""
    lock = json.loads((distribution / "pyodide-lock.json").read_text("utf-8"))
    key = [lock["packages"]["numpy"]["sha256"], runtime, files]
    kept = cache / f"{hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]}.json"
    if not kept.exists():
        start = run if runtime == "node" else run_in_chromium
        found = start(distribution, tests, "own", files)["outcomes"]
        cache.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(found))
    result: dict[str, str] = json.loads(kept.read_text())
    return result


def main() -> None:
    """Run both, print the difference."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("distribution", type=Path)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("files", nargs="*", help="such as _core/tests/test_umath.py (default: all)")
    parser.add_argument("--runtime", choices=["node", "chromium"], default="node")
    parser.add_argument("--cache", type=Path, default=cache_folder() / "numpy-test-results")
    given = parser.parse_intermixed_args()
    official, wheel = given.distribution.resolve(), given.wheel.resolve()
    version = json.loads((official / "pyodide-lock.json").read_text("utf-8"))["packages"]["numpy"]["version"]
    tests = tests_of(version)
    before: dict[str, str] = {}
    after: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        other = with_numpy(official, wheel, Path(folder, "distribution"))
        for files in [given.files] if given.files else shards(tests):
            before |= outcomes(official, tests, given.runtime, files, given.cache)
            after |= outcomes(other, tests, given.runtime, files, given.cache)
    for name, found in (("official", before), (wheel.name, after)):
        counts = collections.Counter(found.values())
        print(f"{name}: " + ", ".join(f"{n} {outcome}" for outcome, n in sorted(counts.items())))
    worse = [name for name, outcome in before.items() if outcome == "passed" and after.get(name) != "passed"]
    for name in worse:
        print(f"{name}: passed, now {after.get(name, 'not run')}")
    sys.exit(1 if worse else 0)


if __name__ == "__main__":
    main()

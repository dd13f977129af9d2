"""Run the test suites, all of them or those named, and end with a table of what ran.

`make test-all` writes the table to tests/trust/suites.json, too, and docs/trust.md again, which shows it.

A stage has one or two lanes, which run side by side; every line of output is marked with its suite. The suites of a
lane run one after the other. All suites run even if one fails. The exit code is 0 only if each passed and ran at least
one test.
"""

import dataclasses
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import build_js
import chromium
import firefox
import form
import pyodide_dist
import records
import serve
import webkit

ROOT = Path(__file__).resolve().parent.parent
PYTEST = [sys.executable, "-m", "pytest", "--no-header", "--durations=10", "--durations-min=5"]
KINDS = ("passed", "failed", "skipped")

#: Whether `make test-all` runs, which includes the tests that do not fit into 25 minutes.
ALL = bool(os.environ.get("GRAPHATTEND_ALL"))

LIMIT = 3600 if ALL else 1800  # seconds for one command

#: Backends of the suite inside Pyodide: auto is the fastest of the runtime, relaxed SIMD in both. The tests of the
#: kernels also run on wasm-simd128 in both; with GRAPHATTEND_ALL, so do the tests of the functions that use them.
BACKENDS = {"node": "auto,numpy", "chrome": "auto,wasm-simd128" if ALL else "auto"}

#: What of the suite inside Pyodide runs in Firefox: the kernels' tests without the longest (random calls, NumPy's
#: loops), and one file of what stands on kernels; with GRAPHATTEND_ALL everything.
KERNELS = (
    "backends",
    "basic_kernels",
    "bound",
    "flash_kernels",
    "functional_in_kernels",
    "graph_kernels",
    "heads_and_ball_kernels",
    "mechanisms_in_kernels",
    "products",
    "small_kernels",
)
IN_FIREFOX = ",".join([*(f"tests/simd/test_{name}.py" for name in KERNELS), "tests/functional/test_attention.py"])

#: What of it runs in Chromium, which shares the engine of Node.js, where everything runs: besides that, the functions,
#: the conformance of all mechanisms, and the bridge to JavaScript; with GRAPHATTEND_ALL everything.
IN_CHROMIUM = ",".join(
    [
        *(f"tests/simd/test_{name}.py" for name in KERNELS),
        *("tests/functional", "tests/mechanisms/test_conformance.py", "tests/test_bridge"),
    ]
)

#: Tests whose results the backend computes.
ARITHMETIC = ["tests/compression", "tests/functional", "tests/mechanisms"]


@dataclasses.dataclass
class Suite:
    """Commands that run in sequence, and their results."""

    name: str
    title: str
    commands: Callable[[], list[list[str]]]
    environment: dict[str, str] = dataclasses.field(default_factory=dict)
    count_commands: bool = False
    counts: dict[str, int] = dataclasses.field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    succeeded: bool = True
    seconds: float = 0.0

    def run(self, mark: str) -> None:
        """Run every command and print its output as it arrives."""
        start = time.monotonic()
        try:
            commands = self.commands()
        except (SystemExit, Exception) as error:
            print(f"{mark}{error}", flush=True)
            commands, self.succeeded = [], False
        for command in commands:
            print(f"{mark}+ {shlex.join(shorten(word) for word in command)}", flush=True)
            lines = []
            with subprocess.Popen(
                command,
                cwd=ROOT,
                env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"} | self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            ) as process:
                watchdog = threading.Timer(LIMIT, self.stop, [process, mark])
                watchdog.start()
                for line in process.stdout or ():
                    lines.append(line)
                    print(f"{mark}{line.rstrip()}", flush=True)
                watchdog.cancel()
            if process.returncode < 0:
                print(f"{mark}Ended by {signal.Signals(-process.returncode).name}", flush=True)
            found = counted(lines)
            if self.count_commands:
                found = {"passed": int(process.returncode == 0), "failed": int(process.returncode != 0), "skipped": 0}
            for kind, number in found.items():
                self.counts[kind] += number
            self.succeeded &= process.returncode == 0
        if self.succeeded and commands and not self.counts["passed"]:
            print(f"{mark}No test ran", flush=True)
            self.succeeded = False
        self.seconds = time.monotonic() - start

    def verdict(self) -> str:
        """Return how the suite ended."""
        ran = any(self.counts.values()) or not self.succeeded
        return ("ok" if self.succeeded else "FAILED") if ran else "none"

    def stop(self, process: subprocess.Popen[str], mark: str) -> None:
        """End a command that hangs, and all processes it started."""
        print(f"{mark}Stopped: no end after {LIMIT} seconds", flush=True)
        os.killpg(process.pid, signal.SIGKILL)


def shorten(word: str) -> str:
    """Return an argument of a command, shortened for display."""
    return word.replace(str(ROOT) + "/", "")


def counted(lines: list[str]) -> dict[str, int]:
    """Return the numbers of tests from a runner's output: our lines for tests inside Pyodide, else its last line."""
    plain = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in lines]
    ours = [line for line in plain if line.startswith("Inside Pyodide, ")]
    last = [line for line in plain if re.search(r"\d+ (passed|failed|error)", line)][-1:]
    counts = dict.fromkeys(KINDS, 0)
    for line in ours or last:
        for number, kind in re.findall(r"(\d+) (passed|failed|skipped|error)", line):
            counts["failed" if kind == "error" else kind] += int(number)
    # node --test prints one line for each: "# pass 12" or "ℹ pass 12".
    for line in plain:
        if match := re.match(r"[#ℹ] (pass|fail|skipped) (\d+)$", line.strip()):
            counts[{"pass": "passed", "fail": "failed", "skipped": "skipped"}[match[1]]] += int(match[2])
    return counts


def lint() -> list[list[str]]:
    """Return the commands that check style and types."""
    tools = form.commands(check=True)
    commands = [
        *tools["python"],
        *tools["c"],
        [sys.executable, "-m", "mypy"],
        [str(Path(sys.executable).with_name("typos"))],
        [str(Path(sys.executable).with_name("actionlint"))],
        [sys.executable, "tools/version.py", "--check"],
        [sys.executable, "tools/gen_types.py", "--check"],
        [sys.executable, "tools/gen_architecture.py", "--check"],
        [sys.executable, "tools/build_docs.py"],
        [sys.executable, "tools/check_links.py"],
        [sys.executable, "tools/check_licences.py"],
    ]
    if (ROOT / "js" / "package.json").exists():
        commands.append([sys.executable, "tools/build_js.py"])  # web/ reads the types of the built package
    for name in ("js", "web"):
        if (ROOT / name / "package.json").exists():
            commands.append(["npm", "run", "--silent", "--prefix", name, "lint"])
    return [*commands, *tools["javascript"], ["js/node_modules/.bin/eslint", "."]]


def native() -> list[list[str]]:
    """The suite and the docstrings' examples in CPython, then what computes on plain NumPy; with GRAPHATTEND_ALL, coverage."""
    pytest = [*PYTEST, "-q", "-n", str(os.cpu_count() or 1)]
    coverage = ["--cov", "--cov-report=term", "--cov-report=xml:build/coverage.xml"] if ALL else []
    return [
        [*pytest, *coverage, "--doctest-modules", "src", "tests"],
        ["env", "GRAPHATTEND_BACKEND=numpy", *pytest, *ARITHMETIC],
    ]


def pyodide(*runner: str, tests: str = "tests/pyodide") -> Callable[[], list[list[str]]]:
    """Return a function that returns the commands of the suite inside Pyodide."""

    def commands() -> list[list[str]]:
        loaded = ["-v", "-p", "pytest_pyodide", "--dist-dir", str(pyodide_dist.assemble())]
        return [[*PYTEST, *loaded, *runner, tests]]

    return commands


def javascript() -> list[list[str]]:
    """Return the commands of the npm package's tests, on a new build."""
    if not (ROOT / "js" / "package.json").exists():
        return []
    os.environ["GRAPHATTEND_DIST"] = str(pyodide_dist.assemble())
    return [[sys.executable, "tools/build_js.py"], ["npm", "test", "--silent", "--prefix", "js"]]


def in_firefox() -> list[list[str]]:
    """The tests of the JavaScript package and of the demo that need a browser, in Firefox; more with GRAPHATTEND_ALL."""
    os.environ["GRAPHATTEND_DIST"] = str(pyodide_dist.assemble())
    more = ["docs", "snapshot", "start", "vendored"] if ALL else []
    views = ["tests/browser"] if ALL else ["tests/browser/test_views.py", "tests/browser/test_pattern.py"]
    return [
        [sys.executable, "tools/build_js.py"],
        ["node", "js/test/run.mjs", "browser", "kernels-browser", *more],
        [*PYTEST, *views],
    ]


def in_webkit() -> list[list[str]]:
    """The tests of the JavaScript package that need a browser, in WebKit, and journeys through the demo."""
    os.environ["GRAPHATTEND_DIST"] = str(pyodide_dist.assemble())
    os.environ["WEBKIT"] = webkit.find()
    return [
        [sys.executable, "tools/build_js.py"],
        ["node", "js/test/run.mjs", "browser", "kernels-browser"],
        [*PYTEST, "tests/browser/webkit"],
    ]


def demo() -> list[list[str]]:
    """Return the commands of the demo's tests by Playwright."""
    return [[*PYTEST, "tests/browser"]] if (ROOT / "tests" / "browser").exists() else []


def stages() -> list[list[list[Suite]]]:
    """Every suite, in order: stages of lanes. The lanes of one stage take about as long as each other."""
    node, chrome = ({"GRAPHATTEND_TEST_BACKENDS": BACKENDS[runtime]} for runtime in ("node", "chrome"))
    chrome["GRAPHATTEND_TEST_FILES"] = "tests" if ALL else IN_CHROMIUM
    in_node = pyodide("--rt", "node")
    in_chromium = pyodide("--runner", "playwright", "--rt", "chrome")
    # Without GRAPHATTEND_ALL, without the tests of the distribution and the docstrings' examples.
    in_gecko = pyodide(
        "--runner", "playwright", "--rt", "firefox", tests="tests/pyodide" + "/test_mirror.py::test_files" * (not ALL)
    )
    gecko = Suite(
        "gecko", "Pyodide in Firefox", in_gecko, environment={"GRAPHATTEND_TEST_FILES": "tests" if ALL else IN_FIREFOX}
    )
    webkit_suite = Suite("webkit", "WebKit", in_webkit, environment={"GRAPHATTEND_BROWSER": "webkit"})
    firefox_suite = Suite("firefox", "Firefox", in_firefox, environment={"GRAPHATTEND_BROWSER": "firefox"})
    node_suite = Suite("node", "Pyodide in Node.js", in_node, environment=node)
    chromium_suite = Suite("chromium", "Pyodide in Chromium", in_chromium, environment=chrome)
    demo_suite = Suite("demo", "Demo", demo)
    lint_suite = Suite("lint", "Style and types", lint, count_commands=True)
    # Both lanes take equally long. Style, the demo's tests and, with ALL, Firefox's build the documentation, at different
    # times.
    lanes = (
        [[node_suite, demo_suite, firefox_suite], [lint_suite, chromium_suite, gecko]]
        if ALL
        else [[lint_suite, node_suite], [chromium_suite, gecko, firefox_suite, demo_suite]]
    )
    return [
        [[Suite("native", "Native", native)]],
        lanes,
        [[Suite("javascript", "JavaScript", javascript)]],
        *([[[webkit_suite]]] if ALL else []),
    ]


def all_suites() -> list[Suite]:
    """Return every suite."""
    return [suite for stage in stages() for lane in stage for suite in lane]


def run_stage(lanes: list[list[Suite]]) -> None:
    """Run lanes side by side."""

    def run_lane(suites: list[Suite]) -> None:
        for suite in suites:
            print(f"\n=== {suite.title}", flush=True)
            suite.run(f"[{suite.name}] " if len(lanes) > 1 else "")

    threads = [threading.Thread(target=run_lane, args=[suites]) for suites in lanes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def summary(suites: list[Suite]) -> None:
    """Print the table, and the sums on the last line."""
    print(f"\n{'Suite':<22}{'':<8}" + "".join(f"{kind:>9}" for kind in KINDS) + f"{'seconds':>10}")
    for suite in suites:
        numbers = "".join(f"{suite.counts[kind]:>9}" for kind in KINDS)
        print(f"{suite.title:<22}{suite.verdict():<8}{numbers}{suite.seconds:>10.0f}")
    total = {kind: sum(suite.counts[kind] for suite in suites) for kind in KINDS}
    # A suite that broke without a failing test counts as a failure.
    total["failed"] += sum(not suite.succeeded and not suite.counts["failed"] for suite in suites)
    print("\n" + ", ".join(f"{total[kind]} {kind}" for kind in KINDS))


def record(suites: list[Suite]) -> None:
    """Write how these suites ended; the last results of others stay."""
    places = [suite.name for suite in all_suites()]
    where = {"machine": records.machine()} | records.now()
    with records.changing(records.SUITES) as results:
        for suite in suites:
            told = {"title": suite.title, "verdict": suite.verdict(), "seconds": round(suite.seconds)}
            results[suite.name] = told | suite.counts | where | {"place": places.index(suite.name)}


def main() -> None:
    """Run the suites named on the command line, or all."""
    wanted = sys.argv[1:]
    known = [suite.name for suite in all_suites()]
    if unknown := set(wanted) - set(known):
        sys.exit(f"No suite {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    chosen = [
        [lane for suites in stage if (lane := [suite for suite in suites if not wanted or suite.name in wanted])]
        for stage in stages()
    ]
    suites = [suite for stage in chosen for lane in stage for suite in lane]
    if {"chromium", "javascript", "demo"} & {suite.name for suite in suites}:
        os.environ["CHROMIUM"] = chromium.find()
    # Build the package, the wheel in it and the page once, before suites that run side by side need them.
    build_js.build()
    if {"firefox", "gecko"} & {suite.name for suite in suites}:
        os.environ["FIREFOX"] = firefox.find()
    if {"demo", "firefox", "webkit"} & {suite.name for suite in suites}:
        serve.build()
    for stage in filter(None, chosen):
        run_stage(stage)
    if ALL:
        record(suites)
        subprocess.run([sys.executable, "tools/gen_trust.py"], cwd=ROOT, check=True)
    summary(suites)
    sys.exit(not all(suite.succeeded for suite in suites))


if __name__ == "__main__":
    main()

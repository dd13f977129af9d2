"""Runtimes for the tests inside Pyodide: Node.js or Chromium with graphattend, pytest and the tests.

Run by tools/test_suites.py; by hand, with DIST as `make dist-path` prints it:
    pytest -p pytest_pyodide --dist-dir DIST --rt node tests/pyodide
"""

import collections
import itertools
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import browsers
import chromium
import firefox
import pytest
from playwright.sync_api import BrowserType
from pytest_pyodide import get_global_config
from pytest_pyodide.fixture import selenium_common
from pytest_pyodide.server import spawn_web_server

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "recipes" / "numpy"))

import distribution  # noqa: E402

TESTS = ROOT / "tests"
PACKAGES = ["graphattend", "pytest", "hypothesis", "networkx", "mpmath", "autograd"]
TIMEOUT = 900  # seconds per call
BATCH = 8  # files of a folder per call, because pytest takes half a second to start and to end

#: Tests whose results depend on the backend. Backends other than the best one run only these, and all of them only with
#: `make test-all`. The kernels' own tests iterate over all variants themselves.
ARITHMETIC = ("tests/functional", "tests/mechanisms/test_conformance.py")
if os.environ.get("GRAPHATTEND_ALL"):
    ARITHMETIC = ("tests/compression", "tests/functional", "tests/mechanisms")

#: The beginnings of the paths of the files to run; "tests" for all.
CHOSEN = tuple(os.environ.get("GRAPHATTEND_TEST_FILES", "tests").split(","))

#: Marks a file in which every test needs an operating system.
NOTHING_TO_RUN = "\npytestmark = pytest.mark.native"

#: Counts of the tests that ran inside, by runtime and backend, for the summary.
totals: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)


def relaxed_simd_flag() -> list[str]:
    """Return Node.js 20's flag for relaxed SIMD, which later versions do not know."""
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    return ["--experimental-wasm-relaxed-simd"] if int(version.lstrip("v").split(".")[0]) < 22 else []


def pytest_configure(config: pytest.Config) -> None:
    """Set the browser and the flags of pytest-pyodide, which has no options for them."""
    settings = get_global_config()
    settings.set_flags("chrome", chromium.FLAGS)
    settings.set_flags("node", relaxed_simd_flag())
    if config.option.runtime == "node":
        return
    launch = BrowserType.launch

    def launch_ours(self: BrowserType, **options: Any) -> Any:
        if self.name == "firefox":
            return launch(self, executable_path=firefox.find(), **browsers.FIREFOX, **options)
        return launch(self, executable_path=chromium.find(), **options)

    BrowserType.launch = launch_ours  # type: ignore[method-assign]


def mirrored_files(backend: str) -> list[str]:
    """Return the test files that run on a backend, as paths relative to the repository's root."""
    found = [path for path in TESTS.rglob("test_*.py") if NOTHING_TO_RUN not in path.read_text("utf-8")]
    outside = {"pyodide", "browser", "webkit"}
    mirror = (path.relative_to(ROOT).as_posix() for path in found if path.parent.name not in outside)
    chosen = (path for path in mirror if path.startswith(CHOSEN))
    return sorted(path for path in chosen if backend == "auto" or path.startswith(ARITHMETIC))


def batches(backend: str) -> Iterator[Any]:
    """Return the files in batches, each named by its folder and files."""
    for folder, paths in itertools.groupby(mirrored_files(backend), os.path.dirname):
        for batch in itertools.batched(paths, BATCH):
            names = "+".join(Path(path).stem.removeprefix("test_") for path in batch)
            yield pytest.param(backend, batch, id=f"{backend}-{folder}/{names}")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Ignore the tests of NumPy's WASM-SIMD wheel if `make numpy-simd` has not built it."""
    if collection_path.name == "test_numpy_simd.py":
        return distribution.built(Path(config.option.dist_dir)) is None
    return None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run test files on every requested backend, other tests on the runtime's best backend, ``auto``."""
    if "backend" not in metafunc.fixturenames:
        return
    backends = os.environ.get("GRAPHATTEND_TEST_BACKENDS", "auto").split(",")
    if "paths" in metafunc.fixturenames:
        cases = [case for backend in backends for case in batches(backend)]
        metafunc.parametrize(("backend", "paths"), cases, indirect=["backend"], scope="module")
    else:
        metafunc.parametrize("backend", ["auto"] if "auto" in backends else backends, indirect=True, scope="module")


@pytest.fixture(scope="session")
def tests_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of a zip file of the tests and their configuration."""
    folder = tmp_path_factory.mktemp("served")
    with zipfile.ZipFile(folder / "tests.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in [ROOT / "pyproject.toml", ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *TESTS.rglob("*")]:
            if path.is_file() and "__pycache__" not in path.parts:
                archive.write(path, path.relative_to(ROOT))
    with spawn_web_server(folder) as (host, port, _):
        yield f"http://{host}:{port}/tests.zip"


@pytest.fixture(scope="module")
def backend(request: pytest.FixtureRequest) -> str:
    """Return the backend to run with, see `pytest_generate_tests`."""
    return str(request.param)


@pytest.fixture(scope="module")
def inside(
    request: pytest.FixtureRequest,
    runtime: str,
    web_server_main: Any,
    playwright_browsers: Any,
    tests_url: str,
    backend: str,
) -> Iterator[Any]:
    """Start a runtime, load all packages and unpack the tests."""
    with selenium_common(request, runtime, web_server_main, browsers=playwright_browsers) as machine:
        machine.set_script_timeout(TIMEOUT)
        if runtime == "node":
            machine.p.timeout = TIMEOUT  # the driver waits this long for a result, not for the script's timeout
        settings = {"GRAPHATTEND_ALL": os.environ.get("GRAPHATTEND_ALL", "")}
        if backend != "auto":
            settings["GRAPHATTEND_BACKEND"] = backend
        machine.run(f"import os; os.environ.update({settings!r})")
        machine.load_package(PACKAGES)
        machine.run_js(
            f"""
            const response = await fetch({tests_url!r});
            pyodide.unpackArchive(await response.arrayBuffer(), "zip", {{ extractDir: "/repository" }});
            pyodide.runPython(`
                import os, sys
                os.chdir("/repository")
                sys.path.insert(0, "/repository/tests/pyodide")
                sys.dont_write_bytecode = True
            `);
            """
        )
        yield machine


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Count the tests that do not run tests inside."""
    if "test_mirror" not in report.nodeid and (report.when == "call" or not report.passed):
        totals["distribution"][report.outcome] += 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Report how many tests ran inside the runtimes."""
    for name, counts in totals.items():
        numbers = ", ".join(f"{counts[kind]} {kind}" for kind in ("passed", "failed", "skipped"))
        terminalreporter.write_line(f"Inside Pyodide, {name}: {numbers}")

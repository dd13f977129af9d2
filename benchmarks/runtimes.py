"""The runtimes that `make bench` measures side by side: CPython, Pyodide in Node.js, Pyodide in Chromium.

Each answers the same calls: `contenders`, `rate`, `memory`, `facts`, `extraMemory` and, in Pyodide, `accelerate`.
"""

import contextlib
import functools
import http.server
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Protocol

ROOT = Path(__file__).resolve().parent.parent
HERE = ROOT / "benchmarks"
#: Node.js needs a flag for relaxed SIMD.
FLAGS = ("--no-warnings", "--experimental-wasm-relaxed-simd")


class Runtime(Protocol):
    """The interface of a runtime."""

    def __call__(self, name: str, *given: Any) -> Any: ...


class Lines:
    """A process that answers each line of JSON with one line of JSON."""

    def __init__(self, *command: str, **environment: str) -> None:
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"} | environment
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=pipe, stdout=pipe, text=True)
        self.read()

    def read(self) -> Any:
        """Read the next answer."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args} ended with {self.process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["value"]

    def __call__(self, name: str, *given: Any) -> Any:
        assert self.process.stdin
        self.process.stdin.write(json.dumps([name, *given]) + "\n")
        self.process.stdin.flush()
        return self.read()


@contextlib.contextmanager
def lines(*command: str, **environment: str) -> Iterator[Runtime]:
    """Run a process as a runtime; it ends with the block."""
    runtime = Lines(*command, **environment)
    try:
        yield runtime
    finally:
        assert runtime.process.stdin
        runtime.process.stdin.close()
        try:
            runtime.process.wait(10)
        except subprocess.TimeoutExpired:
            runtime.process.kill()


def native(backend: str = "") -> contextlib.AbstractContextManager[Runtime]:
    """Run this CPython with its NumPy on one thread, by default with the fastest backend."""
    return lines(sys.executable, str(HERE / "native.py"), **({"GRAPHATTEND_BACKEND": backend} if backend else {}))


def node(distribution: Path) -> contextlib.AbstractContextManager[Runtime]:
    """Run Pyodide in Node.js."""
    return lines("node", *FLAGS, str(HERE / "node.mjs"), str(distribution))


def javascript(distribution: Path, rounds: int, seconds: float) -> dict[str, float]:
    """Time calls of the npm package, of Python and of plain JavaScript in one process; see js.mjs."""
    command = ["node", *FLAGS, str(HERE / "js.mjs"), str(distribution), str(seconds), str(rounds)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True, timeout=600)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def page(distribution: Path, rounds: int, seconds: float) -> dict[str, dict[str, float]]:
    """Time the npm package, graphattend/kernels and the peers in a page in Chromium; see without_python.mjs."""
    with tempfile.TemporaryDirectory() as folder:
        target = str(Path(folder, "python"))
        cli = str(ROOT / "js" / "dist" / "cli.js")
        subprocess.run(
            ["node", cli, "vendor", target, "--from", str(distribution)], check=True, stderr=subprocess.DEVNULL
        )
        command = ["node", str(HERE / "without_python.mjs"), target, str(rounds), str(1e3 * seconds)]
        done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True, timeout=1200)
    found: dict[str, dict[str, float]] = json.loads(done.stdout)
    return found


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves the benchmarks and the distribution, cross-origin isolated to give the page a precise clock."""

    extensions_map: ClassVar[dict[str, str]] = {
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def __init__(self, *args: Any, distribution: Path, **options: Any) -> None:
        self.distribution = distribution
        super().__init__(*args, directory=str(ROOT), **options)

    def translate_path(self, path: str) -> str:
        """Serve the distribution as /pyodide/ and this folder as /benchmarks/, and nothing else."""
        if path.startswith("/pyodide/"):
            return str(self.distribution / Path(path.partition("?")[0]).name)
        return super().translate_path(path if path.startswith("/benchmarks/") else "/none")

    def end_headers(self) -> None:
        """Add the headers that isolate the page."""
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing; the runner prints its own progress."""


@contextlib.contextmanager
def served(distribution: Path) -> Iterator[str]:
    """Serve the page at the returned address."""
    handler = functools.partial(Handler, distribution=distribution)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@contextlib.contextmanager
def chromium(distribution: Path) -> Iterator[Runtime]:
    """Run Pyodide in a page of headless Chromium."""
    from playwright.sync_api import sync_playwright

    sys.path.insert(0, str(ROOT / "tools"))
    import chromium as browser_tool

    with served(distribution) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_tool.find(), args=browser_tool.FLAGS)
        page = browser.new_page()
        page.on("pageerror", lambda error: print(f"page: {error}", file=sys.stderr))
        page.goto(f"{address}/benchmarks/page.html")
        page.evaluate("window.ready")

        def call(name: str, *given: Any) -> Any:
            return page.evaluate("([name, given]) => window.runtime[name](...given)", [name, list(given)])

        yield call
        browser.close()

"""Build the demo and serve it with the local Pyodide distribution beside it under /pyodide/."""

import argparse
import functools
import hashlib
import http.server
import subprocess
import sys
from pathlib import Path

import build_js
import demo_data
import downloads
import pyodide_dist

ROOT = Path(__file__).resolve().parent.parent
WEB = ROOT / "web"
DIST = WEB / "dist"
STAMP = DIST / ".graphattend-stamp"
PYODIDE = "/pyodide/"


def fingerprint() -> str:
    """Return the hash of the page's sources."""
    digest = hashlib.sha256(build_js.fingerprint().encode())
    sources = [path for path in (WEB / "src").rglob("*") if path.is_file()]
    names = ["package-lock.json", "build.mjs"]
    for path in [Path(demo_data.__file__), ROOT / "pyproject.toml", *(WEB / name for name in names), *sorted(sources)]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


@functools.cache
def build() -> Path:
    """Build web/dist if its sources changed, and return its path; another process may be serving the folder."""
    with downloads.only_one(ROOT / ".cache" / "web.lock"):
        wanted = fingerprint()
        if not (demo_data.OUT.exists() and STAMP.exists() and STAMP.read_text() == wanted):
            build_js.build()
            command = ["node", "build.mjs", str(demo_data.export())]
            if subprocess.run(command, cwd=WEB, stdin=subprocess.DEVNULL).returncode:
                sys.exit("Building web/ failed.")
            STAMP.write_text(wanted)
    return DIST


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves the files of the page, and under /pyodide/ those of the distribution."""

    page: Path
    distribution: Path
    extensions_map = {  # noqa: RUF012 (as in the base class)
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
        ".whl": "application/octet-stream",
    }

    def translate_path(self, path: str) -> str:
        """Return the path of the file for a request."""
        self.directory = str(self.page)
        if path.startswith(PYODIDE):
            self.directory, path = str(self.distribution), path[len(PYODIDE) - 1 :]
        return super().translate_path(path)

    def end_headers(self) -> None:
        """Isolate the page, so that computations in the worker can be interrupted, and forbid caching."""
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Log no requests."""


def server(port: int, handler: type[Handler] = Handler) -> http.server.ThreadingHTTPServer:
    """Return a server of the built demo for this machine only; port 0 selects a free port."""
    files = {"page": build(), "distribution": pyodide_dist.assemble()}
    return http.server.ThreadingHTTPServer(("127.0.0.1", port), type("DemoHandler", (handler,), files))


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8000)
    port = parser.parse_args().port
    try:
        with server(port) as running:
            print(f"The demo: http://127.0.0.1:{running.server_port}/  (Ctrl-C ends it)", flush=True)
            running.serve_forever()
    except OSError as error:
        sys.exit(f"Port {port} cannot be used ({error.strerror}); choose another: make serve PORT=8001")
    except KeyboardInterrupt:
        print()


if __name__ == "__main__":
    main()

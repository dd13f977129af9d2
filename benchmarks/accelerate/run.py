"""Run bench.py in Node.js and Chromium and write benchmarks/results/accelerate.json.

python benchmarks/accelerate/run.py "$(make dist-path | tail -n 1)"
"""

import functools
import http.server
import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tools"))

import chromium  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402

LOAD = """
const pyodide = await loadPyodide({ indexURL });
await pyodide.loadPackage("graphattend", { messageCallback() {} });
pyodide.FS.writeFile("bench.py", source);
const output = pyodide.runPython("import bench; bench.main()");
"""
NODE = """
const { readFileSync } = await import("node:fs");
const [folder, file] = process.argv.slice(1);
const { loadPyodide } = await import(folder + "/pyodide.mjs");
const indexURL = folder + "/", source = readFileSync(file, "utf8");
"""
PAGE = """async (source) => {
const indexURL = location.origin + "/";
const { loadPyodide } = await import(indexURL + "pyodide.mjs");
"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *_: Any) -> None:
        """Nothing to say."""


def in_node(dist: Path) -> dict[str, Any]:
    """The results in Node.js, with relaxed SIMD where a flag is needed for it."""
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    flags = ["--experimental-wasm-relaxed-simd"] if int(version[1:].split(".")[0]) < 22 else []
    script = NODE + LOAD + "console.log(output);"
    command = ["node", "--no-warnings", *flags, "--input-type=module", "-e", script, str(dist), str(HERE / "bench.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {"runtime": f"Node.js {version}", **json.loads(done.stdout)}


def in_chromium(dist: Path) -> dict[str, Any]:
    """The results in a page of Chromium."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(dist)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium.find(), args=chromium.FLAGS)
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{server.server_address[1]}/pyodide-lock.json")
        output = page.evaluate(PAGE + LOAD + "return output; }", (HERE / "bench.py").read_text())
        version = browser.version
        browser.close()
    server.shutdown()
    return {"runtime": f"Chromium {version}", **json.loads(output)}


def main() -> None:
    """Measure, write the file, print a table."""
    dist = Path(sys.argv[1]).resolve()
    runs = [in_node(dist), in_chromium(dist)]
    target = ROOT / "benchmarks" / "results" / "accelerate.json"
    target.write_text(json.dumps(runs, indent=1) + "\n")
    for run in runs:
        print(f"\n{run['runtime']}, {run['backend']}, NumPy {run['numpy']}")
        for name, result in run["results"].items():
            goal = f"  target {result['target']}×" if "target" in result else ""
            times = f"{result['before']:10.4f} ms {result['after']:10.4f} ms"
            print(f"{name:42}{times}{result['ratio']:8.2f}×{goal}")
    missed = [name for run in runs for name, r in run["results"].items() if not r.get("reached", True)]
    sys.exit(f"below target: {', '.join(missed)}" if missed else 0)


if __name__ == "__main__":
    main()

"""Run the npm package's tests on the supported versions of Node.js, and record how they ended.

    .venv/bin/python tools/test_nodes.py [VERSION...] [-- FILES...]

The binaries are those of js/test/node-versions, which come from npm; the installed Node.js stands for its own version.
Without FILES, all tests run except those whose subject is a browser, a bundler or a build. The results are written to
tests/trust/versions.json, which docs/trust.md shows.
"""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import build_js
import npm_install
import pyodide_dist
from records import ROOT, put_version
from test_suites import counted

VERSIONS = ["20", "22", "24"]
FOLDER = ROOT / "js" / "test" / "node-versions"
SYSTEMS = {"Windows": "win32", "Darwin": "darwin"}
PROCESSORS = {"x86_64": "x64", "AMD64": "x64", "aarch64": "arm64"}

#: Files of tests for which the version of Node.js makes no difference.
ELSEWHERE = {"browser", "docs", "environments", "kernels-browser", "node-versions", "reproducible", "start"}


def of_the_version() -> list[str]:
    """Return the names of the other files of tests, as js/test/run.mjs takes them: with a dot, as it compares beginnings."""
    names = sorted(path.name.removesuffix(".test.mjs") for path in (ROOT / "js" / "test").glob("*.test.mjs"))
    return [f"{name}." for name in names if name not in ELSEWHERE]


def told(program: str) -> str | None:
    """Return the version that a program says it has, or None."""
    try:
        return subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def find(version: str) -> str | None:
    """Return a Node.js of this major version, or None."""
    kind = f"{SYSTEMS.get(platform.system(), 'linux')}-{PROCESSORS.get(platform.machine(), platform.machine())}"
    name = "node.exe" if kind.startswith("win32") else "node"
    candidates = ["node", str(FOLDER / "node_modules" / f"node-{version}-{kind}" / "bin" / name)]
    return next((path for path in candidates if (told(path) or "").startswith(f"v{version}.")), None)


def run(version: str, files: list[str]) -> dict[str, Any]:
    """Run the files on one version and return the counts, or the reason why they could not run."""
    node = find(version)
    if node is None:
        return {"missing": f"no Node.js {version} on this machine"}
    dist = pyodide_dist.assemble()
    # Tests start `node` and `npm` by name: these have to be of this version, too.
    path = os.environ["PATH"] if node == "node" else f"{Path(node).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "GRAPHATTEND_DIST": str(dist), "OPENBLAS_NUM_THREADS": "1"}
    command = [node, "js/test/run.mjs", *files]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    counts = counted(done.stdout.splitlines())
    if done.returncode:
        print(done.stdout[-8000:], done.stderr[-2000:], sep="\n", flush=True)
        counts["failed"] = counts["failed"] or 1
    print(", ".join(f"{number} {kind}" for kind, number in counts.items()), flush=True)
    lock = json.loads((dist / "pyodide-lock.json").read_text("utf-8"))
    return {
        "python": f"Node.js {(told(node) or '').lstrip('v')}",
        "numpy": lock["packages"]["numpy"]["version"],
    } | counts


def main() -> int:
    """Run the versions named on the command line, or all."""
    words = sys.argv[1:]
    cut = words.index("--") if "--" in words else len(words)
    files, failed = words[cut + 1 :] or of_the_version(), False
    npm_install.install(FOLDER)
    build_js.build()
    for version in words[:cut] or VERSIONS:
        print(f"=== Node.js {version}", flush=True)
        found = run(version, files)
        failed |= bool(found.get("failed")) or found.get("passed") == 0
        put_version(f"Node.js {version}", found, [name.rstrip(".") for name in files])
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

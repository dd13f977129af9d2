"""Run NumPy's tests inside Pyodide with its loops and with those of `accelerate_numpy()`, and compare the results.

    python tools/numpy_tests.py "$(make dist-path | tail -n 1)" [FILE...]

It takes about ten minutes. The tests come from NumPy's wheel of the same version for another system, because the wheel
for Pyodide has no tests. The exit status is 1 if a test passes with NumPy's loops and fails with ours.
"""

import collections
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from pyodide_dist import cache_folder, pip

HERE = Path(__file__).resolve().parent
#: Test folders of NumPy that exercise ufuncs.
FILES = ("_core/tests", "lib/tests", "linalg/tests", "ma/tests", "polynomial/tests", "fft/tests", "matrixlib/tests")


def tests_of(version: str) -> Path:
    """Return the folder with numpy/…/tests of this version, downloaded once per machine."""
    folder = cache_folder() / f"numpy-tests-{version}"
    if not folder.exists():
        with tempfile.TemporaryDirectory() as temporary:
            pip("download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", temporary, f"numpy=={version}")
            (wheel,) = Path(temporary).glob("numpy-*.whl")
            unpacked = Path(temporary, "unpacked")
            with zipfile.ZipFile(wheel) as archive:
                wanted = [name for name in archive.namelist() if "/tests/" in name]
                archive.extractall(unpacked, wanted)
            folder.parent.mkdir(parents=True, exist_ok=True)
            unpacked.rename(folder)
    return folder


def run(distribution: Path, tests: Path, loops: str, files: list[str]) -> dict[str, Any]:
    """Return the result of each test with one kind of loops, in Node.js."""
    with tempfile.NamedTemporaryFile(suffix=".json") as result:
        command = ["node", "--no-warnings", "--experimental-wasm-relaxed-simd", str(HERE / "numpy_tests.mjs")]
        subprocess.run([*command, str(distribution), str(tests), result.name, loops, *files], check=True)
        found: dict[str, Any] = json.loads(Path(result.name).read_text())
    return found


def main() -> None:
    """Run the tests with both kinds of loops and print the differences."""
    distribution = Path(sys.argv[1])
    lock = json.loads((distribution / "pyodide-lock.json").read_text())
    version = lock["packages"]["numpy"]["version"]
    tests = tests_of(version)
    files = sys.argv[2:] or list(FILES)
    own, ours = (run(distribution, tests, loops, files) for loops in ("own", "ours"))
    for name, found in (("NumPy's own loops", own), ("graphattend's loops", ours)):
        counts = collections.Counter(found["outcomes"].values())
        print(f"NumPy {version}, {name}: " + ", ".join(f"{n} {outcome}" for outcome, n in sorted(counts.items())))
    print(f"{len(ours['loops'])} loops replaced")
    worse = [
        name
        for name, outcome in own["outcomes"].items()
        if outcome != "failed" and ours["outcomes"].get(name, "not run") != outcome
    ]
    for name in worse:
        print(f"{name}: {own['outcomes'][name]} with NumPy's loops, {ours['outcomes'].get(name, 'not run')} with ours")
    sys.exit(1 if worse else 0)


if __name__ == "__main__":
    main()

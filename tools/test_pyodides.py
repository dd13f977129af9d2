"""Run the tests of the kernels in other versions of Pyodide, in Node.js, on the wheel that users get.

    .venv/bin/python tools/test_pyodides.py [VERSION...] [-- TESTS...]

A Pyodide needs a NumPy that was built for its ABI. The results are written to tests/trust/versions.json, which
docs/trust.md shows.
"""

import json
import sys
import tarfile
from pathlib import Path
from typing import Any, NamedTuple

import build_wheel
import pyodide_dist
from pyodide_process import PyodideProcess
from records import ROOT, put_version


class Numpy(NamedTuple):
    """A wheel of NumPy, and a wheel on PyPI that contains it."""

    requirement: str
    name: str
    sha256: str


SETTINGS = {
    "0.29.5": Numpy(
        "open-webui==0.10.2",
        "numpy-2.2.5-cp313-cp313-pyodide_2025_0_wasm32.whl",
        "3db3c4f3e0448f4d62a85c262692f1260ccd8a91335442bd2442f21ffeddb558",
    ),
    "314.0.7": Numpy(
        "open-webui==0.12.4",
        "numpy-2.4.3-cp314-cp314-pyemscripten_2026_0_wasm32.whl",
        "0cad9c1b91f0082e4f959bc0e0bf5835a2efbba6ab3b1e9d1fe6e7e564cca98e",
    ),
    "315.0.0-alpha.2": None,
}
#: Pure wheels that the tests import.
NEEDED = [
    "pytest==9.0.3",
    "pluggy",
    "iniconfig",
    "pygments",
    "packaging",
    "hypothesis==6.140.3",
    "sortedcontainers",
    "attrs",
]


def of_kernels() -> list[str]:
    """Return the files of tests/simd that run inside Pyodide."""
    found = sorted((ROOT / "tests" / "simd").glob("test_*.py"))
    return [
        path.relative_to(ROOT).as_posix() for path in found if "pytestmark = pytest.mark.native" not in path.read_text()
    ]


def runtime(version: str, folder: Path) -> Path:
    """Return the folder of the npm package with this version of Pyodide."""
    if not (folder / version).exists():
        pyodide_dist.run("npm", "pack", "--silent", f"pyodide@{version}", cwd=folder)
        with (
            tarfile.open(folder / f"pyodide-{version}.tgz") as archive,
            pyodide_dist.new_folder(folder / version) as new,
        ):
            archive.extractall(new, filter="data")
    return folder / version / "package"


def numpy_wheel(wanted: Numpy, folder: Path) -> Path:
    """Return the path of a wheel of NumPy."""
    if not pyodide_dist.is_cached(folder / wanted.name, wanted.sha256):
        source = {"requirement": wanted.requirement, "folder": "open_webui/frontend/pyodide/"}
        pyodide_dist.from_registry(source, {wanted.name: wanted.sha256}, folder)
    return folder / wanted.name


def run(version: str, tests: list[str]) -> dict[str, Any]:
    """Run the tests in one version and return the counts, or the reason why it could not run."""
    wanted, folder = SETTINGS[version], pyodide_dist.cache_folder() / "pyodides"
    pure = folder / "pure"
    pure.mkdir(parents=True, exist_ok=True)
    home = runtime(version, folder)
    if wanted is None:
        abi = json.loads((home / "pyodide-lock.json").read_text())["info"]["abi_version"]
        return {"missing": f"no NumPy for its ABI {abi} in a package registry"}
    pyodide_dist.pip("download", "-qq", "--no-deps", "--only-binary=:all:", "-d", str(pure), *NEEDED)
    wheels = [numpy_wheel(wanted, folder), build_wheel.build("universal"), *sorted(pure.glob("*.whl"))]
    process = PyodideProcess(home, "auto", list(map(str, wheels)))
    told = json.loads(process("inside", "run", *(f"/repository/{test}" for test in tests)))
    print(told.pop("output")[-3000:], flush=True)
    del told["exit"]
    _, numpy, _ = wanted.name.split("-", 2)
    return {"python": f"Pyodide {version}", "numpy": numpy, **told}


def main() -> int:
    """Run the versions named on the command line, or all."""
    words = sys.argv[1:]
    cut = words.index("--") if "--" in words else len(words)
    tests, failed = words[cut + 1 :] or of_kernels(), False
    for version in words[:cut] or SETTINGS:
        found = run(version, tests)
        failed |= bool(found.get("failed")) or found.get("passed") == 0
        put_version(f"Pyodide {version}", found, tests)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

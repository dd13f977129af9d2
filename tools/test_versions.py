"""Run the native suite on other versions of Python and NumPy, each in its own environment, on the wheel that users get.

    .venv/bin/python tools/test_versions.py                          # all versions that this machine has
    .venv/bin/python tools/test_versions.py 3.11/1.26 3.13/2 -- tests/functional

A setting is a version of Python and a version of NumPy. Pythons are searched on PATH and under pyenv; a version that is
not found is reported as missing. The results, with date, commit and machine, are written to tests/trust/versions.json,
which docs/trust.md shows; those of other tests on the same version stay.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import build_wheel
from records import ROOT, put_version

SETTINGS = ["3.11/1.26", "3.11/2", "3.12/1.26", "3.12/2", "3.13/2", "3.13t/2", "3.14/2", "3.14t/2"]
#: Packages that the tests import, in the versions of requirements-dev.in if an old Python has them.
NEEDED = [
    "pytest==9.0.3",
    "pytest-xdist==3.8.0",
    "hypothesis",
    "scipy",
    "networkx",
    "mpmath",
    "autograd",
    "safetensors",
]
#: Packages of these without wheels for a Python that has no global interpreter lock.
LOCKED = {"safetensors"}


def find_python(version: str) -> str | None:
    """Return a Python of this version that runs, or None."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for name in [f"python{version}", *(str(path) for path in sorted(root.glob(f"{version}*/bin/python")))]:
        try:
            told = subprocess.run([name, "-c", "import sys; print(sys.version)"], capture_output=True, text=True)
        except OSError:
            continue
        free = "free-threading" in told.stdout
        if told.returncode == 0 and told.stdout.startswith(version.rstrip("t")) and free == version.endswith("t"):
            return name
    return None


def environment(python: str, setting: str) -> Path:
    """Return the Python of an environment with the packages that the tests need and with the newest wheel."""
    version, _, numpy = setting.partition("/")
    folder = ROOT / "build" / "versions" / setting.replace("/", "-")
    inside = folder / "bin" / "python"
    pip = [inside, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--only-binary=:all:"]
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([python, "-m", "venv", str(folder)], check=True)
        needed = [name for name in NEEDED if name not in LOCKED or not version.endswith("t")]
        subprocess.run([*pip, f"numpy=={numpy}.*", *needed], check=True)
        (folder / "complete").touch()
    native = build_wheel.kernel_builder().host() or "universal"
    wheel = build_wheel.build("universal" if version.endswith("t") else native)
    subprocess.run([*pip, "--force-reinstall", "--no-deps", str(wheel)], check=True)
    return inside


def run(setting: str, tests: list[str]) -> dict[str, Any]:
    """Run one setting and return the counts, or the reason why it could not run."""
    version, _, numpy = setting.partition("/")
    python = find_python(version)
    if python is None:
        return {"missing": f"no Python {version} on this machine"}
    try:
        inside = environment(python, setting)
    except subprocess.CalledProcessError as error:
        return {"missing": f"pip ended with {error.returncode}: no NumPy {numpy} for Python {version}"}
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    # tests/conftest.py does not build the kernels then, because the wheel has them.
    more = {"OPENBLAS_NUM_THREADS": "1", "PYTEST_XDIST_WORKER": "gw0"}
    command = [inside, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *tests]
    done = subprocess.run(command, cwd=ROOT, env=clean | more, capture_output=True, text=True)
    told = subprocess.run(
        [inside, "-c", "import sys, numpy; print(sys.version.split()[0], numpy.__version__)"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    print("\n".join(done.stdout.splitlines()[-30:]), flush=True)
    counts = dict.fromkeys(("passed", "failed", "skipped"), 0)
    for number, kind in re.findall(r"(\d+) (passed|failed|skipped|error)", (done.stdout.splitlines() or [""])[-1]):
        counts["failed" if kind == "error" else kind] += int(number)
    return {"python": told[0] + "t" * version.endswith("t"), "numpy": told[1], **counts}


def main() -> int:
    """Run the settings named on the command line, or all."""
    words = sys.argv[1:]
    cut = words.index("--") if "--" in words else len(words)
    settings, tests = words[:cut] or SETTINGS, words[cut + 1 :] or ["tests"]
    if unknown := set(settings) - set(SETTINGS):
        sys.exit(f"No setting {', '.join(sorted(unknown))}; there are {', '.join(SETTINGS)}")
    failed = False
    for setting in settings:
        print(f"=== Python {setting.replace('/', ', NumPy ')}", flush=True)
        found = run(setting, tests)
        failed |= bool(found.get("failed")) or found.get("passed") == 0
        put_version(setting, found, tests)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())

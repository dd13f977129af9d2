"""A Pyodide distribution in which NumPy is another wheel.

    python recipes/numpy/distribution.py DISTRIBUTION WHEEL FOLDER
    python recipes/numpy/distribution.py DISTRIBUTION

The second prints the path of the wheel that `make numpy-simd` built for the distribution's NumPy, or an empty line.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2] / "tools"))
from pyodide_dist import LOCK, cache_folder


def wheels_folder() -> Path:
    """Where `make numpy-simd` puts wheels, once per machine."""
    return cache_folder() / "numpy-simd"


def built(distribution: Path) -> Path | None:
    """The wheel that was built for the NumPy of a distribution, if there is one."""
    official = json.loads((distribution / LOCK).read_text("utf-8"))["packages"]["numpy"]["file_name"]
    name, version, tags = official.split("-", 2)
    found = sorted(wheels_folder().glob(f"{name}-{version}+simd.*-{tags}"))
    return found[-1] if found else None


def linked(source: str, destination: str) -> None:
    """A file under another name, without copying its bytes where the file system can."""
    try:
        os.link(source, destination)
    except OSError:
        shutil.copy2(source, destination)


def with_numpy(distribution: Path, wheel: Path, folder: Path) -> Path:
    """Copy a distribution, with `wheel` in the place of its NumPy. Files are linked where the file system can.

    Args:
        distribution: Folder with pyodide-lock.json.
        wheel: A wheel of NumPy for the same Pyodide.
        folder: The new folder; replaced if it is there.

    Returns:
        The folder.
    """
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(distribution, folder, copy_function=linked)
    (folder / LOCK).unlink()
    lock = json.loads((distribution / LOCK).read_text("utf-8"))
    entry = lock["packages"]["numpy"]
    (folder / entry["file_name"]).unlink(missing_ok=True)
    shutil.copy(wheel, folder / wheel.name)
    entry["version"] = wheel.name.split("-")[1]
    entry["file_name"], entry["sha256"] = wheel.name, hashlib.sha256(wheel.read_bytes()).hexdigest()
    (folder / LOCK).write_text(json.dumps(lock), "utf-8")
    return folder


if __name__ == "__main__":
    given = [Path(argument) for argument in sys.argv[1:]]
    print(with_numpy(*given) if len(given) == 3 else built(*given) or "")

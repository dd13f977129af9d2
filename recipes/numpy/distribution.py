"""A Pyodide distribution in which NumPy is another wheel.

python recipes/numpy/distribution.py DISTRIBUTION WHEEL FOLDER
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path


def with_numpy(distribution: Path, wheel: Path, folder: Path) -> Path:
    """Copy a distribution, with `wheel` in the place of its NumPy.

    Args:
        distribution: Folder with pyodide-lock.json.
        wheel: A wheel of NumPy for the same Pyodide.
        folder: The new folder; replaced if it is there.

    Returns:
        The folder.
    """
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(distribution, folder)
    lock = json.loads((folder / "pyodide-lock.json").read_text("utf-8"))
    entry = lock["packages"]["numpy"]
    (folder / entry["file_name"]).unlink(missing_ok=True)
    shutil.copy(wheel, folder / wheel.name)
    entry["version"] = wheel.name.split("-")[1]
    entry["file_name"], entry["sha256"] = wheel.name, hashlib.sha256(wheel.read_bytes()).hexdigest()
    (folder / "pyodide-lock.json").write_text(json.dumps(lock), "utf-8")
    return folder


if __name__ == "__main__":
    print(with_numpy(*map(Path, sys.argv[1:])))

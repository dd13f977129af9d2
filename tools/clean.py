"""Remove the files that the tools made (`make clean`). Other files are kept and listed.

It uses only the standard library, because it removes the development environment, too.
"""

import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
#: Folders that a file in them identifies as ours.
STAMPED = {
    ".venv": "graphattend-stamp",
    "js/node_modules": ".graphattend-stamp",
    "web/node_modules": ".graphattend-stamp",
    "js/dist": "graphattend.whl",
    "web/dist": "graphattend.whl",
}
#: Names of files that the tools write. Caches are identified by CACHEDIR.TAG or their name.
WRITTEN = [
    ".cache/kernels",
    "build/js-kernels",
    "build/les_miserables.json",
    "build/gallery",
    "build/demo",
    "build/coverage.xml",
    "build/docs",
    "build/doctrees",
    "build/site",
    "build/bench",
    "out/les_miserables.html",
    ".coverage",
    "htmlcov",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    ".hypothesis",
]


def remove(path: Path) -> None:
    """Remove a file, a folder, or a link without its target."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def clean(root: Path) -> list[Path]:
    """Remove the tools' files below `root`; returns the files that were kept in their folders."""
    left = []
    for stamp in root.glob("dist/.wheel-stamp-*"):
        remove(root / "dist" / Path(stamp.read_text().partition(" ")[2] or stamp.name).name)
        remove(stamp)
    for kernels in (*root.glob("src/graphattend/simd/*.wasm"), *root.glob("src/graphattend/simd/kernels*.abi3.so")):
        remove(kernels)
    for name, mark in STAMPED.items():
        folder = root / name
        if (folder / mark).exists():
            remove(folder)
        elif folder.exists():
            left.append(folder)
    for name in WRITTEN:
        remove(root / name)
    for name in ("dist", "build", "out", ".cache"):
        folder = root / name
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
        elif folder.exists():
            left.append(folder)
    return left


def main() -> None:
    """Command line."""
    for path in clean(ROOT):
        print(f"{path.relative_to(ROOT)}: holds what no tool here made, and stays", file=sys.stderr)


if __name__ == "__main__":
    main()

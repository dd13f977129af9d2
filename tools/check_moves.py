"""Check docs/move.md against the other packages: compare the result of each row's call with graphattend's.

    python tools/check_moves.py                # the packages that this Python has
    python tools/check_moves.py --environment  # all packages, in a new environment with the versions on the page

The rows are the functions of tools/moves/; tests/tools/test_moves.py compares them with the page.
"""

import importlib
import importlib.metadata
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from types import ModuleType

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "move.md"
MODULES = ["torch", "torch_geometric", "geoopt"]
#: Both compute in float64, but PyTorch's flex_attention and triplet loss compute parts in float32 or add 1e-6.
TOLERANCE = 2e-8


def section(title: str) -> str:
    """Return a section of the page."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


def versions(title: str) -> dict[str, str]:
    """Return the versions named in a section, by distribution."""
    return dict(re.findall(r"`([\w@/.-]+) (\d[\w.]*)`", section(title)))


def cells(title: str) -> list[str]:
    """Return the first cells of the rows of a section."""
    rows = [line for line in section(title).splitlines() if line.startswith("|")]
    return [re.split(r"(?<!\\)\|", line)[1].strip() for line in rows[2:]]


def difference(ours: object, theirs: object) -> float:
    """Return the largest difference, relative to numbers that are large."""
    a, b = (np.asarray(x.detach().numpy() if hasattr(x, "detach") else x, float) for x in (ours, theirs))
    if a.shape != b.shape:
        raise ValueError(f"shapes {a.shape} and {b.shape}")
    return float(np.max(np.abs(a - b) / (1 + np.abs(b)), initial=0))


def check(module: ModuleType) -> list[str]:
    """Run the rows of a module and return those that differ."""
    problems = []
    found = importlib.metadata.version(module.DISTRIBUTION)
    if (named := versions(module.TITLE).get(module.DISTRIBUTION)) != found.partition("+")[0]:
        problems.append(f"{module.TITLE}: the page names {named}, installed is {found}")
    for cell, function in module.ROWS.items():
        pairs = 0
        for pairs, (ours, theirs) in enumerate(function(np.random.default_rng(0)), 1):
            if (gap := difference(ours, theirs)) > TOLERANCE:
                problems.append(f"{module.TITLE}: {cell}: pair {pairs} differs by {gap:.1e}")
        print(f"{module.TITLE} {found}: {cell}: {pairs} compared", flush=True)
    return problems


def in_environment() -> int:
    """Run this program in an environment with all packages."""
    wanted = {
        name: version
        for title in ("PyTorch", "PyTorch Geometric", "geoopt")
        for name, version in versions(title).items()
    }
    with tempfile.TemporaryDirectory(prefix="graphattend-moves-") as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / "bin" / "python"
        packages = [f"{name}=={version}" for name, version in wanted.items()]
        subprocess.run([python, "-m", "pip", "install", "-qq", "networkx", *packages, ROOT], check=True)
        return subprocess.run([python, __file__], check=False).returncode


def main() -> None:
    """Command line."""
    if "--environment" in sys.argv[1:]:
        sys.exit(in_environment())
    problems = []
    for name in MODULES:
        if importlib.util.find_spec(name) is None:
            print(f"{name} is not installed", file=sys.stderr)
        else:
            problems += check(importlib.import_module(f"moves.{name}_rows"))
    sys.exit("\n".join(problems) or 0)


if __name__ == "__main__":
    main()

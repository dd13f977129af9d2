"""Build the documentation site: pages from docs/ and pages written from the library, by Sphinx, without the network.

The sources are put together in build/docs, the site in build/site (or the folder that is named).
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from docsite import command_pages, mechanism_pages, python_reference, typescript_reference

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "docs"
STAGE = ROOT / "build" / "docs"
SITE = ROOT / "build" / "site"


def generated() -> dict[str, str]:
    """The pages that are written from the library, by path."""
    command_line = command_pages.page((SOURCES / "cli.md").read_text(encoding="utf-8"))
    return {
        **python_reference.pages(),
        **typescript_reference.pages(),
        **mechanism_pages.pages(),
        "cli.md": command_line,
    }


def write(path: Path, content: bytes) -> None:
    """Write a file if it changed, so that Sphinx builds only what did."""
    if not path.exists() or path.read_bytes() != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def stage() -> None:
    """Put the sources together; files that are no longer wanted are removed."""
    wanted = {path.relative_to(SOURCES).as_posix(): path.read_bytes() for path in SOURCES.rglob("*") if path.is_file()}
    wanted |= {name: text.encode() for name, text in generated().items()}
    wanted["changelog.md"] = (ROOT / "CHANGELOG.md").read_bytes()
    for path in STAGE.rglob("*"):
        if path.is_file() and path.relative_to(STAGE).as_posix() not in wanted:
            path.unlink()
    for name, content in wanted.items():
        write(STAGE / name, content)


def build(site: Path = SITE) -> Path:
    """The site's first page. Warnings are errors."""
    stage()
    trees = ROOT / "build" / "doctrees"
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-W", "--keep-going", "-q", "-j", "2", "-d", str(trees)]
    subprocess.run([*command, str(STAGE), str(site)], check=True, cwd=ROOT)
    shutil.rmtree(site / "_sources", ignore_errors=True)
    return site / "index.html"


if __name__ == "__main__":
    print(build(*map(Path, sys.argv[1:])))

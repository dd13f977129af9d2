"""Build the documentation site from docs/ and pages generated from the library, with Sphinx and without the network.

The sources are collected in build/docs, the site is written to build/site. `--live` adds Python, which runs the
examples of the pages.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import downloads
from docsite import (
    command_pages,
    example_pages,
    mechanism_pages,
    moving,
    printed,
    python_reference,
    start_pictures,
    typescript_reference,
)

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "docs"
STAGE = ROOT / "build" / "docs"
SITE = ROOT / "build" / "site"
INLINE = re.compile(r"<script>\s*document\.body\.dataset\.theme = .*?</script>", re.DOTALL)
SIGNATURE = re.compile(r'<dt class="sig .*?</dt>', re.DOTALL)
LIST = re.compile(r"<(/?)(dl|dd)>")
HEADING = re.compile(r"<h1>.*?<a ")
EMPTY = re.compile(r'<th class="head[^"]*"><p></p></th>')
#: Scrolling elements, which have to be reachable by keyboard.
SCROLLING = re.compile(r'<(pre|div class="table-wrapper colwidths-auto[^"]*")>')


def generated() -> dict[str, str]:
    """Return the pages generated from the library, by path."""
    command_line = command_pages.page((SOURCES / "cli.md").read_text(encoding="utf-8"))
    return {
        **python_reference.pages(),
        **typescript_reference.pages(),
        **mechanism_pages.pages(),
        **example_pages.pages(),
        **moving.pages(),
        **start_pictures.pages(),
        "cli.md": command_line,
        "changelog.md": (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"),
        "_static/data.json": json.dumps(example_pages.data()),
    }


def write(path: Path, content: bytes) -> None:
    """Write a file only if its content changes, so that Sphinx builds only changed pages."""
    if not path.exists() or path.read_bytes() != content:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def stage() -> None:
    """Collect the sources; remove files that are no longer needed."""
    wanted = {path.relative_to(SOURCES).as_posix(): path.read_bytes() for path in SOURCES.rglob("*") if path.is_file()}
    wanted |= {name: text.encode() for name, text in generated().items()}
    for name in wanted:
        if name.endswith(".md") and b"```python\n" in wanted[name] and not name.startswith("examples/"):
            wanted[name] = printed.with_output(wanted[name].decode(), name).encode()
    for path in STAGE.rglob("*"):
        if path.is_file() and path.relative_to(STAGE).as_posix() not in wanted:
            path.unlink()
    for name, content in wanted.items():
        write(STAGE / name, content)


def as_span(tag: re.Match[str]) -> str:
    """Return a list tag as a span tag."""
    return "</span>" if tag[1] else f'<span class="sig-{tag[2]}">'


def finish(site: Path, live: bool) -> None:
    """Repair the theme's HTML: inline scripts, which strict policies forbid, headings without a level, lists that contain
    only definitions in signatures, two regions with one name, and column headers without text. Allow long names in
    headings to break at their dots."""
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        up = "../" * len(page.relative_to(site).parents[:-1])
        text = INLINE.sub(f'<script src="{up}_static/theme.js"></script>', text)
        text = text.replace('<p class="caption" role="heading">', '<p class="caption" role="heading" aria-level="2">')
        text = text.replace('<aside class="sidebar-drawer">', '<aside class="sidebar-drawer" aria-label="Pages">')
        text = HEADING.sub(lambda match: re.sub(r"(?<=\w)[./](?=\w)", r"\g<0><wbr>", match[0]), text)
        text = SIGNATURE.sub(lambda match: LIST.sub(as_span, match[0]), text)
        text = EMPTY.sub("<td></td>", text)
        text = SCROLLING.sub(r'<\1 tabindex="0">', text)
        text = re.sub(r'data-live="\w+"', f'data-live="{"yes" if live else "no"}"', text)
        page.write_text(text, encoding="utf-8")


def add_python(site: Path) -> None:
    """Copy Python, NumPy and graphattend beside the pages, as `npx graphattend vendor` does."""
    import build_js
    import pyodide_dist

    build_js.build()
    folder = site / "_static" / "pyodide"
    command = ["node", "js/dist/cli.js", "vendor", str(folder), "--no-snapshot", "--from", str(pyodide_dist.assemble())]
    subprocess.run(command, check=True, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=sys.stderr)


def build(site: Path = SITE, *, live: bool = False) -> Path:
    """Build the site and return its first page. Warnings are errors. One process builds at a time."""
    with downloads.only_one(ROOT / ".cache" / "docs.lock"):
        stage()
        trees = ROOT / "build" / "doctrees"
        command = [sys.executable, "-m", "sphinx", "-b", "html", "-W", "--keep-going", "-q", "-j", "2"]
        subprocess.run([*command, "-d", str(trees), str(STAGE), str(site)], check=True, cwd=ROOT)
        finish(site, live)
        shutil.rmtree(site / "_sources", ignore_errors=True)
        if live:
            add_python(site)
    return site / "index.html"


if __name__ == "__main__":
    print(build(live="--live" in sys.argv[1:]))

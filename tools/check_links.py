"""Check the internal links of the documentation, files and anchors, in the built site and in the repository's pages.

    python tools/check_links.py               # after tools/build_docs.py
    python tools/check_links.py --external    # list the addresses elsewhere, with the first page that has each

Standard library only.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "build" / "site"


class Page(NamedTuple):
    """A page with its links and anchors."""

    path: Path
    links: list[str]
    anchors: set[str]


class Reader(HTMLParser):
    """Collects links and anchors of HTML."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record an element's address and name."""
        found = dict(attrs)
        self.anchors |= {value for name in ("id", "name") if (value := found.get(name))}
        if not (tag == "link" and found.get("rel") == "canonical"):
            self.links += [value for name in ("href", "src") if (value := found.get(name))]


def html_page(path: Path) -> Page:
    """Read a page of the site."""
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    return Page(path, reader.links, reader.anchors)


def slug(heading: str) -> str:
    """Return the anchor that GitHub gives to a heading."""
    plain = re.sub(r"\[(.*?)\]\(.*?\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def markdown_page(path: Path) -> Page:
    """Read a Markdown page as GitHub shows it, without code."""
    text = re.sub(r"^(`{3,}).*?^\1", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    anchors = {slug(heading) for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}
    prose = re.sub(r"`[^`\n]*`", "", text)
    links = re.findall(r"\]\(<?([^)\s>]+)>?\)|^\[[^\]]+\]:\s*(\S+)|<(https?://[^>]+)>", prose, re.MULTILINE)
    return Page(path, [next(filter(None, match)) for match in links], anchors)


def repository_pages(root: Path = ROOT) -> list[Page]:
    """Read the repository's Markdown pages, except those of docs/, which are pages of the site."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
    names = subprocess.run(listed, cwd=root, capture_output=True, text=True, check=True).stdout.split()
    return [markdown_page(root / name) for name in names if not name.startswith("docs/") and (root / name).exists()]


def site_pages(site: Path = SITE) -> list[Page]:
    """Read the pages of the built site."""
    return [html_page(path) for path in sorted(site.rglob("*.html")) if "pyodide" not in path.parts]


def outside(link: str) -> bool:
    """Return whether a link leads out of the documentation."""
    return bool(urlsplit(link).scheme or link.startswith("//"))


def broken(pages: list[Page]) -> Iterator[str]:
    """Yield the links to missing files or anchors."""
    known = {page.path.resolve(): page for page in pages}
    for page in pages:
        for link in page.links:
            parts = urlsplit(link)
            if outside(link) or link in ("#", ""):
                continue
            target = (page.path.parent / unquote(parts.path)).resolve() if parts.path else page.path.resolve()
            if target.is_dir() and page.path.suffix == ".html":
                target /= "index.html"
            if not target.exists():
                yield f"{page.path}: no file {link}"
            elif parts.fragment and target in known and unquote(parts.fragment) not in known[target].anchors:
                yield f"{page.path}: no anchor {link}"


def main() -> None:
    """Command line."""
    if not (SITE / "index.html").exists():
        sys.exit("build/site is not there: run tools/build_docs.py")
    pages = [*repository_pages(), *site_pages()]
    if "--external" in sys.argv[1:]:
        first: dict[str, Path] = {}
        for page in pages:
            for link in filter(outside, page.links):
                if link.startswith("http"):
                    first.setdefault(link, page.path.relative_to(ROOT))
        print(*(f"{link}  {path}" for link, path in sorted(first.items())), sep="\n")
        return
    if problems := sorted(set(broken(pages))):
        sys.exit("\n".join(problem.replace(f"{ROOT}/", "") for problem in problems))
    links = sum(not outside(link) for page in pages for link in page.links)
    print(f"Links: {links} on {len(pages)} pages checked")


if __name__ == "__main__":
    main()

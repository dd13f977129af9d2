"""The version of everything that is published. It is written in `src/graphattend/__init__.py`, and copied from there.

    python tools/version.py 0.2.0      # a release: set the version, and date the section of the changelog
    python tools/version.py --check    # fail if a copy differs, or the changelog is out of order
    python tools/version.py --notes    # print the changelog's section of this version

Standard library only.
"""

import datetime
import itertools
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ("src/graphattend/__init__.py", r'^__version__ = "(.*)"$')
#: Files that contain a copy of the version, and the pattern of its place in each.
COPIES = [
    ("CITATION.cff", r"^version: (.*)$"),
    ("js/package.json", r'^  "version": "(.*)",$'),
    ("js/package-lock.json", r'\A\{\n  "name": "graphattend",\n  "version": "(.*)",$'),
    ("js/package-lock.json", r'^    "": \{\n      "name": "graphattend",\n      "version": "(.*)",$'),
    ("recipes/graphattend/meta.yaml", r"^  version: (.*)$"),
]
CHANGELOG = "CHANGELOG.md"
HEADINGS = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
UNRELEASED = "## [Unreleased]"


class Section(NamedTuple):
    """A version in the changelog."""

    version: str
    date: str
    text: str


def numbers(version: str) -> tuple[int, ...]:
    """Return a version as three numbers; exit if it is not."""
    if not re.fullmatch(r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}", version):
        sys.exit(f"{version!r}: expected three numbers such as 0.2.0")
    return tuple(map(int, version.split(".")))


def found(path: Path, pattern: str) -> list[str]:
    """Return all matches of a pattern in a file."""
    return [match[1] for match in re.finditer(pattern, path.read_text(encoding="utf-8"), re.MULTILINE)]


def replace(path: Path, pattern: str, version: str) -> None:
    """Replace the version at the place of a pattern."""
    text = path.read_text(encoding="utf-8")
    new = re.sub(pattern, lambda match: match[0].replace(match[1], version), text, flags=re.MULTILINE)
    path.write_text(new, encoding="utf-8")


def current(root: Path = ROOT) -> str:
    """Return the version."""
    (version,) = found(root / SOURCE[0], SOURCE[1])
    return version


def sections(root: Path = ROOT) -> list[Section]:
    """Return the sections of the changelog, the latest first; "Unreleased" has no date."""
    text = (root / CHANGELOG).read_text(encoding="utf-8")
    heads = list(re.finditer(r"^## \[(.*?)\](?: - (.*))?$", text, re.MULTILINE))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    return [Section(h[1], h[2] or "", text[h.end() : end].strip()) for h, end in zip(heads, ends, strict=True)]


def faults(root: Path = ROOT) -> Iterator[str]:
    """Yield the faults: a copy that differs, a section without a date, versions or headings out of order."""
    version = current(root)
    for name, pattern in COPIES:
        if (there := found(root / name, pattern)) != [version]:
            yield f"{name}: expected version {version}, got {', '.join(there) or 'none'}"
    latest, *released = sections(root)
    if latest.version != "Unreleased" or latest.date:
        yield f"{CHANGELOG}: expected the first section to be {UNRELEASED}"
    for section in (latest, *released):
        heads = re.findall(r"^### (.*)$", section.text, re.MULTILINE)
        if unknown := [head for head in heads if head not in HEADINGS]:
            yield f"{CHANGELOG}: [{section.version}] has the heading {unknown[0]!r}, expected {', '.join(HEADINGS)}"
        elif len(set(heads)) < len(heads):
            yield f"{CHANGELOG}: [{section.version}] has a heading twice"
    for section in released:
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", section.date):
            yield f"{CHANGELOG}: [{section.version}] has the date {section.date!r}, expected YEAR-MONTH-DAY"
    versions = [section.version for section in released]
    for after, before in itertools.pairwise(versions):
        if numbers(after) <= numbers(before):
            yield f"{CHANGELOG}: [{before}] stands below [{after}]"
    if versions and numbers(versions[0]) > numbers(version):
        yield f"{CHANGELOG}: [{versions[0]}] is later than the version, {version}"


def notes(root: Path = ROOT) -> str:
    """Return the changelog's section of the current version."""
    version = current(root)
    for section in sections(root):
        if section.version == version:
            return section.text
    sys.exit(f"{CHANGELOG} has no section [{version}]: `python tools/version.py {version}` dates the unreleased one")


def release(version: str, root: Path = ROOT) -> None:
    """Set the version everywhere, and turn the section Unreleased into a section of this version with today's date."""
    if numbers(version) < numbers(current(root)):
        sys.exit(f"{version} is older than {current(root)}")
    if version in [section.version for section in sections(root)]:
        sys.exit(f"{CHANGELOG} has a section [{version}] already")
    replace(root / SOURCE[0], SOURCE[1], version)
    for name, pattern in COPIES:
        replace(root / name, pattern, version)
    path = root / CHANGELOG
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(UNRELEASED, f"{UNRELEASED}\n\n## [{version}] - {today}", 1), encoding="utf-8")


def main() -> None:
    """Command line."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    if sys.argv[1] == "--check":
        sys.exit("\n".join(faults()) or 0)
    elif sys.argv[1] == "--notes":
        print(notes())
    else:
        release(sys.argv[1])


if __name__ == "__main__":
    main()

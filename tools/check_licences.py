"""Check the licence of every dependency, and that every pin has a hash.

Python packages are those installed in the development environment; requirements of the library itself, including
extras, get no exception. npm packages are those of every lock file. The allowed licences, and the exceptions with
their reasons, are in licences.toml.
"""

import fnmatch
import importlib.metadata
import json
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
RULES = Path(__file__).with_name("licences.toml")

#: SPDX names of licences by their name in metadata.
SPELLINGS = {
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Public Domain": "Unlicense",
    "Python Software Foundation License": "PSF-2.0",
}


class Package(NamedTuple):
    """A dependency, and the licence in its metadata."""

    name: str
    licence: str
    where: str


def normal(name: str) -> str:
    """Return the normalised name of a package, as PyPI spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def stated(metadata: Any) -> str:
    """Return the licence in a Python package's metadata as an SPDX expression, or an empty string."""
    if expression := metadata.get("License-Expression"):
        return str(expression)
    kinds = [c.rpartition(" :: ")[2] for c in metadata.get_all("Classifier") or [] if c.startswith("License ::")]
    # Some packages have the whole text there; its first line may be the name.
    names = [k for k in kinds if k != "OSI Approved"] or (metadata.get("License") or "").strip().splitlines()[:1]
    return " OR ".join(SPELLINGS.get(name, name) for name in names)


def installed() -> list[Package]:
    """Return the Python packages of the development environment."""
    found = {normal(d.metadata["Name"]): stated(d.metadata) for d in importlib.metadata.distributions()}
    return [Package(name, licence, "Python") for name, licence in sorted(found.items()) if name != "graphattend"]


def locked() -> Iterator[tuple[Package, dict[str, Any]]]:
    """Yield the npm packages of every lock file, with their entries."""
    for lock in sorted(ROOT.rglob("package-lock.json")):
        if "node_modules" in lock.parts or ".cache" in lock.parts:
            continue
        where = str(lock.relative_to(ROOT))
        for path, entry in json.loads(lock.read_text(encoding="utf-8"))["packages"].items():
            if path and not entry.get("link"):
                name = entry.get("name") or path.rpartition("node_modules/")[2]
                yield Package(name, str(entry.get("license", "")), where), entry


def required() -> set[str]:
    """Return the names of the packages that the library requires, including extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    return {normal(re.match(r"[\w.-]+", line)[0]) for line in lines} - {"graphattend"}  # type: ignore[index]


def satisfied(expression: str, allowed: set[str]) -> bool:
    """Return whether the allowed licences satisfy an SPDX expression."""
    choices = re.split(r"\s+OR\s+", expression.strip())
    if "(" in expression:
        # Only one level of nesting occurs: a choice inside a conjunction, or around it.
        inner = re.search(r"\(([^()]*)\)", expression)
        if inner is None:
            return False
        verdict = "0BSD" if satisfied(inner[1], allowed) else "no"
        return satisfied(expression[: inner.start()] + verdict + expression[inner.end() :], allowed | {"0BSD"})
    return any(all(part in allowed for part in re.split(r"\s+AND\s+", choice)) for choice in choices)


def faults(packages: list[Package], rules: dict[str, Any], strict: set[str]) -> list[str]:
    """Return a description of each package whose licence is not allowed."""
    problems, used = [], set()
    for package in packages:
        licence = rules["known"].get(package.name) or SPELLINGS.get(package.licence, package.licence)
        allowed = set(rules["allowed"])
        if package.where != "Python" or package.name not in strict:
            for number, exception in enumerate(rules["exceptions"]):
                if any(fnmatch.fnmatch(normal(package.name), normal(name)) for name in exception["names"]):
                    allowed.add(exception["licence"])
                    used.add(number)
        if not satisfied(licence, allowed):
            problems.append(f"{package.name} ({package.where}): licence {licence or 'not stated'!r} is not allowed")
    problems += [
        f"licences.toml: exception {number + 1} is not needed"
        for number in range(len(rules["exceptions"]))
        if number not in used
    ]
    return problems


def unpinned() -> list[str]:
    """Return the dependencies without a hash."""
    return [
        f"{package.name} ({package.where}): no integrity" for package, entry in locked() if "integrity" not in entry
    ]


def main() -> None:
    """Print the faults, or the number of checked packages."""
    rules = tomllib.loads(RULES.read_text(encoding="utf-8"))
    packages = [*installed(), *(package for package, _ in locked())]
    if problems := sorted({*faults(packages, rules, required()), *unpinned()}):
        sys.exit("\n".join(problems))
    print(f"Licences: {len({(p.name, p.where == 'Python') for p in packages})} packages checked")


if __name__ == "__main__":
    main()

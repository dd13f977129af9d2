"""Docstrings as reStructuredText: words between backquotes become links, everything else stays as it is written."""

from __future__ import annotations

import re
import sys
from typing import Any

from sphinx.pycode import ModuleAnalyzer

CODE = re.compile(r"(?::\w+:)?(`+)(.+?)\1", re.DOTALL)
NAME = re.compile(r"(?:graphattend\.|ga\.)?[A-Za-z_][\w.]*(?:\(\))?$")
EXAMPLE = re.compile(r"^\s*(Example|Examples):\s*$")
SECTION = re.compile(r"^\s*(Args|Returns|Raises|Source|Yields|Attributes|Note|Warns):\s*$")


def escaped(text: str) -> str:
    """Text in which nothing is markup."""
    return re.sub(r"(?<=\w)_(?=\W|$)|[|*\\<>](?!\s*>)|(?<!\S)::?(?=\S)", lambda m: "\\" + m[0], text)


def code(text: str) -> str:
    """Code in a line of text; a name becomes a link where there is a page for it."""
    text = " ".join(text.split())
    if NAME.match(text):
        target = re.sub(r"^ga\.", "graphattend.", text.removesuffix("()"))
        return f":py:obj:`{text} <{target}>`"
    return f"``{text}``"


def inline(text: str) -> str:
    """Prose with code between backquotes."""
    out, end = "", 0
    for match in CODE.finditer(text):
        before = escaped(text[end : match.start()])
        out += before + ("\\ " if before[-1:].isalnum() else "") + code(match[2])
        end = match.end()
        out += "\\ " if text[end : end + 1].isalnum() else ""
    return out + escaped(text[end:])


def converted(lines: list[str]) -> list[str]:
    """A docstring's lines; examples are left alone, sources become a field."""
    out: list[str] = []
    prose: list[str] = []
    in_example = in_source = False
    depth = 0

    def flush() -> None:
        out.extend(inline("\n".join(prose)).split("\n") if prose else [])
        prose.clear()

    for line in lines:
        indent = len(line) - len(line.lstrip())
        if EXAMPLE.match(line):
            flush()
            in_example, in_source, depth = True, False, indent
        elif in_example and line.strip() and indent <= depth:
            in_example = False
        if in_source and line.strip() and indent <= depth and not EXAMPLE.match(line):
            in_source = False
        if in_example:
            out.append(line)
            continue
        if re.match(r"^\s*Source:\s*$", line):
            flush()
            in_source, depth = True, indent
            out.append(" " * indent + ":Source:")
            continue
        if SECTION.match(line):
            flush()
            out.append(line)
            continue
        prose.append(line)
    flush()
    return out


def comment(name: str, value: Any) -> list[str]:
    """The comment (`#:`) above a value, from the module that defines it; Sphinx looks only where it is offered."""
    package, _, short = name.rpartition(".")
    for module in [m for m in sys.modules if m.partition(".")[0] == package.partition(".")[0]]:
        if vars(sys.modules[module]).get(short) is value:
            found: dict[tuple[str, str], list[str]] = ModuleAnalyzer.for_module(module).find_attr_docs()
            if ("", short) in found:
                return found["", short]
    return []


def process(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Sphinx's event for a docstring, before napoleon reads its sections."""
    if what == "data":  # else it would be the docstring of its type
        lines[:] = comment(name, obj)
    lines[:] = converted(lines)


def setup(app: Any) -> dict[str, Any]:
    """Sphinx calls this."""
    app.connect("autodoc-process-docstring", process, priority=400)
    return {"parallel_read_safe": True}

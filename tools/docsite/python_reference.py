"""Pages of the Python reference, one a module: a table of what there is, then every entry from its docstring."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import graphattend as ga

from . import public
from .docstrings import converted, inline

TITLES = {"graphattend.mechanisms": "Mechanisms", "graphattend.errors": "Errors"}


def title(text: str, mark: str = "=") -> str:
    """A heading of reStructuredText."""
    return f"{text}\n{mark * max(4, len(text))}\n"


def directive(full: str) -> str:
    """The entry of one name."""
    value = public.resolve(full)
    if inspect.isclass(value):
        kind = "autoexception" if issubclass(value, BaseException) else "autoclass"
        shown = ", ".join(public.members(value))
        return f".. {kind}:: {full}\n" + (f"   :members: {shown}\n" if shown else "")
    if inspect.isroutine(value):
        return f".. autofunction:: {full}\n"
    return f".. autodata:: {full}\n   :no-value:\n"


def overview(names: list[str]) -> str:
    """The names of a page with the first line of what is said about each."""
    rows = "".join(f"   * - :py:obj:`~{n}`\n     - {inline(public.summary(public.resolve(n)))}\n" for n in names)
    return ".. list-table::\n   :widths: 34 66\n   :class: overview\n\n" + rows


def aliases(module: str, names: list[str]) -> str:
    """What a module offers that stands on another page."""
    value = importlib.import_module(module)
    here = {id(public.resolve(full)) for full in names}
    homes = {id(public.resolve(full)): full for listed in public.pages().values() for full in listed}
    others = [
        (name, homes[id(getattr(value, name))])
        for name in public.names_of(value)
        if id(getattr(value, name)) in homes and id(getattr(value, name)) not in here
    ]
    if not others:
        return ""
    links = ", ".join(f":py:obj:`{name} <{full}>`" for name, full in others)
    return f"Also here, described on other pages: {links}.\n\n"


def page(module: str, names: list[str]) -> str:
    """One page."""
    value: Any = ga if module == "graphattend" else importlib.import_module(module)
    lines = converted((inspect.getdoc(value) or "").split("\n"))
    shown = title(TITLES.get(module, module))
    parts = [shown, f".. py:module:: {module}\n", "\n".join(lines) + "\n", overview(names), aliases(module, names)]
    return "\n".join([*filter(None, parts), *map(directive, names)])


def pages() -> dict[str, str]:
    """Every page by its path, and the index of them."""
    found = public.pages()
    out = {f"api/python/{module}.rst": page(module, names) for module, names in found.items()}
    rows = "".join(
        f"   * - :doc:`{TITLES.get(module, module)} <{module}>`\n"
        f"     - {inline(public.summary(importlib.import_module(module)))}\n"
        for module in found
    )
    tree = "\n".join(f"   {TITLES.get(module, module)} <{module}>" for module in found)
    out["api/python/index.rst"] = (
        title("Python")
        + "\nEvery public name, on the page of its module. Shapes are written with the letters M (queries), N (keys), D (width), "
        "H (heads), V (nodes), E (edges).\n\n"
        ".. list-table::\n   :widths: 34 66\n   :class: overview\n\n"
        + rows
        + f"\n.. toctree::\n   :hidden:\n\n{tree}\n"
    )
    return out

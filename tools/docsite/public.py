"""The public names of the Python library, each with the one module that documents it."""

from __future__ import annotations

import inspect
import operator
import types
from collections.abc import Iterator
from typing import Any

import graphattend as ga


def names_of(module: types.ModuleType) -> list[str]:
    """What a module offers: its `__all__`, else its names without underscore that graphattend defines there."""
    if hasattr(module, "__all__"):
        return list(module.__all__)
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]


def modules(prefix: str = "") -> Iterator[str]:
    """Public modules below graphattend, without `graphattend.` itself."""
    module = operator.attrgetter(prefix)(ga) if prefix else ga
    for name in names_of(module):
        if isinstance(getattr(module, name), types.ModuleType):
            path = f"{prefix}.{name}".strip(".")
            yield path
            yield from modules(path)


def is_mechanism(value: Any) -> bool:
    """Whether this is a class of mechanisms."""
    return inspect.isclass(value) and issubclass(value, ga.Attention)


def pages() -> dict[str, list[str]]:
    """Pages of the reference and the full names on each; an object is on the first page that offers it."""
    found: dict[str, list[str]] = {"graphattend": [], "graphattend.mechanisms": [], "graphattend.errors": []}
    seen: list[Any] = []
    for path in ["", *modules()]:
        module = operator.attrgetter(path)(ga) if path else ga
        for name in names_of(module):
            value = getattr(module, name)
            if isinstance(value, types.ModuleType) or any(value is other for other in seen):
                continue
            seen.append(value)
            page = f"graphattend.{path}".strip(".")
            if inspect.isclass(value) and issubclass(value, Exception):
                page = "graphattend.errors"
            elif not path and (is_mechanism(value) or name == "Gradients"):
                page = "graphattend.mechanisms"
            full = f"graphattend.{path}.{name}" if path else f"graphattend.{name}"
            found.setdefault(page, []).append(full)
    found["graphattend.mechanisms"].append("graphattend.mechanisms.option")  # for people who write one
    return {page: names for page, names in found.items() if names}


def resolve(full: str) -> Any:
    """The object of a full name."""
    return operator.attrgetter(full.removeprefix("graphattend."))(ga)


def members(cls: type) -> list[str]:
    """Public methods and properties to show with a class: its own, and those of bases that have no entry themselves."""
    documented = {value for names in pages().values() for value in map(resolve, names) if inspect.isclass(value)}
    bases = [base for base in cls.__mro__[1:] if base in documented]
    shown = []
    for owner in cls.__mro__:
        if owner in bases or not owner.__module__.startswith("graphattend"):
            continue
        for name, value in vars(owner).items():
            plain = inspect.isfunction(value) or isinstance(value, (property, classmethod, staticmethod))
            inherited = owner is not cls and any(hasattr(base, name) for base in bases)
            if plain and not name.startswith("_") and not inherited and name not in shown:
                shown.append(name)
    return shown


def summary(value: Any) -> str:
    """The first line of a docstring; of a plain value nothing."""
    described = inspect.isclass(value) or inspect.isroutine(value) or isinstance(value, types.ModuleType)
    return (inspect.getdoc(value) or "").partition("\n")[0] if described or callable(value) else ""

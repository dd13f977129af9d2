"""The imports between the library's modules, read from the sources, and the layers that they obey."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

SOURCE = Path(__file__).resolve().parent.parent / "src" / "graphattend"

#: From the bottom up. A module imports only from its own layer and from layers listed before it.
LAYERS = {
    "failures": ("_printable", "errors"),
    "input": ("_validate", "_vjp", "_float64_fallback", "_arguments", "_frozen", "registry", "_tasks", "_sharing"),
    "files": ("storage", "storage_checks", "storage_npz", "storage_safetensors"),
    "arithmetic": ("simd",),
    "formulas": ("functional",),
    "spaces": ("geometry", "graph"),
    "attention": ("mechanisms", "_schema"),
    "use": ("training", "compression", "_parallel", "_processes", "_workers", "_blas"),
    "analysis": ("analysis", "drawing"),
    "tasks": ("evaluation", "dask"),
    "output": ("report", "recommendation", "interop", "testing"),
    "entry points": (
        "cli",
        "_bridge",
        "_bridge_arguments",
        "_bridge_calls",
        "_bridge_graphs",
        "_bridge_manifold",
        "_bridge_names",
        "_bridge_plans",
        "_bridge_questions",
        "_bridge_training",
        "",
        "__main__",
    ),
}
RANKS = {name: rank for rank, names in enumerate(LAYERS.values()) for name in names}


class Import(NamedTuple):
    """An import of one of the library's modules, named without the package; `eager` if it runs at import time."""

    module: str
    eager: bool


def module_name(file: str) -> str:
    """Return a module's name without the package, from its path below `SOURCE`; "" for the package itself."""
    return file.removesuffix(".py").replace("/", ".").removesuffix("__init__").rstrip(".")


TREES = {p.relative_to(SOURCE).as_posix(): ast.parse(p.read_text("utf-8")) for p in sorted(SOURCE.rglob("*.py"))}
MODULES = {module_name(file): tree for file, tree in TREES.items()}
PACKAGES = {module_name(file) for file in TREES if file.endswith("__init__.py")}


def member(module: str) -> str:
    """Return the top-level module or subpackage that a module belongs to."""
    return module.split(".")[0]


def imports(module: str, tree: ast.AST) -> Iterator[Import]:
    """Yield all imports from the package, also those in functions and for the type checker."""

    def walk(node: ast.AST, eager: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                names = [a.name.split(".") for a in child.names]
                yield from (Import(".".join(n[1:]), eager) for n in names if n[0] == "graphattend")
            elif isinstance(child, ast.ImportFrom):
                base = _base(module, child)
                for alias in () if base is None else child.names:
                    full = ".".join([*base, alias.name])
                    yield Import(full if full in MODULES else ".".join(base), eager)
            typing_only = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            yield from walk(
                child, eager and not typing_only and not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            )

    yield from walk(tree, True)


def _base(module: str, node: ast.ImportFrom) -> list[str] | None:
    """Return the module that `from … import` imports from, or None if it is not in the library."""
    named = node.module.split(".") if node.module else []
    if not node.level:
        return named[1:] if named[0] == "graphattend" else None
    path = module.split(".") if module else []
    up = node.level - (module in PACKAGES)
    return path[: len(path) - up] + named

"""The source, read by its syntax: capabilities are declared on the class, and imports point one way."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import graphattend as ga
from graphattend.mechanisms import mechanism_class

pytestmark = pytest.mark.native  # the source is the same everywhere

SOURCE = Path(ga.__file__).parent
TREES = {path.relative_to(SOURCE).as_posix(): ast.parse(path.read_text("utf-8")) for path in SOURCE.rglob("*.py")}

#: Where an object that is no mechanism of ours is asked: (file, name) → why.
GUESSES_ALLOWED = {
    ("training/objectives.py", "dropout"): "the model is any object with two methods, and dropout is its choice",
}


def capabilities() -> set[str]:
    """Options of all mechanisms, and what every mechanism says of itself."""
    classes = [mechanism_class(key) for key in ga.list_mechanisms()]
    options = {f.name for cls in classes for f in dataclasses.fields(cls)}
    shared = {n for n in dir(ga.Attention) if not n.startswith("__") and not callable(getattr(ga.Attention, n))}
    return options | shared | {"_members"}


def guesses(tree: ast.Module, names: set[str]) -> Iterator[str]:
    """Names that `getattr` or `hasattr` asks for, and keys of mechanisms that something is compared with."""
    keys = set(ga.list_mechanisms())
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("getattr", "hasattr"):
            asked = node.args[1]
            if isinstance(asked, ast.Constant) and asked.value in names:
                yield str(asked.value)
        elif isinstance(node, ast.Compare):
            for side in (node.left, *node.comparators):
                for part in ast.walk(side):
                    if isinstance(part, ast.Constant) and part.value in keys and _is_key(node):
                        yield str(part.value)


def _is_key(node: ast.Compare) -> bool:
    sides = (node.left, *node.comparators)
    named = [s.id if isinstance(s, ast.Name) else s.attr for s in sides if isinstance(s, (ast.Name, ast.Attribute))]
    return "key" in named


def test_guesses_are_found():
    source = (
        'if key == "flash" or attn.key in ("moe",): f(getattr(x, "num_heads", 1), hasattr(x, "window"), key == "q")'
    )
    assert sorted(guesses(ast.parse(source), capabilities())) == ["flash", "moe", "num_heads", "window"]


def test_capabilities_are_declared_not_guessed():
    names = capabilities()
    found = {(file, name) for file, tree in TREES.items() for name in guesses(tree, names)}
    assert found == set(GUESSES_ALLOWED)


# -- imports -----------------------------------------------------------------------------------------------------------

#: From the bottom up. A module imports from its own layer and from layers listed before it.
LAYERS = (
    ("errors",),
    ("_validate", "_vjp", "_float64_fallback", "_arguments", "_frozen", "registry", "_tasks", "_sharing"),
    (
        "storage",
        "storage_checks",
        "storage_npz",
        "storage_safetensors",
    ),  # of plain arrays: graphs and mechanisms use it
    ("simd",),
    ("functional",),
    ("geometry", "graph"),
    ("mechanisms", "_schema"),
    ("training", "compression"),
    ("_parallel",),
    ("analysis", "drawing"),
    ("evaluation",),
    ("dask",),
    ("report", "recommendation", "interop", "testing"),
    (
        "cli",
        "_bridge",
        "_bridge_arguments",
        "_bridge_calls",
        "_bridge_graphs",
        "_bridge_names",
        "_bridge_plans",
        "_bridge_training",
        "",
        "__main__",
    ),
)
RANKS = {name: rank for rank, names in enumerate(LAYERS) for name in names}

#: Imports from a higher layer that remain: (module, layer's member) → why.
UPWARD_ALLOWED = {
    ("analysis", "report"): "`analyze_file` gives the browser the analysis and its report in one call",
    (
        "functional.gat",
        "mechanisms",
    ): "`gat_attention` runs the mechanism's checks and float64 fallback; loaded when called",
    ("functional.gat", "graph"): "metadata for that mechanism; loaded when called",
    ("mechanisms.rl_navigator", "training"): "`fit` is a training loop; loaded when called",
    ("mechanisms._policy_gradient", "training"): "the type of that loop's objective, for the type checker only",
}


class Import(NamedTuple):
    """An import of one of our modules, named without the package; `eager` if it runs when the module is imported."""

    module: str
    eager: bool


def module_name(file: str) -> str:
    return file.removesuffix(".py").replace("/", ".").removesuffix("__init__").rstrip(".")


MODULES = {module_name(file): tree for file, tree in TREES.items()}
PACKAGES = {module_name(file) for file in TREES if file.endswith("__init__.py")}


def imports(module: str, tree: ast.AST) -> Iterator[Import]:
    """All imports from the package, also those in functions and for the type checker."""

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
    """What `from … import` reads from, or None if that is not ours."""
    named = node.module.split(".") if node.module else []
    if not node.level:
        return named[1:] if named[0] == "graphattend" else None
    path = module.split(".") if module else []
    up = node.level - (module in PACKAGES)
    return path[: len(path) - up] + named


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that import one another."""

    def reached(start: str) -> set[str]:
        found: set[str] = set()
        waiting = [start]
        while waiting:
            for name in graph.get(waiting.pop(), set()) - found:
                found.add(name)
                waiting.append(name)
        return found

    reach = {name: reached(name) for name in graph}
    groups = {tuple(sorted(n for n in reach[name] if name in reach.get(n, set()))) for name in graph}
    return sorted(list(group) for group in groups if group)


@pytest.mark.parametrize(
    ("module", "source", "expected"),
    [
        ("graph.knn", "from ..simd import matmul", [("simd", True)]),
        ("graph.knn", "from . import paths", [("graph.paths", True)]),
        ("graph", "from .knn import knn", [("graph.knn", True)]),
        ("analysis", "from . import mechanisms, simd", [("mechanisms", True), ("simd", True)]),
        ("analysis", "def f():\n    from .report import layout", [("report", False)]),
        ("analysis", "if TYPE_CHECKING:\n    import graphattend.simd.accelerate", [("simd.accelerate", False)]),
        (
            "analysis",
            "from graphattend.errors import LoadError\nimport numpy\nfrom json import dumps",
            [("errors", True)],
        ),
        ("cli.info", "from .. import __version__", [("", True)]),
    ],
)
def test_imports_are_read(module, source, expected):
    assert [tuple(found) for found in imports(module, ast.parse(source))] == expected


def test_circles_are_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a", "d"}}) == [["b", "c"], ["d"]]


def test_every_module_has_a_layer():
    assert {name.split(".")[0] for name in MODULES} == set(RANKS)


def test_imports_point_down():
    found = set()
    for name, tree in MODULES.items():
        for imported in imports(name, tree):
            member = imported.module.split(".")[0]
            if RANKS[member] > RANKS[name.split(".")[0]]:
                found.add((name, member))
    assert found == set(UPWARD_ALLOWED)


def test_no_circles_at_import():
    graph = {name: {i.module for i in imports(name, tree) if i.eager} for name, tree in MODULES.items()}
    assert circles(graph) == []

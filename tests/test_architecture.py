"""The source, read by its syntax: capabilities are declared on the class, layers are imported from above only."""

from __future__ import annotations

import ast
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import graphattend as ga
from graphattend.mechanisms import mechanism_class

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

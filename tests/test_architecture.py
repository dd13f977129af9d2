"""Checks of the source's syntax trees: capabilities are declared on classes, and imports point in one direction."""

from __future__ import annotations

import ast
import dataclasses
import re
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import gen_architecture
import pytest
from source_imports import MODULES, RANKS, TREES, imports, member

import graphattend as ga
from graphattend.mechanisms import mechanism_class

pytestmark = pytest.mark.native  # the source is the same everywhere
TESTS = Path(__file__).parent

#: Allowed queries of objects that are not mechanisms of ours: (file, name) → reason.
GUESSES_ALLOWED = {
    ("training/objectives.py", "dropout"): "the model is any object with two methods, and dropout is its choice",
}


def capabilities() -> set[str]:
    """Return the options of all mechanisms, and the attributes that every mechanism declares."""
    classes = [mechanism_class(key) for key in ga.list_mechanisms()]
    options = {f.name for cls in classes for f in dataclasses.fields(cls)}
    shared = {n for n in dir(ga.Attention) if not n.startswith("__") and not callable(getattr(ga.Attention, n))}
    return options | shared | {"_members"}


def guesses(tree: ast.Module, names: set[str]) -> Iterator[str]:
    """Yield queries of concrete mechanisms in code that should read a declaration.

    These are names in `getattr` or `hasattr`, keys compared or matched with something called `key`, and classes of
    mechanisms in `isinstance`, `issubclass` or a comparison of `type`.
    """
    keys = set(ga.list_mechanisms())
    classes = {mechanism_class(key).__name__ for key in keys}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in ("getattr", "hasattr"):
                asked = node.args[1]
                if isinstance(asked, ast.Constant) and asked.value in names:
                    yield str(asked.value)
            elif node.func.id in ("isinstance", "issubclass"):
                yield from _named(node.args[1], classes)
        elif isinstance(node, ast.Compare):
            sides = (node.left, *node.comparators)
            if _is_key(node):
                yield from (str(c.value) for s in sides for c in ast.walk(s) if _constant(c, keys))
            if any(isinstance(s, ast.Call) and isinstance(s.func, ast.Name) and s.func.id == "type" for s in sides):
                yield from (name for s in sides for name in _named(s, classes))
        elif isinstance(node, ast.Match) and _called_key(node.subject):
            yield from (str(c.value) for case in node.cases for c in ast.walk(case.pattern) if _constant(c, keys))


def _named(node: ast.AST, classes: set[str]) -> Iterator[str]:
    """Return the classes of mechanisms in an expression."""
    found = (
        n.id if isinstance(n, ast.Name) else n.attr if isinstance(n, ast.Attribute) else "" for n in ast.walk(node)
    )
    return (name for name in found if name in classes)


def _constant(node: ast.AST, values: set[str]) -> bool:
    return isinstance(node, ast.Constant) and node.value in values


def _called_key(node: ast.AST) -> bool:
    return (node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else "") == "key"


def _is_key(node: ast.Compare) -> bool:
    return any(_called_key(side) for side in (node.left, *node.comparators))


def test_guesses_are_found():
    source = (
        'if key == "flash" or attn.key in ("moe",): f(getattr(x, "num_heads", 1), hasattr(x, "window"), key == "q")'
    )
    assert sorted(guesses(ast.parse(source), capabilities())) == ["flash", "moe", "num_heads", "window"]
    source = (
        "isinstance(attn, ga.MoEAttention), isinstance(x, (int, FlashAttention)), type(attn) is RLNavigator\n"
        "match attn.key:\n    case 'linear' | 'q': pass\n"
    )
    found = ["FlashAttention", "MoEAttention", "RLNavigator", "linear"]
    assert sorted(guesses(ast.parse(source), capabilities())) == found


def test_capabilities_are_declared_not_guessed():
    names = capabilities()
    found = {(file, name) for file, tree in TREES.items() for name in guesses(tree, names)}
    assert found == set(GUESSES_ALLOWED)


# -- imports -----------------------------------------------------------------------------------------------------------

#: Remaining imports from a higher layer: (module, layer's member) → reason.
UPWARD_ALLOWED = {
    ("analysis", "report"): "`analyze_file` gives the browser the analysis and its report in one call",
    ("mechanisms.rl_navigator", "training"): "`fit` is a training loop; loaded when called",
    ("mechanisms._policy_gradient", "training"): "the type of that loop's objective, for the type checker only",
}


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return groups of modules that import one another."""

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
    assert {member(name) for name in MODULES} == set(RANKS)


def test_imports_point_down():
    found = set()
    for name, tree in MODULES.items():
        for imported in imports(name, tree):
            other = member(imported.module)
            if RANKS[other] > RANKS[member(name)]:
                found.add((name, other))
    assert found == set(UPWARD_ALLOWED)


def test_no_circles_at_import():
    graph = {name: {i.module for i in imports(name, tree) if i.eager} for name, tree in MODULES.items()}
    assert circles(graph) == []


#: Remaining circles of imports only for the type checker: modules → reason.
TYPED_CIRCLES_ALLOWED = {
    (
        "graph._conversion_methods",
        "graph._measure_methods",
        "graph._part",
        "graph.neighbor_graph",
    ): "a mixin names the class that it is part of",
}


def typing_imports(module: str, tree: ast.AST) -> set[str]:
    """Return the modules that a module imports only for the type checker."""
    blocks = [n.body for n in ast.walk(tree) if isinstance(n, ast.If) and "TYPE_CHECKING" in ast.unparse(n.test)]
    return {i.module for body in blocks for i in imports(module, ast.Module(body=body, type_ignores=[]))}


def test_no_circles_for_the_type_checker():
    graph = {
        name: {i.module for i in imports(name, tree) if i.eager} | typing_imports(name, tree)
        for name, tree in MODULES.items()
    }
    assert {tuple(circle) for circle in circles(graph)} == set(TYPED_CIRCLES_ALLOWED)


# -- dead code ---------------------------------------------------------------------------------------------------------

#: Names that occur only in their definition: name → reason.
NAMED_ONCE = {
    "persistent_id": "pickle calls it",
    "persistent_load": "pickle calls it",
    "find_class": "pickle calls it",
    "_print_message": "argparse calls it",
    "add_global_expert": "public",
    "add_structural_expert": "public",
}


def defined(tree: ast.Module) -> Iterator[str]:
    """Return the functions, methods, classes and variables of a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("__"):
            yield node.name
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        yield from (target.id for target in targets if isinstance(target, ast.Name))


def test_what_is_defined_is_used():
    root = TESTS.parent
    sources = [
        path for folder in ("src", "tools", "benchmarks", "js/src") for path in (root / folder).rglob("*.[pt][ys]")
    ]
    words = Counter(
        word for path in [*sources, root / "hatch_build.py"] for word in re.findall(r"\w+", path.read_text("utf-8"))
    )
    names = {name for tree in TREES.values() for name in defined(tree)}
    assert {name for name in names if words[name] == 1} == set(NAMED_ONCE)


# -- the picture -------------------------------------------------------------------------------------------------------


def test_the_picture_is_drawn_from_the_imports():
    assert gen_architecture.TARGET.read_text("utf-8") == gen_architecture.picture(), (
        "out of date: run tools/gen_architecture.py"
    )


def test_the_picture_leaves_out_what_other_arrows_say():
    assert gen_architecture.reduced({("a", "b"), ("b", "c"), ("a", "c"), ("c", "d"), ("a", "d")}) == {
        ("a", "b"),
        ("b", "c"),
        ("c", "d"),
    }


# -- the tests ---------------------------------------------------------------------------------------------------------

#: Public modules without a test file of the same name, as patterns, and the tests that cover them.
TESTED_BY = {
    "cli/*": "cli/test_commands.py",
    "compression/tucker.py": "compression/test_low_rank.py",
    "drawing.py": "test_report.py",
    "evaluation/*": "evaluation/test_evaluate.py",
    "functional/dot_product.py": "functional/test_attention.py",
    "functional/favor.py": "functional/test_linear.py",
    "functional/hidden.py": "functional/test_hidden_keys.py",
    "geometry/euclidean.py": "geometry/test_product.py",
    "graph/blocks.py": "dask/test_partition.py",
    "graph/conversions.py": "graph/test_neighbor_graph.py",
    "graph/faiss_hnsw.py": "graph/test_faiss.py",
    "graph/formats/*": "graph/test_formats.py",
    "graph/*": "graph/test_algorithms.py",
    "simd/kernels/build.py": "simd/test_kernel_build.py",
    "simd/quantized_ops.py": "simd/test_small_kernels.py",
    "simd/thresholds.py": "simd/test_backends.py",
    "simd/*_ops.py": "simd/test_fuzz.py",
    "storage_*.py": "test_storage.py",
    "testing/*": "mechanisms/test_conformance.py",
    "_workers.py": "test_parallel.py",
    "_processes.py": "test_blas.py",
    "training/clipping.py": "training/test_optimizers.py",
    "training/objectives.py": "training/test_trainer.py",
    "training/*": "training/test_losses.py",
}


def mirror(module: str) -> str:
    """Return the test file of a module, both relative to their roots."""
    path = Path(module)
    return (path.parent / f"test_{path.stem.strip('_')}.py").as_posix()


def test_every_public_module_is_tested_by_a_file_of_its_name_or_a_named_one():
    for module in TREES:
        if not Path(module).name.startswith("_") and not (TESTS / mirror(module)).exists():
            named = [test for pattern, test in TESTED_BY.items() if fnmatch(module, pattern)]
            assert named, f"{module}: no tests/{mirror(module)}, and TESTED_BY names no other file"
            assert (TESTS / named[0]).exists(), named[0]


def test_a_test_of_more_than_one_module_says_what_it_tests():
    mirrored = {mirror(module) for module in TREES}
    for path in TESTS.rglob("test_*.py"):
        if path.relative_to(TESTS).as_posix() not in mirrored:
            assert ast.get_docstring(ast.parse(path.read_text("utf-8"))), f"{path.name}: expected a docstring"

"""Every public name is documented, with an example that the doctests run."""

import ast
import builtins
import doctest
import inspect
import re
import types
from pathlib import Path
from typing import Any

import pytest

import graphattend

MODULES = [name for name in graphattend.__all__ if isinstance(getattr(graphattend, name), types.ModuleType)]


def public_names(module: types.ModuleType) -> list[str]:
    """Return a module's public names: its `__all__`, or the names without underscore that graphattend defines."""
    if hasattr(module, "__all__"):
        return list(module.__all__)
    names = [name for name in dir(module) if not name.startswith("_")]
    return [name for name in names if getattr(getattr(module, name), "__module__", "").startswith(graphattend.__name__)]


def public_objects() -> dict[str, Any]:
    """Return functions and classes by their shortest public name."""
    found: dict[str, Any] = {}
    for prefix, module in [("", graphattend), *((f"{name}.", getattr(graphattend, name)) for name in MODULES)]:
        for name in public_names(module):
            value = getattr(module, name)
            if (inspect.isclass(value) or callable(value)) and value not in found.values():
                found[prefix + name] = value
    return found


def methods(owner: type) -> list[str]:
    """Return the names of the public methods and properties that a class of graphattend defines itself."""
    own = [name for name, value in vars(owner).items() if callable(value) or isinstance(value, property)]
    return [name for name in own if not name.startswith("_")]


OBJECTS = public_objects()


def test_there_is_something_to_document() -> None:
    assert "create" in OBJECTS
    assert len(MODULES) >= 5


@pytest.mark.parametrize("name", OBJECTS)
def test_docstring_with_summary_and_example(name: str) -> None:
    text = inspect.getdoc(OBJECTS[name]) or ""
    assert text.partition("\n")[0].strip(), f"{name} has no docstring"
    if not (inspect.isclass(OBJECTS[name]) and issubclass(OBJECTS[name], Exception)):  # the base class has one
        assert ">>> " in text, f"{name} has no example"


def undefined(text: str) -> set[str]:
    """Return names that a docstring's example uses without defining them, which a reader who copies it would miss."""
    code = "".join(example.source for example in doctest.DocTestParser().get_examples(text))
    used: set[str] = set()
    known = set(vars(builtins))
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                used.add(name)
            case ast.Name(id=name) | ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.arg(arg=name):
                known.add(name)
            case ast.alias(name=name, asname=other):
                known.add(other or name.partition(".")[0])
            case ast.ExceptHandler(name=str(name)):
                known.add(name)
    return used - known


def test_examples_define_what_they_use() -> None:
    assert undefined(">>> import numpy as np, math\n>>> f(np.pi, math.pi)\n") == {"f"}
    found = {
        f"{path.name}: {getattr(node, 'name', 'module')}": undefined(ast.get_docstring(node) or "")
        for path in Path(graphattend.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
    }
    assert len(found) > 1000
    assert {name: names for name, names in found.items() if names} == {}


def test_errors_are_shown_once() -> None:
    assert ">>> " in (graphattend.AttentionError.__doc__ or "")


@pytest.mark.parametrize("name", [name for name, value in OBJECTS.items() if inspect.isclass(value)])
def test_methods_have_docstrings(name: str) -> None:
    undocumented = [method for method in methods(OBJECTS[name]) if not inspect.getdoc(getattr(OBJECTS[name], method))]
    assert not undocumented


def with_methods(name: str) -> dict[str, Any]:
    """Yield a public function, or a class and its methods, with full names."""
    value = OBJECTS[name]
    if not inspect.isclass(value):
        return {name: value}
    own = {m: inspect.getattr_static(value, m) for m in methods(value)}
    plain = {m: f for m, f in own.items() if callable(f) and not isinstance(f, (staticmethod, classmethod))}
    return {name: value} | {f"{name}.{m}": f for m, f in plain.items()}


@pytest.mark.parametrize("name", OBJECTS)
def test_docs_tell_the_shapes_of_arrays(name: str) -> None:
    """The entry of every array argument has its shape in brackets, or the summary has all shapes."""
    missing = []
    for full, function in with_methods(name).items():
        text = inspect.getdoc(function) or ""
        prose = text.partition("Example:")[0]
        if re.search(r"[Aa]s for `", prose.partition("Args:")[0]):
            continue
        try:
            signature = inspect.signature(function)
        except ValueError:  # inherited from a built-in
            continue
        for argument, parameter in signature.parameters.items():
            if not re.search(r"ArrayLike|ndarray|\bArray\b", str(parameter.annotation)):
                continue
            entry = re.search(rf"(?m)^ +{argument}: (.*(?:\n {{8,}}.*)*)", prose)
            told = entry.group(1) if entry else prose.partition("Args:")[0]
            if not re.search(r"\([^()]*(\.\.\.|[A-Z])[^()]*\)|number|shape|[Aa]s |like", told):
                missing.append(f"{full}({argument})")
    assert not missing


@pytest.mark.parametrize("name", ["", *MODULES])
def test_modules_have_docstrings(name: str) -> None:
    module = getattr(graphattend, name) if name else graphattend
    assert (module.__doc__ or "").strip()


def test_every_file_format_is_in_the_table() -> None:
    import re
    from pathlib import Path

    from graphattend.graph.formats import COMPRESSIONS, FORMATS, VECTORS

    page = Path(__file__).resolve().parent.parent / "docs" / "formats.md"
    if not page.exists():  # an installed package has no pages
        return
    graphs, vectors = page.read_text(encoding="utf-8").split("## Latent vectors")
    for text, registry in ((graphs, FORMATS), (vectors, VECTORS)):
        rows = [line for line in text.splitlines() if line.startswith("|")]
        named = set(re.findall(r"`(?:ind\.NAME)?(\.[a-z]+)`", "\n".join(row.split("|")[1] for row in rows)))
        assert named == set(registry)
    assert all(suffix in graphs for suffix in COMPRESSIONS)
    writable = {
        suffix
        for row in graphs.splitlines()
        if row.startswith("| `") and row.rstrip(" |").split("|")[-1].strip() in ("yes", "node-link")
        for suffix in re.findall(r"`(\.[a-z]+)`", row.split("|")[1])
    }
    assert writable == {suffix for suffix, form in FORMATS.items() if form.write is not None}


#: Annotations of arrays, and words that give a shape: a shape in letters, or the name of another array.
ARRAY = re.compile(r"\b(ArrayLike|ndarray|Array)\b(?!.*\bCallable\b)")
SHAPE = re.compile(r"\(\.\.\.|\([A-Za-z0-9+]{1,4}[,)]|\b([Ss]hape|[Aa]s for|[Ll]ike)\b")


def array_parameters(function: Any) -> list[str]:
    """Return the parameters that take one array each."""
    hints = {name: str(hint) for name, hint in getattr(function, "__annotations__", {}).items() if name != "return"}
    return [name for name, hint in hints.items() if ARRAY.search(hint) and not re.search("dict|Mapping|Callable", hint)]


def described(text: str, name: str) -> str:
    """Return a docstring's description of a parameter: its entry under Args, or the text before the example."""
    if "Args:" not in text:
        return text.split("Example:")[0]
    found = re.search(rf"^\s+(?:\w+, )*{name}(?:, \w+)*: ((?:.|\n(?!\s+\w[\w, ]*: |\s*$))*)", text, re.M)
    return found.group(1) if found else ""


def functions() -> dict[str, Any]:
    """Yield all public functions and methods."""
    found = {name: value for name, value in OBJECTS.items() if not inspect.isclass(value)}
    for name, value in OBJECTS.items():
        if inspect.isclass(value):
            own = [method for method in methods(value) if not isinstance(vars(value)[method], property)]
            found |= {f"{name}.{method}": getattr(value, method) for method in own}
    return found


@pytest.mark.parametrize(
    ("entry", "told"),
    [("(V, D), one row per node.", True), ("(...,) numbers", True), ("As for `forward`.", True), ("The keys.", False)],
)
def test_shapes_are_found(entry: str, told: bool) -> None:
    text = f"Do.\n\n    Args:\n        x: {entry}\n        y: (D,).\n"
    assert bool(SHAPE.search(described(text, "x"))) == told


def test_shapes_of_all_arrays_are_documented() -> None:
    missing = [
        f"{name}: {parameter}"
        for name, function in functions().items()
        for parameter in array_parameters(function)
        if not SHAPE.search(described(inspect.getdoc(function) or "", parameter))
    ]
    assert not missing

"""Count lines of Python code and parameters annotated with `Any` in each part of the library.

Docstrings, comments and blank lines are not counted.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "src" / "graphattend"
_NO_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def code_lines(source: str) -> int:
    """Return the number of lines with code."""
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines.difference_update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


def parameters(source: str) -> Iterator[tuple[str, bool]]:
    """Yield the annotated parameters of all functions: ``function.parameter``, and whether the annotation is `Any`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            a = node.args
            given = [*a.posonlyargs, *a.args, *a.kwonlyargs, *(x for x in (a.vararg, a.kwarg) if x is not None)]
            for x in given:
                if x.annotation is not None:
                    yield f"{node.name}.{x.arg}", isinstance(x.annotation, ast.Name) and x.annotation.id == "Any"


def main() -> None:
    """Print the table."""
    lines, anys, annotated = Counter[str](), Counter[str](), Counter[str]()
    for path in sorted(SOURCE.rglob("*.py")):
        part = path.relative_to(SOURCE).parts
        name = part[0] if len(part) > 1 else "(files)"
        source = path.read_text("utf-8")
        lines[name] += code_lines(source)
        for _, is_any in parameters(source):
            annotated[name] += 1
            anys[name] += is_any
    print(f"{'':12} {'lines':>7} {'Any':>6} {'annotated':>10}")
    for name in sorted(lines, key=lines.get, reverse=True):  # type: ignore[arg-type]
        print(f"{name:12} {lines[name]:7} {anys[name]:6} {annotated[name]:10}")
    print(f"{'total':12} {lines.total():7} {anys.total():6} {annotated.total():10}")


if __name__ == "__main__":
    main()

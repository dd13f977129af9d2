"""The count of code, and how many parameters are annotated with `Any`."""

import count_code
import pytest

pytestmark = pytest.mark.native

#: Modules that take whatever a caller hands in and say what is wrong with it, or that pass on whatever they are given.
BOUNDARY = (
    *("_arguments", "_bridge", "_validate", "errors", "interop/", "mechanisms/_boundary", "mechanisms/_options"),
    *("_float64_fallback", "_frozen", "_parallel", "_sharing", "_tasks", "registry"),
)
#: Parameters with `Any` elsewhere, at most. Lower it when there are fewer.
MOST = 530


def test_code_is_counted():
    source = '"""Words."""\n\nimport os  # why\n\n\ndef f(\n    x,\n):\n    """More\n    words."""\n    return """a\n    b"""\n'
    assert count_code.code_lines(source) == 6


def test_parameters_are_found():
    source = "def f(self, a: Any, *b: int, c: 'Any | None' = None, **d: Any): ...\nclass C:\n    def g(self, x: list[Any]): ...\n"
    assert dict(count_code.parameters(source)) == {"f.a": True, "f.b": False, "f.c": False, "f.d": True, "g.x": False}


def test_any_stays_at_the_boundary():
    found = [
        f"{name}: {parameter}"
        for path in count_code.SOURCE.rglob("*.py")
        if not (name := path.relative_to(count_code.SOURCE).as_posix()).startswith(BOUNDARY)
        for parameter, is_any in count_code.parameters(path.read_text("utf-8"))
        if is_any
    ]
    assert len(found) <= MOST, "annotate what these take: " + ", ".join(sorted(found)[:20])

"""The count of code, and the number of parameters annotated with `Any`."""

import re

import count_code
import pytest

pytestmark = pytest.mark.native

#: Modules that pass on objects of JavaScript, other frameworks and constructors unchanged, and calls of kernels, which
#: check a caller's arguments themselves.
BOUNDARY = ("_arguments", "_bridge", "interop/", "mechanisms/_one_query", "simd/__init__", "simd/bound")
#: Stages that see a caller's arguments before the checks, and call a kernel if all of them are plain arrays.
FAST_PATHS = re.compile(r"(_fused\w*|_in_one_call|_in_kernel|_one_query|_through|_unchecked)\.")
#: Maximum number of other parameters with `Any`: options that are passed on, objects of other packages. Lower it when
#: there are fewer.
MOST = 64


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
        if is_any and not FAST_PATHS.match(parameter)
    ]
    assert len(found) <= MOST, "annotate what these take: " + ", ".join(sorted(found)[:20])

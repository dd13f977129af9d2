"""The mutation tool: its changes to the sources, which are still valid Python."""

import ast
import random

import pytest

mutate = pytest.importorskip("mutate", reason="the tools are not part of what runs inside Pyodide")
pytestmark = pytest.mark.native
TEXT = '''\
__all__ = ["a", 1 + 1]

def f(a: int = 1, b: "1 + 2" = 0) -> 1 + 3:
    """1 + 1 == 2"""
    ä = "größer" if a < b and not b else [a + b]
    if a is not b:
        raise ValueError("no")
    a += 1
    return ä if b in (a, b) else a
'''


@pytest.fixture
def found(tmp_path, monkeypatch):
    monkeypatch.setattr(mutate, "ROOT", tmp_path)
    path = tmp_path / "module.py"
    path.write_text(TEXT, "utf-8")
    return mutate.mutants("part", path)


def test_what_is_changed(found):
    pairs = {(mutant.line, mutant.was, mutant.now) for mutant in found}
    assert pairs == {
        (3, "1", "2"),
        (3, "0", "1"),
        (5, "a < b and not b", "not (a < b and not b)"),
        (5, "and", "or"),
        (5, "<", "<="),
        (5, "not ", ""),
        (5, "+", "-"),
        (6, "is not", "is"),
        (6, "a is not b", "not (a is not b)"),
        (7, 'raise ValueError("no")', "pass"),
        (8, "+=", "-="),
        (8, "1", "2"),
        (9, "in", "not in"),
        (9, "b in (a, b)", "not (b in (a, b))"),
    }


def test_what_comes_of_it_is_python(found):
    for mutant in found:
        changed = TEXT[: mutant.start] + mutant.now + TEXT[mutant.start + len(mutant.was) :]
        assert TEXT[mutant.start :].startswith(mutant.was)
        assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(TEXT))


def test_the_sample_is_the_same_for_a_seed_and_has_every_part():
    one, two, other = (mutate.chosen(50, seed) for seed in (1, 1, 2))
    assert one == two != other
    assert {mutant.part for mutant in one} == set(mutate.TARGETS)


def test_the_nearest_tests_come_first():
    covered = object.__new__(mutate.Covered)
    mutant = mutate.Mutant("src/graphattend/geometry/sphere.py", 12, 0, "1", "2", "geometry", "x = 1")
    tests = {"tests/trust/test_laws.py::a", "tests/geometry/test_sphere.py::b", "tests/geometry/test_product.py::c"}
    covered.cache = {mutant.file: {10: tests}}
    assert covered.tests(mutant, random.Random(0))[0] == "tests/geometry/test_sphere.py::b"
    assert mutate.stages(["x.py::a", "y.py::b", "x.py::c"]) == [["x.py::a", "x.py::c"], ["y.py::b"]]


def test_the_checks_of_the_kernels_are_found():
    checks = mutate.checks()
    assert len(checks) > 60
    assert len({check.file for check in checks}) > 15
    assert all(check.now == f"0 && ({check.was})" for check in checks)

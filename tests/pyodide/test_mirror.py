"""The whole test suite and the examples in the docstrings, inside Pyodide."""

import json
from typing import Any

import pytest

from .conftest import totals

#: Runtimes that did not give an answer; waiting for each further one would take minutes.
unusable: list[Any] = []


def run_inside(machine: Any, backend: str, *arguments: str) -> None:
    """Run pytest inside; fail here with what it printed when anything failed there."""
    if machine in unusable:
        pytest.fail("the runtime broke in an earlier test", pytrace=False)
    try:
        result = json.loads(machine.run(f"import inside; inside.run(*{list(arguments)!r})"))
    except BaseException:
        unusable.append(machine)  # what it would answer next belongs to this call
        raise
    for kind in ("passed", "failed", "skipped"):
        totals[f"{machine.browser}, {backend}"][kind] += result[kind]
    # 5: nothing to run, when every test of a file is marked native.
    if result["failed"] or result["exit"] not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        pytest.fail(result["output"], pytrace=False)


def test_files(inside: Any, backend: str, paths: tuple[str, ...]) -> None:
    """Some files of the suite."""
    run_inside(inside, backend, *paths)


def test_docstrings(inside: Any, backend: str) -> None:
    """The examples of the installed library, but for those that convert to SciPy's arrays, which is not there."""
    run_inside(inside, backend, "--doctest-modules", "-k", "not _scipy", "--pyargs", "graphattend")

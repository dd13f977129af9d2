"""The test suite and the docstrings' examples, inside Pyodide."""

import json
from typing import Any

import pytest

from .conftest import totals

#: Runtimes that did not answer; waiting for them again would take minutes.
unusable: list[Any] = []


def run_inside(machine: Any, backend: str, *arguments: str) -> None:
    """Run pytest inside the runtime; if anything fails there, fail here with its output."""
    if machine in unusable:
        pytest.fail("the runtime broke in an earlier test", pytrace=False)
    try:
        result = json.loads(machine.run(f"import inside; inside.run(*{list(arguments)!r})"))
    except BaseException:
        unusable.append(machine)  # its next answer would belong to this call
        raise
    for kind in ("passed", "failed", "skipped"):
        totals[f"{machine.browser}, {backend}"][kind] += result[kind]
    # 5 means no tests: every test of a file is marked native.
    if result["failed"] or result["exit"] not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED):
        pytest.fail(result["output"], pytrace=False)


def test_files(inside: Any, backend: str, paths: tuple[str, ...]) -> None:
    """Run some files of the suite."""
    run_inside(inside, backend, *paths)


def test_docstrings(inside: Any, backend: str) -> None:
    """Run the examples of the installed library, except those that need SciPy, which is missing."""
    run_inside(inside, backend, "--doctest-modules", "-k", "not _scipy", "--pyargs", "graphattend")

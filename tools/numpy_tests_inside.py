"""Runs inside Pyodide: NumPy's tests, which are in /given, with NumPy's loops or with ours."""

import json
import shutil
import sys
import types
from pathlib import Path
from typing import Any

import numpy
import pytest

import graphattend

#: NumPy's compiled helpers for tests.
LACKING = (
    "_multiarray_tests",
    "_umath_tests",
    "_rational_tests",
    "_operand_flag_tests",
    "_struct_ufunc_tests",
    "_simd",
)
OPTIONS = (
    "-q",
    "--tb=short",
    "--no-header",
    "--continue-on-collection-errors",
    "-W",
    "ignore",
    "-p",
    "no:cacheprovider",
)


class Lacking(types.ModuleType):
    """Replaces NumPy's compiled test helpers, which its wheel for Pyodide lacks; tests that need them are skipped."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args, **options: pytest.skip(f"no {self.__name__}.{name}")


class Rational:
    """Replaces a dtype and its values while tests are collected."""

    def __init__(self, *parts: Any) -> None:
        """Do nothing: no test that computes with it runs."""


class Outcomes:
    """Pytest plugin that records the outcome of each test."""

    def __init__(self) -> None:
        self.by_test: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Record the outcome of the call, or of the phase that prevented it."""
        if report.when == "call" or report.outcome != "passed":
            expected = hasattr(report, "wasxfail")
            self.by_test[report.nodeid] = "xfailed" if expected else report.outcome

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Record what could not be collected."""
        if report.outcome != "passed":
            self.by_test[report.nodeid] = report.outcome


def prepare() -> Path:
    """Copy the tests and replacements of missing helpers into the installed NumPy; return the package's folder."""
    for name in LACKING:
        module: Any = Lacking(f"numpy._core.{name}")
        sys.modules[module.__name__] = module
        setattr(numpy._core, name, module)
        module.get_fpu_mode = lambda: None  # NumPy's conftest.py calls it around every test
        module.rational = Rational
    home = Path(numpy.__file__).parent
    for tests in sorted(Path("/given/numpy").rglob("tests")):
        target = home / tests.relative_to("/given/numpy")
        if target.parent.is_dir():
            shutil.copytree(tests, target, dirs_exist_ok=True)
    return home


def run(loops: str, files: list[str]) -> str:
    """Run tests with NumPy's "own" loops or "ours"; return JSON with the outcome of each test."""
    home = prepare()
    replaced: tuple[tuple[str, str], ...] = ()
    if loops == "ours":
        replaced = graphattend.simd.accelerate_numpy().replaced
        assert replaced, "no loop was replaced"
    outcomes = Outcomes()
    paths = [str(home / file) for file in files]
    pytest.main([*OPTIONS, "--rootdir", str(home), *paths], plugins=[outcomes])
    return json.dumps({"numpy": numpy.__version__, "loops": [list(x) for x in replaced], "outcomes": outcomes.by_test})

"""Runs inside Pyodide: pytest over some of the unpacked tests, with the outcome as JSON."""

import contextlib
import io
import json

import pytest


class Outcomes:
    """Pytest plugin that counts outcomes."""

    def __init__(self) -> None:
        self.counts = {"passed": 0, "failed": 0, "skipped": 0}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test once: by its call, or by the phase that prevented the call."""
        if report.when == "call" or not report.passed:
            self.counts[report.outcome] += 1

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Count a file that cannot be imported as a failure, and a file that skips itself as skipped."""
        if not report.passed:
            self.counts[report.outcome] += 1


def run(*arguments: str) -> str:
    """Run pytest; return JSON with the counts, the exit code and pytest's output."""
    outcomes, printed = Outcomes(), io.StringIO()
    options = ["-q", "-ra", "--color=no", "--capture=sys", "-p", "no:cacheprovider"]
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        code = pytest.main([*options, *arguments], plugins=[outcomes])
    return json.dumps(outcomes.counts | {"exit": int(code), "output": printed.getvalue()})

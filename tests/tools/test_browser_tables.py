"""The tables of docs/browser.md are those of the last recorded runs, and are complete."""

import json

import gen_browser_tables as tables
import pytest

pytestmark = pytest.mark.native


def test_the_page_is_current() -> None:
    text = tables.PAGE.read_text(encoding="utf-8")
    assert tables.written(text) == text, "run tools/gen_browser_tables.py"


def test_every_environment_passed() -> None:
    found = json.loads((tables.RESULTS / "environments.json").read_text(encoding="utf-8"))
    assert {row["result"] for row in found.values()} == {"passed"}


def test_a_table_has_figures_where_there_are_some() -> None:
    found = {
        "date": "2026-01-01",
        "rounds": 2,
        "cores": 2,
        "load": 0.4,
        "versions": {"Chromium": "1", "Node.js": "2"},
        "ms": {"main": {"a": {"Chromium": {"first": 1234, "later": 5}}}, "worker": {"a": {"Node.js": {"first": 6}}}},
    }
    lines = tables.start(found).splitlines()
    assert lines[2] == "| a | 1 234 | 5 | – | – |"
    assert lines[6] == "| a | – | – | 6 | – |"

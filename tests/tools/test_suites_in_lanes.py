"""tools/test_suites.py: the order of suites, and their counts."""

import sys

import gen_trust
import pytest
import records
import test_suites
from test_suites import Suite

pytestmark = pytest.mark.native


def suite(name: str, code: str) -> Suite:
    """Return a suite of one Python command."""
    return Suite(name, name.title(), lambda: [[sys.executable, "-c", code]])


def test_lanes_run_side_by_side_and_their_suites_in_order(tmp_path, capsys):
    # "b" and "c" wait for each other's files, so without a second lane or in another order the first never ends.
    wait = "import pathlib, time\nwhile not pathlib.Path({!r}).exists(): time.sleep(0.01)\n"
    touch = "pathlib.Path({!r}).touch()\nprint('== 2 passed, 1 skipped ==')"
    first, second = str(tmp_path / "first"), str(tmp_path / "second")
    a = suite("a", "import pathlib\n" + touch.format(first))
    b = suite("b", wait.format(second) + "print('== 1 passed ==')")
    c = suite("c", wait.format(first) + touch.format(second))
    test_suites.run_stage([[a, b], [c]])
    assert all(x.succeeded for x in (a, b, c))
    assert [(x.counts["passed"], x.counts["skipped"]) for x in (a, b, c)] == [(2, 1), (1, 0), (2, 1)]
    assert "[b] == 1 passed ==" in capsys.readouterr().out


def test_a_failure_and_a_suite_without_tests_are_seen():
    failed, empty = suite("failed", "print('1 failed, 3 passed in 1s'); raise SystemExit(1)"), suite("empty", "")
    test_suites.run_stage([[failed, empty]])
    assert (failed.succeeded, failed.counts["failed"]) == (False, 1)
    assert not empty.succeeded


@pytest.mark.parametrize(("everything", "count"), [(False, 8), (True, 9)])
def test_every_suite_stands_once(monkeypatch, everything, count):
    monkeypatch.setattr(test_suites, "ALL", everything)
    names = [found.name for found in test_suites.all_suites()]
    assert len(names) == len(set(names)) == count


def test_the_last_results_of_all_suites_are_recorded_and_shown(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "SUITES", tmp_path / "suites.json")
    first = Suite("native", "Native", list, counts={"passed": 1200, "failed": 0, "skipped": 3}, seconds=61.4)
    other = Suite("demo", "Demo", list, counts={"passed": 9, "failed": 1, "skipped": 0}, succeeded=False)
    test_suites.record([other, first])
    test_suites.record([Suite("demo", "Demo", list, counts={"passed": 10, "failed": 0, "skipped": 0}, seconds=5)])
    now = records.now()
    where = f"{now['date']} | `{now['commit']}` | {records.machine()} |"
    rows = gen_trust.suites(records.read(records.SUITES)).splitlines()[2:]
    assert rows == [f"| Native | ok | 1,200 | 0 | 3 | 61 | {where}", f"| Demo | ok | 10 | 0 | 0 | 5 | {where}"]


@pytest.mark.parametrize("everything", [False, True])
def test_only_a_run_of_everything_is_recorded(monkeypatch, everything):
    recorded = []
    monkeypatch.setattr(test_suites, "ALL", everything)
    monkeypatch.setattr(test_suites, "record", recorded.extend)
    monkeypatch.setattr(test_suites, "stages", lambda: [[[suite("a", "print('1 failed'); raise SystemExit(1)")]]])
    monkeypatch.setattr(test_suites.build_js, "build", lambda: None)
    monkeypatch.setattr(sys, "argv", ["test_suites.py"])
    with pytest.raises(SystemExit):
        test_suites.main()
    assert [found.verdict() for found in recorded] == ["FAILED"] * everything


@pytest.mark.parametrize("names", [test_suites.IN_CHROMIUM, test_suites.IN_FIREFOX])
def test_every_file_for_a_browser_exists(names):
    beginnings = names.split(",")
    assert [start for start in beginnings if not list(test_suites.ROOT.glob(f"{start}*"))] == []
    assert len(beginnings) > 5

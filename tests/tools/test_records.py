"""Results of long runs: several processes add to one file, and a run that ends early is no success."""

import json
import subprocess
import threading

import pytest
import records
import run_fuzz

pytestmark = pytest.mark.native


def test_nothing_is_lost_when_several_add(tmp_path):
    path = tmp_path / "results.json"

    def add(name):
        for i in range(20):
            with records.changing(path) as results:
                results[f"{name}{i}"] = i

    threads = [threading.Thread(target=add, args=name) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(records.read(path)) == 60


def test_runs_of_other_tests_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "VERSIONS", tmp_path / "versions.json")
    records.put_version("3.14t/2", {"missing": "no such Python"}, ["tests/a"])
    records.put_version("3.14t/2", {"passed": 3, "failed": 1}, ["tests/a"])
    records.put_version("3.14t/2", {"passed": 2, "failed": 0}, ["tests/b"])
    records.put_version("3.14t/2", {"passed": 4, "failed": 0}, ["tests/a"])
    found = {run["tests"]: run["passed"] for run in records.read(records.VERSIONS)["3.14t/2"]}
    assert found == {"tests/a": 4, "tests/b": 2}


def test_a_piece_that_a_sanitizer_ends_is_a_failure():
    counts = {"calls": 10, "computed": 4, "failures": []}
    assert run_fuzz.told(subprocess.CompletedProcess([], 0, f"more\n{json.dumps(counts)}\n", "")) == counts
    ended = run_fuzz.told(subprocess.CompletedProcess([], 1, "", "==1==ERROR: AddressSanitizer: heap-buffer-overflow"))
    assert "heap-buffer-overflow" in ended["failures"][0]


def test_a_run_goes_on_after_the_recorded_seeds(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "RESULTS", tmp_path / "results.json")
    run = run_fuzz.begin("address")
    assert run["seeds"] == [1000, 999]
    run["seeds"] = [1000, 1004]
    run_fuzz.save("address", run)
    run["seeds"] = [1000, 1005]  # the same run has gone on
    run_fuzz.save("address", run)
    assert [each["seeds"] for each in records.read(records.RESULTS)["fuzz"]["address"]] == [[1000, 1005]]
    assert run_fuzz.begin("address")["seeds"] == [1006, 1005]
    assert run_fuzz.begin("threads")["seeds"] == [1000, 999]

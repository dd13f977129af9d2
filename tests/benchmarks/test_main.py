"""The runner of `make bench`: whose turn it is, and which figures it keeps. The runtimes and the clock are artificial."""

from itertools import groupby

import pytest

from benchmarks import __main__ as bench

pytestmark = pytest.mark.native  # reads the repository's own scripts
SECONDS = {"graphattend": 0.01, "numpy": 0.01, "slow": 1.0}


@pytest.fixture
def run(monkeypatch):
    """Return a run of two runtimes, and the list of the turns that it will have given."""
    turns, now = [], [0.0]
    monkeypatch.setattr(bench.time, "monotonic", lambda: now[0])

    def runtime(where):
        def answer(what, name, *given):
            if what != "rate":
                return {"contenders": [*SECONDS, "broken"], "memory": 5e6}[what]
            contender, seconds = given
            turns.append((where, contender))
            if contender == "broken":
                raise ValueError("no such call")
            now[0] += max(seconds, SECONDS[contender])
            return float(len(turns))

        return answer

    results = {"workloads": {}, "flops": {}, "reads": {}}
    return bench.Run({where: runtime(where) for where in ("native", "node")}, results), turns


def test_contenders_take_turns_in_all_runtimes(run):
    measuring, turns = run
    measuring.workload("query-10", rounds=3, seconds=0.4)
    assert [where for where, _ in groupby(turns, key=lambda turn: turn[0])] == ["native", "node"] * 3 * bench.TURNS
    for where in ("native", "node"):
        assert turns.count((where, "graphattend")) == turns.count((where, "numpy")) == 3 * bench.TURNS
        assert turns.count((where, "slow")) == 3


def test_a_round_counts_with_its_fastest_turn(run):
    measuring, turns = run
    measuring.workload("query-10", rounds=3, seconds=0.4)
    places = [i for i, turn in enumerate(turns, 1) if turn == ("node", "numpy")]
    fastest = [places[last] for last in range(bench.TURNS - 1, len(places), bench.TURNS)]
    assert measuring.results["workloads"]["query-10"]["node"]["numpy"] == fastest


def test_a_contender_that_fails_is_reported_once_and_left_out(run):
    measuring, turns = run
    measuring.workload("query-10", rounds=3, seconds=0.4)
    assert "broken" not in measuring.results["workloads"]["query-10"]["native"]
    assert turns.count(("native", "broken")) == 1
    assert [error.partition(":")[0] for error in measuring.errors] == ["native", "Node.js"]

"""The benchmark of the recommendation rules: its verdict and its table."""

import numpy as np
import pytest

import graphattend as ga
from benchmarks import recommendations as bench

pytestmark = pytest.mark.native  # reads the repository's own scripts


def test_a_rule_is_wrong_where_another_is_ahead_every_time(monkeypatch, tmp_path):
    monkeypatch.setattr(bench, "CACHE", tmp_path)
    monkeypatch.setattr(bench, "SEEDS", 3)
    monkeypatch.setattr(bench, "EPOCHS", 1)
    points = np.random.default_rng(0).random((60, 2))
    graph = ga.NeighborGraph.knn(points, 6)
    for margin, wrong in ((-2, False), (2, False)):
        monkeypatch.setattr(bench, "MARGIN", margin)
        found = bench.compare(graph, None)
        again = ga.evaluate(graph, "links", seeds=3, epochs=1, patience=bench.PATIENCE, cache=tmp_path)
        best, chosen = (again[name].values("roc_auc") for name in (found["best"], found["rule"]))
        assert found["best_score"][0] == pytest.approx(best.mean())
        ahead = bool(((best - chosen) > 0).all())
        assert found["wrong"] == (ahead if margin < 0 else wrong)


def test_table():
    row = {
        "nodes": 7,
        "edges": 6,
        "rule": "hyperbolic",
        "rule_score": [0.9, 0.01],
        "best": "flash",
        "best_score": [0.95, 0.02],
        "baseline": "gcn",
        "baseline_score": [0.5, 0.0],
        "wrong": True,
    }
    line = bench.table({"tree": row}).splitlines()[2]
    assert line == "| tree | 7, 6 | hyperbolic 90.0 ± 1.0 | flash 95.0 ± 2.0 | gcn 50.0 ± 0.0 | wrong |"


def test_metrics_of_one_graph():
    rows = [
        {
            "mechanism": name,
            "baseline": base,
            "parameters": 7,
            "roc_auc": (auc, 0.01),
            "mrr": (0.5, 0.0),
            "hits@10": (1.0, 0),
        }
        for name, base, auc in (("gcn", True, 0.8), ("flash", False, 0.9))
    ]
    assert bench.metrics(rows).splitlines()[2:] == [
        "| flash | 90.0 ± 1.0 | 50.0 ± 0.0 | 100.0 ± 0.0 | 7 |",
        "| gcn (baseline) | 80.0 ± 1.0 | 50.0 ± 0.0 | 100.0 ± 0.0 | 7 |",
    ]

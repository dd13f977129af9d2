"""The error messages of evaluation, and its reports of skipped mechanisms."""

import tracemalloc

import numpy as np
import pytest

import graphattend as ga
from graphattend.evaluation import _runs, chart, evaluate_file, results, tasks

from .test_tasks import small_world

GRAPH = small_world()
FAST = {"seeds": 1, "epochs": 2, "hidden": 8}
CLASSES = np.arange(GRAPH.num_nodes) % 2


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (
            lambda: ga.evaluate(GRAPH, "links", mechanisms=["flash", "flash"]),
            r"mechanisms\[1\]: expected each mechanism once",
        ),
        (lambda: evaluate_file(b"0 1\n"), "content: expected text, got bytes"),
        (lambda: evaluate_file("0 1\n", report=np.zeros(0)), "report: expected True or False, got array"),
        (lambda: tasks.links(ga.NeighborGraph([0, 1, 2], [1, 0]), None, 0), "graph: expected at least three links"),
        (lambda: tasks.labels(GRAPH, CLASSES - 2, None, 0), "labels: expected classes, or -1"),
        (lambda: tasks.labels(GRAPH, np.full(GRAPH.num_nodes, -1), None, 0), "labels: expected a class for some nodes"),
        (
            lambda: tasks.labels(
                GRAPH, np.where(CLASSES == 0, 0, -1), {"train": [0, 1], "validation": [2], "test": [4]}, 0
            ),
            r"split\.train: expected labelled nodes, got 1 without",
        ),
    ],
    ids=["twice", "bytes", "no flag", "two links", "below -1", "no class", "no label"],
)
def test_what_is_refused(call, says):
    with pytest.raises(ga.InvalidConfigError, match=says):
        call()


def test_an_evaluation_names_what_it_left_out(tmp_path):
    pytest.importorskip("matplotlib")
    found = ga.evaluate(GRAPH, "links", mechanisms=["flash"], **FAST)
    found.skipped["hnsw_aware"] = "no <layers>"
    assert "skipped hnsw_aware: no <layers>" in found.table()
    assert "Skipped hnsw_aware: no &lt;layers&gt;" in chart.page(found)
    with pytest.raises(KeyError, match="hnsw_aware"):
        found["hnsw_aware"]
    baseline = next(entry.name for entry in found.entries if entry.attended is None)
    with pytest.raises(KeyError, match=baseline):
        results.attended(found, baseline)
    picture = tmp_path / "quality.png"
    found.plot(str(picture))
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_memory_is_not_measured_while_somebody_else_measures_it():
    made = []
    tracemalloc.start()
    try:
        assert _runs._peak(lambda: made.append(np.ones(1000))) == 0
        assert tracemalloc.is_tracing()
    finally:
        tracemalloc.stop()
    assert _runs._peak(lambda: made.append(np.ones(1000))) >= 8000
    assert len(made) == 2

"""The benchmark of published results: embeddings by distance, and the table."""

import networkx as nx
import pytest

from benchmarks import published

pytestmark = pytest.mark.native  # reads the repository's own scripts


def test_a_path_has_no_distortion_in_the_plane(monkeypatch):
    monkeypatch.setattr(published, "STEPS", 5)
    found = published.distortions(nx.path_graph(6))
    assert found["Euclidean"] < 1e-6 < found["hyperbolic"]


def test_table():
    line = published.row("tree", "1.0 (A 2000)", ("ours", [0.5, 0.7]), ("simple", 0.25), "two seeds")
    text = published.table({"tree": [line]})
    assert text.splitlines()[2] == "| tree | 1.0 (A 2000) | ours 60.0 ± 14.1 | simple 25.0 | two seeds |"

"""`evaluate` from the user's view: rows, spread, progress, cancellation, cache, pictures, errors."""

import json
import re

import numpy as np
import pytest

import graphattend as ga
from graphattend.evaluation import fit
from graphattend.evaluation.tasks import labels as make_labels

from .test_tasks import small_world

GRAPH = small_world()
CALL = {"mechanisms": ["scaled_dot_product", "edge_featured"], "seeds": 2, "epochs": 8, "hidden": 8}


def without_times(rows):
    return [{n: v for n, v in row.items() if n not in ("seconds_per_epoch", "memory")} for row in rows]


@pytest.fixture(scope="module")
def found():
    return ga.evaluate(GRAPH, "links", **CALL)


def test_rows(found):
    baselines = [name for name in ga.evaluation.BASELINES if name != "spectral"]  # these are the features
    assert [r["mechanism"] for r in found.rows] == [*CALL["mechanisms"], *baselines]
    for row in found.rows:
        for metric in ("roc_auc", "average_precision", "mrr", "hits@10"):
            mean, spread = row[metric]
            assert 0 <= mean <= 1
            assert spread >= 0
        values = found[row["mechanism"]].values("mrr")
        assert row["mrr"] == (pytest.approx(values.mean()), pytest.approx(values.std(ddof=1)))
    assert found.rows[0]["parameters"] == 16 * 8 + 8 + 8 * 8 + 2  # spectral features, no own parameters; γ and τ
    assert found.rows[0]["seconds_per_epoch"] > 0
    assert found.best in CALL["mechanisms"]
    assert sum(row["p_value"] is None for row in found.rows) == 1


def test_the_same_call_gives_the_same_numbers(found):
    again = ga.evaluate(GRAPH, "links", **CALL)
    assert without_times(again.rows) == without_times(found.rows)
    assert again.learned() == found.learned()


def test_attention_before_and_after(found):
    for entry in found.entries[:2]:
        for weights in (entry.attended.before, entry.attended.after):
            assert weights.shape == (found.graph.num_edges,)
            linked = found.graph.degree() > 0
            np.testing.assert_allclose(np.bincount(found.graph.targets, weights, 40)[linked], 1, atol=1e-5)
        assert not np.allclose(entry.attended.before, entry.attended.after)
    node = int(found.graph.degree().argmax())
    top = found.top(found.best, node, 2)
    assert len(top) == 2
    assert top[0][1] >= top[1][1]


def test_calibration_of_all_seeds(found):
    for entry in found.entries:
        curve, (row,) = found.calibration(entry.name), [r for r in found.rows if r["mechanism"] == entry.name]
        if not entry.parameters:
            assert curve is None
            assert row["calibration_error"] is None
            continue
        runs = np.array([run.calibration for run in entry.runs])
        np.testing.assert_allclose(curve[:, 0], runs[:, :, 0].sum(axis=0))
        # Half of the pairs are links, whatever was predicted.
        assert (curve[:, 0] * curve[:, 2]).sum() == pytest.approx(curve[:, 0].sum() / 2)
        miss = sum(n * abs(p - y) for n, p, y in curve) / curve[:, 0].sum()
        assert row["calibration_error"] == pytest.approx(miss)


def test_probabilities_of_labels_are_those_of_the_predicted_class():
    rng = np.random.default_rng(0)
    task = make_labels(GRAPH, np.arange(40) % 3, None, 0)
    output = rng.standard_normal((40, 3)).astype(np.float32)
    right, chances = task.probabilities(output, "test")
    wanted = np.exp(output[task.test]) / np.exp(output[task.test]).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(chances, wanted.max(axis=1), rtol=1e-6)
    assert right.mean() == pytest.approx(task.measure(output, "test")["accuracy"])


def test_nodes_on_which_mechanisms_disagree(found):
    names, matrix = found.disagreement()
    by_node = found.disagreement_by_node()
    linked = found.graph.degree() > 0
    assert by_node.shape == (40,)
    assert not by_node[~linked].any()
    assert len(names) == 2
    assert by_node[linked].mean() == pytest.approx(matrix[0, 1])  # for two mechanisms this is their divergence
    node = int(by_node.argmax())
    row = slice(*found.graph.indptr[node : node + 2])
    one, other = (found[name].attended.after[row] for name in names)
    middle = (one + other) / 2
    wanted = sum((p[p > 0] * np.log2(p[p > 0] / middle[p > 0])).sum() for p in (one, other)) / 2
    assert by_node[node] == pytest.approx(wanted)


def test_the_page_shows_what_was_learned(found, tmp_path):
    path = tmp_path / "page.html"
    found.plot(str(path))
    page = path.read_text()
    for heading in ("Calibration", f"What {found.best} attends to", "Where the learned mechanisms disagree"):
        assert f"<h2>{heading}</h2>" in page
    before, after = page[page.index("<h3>Before") : page.index("<h3>After")], page[page.index("<h3>After") :]
    attended = found[found.best].attended
    for part, weights in ((before, attended.before), (after, attended.after)):
        widths = [float(w) for w in re.findall(r'stroke-width="([\d.]+)"', part)]
        np.testing.assert_allclose(np.sort(widths), np.sort(0.3 + 3.2 * weights), atol=6e-3)
    alone = ga.evaluate(GRAPH, "links", mechanisms=["flash"], seeds=1, epochs=1, hidden=8, baselines=False)
    alone.plot(str(path))
    assert "disagree" not in path.read_text()  # there is only one mechanism
    assert "closest to" in alone.table()


def test_the_text_names_what_the_best_attends_to(found):
    text = found.table()
    assert f"{found.best} attends to, before → after training" in text
    node = int(found.graph.degree().argmax())
    (line,) = [x for x in text.splitlines() if x.startswith(f"{node} ")]
    for before in (True, False):
        assert ", ".join(f"{j} {w:.2f}" for j, w in found.top(found.best, node, before=before)) in line
    first, second = CALL["mechanisms"]
    bits = found.disagreement()[1][0, 1]
    assert f"{second} ({bits:.3f}," in text
    assert f"{first} ({bits:.3f}," in text


def test_json_table_and_pictures(found, tmp_path):
    data = json.loads(found.to_json())
    assert data["best"] == found.best
    assert data["runs"]["gcn"][0]["metrics"].keys() == {"roc_auc", "average_precision", "mrr", "hits@10"}
    text = found.table()
    assert all(row["mechanism"] in text for row in found.rows)
    for suffix in ("html", "svg"):
        path = tmp_path / f"chart.{suffix}"
        found.plot(str(path))
        assert "edge_featured" in path.read_text()
    with pytest.raises(ga.InvalidConfigError):
        found.plot(str(tmp_path / "chart.jpg"))


def test_a_graph_that_can_be_learned_is_learned():
    """Labels are blocks of the graph; links join nearby nodes of a ring."""
    rng = np.random.default_rng(0)
    block = np.arange(60) % 2
    pairs = np.stack(np.triu_indices(60, 1))
    chance = np.where(block[pairs[0]] == block[pairs[1]], 0.25, 0.01)
    edges = pairs[:, rng.random(chance.size) < chance]
    graph = ga.NeighborGraph.from_edge_index(np.concatenate([edges, edges[::-1]], axis=1), 60)
    found = ga.evaluate(graph, "labels", mechanisms=["multi_head"], labels=block, seeds=3, hidden=16, epochs=80)
    rows = {row["mechanism"]: row for row in found.rows}
    assert rows["multi_head"]["accuracy"][0] > 0.8
    assert set(rows) == {"multi_head", "features", "gcn"}
    i = np.arange(60)
    lattice = np.concatenate([np.stack([i, (i + step) % 60]) for step in (1, 2, 3, 4)], axis=1)
    ring = ga.NeighborGraph.from_edge_index(np.concatenate([lattice, lattice[::-1]], axis=1), 60)
    found = ga.evaluate(ring, "links", mechanisms=["multi_head"], seeds=3, epochs=80)
    assert found.rows[0]["roc_auc"][0] > 0.75  # chance level is 0.5


def test_progress_counts_up_and_cancels():
    seen = []
    ga.evaluate(GRAPH, "links", **CALL, on_progress=lambda *at: seen.append(at))
    done = [at[0] for at in seen]
    total = 6 * 2 * 8
    assert done == sorted(done)
    assert {at[1] for at in seen} == {total}
    assert done[-1] <= total
    stopped = ga.evaluate(GRAPH, "links", **CALL, on_progress=lambda done, total, name: name == "scaled_dot_product")
    assert [row["mechanism"] for row in stopped.rows] == ["scaled_dot_product"]
    assert not stopped.complete
    with pytest.raises(ga.InvalidConfigError, match="on_progress"):
        ga.evaluate(GRAPH, "links", **CALL, on_progress=lambda *at: False)


def test_finished_runs_are_kept(tmp_path, found):
    first = ga.evaluate(GRAPH, "links", **CALL, cache=tmp_path)
    files = sorted(tmp_path.iterdir())
    assert len(files) == 12
    again = ga.evaluate(GRAPH, "links", **CALL, cache=str(tmp_path))
    assert again.rows == first.rows  # including the times: nothing was run again
    assert without_times(again.rows) == without_times(found.rows)
    files[0].write_text("{")
    assert without_times(ga.evaluate(GRAPH, "links", **CALL, cache=tmp_path).rows) == without_times(found.rows)
    ga.evaluate(GRAPH, "links", **(CALL | {"lr": 0.02}), cache=tmp_path)
    assert len(list(tmp_path.iterdir())) == 24


def test_two_layers(tmp_path, found):
    """Two layers have their own weights and parameters, their own cached run, and the last layer's attention."""
    call = CALL | {"layers": 2, "cache": tmp_path}
    ga.evaluate(GRAPH, "links", **(call | {"layers": 1}))
    one = set(tmp_path.iterdir())
    two = ga.evaluate(GRAPH, "links", **call)
    assert len(set(tmp_path.iterdir()) - one) == len(one)
    assert two.settings["layers"] == 2
    for name, layer in (("scaled_dot_product", 8 * 8 + 1), ("gcn", 8 * 8)):
        assert two[name].parameters == found[name].parameters + layer
        assert two[name].runs[0].metrics != found[name].runs[0].metrics
    trained = fit(GRAPH, "links", "edge_featured", epochs=8, hidden=8, layers=2)
    weights = trained.attention.attend(trained.graph, trained.latents, need_weights=True)[1]
    averaged = np.asarray(weights, np.float64).reshape(trained.graph.num_edges, -1).mean(axis=1)
    np.testing.assert_allclose(two["edge_featured"].attended.after, averaged, atol=1e-6)
    assert "attention of the second layer" in two.table()
    assert "attention of the second layer" not in found.table()
    two.plot(str(tmp_path / "page.html"))
    assert "two layers" in (tmp_path / "page.html").read_text()


def test_fit_gives_the_trained_mechanism():
    found = fit(GRAPH, "links", "hyperbolic", epochs=8, hidden=8)
    assert found.attention.key == "hyperbolic"
    assert found.latents.shape == found.output.shape == (40, 8)
    assert np.linalg.norm(found.latents, axis=1).max() < 1
    assert set(found.metrics) == {"roc_auc", "average_precision", "mrr", "hits@10"}
    assert found.attention.attend(found.graph, found.latents).shape == (40, 8)
    assert fit(GRAPH, "links", "flash", epochs=8, on_progress=lambda *at: False) is None


@pytest.mark.parametrize(
    ("argument", "call"),
    [
        ("graph", lambda: ga.evaluate("graph.csv", "links")),
        ("task", lambda: ga.evaluate(GRAPH, "edges")),
        ("labels", lambda: ga.evaluate(GRAPH, "labels")),
        ("labels", lambda: ga.evaluate(GRAPH, "links", labels=np.zeros(40, int))),
        ("labels", lambda: ga.evaluate(GRAPH, "labels", labels=np.zeros(39, int))),
        ("x", lambda: ga.evaluate(GRAPH, "links", x=np.zeros((39, 2)))),
        ("mechanisms", lambda: ga.evaluate(GRAPH, "links", mechanisms=[])),
        ("flahs", lambda: ga.evaluate(GRAPH, "links", mechanisms=["flahs"])),
        ("layers", lambda: ga.evaluate(GRAPH, "links", mechanisms=["hnsw_aware"])),
        ("mechanisms", lambda: ga.evaluate(GRAPH, "links", mechanisms=[ga.create("flash", 8)])),
        ("seeds", lambda: ga.evaluate(GRAPH, "links", seeds=0)),
        ("seeds", lambda: ga.evaluate(GRAPH, "links", seeds=[1, 1])),
        ("epochs", lambda: ga.evaluate(GRAPH, "links", epochs=0)),
        ("lr", lambda: ga.evaluate(GRAPH, "links", lr=0)),
        ("layers", lambda: ga.evaluate(GRAPH, "links", layers=3)),
        ("cache", lambda: ga.evaluate(GRAPH, "links", cache="no/such/folder")),
        ("on_progress", lambda: ga.evaluate(GRAPH, "links", on_progress=3)),
    ],
)
def test_bad_arguments_are_named(argument, call):
    with pytest.raises(ga.AttentionError, match=argument):
        call()

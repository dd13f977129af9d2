"""The comparison of mechanisms: weights against independent formulas, and errors."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import graphattend as ga
from graphattend.analysis import analyze, analyze_file, text_table


def random_graph(rng: np.random.Generator, nodes: int = 12, edges: int = 40) -> ga.NeighborGraph:
    pairs = rng.integers(0, nodes, (edges, 2))
    return ga.NeighborGraph.from_edge_index(np.unique(pairs, axis=0).T, nodes)


def rows(graph: ga.NeighborGraph) -> list[tuple[int, np.ndarray, slice]]:
    """Yield each node with its neighbours and the slice of its edges."""
    ends = graph.indptr
    return [(i, graph.indices[ends[i] : ends[i + 1]], slice(ends[i], ends[i + 1])) for i in range(graph.num_nodes)]


def test_dot_product_weights_are_the_softmax_of_scaled_latents(rng: np.random.Generator) -> None:
    graph, x = random_graph(rng), rng.standard_normal((12, 8))
    found = analyze(graph, x, ["scaled_dot_product"], {"temperature": 0.5}).results[0]
    scaled = x * np.sqrt(8) / np.linalg.norm(x, axis=1).mean()
    for i, neighbours, at in rows(graph):
        e = np.exp(scaled[neighbours] @ scaled[i] / np.sqrt(8) / 0.5)
        np.testing.assert_allclose(found.weights[at], e / e.sum(), rtol=1e-12)


def test_hyperbolic_weights_are_the_softmax_of_distances_in_the_ball(rng: np.random.Generator) -> None:
    graph, x = random_graph(rng), rng.standard_normal((12, 8))
    found = analyze(graph, x, ["hyperbolic"], {"curvature": -4.0}).results[0]
    y = x * (0.9 * 0.5 / np.linalg.norm(x, axis=1).max())  # a ball of curvature -4 has radius 1/2
    for i, neighbours, at in rows(graph):
        apart = ((y[i] - y[neighbours]) ** 2).sum(axis=1)
        room = (1 - 4 * (y[i] ** 2).sum()) * (1 - 4 * (y[neighbours] ** 2).sum(axis=1))
        e = np.exp(-np.arccosh(1 + 8 * apart / room) / 2)
        np.testing.assert_allclose(found.weights[at], e / e.sum(), rtol=1e-9)


@given(st.integers(0, 10_000))
def test_laws_of_all_mechanisms(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, 8, 16)
    found = analyze(
        graph, seed=seed, keys=["flash", "multi_head", "hyperbolic", "linear", "local_global", "edge_featured"]
    )
    linked = graph.degree() > 0
    for r in found.results:
        assert np.isfinite(r.weights).all()
        assert (r.weights >= 0).all()
        sums = np.bincount(graph.targets, r.weights, graph.num_nodes)
        np.testing.assert_allclose(sums, linked, atol=1e-9)
        assert (r.effective <= graph.degree() + 1e-9).all()
        np.testing.assert_array_equal(r.effective[~linked], 0)
    np.testing.assert_allclose(np.diag(found.agreement), 1, rtol=1e-9)
    np.testing.assert_allclose(found.agreement, found.agreement.T, rtol=1e-12)
    assert (found.agreement <= 1 + 1e-9).all()
    assert (found.agreement >= 0).all()


@pytest.mark.parametrize("key", [k for k in ga.list_mechanisms() if k != "hnsw_aware"])
def test_rounding_of_the_latents_does_not_decide(key: str, rng: np.random.Generator) -> None:
    graph, x = random_graph(rng), rng.standard_normal((12, 8))
    moved = x * (1 + 1e-15 * rng.standard_normal(x.shape))
    first, second = (analyze(graph, latents, [key]).results[0].weights for latents in (x, moved))
    np.testing.assert_allclose(first, second, rtol=1e-9, atol=1e-12)


def test_agreement_and_entropy_as_defined(rng: np.random.Generator) -> None:
    graph = random_graph(rng)
    found = analyze(graph, keys=["flash", "hyperbolic"])
    p, q = (r.weights for r in found.results)
    linked = [at for _, neighbours, at in rows(graph) if neighbours.size]
    wanted = sum(np.minimum(p[at], q[at]).sum() for at in linked) / len(linked)
    assert found.agreement[0, 1] == pytest.approx(wanted, rel=1e-12)
    for i, neighbours, at in rows(graph):
        entropy = -(p[at] * np.log(p[at])).sum() if neighbours.size else 0
        assert found.results[0].entropy[i] == pytest.approx(entropy, abs=1e-12)


def test_top_adds_parallel_edges_up() -> None:
    graph = ga.NeighborGraph.from_edge_index([[1, 1, 2], [0, 0, 0]], 3)
    found = analyze(graph, np.ones((3, 4)), ["flash"])
    assert found.top("flash", 0) == [(1, pytest.approx(2 / 3)), (2, pytest.approx(1 / 3))]
    assert found.top("flash", 0, 1) == [(1, pytest.approx(2 / 3))]
    assert found.top("flash", 1) == []


def test_skips_what_does_not_apply_unless_asked_for(rng: np.random.Generator) -> None:
    graph = random_graph(rng)
    found = analyze(graph)
    assert {r.key for r in found.results} | set(found.skipped) == set(ga.list_mechanisms())
    assert "layers" in found.skipped["hnsw_aware"]
    with pytest.raises(ga.AttentionError, match="layers"):
        analyze(graph, keys=["hnsw_aware"])


def test_same_seed_same_bits_and_inputs_untouched(rng: np.random.Generator) -> None:
    graph, x = random_graph(rng), rng.standard_normal((12, 6))
    before = x.copy()
    first, second = (analyze(graph, x, ["multi_head"], seed=3).results[0].weights for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(x, before)
    assert not np.array_equal(first, analyze(graph, x, ["multi_head"], seed=4).results[0].weights)


def test_progress_is_told_and_can_cancel(rng: np.random.Generator) -> None:
    graph, seen = random_graph(rng), []
    analyze(graph, keys=["flash", "linear"], on_progress=lambda *told: seen.append(told))
    assert seen == [(0, 2, "flash"), (1, 2, "linear")]
    found = analyze(graph, keys=["flash", "linear"], on_progress=lambda done, *_: done < 1)
    assert [r.key for r in found.results] == ["flash"]


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"graph": "a b"}, "graph"),
        ({"graph": None}, "graph"),
        ({"embeddings": "x"}, "embeddings"),
        ({"embeddings": np.ones((2, 4))}, "embeddings"),
        ({"embeddings": np.ones(3)}, "embeddings"),
        ({"embeddings": np.full((3, 4), np.inf)}, "embeddings"),
        ({"embeddings": np.ones((3, 4), complex)}, "embeddings"),
        ({"keys": []}, "keys"),
        ({"keys": "flash"}, "keys"),
        ({"keys": 3}, "keys"),
        ({"keys": ["flsh"]}, "key"),
        ({"keys": [None]}, "key"),
        ({"options": {"temprature": 1}}, "temprature"),
        ({"options": [1]}, "options"),
        ({"keys": ["flash"], "options": {"temperature": 0}}, "temperature"),
        ({"dim": 0}, "dim"),
        ({"dim": True}, "dim"),
        ({"seed": -1}, "seed"),
        ({"seed": None}, "seed"),
    ],
)
def test_refuses(arguments: dict[str, Any], argument: str) -> None:
    usual = {"graph": ga.NeighborGraph.from_edge_index([[0, 1], [1, 2]], 3)}
    with pytest.raises(ga.AttentionError) as caught:
        analyze(**{**usual, **arguments})
    assert caught.value.argument == argument


def test_graph_without_edges_or_nodes() -> None:
    found = analyze(ga.NeighborGraph.from_edge_index(np.zeros((2, 0), int), 2), keys=["flash"])
    assert found.results[0].weights.shape == (0,)
    assert "2 nodes, 0 edges" in text_table(found)
    with pytest.raises(ga.EmptyInputError):
        analyze(ga.NeighborGraph.from_edge_index(np.zeros((2, 0), int), 0))


def test_json_and_table(rng: np.random.Generator) -> None:
    found = analyze(random_graph(rng))
    data = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert [r["key"] for r in data["results"]] == [r.key for r in found.results]
    assert data["results"][0]["weights"] == found.results[0].weights.tolist()
    table = text_table(found, nodes=3, width=60)
    assert table.count(" attends to\n") == 3
    assert all(r.key in table for r in found.results)


def test_analyze_file() -> None:
    found = analyze_file("source,target\na,b\nb,a\n", suffix=".csv", keys=["flash"], name="<pair>", report=True)
    assert found["analysis"]["nodes"] == ["a", "b"]
    assert np.shape(found["positions"]) == (2, 2)
    assert "&lt;pair&gt;" in found["report"]
    assert "<pair>" not in found["report"]
    large = "".join(f"{i} {i + 1}\n" for i in range(700))
    assert analyze_file(large, suffix=".txt", keys=["flash"])["positions"] is None
    assert analyze_file("a b\n", suffix=".txt", keys=["flash"], drawing=False)["positions"] is None
    for content, suffix in [
        ("{", ".json"),
        ("", ".csv"),
        ("a b\n", ".pkl"),
        (None, ".csv"),
        (b"a b\n", ".txt"),
        ("a b", 3),
    ]:
        with pytest.raises(ga.AttentionError):
            analyze_file(content, suffix=suffix)
    for argument in ("drawing", "report"):
        with pytest.raises(ga.InvalidConfigError, match=f"{argument}: expected True or False"):
            analyze_file("a b\n", suffix=".txt", **{argument: np.zeros(0)})

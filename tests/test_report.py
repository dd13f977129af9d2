"""The report is well-formed and self-contained, and shows the numbers of the analysis."""

import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import networkx as nx
import numpy as np
import pytest

import graphattend as ga
from graphattend.analysis import Analysis, analyze
from graphattend.drawing import attention_svg, bars_svg, check_plot_path, layout
from graphattend.report import (
    agreement_svg,
    entropy_svg,
    graph_svg,
    heat_svg,
    html_report,
    write_plot,
)

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '<script>alert("&")</script>'


@pytest.fixture
def karate() -> Analysis:
    graph = nx.karate_club_graph()
    pairs = np.array(graph.edges).T
    names = [HOSTILE, *map(str, range(1, 34))]
    both = np.hstack([pairs, pairs[::-1]])
    return analyze(ga.NeighborGraph.from_edge_index(both, 34, names=names), keys=["flash", "hyperbolic"])


def test_graph_picture_draws_every_edge_by_its_weight(karate: Analysis) -> None:
    nodes = np.arange(34)
    root = ElementTree.fromstring(graph_svg(karate, 0, layout(karate.graph.indptr, karate.graph.indices), nodes))
    widths = sorted(float(line.get("stroke-width", "nan")) for line in root.iter(f"{SVG}line"))
    np.testing.assert_allclose(widths, np.sort(0.3 + 3.2 * karate.results[0].weights), atol=6e-3)
    assert len(list(root.iter(f"{SVG}circle"))) == 34


def test_names_in_the_picture_are_whole_and_apart() -> None:
    names = ["in the corner", "upon it", "beside them", "far away", *map(str, range(40))]
    xy = np.array([[0.0, 0.0], [0.01, 0.01], [0.02, 0.0], [1.0, 1.0], *([[0.5, 0.5]] * 40)])
    ring = np.arange(44)
    graph = ga.NeighborGraph.from_edge_index([ring, np.roll(ring, 1)], 44)
    root = ElementTree.fromstring(attention_svg(graph, np.linspace(1, 0.5, 44), names, "t", xy, ring, 400))
    boxes: list[tuple[float, float, float, float]] = []
    for text in root.iter(f"{SVG}text"):
        x, y, half = float(text.get("x", "nan")), float(text.get("y", "nan")), 2.9 * len(text.text or "")
        boxes.append((x - half, y - 8, x + half, y + 2))
        assert 0 <= boxes[-1][0] < boxes[-1][2] <= 400
        assert 0 <= boxes[-1][1] < boxes[-1][3] <= 400
    assert 4 <= len(boxes) < 12
    for i, (left, top, right, bottom) in enumerate(boxes):
        assert all(right <= a or c <= left or bottom <= b or d <= top for a, b, c, d in boxes[:i])
    tags = [child.tag.removeprefix(SVG) for child in root]
    assert tags.index("text") > len(tags) - 1 - tags[::-1].index("circle")  # no node covers a name


def test_matrices_and_bars(karate: Analysis) -> None:
    root = ElementTree.fromstring(agreement_svg(karate))
    shades = [float(cell.get("opacity", "nan")) for cell in root.iter(f"{SVG}rect") if cell.get("class") == "cell"]
    np.testing.assert_allclose(shades, (karate.agreement / karate.agreement.max()).ravel(), atol=6e-4)
    heat = ElementTree.fromstring(heat_svg(karate, 1))
    assert len([c for c in heat.iter(f"{SVG}rect") if c.get("class") == "cell"]) > 20
    bars = ElementTree.fromstring(entropy_svg(karate))
    shown = [float(t.text or "nan") for t in bars.iter(f"{SVG}text") if t.get("class") == "soft"]
    np.testing.assert_allclose(shown, [r.effective.mean() for r in karate.results], atol=6e-3)


def test_large_numbers_of_bars_have_no_decimals() -> None:
    drawn = bars_svg("t", {"a": 1234567.8, "b": 1.234})
    assert ">1,234,568<" in drawn
    assert ">1.23<" in drawn


def test_page_is_self_contained_and_escapes_names(karate: Analysis) -> None:
    page = html_report(karate, title=HOSTILE)
    assert "<script" not in page
    found: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            found.extend(value or "" for name, value in attributes if name in ("href", "src", "xlink:href", "srcset"))
            assert tag not in ("script", "iframe", "link", "img", "object")

    Reader().feed(page)
    assert found == []
    assert page.count("<svg") == 2 + 2 * len(karate.results)
    assert "prefers-color-scheme:dark" in page


def test_layout_is_repeatable_inside_the_square_and_short_along_edges() -> None:
    graph = ga.NeighborGraph.from_edge_index([[0], [0]], 1)
    assert layout(graph.indptr, graph.indices).shape == (1, 2)
    grid = nx.convert_node_labels_to_integers(nx.grid_2d_graph(6, 6))
    graph = ga.NeighborGraph.from_edge_index(np.array(grid.edges).T, 36)
    first = layout(graph.indptr, graph.indices)
    np.testing.assert_array_equal(first, layout(graph.indptr, graph.indices))
    assert first.min() == 0
    assert first.max() == 1
    apart = np.linalg.norm(first[:, None] - first[None], axis=-1)
    linked = apart[graph.targets, graph.indices].mean()
    assert linked < 0.5 * apart.mean()


def test_write_plot(karate: Analysis, tmp_path: Path) -> None:
    write_plot(karate, str(tmp_path / "r.html"))
    assert (tmp_path / "r.html").read_text(encoding="utf-8") == html_report(karate)
    write_plot(karate, str(tmp_path / "r.SVG"))
    root = ElementTree.parse(tmp_path / "r.SVG").getroot()
    assert root.find(f"{SVG}style") is not None
    for bad in ("r.pdf", "r", "missing/r.html"):
        with pytest.raises(ga.InvalidConfigError, match="--plot"):
            check_plot_path(str(tmp_path / bad))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["r.SVG", "r.html"]


def test_large_graph_draws_the_best_connected(rng: np.random.Generator) -> None:
    pairs = np.unique(rng.integers(0, 300, (900, 2)), axis=0)
    page = html_report(analyze(ga.NeighborGraph.from_edge_index(pairs.T, 300), keys=["flash"]))
    assert "The 150 best connected nodes are drawn." in page


def test_means_are_over_the_nodes_with_neighbours() -> None:
    pair = ga.NeighborGraph.from_edge_index([[1, 2, 2], [0, 0, 1]], 9)  # degrees 2 and 1, and seven nodes without
    page = html_report(analyze(pair, np.ones((9, 4)), keys=["flash"]))
    assert "the nodes with neighbours, which have 1.5 on average" in page
    assert f'<td class="n">{np.log(2) / 2:.3f}</td><td class="n">1.50</td>' in page


def test_no_edges() -> None:
    page = html_report(analyze(ga.NeighborGraph.from_edge_index(np.zeros((2, 0), int), 3), keys=["flash"]))
    assert "3 nodes, 0 edges" in page
    assert "nan" not in page

"""Groups, gestures, experts, the navigator, reloaded models and graphs with classes, against native Python and networkx."""

import io
import re
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from demo_pages import after, drawn, gallery, go, saved, settle
from playwright.sync_api import Page, expect

import graphattend as ga
from graphattend.analysis import make, scaled_latents


def groups_of(page: Page) -> list[list[str]]:
    """Return the rows of the table of groups."""
    details = page.locator(".behind", has_text="The groups as a table")
    details.locator("summary").click()
    details.locator("tbody tr").first.wait_for()
    return details.locator("tbody tr").evaluate_all("rows => rows.map(r => [...r.children].map(c => c.innerText))")


def test_groups_become_one_node_each(page: Page) -> None:
    before = drawn(page)
    after(page, lambda: page.get_by_role("button", name="Collapse groups").click())
    assert "fold=true" in page.url
    groups = {name: members.split(", ") for name, _, _, members in groups_of(page)}
    graph = nx.les_miserables_graph()
    assert sorted(n for members in groups.values() for n in members) == sorted(graph)
    ours = nx.community.modularity(graph, list(groups.values()), weight=None)
    best = nx.community.modularity(graph, nx.community.louvain_communities(graph, weight=None, seed=0), weight=None)
    assert ours >= 0.97 * best
    of = {n: name for name, members in groups.items() for n in members}
    wanted: dict[tuple[str, str], float] = {}
    for (a, b), weight in before.items():
        if of[a] != of[b]:
            wanted[of[a], of[b]] = wanted.get((of[a], of[b]), 0) + weight / len(groups[of[a]])
    assert drawn(page) == pytest.approx(wanted)
    opened = of["Valjean"]
    after(page, lambda: page.get_by_role("button", name="Open Valjean").click())
    assert page.locator(".dot").count() == len(groups) - 1 + len(groups[opened])
    after(page, lambda: page.get_by_role("button", name="Collapse groups").click())
    assert drawn(page) == before


def test_known_classes_are_the_groups(page: Page) -> None:
    go(page, "graph=karate&fold=true")
    settle(page)
    assert [row[:2] for row in groups_of(page)] == [["Mr. Hi", "17"], ["Officer", "17"]]


def test_a_node_is_dragged_and_a_click_still_chooses(page: Page) -> None:
    dot = page.locator(".dot").filter(has_text="Fantine receives")
    box = dot.bounding_box()
    start = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(start[0] + 60, start[1] + 30, steps=4)
    page.mouse.up()
    moved = dot.bounding_box()
    assert moved["x"] - box["x"] == pytest.approx(60, abs=2)
    assert moved["y"] - box["y"] == pytest.approx(30, abs=2)
    expect(page.locator("#neighbours h2")).to_have_text("Valjean attends to")
    after(page, lambda: page.mouse.click(start[0] + 60, start[1] + 30))
    expect(page.locator("#neighbours h2")).to_have_text("Fantine attends to")


def test_two_fingers_zoom_where_they_are(page: Page) -> None:
    svg = page.locator("#graph svg").first
    found = svg.evaluate(
        """svg => { const box = svg.getBoundingClientRect(), at = (x, y) => [box.left + x * box.width, box.top + y * box.height];
        const send = (type, id, [x, y]) => svg.dispatchEvent(new PointerEvent(type,
          { pointerId: id, pointerType: 'touch', clientX: x, clientY: y, bubbles: true, isPrimary: id === 1 }));
        svg.setPointerCapture = () => undefined;
        send('pointerdown', 1, at(0.4, 0.5)); send('pointerdown', 2, at(0.6, 0.5));
        send('pointermove', 1, at(0.3, 0.5)); send('pointermove', 2, at(0.7, 0.5));
        send('pointerup', 1, at(0.3, 0.5)); send('pointerup', 2, at(0.7, 0.5));
        return new Promise(r => requestAnimationFrame(() => r([svg.dataset.zoom, svg.getAttribute('viewBox')]))); }"""
    )
    assert found[0] == "2.00"
    x, y, width, _ = map(float, found[1].split())
    assert (x + width / 2, y + width / 2) == pytest.approx((320, 320), abs=1)


@pytest.mark.parametrize("key", ["moe", "learned_routing"])
def test_who_is_routed_where(page: Page, key: str) -> None:
    go(page, f"view=heads&mechanism={key}&node=Marius")
    page.wait_for_selector("#experts [data-expert]")
    data = gallery("les_miserables")
    x = np.array(data["latents"]).reshape(-1, data["dim"])
    graph = ga.NeighborGraph(np.array(data["indptr"]), np.array(data["indices"]))
    attn = make(key, graph, x.shape[1], {}, 0)
    shares = attn.shares(scaled_latents(attn, x))
    rows = page.locator("#experts [data-expert]").all()
    members = attn.experts if key == "moe" else attn.mechanisms
    assert [r.get_attribute("data-expert") for r in rows] == [m.key for m in members]
    assert [float(r.get_attribute("data-load")) for r in rows] == pytest.approx(shares.mean(axis=0), abs=1e-9)
    mine = shares[data["nodes"].index("Marius")]
    assert [float(r.get_attribute("data-share")) for r in rows] == pytest.approx(mine, abs=1e-9)
    assert page.locator("#experts .dot").count() == 77


def test_the_navigator_beside_greedy_search(page: Page) -> None:
    go(page, "view=search&graph=hnsw")
    search = gallery("hnsw")["search"]
    points = np.array(search["points"]).reshape(-1, 2)
    layer = search["layers"][0]
    graph = ga.NeighborGraph(np.array(layer["indptr"]), np.array(layer["indices"]))
    budget = int(page.locator("#search-result").get_attribute("data-evaluated"))
    query = np.array([0.5, 0.5])
    nearest = int(np.hypot(*(points - query).T).argmin())
    navigator = ga.RLNavigator(2, rank=1).fitted(points)
    rules = {"entry": search["entry"], "k": 1, "budget": budget}
    for kind, found in {
        "greedy": navigator.greedy_search(graph, points, query, **rules),
        "guided": navigator.search(graph, points, query, **rules),
    }.items():
        shown = page.locator(f"[data-search={kind}]")
        assert int(shown.get_attribute("data-visited")) == len(found.visited)
        assert float(shown.get_attribute("data-work")) == pytest.approx(found.visited_at[-1])
        needed = found.visited_at[found.visited == nearest]
        assert shown.get_attribute("data-needed") == ("" if needed.size == 0 else f"{needed[0]:g}")
    page.get_by_role("button", name="To the end").click()
    assert page.locator("#navigator .dot.mine").count() == 2


def test_a_model_comes_back(page: Page, tmp_path: Path) -> None:
    go(page, "view=train&graph=les_miserables")
    state = page.locator("#train-state")
    page.get_by_role("button", name="One epoch").click()
    untrained = float(state.get_attribute("data-loss"))
    page.get_by_role("button", name="Go on").click()
    expect(state).to_have_attribute("data-epochs", re.compile(r"^\d\d\d$"), timeout=60_000)
    page.get_by_role("button", name="Pause").click()
    trained = float(state.get_attribute("data-loss"))
    model = saved(page, lambda: page.get_by_role("button", name="Save the model").click())
    expect(state).to_contain_text("attention.npz saved")
    (tmp_path / "attention.npz").write_bytes(model)
    page.get_by_role("button", name="Cancel").click()
    page.locator("#model-file").set_input_files(tmp_path / "attention.npz")
    expect(state).to_contain_text("attention.npz loaded")
    page.get_by_role("button", name="One epoch").click()
    again = float(state.get_attribute("data-loss"))
    assert abs(again - trained) < 0.5 * abs(untrained - trained)
    ga.EdgeFeaturedAttention(8).save(tmp_path / "other.npz")
    page.locator("#model-file").set_input_files(tmp_path / "other.npz")
    expect(state).to_contain_text("expected w of shape")


def test_a_citation_graph_with_classes(page: Page) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 60)
    pairs = [(i, j) for i in range(60) for j in range(i) if rng.random() < (0.2 if labels[i] == labels[j] else 0.01)]
    edges = np.array(pairs + [(j, i) for i, j in pairs])
    words = (rng.random((60, 200)) < 0.03) | (rng.integers(0, 3, 200) == labels[:, None]) & (
        rng.random((60, 200)) < 0.2
    )
    counts = words.sum(axis=1)
    file = io.BytesIO()
    np.savez_compressed(
        file,
        x_indptr=np.concatenate([[0], counts.cumsum()]),
        x_indices=np.nonzero(words)[1].astype(np.uint16),
        x_shape=np.array(words.shape),
        edges=edges.astype(np.uint16),
        labels=labels,
    )
    upload = {"name": "papers.npz", "mimeType": "application/zip", "buffer": file.getvalue()}
    after(page, lambda: page.locator("#graph-file").set_input_files(upload))
    settle(page)
    expect(page.locator("#file")).to_contain_text(f"papers.npz · 60 nodes, {len(pairs)} edges")
    expect(page.locator("#file")).to_contain_text("3 classes and 200 features")
    assert {(a, b) for a, b in drawn(page)} == {(f"node {i}", f"node {j}") for i, j in edges}
    page.get_by_role("link", name="Train").click()
    page.get_by_role("button", name="Start").click()
    state = page.locator("#train-state")
    expect(state).to_have_attribute("data-epochs", re.compile(r"^\d\d\d$"), timeout=60_000)
    page.get_by_role("button", name="Pause").click()
    assert float(state.get_attribute("data-score")) > 0.6


def test_which_characters_does_marius_attend_to(page: Page) -> None:
    """A visitor's first question: whom Marius attends to, and why more to Cosette under hyperbolic attention."""
    after(page, lambda: page.get_by_label("Node", exact=True).select_option("Marius"))  # 1
    expect(page.locator("#neighbours h2")).to_have_text("Marius attends to")
    flat = drawn(page)["Marius", "Cosette"]
    after(page, lambda: page.locator("#neighbours").get_by_role("button", name="Cosette", exact=True).click())  # 2
    after(page, lambda: page.get_by_label("Mechanism", exact=True).select_option("hyperbolic"))  # 3
    curved = drawn(page)["Marius", "Cosette"]
    reason = page.locator("#why .reason")
    expect(reason).to_contain_text("Marius gives Cosette")
    expect(reason).to_contain_text("distance")
    compared = page.locator("#why .against")
    expect(compared).to_contain_text("scaled dot product")
    # The numbers say less, and so does the page.
    expect(compared).to_contain_text(f"it is {100 * flat:.1f} %, {'more' if flat > curved else 'less'}: there")


def test_is_your_own_graph_tree_like(page: Page) -> None:
    """A visitor's second question: is my graph like a tree, and which mechanism suits it?"""
    tree = nx.random_labeled_tree(24, seed=1)
    lines = "source,target\n" + "".join(f"n{a},n{b}\n" for a, b in tree.to_directed().edges)
    upload = {"name": "mine.csv", "mimeType": "text/csv", "buffer": lines.encode()}
    after(page, lambda: page.locator("#graph-file").set_input_files(upload))  # 1
    settle(page)
    advice = page.locator("#advice")
    expect(advice).to_contain_text("It is a tree")
    expect(advice).to_contain_text("Recommended: hyperbolic")
    expect(advice).to_be_in_viewport()
    flat, said = drawn(page), advice.inner_text()
    after(page, lambda: advice.get_by_role("button", name="hyperbolic").click())  # 2
    assert page.get_by_label("Mechanism", exact=True).input_value() == "hyperbolic"
    expect(advice).to_contain_text("It is what you see.")
    curved = drawn(page)
    moved = 1 - sum(min(flat[edge], curved[edge]) for edge in flat) / len(tree)
    assert f"It would move {100 * moved:.1f} % of the attention" in said

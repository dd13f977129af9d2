"""Every view's controls work as labelled, and its numbers equal native Python's."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest
from demo_pages import Browsers, after, copied_link, drawn, gallery, go, opened, same, saved, settle, typed
from playwright.sync_api import Page, expect

import graphattend as ga
from graphattend.analysis import analyze, make, scaled_latents


def graph_of(name: str) -> tuple[ga.NeighborGraph, np.ndarray, dict]:
    """Return a graph of the gallery, its latent vectors, and its file."""
    data = gallery(name)
    weights = data["edgeWeights"]
    graph = ga.NeighborGraph(
        np.array(data["indptr"]),
        np.array(data["indices"]),
        names=data["nodes"],
        edge_weights=None if weights is None else np.array(weights),
    )
    return graph, np.array(data["latents"]).reshape(-1, data["dim"]), data


def by_name(graph: ga.NeighborGraph, weights: np.ndarray) -> dict[tuple[str, str], float]:
    pairs = zip(graph.targets, graph.indices, weights, strict=True)
    return {(graph.names[i], graph.names[j]): float(w) for i, j, w in pairs if i != j}


@pytest.fixture(scope="module")
def young(browser: Browsers, address: str) -> Page:
    """Open a page whose Python never loads: its answers come from files and kernels."""
    page = opened(browser, address, [])
    page.route("**/pyodide/**", lambda route: None)
    page.goto(address)
    page.wait_for_selector("main[aria-busy=false] #graph svg")
    yield page
    page.context.close()


@pytest.mark.parametrize(
    ("key", "options"),
    [
        ("scaled_dot_product", {}),
        ("scaled_dot_product", {"temperature": 0.4}),
        ("scaled_dot_product", {"normalize": True, "scale": 2.5}),
        ("hyperbolic", {"curvature": -2.0, "temperature": 0.7}),
        ("multi_head", {"temperature": 0.5}),
        ("edge_featured", {"negative_slope": 0.6}),
        ("local_global", {"temperature": 2.0}),
        ("flash", {"temperature": 2.0}),
    ],
)
def test_answers_before_python(young: Page, key: str, options: dict) -> None:
    query = "".join(f"&option.{name}={json.dumps(value)}" for name, value in options.items())
    go(young, f"mechanism={key}{query}")
    by = young.locator("main").get_attribute("data-by")
    assert by == ("kernels" if options else "beforehand")
    graph, x, _ = graph_of("les_miserables")
    wanted = by_name(graph, analyze(graph, x, [key], options).results[0].weights)
    same(drawn(young), wanted, 2e-5 if options else 2e-6)  # the kernels work in single precision


def steps(page: Page) -> dict[str, float]:
    """Return the numbers of the panel's steps by name."""

    def number(text: str) -> float:
        text = text.replace("−", "-")
        return float(text[:-2]) / 100 if text.endswith(" %") else float(text)

    rows = page.locator("#why .steps-of li")
    return {r.get_attribute("data-step"): number(r.locator("output").inner_text()) for r in rows.all()}


def test_why_takes_dot_products_apart(page: Page) -> None:
    go(page, "node=Marius&to=Cosette&option.temperature=0.5")
    graph, x, data = graph_of("les_miserables")
    attn = make("scaled_dot_product", graph, x.shape[1], {"temperature": 0.5}, 0)
    z = scaled_latents(attn, x)
    i, j = data["nodes"].index("Marius"), data["nodes"].index("Cosette")
    row = graph.indices[graph.indptr[i] : graph.indptr[i + 1]]
    scores = z[row] @ z[i] / math.sqrt(x.shape[1]) / 0.5
    found = steps(page)
    assert found["q·k"] == pytest.approx(z[i] @ z[j], rel=1e-3)
    assert found["score"] == pytest.approx(z[i] @ z[j] / math.sqrt(x.shape[1]) / 0.5, rel=1e-3)
    assert found["exp"] == pytest.approx(np.exp(z[i] @ z[j] / math.sqrt(x.shape[1]) / 0.5 - scores.max()), rel=1e-3)
    assert found["weight"] == pytest.approx(drawn(page)["Marius", "Cosette"], abs=6e-4)
    expect(page.locator("#why .reason")).to_contain_text("cosine")
    assert page.locator("#why .row-steps tbody tr").count() >= 8


def test_why_takes_hyperbolic_attention_apart(page: Page) -> None:
    go(page, "mechanism=hyperbolic&node=Marius&to=Cosette&option.curvature=-2")
    graph, x, data = graph_of("les_miserables")
    attn = make("hyperbolic", graph, x.shape[1], {"curvature": -2.0}, 0)
    z = scaled_latents(attn, x)
    i, j = data["nodes"].index("Marius"), data["nodes"].index("Cosette")
    distance = float(ga.geometry.Poincare(-2.0).dist(z[i], z[j]))
    found = steps(page)
    assert found["distance"] == pytest.approx(distance, rel=1e-3)
    assert found["score"] == pytest.approx(-distance, rel=1e-3)
    assert found["weight"] == pytest.approx(drawn(page)["Marius", "Cosette"], abs=6e-4)
    expect(page.locator("#why .reason")).to_contain_text("Marius gives Cosette")


@pytest.mark.parametrize("key", ["multi_head", "edge_featured"])
def test_why_has_every_head(page: Page, key: str) -> None:
    go(page, f"mechanism={key}&node=Javert")
    assert page.locator("#why .tabs button").count() == 4
    page.locator("#why .tabs button").nth(2).click()
    expect(page.locator("#why .tabs button").nth(2)).to_have_attribute("aria-pressed", "true")
    best = max((w, to) for (of, to), w in drawn(page).items() if of == "Javert")
    assert steps(page)["mean"] == pytest.approx(best[0], abs=6e-4)


def test_why_by_hovering_an_edge_and_by_the_heat_map(page: Page) -> None:
    edge = page.locator(".edge.mine[data-to=Javert]")
    edge.dispatch_event("pointerenter")
    expect(page.locator("#why h2")).to_have_text("Why: Valjean → Javert")
    page.locator("#heat .cell[data-row=Marius][data-column=Cosette]").click()
    expect(page.locator("#why h2")).to_have_text("Why: Marius → Cosette")
    value = float(page.locator("#heat .cell.marked").get_attribute("data-value"))
    assert value == drawn(page)["Marius", "Cosette"]


@pytest.mark.parametrize("key", ["scaled_dot_product", "hyperbolic"])
def test_coordinates_are_added_up(page: Page, key: str) -> None:
    go(page, f"mechanism={key}&node=Marius&to=Cosette")
    graph, x, data = graph_of("les_miserables")
    z = scaled_latents(make(key, graph, x.shape[1], {}, 0), x)
    q, k = (z[data["nodes"].index(name)] for name in ("Marius", "Cosette"))
    what, terms = ("q·k", q * k) if key == "scaled_dot_product" else ("|q − k|²", (q - k) ** 2)
    said, slider = page.locator("#why .sum output"), page.locator("#why .sum input")

    def read(before: str) -> float:
        text = said.inner_text()
        assert before in text
        return float(text.split(before)[1].replace("−", "-"))

    assert read(f"{what} = ") == pytest.approx(terms.sum(), rel=1e-3)
    slider.fill("5")
    assert read("; sum of 5: ") == pytest.approx(terms[:5].sum(), rel=1e-3)
    assert page.locator("#why .vectors .rest").count() == 3 * (len(q) - 5)
    page.keyboard.press("ArrowLeft")
    assert read("; sum of 4: ") == pytest.approx(terms[:4].sum(), rel=1e-3)
    strip = page.locator("#why .vectors svg").first
    strip.hover(position={"x": strip.bounding_box()["width"] * 2.5 / len(q), "y": 9})
    assert read("; sum of 3: ") == pytest.approx(terms[:3].sum(), rel=1e-3)
    page.locator("#why .sum button").click()  # the pointer leaves, and the terms are added one by one
    expect(said).to_contain_text("; sum of ")
    expect(said).to_contain_text(f"{what} = ")


def test_an_edge_that_is_pointed_at_elsewhere_is_seen_in_the_graph(page: Page) -> None:
    peeked = page.locator(".edge.peeked")
    page.locator("#heat .cell[data-row=Marius][data-column=Cosette]").hover()
    expect(peeked).to_have_attribute("data-from", "Marius")
    expect(peeked).to_have_attribute("data-to", "Cosette")
    page.locator("#neighbours").get_by_role("button", name="Javert", exact=True).focus()
    expect(peeked).to_have_attribute("data-from", "Valjean")
    expect(peeked).to_have_attribute("data-to", "Javert")
    page.locator("#mechanism").focus()
    expect(peeked).to_have_count(0)


def test_a_mechanism_that_is_not_taken_apart_says_so(page: Page) -> None:
    after(page, lambda: page.get_by_label("Mechanism", exact=True).select_option("structural"))
    expect(page.locator("#why")).to_contain_text("not its steps")


@pytest.mark.parametrize("key", ["scaled_dot_product", "hyperbolic", "structural"])
def test_masking_a_neighbour(page: Page, key: str) -> None:
    go(page, f"mechanism={key}")
    after(page, lambda: page.get_by_role("button", name="Mask ").click())
    hidden = page.locator("#why h2").inner_text()  # now another neighbour
    graph, x, data = graph_of("les_miserables")
    best = page.evaluate("new URLSearchParams(location.hash.slice(1)).get('masked')")
    assert best not in hidden
    i, j = data["nodes"].index("Valjean"), data["nodes"].index(best)
    kept = ~((graph.targets == i) & (graph.indices == j))
    smaller = ga.NeighborGraph.from_edge_index(
        graph.to_edge_index()[:, kept], len(data["nodes"]), names=data["nodes"], edge_weights=graph.edge_weights[kept]
    )
    wanted = by_name(smaller, analyze(smaller, x, [key]).results[0].weights)
    found = drawn(page)
    assert found.pop(("Valjean", best)) == 0
    same(found, wanted)
    after(page, lambda: page.get_by_role("button", name="Show all").click())
    assert drawn(page)["Valjean", best] > 0


def test_side_by_side(page: Page) -> None:
    go(page, "view=compare&node=Marius")
    graph, x, data = graph_of("les_miserables")
    a, b = (analyze(graph, x, [key]).results[0].weights for key in ("scaled_dot_product", "hyperbolic"))
    shared = np.minimum(a, b).sum() / 77
    expect(page.locator("#differences")).to_contain_text(f"{100 * shared:.1f} %")
    apart = 1 - np.bincount(graph.targets, np.minimum(a, b), 77)
    expect(page.locator("#differences tbody tr").first).to_contain_text(data["nodes"][int(apart.argmax())])
    same(drawn(page), by_name(graph, a))
    slider = page.locator("#morph")
    slider.focus()
    page.keyboard.press("End")
    same(drawn(page), by_name(graph, b))
    page.locator("#morph").fill("50")
    same(drawn(page), by_name(graph, (a + b) / 2))
    assert page.locator(".edge.more").count() > 0
    assert page.locator(".edge.less").count() > 0
    after(page, lambda: page.get_by_label("Beside it").select_option("flash"))
    expect(page.locator("#differences .reason")).to_contain_text("in tiles")


def positions(page: Page) -> dict[str, list[float]]:
    """Return the points of the view with movable points, from the table behind the picture."""
    page.locator("#graph .behind summary").click()
    page.wait_for_selector("#graph .behind tbody tr")
    rows = page.locator("#graph .behind tbody tr").all()
    found = {}
    for r in rows:
        cells = r.locator("td").all_inner_texts()
        found[r.locator("th").inner_text()] = [float(c.replace("−", "-")) for c in cells[0].split(", ")]
    page.locator("#graph .behind summary").click()
    return found


@pytest.mark.parametrize("space", ["plane", "disk", "sphere"])
def test_points_that_move(page: Page, space: str) -> None:
    go(page, f"view=move&node=Marius&space={space}&option.temperature=0.5")
    page.wait_for_selector(".handle")
    before = drawn(page)
    handle = page.locator(".handle[data-name=Cosette]")
    box = handle.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.mouse.move(box["x"] + 70, box["y"] - 40, steps=6)
    page.mouse.up()
    handle.focus()
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("m")
    expect(handle).to_have_attribute("aria-label", "Cosette, masked")
    page.keyboard.press("m")
    points, found = positions(page), drawn(page)
    assert abs(found["Marius", "Cosette"] - before["Marius", "Cosette"]) > 1e-3
    names = [to for _, to in found]
    q, keys = np.array(points["Marius"]), np.array([points[n] for n in names])
    if space == "disk":
        attn = ga.HyperbolicAttention(2, temperature=0.5)
    else:
        attn = ga.ScaledDotProductAttention(len(q), temperature=0.5, scale=2**-0.5 if space == "plane" else 1.0)
    # The table shows three digits.
    assert attn.attention_weights(q, keys) == pytest.approx([found["Marius", n] for n in names], abs=0.02)
    moved = copied_link(page)
    assert "moved=" in moved
    go(page, "")
    go(page, moved)
    page.wait_for_selector(".handle")
    again = drawn(page)
    assert [again[e] for e in found] == pytest.approx(list(found.values()), abs=1e-6)


def test_geometry_of_a_tree(page: Page) -> None:
    go(page, "view=geometry&graph=animals&node=mammal")
    page.wait_for_selector("[data-kind]")

    def errors() -> dict[str, float]:
        spans = page.locator("[data-kind]").all()
        return {s.get_attribute("data-kind"): float(s.get_attribute("data-distortion")) for s in spans}

    typed(page.get_by_label("Length of a step × √curvature, as a number"), "2.5")
    found = errors()
    assert found["poincare"] == pytest.approx(found["lorentz"], rel=1e-5)
    assert found["poincare"] < 0.5 * found["euclidean"] < 0.5 * found["sphere"]
    expect(page.locator("#geometry .reason")).to_contain_text("Hyperbolic")
    expect(page.locator("#advice")).to_have_count(0)


def test_heads(page: Page) -> None:
    go(page, "view=heads&mechanism=multi_head&node=Marius")
    page.wait_for_selector("[data-head]")
    graph, x, data = graph_of("les_miserables")
    attn = make("multi_head", graph, x.shape[1], {}, 0)
    _, weights = attn.attend(graph, scaled_latents(attn, x), need_weights=True)
    i = data["nodes"].index("Marius")
    row = slice(graph.indptr[i], graph.indptr[i + 1])
    for h in range(4):
        for cell in page.locator(f"[data-head='head {h + 1}'] tr").all():
            at = data["nodes"].index(cell.get_attribute("data-to"))
            wanted = weights[row, h][graph.indices[row] == at].sum()
            assert float(cell.get_attribute("data-weight")) == pytest.approx(wanted, abs=1e-6)


def test_linear_attention_has_an_error(page: Page) -> None:
    go(page, "view=sparse")
    state = page.locator("#linear-state")
    error = float(state.get_attribute("data-error"))
    typed(page.get_by_label("Random features, as a number"), "256")
    assert float(state.get_attribute("data-error")) < error
    expect(page).to_have_url(re.compile("features=256"))


def test_search_counts_what_it_evaluates(page: Page) -> None:
    go(page, "view=search&graph=hnsw")
    page.wait_for_selector("#search-state")
    search = gallery("hnsw")["search"]
    points = np.array(search["points"]).reshape(-1, 2)
    distance = np.hypot(*(points - 0.5).T)
    node, evaluated = search["entry"], 1
    for layer in reversed(search["layers"]):
        while True:
            row = layer["indices"][layer["indptr"][node] : layer["indptr"][node + 1]]
            evaluated += len(row)
            best = min([node, *row], key=lambda i: distance[i])
            if distance[best] >= distance[node]:
                break
            node = best
    result = page.locator("#search-result")
    assert int(result.get_attribute("data-evaluated")) == evaluated
    assert int(result.get_attribute("data-found")) == node
    page.get_by_role("button", name="Step", exact=True).click()
    expect(page.locator("#search-state")).to_contain_text("Step 1 of")
    page.get_by_role("button", name="To the end").click()
    expect(page.locator("#search-state")).to_have_attribute("data-node", str(node))


@pytest.mark.parametrize(
    ("task", "graph", "least"),
    [("labels", "karate", 0.8), ("links", "les_miserables", 0.8), ("poincare", "animals", 0.8)],
)
def test_training(page: Page, tmp_path: Path, task: str, graph: str, least: float) -> None:
    go(page, f"view=train&graph={graph}")
    page.get_by_label("Task").select_option(task)
    state = page.locator("#train-state")
    page.get_by_role("button", name="One epoch").click()
    first = float(state.get_attribute("data-loss"))
    page.get_by_role("button", name="Go on").click()
    expect(state).to_have_attribute("data-epochs", re.compile(r"^[12]\d\d$"), timeout=60_000)
    page.get_by_role("button", name="Pause").click()
    assert float(state.get_attribute("data-loss")) < 0.8 * first
    assert float(state.get_attribute("data-score")) > least
    if task == "labels":
        model = saved(page, lambda: page.get_by_role("button", name="Save the model").click())
        (tmp_path / "attention.npz").write_bytes(model)
        loaded = ga.load(tmp_path / "attention.npz")
        assert loaded.key == "edge_featured"
        assert loaded.num_heads == 4
    page.get_by_role("button", name="Cancel").click()
    expect(state).to_contain_text("Not started")


def test_speed(page: Page) -> None:
    go(page, "view=speed")
    page.get_by_role("button", name="Measure").click()
    expect(page.locator("#speed [role=status]")).to_have_text("Measured.", timeout=30_000)
    assert page.locator("#speeds tbody tr").count() == 4
    assert all(float(r.get_attribute("data-rate")) > 0 for r in page.locator("#speeds tbody tr").all())


def test_tour(page: Page) -> None:
    page.get_by_role("link", name="Take the tour").click()
    for step in range(1, 11):
        expect(page.locator("#tour .help")).to_have_text(f"Step {step} of 10")
        page.wait_for_selector("main[aria-busy=false]")
        expect(page.locator("#error p")).to_have_count(0)
        if step < 10:
            page.locator("#tour .next").click()
    page.get_by_role("button", name="Done").click()
    expect(page.locator("#tour")).to_have_count(0)


def test_teachers_hide_and_lock(page: Page) -> None:
    go(page, "hide=header&hide=options&hide=share&lock=mechanism")
    assert page.locator("header, #options, #share").count() == 0
    expect(page.get_by_label("Mechanism", exact=True)).to_be_disabled()


def test_what_suits_a_graph_is_there_before_python(young: Page) -> None:
    graph, x, _ = graph_of("karate")
    best = ga.recommend(graph)
    go(young, "graph=karate")
    advice = young.locator("#advice")
    expect(advice).to_contain_text(f"Recommended: {best.key}, because {best.reasons[-1]}.")
    usual, suited = (r.weights for r in analyze(graph, x, ["scaled_dot_product", best.key]).results)
    moved = 1 - np.minimum(usual, suited).sum() / graph.num_nodes
    expect(advice).to_contain_text(f"It would move {100 * moved:.1f} % of the attention")
    advice.get_by_role("button", name="see both").click()
    expect(young.get_by_label("Beside it")).to_have_value(best.key)


def test_the_mechanism_before_stands_beside_the_one_that_was_chosen(young: Page) -> None:
    go(young, "graph=karate")
    young.get_by_label("Mechanism", exact=True).select_option("hyperbolic")
    young.get_by_role("link", name="Side by side").click()
    expect(young.get_by_label("Beside it")).to_have_value("scaled_dot_product")


@pytest.mark.parametrize("name", ["karate", "animals", "digits", "hnsw"])
def test_gallery(page: Page, name: str) -> None:
    after(page, lambda: page.locator("#graph-choice").select_option(name))
    settle(page)
    graph, x, _ = graph_of(name)
    same(drawn(page), by_name(graph, analyze(graph, x, ["scaled_dot_product"]).results[0].weights))
    expect(page.locator("#advice")).to_contain_text("Recommended")
    if name == "animals":
        expect(page.locator("#advice")).to_contain_text("It is a tree")
    assert page.locator("#compare tbody tr").count() >= 14

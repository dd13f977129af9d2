"""The demo's controls work as labelled, and its numbers equal native Python's."""

import json
from pathlib import Path

import export_les_miserables
import numpy as np
import pytest
from demo_pages import Browsers, after, drawn, native, same, settle, typed
from playwright.sync_api import Page, expect

import graphattend as ga
from graphattend.analysis import analyze_file


def les_miserables() -> str:
    return export_les_miserables.export().read_text()


def set_temperature(page: Page, value: float) -> None:
    typed(page.get_by_label("temperature, as a number"), str(value))


def test_draws_the_weights_that_native_python_finds(page: Page) -> None:
    same(drawn(page), native(les_miserables(), "scaled_dot_product"))
    assert page.locator(".dot").count() == 77
    expect(page.locator("#neighbours h2")).to_have_text("Valjean attends to")
    rows = page.locator("#neighbours tbody tr")
    expect(rows.first).to_contain_text("Cosette")
    assert page.locator("#heat .cell").count() > 50
    keys = [r["key"] for r in analyze_file(les_miserables())["analysis"]["results"]]
    assert page.locator("#compare tbody tr").count() == len(keys)
    assert page.locator("#agreement .cell").count() == len(keys) ** 2


@pytest.mark.parametrize("key", ["hyperbolic", "multi_head", "structural", "moe", "learned_routing"])
def test_another_mechanism(page: Page, key: str) -> None:
    after(page, lambda: page.get_by_label("Mechanism", exact=True).select_option(key))
    same(drawn(page), native(les_miserables(), key))
    assert f"mechanism={key}" in page.url


def test_temperature_changes_address_and_picture(page: Page) -> None:
    before = drawn(page)
    after(page, lambda: set_temperature(page, 0.25))
    assert "option.temperature=0.25" in page.url
    found = drawn(page)
    same(found, native(les_miserables(), "scaled_dot_product", temperature=0.25))
    assert found["Valjean", "Cosette"] > before["Valjean", "Cosette"]
    after(page, lambda: page.get_by_role("button", name="Reset options").click())
    same(drawn(page), before)
    assert "temperature" not in page.url


def test_the_slider_ends_where_it_was_let_go(page: Page) -> None:
    slider = page.locator("#option-temperature")
    slider.focus()
    for _ in range(8):
        slider.press("ArrowLeft")
    value = float(page.get_by_label("temperature, as a number").input_value())
    assert value < 1
    page.wait_for_function("v => location.hash.includes(`option.temperature=${v}`)", arg=value)
    wanted = native(les_miserables(), "scaled_dot_product", temperature=value)["Valjean", "Cosette"]
    page.wait_for_function(
        "w => Math.abs(document.querySelector('[data-from=Valjean][data-to=Cosette]').dataset.weight - w) < 2e-6",
        arg=wanted,
    )
    expect(slider).to_be_focused()


def test_node_by_list_by_click_and_by_keyboard(page: Page) -> None:
    after(page, lambda: page.get_by_label("Node", exact=True).select_option("Javert"))
    expect(page.locator("#neighbours h2")).to_have_text("Javert attends to")
    assert "node=Javert" in page.url
    after(page, lambda: page.locator(".dot").filter(has_text="Gavroche receives").click())
    expect(page.locator("#neighbours h2")).to_have_text("Gavroche attends to")
    names = [n["id"] for n in json.loads(les_miserables())["nodes"]]
    page.locator(".dot.mine").focus()
    after(page, lambda: page.keyboard.press("ArrowRight"))
    following = names[(names.index("Gavroche") + 1) % len(names)]
    expect(page.locator("#neighbours h2")).to_have_text(f"{following} attends to")
    expect(page.locator(".dot.mine")).to_be_focused()


def test_controls_are_those_of_the_schema(page: Page) -> None:
    after(page, lambda: page.get_by_label("Mechanism", exact=True).select_option("hyperbolic"))
    ids = page.evaluate("[...document.querySelectorAll('#options [id^=option-]:not(small)')].map(e => e.id.slice(7))")
    wanted = set(ga.schema("hyperbolic")["properties"]) - {"dim", "check_finite", "dropout"}
    assert set(ids) == wanted
    after(page, lambda: page.get_by_label("aggregation").select_option("tangent"))
    assert "option.aggregation" in page.url


def test_an_option_that_python_refuses(page: Page) -> None:
    after(page, lambda: page.get_by_label("Mechanism", exact=True).select_option("hyperbolic"))
    before = drawn(page)
    box = page.get_by_label("curvature")
    typed(box, "2")
    expect(page.get_by_role("alert")).to_contain_text("curvature")
    same(drawn(page), before)
    after(page, lambda: typed(box, "-2"))
    expect(page.get_by_role("alert")).to_be_empty()
    same(drawn(page), native(les_miserables(), "hyperbolic", curvature=-2))


def upload(page: Page, path: Path) -> None:
    page.locator("#graph-file").set_input_files(path)


def test_own_graph_and_a_reload(page: Page, tmp_path: Path) -> None:
    content = "source,target\n<b>a</b>,b\nb,c\nc,<b>a</b>\nc,d\nd,c\n"
    (tmp_path / "own.csv").write_text(content)
    after(page, lambda: upload(page, tmp_path / "own.csv"))
    same(drawn(page), native(content, "scaled_dot_product", ".csv"))
    expect(page.locator("#file")).to_contain_text("own.csv · 4 nodes")
    assert page.locator("main b").count() == 0
    after(page, lambda: page.get_by_label("Mechanism", exact=True).select_option("hyperbolic"))
    after(page, lambda: set_temperature(page, 0.5))
    after(page, lambda: page.get_by_label("Node", exact=True).select_option("b"))
    before, address = drawn(page), page.url
    page.reload()
    settle(page)
    assert page.url == address
    same(drawn(page), before)
    expect(page.locator("#file")).to_contain_text("own.csv · 4 nodes")
    assert page.get_by_label("Mechanism", exact=True).input_value() == "hyperbolic"
    assert page.get_by_label("Node", exact=True).input_value() == "b"
    assert page.get_by_label("temperature, as a number").input_value() == "0.5"
    after(page, lambda: page.get_by_role("button", name="Back to Les Misérables").click())
    assert page.locator(".dot").count() == 77


def test_large_graph_is_drawn_around_the_node(page: Page, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pairs = [(i, (i + int(step)) % 700) for i in range(700) for step in rng.integers(1, 40, 2)]
    (tmp_path / "large.txt").write_text("".join(f"n{i} n{j}\n" for i, j in pairs))
    after(page, lambda: upload(page, tmp_path / "large.txt"))
    expect(page.locator("#graph")).to_contain_text("The graph has 700 nodes")
    assert 2 <= page.locator(".dot").count() <= 61


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("broken.json", b'{"nodes": ['),
        ("empty.csv", b""),
        ("weights.csv", b"source,target,weight\na,b,nan\n"),
        ("noise.txt", bytes(range(256)) * 8),
        ("graph.pkl", b"abc"),
    ],
)
def test_bad_file_is_refused_and_changes_nothing(page: Page, tmp_path: Path, name: str, content: bytes) -> None:
    before = drawn(page)
    (tmp_path / name).write_bytes(content)
    upload(page, tmp_path / name)
    expect(page.get_by_role("alert")).not_to_be_empty()
    assert len(page.get_by_role("alert").inner_text()) < 400
    assert "Traceback" not in page.get_by_role("alert").inner_text()
    same(drawn(page), before)
    expect(page.locator("#file")).to_contain_text("Les Misérables")
    after(page, lambda: page.get_by_label("Mechanism", exact=True).select_option("flash"))
    expect(page.get_by_role("alert")).to_be_empty()


def test_address_of_nonsense(page: Page) -> None:
    page.evaluate("location.hash = 'mechanism=nope&node=nobody&top=-3&option.x=%7B&graph=gone.csv'")
    expect(page.get_by_role("alert")).to_contain_text("nope")
    expect(page.get_by_role("alert")).to_contain_text("gone.csv has to be opened again")
    expect(page.locator("#neighbours h2")).to_have_text("Valjean attends to")


def test_says_why_it_cannot_start(browser: Browsers, address: str) -> None:
    page = browser.new_page(service_workers="block")
    page.route("**/pyodide/pyodide.asm.*", lambda route: route.abort())
    page.goto(address)
    expect(page.get_by_role("alert")).not_to_be_empty(timeout=60_000)
    page.context.close()

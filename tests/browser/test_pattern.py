"""The editor of sparse patterns: shapes, drawn pairs, undo and address, with native NumPy's density, cost and weights."""

import math
import re

import numpy as np
import pytest
from demo_pages import copied_link, go
from playwright.sync_api import Page, expect

import graphattend as ga

N, DIM = 32, 16


@pytest.fixture
def editor(page: Page) -> Page:
    """Open the page with the initial pattern: a window of two and two global positions."""
    go(page, "view=sparse")
    page.wait_for_selector(".pattern [data-weight]")
    return page


def seen(page: Page) -> np.ndarray:
    """Read from the picture which query sees which key."""
    out = np.zeros(N * N, bool)
    out[page.evaluate("[...document.querySelectorAll('.pattern [data-pair]')].map(e => Number(e.dataset.pair))")] = True
    return out.reshape(N, N)


def shown(page: Page, name: str) -> float:
    return float(page.locator("#pattern-state").get_attribute(f"data-{name}"))


def vectors() -> np.ndarray:
    """Return the page's random vectors: normal numbers by Box–Muller from mulberry32."""
    state, mask = 3, 0xFFFFFFFF

    def uniform() -> float:
        nonlocal state
        state = (state + 0x6D2B79F5) & mask
        t = (state ^ (state >> 15)) * (1 | state) & mask
        t = ((t + ((t ^ (t >> 7)) * (61 | t) & mask)) & mask) ^ t
        return (t ^ (t >> 14)) / 2**32

    return np.array(
        [math.sqrt(-2 * math.log(1 - uniform())) * math.cos(2 * math.pi * uniform()) for _ in range(N * DIM)]
    ).reshape(N, DIM)


def at(page: Page, query: int, key: int) -> tuple[float, float]:
    """Return the middle of a cell on the screen."""
    page.locator(".pattern").scroll_into_view_if_needed()
    box = page.locator(".pattern").bounding_box()
    return box["x"] + box["width"] * (key + 0.5) / N, box["y"] + box["height"] * (query + 0.5) / N


def stroke(page: Page, *cells: tuple[int, int], steps: int = 4) -> None:
    """Press on the first cell, move over the others, and release."""
    page.mouse.move(*at(page, *cells[0]))
    page.mouse.down()
    for cell in cells[1:]:
        page.mouse.move(*at(page, *cell), steps=steps)
    page.mouse.up()


def preset(page: Page, name: str) -> np.ndarray:
    button = page.get_by_role("button", name=name, exact=True)
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    return seen(page)


def test_shapes(editor: Page) -> None:
    def windowed(window: int, *nodes: int) -> np.ndarray:
        indptr, keys = ga.LocalGlobalAttention(DIM, window=window, global_nodes=nodes).row_pattern(N, N)
        out = np.zeros((N, N), bool)
        out[np.repeat(np.arange(N), np.diff(indptr)), keys] = True
        return out

    assert (preset(editor, "Local window") == windowed(3)).all()
    assert (preset(editor, "Local and global") == windowed(2, 0, 1)).all()
    assert (preset(editor, "Blocks") == np.kron(np.eye(4), np.ones((8, 8)))).all()
    assert (preset(editor, "Causal") == np.tri(N)).all()
    expect(editor.locator("#pattern-state")).to_contain_text(
        "After 1 layer every position has heard from every earlier"
    )
    assert preset(editor, "All pairs").all()
    assert (preset(editor, "Only itself") == np.eye(N)).all()
    assert shown(editor, "never") == N * (N - 1)
    random = preset(editor, "Random")
    assert random.diagonal().all()
    assert (random.sum(axis=1) == 5).all()
    editor.locator("#random").fill("6")
    assert (seen(editor) >= random).all()  # more keys, none of them lost
    assert (preset(editor, "Window, global, random") >= windowed(1, 0, 1)).all()


def test_numbers_follow_every_stroke(editor: Page) -> None:
    preset(editor, "Blocks")
    stroke(editor, (3, 30), (12, 20), (25, 2))
    editor.mouse.click(*at(editor, 5, 5))
    pattern, x = seen(editor), vectors()
    assert not pattern[5, 5]
    assert pattern[3, 30]
    assert pattern[12, 20]
    weights = ga.functional.scaled_dot_product_attention(x, x, x, attn_mask=pattern, return_weights=True)[1]
    drawn = editor.evaluate("[...document.querySelectorAll('.pattern [data-pair]')].map(e => Number(e.dataset.weight))")
    np.testing.assert_allclose(drawn, weights[pattern], rtol=1e-5, atol=1e-7)
    scores = x @ x.T / math.sqrt(DIM)
    full = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    assert shown(editor, "density") == pattern.mean()
    assert shown(editor, "lost") == pytest.approx(full[~pattern].sum() / N, rel=1e-5)
    assert shown(editor, "off") == pytest.approx(
        np.linalg.norm((weights - full) @ x) / np.linalg.norm(full @ x), rel=1e-4
    )
    cost = f"{2 * DIM * pattern.sum():,}".replace(",", "\u202f")
    expect(editor.locator("#pattern-state")).to_contain_text(f"{cost} multiplications instead of 32\u202f768")
    heard = [np.linalg.matrix_power(pattern + np.eye(N), layers) > 0 for layers in range(N)]
    assert shown(editor, "layers") == next(i for i in range(N) if (heard[i] == heard[-1]).all())
    assert shown(editor, "never") == (~heard[-1]).sum()


def test_a_stroke_leaves_no_gaps_and_is_one_step_back(editor: Page) -> None:
    before = preset(editor, "Only itself")
    stroke(editor, (2, 10), (2, 28), steps=2)
    assert seen(editor)[2, 10:29].all()
    assert seen(editor).sum() == N + 19
    stroke(editor, (2, 28), (2, 20))  # starts on a drawn cell, so it erases
    assert seen(editor)[2].nonzero()[0].tolist() == [2, *range(10, 20)]
    editor.get_by_role("button", name="Undo").click()
    assert seen(editor)[2, 10:29].all()
    editor.get_by_role("button", name="Undo").click()
    assert (seen(editor) == before).all()
    editor.get_by_role("button", name="Redo").click()
    assert seen(editor)[2, 10:29].all()
    editor.get_by_label("Brush").select_option("4")
    stroke(editor, (20, 4))
    assert seen(editor)[19:23, 3:7].all()
    assert seen(editor).sum() == N + 19 + 16
    editor.get_by_label("Brush").select_option("1")


def test_keys_draw_and_tell(editor: Page) -> None:
    preset(editor, "Only itself")
    picture, told = editor.locator(".pattern"), editor.locator("#pattern-cell")
    picture.focus()
    for key in ("PageUp", "Home", "ArrowDown", "ArrowRight", "ArrowRight", "ArrowRight"):
        editor.keyboard.press(key)
    expect(told).to_have_text("Position 2 does not see position 4.")
    editor.keyboard.press("Space")
    expect(told).to_have_text(re.compile(r"Position 2 sees position 4: \d+\.\d % of its attention\."))
    for _ in range(3):
        editor.keyboard.press("Shift+ArrowRight")
    assert seen(editor)[1].nonzero()[0].tolist() == [1, 3, 4, 5, 6]
    editor.keyboard.press("Control+z")
    editor.keyboard.press("Control+z")
    assert (seen(editor) == np.eye(N)).all()
    editor.keyboard.press("Control+Shift+Z")
    assert seen(editor)[1, 3]
    editor.keyboard.press("Space")  # the cursor is still where the keys moved it
    assert seen(editor)[1, 6]


def test_a_row_that_sees_nobody(editor: Page) -> None:
    preset(editor, "Only itself")
    editor.mouse.click(*at(editor, 7, 7))
    expect(editor.locator("#pattern-state")).to_contain_text("1 position sees nobody: the output there is zero")
    editor.get_by_text("The pattern as a table").click()
    expect(editor.locator(".behind tbody tr").nth(7).locator("td").first).to_have_text("nobody")
    editor.get_by_text("The pattern as a table").click()


def test_the_address_holds_the_pattern(editor: Page) -> None:
    preset(editor, "Window, global, random")
    editor.locator("#block").fill("4")
    editor.get_by_label("Causal").check()
    stroke(editor, (10, 14), (10, 31))
    stroke(editor, (30, 30))
    pattern = seen(editor)
    link = copied_link(editor)
    assert "pattern.drawn=10.14-31&pattern.erased=30.30" in link
    go(editor, "view=sparse")
    assert (seen(editor) != pattern).any()
    go(editor, link)
    assert (seen(editor) == pattern).all()
    go(
        editor,
        "view=sparse&pattern.window=99&pattern.block=0&pattern.globals=x&pattern.drawn=99.1_5.9-7_<b>&features=1e9",
    )
    expect(editor.get_by_role("button", name="Local and global")).to_have_attribute("aria-pressed", "true")
    expect(editor.get_by_label("Random features, as a number")).to_have_value("32")


def test_a_phone_draws_with_a_finger(editor: Page) -> None:
    editor.set_viewport_size({"width": 360, "height": 740})
    preset(editor, "Only itself")
    assert editor.evaluate("document.documentElement.scrollWidth <= innerWidth")
    found = editor.locator(".pattern").bounding_box()
    assert found["width"] > 290
    assert editor.locator(".pattern").evaluate("e => getComputedStyle(e).touchAction") == "none"
    below = editor.locator("#pattern-state").bounding_box()
    assert 0 < below["y"] - found["y"] - found["height"] < 160  # the numbers are close to the picture
    stroke(editor, (4, 20), (9, 20))
    assert seen(editor)[4:10, 20].all()
    editor.set_viewport_size({"width": 1280, "height": 900})

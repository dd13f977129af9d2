"""Looks of every view: no serious finding of axe, no target too small, no overflow in width, and pictures as recorded.

Machines have different fonts, so the comparison does not depend on them: it takes the horizontal places and the vertical
order of the page's parts, and the pictures without their letters, a few cells wide. After an intended change,
``GRAPHATTEND_LOOKS=write`` rewrites ``looks/`` (and writes whole screenshots to ``build/screenshots/``).
"""

import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from demo_pages import VIEWS, go, packed, serious, settle
from PIL import Image
from playwright.sync_api import Page, expect

ROOT = Path(__file__).resolve().parent.parent.parent
LOOKS = Path(__file__).parent / "looks"
SHOTS = ROOT / "build" / "screenshots"
WRITE = os.environ.get("GRAPHATTEND_LOOKS") == "write"

#: Colour schemes and sizes.
LOOK = {"light": ("light", 1280, 900), "dark": ("dark", 1280, 900), "phone": ("light", 360, 740)}
#: Number of cells of a picture's thumbnail; largest difference of a cell and of the mean, of 255.
CELLS, MOST, MEAN = 20, 60, 6

SMALL = """() => [...document.querySelectorAll('button, select, input, textarea, summary, nav a, a.button')].filter(e => {
  const box = (e.matches('label.button input') ? e.closest('label') : e).getBoundingClientRect();
  return box.width > 0 && (box.height < 24 || box.width < 24); }).map(e => e.outerHTML.slice(0, 120))"""
PARTS = """() => [...document.querySelectorAll('header, nav, .side, main section, main figure, #share, footer')]
  .map(e => [e, e.getBoundingClientRect()]).filter(([e, box]) => box.width > 0 && box.height > 0)
  .map(([e, box]) => ({ name: e.id || e.ariaLabel || e.className || e.localName, left: box.left, width: box.width,
                        top: box.top + scrollY }))"""
PICTURES = """() => [...document.querySelectorAll('main svg, main canvas')].map(e => e.getBoundingClientRect())
  .filter(box => box.width > 90 && box.height > 90).map(b => [b.left + scrollX, b.top + scrollY, b.right + scrollX, b.bottom + scrollY])"""
#: Hides letters, which depend on the machine.
WORDLESS = """on => { const sheet = new CSSStyleSheet();
  sheet.replaceSync('svg text { visibility: hidden } .zoom { visibility: hidden }');
  document.adoptedStyleSheets = on ? [sheet] : []; }"""


def own_graph() -> str:
    """Return a small graph for the address; the page computes the same vectors and places on every machine."""
    graph = nx.florentine_families_graph()
    names = list(graph)
    rows = [[names.index(n) for n in graph[name]] for name in names]
    content = {
        "title": "Florentine families",
        "nodes": names,
        "degrees": [len(row) for row in rows],
        "indices": [j for row in rows for j in row],
        "weights": None,
        "edges": graph.number_of_edges(),
    }
    return f"graph=shared&data={packed(content)}"


def address(view: str) -> str:
    """Return the address of a state of the view that shows everything."""
    graph = {"search": "graph=hnsw", "geometry": "graph=animals&node=mammal"}.get(view, own_graph())
    return f"view={view}&{graph}{'&tour=3' if view == 'attention' else ''}"


@pytest.mark.parametrize("view", VIEWS)
def test_every_view(page: Page, preferring: Callable[..., Page], view: str) -> None:
    go(page, address(view))
    expect(page.get_by_text("Opening…")).to_have_count(0)
    settle(page)
    found = {name: look(preferring(color_scheme=LOOK[name][0]), view, name) for name in LOOK}
    if WRITE:
        write(view, found)
    assert {name: parts for name, (parts, _) in found.items()} == read_parts(view)
    for name, (_, likeness) in found.items():
        off = np.abs(likeness.astype(float) - read_likeness(view, name))
        assert off.mean() <= MEAN, f"{name}: the pictures are off by {off.mean():.1f} in the mean"
        assert off.max() <= MOST, f"{name}: a cell is off by {off.max():.0f}"


def look(page: Page, view: str, name: str) -> tuple[list[list], np.ndarray]:
    """Return the page's parts in order, with places in sixths of the width, and thumbnails of the pictures."""
    scheme, width, height = LOOK[name]
    page.set_viewport_size({"width": width, "height": height})
    page.evaluate("new Promise(resolve => requestAnimationFrame(() => requestAnimationFrame(resolve)))")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{view} is wider than {width} pixels"
    colours = page.evaluate("[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]")
    ink, ground = (sum(map(int, c[4:-1].split(","))) / 765 for c in colours)
    assert (ink - ground if scheme == "dark" else ground - ink) > 0.6
    assert page.evaluate(SMALL) == []
    if name != "phone":
        assert serious(page) == []
    if WRITE:
        SHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SHOTS / f"{view}-{name}.png", full_page=True)
    page.evaluate(WORDLESS, True)
    shot = Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("RGB")
    boxes = page.evaluate(PICTURES)
    page.evaluate(WORDLESS, False)
    small = [np.asarray(shot.resize((CELLS, CELLS), Image.Resampling.BOX, box=fit(box, shot.size))) for box in boxes]
    likeness = np.concatenate(small, axis=1) if small else np.zeros((1, 1, 3), np.uint8)
    parts = sorted(page.evaluate(PARTS), key=lambda part: (round(part["top"] / 4), part["left"]))
    return [
        [part["name"], round(6 * part["left"] / width), round(6 * part["width"] / width)] for part in parts
    ], likeness


def fit(box: list[float], size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Clip a box to the screenshot."""
    left, top, right, bottom = box
    return max(0, left), max(0, top), min(size[0], right), min(size[1], bottom)


def write(view: str, found: dict[str, tuple[list[list], np.ndarray]]) -> None:
    LOOKS.mkdir(exist_ok=True)
    parts = {name: parts for name, (parts, _) in found.items()}
    lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(rows, ensure_ascii=False)}" for name, rows in parts.items())
    (LOOKS / f"{view}.json").write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
    for name, (_, likeness) in found.items():
        Image.fromarray(likeness).save(LOOKS / f"{view}-{name}.png", optimize=True)


def read_parts(view: str) -> dict[str, list[list]]:
    return json.loads((LOOKS / f"{view}.json").read_text(encoding="utf-8"))


def read_likeness(view: str, name: str) -> np.ndarray:
    return np.asarray(Image.open(LOOKS / f"{view}-{name}.png").convert("RGB"), float)

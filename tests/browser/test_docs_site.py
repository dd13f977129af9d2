"""The documentation site in Chromium or Firefox: examples that run, a strict policy, no other origins, search from disk, axe."""

import gzip
import io
import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import build_docs
import numpy as np
import pytest
from demo_pages import Browsers, opened, serious
from docsite import moving
from PIL import Image
from playwright.sync_api import Page, expect

POLICY = (
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"
)
#: Resources that block rendering: style sheets, and scripts without `defer` or `async`.
BLOCKING = """() => [...document.querySelectorAll('link[rel=stylesheet], script[src]:not([defer], [async], [type=module])')]
  .map(e => e.href ?? e.src)"""
#: Pages that readers open first.
STARTS = ["start/python.html", "start/web-page.html", "start/nodejs.html"]
START = STARTS[0]


class Handler(SimpleHTTPRequestHandler):
    """Serves the site under a policy that forbids scripts in pages and other origins."""

    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", POLICY)
        super().end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture(scope="module")
def site() -> Path:
    return build_docs.build(live=True).parent


@pytest.fixture(scope="module")
def docs(site: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def page(browser: Browsers, docs: str) -> Iterator[Page]:
    complaints: list[str] = []
    page = opened(browser, docs, complaints)
    yield page
    page.context.close()
    assert complaints == []


def test_blocks_run_and_can_be_edited(page: Page, docs: str) -> None:
    page.goto(f"{docs}{START}")
    blocks = page.locator("live-example")
    expect(blocks.first.locator(".live-output")).to_be_empty()
    assert not any("pyodide" in entry for entry in page.evaluate("performance.getEntries().map(e => e.name)"))
    blocks.nth(1).locator("button").click()  # also runs the first block, whose graph it needs
    expect(blocks.nth(1).locator("button")).to_have_text("Run again", timeout=90_000)
    assert "cid" in blocks.nth(0).inner_text() or "ann" in blocks.nth(0).locator(".live-output").inner_text()
    expect(blocks.nth(1).locator(".live-output")).to_have_text("Done; nothing was printed.")
    pre = blocks.nth(1).locator("pre")
    pre.evaluate("e => { e.textContent = 'print(graph.num_nodes)' }")
    pre.press("Control+Enter")
    output = blocks.nth(1).locator(".live-output")
    expect(output).to_have_text("6")
    assert float(output.get_attribute("data-milliseconds") or "inf") < 1500
    pre.evaluate("e => { e.textContent = 'ga.create(\"none\", 2)' }")
    pre.press("Control+Enter")
    expect(output).to_contain_text("InvalidConfigError")


def test_examples_of_the_reference_run(page: Page, docs: str) -> None:
    page.goto(f"{docs}mechanisms/hyperbolic.html")
    block = page.locator("live-example").first
    block.locator("button").click()
    expect(block.locator(".live-output")).to_have_text("array([0.136, 0.864])", timeout=90_000)


def test_examples_find_their_data_and_say_what_a_page_lacks(page: Page, docs: str) -> None:
    page.goto(f"{docs}examples/karate_club.html")
    block = page.locator("live-example")
    block.locator("button").click()
    output = block.locator(".live-output")
    expect(output).to_contain_text("in their party", timeout=90_000)
    block.locator("pre").evaluate("e => { e.textContent = 'import torch' }")
    block.locator("button").click()
    expect(output).to_have_text("This block needs torch, which is not in this page. Run it in a Python that has it.")
    page.goto(f"{docs}examples/cora.html")
    expect(page.locator("article")).to_contain_text("does not run in this page")
    assert page.locator("div.highlight-python").count() == 1
    assert page.locator("live-example").count() == 0


def test_search_and_pages_work_from_disk(browser: Browsers, site: Path) -> None:
    complaints: list[str] = []
    page = opened(browser, "file:", complaints)
    page.goto((site / "search.html").as_uri() + "?q=hyperbolic")
    expect(page.locator("#search-results li").first).to_be_visible()
    page.goto((site / "mechanisms" / "hyperbolic.html").as_uri())
    expect(page.locator("math").first).to_be_visible()
    assert page.locator("live-example").count() == 0
    page.context.close()
    assert complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "name",
    [
        "index.html",
        *STARTS,
        "attention.html",
        "geometry.html",
        "mechanisms/index.html",
        "mechanisms/hyperbolic.html",
        "move.html",
        "api/python/graphattend.functional.html",
        "benchmarks.html",
    ],
)
def test_axe_finds_nothing_serious(browser: Browsers, docs: str, name: str, scheme: str) -> None:
    page = browser.new_page(color_scheme=scheme)
    page.goto(f"{docs}{name}")
    assert serious(page) == []
    page.context.close()


def test_nothing_is_wider_than_a_phone(browser: Browsers, docs: str) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 800})
    for name in (
        "index.html",
        START,
        "geometry.html",
        "mechanisms/index.html",
        "move.html",
        "formats.html",
        "api/typescript/kernels.html",
    ):
        page.goto(f"{docs}{name}")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, name
    page.context.close()


def shadows(page: Page, selector: str, scrolled: float) -> tuple[bool, bool]:
    """Return whether a scrolled element's left and right edges are shaded; `scrolled` is a share of the way."""
    part = page.locator(selector).first
    part.evaluate("(e, share) => { e.scrollLeft = share * (e.scrollWidth - e.clientWidth) }", scrolled)
    page.add_style_tag(content=f"{selector} *, {selector} *::before {{ visibility: hidden !important }}")
    pixels = np.asarray(Image.open(io.BytesIO(part.screenshot())).convert("L"), float)
    middle = pixels[:, pixels.shape[1] // 2].mean()
    left, right = (abs(pixels[:, side].mean() - middle) > 5 for side in (2, -3))
    return bool(left), bool(right)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_can_be_scrolled_is_shaded_where_there_is_more(browser: Browsers, docs: str, scheme: str) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 800}, color_scheme=scheme)
    page.goto(f"{docs}errors.html")
    wide = ".table-wrapper:has(td:nth-child(4))"
    assert [shadows(page, wide, share) for share in (0, 0.5, 1)] == [(False, True), (True, True), (True, False)]
    page.locator(wide).first.focus()
    page.keyboard.press("ArrowLeft")
    page.wait_for_function(
        "e => e.scrollLeft < e.scrollWidth - e.clientWidth - 1", arg=page.locator(wide).first.element_handle()
    )
    page.set_viewport_size({"width": 2400, "height": 800})
    assert shadows(page, wide, 0) == (False, False)
    page.context.close()


@pytest.mark.parametrize("name", STARTS)
def test_a_start_page_is_light(page: Page, docs: str, name: str) -> None:
    """A page has at most 200 kB before the first run; on a slow mobile connection it paints within a second.

    The connection is Lighthouse's: 150 ms round trip, 1.6 Mbit/s. The estimate counts three round trips (connection, page,
    blocking resources) and all bytes that the first paint needs.
    """
    bodies: dict[str, bytes] = {}
    page.on("response", lambda response: bodies.update({response.url: response.body()}))
    page.goto(f"{docs}{name}")
    page.wait_for_load_state("networkidle")
    assert sum(map(len, bodies.values())) <= 200_000
    blocking = page.evaluate(BLOCKING)
    assert len(blocking) >= 3
    needed = sum(len(gzip.compress(bodies[url])) for url in [f"{docs}{name}", *blocking])
    assert 3 * 0.150 + 8 * needed / 1.6e6 < 1


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
@pytest.mark.parametrize("name", [*moving.PICTURES])
def test_pictures_move_unless_asked_not_to(browser: Browsers, site: Path, name: str, motion: str) -> None:
    page = browser.new_page(reduced_motion=motion)
    page.goto((site / "_images" / f"{name}.svg").as_uri())
    assert (page.evaluate("document.getAnimations().length") > 0) == (motion == "no-preference")
    page.context.close()


def test_pages_hold_no_scripts(site: Path) -> None:
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"<script>|<script(?![^>]*\bsrc=)[^>]*>\s*\S", text), path
        assert not re.search(r'(?:src|href)="(?:https?:)?//[^"]+\.(?:js|css|woff2?)"', text), path

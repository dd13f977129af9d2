"""Helpers for the demo's tests: pages that record errors, waiting, and the results of native Python."""

import atexit
import base64
import functools
import gzip
import hashlib
import json
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import browsers
import chromium
import demo_data
import firefox
from playwright.sync_api import Browser, Locator, Page, Playwright, expect

from graphattend.analysis import analyze_file

DRAWN = "[...document.querySelectorAll('.edge')].map(e => [e.dataset.from, e.dataset.to, Number(e.dataset.weight)])"
VIEWS = ["attention", "compare", "move", "geometry", "heads", "sparse", "search", "train", "speed", "guide"]
Weights = dict[tuple[str, str], float]

#: What a reader may prefer, the default first: by Playwright's name, the media feature, and Firefox's preference for it.
PREFERENCES: dict[str, tuple[str, str, dict[str, int]]] = {
    "color_scheme": (
        "prefers-color-scheme",
        "layout.css.prefers-color-scheme.content-override",
        {"light": 1, "dark": 0},
    ),
    "reduced_motion": ("prefers-reduced-motion", "ui.prefersReducedMotion", {"no-preference": 0, "reduce": 1}),
}

#: Preferences of every Firefox: scrollbars take no space, as on phones and in Playwright's Chromium; a saved file does
#: not open the list of downloads, which would take the focus from the page.
ALWAYS = {"ui.useOverlayScrollbars": 1, "browser.download.alwaysOpenPanel": False}

#: Hash of the empty style that Playwright adds for each screenshot in Firefox, which reports that the policy blocks it.
PLAYWRIGHTS_STYLE = base64.b64encode(hashlib.sha256(b"body {}").digest()).decode()

AXE = Path(__file__).resolve().parent.parent / "web" / "node_modules" / "axe-core" / "axe.min.js"
SERIOUS = """async () => (await axe.run(document, { resultTypes: ['violations'] })).violations
  .filter(v => ['serious', 'critical'].includes(v.impact))
  .map(v => `${v.id}: ${v.nodes.length} × ${v.nodes[0].html.slice(0, 160)} ${v.nodes[0].failureSummary.slice(0, 300)}`)"""


@functools.cache
def downloads() -> Path:
    """Return the folder in which Firefox saves files until the tests end."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


class Browsers:
    """Opens pages in Chromium, or in Firefox if GRAPHATTEND_BROWSER names it.

    Chromium emulates what a reader prefers; for Firefox, WebDriver BiDi does not, so each choice has a Firefox of its own.
    """

    def __init__(self, playwright: Playwright) -> None:
        self.playwright = playwright
        self.launched: dict[tuple[str, ...], Browser] = {}
        self.emulates = os.environ.get("GRAPHATTEND_BROWSER") != "firefox"

    def launch(self, choices: tuple[str, ...]) -> Browser:
        """Launch Chromium, or a Firefox that prefers these."""
        if self.emulates:
            return self.playwright.chromium.launch(executable_path=chromium.find(), args=chromium.FLAGS)
        chosen = {name: values[choice] for (_, name, values), choice in zip(PREFERENCES.values(), choices, strict=True)}
        options = browsers.FIREFOX | {"firefox_user_prefs": browsers.FIREFOX["firefox_user_prefs"] | ALWAYS | chosen}
        return self.playwright.firefox.launch(executable_path=firefox.find(), downloads_path=downloads(), **options)

    def new_page(self, **options: Any) -> Page:
        """Open a page, as Playwright's browsers do."""
        choices = tuple(options.get(kind, next(iter(values))) for kind, (_, _, values) in PREFERENCES.items())
        key = () if self.emulates else choices
        if key not in self.launched:
            self.launched[key] = self.launch(choices)
        page = self.launched[key].new_page(**options)
        for (feature, _, _), choice in zip(PREFERENCES.values(), choices, strict=True):
            assert page.evaluate(f"matchMedia('({feature}: {choice})').matches"), f"{feature} is not {choice}"
        return page

    def close(self) -> None:
        """Close all browsers."""
        for browser in self.launched.values():
            browser.close()


def opened(browser: Browsers, address: str, complaints: list[str], **options: Any) -> Page:
    """Open a page that records errors; service workers are blocked by default."""
    page = browser.new_page(**{"service_workers": "block", **options})
    page.set_default_timeout(60_000)

    def complain(text: str) -> None:
        if PLAYWRIGHTS_STYLE not in text:
            complaints.append(text)

    page.on("console", lambda message: complain(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complain((error.stack or str(error))[:600]))
    page.on("requestfailed", lambda request: complain(f"failed: {request.url}"))

    def local(request: Any) -> None:
        if not request.url.startswith((address, "blob:", "data:")):
            complain(f"elsewhere: {request.url}")

    page.context.on("request", local)
    return page


def serious(page: Page) -> list[str]:
    """Return axe's serious findings. Axe is evaluated, because the page's policy blocks scripts of others."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    return page.evaluate(SERIOUS)


def settle(page: Page) -> None:
    """Wait until Python has started and compared all mechanisms, and no computation is pending."""
    expect(page.locator("#footer")).to_contain_text("NumPy", timeout=60_000)
    expect(page.locator("#status, .work")).to_have_count(0, timeout=60_000)
    page.wait_for_selector("main[aria-busy=false]")


def after(page: Page, action: Callable[[], Any]) -> None:
    """Perform an action and wait for its result."""
    before = page.locator("main").get_attribute("data-revision")
    action()
    page.wait_for_selector(f"main[aria-busy=false]:not([data-revision='{before}'])")


def typed(field: Locator, text: str) -> None:
    """Replace the text of a field by typing, then press Enter."""
    field.click()
    field.press("ControlOrMeta+a")
    field.press_sequentially(text)
    field.press("Enter")


def go(page: Page, address: str) -> None:
    """Set the page's state from an address, like a link."""
    after(page, lambda: page.evaluate("hash => { location.hash = '#'; location.hash = hash; }", f"#{address}"))


def saved(page: Page, action: Callable[[], Any]) -> bytes:
    """Perform an action and return the file that the page saves."""
    if page.context.browser.browser_type.name == "chromium":
        with page.expect_download() as download:
            action()
        return Path(download.value.path()).read_bytes()
    # Over WebDriver BiDi, Playwright gets no download events. The file appears in the folder when it is complete.
    folder = downloads()
    known = set(folder.iterdir())
    action()
    for _ in range(300):
        new = [path for path in folder.iterdir() if path not in known]
        if new and all(path.suffix != ".part" and path.stat().st_size for path in new):
            return new[0].read_bytes()
        page.wait_for_timeout(100)
    raise AssertionError("nothing was saved")


def copied_link(page: Page) -> str:
    """Return the state of the page from its link."""
    page.get_by_role("button", name="Copy link").click()
    return page.locator("#code").input_value().partition("#")[2]


def drawn(page: Page) -> Weights:
    """Return the weights in the picture, by names of node and neighbour."""
    return {(source, target): weight for source, target, weight in page.evaluate(DRAWN)}


def native(content: str, key: str, suffix: str = ".json", **options: Any) -> Weights:
    """Compute the same weights by native Python."""
    found = analyze_file(content, suffix=suffix, keys=[key], options=options)["analysis"]
    names, indptr, indices = found["nodes"], found["indptr"], found["indices"]
    weights = found["results"][0]["weights"]
    return {
        (names[i], names[indices[e]]): weights[e]
        for i in range(len(names))
        for e in range(indptr[i], indptr[i + 1])
        if indices[e] != i
    }


def same(found: Weights, wanted: Weights, tolerance: float = 2e-6) -> None:
    """Assert that weights are equal to single precision."""
    assert found.keys() == wanted.keys()
    largest = max(wanted.values())
    for edge, weight in wanted.items():
        assert abs(found[edge] - weight) <= tolerance * max(weight, 1e-3 * largest), edge


def code_size(folder: Path) -> int:
    """Return the gzipped size of the page's code in bytes, without Python."""
    scripts = [path for path in folder.glob("*") if path.suffix in {".js", ".css", ".html"}]
    return sum(len(gzip.compress(path.read_bytes())) for path in scripts)


def packed(value: object) -> str:
    """Encode a value as in the page's address: deflated JSON in URL characters."""
    deflate = zlib.compressobj(wbits=-15)
    data = deflate.compress(json.dumps(value).encode()) + deflate.flush()
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def gallery(name: str) -> dict[str, Any]:
    """Return the page's data of a graph."""
    return json.loads((demo_data.OUT / f"{name}.json").read_text(encoding="utf-8"))


def as_links(name: str) -> dict[str, Any]:
    """Return a graph of the gallery as node-link data."""
    data = gallery(name)
    links = [
        {"source": data["nodes"][j], "target": data["nodes"][i], "weight": data["edgeWeights"][e]}
        for i in range(len(data["nodes"]))
        for e, j in enumerate(data["indices"][data["indptr"][i] : data["indptr"][i + 1]], data["indptr"][i])
    ]
    return {"directed": True, "multigraph": False, "nodes": [{"id": n} for n in data["nodes"]], "links": links}

"""The demo, built and served, in a Chromium or Firefox that reports every error and every request to other origins."""

import dataclasses
import functools
import threading
from collections.abc import Callable, Iterator

import pytest
import serve
from demo_pages import PREFERENCES, Browsers, Weights, drawn, go, opened, settle
from playwright.sync_api import Page, expect, sync_playwright


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """Serve the demo; return its address."""
    with serve.server(0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browsers]:
    """Start a Chromium, or Firefox."""
    with sync_playwright() as playwright:
        browser = Browsers(playwright)
        yield browser
        browser.close()


#: Records the phases of Python's start that the page shows.
PHASES = """new MutationObserver(() => { const now = document.querySelector('.steps .now')?.textContent;
  if (now) (window.seen ??= new Set()).add(now); }).observe(document, {childList: true, subtree: true, attributes: true})"""


@dataclasses.dataclass
class Start:
    """What the page showed while Python started: the sources of the first and the last answer."""

    phases: list[str]
    early: Weights
    early_by: str
    early_footer: str
    late: Weights
    late_by: str


@pytest.fixture(scope="session")
def started(browser: Browsers, address: str) -> Iterator[tuple[Page, list[str], Start]]:
    """Return a page, its complaints, and its start."""
    complaints: list[str] = []
    page = opened(browser, address, complaints)
    page.add_init_script(PHASES)
    page.goto(f"{address}#mechanism=hyperbolic&option.temperature=0.5")
    page.wait_for_selector("main[data-by] #graph svg")
    main, footer = page.locator("main"), page.locator("#footer")
    early, by, foot = drawn(page), main.get_attribute("data-by"), footer.inner_text()
    settle(page)
    phases = page.evaluate("[...window.seen]")
    yield page, complaints, Start(phases, early, by, foot, drawn(page), main.get_attribute("data-by"))
    page.context.close()


@pytest.fixture(scope="session")
def shared(started: tuple[Page, list[str], Start]) -> tuple[Page, list[str]]:
    """Share one page among all tests, because Python takes seconds to start."""
    return started[:2]


#: Playwright's default size of a page.
SIZE = {"width": 1280, "height": 720}
#: Moves the focus to the start of the page.
TO_START = "document.body.tabIndex = -1; document.body.focus(); document.body.removeAttribute('tabindex')"


@pytest.fixture
def page(shared: tuple[Page, list[str]], address: str) -> Iterator[Page]:
    """Reset the page to its initial state; fail if it has complained by the end of the test."""
    page, complaints = shared
    page.bring_to_front()  # a page that another test left open would have the focus
    page.set_viewport_size(SIZE)
    page.evaluate("location.hash = '#'; location.hash = ''")
    page.evaluate(TO_START)
    expect(page.locator("#mechanism")).to_have_value("scaled_dot_product")
    expect(page.locator(".graph-name")).to_contain_text("Les Misérables")
    expect(page.locator("nav [aria-current]")).to_have_text("Attention")
    settle(page)
    yield page
    found = complaints.copy()
    complaints.clear()  # each test fails only for its own complaints
    assert found == []


@pytest.fixture(scope="session")
def start_like(browser: Browsers, shared: tuple[Page, list[str]], address: str) -> Callable[..., Page]:
    """Return a function that opens a page beside the shared one for a reader who prefers something, and starts it once."""

    @functools.cache
    def start(**preferred: str) -> Page:
        page = opened(browser, address, shared[1], **preferred)
        page.goto(address)
        settle(page)
        return page

    return start


@pytest.fixture
def preferring(browser: Browsers, page: Page, start_like: Callable[..., Page]) -> Iterator[Callable[..., Page]]:
    """Return a function that returns the page as it is for a reader who prefers something."""

    def choose(**preferred: str) -> Page:
        if browser.emulates:
            page.emulate_media(**preferred)
            return page
        if all(choice == next(iter(PREFERENCES[kind][2])) for kind, choice in preferred.items()):
            return page
        other = start_like(**preferred)
        go(other, page.url.partition("#")[2])
        settle(other)
        return other

    yield choose
    page.emulate_media(**{kind: next(iter(values)) for kind, (_, _, values) in PREFERENCES.items()})

"""The demo, built and served, in a Chromium that reports every error and every request to elsewhere."""

import dataclasses
import threading
from collections.abc import Iterator

import pytest
import serve
from demo_pages import Weights, drawn, launch, opened, settle
from playwright.sync_api import Browser, Page, expect, sync_playwright


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """Where the demo is served."""
    with serve.server(0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A Chromium."""
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


#: Notes the phases of Python's start as the page shows them.
PHASES = """new MutationObserver(() => { const now = document.querySelector('.steps .now')?.textContent;
  if (now) (window.seen ??= new Set()).add(now); }).observe(document, {childList: true, subtree: true, attributes: true})"""


@dataclasses.dataclass
class Start:
    """What one saw while Python started: who gave the first answer, and the last."""

    phases: list[str]
    early: Weights
    early_by: str
    early_footer: str
    late: Weights
    late_by: str


@pytest.fixture(scope="session")
def started(browser: Browser, address: str) -> Iterator[tuple[Page, list[str], Start]]:
    """A page, what it complained of, and how it started."""
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
    """One page for all tests, because Python takes seconds to start."""
    return started[:2]


@pytest.fixture
def page(shared: tuple[Page, list[str]], address: str) -> Iterator[Page]:
    """The page as at the start; it must not have complained by the end of the test."""
    page, complaints = shared
    page.evaluate("location.hash = '#'; location.hash = ''")
    expect(page.locator("#mechanism")).to_have_value("scaled_dot_product")
    expect(page.locator(".graph-name")).to_contain_text("Les Misérables")
    expect(page.locator("nav [aria-current]")).to_have_text("Attention")
    settle(page)
    yield page
    found = complaints.copy()
    complaints.clear()  # the next test answers for its own alone
    assert found == []

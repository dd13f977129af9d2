"""The demo, built and served, in a Chromium that reports every error and every request to elsewhere."""

import threading
from collections.abc import Iterator

import pytest
import serve
from demo_pages import launch, opened, settle
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


@pytest.fixture(scope="session")
def shared(browser: Browser, address: str) -> Iterator[tuple[Page, list[str]]]:
    """One page for all tests, because Python takes seconds to start."""
    complaints: list[str] = []
    page = opened(browser, address, complaints)
    page.goto(address)
    settle(page)
    yield page, complaints
    page.context.close()


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
    assert complaints == []

"""The demo, built and served, in a Chromium that reports every error and every request to elsewhere."""

import threading
from collections.abc import Iterator

import chromium
import pytest
import serve
from playwright.sync_api import Browser, Page, sync_playwright

PICTURE = "main[aria-busy=false] #graph svg"


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """Where the demo is served."""
    with serve.server(0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium.find(), args=chromium.FLAGS)
        yield browser
        browser.close()


def opened(browser: Browser, address: str, complaints: list[str], **options: object) -> Page:
    """A page that notes what goes wrong."""
    page = browser.new_page(**options)
    page.set_default_timeout(60_000)
    page.on(
        "console", lambda message: complaints.append(message.text) if message.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.append(f"failed: {request.url}"))

    def local(request: object) -> None:
        if not request.url.startswith((address, "blob:", "data:")):
            complaints.append(f"elsewhere: {request.url}")

    page.context.on("request", local)
    return page


@pytest.fixture(scope="session")
def shared(browser: Browser, address: str) -> Iterator[tuple[Page, list[str]]]:
    """One page for all tests, because Python takes seconds to start."""
    complaints: list[str] = []
    page = opened(browser, address, complaints)
    page.goto(address)
    page.wait_for_selector(PICTURE)
    yield page, complaints
    page.context.close()


@pytest.fixture
def page(shared: tuple[Page, list[str]], address: str) -> Iterator[Page]:
    """The page as at the start; it must not have complained by the end of the test."""
    page, complaints = shared
    page.evaluate("location.hash = ''")
    page.wait_for_selector(PICTURE)
    page.wait_for_function("document.querySelector('#mechanism').value === 'scaled_dot_product'")
    yield page
    assert complaints == []

"""The folder that `make demo` writes works on any static host, in another page's frame, and later without network."""

import functools
import http.server
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import demo
import pytest
from demo_pages import Browsers, code_size, drawn, opened, settle
from playwright.sync_api import expect


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A static host without log and without headers for isolation."""

    extensions_map = {**http.server.SimpleHTTPRequestHandler.extensions_map, ".mjs": "text/javascript"}  # noqa: RUF012

    def log_message(self, *_: object) -> None:
        """Log nothing."""


def hosted(folder: Path) -> http.server.ThreadingHTTPServer:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Serve the demo in a subfolder of a site."""
    site = tmp_path_factory.mktemp("site")
    demo.write(site / "deep" / "demo")
    (site / "other.html").write_text(
        '<!doctype html><script type="module" src="deep/demo/embed.js"></script>'
        '<graph-attention graph="karate" mechanism="hyperbolic" options=\'{"temperature": 0.5}\'></graph-attention>'
    )
    return site


def test_works_without_a_network_after_the_first_visit(browser: Browsers, folder: Path) -> None:
    server = hosted(folder)
    home = f"http://127.0.0.1:{server.server_port}/"
    complaints: list[str] = []
    page = opened(browser, home, complaints, service_workers="allow")
    page.goto(f"{home}deep/demo/")
    settle(page)
    wanted = drawn(page)
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page.reload()
    settle(page)
    assert page.evaluate("crossOriginIsolated")  # the service worker adds the headers
    assert complaints == []
    server.shutdown()
    server.server_close()
    page.reload()
    settle(page)
    assert drawn(page) == wanted
    page.get_by_role("link", name="Geometry").click()
    expect(page.locator("#geometry")).to_be_visible()
    page.context.close()


def test_an_element_for_other_pages(browser: Browsers, folder: Path) -> None:
    server = hosted(folder)
    home = f"http://127.0.0.1:{server.server_port}/"
    page = opened(browser, home, [])
    page.goto(f"{home}other.html")
    frame = page.frame_locator("graph-attention iframe")
    expect(frame.locator(".graph-name")).to_contain_text("Karate club")
    expect(frame.locator("#mechanism")).to_have_value("hyperbolic")
    expect(frame.locator("#option-temperature")).to_have_attribute("aria-valuetext", "0.5")
    assert frame.locator("header, nav").count() == 0
    page.context.close()
    server.shutdown()
    server.server_close()


def test_small_and_self_contained(folder: Path) -> None:
    page = folder / "deep" / "demo"
    size = code_size(page)
    print(f"{size} bytes of page code, gzipped")
    assert size <= 250_000
    index = (page / "index.html").read_text()
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', index)[1]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy
    assert "'unsafe-eval'" not in policy
    assert not re.search(r'(?:src|href)="(?:/|https?:)', index)

"""The demo in WebKitGTK, which only WebDriver drives: it draws, answers, and its numbers equal native Python's."""

import io
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import export_les_miserables
import pytest
import serve
import webkit
from demo_pages import DRAWN, VIEWS, Weights, native, same
from PIL import Image
from selenium.webdriver import ActionChains, Keys, WebKitGTK
from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select
from selenium.webdriver.support.ui import WebDriverWait
from selenium.webdriver.webkitgtk.service import Service

# Selenium warns of itself.
pytestmark = pytest.mark.filterwarnings("ignore:setting remote_server_addr:DeprecationWarning")

#: A script that keeps what goes wrong on the page, which WebDriver does not report.
WATCH = b"""globalThis.complaints = [];
addEventListener("error", (event) => complaints.push(event.message ?? String(event.target)), true);
addEventListener("unhandledrejection", (event) => complaints.push(String(event.reason)));
for (const kind of ["error", "warn"]) console[kind] = (...told) => complaints.push(told.join(" "));
"""
START = 300  # seconds until Python has started; the machine may do other work


class Watched(serve.Handler):
    """Adds that script to the demo."""

    def do_GET(self) -> None:
        """Send the script, the page with it, or a file."""
        if self.path not in ("/", "/watch.js"):
            super().do_GET()
            return
        script, page = '<script src="watch.js"></script>\n<div id="app">', (self.page / "index.html").read_text("utf-8")
        assert page.count('<div id="app">') == 1
        body = WATCH if self.path != "/" else page.replace('<div id="app">', script).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html" if self.path == "/" else "text/javascript")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Page:
    """The demo's page in WebKit."""

    def __init__(self, driver: WebKitGTK) -> None:
        self.driver = driver

    def ask(self, expression: str) -> Any:
        """Return the value of an expression in the page."""
        return self.driver.execute_script(f"return {expression}")

    def until(self, expression: str, seconds: float = 60) -> Any:
        """Wait until an expression is true; return its value."""
        return WebDriverWait(self.driver, seconds, 0.1).until(lambda _: self.ask(expression), expression)

    def one(self, selector: str) -> Any:
        """Return an element."""
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def settle(self) -> None:
        """Wait until Python has started and no computation is pending."""
        self.until("document.querySelector('#footer')?.textContent.includes('NumPy')", START)
        self.until(
            "!document.querySelector('#status, .work') && document.querySelector('main[aria-busy=false]')", START
        )

    def after(self, action: Callable[[], Any]) -> None:
        """Perform an action and wait for its result."""
        before = self.one("main").get_attribute("data-revision")
        action()
        self.until(f"document.querySelector(\"main[aria-busy=false]:not([data-revision='{before}'])\")")

    def go(self, address: str) -> None:
        """Set the page's state from an address, like a link."""
        script = "location.hash = '#'; location.hash = arguments[0]"
        self.after(lambda: self.driver.execute_script(script, f"#{address}"))

    def drawn(self) -> Weights:
        """Return the weights in the picture, by names of node and neighbour."""
        return {(source, target): weight for source, target, weight in self.ask(DRAWN)}


@pytest.fixture(scope="module")
def started() -> Iterator[tuple[Page, Weights, str]]:
    """Open the demo; return it with its first answer and who gave it, before Python had started."""
    path = webkit.driver()
    if path is None:
        pytest.skip("WebKitGTK is not on this machine and cannot be fetched, and Playwright's WebKit has no WebDriver")
    with serve.server(0, Watched) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        driver = WebKitGTK(service=Service(path))
        try:
            driver.set_window_size(1280, 900)
            driver.get(f"http://127.0.0.1:{server.server_port}/")
            page = Page(driver)
            page.until("document.querySelector('main[data-by] #graph svg')")
            early, by = page.drawn(), page.one("main").get_attribute("data-by")
            page.settle()
            yield page, early, by
        finally:
            # Quit ends with a signal for which the process that holds the driver's namespace does not end.
            driver.service.process.kill()
            driver.quit()
            server.shutdown()


@pytest.fixture
def page(started: tuple[Page, Weights, str]) -> Iterator[Page]:
    """Reset the page to its initial state; fail if it has complained by the end of the test."""
    page, _, _ = started
    page.driver.execute_script("location.hash = '#'; location.hash = ''")
    page.until("document.querySelector('#mechanism')?.value === 'scaled_dot_product'")
    page.settle()
    yield page
    assert page.ask("complaints.splice(0)") == []
    assert page.ask("[...document.querySelectorAll('[role=alert]')].map(e => e.textContent).join('')") == ""


def les_miserables() -> str:
    return export_les_miserables.export().read_text()


def test_complaints_are_seen(page: Page) -> None:
    page.driver.execute_script("setTimeout(() => { throw new Error('a'); }); console.error('b'); Promise.reject('c');")
    page.until("complaints.length === 3")
    found = "".join(sorted(page.ask("complaints.splice(0)")))
    assert found.startswith("Error: a")
    assert found.endswith("bc")


def test_answers_before_and_with_python(started: tuple[Page, Weights, str], page: Page) -> None:
    wanted = native(les_miserables(), "scaled_dot_product")
    _, early, by = started
    assert by in ("beforehand", "kernels")
    same(early, wanted, 2e-5)
    same(page.drawn(), wanted)
    assert "NumPy" in page.one("#footer").text
    assert "Cosette" in page.one("#neighbours tbody tr").text


def test_the_picture_is_painted(page: Page) -> None:
    picture = Image.open(io.BytesIO(page.one("#graph svg").screenshot_as_png)).convert("RGB")
    assert min(picture.size) > 300
    colours = picture.getcolors(1 << 24)
    assert len(colours) > 100
    assert max(count for count, _ in colours) < 0.99 * picture.width * picture.height


def test_the_slider_changes_the_picture(page: Page) -> None:
    before = page.drawn()
    slider = page.one("#option-temperature")
    page.after(lambda: slider.send_keys(Keys.ARROW_LEFT * 8))
    value = page.ask("Number(document.querySelector('[aria-label=\"temperature, as a number\"]').value)")
    assert value < 1
    page.until(f"location.hash.includes('option.temperature={value}')")
    page.settle()
    found = page.drawn()
    same(found, native(les_miserables(), "scaled_dot_product", temperature=value))
    assert found["Valjean", "Cosette"] > before["Valjean", "Cosette"]


@pytest.mark.parametrize("key", ["hyperbolic", "multi_head", "structural"])
def test_another_mechanism(page: Page, key: str) -> None:
    # By property, as options whose text is their value have no attribute.
    (option,) = [each for each in Select(page.one("#mechanism")).options if each.get_property("value") == key]
    page.after(option.click)
    page.settle()
    same(page.drawn(), native(les_miserables(), key))
    assert f"mechanism={key}" in page.driver.current_url


def test_a_node_by_click_and_by_key(page: Page) -> None:
    dot = "[...document.querySelectorAll('.dot')].find(e => e.textContent.includes('Gavroche receives'))"
    page.after(lambda: ActionChains(page.driver).click(page.ask(dot)).perform())
    assert page.one("#neighbours h2").text == "Gavroche attends to"
    page.driver.execute_script("document.querySelector('.dot.mine').focus()")
    page.after(lambda: ActionChains(page.driver).send_keys(Keys.ARROW_RIGHT).perform())
    names = [node["id"] for node in json.loads(les_miserables())["nodes"]]
    following = names[(names.index("Gavroche") + 1) % len(names)]
    assert page.one("#neighbours h2").text == f"{following} attends to"


@pytest.mark.parametrize("view", VIEWS)
def test_every_view_opens(page: Page, view: str) -> None:
    page.go(f"view={view}&mechanism=multi_head")
    page.settle()
    page.until("document.querySelector('nav [aria-current]')")
    assert page.one("main").get_attribute("data-view") == view
    assert len(page.one("main").text) > 100


def test_training(page: Page) -> None:
    page.go("view=train&graph=karate")
    button = "[...document.querySelectorAll('button')].find(e => e.textContent === '{}')"
    page.until(button.format("One epoch")).click()
    first = float(page.until("document.querySelector('#train-state').dataset.loss"))
    page.until(button.format("Go on")).click()
    page.until("document.querySelector('#train-state').dataset.epochs >= 20", START)
    page.until(button.format("Pause")).click()
    assert float(page.one("#train-state").get_attribute("data-loss")) < first

"""Finding a browser on machines with none, one on PATH, or one of Playwright."""

import os
from pathlib import Path

import browsers
import chromium
import pytest
import webkit

pytestmark = pytest.mark.native


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Simulate a machine whose PATH is an empty folder, without downloads of Playwright."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path / "browsers"))
    monkeypatch.setattr(chromium, "PROGRAMS", [name for name in chromium.PROGRAMS if not os.path.isabs(name)])
    monkeypatch.delenv("CHROMIUM", raising=False)
    return folder


def program(path: Path) -> str:
    """Create an executable file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(0o755)
    return str(path)


def test_playwrights_browser_is_found_while_playwright_is_open():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        assert chromium.installed() is None
        path = program(Path(playwright.chromium.executable_path))
        assert chromium.find() == path


def test_a_browser_on_path_comes_before_playwrights(bare):
    path = program(bare / "google-chrome")
    assert chromium.find() == path


def test_the_variable_comes_first(bare, monkeypatch, tmp_path):
    program(bare / "chromium")
    monkeypatch.setenv("CHROMIUM", program(tmp_path / "mine"))
    assert chromium.find() == str(tmp_path / "mine")
    monkeypatch.setenv("CHROMIUM", str(tmp_path / "absent"))
    with pytest.raises(SystemExit, match=r"CHROMIUM=.*absent is not a program"):
        chromium.find()


def test_searches_run_in_order_until_one_finds_something():
    asked = []

    def search(answer):
        return lambda: asked.append(answer) or answer

    assert browsers.find("chromium", search(None), search("first"), search("second")) == "first"
    assert asked == [None, "first"]
    with pytest.raises(SystemExit, match=r"No Chromium found .* set CHROMIUM="):
        browsers.find("chromium", search(None))


def test_webkits_driver_is_found_beside_playwrights_webkit(bare, monkeypatch, tmp_path):
    monkeypatch.setattr(webkit, "fetched", lambda: None)
    mine = program(tmp_path / "playwrights" / "pw_run.sh")
    monkeypatch.setenv("WEBKIT", mine)
    assert (webkit.find(), webkit.driver()) == (mine, None)
    monkeypatch.setattr(webkit, "fetched", lambda: "fetched")
    assert webkit.driver() == "fetched"
    on_path = program(bare / "WebKitWebDriver")
    assert (webkit.find(), webkit.driver()) == (mine, on_path)
    monkeypatch.setenv("WEBKIT", given := program(tmp_path / "WebKitWebDriver"))
    assert (webkit.find(), webkit.driver()) == (given, given)

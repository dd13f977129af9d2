"""How smoothly the demo moves in Chromium: frames a second and the longest task while one drags, and how soon large graphs show.

``python -m benchmarks.demo`` builds and serves the page, drives it as a visitor would, and writes
``benchmarks/results/demo.json``. Nothing else should run on the machine.
"""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import serve  # noqa: E402
from demo_pages import go, launch, opened, settle  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "demo.json"
FRAMES = 120
WATCH = """() => { window.tasks = []; window.times = [];
  new PerformanceObserver(list => tasks.push(...list.getEntries().map(e => e.duration))).observe({ type: 'longtask' });
  const next = now => { times.push(now); window.watching = requestAnimationFrame(next); }; requestAnimationFrame(next); }"""
SEEN = """() => { cancelAnimationFrame(watching); const span = times.at(-1) - times[0];
  return { frames_per_second: Math.round(10 * 1000 * (times.length - 1) / span) / 10,
           longest_task_ms: Math.round(Math.max(0, ...tasks)) }; }"""


def dragged(page: Page, selector: str) -> dict[str, float]:
    """Drag an element along a circle."""
    box = page.locator(selector).first.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.evaluate(WATCH)
    for step in range(FRAMES):
        angle = 2 * np.pi * step / FRAMES
        page.mouse.move(x + 60 * np.sin(angle), y + 60 * (1 - np.cos(angle)))
    page.mouse.up()
    return dict(page.evaluate(SEEN))


def zoomed(page: Page) -> dict[str, float]:
    """Zoom in and out by keys."""
    page.locator(".dot.mine").focus()
    page.evaluate(WATCH)
    for step in range(FRAMES):
        page.keyboard.press("+" if step % 40 < 20 else "-")
    return dict(page.evaluate(SEEN))


def large(page: Page, nodes: int, degree: int) -> dict[str, float]:
    """Open a graph of so many nodes: when it is drawn and when it is attended, after its file was read."""
    rng = np.random.default_rng(0)
    source = np.repeat(np.arange(nodes), degree)
    target = (source + rng.integers(1, 60, source.size)) % nodes
    lines = b"".join(b"n%d n%d\n" % pair for pair in zip(source, target, strict=True))
    page.evaluate(
        """() => { window.at = {}; new MutationObserver(() => { const now = performance.now();
          if (document.querySelector('#file')?.textContent.includes('large.txt ·')) at.read ??= now;
          if (at.read && document.querySelector('canvas[data-painted]')) at.drawn ??= now;
          if (at.read && document.querySelector('main[data-by]')) at.attended ??= now;
        }).observe(document, { childList: true, subtree: true, attributes: true, characterData: true }); }"""
    )
    page.locator("#graph-file").set_input_files({"name": "large.txt", "mimeType": "text/plain", "buffer": lines})
    page.wait_for_function("() => at.drawn && at.attended")
    found = page.evaluate("at")
    times = {f"{name}_s": round((found[name] - found["read"]) / 1000, 2) for name in ("drawn", "attended")}
    return times | zoomed(page)


def measure() -> dict[str, Any]:
    """Every figure, by what one does."""
    with serve.server(0) as server, sync_playwright() as playwright:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/"
        browser = launch(playwright)
        page = opened(browser, address, [])
        page.goto(address)
        page.wait_for_selector("main[data-by] #graph svg")
        first = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
        settle(page)
        out: dict[str, Any] = {
            "browser": browser.version,
            "first_paint_ms": round(first),
            "drag_node": dragged(page, ".dot[data-node='20']"),
        }
        go(page, "view=move&node=Marius&space=disk")
        out["drag_point"] = dragged(page, ".handle[data-name=Cosette]")
        go(page, "")
        out["nodes_5000"] = large(page, 5000, 4)
        go(page, "graph=karate")
        out["edges_100000"] = large(page, 5000, 20)
        browser.close()
        server.shutdown()
    return out


if __name__ == "__main__":
    RESULTS.write_text(json.dumps(measure(), indent=1) + "\n", encoding="utf-8")
    print(RESULTS.read_text(encoding="utf-8"))

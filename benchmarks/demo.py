"""Speed of the demo in Chromium against its targets: first paint, first answers, sliders, drags, large graphs, size.

``python -m benchmarks.demo`` builds and serves the page, drives it as a visitor would, prints every figure with its
target, and writes ``benchmarks/results/demo.json``. Nothing else should run on the machine.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import serve  # noqa: E402
from demo_pages import code_size, go, launch, opened, settle  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "demo.json"
FRAMES, ROUNDS = 120, 3
WATCH = """() => { window.tasks = []; window.times = [];
  window.observer = new PerformanceObserver(list => tasks.push(...list.getEntries().map(e => e.duration)));
  observer.observe({ type: 'longtask' });
  const next = now => { times.push(now); window.watching = requestAnimationFrame(next); }; requestAnimationFrame(next); }"""
SEEN = """() => { cancelAnimationFrame(watching); tasks.push(...observer.takeRecords().map(e => e.duration)); observer.disconnect();
  return [1000 * (times.length - 1) / (times.at(-1) - times[0]), Math.max(0, ...tasks)]; }"""
#: Records when the page shows the kernels' first answer.
ANSWERED = """new MutationObserver(() => {
  if (document.querySelector('main[data-by=kernels] #graph .edge.mine')) window.answered ??= performance.now();
}).observe(document, { childList: true, subtree: true, attributes: true })"""
#: Records when a file was chosen, when its graph was drawn, and when its attention was shown.
OPENED = """() => { window.at = {};
  document.querySelector('#graph-file').addEventListener('change', () => { at.given ??= performance.now(); }, true);
  new MutationObserver(() => { const now = performance.now();
    if (!document.querySelector('#file')?.textContent.includes('large.txt ·')) return;
    if (document.querySelector('canvas[data-painted]')) at.drawn ??= now;
    if (document.querySelector('main[data-by]')) at.attended ??= now;
  }).observe(document, { childList: true, subtree: true, attributes: true, characterData: true }); }"""
SLID = """async positions => { const slider = document.querySelector('#option-temperature'), main = document.querySelector('main'),
    out = [], wait = ms => new Promise(resolve => setTimeout(resolve, ms));
  for (const position of positions) {
    const before = main.dataset.revision, begin = performance.now();
    slider.value = position;
    slider.dispatchEvent(new Event('input', { bubbles: true }));
    while (main.dataset.revision === before) await wait(0);
    if (main.dataset.by !== 'kernels') throw new Error(`answered by ${main.dataset.by}`);
    await new Promise(requestAnimationFrame);
    await wait(0);
    out.push(performance.now() - begin);
    await wait(200);
  }
  return out; }"""


@dataclasses.dataclass
class Figure:
    """A measured number with its upper or lower bound."""

    what: str
    value: float
    unit: str
    target: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether the target is met."""
        return self.value >= self.target if self.at_least else self.value <= self.target

    def __str__(self) -> str:
        bound = f"{'≥' if self.at_least else '≤'} {self.target:g} {self.unit}"
        return f"{self.what:<58}{self.value:>9.1f} {self.unit:<4}  {bound:<11} {'met' if self.met else 'MISSED'}"


def first(browser: Browser, address: str) -> Iterator[Figure]:
    """Measure the first paint and the kernels' first answer, with an empty and a full cache, each in a new tab."""
    times: dict[str, list[list[float]]] = {"cold": [], "warm": []}
    for _ in range(ROUNDS):
        context = browser.new_context(service_workers="block")
        context.add_init_script(ANSWERED)
        for found in times.values():
            page = context.new_page()
            page.goto(f"{address}#mechanism=hyperbolic&option.temperature=0.5")
            page.wait_for_function("() => window.answered")
            found.append(
                page.evaluate("[performance.getEntriesByName('first-contentful-paint')[0].startTime, answered]")
            )
            page.close()
        context.close()
    for cache, found in times.items():
        paint, answer = (statistics.median(column) for column in zip(*found, strict=True))
        yield Figure(f"first paint, {cache} cache", paint, "ms", 300)
        yield Figure(f"first live answer, {cache} cache", answer, "ms", 1000 if cache == "cold" else 500)


def smooth(what: str, page: Page, act: Callable[[int], Any], least: float) -> Iterator[Figure]:
    """Measure frames per second (median of the rounds) and the longest task (worst round) while `act` runs in steps."""
    rounds = []
    for _ in range(ROUNDS):
        page.evaluate(WATCH)
        for step in range(FRAMES):
            act(step)
        rounds.append(page.evaluate(SEEN))
    yield Figure(f"{what}: frames a second", statistics.median(r[0] for r in rounds), "/s", least, at_least=True)
    yield Figure(f"{what}: longest task", max(r[1] for r in rounds), "ms", 50)


def dragged(what: str, page: Page, selector: str) -> Iterator[Figure]:
    """Drag an element along a circle."""
    box = page.locator(selector).first.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    angles = 2 * np.pi * np.arange(FRAMES) / FRAMES
    page.mouse.move(x, y)
    page.mouse.down()
    yield from smooth(
        what, page, lambda i: page.mouse.move(x + 60 * np.sin(angles[i]), y + 60 * (1 - np.cos(angles[i]))), 55
    )
    page.mouse.up()


def upload(page: Page, nodes: int, degree: int) -> None:
    """Open a graph with this many nodes, whose neighbours have close numbers."""
    rng = np.random.default_rng(0)
    source = np.repeat(np.arange(nodes), degree)
    target = (source + rng.integers(1, 60, source.size)) % nodes
    lines = b"".join(b"n%d n%d\n" % pair for pair in zip(source, target, strict=True))
    page.locator("#graph-file").set_input_files({"name": "large.txt", "mimeType": "text/plain", "buffer": lines})


def large(page: Page, nodes: int, degree: int) -> dict[str, float]:
    """Open a large graph and wait for its picture; return the seconds since its file was chosen."""
    go(page, "graph=karate")
    page.evaluate(OPENED)
    upload(page, nodes, degree)
    page.wait_for_function("() => at.drawn && at.attended")
    at = page.evaluate("at")
    return {name: (at[name] - at["given"]) / 1000 for name in ("drawn", "attended")}


def figures(browser: Browser, address: str) -> Iterator[Figure]:
    """Yield each figure as it is measured."""
    yield Figure("page code without Python, gzipped", code_size(serve.build()) / 1000, "kB", 250)
    yield from first(browser, address)
    page = opened(browser, address, [])
    page.goto(address)
    settle(page)
    yield from dragged("drag of a node", page, ".dot[data-node='20']")
    go(page, "view=move&node=Marius&space=disk")
    yield from dragged("drag of a point, weights by the kernels", page, ".handle[data-name=Cosette]")
    go(page, "view=sparse")
    yield from dragged("drawing a sparse pattern", page, ".pattern")
    go(page, "graph=karate")
    upload(page, 1000, 4)
    page.wait_for_selector("#file:has-text('large.txt ·')")
    settle(page)
    page.get_by_label("Mechanism", exact=True).select_option("hyperbolic")
    settle(page)
    slid = page.evaluate(SLID, list(range(2, 47, 3)))  # not 50, the default, whose weights are cached
    yield Figure("slider to new weights of 1 000 nodes, median", statistics.median(slid), "ms", 100)
    yield Figure("slider to new weights of 1 000 nodes, slowest", max(slid), "ms", 100)
    times = large(page, 5000, 4)
    yield Figure("5 000 nodes drawn, from the file", times["drawn"], "s", 2)
    yield Figure("5 000 nodes attended, from the file", times["attended"], "s", 3)
    large(page, 5000, 20)
    page.locator(".dot.mine").focus()
    yield from smooth("zoom over 100 000 edges", page, lambda i: page.keyboard.press("+" if i % 40 < 20 else "-"), 30)
    yield from dragged("drag of a node among 100 000 edges", page, ".dot.mine")


def main() -> None:
    """Measure, print and write the figures."""
    with serve.server(0) as server, sync_playwright() as playwright:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = launch(playwright)
        found = []
        for figure in figures(browser, f"http://127.0.0.1:{server.server_port}/"):
            print(figure, flush=True)
            found.append(dataclasses.asdict(figure) | {"met": figure.met})
        out = {"browser": browser.version, "figures": found}
        browser.close()
        server.shutdown()
    RESULTS.write_text(json.dumps(out, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{sum(f['met'] for f in found)} of {len(found)} targets met; {RESULTS.relative_to(ROOT)}")


if __name__ == "__main__":
    main()

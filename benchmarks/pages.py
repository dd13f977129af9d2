"""Loading times of the start pages: bytes, the first paint, and the answers of the code blocks that run in the page.

``python -m benchmarks.pages`` builds the site, serves it as a static host does (gzip), and opens each start page in a Chromium
with an empty cache, on this machine and over Lighthouse's slow connection (150 ms there and back, 1.6 Mbit/s). Then it runs every
block of every page. It prints the figures, and writes ``benchmarks/results/pages.json`` and the table in
``docs/decisions.md``. With names of pages, only these are measured anew.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
import build_docs  # noqa: E402
from demo_pages import launch  # noqa: E402

from . import report  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "pages.json"
PAGE = ROOT / "docs" / "decisions.md"
STARTS = ["start/python", "start/web-page", "start/nodejs"]
ROUNDS = 5
WITHIN = 1500  # ms from Python's start to the answer of a block
SLOW = {"offline": False, "latency": 150, "downloadThroughput": 1.6e6 / 8, "uploadThroughput": 750e3 / 8}
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
#: Runs every block in turn; returns the milliseconds, and the message if it failed.
RUN = """async () => { const out = [];
  for (const block of document.querySelectorAll('live-example')) {
    if (block.console || block.ran === undefined) await block.run();
    const { dataset, classList, textContent } = block.output;
    out.push([Number(dataset.milliseconds), classList.contains('live-failed') ? textContent : '']);
  } return out; }"""


class Handler(SimpleHTTPRequestHandler):
    """A static host with compressed text and persistent connections."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Send a file."""
        path = Path(self.translate_path(self.path))
        path = path / "index.html" if path.is_dir() else path
        if not path.is_file():
            return self.send_error(404)
        kind, content = self.guess_type(str(path)), path.read_bytes()
        packed = kind.startswith("text/") or path.suffix in {".js", ".svg", ".json"}
        content = gzip.compress(content, 6) if packed else content
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if packed:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def served(site: Path) -> Iterator[str]:
    """Serve the site at the returned address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(site))) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def opened(browser: Browser, address: str, connection: dict[str, Any] | None) -> tuple[float, int]:
    """Return the milliseconds to the first paint with an empty cache, and the bytes sent until the network was idle."""
    context = browser.new_context()
    page = context.new_page()
    wire: list[int] = []
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    session.on("Network.loadingFinished", lambda event: wire.append(event["encodedDataLength"]))
    if connection:
        session.send("Network.emulateNetworkConditions", connection)
    page.goto(address)
    page.wait_for_load_state("networkidle")
    paint = page.evaluate(PAINT)
    context.close()
    return paint, sum(wire)


def start_page(browser: Browser, address: str) -> dict[str, float]:
    """Measure one start page; return the smallest figures of the rounds."""
    here, slow = (min(opened(browser, address, kind) for _ in range(ROUNDS)) for kind in (None, SLOW))
    return {"paint_ms": here[0], "slow_paint_ms": slow[0], "kilobytes": max(here[1], slow[1]) / 1000}


def run_blocks(browser: Browser, address: str) -> dict[str, Any] | None:
    """Run the blocks of a page; return their times and failures, or None without blocks."""
    page = browser.new_page()
    page.set_default_timeout(300_000)
    page.goto(address)
    answers = page.evaluate(RUN)
    page.context.close()
    if not answers:
        return None
    failed = [said for _, said in answers if said]
    print(
        f"{address}: {len(answers)} blocks, slowest {max(ms for ms, _ in answers)} ms", *failed, sep="\n  ", flush=True
    )
    return {
        "run": len(answers),
        "failed": len(failed),
        "within": sum(ms < WITHIN for ms, _ in answers),
        "slowest_ms": max(ms for ms, _ in answers),
    }


def table(results: dict[str, Any]) -> str:
    """Return the figures as a table, and a summary of the blocks."""
    lines = ["| page | first paint | on a slow connection | before the first run |", "| --- | ---: | ---: | ---: |"]
    for name, found in sorted(results["starts"].items()):
        paint, slow = (f"{found[key] / 1000:.2f} s" for key in ("paint_ms", "slow_paint_ms"))
        lines.append(f"| [{name}]({name}.md) | {paint} | {slow} | {found['kilobytes']:.0f} kB |")
    pages = results["blocks"].values()
    run, failed, within = (sum(page[key] for page in pages) for key in ("run", "failed", "within"))
    slowest = max(page["slowest_ms"] for page in pages) / 1000
    return "\n".join(
        [
            *lines,
            "",
            f"{results['browser']}, an empty cache, the least of {ROUNDS} rounds, {results['date']}. Of the {run} blocks of Python in",
            f"{len(pages)} pages, {run - failed} run, and {within} answer within {WITHIN / 1000:g} s once Python has started; the slowest",
            f"takes {slowest:.1f} s.",
        ]
    )


def main() -> None:
    """Measure, print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", help="pages, such as start/python; default: all")
    parser.add_argument("--built", action="store_true", help="take the site as it was built last")
    given = parser.parse_args()
    site = build_docs.SITE if given.built else build_docs.build(live=True).parent
    every = [path.relative_to(site).with_suffix("").as_posix() for path in sorted(site.rglob("*.html"))]
    results: dict[str, Any] = {"starts": {}, "blocks": {}}
    if given.names:
        results = json.loads(RESULTS.read_text(encoding="utf-8"))
    with served(site) as address, sync_playwright() as playwright:
        browser = launch(playwright)
        results |= {"date": datetime.now(UTC).date().isoformat(), "browser": f"Chromium {browser.version}"}
        for name in given.names or every:
            page = f"{address}{name}.html"
            if name in STARTS:
                results["starts"][name] = start_page(browser, page)
            if (found := run_blocks(browser, page)) is not None:
                results["blocks"][name] = found
        browser.close()
    RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(table(results))
    report.insert(PAGE, table(results))


if __name__ == "__main__":
    main()

"""Addresses, pictures, numbers, programs and frames taken from the page agree with it."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pyodide_dist
import pytest
from demo_pages import after, copied_link, drawn, go, same, saved, settle
from playwright.sync_api import Page, expect

ROOT = Path(__file__).resolve().parent.parent.parent
STATES = ["mechanism=hyperbolic&node=Marius&option.curvature=-2", "node=Marius&masked=Cosette&top=5", "graph=digits"]


def rows(page: Page) -> dict[str, float]:
    """Return the rows of the table of neighbours."""
    found = page.locator("#neighbours tbody tr").all()
    return {r.locator("th").inner_text(): float(r.locator("td").first.inner_text()[:-2]) / 100 for r in found}


def pasted(page: Page, button: str) -> str:
    page.get_by_role("button", name=button).click()
    expect(page.locator("#share [role=status]")).to_contain_text("program")
    return page.locator("#code").input_value()


def agrees(output: str, wanted: dict[str, float]) -> None:
    found = {name: float(weight) for name, weight in (line.rsplit(": ", 1) for line in output.splitlines())}
    assert found == pytest.approx(wanted, abs=6e-4)


@pytest.mark.parametrize("state", STATES)
def test_python_runs_as_pasted(page: Page, tmp_path: Path, state: str) -> None:
    go(page, state)
    settle(page)
    program = tmp_path / "pasted.py"
    program.write_text(pasted(page, "Copy as Python"), encoding="utf-8")
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, check=True)
    agrees(done.stdout, rows(page))


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which graphattend and pyodide are installed."""
    folder = tmp_path_factory.mktemp("project")
    package = folder / "node_modules" / "graphattend"
    shutil.copytree(ROOT / "js" / "dist", package / "dist")
    shutil.copy(ROOT / "js" / "package.json", package)
    os.symlink(pyodide_dist.assemble(), folder / "node_modules" / "pyodide")
    return folder


@pytest.mark.parametrize("state", STATES[:2])
def test_javascript_runs_as_pasted(page: Page, project: Path, state: str) -> None:
    go(page, state)
    settle(page)
    (project / "pasted.mjs").write_text(pasted(page, "Copy as JavaScript"), encoding="utf-8")
    done = subprocess.run(["node", "--no-warnings", "pasted.mjs"], cwd=project, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-400:]
    agrees(done.stdout, rows(page))


def test_files(page: Page) -> None:
    go(page, "mechanism=hyperbolic")
    files = {
        kind: saved(page, page.get_by_role("button", name=kind, exact=True).click)
        for kind in ("SVG", "PNG", "CSV", "JSON")
    }
    table = list(csv.reader(io.StringIO(files["CSV"].decode())))
    assert table[0] == ["from", "to", "weight"]
    same({(a, b): float(w) for a, b, w in table[1:]}, drawn(page))
    data = json.loads(files["JSON"])
    assert (data["mechanism"], len(data["weights"])) == ("hyperbolic", 508)
    picture = ET.fromstring(files["SVG"])
    assert len([e for e in picture.iter() if e.tag.endswith("circle")]) == 77
    assert files["PNG"][:8] == b"\x89PNG\r\n\x1a\n"


def test_a_link_carries_the_graph(page: Page, tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text("source,target,weight\nann,bob,2\nbob,cid,1\ncid,ann,3\ncid,dora,1\n")
    after(page, lambda: page.locator("#graph-file").set_input_files(tmp_path / "own.csv"))
    settle(page)
    link = copied_link(page)
    wanted = drawn(page)
    go(page, "graph=karate")
    page.evaluate("sessionStorage.clear()")
    go(page, link)
    settle(page)
    expect(page.locator("#file")).to_contain_text("own.csv · 4 nodes")
    same(drawn(page), wanted)


def test_pasted_edges_and_the_switch_of_directions(page: Page) -> None:
    page.get_by_text("More ways to your own data").click()
    page.get_by_label("Edges", exact=True).fill("a b\nb c\nc d")
    after(page, lambda: page.get_by_role("button", name="Use these edges").click())
    settle(page)
    expect(page.locator("#file")).to_contain_text("4 nodes, 3 edges")
    both = len(drawn(page))
    after(page, lambda: page.get_by_role("button", name="Read as undirected").click())
    settle(page)
    undirected = len(drawn(page))
    after(page, lambda: page.get_by_role("button", name="Read as directed").click())
    settle(page)
    assert (undirected, len(drawn(page))) == (6, 3)
    assert both in (3, 6)


def test_own_vectors(page: Page) -> None:
    go(page, "graph=karate")
    settle(page)
    names = page.locator("#node option").evaluate_all("options => options.map(o => o.value)")
    lines = "".join(f"{name}\t{i % 3}\t{(i * i) % 5}\n" for i, name in enumerate(names))
    upload = {"name": "own.tsv", "mimeType": "text/plain", "buffer": lines.encode()}
    before = drawn(page)
    page.locator("#vector-file").set_input_files(upload)
    expect(page.locator("main")).to_have_attribute("data-by", "python")
    settle(page)
    assert drawn(page) != before
    short = {**upload, "buffer": b"1\t2\n"}
    page.locator("#vector-file").set_input_files(short)
    expect(page.get_by_role("alert")).to_contain_text("1 rows")

"""Fifty hostile inputs: nothing in them runs, and unreadable ones give one clear message."""

import json
import random
import re
import urllib.parse
import zlib
from pathlib import Path

import pytest
from demo_pages import after, drawn, go, packed, saved, settle
from playwright.sync_api import Page, expect

SCRIPTS = [
    "<script>pwned=1</script>",
    "<img src=x onerror=pwned=1>",
    "<svg onload=pwned=1>",
    '"><iframe srcdoc="<script>parent.pwned=1</script>">',
    "javascript:pwned=1",
    "</title><script>pwned=1</script>",
    "{{constructor.constructor('pwned=1')()}}",
    "${pwned=1}",
    "' onmouseover='pwned=1",
    "=HYPERLINK(0)",
    "@SUM(1)",
    "\u202egnp.exe",
    "a\u0000b",
    "__proto__",
    "constructor",
    "x" * 5000,
]


def in_links(name: str) -> bytes:
    return json.dumps(
        {"directed": False, "nodes": [{"id": name}, {"id": "b"}], "links": [{"source": name, "target": "b"}]}
    ).encode()


def in_graphml(name: str) -> bytes:
    safe = name.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;").replace("\u0000", "")
    return (
        '<graphml xmlns="http://graphml.graphdrawing.org/xmlns"><graph edgedefault="undirected">'
        f'<node id="{safe}"/><node id="b"/><edge source="{safe}" target="b"/></graph></graphml>'
    ).encode()


PACKED = {"title": "t", "nodes": ["a", "b"], "degrees": [1, 1], "indices": [1, 0], "weights": None, "edges": 1}
FILES = [("labels.json", in_links(name)) for name in SCRIPTS] + [
    ("labels.graphml", in_graphml(SCRIPTS[1])),
    ("labels.csv", f'source,target\n"{SCRIPTS[1]}",b\n'.encode()),
    ("<img src=x onerror=pwned=1>.csv", b"source,target\na,b\n"),
    ("../../../etc/passwd.csv", b"source,target\na,b\n"),
    ("--help.csv", b"source,target\na,b\n"),
    ("entities.graphml", b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><graphml>&b;</graphml>'),
    ("external.graphml", b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><graphml>&a;</graphml>'),
    ("deep.json", b"[" * 100_000),
    ("huge-number.json", b'{"nodes":[{"id":1e999}],"links":[]}'),
    ("many.csv", b"source,target\n" + b"a,b\n" * 50_000),
    ("giant.csv", b"x" * (65 << 20)),
    ("zip.npz", b"PK\x03\x04" + b"\0" * 100),
    ("pickle.npz", b"\x80\x04cos\nsystem\n(S'true'\ntR."),
    ("nothing.csv", b""),
    ("cut.csv.gz", zlib.compress(b"a b\n" * 1000, wbits=31)[:20]),
    ("labels.txt", b"<script>pwned=1</script> b\n"),
    ("binary.gml", bytes(range(256))),
    ("unknown.exe", b"MZ"),
    ("weights.csv", b"source,target,weight\na,b,inf\n"),
]
ADDRESSES = [
    f"node={urllib.parse.quote(SCRIPTS[1])}&to={urllib.parse.quote(SCRIPTS[0])}",
    f"graph={urllib.parse.quote(SCRIPTS[1])}",
    f"mechanism={urllib.parse.quote(SCRIPTS[0])}",
    f"masked={urllib.parse.quote(SCRIPTS[1])}",
    "option.__proto__=1&option.constructor=%7B%7D&mechanism=__proto__",
    "option.temperature=%22%3Cscript%3E%22",
    "view=constructor&space=__proto__&tour=-1&top=1e9",
    "moved=1,2,__proto__&moved=9999999,1,x&moved=NaN,NaN,y&view=move",
    "graph=shared&data=AAAA",
    "graph=shared&data=" + "A" * 20_000,
    "graph=shared&data=" + packed({**PACKED, "indices": [7, 9]}),
    "graph=shared&data=" + packed({**PACKED, "degrees": [1e9, 1]}),
    "graph=shared&data=" + packed({**PACKED, "nodes": [1, 2]}),
    "graph=shared&data=" + packed([[0] * 2_000_000]),
    "graph=shared&data=" + packed({**PACKED, "title": SCRIPTS[1], "nodes": [SCRIPTS[0], SCRIPTS[1]]}),
    "hide=__proto__&lock=constructor",
]


@pytest.fixture
def watched(page: Page) -> Page:
    """Provide the page, and check that it opens no dialog and that no text becomes an element."""
    dialogs: list[str] = []
    page.once("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    yield page
    assert dialogs == []


def harmless(page: Page) -> None:
    assert page.evaluate("typeof pwned") == "undefined"
    assert (
        page.evaluate(
            "document.querySelectorAll('#app script, #app img, #app iframe, #app [onload], #app [onerror]').length"
        )
        == 0
    )
    assert page.evaluate("({}).polluted === undefined && Object.keys(Object.prototype).length === 0")
    messages = page.get_by_role("alert").locator("p").all_inner_texts()
    assert len(messages) <= 1
    assert all(0 < len(m) < 420 and "Traceback" not in m and "undefined" not in m for m in messages)
    expect(page.locator("#graph svg, .handle").first).to_be_attached(timeout=30_000)


def test_fifty() -> None:
    assert len(FILES) + len(ADDRESSES) >= 50


def test_files(watched: Page) -> None:
    for name, content in FILES:
        upload = {"name": name, "mimeType": "text/plain", "buffer": content}
        try:
            if len(content) < 50 << 20:
                after(watched, lambda upload=upload: watched.locator("#graph-file").set_input_files(upload))
            else:
                give_large(watched, name, len(content))
            harmless(watched)
        except Exception as error:
            raise AssertionError(f"{name}: {content[:60]!r}") from error


def test_a_long_reading_can_be_cancelled(watched: Page) -> None:
    before = drawn(watched)
    edges = random.Random(0)
    text = "\n".join(f"{edges.randrange(10**6)} {edges.randrange(10**6)}" for _ in range(2_000_000)).encode()
    long = {"name": "long.csv.gz", "mimeType": "text/plain", "buffer": zlib.compress(text, 1, wbits=31)}
    watched.locator("#graph-file").set_input_files(long)
    watched.get_by_role("button", name="Cancel").click()
    settle(watched)
    harmless(watched)
    assert drawn(watched) == before
    after(watched, lambda: watched.get_by_label("Mechanism", exact=True).select_option("structural"))
    settle(watched)


def give_large(page: Page, name: str, size: int) -> None:
    """Create a file in the page, because it is too large to send, and drop it."""
    after(
        page,
        lambda: page.evaluate(
            """([name, size]) => { const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(size).fill(120)], name));
            dispatchEvent(new DragEvent('drop', { dataTransfer: data, cancelable: true })); }""",
            [name, size],
        ),
    )
    expect(page.get_by_role("alert")).to_contain_text("larger than", timeout=30_000)


def test_addresses(watched: Page) -> None:
    for address in ADDRESSES:
        try:
            go(watched, address)
            harmless(watched)
        except Exception as error:
            raise AssertionError(address[:120]) from error


def test_what_is_taken_away_is_harmless(watched: Page, tmp_path: Path) -> None:
    bad = ["<script>pwned=1</script>", "=1+1", 'a","b', "-2", "@x"]
    graph = {**PACKED, "nodes": bad, "degrees": [4, 1, 1, 1, 1], "indices": [1, 2, 3, 4, 0, 0, 0, 0], "edges": 4}
    go(watched, f"graph=shared&data={packed(graph)}")
    settle(watched)
    files = {
        kind: saved(watched, watched.get_by_role("button", name=kind, exact=True).click)
        for kind in ("SVG", "CSV", "JSON", "PNG")
    }
    assert b"<script" not in files["SVG"]
    assert not re.search(rb"\son\w+=", files["SVG"])
    lines = files["CSV"].decode().splitlines()
    assert all(cell[:1] not in "=+-@" for line in lines[1:] for cell in re.findall(r'"?((?:[^",]|"")+)"?', line)[:2])
    assert json.loads(files["JSON"])["nodes"] == bad
    assert files["PNG"].startswith(b"\x89PNG")
    assert len(drawn(watched)) == 8

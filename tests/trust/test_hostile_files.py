"""Files that claim more than they contain are rejected quickly in little memory, and hostile names are shown escaped."""

import bz2
import io
import itertools
import json
import lzma
import pickle
import struct
import sys
import tracemalloc
import zlib

import pytest
from soak import readers
from soak.clock import processor_time
from soak.corpus import FILES
from soak.draw import Draw
from soak.mutate import mutate

import graphattend as ga
from graphattend import report
from graphattend.analysis import analyze
from graphattend.graph.files import parse
from graphattend.graph.formats import FORMATS, VECTORS
from graphattend.storage_checks import Refused, read_most

resource = pytest.importorskip("resource") if sys.platform != "emscripten" else None
MEGA = 1 << 20
SECONDS = 10.0 if sys.platform == "emscripten" else 1.0


def peak():
    """Return the peak memory of the process in kB, or 0 if the system does not record it."""
    return 0 if resource is None else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def gzip(piece, times):
    stream = zlib.compressobj(9, wbits=31)
    return b"".join(stream.compress(piece) for _ in range(times)) + stream.flush()


LAUGHS = b"".join(b'<!ENTITY b%d "%s">' % (i, b"&b%d;" % (i - 1) * 10) for i in range(1, 9))
LINES = b"0 1\n" * (MEGA // 4)
BOMBS = {
    "gzip of zeros": (".txt", lambda: gzip(bytes(MEGA), 300)),
    "gzip of good lines": (".txt", lambda: gzip(LINES, 60)),
    "gzip of gzip": (".txt", lambda: zlib.compress(gzip(bytes(MEGA), 300), wbits=31)),
    "gzip of depth": (".json", lambda: gzip(b"[" * MEGA, 200)),
    "bzip2": (".csv", lambda: bz2.compress(bytes(60 * MEGA))),
    "xz": (".csv", lambda: lzma.compress(bytes(60 * MEGA))),
    "many short streams": (".txt", lambda: zlib.compress(LINES, wbits=31) * 60),
    "depth of JSON": (".json", lambda: b'{"nodes":' + b"[" * 2_000_000),
    "a long number": (".json", lambda: b'{"nodes":[{"id":' + b"9" * 5_000_000 + b'}],"links":[]}'),
    "laughs": (".graphml", lambda: b'<!DOCTYPE a [<!ENTITY b0 "ha">' + LAUGHS + b"]><graphml>&b8;</graphml>"),
    "an outside entity": (".gexf", lambda: b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><gexf>&x;</gexf>'),
    "depth of XML": (".graphml", lambda: b"<graphml>" + b"<a>" * 500_000),
    "depth of GML": (".gml", lambda: b"graph [ " + b"a [ " * 500_000),
    "10^12 rows": (".mtx", lambda: b"%%MatrixMarket matrix coordinate real general\n1000000000000 1000000000000 1\n1 1 1\n"),
    "10^12 nodes": (".graph", lambda: b"1000000000000 5\n1\n"),
    "10^12 vertices": (".net", lambda: b"*Vertices 1000000000000\n*Edges\n1 2\n"),
    "a field without end": (".csv", lambda: b'Source,Target\n"' + b"a" * 5_000_000),
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_bombs(name):
    suffix, make = BOMBS[name]
    content = make()
    before = peak()
    start = processor_time()
    with pytest.raises(ga.LoadError) as info:
        parse(content, "bomb", suffix=suffix)
    assert processor_time() - start < SECONDS
    assert len(str(info.value)) < 500
    assert peak() - before < 256 << 10


@pytest.mark.parametrize("file", FILES, ids=lambda file: "".join(file[:2]))
def test_small_files_take_little_memory(file, tmp_path):
    kind, suffix, content = file
    path = tmp_path / f"whole{suffix}"
    path.write_bytes(content)
    read = {"graph": ga.NeighborGraph.read, "vectors": ga.read_embeddings, "mechanism": ga.load}.get(kind)
    tracemalloc.start()  # counts also what is asked for and never used, which WebAssembly gives to the process for good
    try:
        if read is None:
            readers.READERS[kind](content, suffix)
        else:
            read(path)
        assert tracemalloc.get_traced_memory()[1] < 32 * MEGA
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("announced", [0, 5, 40 * MEGA])
@pytest.mark.parametrize("limit", [1, 3 * MEGA, 17 * MEGA])
def test_a_file_of_another_size_than_announced_is_read_up_to_the_limit(announced, limit):
    content = bytes(range(256)) * (20 * MEGA // 256)
    assert read_most(io.BytesIO(content), limit, announced) == content[:limit]
    assert read_most(io.BytesIO(content[:7]), limit, announced) == content[: min(7, limit)]


def test_what_compresses_well_is_read():
    few = parse(gzip(b"0 1\n", 10_000), "lines", suffix=".txt").graph  # 40 kB from 100 bytes
    assert (few.num_nodes, few.num_edges) == (2, 10_000)


@pytest.mark.parametrize("opcode", [pickle.BYTEARRAY8, pickle.BINBYTES8, pickle.BINUNICODE8])
def test_a_pickle_that_announces_gigabytes(opcode):
    content = b"\x80\x05" + opcode + struct.pack("<Q", 1 << 32) + b"few."
    before = peak()
    with pytest.raises(Refused, match="damaged pickle"):
        VECTORS[".tx"](content)
    assert peak() - before < 64 << 10


@pytest.mark.parametrize("suffix", FORMATS)
def test_files_of_nothing(suffix):
    for content in (b"", b"\xef\xbb\xbf", b"\n", zlib.compress(b"", wbits=31), bz2.compress(b""), lzma.compress(b"")):
        with pytest.raises(ga.LoadError):
            parse(content, "nothing", suffix=suffix)


# -- a share of the fuzz test ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", readers.READERS)
def test_damaged_files(kind):
    """Some hundred files of each kind; `make soak SOAK="--only readers"` reads a million."""
    files = [file for file in FILES if file[0] == kind] or [file for file in FILES if file[0] == "graph"]
    good = 0
    for seed in range(60 if sys.platform == "emscripten" else 400):
        d = Draw(seed)
        _, suffix, content = d.pick(files)
        try:
            readers.READERS[kind](mutate(d, content), suffix)
        except ga.LoadError:
            continue
        good += 1
    assert good < 380


# -- names -----------------------------------------------------------------------------------------------------

NAMES = ["<script>alert(1)</script>", "a\x1b[31mred", "\u202eevil", "a\x00b", "q\"uote's", "new\nline", "&amp;<b>"]


def hostile_graph():
    content = json.dumps(
        {
            "nodes": [{"id": name} for name in NAMES],
            "links": [{"source": a, "target": b} for a, b in itertools.pairwise(NAMES)],
        }
    )
    return parse(content.encode(), "names", suffix=".json").graph


def test_names_are_kept_as_they_are():
    assert hostile_graph().names == tuple(NAMES)


def test_pages_show_names_escaped():
    graph = hostile_graph()
    found = analyze(graph, keys=["scaled_dot_product"], dim=4)
    page = report.html_report(found)
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    assert "\x1b" not in page
    assert "\x00" not in page


def test_error_messages_are_one_line_without_control_characters():
    for name in NAMES:
        content = f"%%MatrixMarket matrix {name} real general\n1 1 1\n".encode()
        with pytest.raises(ga.LoadError) as info:
            parse(content, "file", suffix=".mtx")
        assert str(info.value).isprintable()
    with pytest.raises(ga.InvalidConfigError) as info:
        ga.create(NAMES[1], 8)
    assert "\x1b" not in str(info.value)

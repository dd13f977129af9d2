"""Downloads from a local server are resumed and checked, and a partial file never has the final name."""

import hashlib
import http.server
import re
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import downloads
import numpy as np
import pytest

pytestmark = pytest.mark.native

CONTENT = np.random.default_rng(0).bytes(400_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves `server.content`, also in ranges or slowly."""

    def do_GET(self) -> None:
        content: bytes = self.server.content
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")) if self.server.ranges else None
        self.server.asked.append(self.headers.get("Range"))
        if wanted:
            first, last = int(wanted[1]), int(wanted[2] or len(content) - 1)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
            content = content[first : last + 1]
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        cut = self.server.cuts.pop() if self.server.cuts else None
        for start in range(0, len(content), 20_000):
            if cut is not None and start >= cut:
                return
            self.wfile.write(content[start : start + 20_000])
            time.sleep(self.server.delay)

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[http.server.ThreadingHTTPServer]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.content, server.ranges, server.delay, server.cuts, server.asked = CONTENT, True, 0.0, [], []
        server.handle_error = lambda *arguments: None
        server.url = f"http://127.0.0.1:{server.server_port}/file"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_whole_file_is_published_under_its_name(server, tmp_path: Path) -> None:
    part, destination = tmp_path / "file.part", tmp_path / "file"
    downloads.fetch(server.url, part, "file")
    assert downloads.publish(part, destination, SHA256) == destination
    assert destination.read_bytes() == CONTENT
    assert not part.exists()


def test_cut_connections_are_resumed_where_they_stopped(server, tmp_path: Path) -> None:
    server.cuts = [60_000, 40_000]
    downloads.fetch(server.url, tmp_path / "part", "file")
    assert (tmp_path / "part").read_bytes() == CONTENT
    assert server.asked == ["bytes=0-", "bytes=40000-", "bytes=100000-"]


def test_killed_process_leaves_no_file_and_the_next_one_resumes(server, tmp_path: Path) -> None:
    server.delay = 0.1
    program = "import sys, pathlib, downloads; downloads.fetch(sys.argv[1], pathlib.Path(sys.argv[2]), 'file')"
    part = tmp_path / "file.part"
    tools = Path(downloads.__file__).parent
    process = subprocess.Popen([sys.executable, "-c", program, server.url, str(part)], cwd=tools)
    deadline = time.monotonic() + 20
    while not (part.exists() and part.stat().st_size > 50_000) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    arrived = part.stat().st_size
    assert 50_000 < arrived < len(CONTENT)
    assert [path.name for path in tmp_path.iterdir()] == ["file.part"]

    server.delay = 0.0
    downloads.fetch(server.url, part, "file")
    assert server.asked[-1] == f"bytes={arrived}-"
    downloads.publish(part, tmp_path / "file", SHA256)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_another_file_than_expected_is_refused_and_removed(server, tmp_path: Path) -> None:
    server.content = CONTENT[:-1] + b"?"
    downloads.fetch(server.url, tmp_path / "part", "file")
    with pytest.raises(downloads.DownloadError, match="expected sha256"):
        downloads.publish(tmp_path / "part", tmp_path / "file", SHA256)
    assert list(tmp_path.iterdir()) == []


def test_server_without_ranges_starts_again(server, tmp_path: Path) -> None:
    server.ranges = False
    (tmp_path / "part").write_bytes(b"left by another run")
    downloads.fetch(server.url, tmp_path / "part", "file")
    assert (tmp_path / "part").read_bytes() == CONTENT
    with pytest.raises(downloads.RangesUnsupportedError):
        downloads.remote_zip(server.url)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_one_member_of_a_remote_zip_without_the_rest(server, tmp_path: Path, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "whole.whl", "w", method) as archive:
        archive.writestr("before", CONTENT)
        archive.writestr("folder/wanted", CONTENT[:50_000])
        archive.writestr("after", CONTENT)
    server.content = (tmp_path / "whole.whl").read_bytes()
    downloads.fetch_member(server.url, downloads.remote_zip(server.url), "folder/wanted", tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT[:50_000]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["part", "whole.whl"]


def test_unreachable_server_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(downloads.DownloadError, match="file"):
        downloads.fetch("http://127.0.0.1:9/file", tmp_path / "part", "file")

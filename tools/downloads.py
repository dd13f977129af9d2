"""Resumable downloads: data are appended to a `.part` file, which is checked and renamed when it is complete."""

import contextlib
import hashlib
import http.client
import io
import os
import sys
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

BLOCK = 1 << 16
ATTEMPTS = 4
NETWORK_ERRORS = (urllib.error.URLError, http.client.HTTPException, OSError)


class DownloadError(Exception):
    """A file could not be fetched, or is not the expected file."""


class RangesUnsupportedError(DownloadError):
    """The server sends only whole files."""


class Progress:
    """Shows bytes and percent: one changing line on a terminal, a few separate lines elsewhere."""

    def __init__(self, label: str, total: int | None) -> None:
        """Start reporting on `label`, of `total` bytes (None: unknown)."""
        self.label, self.total, self.reported = label, total, -1
        self.terminal = sys.stderr.isatty()

    def show(self, done: int) -> None:
        """Report that `done` bytes have arrived."""
        size = f"{done / 1e6:.1f} MB"
        percent = 100 * done // self.total if self.total else None
        text = f"{self.label}: {size}" if percent is None else f"{self.label}: {percent} % ({size})"
        step = done // 5_000_000 if percent is None else percent // 25
        if self.terminal:
            print(f"\r{text}\033[K", end="", file=sys.stderr, flush=True)
        elif step != self.reported:
            print(text, file=sys.stderr, flush=True)
        self.reported = step

    def close(self) -> None:
        """End the changing line."""
        if self.terminal:
            print(file=sys.stderr)


def sha256(path: Path) -> str:
    """Return the hash of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def publish(part: Path, destination: Path, expected: str) -> Path:
    """Rename a finished `part` if its hash is the expected one; otherwise remove it."""
    found = sha256(part)
    if found != expected:
        part.unlink()
        raise DownloadError(f"{destination.name}: expected sha256 {expected}, found {found}; removed")
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    os.replace(part, destination)
    return destination


def open_range(url: str, first: int, last: int | None, timeout: float) -> http.client.HTTPResponse:
    """Open bytes first..last (both included; None: to the end) of a URL."""
    header = f"bytes={first}-{'' if last is None else last}"
    # With a compressed transfer the offsets would be wrong.
    request = urllib.request.Request(url, headers={"Range": header, "Accept-Encoding": "identity"})
    return urllib.request.urlopen(request, timeout=timeout)


def fetch(url: str, part: Path, label: str, first: int = 0, size: int | None = None, timeout: float = 60) -> None:
    """Append the missing part of `size` bytes from `first` on (None: the whole file) to `part`, with a few retries."""
    for attempt in range(ATTEMPTS):
        before = part.stat().st_size if part.exists() else 0
        try:
            _fetch_once(url, part, label, first, size, timeout)
            return
        except NETWORK_ERRORS as error:
            arrived = part.exists() and part.stat().st_size > before
            if isinstance(error, urllib.error.HTTPError) or not arrived or attempt == ATTEMPTS - 1:
                raise DownloadError(f"{label}: {error}") from error


def _fetch_once(url: str, part: Path, label: str, first: int, size: int | None, timeout: float) -> None:
    have = part.stat().st_size if part.exists() else 0
    if size is not None and have >= size:
        return
    with open_range(url, first + have, None if size is None else first + size - 1, timeout) as response:
        resumed = response.status == http.client.PARTIAL_CONTENT
        if not resumed and (first or size is not None):
            raise RangesUnsupportedError(f"{label}: the server does not send parts of files")
        if not resumed:
            have = 0
        length = response.length
        progress = Progress(label, None if length is None else have + length)
        done = have
        with part.open("ab" if resumed else "wb") as file:
            while block := response.read(BLOCK):
                file.write(block)
                done += len(block)
                progress.show(done)
        progress.close()
    if (size is not None and part.stat().st_size != size) or (length is not None and done != have + length):
        raise http.client.IncompleteRead(b"", length)


class RemoteFile(io.RawIOBase):
    """A file on a server, read by ranges, so that `zipfile` can read members of a wheel without fetching it."""

    def __init__(self, url: str, timeout: float = 60) -> None:
        """Get the size from the server."""
        self.url, self.timeout, self.position = url, timeout, 0
        with open_range(url, 0, 0, timeout) as response:
            content_range = response.headers.get("Content-Range", "")
        if not content_range:
            raise RangesUnsupportedError(f"{url.rpartition('/')[2]}: the server does not send parts of files")
        self.size = int(content_range.rpartition("/")[2])

    def seekable(self) -> bool:
        """Yes."""
        return True

    def readable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """Return the offset of the next read."""
        return self.position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to an offset."""
        self.position = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.size}[whence]
        return self.position

    def readinto(self, buffer: memoryview) -> int:
        """Read the next bytes by one request."""
        last = min(self.size, self.position + len(buffer)) - 1
        if last < self.position:
            return 0
        with open_range(self.url, self.position, last, self.timeout) as response:
            data = response.read()
        buffer[: len(data)] = data
        self.position += len(data)
        return len(data)


def remote_zip(url: str) -> tuple[io.BufferedReader, zipfile.ZipFile]:
    """Open a zip file on a server; return the file (for reading headers) and its directory."""
    file = io.BufferedReader(RemoteFile(url), buffer_size=1 << 18)
    return file, zipfile.ZipFile(file)


def fetch_member(url: str, remote: tuple[io.BufferedReader, zipfile.ZipFile], member: str, part: Path) -> None:
    """Fetch one member of a remote zip to `part`, through `part.deflated`, with which an interrupted run continues."""
    file, archive = remote
    info = archive.getinfo(member)
    file.seek(info.header_offset)
    header = file.read(30)
    lengths = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    packed = part.with_name(part.name + ".deflated")
    fetch(url, packed, Path(member).name, info.header_offset + 30 + lengths, info.compress_size)
    content = packed.read_bytes()
    part.write_bytes(content if info.compress_type == zipfile.ZIP_STORED else zlib.decompress(content, wbits=-15))
    packed.unlink()


@contextlib.contextmanager
def only_one(lock: Path) -> Iterator[None]:
    """Let one process at a time work in a cache folder, if the system has file locks."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        import fcntl
    except ImportError:
        yield
        return
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            print(f"Waiting for another process that uses {lock.parent}", file=sys.stderr, flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield

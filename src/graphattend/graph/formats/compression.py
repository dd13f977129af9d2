"""Compression of files of any format. Decompression stops at a limit, regardless of the size that a file announces."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

from ...storage_checks import Refused
from ..conversions import need
from . import Compression

#: Largest memory for the dictionary of a .xz file.
_MAX_XZ_MEMORY = 1 << 27
#: Largest decompressed size: this number of bytes, or this multiple of the compressed size. Real files expand to two to
#: ten times their size.
_ALWAYS_ALLOWED = 4 << 20
_MAX_INFLATION = 100
#: Number of bytes per step, small so that many short streams in one file are cheap.
_STEP = 1 << 14


def _expand(data: bytes, limit: int, new: Callable[[], Any], wrong: type[Exception]) -> bytes:
    """Decompress consecutive streams and return at most `limit` + 1 bytes."""
    parts: list[bytes] = []
    size, at, rest, stream = 0, 0, b"", None
    allowed = max(_ALWAYS_ALLOWED, _MAX_INFLATION * len(data))
    try:
        while size <= limit and (rest or at < len(data)):
            if not rest:
                rest, at = data[at : at + _STEP], at + _STEP
            stream = new() if stream is None else stream
            parts.append(stream.decompress(rest, min(limit, allowed) + 1 - size))
            size += len(parts[-1])
            if size > allowed:
                raise Refused(f"expands to more than {_MAX_INFLATION} times its size")
            rest = b""
            if stream.eof:
                rest, stream = stream.unused_data.lstrip(b"\0"), None
    except wrong as error:
        raise Refused(f"is damaged, or not compressed as its name says ({error})") from None
    if size <= limit and stream is not None:
        raise Refused("ends too early: its compressed data are cut off")
    return b"".join(parts)


def _gzip(data: bytes, limit: int) -> bytes:
    return _expand(data, limit, lambda: zlib.decompressobj(wbits=31), zlib.error)


def _bzip2(data: bytes, limit: int) -> bytes:
    bz2 = need("bz2", "bz2")
    return _expand(data, limit, bz2.BZ2Decompressor, OSError)


def _xz(data: bytes, limit: int) -> bytes:
    lzma = need("lzma", "lzma")
    return _expand(data, limit, lambda: lzma.LZMADecompressor(memlimit=_MAX_XZ_MEMORY), lzma.LZMAError)


def _to_gzip(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=31)  # stores no time, so equal content gives equal bytes
    return stream.compress(data) + stream.flush()


GZIP = Compression(b"\x1f\x8b", _gzip, _to_gzip)
BZIP2 = Compression(b"BZh", _bzip2, lambda data: need("bz2", "bz2").compress(data))
XZ = Compression(b"\xfd7zXZ\0", _xz, lambda data: need("lzma", "lzma").compress(data))

"""Damage to files that keeps enough structure to pass the first checks."""

from __future__ import annotations

import bz2
import contextlib
import io
import json
import re
import struct
import warnings
import zipfile
import zlib
from typing import Any

from .draw import Draw

PIECES = [
    b"", b"\0", b"\xff", b"\n", b"\r", b" ", b",", b"\t", b"-1", b"0", b"1", b"99999999999999999999", b"-0.0", b"1e999",
    b"nan", b"inf", b"[", b"]", b"{", b"}", b"<", b">", b"&a;", b"<!DOCTYPE a [<!ENTITY b 'c'>]>", b'"', b"'", b"null", b"true",
    b"\x80", b"\xef\xbb\xbf", b"\xff\xfe", b"PK\x05\x06", b"\x1f\x8b\x08\x00", b"<script>alert(1)</script>", b"\x1b[31m", "\u202e".encode(),
    b"\x7f", b"4294967296", b"-2147483649", b"[" * 200, b"0" * 400,
]  # fmt: skip
VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    2**63,
    10**30,
    1e308,
    "",
    "a",
    "\0",
    "<b>",
    "../x",
    [],
    {},
    [[]],
]
NUMBER = re.compile(rb"-?\d+(?:\.\d+)?")


def _edit(d: Draw, content: bytes) -> bytes:
    """Change a few bytes, or a larger part."""
    start = d.number(len(content) + 1)
    end = min(len(content), start + d.pick((0, 0, 1, 2, 4, 8, 40)))
    kind = d.number(7)
    if kind == 0:  # flip a bit
        if not content:
            return b"\0"
        at = min(start, len(content) - 1)
        return content[:at] + bytes([content[at] ^ (1 << d.number(8))]) + content[at + 1 :]
    if kind == 1:  # repeat a part
        return content[:end] + content[start:end] * d.pick((1, 2, 50)) + content[end:]
    if kind == 2:  # cut the end
        return content[:start]
    if kind == 3 and (found := list(NUMBER.finditer(content))):  # replace a number
        match = d.pick(found)
        return content[: match.start()] + d.pick(PIECES) + content[match.end() :]
    if kind == 4 and content:  # insert another part
        other = d.number(len(content))
        return content[:start] + content[other : other + 40] + content[end:]
    if kind == 5:  # replace four bytes, as in sizes
        return content[:start] + struct.pack("<i", d.pick((0, 1, -1, 255, 2**31 - 1, 1 << 20))) + content[start + 4 :]
    return content[:start] + d.pick(PIECES) + content[end:]


def _edits(d: Draw, content: bytes) -> bytes:
    for _ in range(d.pick((1, 1, 2, 4))):
        content = _edit(d, content)
    return content


def _tree(d: Draw, value: Any) -> Any:
    """Return a JSON value with one change."""
    if isinstance(value, dict) and value and d.chance(0.85):
        name = d.pick(list(value))
        kind = d.number(5)
        if kind == 0:
            return {n: v for n, v in value.items() if n != name}
        if kind == 1:
            return value | {d.pick(("", "id", "x" * 300, "\u0000", name + "x")): d.pick(VALUES)}
        return value | {name: _tree(d, value[name])}
    if isinstance(value, list) and value and d.chance(0.85):
        at = d.number(len(value))
        kind = d.number(5)
        if kind == 0:
            return value[:at] + value[at + 1 :]
        if kind == 1:
            return value[:at] + [value[at]] * d.pick((2, 30)) + value[at + 1 :]
        return [*value[:at], _tree(d, value[at]), *value[at + 1 :]]
    return d.pick(VALUES)


def _json(d: Draw, text: bytes) -> bytes:
    return json.dumps(_tree(d, json.loads(text))).encode()


def _zip(d: Draw, content: bytes) -> bytes:
    """Rewrite the archive with valid checksums and one member changed, removed, duplicated or renamed."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    at = d.number(len(members))
    name, data = members[at]
    kind = d.number(6)
    if kind == 0:
        del members[at]
    elif kind == 1:
        members.append((name, data))
    elif kind == 2:
        members[at] = (d.pick(("../" + name, "/" + name, "", "x", "\u202e" + name, "<script>.npy")), data)
    elif kind == 3 and b"{" in data[10:] and data[-1:] == b"}":  # a JSON config inside an array
        start = data.index(b"\n") + 1
        with contextlib.suppress(ValueError):
            text = _json(d, data[start:])
            head = data[:start].replace(str(len(data) - start).encode(), str(len(text)).encode())
            data = head + text
        members[at] = (name, data)
    else:
        members[at] = (name, _edits(d, data))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", d.pick((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()


def _safetensors(d: Draw, content: bytes) -> bytes:
    (length,) = struct.unpack_from("<Q", content)
    header = _json(d, content[8 : 8 + length])
    return struct.pack("<Q", len(header)) + header + content[8 + length :]


def mutate(d: Draw, content: bytes) -> bytes:
    """Return a damaged copy, sometimes compressed, or compressed and damaged again."""
    ways = [_edits, _edits]
    if content[:2] == b"PK":
        ways += [_zip, _zip]
    elif content[:1] in b"{[":
        ways += [_json, _json]
    elif content[8:9] == b"{":
        ways += [_safetensors, _safetensors]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # duplicate names
        try:
            content = d.pick(ways)(d, content)
        except (ValueError, KeyError, zipfile.BadZipFile):
            content = _edits(d, content)
    packing = d.number(30)
    if packing == 0:
        content = zlib.compress(content, wbits=31)
    elif packing == 1:
        content = bz2.compress(content)
    else:
        return content
    return _edits(d, content) if d.chance(0.5) else content

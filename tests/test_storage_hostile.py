"""Hostile files: each raises a one-line LoadError that names it, quickly and in bounded memory."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import sys
import tracemalloc
import warnings
import zipfile
import zlib

import numpy as np
import pytest
from soak.clock import processor_time

from graphattend import storage
from graphattend.errors import LoadError

GOOD = b'{"kind":"x","version":1}'
ARRAYS = {"w": np.arange(6.0).reshape(2, 3), "b": np.ones(3, np.float32), "codes": np.arange(4, dtype=np.int8)}


class Explosive:
    """An object whose pickle would run code on loading."""

    def __reduce__(self):
        return os.mkdir, ("exploded",)


def npy(array, *, allow_pickle=False) -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array(out, np.asarray(array), allow_pickle=allow_pickle)
    return out.getvalue()


def npy_header(text: str, payload: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    width = "<H" if version == b"\x01\x00" else "<I"
    return b"\x93NUMPY" + version + struct.pack(width, len(text)) + text.encode("latin-1") + payload


def descr(shape: str, kind: str = "<f8", order: str = "False", payload: bytes = b"") -> bytes:
    return npy_header(f"{{'descr': '{kind}', 'fortran_order': {order}, 'shape': {shape}, }}\n", payload)


def npz(members, config=GOOD, method=zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # duplicate names
        with zipfile.ZipFile(out, "w", method) as archive:
            if config is not None:
                archive.writestr("__config__.npy", npy(np.frombuffer(config, np.uint8)))
            for name, data in members:
                archive.writestr(name, data)
    return out.getvalue()


def patched(data: bytes, old: bytes, new: bytes, count: int = 1) -> bytes:
    assert old in data
    return data.replace(old, new, count)


def understated_deflate() -> bytes:
    """Return a member that declares 200 bytes and inflates to 100 MB."""
    squeezed = npz([("w.npy", descr("(9,)") + bytes(100 << 20))], method=zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(io.BytesIO(squeezed)) as archive:
        size = struct.pack("<L", archive.getinfo("w.npy").file_size)
    return squeezed.replace(size, struct.pack("<L", 200))


def overlapping() -> bytes:
    """Return many directory entries that share one deflated member."""
    base = npz([("w.npy", npy(np.zeros(4 << 20)))], method=zipfile.ZIP_DEFLATED)
    start = base.rindex(b"PK\x01\x02")
    end = base.rindex(b"PK\x05\x06")
    entry = base[start:end]
    extra = b"".join(entry[:-5] + f"{i:05d}"[:1].encode() + b".npy" for i in range(9)) * 100
    directory = base[:end][base.index(b"PK\x01\x02") :] + extra
    offset = base.index(b"PK\x01\x02")
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 902, 902, len(directory), offset, 0)
    return base[:offset] + directory + tail


def many_entries(count: int, claimed: int) -> bytes:
    """Return a directory with far more entries than the end record declares."""
    entry = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 0, 0, 33, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0) + b"a.npy"
    directory = entry * count
    local = npz([])
    offset = local.index(b"PK\x01\x02")
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, claimed, claimed, len(directory), offset, 0)
    return local[:offset] + directory + end


def with_zip64_locator() -> bytes:
    data = npz([("w.npy", npy(np.ones(1)))])
    end = data.rindex(b"PK\x05\x06")
    record = bytearray(data[end:])
    size = struct.unpack_from("<L", record, 12)[0]
    struct.pack_into("<L", record, 12, size + 20)
    return data[:end] + b"PK\x06\x07" + bytes(16) + bytes(record)


def encrypted() -> bytes:
    data = bytearray(npz([("w.npy", npy(np.ones(1)))]))
    for magic, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.rindex(magic) + at] |= 1
    return bytes(data)


def unknown_method() -> bytes:
    data = bytearray(npz([("w.npy", npy(np.ones(1)))]))
    for magic, at in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        data[data.rindex(magic) + at] = 99
    return bytes(data)


NPZ = {
    "empty": b"",
    "text": b"hello world",
    "only magic": b"PK\x03\x04",
    "only an end record": b"PK\x05\x06" + bytes(18),
    "a pickle": pickle.dumps(Explosive()),
    "a bare npy": npy(np.ones(3)),
    "no config": npz([("w.npy", npy(np.ones(3)))], config=None),
    "config of floats": npz([("__config__.npy", npy(np.ones(3)))], config=None),
    "config in two axes": npz([("__config__.npy", npy(np.frombuffer(GOOD, np.uint8).reshape(1, -1)))], config=None),
    "object array": npz([("w.npy", npy(np.array([{}, Explosive()], object), allow_pickle=True))]),
    "object array as config": npz([("__config__.npy", npy(np.array(Explosive()), allow_pickle=True))], config=None),
    "pickle named npy": npz([("w.npy", pickle.dumps(Explosive()))]),
    "text array": npz([("w.npy", npy(np.array(["abc"])))]),
    "bytes array": npz([("w.npy", npy(np.array([b"abc"])))]),
    "complex array": npz([("w.npy", npy(np.ones(2, complex)))]),
    "structured array": npz([("w.npy", npy(np.zeros(2, "f4,i4")))]),
    "dates": npz([("w.npy", npy(np.array(["2020-01-01"], "M8[D]")))]),
    "long double": npz(
        [("w.npy", npy_header("{'descr': '<f16', 'fortran_order': False, 'shape': (1,), }", bytes(16)))]
    ),
    "duplicate names": npz([("w.npy", npy(np.ones(3))), ("w.npy", npy(np.zeros(3)))]),
    "two configs": npz([("__config__.npy", npy(np.frombuffer(GOOD, np.uint8)))]),
    "absolute name": npz([("/etc/w.npy", npy(np.ones(1)))]),
    "climbing name": npz([("../w.npy", npy(np.ones(1)))]),
    "climbing name inside": npz([("a/../../w.npy", npy(np.ones(1)))]),
    "backslash name": npz([("..\\w.npy", npy(np.ones(1)))]) if os.sep == "/" else npz([("../w.npy", b"")]),
    "drive name": npz([("C:w.npy", npy(np.ones(1)))]),
    "newline name": npz([("a\nb.npy", npy(np.ones(1)))]),
    "very long name": npz([("a" * 5000 + ".npy", npy(np.ones(1)))]),
    "nameless": npz([(".npy", npy(np.ones(1)))]),
    "not an array": npz([("w.txt", b"hello")]),
    "a folder entry": npz([("w/", b"")]),
    "huge shape": npz([("w.npy", descr("(1000000000000,)", payload=bytes(8)))]),
    "overflowing shape": npz([("w.npy", descr("(4294967296, 4294967296)", payload=b""))]),
    "overflowing shape with a zero": npz([("w.npy", descr("(0, 9223372036854775807, 8)"))]),
    "negative shape": npz([("w.npy", descr("(-1,)", payload=bytes(8)))]),
    "too many digits": npz([("w.npy", descr(f"({'9' * 400},)"))]),
    "too many axes": npz([("w.npy", descr(f"({'1, ' * 70})", payload=bytes(8)))]),
    "shape with code": npz([("w.npy", descr("(__import__('os').getpid(),)"))]),
    "header nested deep": npz([("w.npy", npy_header("(" * 3000))]),
    "header beyond the file": npz([("w.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\x7f{}")]),
    "unknown npy version": npz([("w.npy", npy_header("{}", version=b"\x09\x00"))]),
    "short npy": npz([("w.npy", b"\x93NUMPY")]),
    "too little data": npz([("w.npy", descr("(4,)", payload=bytes(31)))]),
    "too much data": npz([("w.npy", descr("(4,)", payload=bytes(33)))]),
    "bad booleans": npz([("w.npy", descr("(2,)", "|b1", payload=b"\x02\x01"))]),
    "a NaN": npz([("w.npy", npy(np.array([1.0, np.nan])))]),
    "zip bomb": npz([("w.npy", descr("(26214400,)") + bytes(200 << 20))], method=zipfile.ZIP_DEFLATED),
    "zip bomb that understates itself": understated_deflate(),
    "zip bomb of overlapping members": overlapping(),
    "a directory of a million entries": many_entries(1_000_000, 1),
    "too many entries": many_entries(20_000, 20_000),
    "zip64 locator": with_zip64_locator(),
    "encrypted member": encrypted(),
    "unknown compression": unknown_method(),
    "wrong crc": patched(npz([("w.npy", npy(np.full(9, 1.25)))]), struct.pack("<d", 1.25), struct.pack("<d", 1.5)),
    "other local name": patched(npz([("w.npy", npy(np.ones(1)))]), b"w.npy", b"v.npy"),
    "data before the zip": b"PK\x03\x04" + npz([("w.npy", npy(np.ones(1)))]),
    "data after the zip": npz([("w.npy", npy(np.ones(1)))]) + b"x",
    "a foreign comment": npz([])[:-2] + b"\x05\x00hello",
}

CONFIGS = {
    "no JSON": b"hello",
    "empty config": b"",
    "a list": b"[1]",
    "a number": b"1",
    "not UTF-8": b'{"kind":"x","version":1,"a":"\xff"}',
    "a byte order mark": b"\xef\xbb\xbf" + GOOD,
    "trailing text": GOOD + b"x",
    "a repeated key": b'{"kind":"y","kind":"x","version":1}',
    "depth bomb of lists": b'{"kind":"x","version":1,"a":' + b"[" * 500_000 + b"]" * 500_000 + b"}",
    "depth bomb of objects": b'{"a":' * 200_000 + b"1" + b"}" * 200_000,
    "unclosed depth bomb": b"[" * 1_000_000,
    "backslash bomb": b'{"a":"' + b'\\"' * 1_000_000,
    "an integer of a million digits": b'{"kind":"x","version":1,"a":' + b"9" * 1_000_000 + b"}",
    "a float beyond float64": b'{"kind":"x","version":1,"a":1e999}',
    "a NaN literal": b'{"kind":"x","version":1,"a":NaN}',
    "an infinity literal": b'{"kind":"x","version":1,"a":-Infinity}',
    "no version": b'{"kind":"x"}',
    "a later version": b'{"kind":"x","version":2}',
    "version zero": b'{"kind":"x","version":0}',
    "a version that is true": b'{"kind":"x","version":true}',
    "a version that is text": b'{"kind":"x","version":"1"}',
    "a version that is a float": b'{"kind":"x","version":1.0}',
    "no kind": b'{"version":1}',
    "another kind": b'{"kind":"y","version":1}',
    "a kind that is a list": b'{"kind":["x"],"version":1}',
    "too long": b'{"kind":"x","version":1,"a":"' + b"a" * (2 << 20) + b'"}',
}
NPZ |= {f"config: {name}": npz([], config=config) for name, config in CONFIGS.items()}


def checksum(config: bytes) -> str:
    return f"{zlib.crc32(config):08x}"


def tensors(entries, body: bytes = b"", metadata=None, config: bytes = GOOD) -> bytes:
    if metadata is None:
        metadata = {"config": config.decode("latin-1"), "crc32": checksum(config)}
    return raw_tensors(json.dumps({"__metadata__": metadata, **entries}).encode(), body)


def raw_tensors(header: bytes, body: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header)) + header + body


def entry(dtype="F64", shape=(1,), offsets=(0, 8), **more):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets), **more}


SAFETENSORS = {
    "empty": b"",
    "seven bytes": b"\x01" * 7,
    "text": b"hello world, this is no tensor file",
    "a pickle": pickle.dumps(Explosive()),
    "an npz": npz([("w.npy", npy(np.ones(1)))]),
    "header of zero bytes": bytes(8),
    "header of 2**64 bytes": b"\xff" * 8 + b"{}",
    "header of 2**63 bytes": struct.pack("<Q", 1 << 63) + b"{}",
    "header beyond the file": struct.pack("<Q", 1000) + b"{}",
    "header that is a list": raw_tensors(b"[]"),
    "header that is no JSON": raw_tensors(b"{hello}"),
    "no metadata": raw_tensors(b"{}"),
    "metadata without config": tensors({}, metadata={"format": "np"}),
    "metadata that is text": raw_tensors(b'{"__metadata__":"config"}'),
    "config that is an object": raw_tensors(b'{"__metadata__":{"config":{"kind":"x","version":1}}}'),
    "config with a lone surrogate": raw_tensors(b'{"__metadata__":{"config":"\\ud800"}}'),
    "no checksum": tensors({}, metadata={"config": GOOD.decode()}),
    "a wrong checksum": tensors({}, metadata={"config": GOOD.decode(), "crc32": "00000000"}),
    "a checksum that is a number": raw_tensors(b'{"__metadata__":{"config":"{}","crc32":7}}'),
    "data without arrays": tensors({}, b"12345678"),
    "data beyond the file": tensors({"w": entry(offsets=(0, 8))}, bytes(4)),
    "data after the last array": tensors({"w": entry()}, bytes(9)),
    "a hole": tensors({"w": entry(offsets=(8, 16))}, bytes(16)),
    "an overlap": tensors({"v": entry(), "w": entry(offsets=(0, 8))}, bytes(8)),
    "backward offsets": tensors({"w": entry(offsets=(8, 0))}, bytes(8)),
    "negative offsets": tensors({"w": entry(offsets=(-8, 0))}, bytes(8)),
    "float offsets": tensors({"w": entry(offsets=(0.0, 8.0))}, bytes(8)),
    "boolean offsets": tensors({"w": entry("U8", (1,), (False, True))}, bytes(1)),
    "three offsets": tensors({"w": entry(offsets=(0, 4, 8))}, bytes(8)),
    "offsets of many digits": raw_tensors(
        b'{"__metadata__":{"config":"{}"},"w":{"dtype":"F64","shape":[1],"data_offsets":[0,' + b"8" * 10_000 + b"]}}"
    ),
    "huge shape": tensors({"w": entry(shape=(10**12,))}, bytes(8)),
    "overflowing shape": tensors({"w": entry(shape=(2**32, 2**32), offsets=(0, 0))}),
    "overflowing shape with a zero": tensors({"w": entry(shape=(0, 2**62, 8), offsets=(0, 0))}),
    "negative shape": tensors({"w": entry(shape=(-1, -1))}, bytes(8)),
    "shape that is text": tensors({"w": entry(shape="1")}, bytes(8)),
    "shape that is null": raw_tensors(
        b'{"__metadata__":{"config":"{}"},"w":{"dtype":"F64","shape":null,"data_offsets":[0,8]}}', bytes(8)
    ),
    "too many axes": tensors({"w": entry(shape=(1,) * 70)}, bytes(8)),
    "unknown type": tensors({"w": entry("F8_E4M3", (8,))}, bytes(8)),
    "type that is a list": tensors({"w": entry(["F64"])}, bytes(8)),
    "bad booleans": tensors({"w": entry("BOOL", (2,), (0, 2))}, b"\x02\x01"),
    "unknown field": tensors({"w": entry(pickle="gASV")}, bytes(8)),
    "missing field": tensors({"w": {"dtype": "F64", "shape": [1]}}, bytes(8)),
    "entry that is a list": tensors({"w": ["F64", [1], [0, 8]]}, bytes(8)),
    "absolute name": tensors({"/etc/w": entry()}, bytes(8)),
    "climbing name": tensors({"../w": entry()}, bytes(8)),
    "empty name": tensors({"": entry()}, bytes(8)),
    "duplicate names": raw_tensors(
        b'{"__metadata__":{"config":"{}"},"w":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},'
        b'"w":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}',
        bytes(8),
    ),
    "too many arrays": tensors({f"w{i}": entry(shape=(0,), offsets=(0, 0)) for i in range(20_000)}),
    "depth bomb": raw_tensors(b'{"a":' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}"),
    "a NaN": storage.dumps({"w": np.array([np.nan])}, {"kind": "x"}, "safetensors"),
} | {f"config: {name}": tensors({}, config=config) for name, config in CONFIGS.items() if name != "not UTF-8"}

CASES = [(name, "npz", data) for name, data in NPZ.items()] + [
    (name, "safetensors", data) for name, data in SAFETENSORS.items()
]


# CPU time natively; WebAssembly has only wall-clock time, which depends on the machine's load.
SECONDS = 5.0 if sys.platform == "emscripten" else 1.0


def refused(path, seconds: float = SECONDS) -> str:
    start = processor_time()
    with pytest.raises(LoadError) as caught:
        storage.read_archive(path, kind="x")
    assert processor_time() - start < seconds
    message = str(caught.value)
    assert path.name in message
    assert "\n" not in message
    assert len(message) < 1000
    return message


@pytest.mark.parametrize(("format", "data"), [c[1:] for c in CASES], ids=[f"{c[1]}-{c[0]}" for c in CASES])
def test_hostile_file(tmp_path, monkeypatch, format, data):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"file.{format}"
    path.write_bytes(data)
    refused(path)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]  # nothing was unpacked or run
    with pytest.raises(LoadError, match=r"^bytes from the network: "):
        storage.loads(data, kind="x", name="bytes from the network", format=format)


def test_there_are_at_least_forty():
    assert len(NPZ) >= 40
    assert len(SAFETENSORS) >= 40


def test_the_good_twins_are_accepted():
    """The files made by the helpers above differ from a valid file only in the fault."""
    assert storage.loads(npz([("w.npy", npy(np.ones(3)))]), kind="x")[1]["w"].tolist() == [1, 1, 1]
    assert storage.loads(npz([("w.npy", descr("(2,)", payload=bytes(16)))]), kind="x")[1]["w"].tolist() == [0, 0]
    body = struct.pack("<d", 2.5)
    crc = zlib.crc32(body, zlib.crc32(b"\nw f8 (1,)\n", zlib.crc32(GOOD)))
    data = tensors({"w": entry()}, body, metadata={"config": GOOD.decode(), "crc32": f"{crc:08x}"})
    assert storage.loads(data, kind="x")[1]["w"].tolist() == [2.5]


@pytest.mark.parametrize("format", ["npz", "safetensors"])
def test_truncated_at_every_byte(format):
    data = storage.dumps(ARRAYS, {"kind": "x"}, format)
    for length in range(len(data)):
        with pytest.raises(LoadError):
            storage.loads(data[:length], kind="x", format=format)


@pytest.mark.parametrize("format", ["npz", "safetensors"])
@pytest.mark.parametrize("flip", [0x01, 0x10, 0x80, 0xFF])
def test_flipped_at_every_byte(format, flip):
    data = storage.dumps(ARRAYS, {"kind": "x"}, format)
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= flip
        with pytest.raises(LoadError):
            storage.loads(damaged, kind="x", format=format)


def test_a_foreign_npz_with_flipped_bytes_is_refused_or_means_the_same(tmp_path):
    """Without our checksum, the zip file's CRCs still protect names and data."""
    path = tmp_path / "a.npz"
    np.savez(path, __config__=np.frombuffer(GOOD, np.uint8), **ARRAYS)
    data = path.read_bytes()
    for position in range(len(data)):
        damaged = bytearray(data)
        damaged[position] ^= 0x04
        try:
            _, arrays = storage.loads(damaged, kind="x")
        except LoadError:
            continue
        assert all(arrays[name].tobytes() == ARRAYS[name].tobytes() for name in ARRAYS)


def test_random_bytes():
    rng = np.random.default_rng(0)
    for start in (b"", b"PK\x03\x04", b"\x02" + bytes(7) + b"{}"):
        for length in (0, 1, 30, 300, 3000):
            data = start + rng.bytes(length)
            with pytest.raises(LoadError):
                storage.loads(data, kind="x")


@pytest.mark.parametrize("case", [c for c in CASES if "bomb" in c[0]], ids=lambda c: f"{c[1]}-{c[0]}")
def test_bombs_stay_small(tmp_path, case):
    _, format, data = case
    path = tmp_path / f"file.{format}"
    path.write_bytes(data)
    del data
    tracemalloc.start()
    try:
        refused(path, seconds=5 * SECONDS)  # tracing is slow
        assert tracemalloc.get_traced_memory()[1] < 8 * path.stat().st_size + (4 << 20)
    finally:
        tracemalloc.stop()


def test_the_limit_is_the_callers(tmp_path):
    for format in ("npz", "safetensors"):
        path = tmp_path / f"a.{format}"
        storage.write_archive(path, {"w": np.zeros(1000)}, {"kind": "x"})
        storage.read_archive(path, kind="x", max_bytes=20_000)
        with pytest.raises(LoadError, match="limit"):
            storage.read_archive(path, kind="x", max_bytes=5000)
        with pytest.raises(LoadError, match="limit"):
            storage.loads(path.read_bytes(), kind="x", max_bytes=5000)


@pytest.mark.parametrize("suffix", ["npz", "safetensors"])
class TestNotAFile:
    def test_missing(self, tmp_path, suffix):
        assert "No such file" in refused(tmp_path / f"missing.{suffix}")

    def test_folder(self, tmp_path, suffix):
        (tmp_path / f"a.{suffix}").mkdir()
        refused(tmp_path / f"a.{suffix}")

    def test_in_a_file(self, tmp_path, suffix):
        (tmp_path / "b").write_bytes(b"")
        refused(tmp_path / "b" / f"a.{suffix}")

    def test_link_to_itself(self, tmp_path, suffix):
        path = tmp_path / f"a.{suffix}"
        path.symlink_to(path)
        refused(path)

    def test_name_with_a_null(self, tmp_path, suffix):
        with pytest.raises(LoadError) as caught:
            storage.read_archive(f"a\0b.{suffix}", kind="x")
        assert "a\\x00b" in str(caught.value)

    def test_name_with_a_newline_stays_on_one_line(self, tmp_path, suffix):
        with pytest.raises(LoadError) as caught:
            storage.read_archive(tmp_path / f"a\nb.{suffix}", kind="x")
        assert "\n" not in str(caught.value)

    def test_very_long_name(self, tmp_path, suffix):
        with pytest.raises(LoadError):
            storage.read_archive(tmp_path / f"{'a' * 5000}.{suffix}", kind="x")

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
    def test_pipe(self, tmp_path, suffix):
        path = tmp_path / f"a.{suffix}"
        try:
            os.mkfifo(path)
        except OSError:  # the browser's file system has no pipes
            return
        refused(path)

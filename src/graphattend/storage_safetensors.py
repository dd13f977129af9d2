"""The safetensors format: 8 bytes of header length, a JSON header, the raw arrays.

It is implemented here because the reference package has no wheel for Pyodide. The tests compare the bytes of both.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from .storage_checks import DTYPES, MAX_ARRAYS, MAX_CONFIG_BYTES, Refused, build_array, check_name, parse_json

# In the order of the reference implementation: wider elements first, so that all arrays are aligned.
_NAMES = {
    "u8": "U64", "i8": "I64", "f8": "F64", "f4": "F32", "u4": "U32", "i4": "I32",
    "f2": "F16", "u2": "U16", "i2": "I16", "i1": "I8", "u1": "U8", "b1": "BOOL",
}  # fmt: skip
_DTYPES = {theirs: DTYPES[ours] for ours, theirs in _NAMES.items()}
_MAX_HEADER_BYTES = 4 * MAX_CONFIG_BYTES


def plausible(head: bytes) -> bool:
    """Return whether a safetensors file can start with these 9 bytes."""
    return len(head) >= 9 and struct.unpack_from("<Q", head)[0] <= _MAX_HEADER_BYTES and head[8:9] == b"{"


def pack(arrays: Mapping[str, np.ndarray], config: bytes) -> bytes:
    """Return the file as bytes; the metadata contain the config and a checksum of config and arrays."""
    text = config.decode("utf-8")
    return pack_plain(arrays, {"config": text, "crc32": f"{_checksum(arrays, config):08x}"})


def pack_plain(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> bytes:
    """Return the bytes that the reference implementation writes for these arrays and metadata."""
    ranks = list(_DTYPES)
    named = [(_NAMES[array.dtype.str[1:]], name, array) for name, array in arrays.items()]
    named.sort(key=lambda entry: (ranks.index(entry[0]), entry[1].encode()))
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    offset = 0
    for dtype, name, array in named:
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 8)
    return b"".join([struct.pack("<Q", len(text)), text, *(_raw(array) for _, _, array in named)])


def _raw(array: np.ndarray) -> bytes:
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def _checksum(arrays: Mapping[str, np.ndarray], config: bytes) -> int:
    """Return the CRC-32 of config, names, types, shapes and data, sorted by name."""
    crc = zlib.crc32(config)
    for name in sorted(arrays):
        array = arrays[name]
        crc = zlib.crc32(f"\n{name} {array.dtype.str[1:]} {array.shape}\n".encode(), crc)
        crc = zlib.crc32(_raw(array), crc)
    return crc


def unpack(data: memoryview, max_bytes: int) -> tuple[bytes, dict[str, np.ndarray]]:
    """Return the config as JSON text, and the arrays."""
    if not plausible(bytes(data[:9])):
        raise Refused("not a .safetensors file (wrong magic)")
    if len(data) > max_bytes:
        raise Refused(f"larger than the limit of {max_bytes} bytes")
    start = 8 + struct.unpack_from("<Q", data)[0]
    if start > len(data):
        raise Refused("truncated header")
    text = bytes(data[8:start])
    if text.count(b'"data_offsets"') > MAX_ARRAYS:  # before parsing; quotes inside strings are escaped
        raise Refused(f"more than {MAX_ARRAYS} arrays")
    header = parse_json(text, "header")
    metadata = header.pop("__metadata__", None)
    if not isinstance(metadata, dict) or not isinstance(metadata.get("config"), str):
        raise Refused("no config in the metadata")
    try:
        config = metadata["config"].encode("utf-8")
    except UnicodeEncodeError:
        raise Refused("config is not UTF-8") from None
    if len(config) > MAX_CONFIG_BYTES:
        raise Refused("config is too long")
    arrays = _read_arrays(header, data[start:])
    if metadata.get("crc32") != f"{_checksum(arrays, config):08x}":
        raise Refused("damaged (checksum)")
    return config, arrays


def _read_arrays(header: Mapping[str, Any], body: memoryview) -> dict[str, np.ndarray]:
    spans = {name: _parse_entry(name, entry) for name, entry in header.items()}
    arrays = {}
    position = 0
    # The format allows neither gaps nor overlaps, and the file must have exactly the declared length.
    for name, (dtype, shape, begin, end) in sorted(spans.items(), key=lambda item: item[1][2:]):
        if begin != position or end < begin or end > len(body):
            raise Refused(f"array {name!r} has bad offsets (truncated?)")
        arrays[name] = build_array(body[begin:end], dtype, shape, "C", name)
        position = end
    if position != len(body):
        raise Refused("data after the last array")
    return {name: arrays[name] for name in header}


def _parse_entry(name: str, entry: object) -> tuple[np.dtype[Any], list[int], int, int]:
    check_name(name)
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise Refused(f"array {name!r} has a bad header entry")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise Refused(f"array {name!r} has an unsupported element type")
    if not _whole_numbers(shape) or not _whole_numbers(offsets) or len(offsets) != 2:
        raise Refused(f"array {name!r} has a bad shape or bad offsets")
    return _DTYPES[dtype], shape, offsets[0], offsets[1]


def _whole_numbers(values: object) -> bool:
    return isinstance(values, list) and all(type(n) is int and n >= 0 for n in values)

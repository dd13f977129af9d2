"""Checks for both archive formats: limits, names, shapes, element types and JSON."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO, cast

import numpy as np

#: Maximum size of the config in bytes of UTF-8 JSON, its maximum depth, and the maximum number of arrays in a file.
MAX_CONFIG_BYTES = 1 << 20
MAX_DEPTH = 64
MAX_ARRAYS = 10_000
_MAX_AXES = 32
_MAX_NAME = 255
_MAX_INT_DIGITS = 20
#: Number of bytes that are read at a time beyond the announced size of a file.
_PIECE = 1 << 24

#: Names of the npz member and of the safetensors header entry that hold the config.
RESERVED = frozenset({"__config__", "__metadata__"})

#: Element types that are written and read, always little-endian in the file.
DTYPES = {name: np.dtype("<" + name) for name in ("f2", "f4", "f8", "i2", "i4", "i8", "u2", "u4", "u8")}
DTYPES |= {name: np.dtype(name) for name in ("i1", "u1", "b1")}

# A bracket, or a string up to its closing quote or the end of the text. Possessive: no backtracking on hostile text.
_STRUCTURE = re.compile(rb'[\[\]{}]|"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_DEPTH_STEPS = {b"[": 1, b"{": 1, b"]": -1, b"}": -1}


class Refused(Exception):
    """A file's content is not acceptable; `storage.load_errors` turns it into a LoadError with the file's name."""


def check_name(name: object) -> str:
    """Return the name if it is printable, relative and without empty, ``.`` or ``..`` parts; else raise."""
    shown = ascii(name)[:60]
    if not isinstance(name, str) or not 0 < len(name) <= _MAX_NAME or not name.isprintable():
        raise Refused(f"bad array name {shown}")
    if "\\" in name or ":" in name or any(part in ("", ".", "..") for part in name.split("/")):
        raise Refused(f"unsafe array name {shown}")
    return name


def build_array(raw: memoryview, dtype: np.dtype[Any], shape: Sequence[int], order: str, name: str) -> np.ndarray:
    """Return a new array in native byte order; raise unless `raw` has exactly the bytes of `shape`."""
    # Python's integers cannot overflow, NumPy's could.
    if len(shape) > _MAX_AXES or any(n < 0 for n in shape):
        raise Refused(f"array {name!r} has a bad shape")
    itemsize = dtype.itemsize
    # An empty array may have an axis that is longer than the address space.
    most = np.iinfo(np.intp).max
    if math.prod(shape) * itemsize != raw.nbytes or math.prod(n or 1 for n in shape) * itemsize > most:
        raise Refused(f"array {name!r} declares a shape that does not fit its {raw.nbytes} bytes")
    flat = np.frombuffer(raw, dtype=np.uint8 if dtype.kind == "b" else dtype)
    if dtype.kind == "b" and flat.size and flat.max() > 1:
        raise Refused(f"array {name!r} holds booleans other than 0 and 1")
    shaped = flat.reshape(tuple(shape), order=cast("Any", order))
    return np.array(shaped, dtype=dtype.newbyteorder("="), order="C")


def check_names(arrays: Mapping[str, np.ndarray], expected: object) -> None:
    """Raise unless the arrays have exactly the expected names."""
    if not isinstance(expected, list) or not all(isinstance(name, str) for name in expected):
        raise Refused("the list of arrays is not one")
    missing, unknown = set(expected) - set(arrays), set(arrays) - set(expected)
    if missing:
        raise Refused(f"lacks the array {min(missing)!r:.60}")
    if unknown:
        raise Refused(f"holds an unknown array {min(unknown)!r:.60}")


def check_like(arrays: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> None:
    """Raise unless the arrays are floating-point and have exactly the expected names and shapes."""
    check_names(arrays, list(expected))
    for name, array in arrays.items():
        if array.dtype.kind != "f" or array.shape != expected[name].shape:
            raise Refused(
                f"array {name!r:.60}: expected floating-point numbers of shape {expected[name].shape}, "
                f"got {array.dtype} of shape {array.shape}"
            )


def check_finite_arrays(arrays: Mapping[str, np.ndarray]) -> None:
    """Raise if a float array contains NaN or infinity."""
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise Refused(f"array {name!r} holds NaN or infinity")


def parse_json(text: bytes, what: str) -> dict[str, Any]:
    """Parse a JSON object as `parse_json_value` does."""
    value = parse_json_value(text, what)
    if not isinstance(value, dict):
        raise Refused(f"{what} is not a JSON object")
    return value


def parse_json_value(text: bytes, what: str) -> Any:
    """Parse a JSON value: strict UTF-8, no NaN, no repeated keys, bounded depth and numbers."""
    depth = 0
    for token in _STRUCTURE.finditer(text):
        depth += _DEPTH_STEPS.get(token[0], 0)
        if depth > MAX_DEPTH:
            raise Refused(f"{what} is nested more than {MAX_DEPTH} deep")
    try:
        return json.loads(
            text.decode("utf-8"),
            parse_int=_parse_int,
            parse_float=_parse_float,
            parse_constant=_parse_constant,
            object_pairs_hook=_unique_keys,
        )
    except json.JSONDecodeError as error:
        raise Refused(f"{what} is not valid JSON: line {error.lineno}, column {error.colno}: {error.msg}") from None
    except (ValueError, RecursionError):
        raise Refused(f"{what} is not valid JSON") from None


def _parse_int(digits: str) -> int:
    if len(digits) > _MAX_INT_DIGITS:
        raise Refused("JSON holds an integer with too many digits")
    return int(digits)


def _parse_float(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise Refused("JSON holds a number beyond float64")
    return value


def _parse_constant(name: str) -> float:
    raise Refused(f"JSON holds {name}")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise Refused("JSON repeats a key")
    return result


def read_most(file: BinaryIO, limit: int, size: int = 0) -> bytes:
    """Read a file of about `size` bytes, at most `limit` of them.

    A call allocates all that it asks for, and WebAssembly never gives memory back. So it asks for what the file has.
    """
    parts = [file.read(min(size + 1, limit))]
    while parts[-1] and (left := limit - sum(map(len, parts))):
        parts.append(file.read(min(left, _PIECE)))
    return b"".join(parts)

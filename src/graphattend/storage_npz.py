"""NumPy's .npz format: a zip of .npy files that `np.load` opens; the config is the uint8 array ``__config__``."""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping

import numpy as np

from .storage_checks import DTYPES, MAX_ARRAYS, MAX_CONFIG_BYTES, Refused, build_array, check_name

MAGIC = b"PK\x03\x04"
#: Limit of zip without its 64-bit extension; larger data need .safetensors.
MAX_NPZ_BYTES = (1 << 31) - (64 << 20)

_CONFIG = "__config__"
_DATE = (1980, 1, 1, 0, 0, 0)  # fixed, so that equal content gives equal bytes
_END = struct.Struct("<4s4H2LH")  # end of central directory
_MAX_DIRECTORY = 8 << 20
# Maximum compression ratio. Deflate reaches 1032:1, but only on artificial data. Small results are allowed in any case.
_MAX_INFLATION = 100
_ALWAYS_ALLOWED = 64 << 20
_HEADER = re.compile(
    r"\{\s*'descr':\s*'([<>=|]?)([a-z]\d|U\d{1,6})',\s*'fortran_order':\s*(True|False),"
    r"\s*'shape':\s*\(((?:\d{1,20},\s*)*(?:\d{1,20})?)\s*\),?\s*\}\s*"
)
_MAX_HEADER = 4096


def pack(arrays: Mapping[str, np.ndarray], config: bytes) -> bytes:
    """Return the archive as bytes; the zip comment is a checksum of everything before it."""
    out = io.BytesIO()
    members = {_CONFIG: np.frombuffer(config, dtype=np.uint8), **arrays}
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for name, array in members.items():
            little = np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")
            with archive.open(zipfile.ZipInfo(f"{name}.npy", _DATE), "w") as member:
                np.lib.format.write_array_header_1_0(member, np.lib.format.header_data_from_array_1_0(little))
                member.write(little.tobytes())
    data = bytearray(out.getvalue())
    comment = _comment(data)
    data[-2:] = struct.pack("<H", len(comment))
    return bytes(data) + comment


def _comment(before: bytes | bytearray | memoryview) -> bytes:
    """Return the checksum of the archive up to the field of the comment's length."""
    return b"crc32:%08x" % zlib.crc32(before[:-2])


def unpack(data: memoryview, max_bytes: int) -> tuple[bytes, dict[str, np.ndarray]]:
    """Return the config as JSON text, and the arrays."""
    members = read_members(data, max_bytes)
    if _CONFIG not in members:
        raise Refused("no __config__ entry")
    config = members.pop(_CONFIG)
    if config.dtype != np.uint8 or config.ndim != 1 or config.size > MAX_CONFIG_BYTES:
        raise Refused("__config__ is not a short array of bytes")
    return config.tobytes(), members


def read_members(data: memoryview, max_bytes: int, *, text: bool = False) -> dict[str, np.ndarray]:
    """Return all arrays of any .npz file; arrays of text only with `text`."""
    entries = _check_end(data)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _read_members(archive, entries, len(data), max_bytes, text)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError) as error:
        raise Refused(f"damaged zip ({error})") from None


def _check_end(data: memoryview) -> int:
    """Return the number of entries, after checking size and place of the directory before zipfile reads it."""
    if data[:4] != MAGIC:
        raise Refused("not an .npz file (wrong magic)")
    tail_start = max(0, len(data) - _END.size - 0xFFFF)
    tail = bytes(data[tail_start:])
    found = tail.rfind(b"PK\x05\x06")
    if found < 0 or len(tail) - found < _END.size:
        raise Refused("truncated zip (no end record)")
    _, disk, first_disk, here, total, size, offset, comment_length = _END.unpack_from(tail, found)
    end = tail_start + found
    if disk or first_disk or here != total or offset + size != end or end + _END.size + comment_length != len(data):
        raise Refused("damaged zip (end record)")
    if total > MAX_ARRAYS + 1 or size > _MAX_DIRECTORY:
        raise Refused(f"more than {MAX_ARRAYS} arrays")
    if bytes(data[max(0, end - 20) : end])[:4] == b"PK\x06\x07":
        raise Refused("zip64 archives are not accepted")
    comment = bytes(data[end + _END.size :])
    if comment and comment != _comment(data[: end + _END.size]):
        raise Refused("damaged zip (checksum)")
    return int(here)


def _read_members(
    archive: zipfile.ZipFile, entries: int, file_bytes: int, max_bytes: int, text: bool
) -> dict[str, np.ndarray]:
    infos = archive.infolist()
    if len(infos) != entries:  # an entry's comment hides the next entry, or there are more than declared
        raise Refused("damaged zip (directory)")
    declared = sum(info.file_size for info in infos)
    if declared > min(max_bytes, max(_ALWAYS_ALLOWED, _MAX_INFLATION * file_bytes)):
        raise Refused(f"declares {declared} bytes of arrays, more than the limit (a zip bomb?)")
    members: dict[str, np.ndarray] = {}
    for info in infos:
        if not info.filename.endswith(".npy"):
            raise Refused(f"unexpected entry {ascii(info.filename)[:60]}")
        name = check_name(info.filename.removesuffix(".npy"))
        if name in members:
            raise Refused(f"two arrays named {name!r}")
        if info.flag_bits & 0x1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise Refused(f"array {name!r} is encrypted or compressed in an unknown way")
        if info.compress_type == zipfile.ZIP_STORED and info.file_size != info.compress_size:
            raise Refused(f"array {name!r} has contradicting sizes")
        with archive.open(info) as member:
            # With a length, zipfile does not inflate more; the second read makes it check the CRC.
            raw = member.read(info.file_size)
            if len(raw) != info.file_size or member.read(1):
                raise Refused(f"array {name!r} is truncated")
        members[name] = parse_npy(memoryview(raw), name, text=text)
    return members


def parse_npy(raw: memoryview, name: str, *, text: bool = False) -> np.ndarray:
    """Parse an .npy file. The header is matched, never evaluated, so object arrays and pickles are refused."""
    if bytes(raw[:6]) != b"\x93NUMPY" or len(raw) < 12:
        raise Refused(f"array {name!r} is not in .npy format")
    version = (raw[6], raw[7])
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise Refused(f"array {name!r} has an unknown .npy version")
    start = 10 if version == (1, 0) else 12
    length = int.from_bytes(raw[8:start], "little")
    if length > _MAX_HEADER or start + length > len(raw):
        raise Refused(f"array {name!r} has a bad .npy header")
    match = _HEADER.fullmatch(bytes(raw[start : start + length]).decode("latin-1"))
    if match is None or not (match[2] in DTYPES or (text and match[2].startswith("U"))):
        raise Refused(f"array {name!r} is not a plain array of numbers")
    byteorder, kind, fortran, sizes = match.groups()
    dtype = np.dtype(kind) if kind in ("i1", "u1", "b1") else np.dtype((byteorder or "=") + kind)
    shape = [int(n) for n in sizes.split(",") if n.strip()]
    return build_array(raw[start + length :], dtype, shape, "F" if fortran == "True" else "C", name)

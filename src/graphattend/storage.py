"""Files of named arrays and a JSON config (.npz, .safetensors), written atomically and read as untrusted input.

Reading never executes code from the file: no pickle, no eval. Any fault of the file raises a `LoadError` of one line
that names the file.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from . import storage_npz, storage_safetensors
from ._validate import as_array, as_choice
from .errors import AttentionError, InvalidConfigError, LoadError
from .storage_checks import (
    DTYPES,
    MAX_ARRAYS,
    MAX_CONFIG_BYTES,
    RESERVED,
    Refused,
    check_finite_arrays,
    check_name,
    check_names,
    parse_json,
)

Format = Literal["npz", "safetensors"]

#: Version of the file layout that this release writes and reads.
VERSION = 1
#: Default maximum of the bytes of all arrays in a file.
MAX_BYTES = 4 << 30

_FORMATS = ("npz", "safetensors")
#: Entry of the stored config that lists the arrays.
_NAMES = "arrays"


def dumps(arrays: Mapping[str, Any], config: Mapping[str, Any], format: Format = "npz") -> bytes:
    """Return named arrays and a config as the bytes of a file.

    Args:
        arrays: Arrays of booleans, integers or floats by name. Names are relative, like ``"w_q"`` or
            ``"experts/0/w_q"``.
        config: JSON types only; ``config["kind"]`` is the kind of the file. The entries ``version`` and ``arrays``
            (the names of the arrays, so that `loads` detects a lost array) are added.
        format: ``"npz"`` or ``"safetensors"``.

    Returns:
        The bytes. Equal content gives equal bytes.

    Raises:
        InvalidConfigError: A name, an element type or the config cannot be stored.

    Example:
        >>> import numpy as np
        >>> from graphattend.storage import dumps, loads
        >>> data = dumps({"w": np.eye(2)}, {"kind": "note"}, "safetensors")
        >>> loads(data, kind="note")
        ({'kind': 'note', 'version': 1}, {'w': array([[1., 0.],
               [0., 1.]])})
    """
    format = _as_format(format)
    checked = _check_arrays(arrays)
    text = _encode_config(config, sorted(checked))
    if format == "safetensors":
        return storage_safetensors.pack(checked, text)
    if sum(a.nbytes for a in checked.values()) > storage_npz.MAX_NPZ_BYTES:
        raise InvalidConfigError("arrays: more than 2 GB do not fit into .npz, use .safetensors", argument="arrays")
    return storage_npz.pack(checked, text)


def loads(
    data: bytes | bytearray | memoryview,
    *,
    kind: str,
    name: str = "data",
    format: Format | None = None,
    allow_nonfinite: bool = False,
    max_bytes: int = MAX_BYTES,
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read config and arrays from the bytes of a file.

    Args:
        data: The result of `dumps`, or the content of a file.
        kind: The required ``config["kind"]``.
        name: Name of the data in error messages.
        format: The required format; None: determined by the first bytes.
        allow_nonfinite: Whether to accept NaN and infinity.
        max_bytes: Maximum number of bytes of the arrays.

    Returns:
        ``(config, arrays)``; the arrays are new, writable and in native byte order.

    Raises:
        LoadError: The data are damaged, hostile, of another kind or of an unknown version.
    """
    try:
        view = memoryview(data).cast("B")
    except TypeError:
        raise InvalidConfigError(f"data: expected bytes, got {type(data).__name__}", argument="data") from None
    found = format or ("npz" if view[:4] == storage_npz.MAGIC else "safetensors")
    module = storage_npz if _as_format(found) == "npz" else storage_safetensors
    with load_errors(name):
        text, arrays = module.unpack(view, max_bytes)
        config = parse_json(text, "config")
        _check_config(config, kind)
        if _NAMES in config:  # files of early versions lack it
            check_names(arrays, config.pop(_NAMES))
        if not allow_nonfinite:
            check_finite_arrays(arrays)
        return config, arrays


def write_archive(path: str | os.PathLike[str], arrays: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Write named arrays and a config to a file; the file appears whole or not at all.

    Args:
        path: File to write; the suffix ``.npz`` or ``.safetensors`` determines the format.
        arrays: As for `dumps`.
        config: As for `dumps`.

    Raises:
        InvalidConfigError: The suffix, a name, an element type or the config is not allowed.
        LoadError: The file cannot be written; an existing file is unchanged.

    Example:
        >>> import numpy as np, tempfile, os
        >>> from graphattend.storage import read_archive, write_archive
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "a.npz")
        ...     write_archive(path, {"w": np.ones(2)}, {"kind": "note", "text": "hello"})
        ...     read_archive(path, kind="note")[0]["text"]
        'hello'
    """
    name = _as_path(path)
    format = _format_of(name)
    if format is None:
        expected = "a name ending in .npz or .safetensors"
        raise InvalidConfigError(f"path: expected {expected}, got {_shown(name)}", argument="path", expected=expected)
    data = dumps(arrays, config, format)
    try:
        write_atomically(name, data)
    except (OSError, ValueError) as error:
        raise LoadError(f"{_shown(name)}: cannot be written ({_reason(error)})", argument="path") from None


def read_archive(
    path: str | os.PathLike[str],
    *,
    kind: str,
    allow_nonfinite: bool = False,
    max_bytes: int = MAX_BYTES,
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Read a file written by `write_archive`, as untrusted input.

    Args:
        path: File to read; its suffix determines the format.
        kind: The required ``config["kind"]``.
        allow_nonfinite: Whether to accept NaN and infinity.
        max_bytes: Maximum number of bytes of the file, and of the arrays.

    Returns:
        ``(config, arrays)``.

    Raises:
        LoadError: The file is missing, a folder, damaged, hostile, of another kind or of an unknown version.
    """
    name = _as_path(path)
    format = _format_of(name)
    with load_errors(name):
        if format is None:
            raise Refused("expected a name ending in .npz or .safetensors")
        data = _read_file(name, format, max_bytes)
    return loads(data, kind=kind, name=name, format=format, allow_nonfinite=allow_nonfinite, max_bytes=max_bytes)


@contextlib.contextmanager
def load_errors(path: str | os.PathLike[str]) -> Iterator[None]:
    """Context manager that turns errors while a file is read into a one-line `LoadError` that names the file.

    Args:
        path: The file, or a name for the data.

    Example:
        >>> from graphattend.errors import InvalidConfigError
        >>> from graphattend.storage import load_errors
        >>> with load_errors("model.npz"):
        ...     raise InvalidConfigError("key: unknown mechanism 'x'")
        Traceback (most recent call last):
        graphattend.errors.LoadError: model.npz: key: unknown mechanism 'x'
    """
    try:
        yield
    except LoadError:
        raise
    except MemoryError:
        raise LoadError(f"{_shown(path)}: does not fit into memory", argument="path") from None
    except (AttentionError, Refused, OSError, ValueError, RecursionError) as error:
        raise LoadError(f"{_shown(path)}: {_reason(error)}", argument="path") from None


def same_file(one: str, other: str) -> bool:
    """Return whether both names are of the same existing file."""
    return os.path.exists(one) and os.path.exists(other) and os.path.samefile(one, other)


def write_atomically(path: str, data: bytes) -> None:
    """Write to a temporary file beside the target, flush it to the disk, then rename it; a failure leaves no file.

    An existing file keeps its permissions. It is not replaced if it is read-only or not a regular file.
    """
    target = os.path.realpath(path)
    mode = None
    with contextlib.suppress(FileNotFoundError):
        mode = os.stat(target).st_mode
    if mode is not None and not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "is not a regular file")
    if mode is not None and not mode & 0o222:
        raise PermissionError(errno.EACCES, "is read-only")
    folder, base = os.path.split(target)
    temporary = os.path.join(folder, f".{base[:100]}.{secrets.token_hex(8)}.tmp")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if mode is not None:
            os.chmod(temporary, stat.S_IMODE(mode))
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _read_file(name: str, format: Format, max_bytes: int) -> bytes:
    mode = os.stat(name)
    if stat.S_ISDIR(mode.st_mode):
        raise Refused("is a folder")
    if not stat.S_ISREG(mode.st_mode):  # a pipe or device could block or never end
        raise Refused("is not a regular file")
    with open(name, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > max_bytes:
            raise Refused(f"larger than the limit of {max_bytes} bytes")
        head = file.read(9)
        if not (head[:4] == storage_npz.MAGIC if format == "npz" else storage_safetensors.plausible(head)):
            raise Refused(f"not a .{format} file ({'empty' if not head else 'wrong magic'})")
        return head + file.read(size - len(head))


def _check_config(config: dict[str, Any], kind: str) -> None:
    version = config.get("version")
    if type(version) is not int or version != VERSION:
        raise Refused(f"unknown version {ascii(version)[:40]}, this release reads {VERSION}")
    if config.get("kind") != kind:
        raise Refused(f"expected a file of kind {kind!r}, got {ascii(config.get('kind'))[:60]}")


def _encode_config(config: Mapping[str, Any], names: list[str]) -> bytes:
    if not isinstance(config, Mapping) or not isinstance(config.get("kind"), str):
        raise InvalidConfigError("config: expected a mapping with a text entry 'kind'", argument="config")
    try:
        whole = {**config, "version": VERSION, _NAMES: names}
        text = json.dumps(whole, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        encoded = text.encode("utf-8")
        if len(encoded) > MAX_CONFIG_BYTES:
            raise Refused(f"more than {MAX_CONFIG_BYTES} bytes")
        parse_json(encoded, "config")
    except (TypeError, ValueError, RecursionError, Refused) as error:
        raise InvalidConfigError(f"config: expected JSON types ({_reason(error)})", argument="config") from None
    return encoded


def _check_arrays(arrays: Mapping[str, Any]) -> dict[str, np.ndarray]:
    if not isinstance(arrays, Mapping):
        raise InvalidConfigError("arrays: expected a mapping from names to arrays", argument="arrays")
    if len(arrays) > MAX_ARRAYS:
        raise InvalidConfigError(f"arrays: expected at most {MAX_ARRAYS}, got {len(arrays)}", argument="arrays")
    checked = {}
    for name, value in arrays.items():
        try:
            check_name(name)
        except Refused as error:
            raise InvalidConfigError(f"arrays: {error}", argument="arrays") from None
        if name in RESERVED:
            raise InvalidConfigError(f"arrays: the name {name!r} is reserved", argument="arrays")
        array = as_array(value, f"arrays[{name!r}]")
        if array.dtype.str[1:] not in DTYPES:
            raise InvalidConfigError(
                f"arrays[{name!r}]: expected booleans, integers or floats, got dtype {array.dtype}", argument="arrays"
            )
        checked[name] = array
    return checked


def _as_path(path: str | os.PathLike[str]) -> str:
    try:
        return os.fsdecode(path)
    except TypeError:
        raise InvalidConfigError(f"path: expected a path, got {type(path).__name__}", argument="path") from None


def _as_format(format: object) -> Format:
    return "npz" if as_choice(format, "format", _FORMATS) == "npz" else "safetensors"


def _format_of(path: str) -> Format | None:
    suffix = Path(path).suffix.lower()
    return _as_format(suffix[1:]) if suffix[1:] in _FORMATS else None


def _shown(path: str | os.PathLike[str]) -> str:
    text = os.fsdecode(path) if isinstance(path, (str, bytes, os.PathLike)) else str(path)
    return text if text.isprintable() else ascii(text)


def _reason(error: BaseException) -> str:
    """Return the reason of an error in one line."""
    text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return " ".join(text.split())[:300]

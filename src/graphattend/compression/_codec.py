"""Base classes of codecs and of compressed arrays."""

from __future__ import annotations

import dataclasses
import math
import os
import sys
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .. import storage
from .._arguments import TypedArguments
from .._frozen import Frozen
from .._validate import as_choice, as_float, as_int, as_number, check_finite, check_ndim, check_nonempty
from ..errors import InvalidConfigError
from ..registry import Registry

KIND = "compressed"


@dataclass(frozen=True, eq=False, repr=False)
class Compressed(Frozen):
    """A compressed array, with the codec that encoded it.

    Attributes:
        codec: The codec with its options.
        shape: Shape of the decoded array.
        dtype: dtype of the decoded array, float32 or float64.
        arrays: The stored arrays by name, with the shapes that the codec defines; read-only.
        error_bound: Largest possible absolute difference between an element and its decoded value, including the
            rounding of the decoder.

    Example:
        >>> import numpy as np
        >>> from graphattend.compression import Quantizer
        >>> c = Quantizer(bits=8).encode(np.ones((100, 64), np.float32))
        >>> c
        Compressed(Quantizer(bits=8), shape=(100, 64), dtype=float32, nbytes=6405, ratio=4.00)
    """

    codec: Codec
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    arrays: Mapping[str, np.ndarray]
    error_bound: float

    def __repr__(self) -> str:
        return (
            f"Compressed({self.codec!r}, shape={self.shape}, dtype={self.dtype}, "
            f"nbytes={self.nbytes}, ratio={self.ratio:.2f})"
        )

    @property
    def nbytes(self) -> int:
        """Number of bytes of all stored arrays, including indices and offsets of sparse arrays; at least 1."""
        return max(1, sum(array.nbytes for array in self.arrays.values()))

    @property
    def ratio(self) -> float:
        """Compression ratio: bytes of the decoded array per stored byte."""
        return math.prod(self.shape) * self.dtype.itemsize / self.nbytes

    def decode(self) -> np.ndarray:
        """Decode the array by its codec."""
        return self.codec.decode(self)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to a .npz or .safetensors file, atomically.

        Args:
            path: File to write; the suffix determines the format.

        Raises:
            InvalidConfigError: Another suffix.
            LoadError: The file cannot be written.
        """
        storage.write_archive(path, self.arrays, self._config())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Compressed:
        """Read a file that `save` wrote.

        Args:
            path: File to read.

        Returns:
            The compressed array, bit for bit.

        Raises:
            LoadError: The file is missing, damaged, hostile or of an unknown version or codec.
        """
        config, arrays = storage.read_archive(path, kind=KIND)
        with storage.load_errors(path):
            return _restore(config, arrays)

    def to_bytes(self, format: storage.Format = "npz") -> bytes:
        """Return the content of the file that `save` would write.

        Args:
            format: ``"npz"`` or ``"safetensors"``.

        Returns:
            The bytes.
        """
        return storage.dumps(self.arrays, self._config(), format)

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview) -> Compressed:
        """Read the bytes that `to_bytes` returned.

        Args:
            data: The bytes.

        Returns:
            The compressed array, bit for bit.

        Raises:
            LoadError: The data are damaged, hostile or of an unknown version or codec.
        """
        config, arrays = storage.loads(data, kind=KIND)
        with storage.load_errors("data"):
            return _restore(config, arrays)

    def _config(self) -> dict[str, Any]:
        return {
            "kind": KIND,
            **self.codec.to_config(),
            "dim": self.shape[-1],
            "shape": list(self.shape),
            "dtype": self.dtype.name,
            "error_bound": self.error_bound,
        }


@dataclass(frozen=True)
class Codec(metaclass=TypedArguments):
    """Base of the codecs: a frozen object with the options and the methods ``encode(x)`` and ``decode(c)``.

    Example:
        >>> import numpy as np
        >>> from graphattend.compression import Codec, LowRank, Quantizer
        >>> for codec in (Quantizer(bits=8), LowRank(rank=1)):
        ...     c = codec.encode(np.ones((4, 3)))
        ...     print(isinstance(codec, Codec), codec.key, np.allclose(codec.decode(c), 1.0))
        True quantizer True
        True low_rank True
    """

    key: ClassVar[str]

    def decode(self, compressed: Compressed) -> np.ndarray:
        """Decode an array; the error of each element is at most ``compressed.error_bound``.

        Args:
            compressed: An array encoded by a codec of this class.

        Returns:
            A new array of the original shape and dtype.

        Raises:
            InvalidConfigError: Not a compressed array, or encoded by another codec.
        """
        if not isinstance(compressed, Compressed) or type(compressed.codec) is not type(self):
            came = compressed.codec if isinstance(compressed, Compressed) else type(compressed).__name__
            expected = f"an array that {type(self).__name__} compressed"
            raise InvalidConfigError(
                f"compressed: expected {expected}, got {came}", argument="compressed", expected=expected
            )
        with np.errstate(over="ignore", under="ignore"):
            x = compressed.codec._decode(compressed.shape, compressed.dtype, compressed.arrays)
        # If the original is near the largest number, the decoder's rounding may overflow.
        limit = np.finfo(x.dtype).max
        return x if np.isfinite(x).all() else np.clip(x, -limit, limit)

    def to_config(self) -> dict[str, Any]:
        """Return key and options as JSON types."""
        options = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {"key": self.key, "options": {k: list(v) if isinstance(v, tuple) else v for k, v in options.items()}}

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Codec:
        """Create a codec from the options of `to_config`."""
        names = {f.name for f in dataclasses.fields(cls)}
        unknown = set(options) - names
        if unknown:
            raise InvalidConfigError(f"options: unknown {sorted(unknown)}", argument="options", expected=sorted(names))
        return cls(**options)

    def _compressed(
        self, shape: tuple[int, ...], dtype: np.dtype[Any], arrays: Mapping[str, np.ndarray], error_bound: float
    ) -> Compressed:
        """Return the result of `encode`."""
        return Compressed(self, shape, dtype, arrays, error_bound)

    @abstractmethod
    def _decode(self, shape: tuple[int, ...], dtype: np.dtype[Any], arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the decoded array."""

    @abstractmethod
    def _check(self, shape: tuple[int, ...], dtype: np.dtype[Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Raise InvalidConfigError unless the arrays of a file can be decoded safely."""


#: Codecs by their ``key`` in files.
CODECS: Registry[type[Codec]] = Registry("codec")


def set_options(codec: Codec, **options: object) -> None:
    """Set checked options, as plain Python numbers, in a frozen codec."""
    for name, value in options.items():
        object.__setattr__(codec, name, value)


def as_data(x: object, minimum_ndim: int, maximum_ndim: int | None = None) -> np.ndarray:
    """Return a checked array to encode."""
    a = as_float(x, "x")
    check_ndim(a, "x", minimum_ndim, maximum_ndim)
    check_nonempty(a, "x")
    check_finite(a, "x")
    return a


def require(condition: bool, what: str) -> None:
    """Raise unless the condition holds, which a file's arrays, options and shape have to meet."""
    if not condition:
        raise InvalidConfigError(f"{what} does not fit the options or the shape")


def require_array(
    arrays: Mapping[str, np.ndarray], name: str, shape: tuple[int, ...], *dtypes: str | type[np.generic] | np.dtype[Any]
) -> np.ndarray:
    """Return the array of this name; raise unless it has this shape and one of these dtypes."""
    require(name in arrays, f"missing array {name!r}")
    array = arrays[name]
    require(array.shape == shape and array.dtype in [np.dtype(d) for d in dtypes], f"array {name!r}")
    return array


def measured_bound(x: np.ndarray, decoded: np.ndarray, slack: float) -> float:
    """Return the largest measured error plus `slack` for another order of summation (another BLAS)."""
    wide = np.longdouble if x.dtype == np.float64 else np.float64
    with np.errstate(over="ignore"):
        seen = float(np.max(np.abs(x.astype(wide) - decoded.astype(wide))))
    # Rounded up by an ulp or two, but not to infinity, which JSON lacks.
    return min(seen * (1 + 2**-51) + slack, sys.float_info.max)


def codec_from_config(config: Mapping[str, Any]) -> Codec:
    """Create a codec from the dictionary that `to_config` returned."""
    require(isinstance(config, Mapping) and isinstance(config.get("options"), Mapping), "codec")
    return CODECS.find(config.get("key")).from_options(config["options"])


def _restore(config: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Compressed:
    codec = codec_from_config(config)
    sizes = config.get("shape")
    if not isinstance(sizes, list) or not 1 <= len(sizes) <= 32:
        raise InvalidConfigError("shape: expected a list of sizes", argument="shape")
    shape = tuple(as_int(n, "shape", minimum=1) for n in sizes)
    dtype = np.dtype(as_choice(config.get("dtype"), "dtype", ("float32", "float64")))
    require(math.prod(shape) * dtype.itemsize < 1 << 48, "shape")
    bound = as_number(config.get("error_bound"), "error_bound", minimum=0.0)
    codec._check(shape, dtype, arrays)
    return codec._compressed(shape, dtype, arrays, bound)


def smallest_index_type(largest: int) -> np.dtype[Any]:
    """Return the smallest unsigned integer dtype that holds `largest`."""
    return next(np.dtype(d) for d in (np.uint8, np.uint16, np.uint32, np.uint64) if largest <= np.iinfo(d).max)

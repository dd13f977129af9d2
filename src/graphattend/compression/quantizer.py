"""Linear quantisation to 8 or 4 bits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from .._validate import ArrayLike, as_bool, as_choice, as_int
from ..errors import InvalidConfigError
from ._codec import CODECS, Codec, Compressed, as_data, require, require_array, set_options


@dataclass(frozen=True, eq=False, repr=False)
class QuantizedArray(Compressed):
    """A compressed array of integer codes, one per number: ``x ≈ (codes − zero_point) · scale``.

    Example:
        >>> from graphattend.compression import Quantizer
        >>> c = Quantizer(bits=4).encode([7.0, -3.0, 0.4])
        >>> c.codes, c.data, float(c.scale)
        (array([ 7, -3,  0], dtype=int8), array([215,   0], dtype=uint8), 1.0)
    """

    codec: Quantizer

    @property
    def data(self) -> np.ndarray:
        """The stored codes: int8 of the array's shape, or 4-bit codes, two per byte, the first in the low half."""
        return self.arrays["data"]

    @property
    def codes(self) -> np.ndarray:
        """The codes as int8, one per element."""
        return _unpack(self.data, self.shape) if self.codec.bits == 4 else self.data

    @property
    def scale(self) -> np.ndarray:
        """The step between codes, of shape () per tensor, (rows,) per row, (rows, groups) per group."""
        return self.arrays["scale"]

    @property
    def zero_point(self) -> np.ndarray:
        """The code of zero, int8, with the shape of `scale`; a single 0 for symmetric codes."""
        return self.arrays["zero_point"]

    @property
    def group_size(self) -> int | None:
        """Number of coordinates of a row that share a scale; None if the scale is per row or tensor."""
        return self.codec.group_size


@CODECS.register("quantizer")
@dataclass(frozen=True)
class Quantizer(Codec):
    """Linear quantisation to 8- or 4-bit integers with one scale per tensor, row or group; zero stays exact.

    Symmetric: scale = max|x| / (2^(bits−1) − 1), codes within ±(2^(bits−1) − 1). Affine: [min(x, 0), max(x, 0)] is
    mapped to −2^(bits−1) … 2^(bits−1) − 1. Halves are rounded to even. A row of zeros has scale 0.

    Args:
        bits: 8 or 4.
        symmetric: Whether zero has code 0.
        granularity: ``"tensor"`` (one scale), ``"row"`` (one per vector along the last axis) or ``"group"``
            (one per `group_size` consecutive coordinates of a vector; the last group may be shorter).
        group_size: Coordinates per group; required for ``"group"``, otherwise not allowed.

    Raises:
        InvalidConfigError: An option is not allowed.

    Source:
        Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
        Inference", eq. 1.

    Example:
        >>> import numpy as np
        >>> from graphattend.compression import Quantizer
        >>> c = Quantizer(bits=8).encode(np.array([[0.5, -1.27], [0.004, 0.0]]))
        >>> c.codes
        array([[  50, -127],
               [   0,    0]], dtype=int8)
        >>> c.decode().round(3)
        array([[ 0.5 , -1.27],
               [ 0.  ,  0.  ]])
        >>> round(c.error_bound, 6)
        0.005
    """

    key: ClassVar[str] = "quantizer"

    bits: Literal[4, 8] = 8
    symmetric: bool = True
    granularity: Literal["tensor", "row", "group"] = "tensor"
    group_size: int | None = None

    def __post_init__(self) -> None:
        set_options(self, bits=as_int(self.bits, "bits"), symmetric=as_bool(self.symmetric, "symmetric"))
        if self.bits not in (4, 8):
            raise InvalidConfigError(f"bits: expected 4 or 8, got {self.bits}", argument="bits", expected=(4, 8))
        as_choice(self.granularity, "granularity", ("tensor", "row", "group"))
        if self.granularity == "group":
            set_options(self, group_size=as_int(self.group_size, "group_size", minimum=1))
        elif self.group_size is not None:
            raise InvalidConfigError(
                f"group_size: expected none for granularity={self.granularity!r}, got {self.group_size!r:.40}",
                argument="group_size",
            )

    def __repr__(self) -> str:
        parts = [f"bits={self.bits}"]
        parts += [] if self.symmetric else ["symmetric=False"]
        parts += [] if self.granularity == "tensor" else [f"granularity={self.granularity!r}"]
        parts += [] if self.group_size is None else [f"group_size={self.group_size}"]
        return f"Quantizer({', '.join(parts)})"

    @property
    def _range(self) -> tuple[int, int]:
        top = (1 << (self.bits - 1)) - 1
        return (-top if self.symmetric else -top - 1), top

    def encode(self, x: ArrayLike) -> QuantizedArray:
        """Quantise an array.

        Args:
            x: (..., D).

        Returns:
            Codes, scales and zero points.

        Raises:
            DimensionMismatchError: `x` has no axis; EmptyInputError: `x` is empty; NumericalInstabilityError: NaN or
                infinity; InvalidConfigError: not real numbers.
        """
        x = as_data(x, 1)
        blocks = self._blocks(x)
        low = np.minimum(blocks.min(axis=-1), 0).astype(np.float64)
        high = np.maximum(blocks.max(axis=-1), 0).astype(np.float64)
        bottom, top = self._range
        if self.symmetric:
            scale = _step(np.maximum(-low, high), 0.0, top, x.dtype)
            zero = np.zeros((), np.int8)
        else:
            scale = _step(high, low, top - bottom, x.dtype)
            zero = np.clip(np.rint(bottom - low / _nonzero(scale)), bottom, top).astype(np.int8)
        codes = np.rint(blocks / _nonzero(scale)[..., None])
        codes = np.clip(codes + zero[..., None], bottom, top).astype(np.int8)
        if self.granularity == "group":
            codes = np.ascontiguousarray(codes.reshape(*x.shape[:-1], -1)[..., : x.shape[-1]])
        codes = codes.reshape(x.shape)
        data = _pack(codes) if self.bits == 4 else codes
        arrays = {"data": data, "scale": scale, "zero_point": zero}
        return self._compressed(x.shape, x.dtype, arrays, self._bound(low, high, scale))

    def _blocks(self, x: np.ndarray) -> np.ndarray:
        """Reshape the array so that the last axis shares a scale; the last group is padded with zeros."""
        if self.granularity == "tensor":
            return x.reshape(-1)
        if self.group_size is None:
            return x
        padding = -x.shape[-1] % self.group_size
        if padding:
            x = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, padding)])
        return x.reshape(*x.shape[:-1], -1, self.group_size)

    def _bound(self, low: np.ndarray, high: np.ndarray, scale: np.ndarray) -> float:
        s = scale.astype(np.float64)
        bottom, top = self._range
        info = np.finfo(scale.dtype)
        bound = s / 2
        if not self.symmetric:
            # The rounded scale may cover slightly less than the range; the excess is clipped.
            bound += np.maximum(high / 4 - low / 4 - (top - bottom) * (s / 4), 0) * 4
        # The decoder rounds its product once: half a unit in the last place of the largest result.
        _, exponent = np.frexp(np.minimum(np.maximum(-low, high), float(info.max) - s) + s)
        bound += np.where(s > 0, np.ldexp(1.0, exponent - info.nmant - 2), 0)
        # The float64 quotients are rounded, too.
        bound += s * 2.0**-44
        return float(np.max(bound))

    def _compressed(
        self, shape: tuple[int, ...], dtype: np.dtype[Any], arrays: Mapping[str, np.ndarray], error_bound: float
    ) -> QuantizedArray:
        return QuantizedArray(self, shape, dtype, arrays, error_bound)

    def _decode(self, shape: tuple[int, ...], dtype: np.dtype[Any], arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        codes = _unpack(arrays["data"], shape) if self.bits == 4 else arrays["data"]
        x = self._blocks(codes).astype(dtype)
        if not self.symmetric:
            x -= arrays["zero_point"][..., None]
        x *= arrays["scale"][..., None]
        if self.granularity == "group":
            x = np.ascontiguousarray(x.reshape(*shape[:-1], -1)[..., : shape[-1]])
        return x.reshape(shape)

    def _check(self, shape: tuple[int, ...], dtype: np.dtype[Any], arrays: Mapping[str, np.ndarray]) -> None:
        if self.bits == 4:
            require_array(arrays, "data", ((math.prod(shape) + 1) // 2,), np.uint8)
        else:
            require_array(arrays, "data", shape, np.int8)
        groups = () if self.group_size is None else (-(-shape[-1] // self.group_size),)
        scales = () if self.granularity == "tensor" else shape[:-1] + groups
        scale = require_array(arrays, "scale", scales, dtype)
        require(bool((scale >= 0).all()), "array 'scale'")
        zero = require_array(arrays, "zero_point", () if self.symmetric else scales, np.int8)
        bottom, top = self._range
        limits = (0, 0) if self.symmetric else (bottom, top)
        require(limits[0] <= int(zero.min()) and int(zero.max()) <= limits[1], "array 'zero_point'")
        require(len(arrays) == 3, "number of arrays")


def _step(high: np.ndarray, low: np.ndarray | float, levels: int, dtype: np.dtype[Any]) -> np.ndarray:
    """Compute (high − low) / levels in the dtype of the data, rounded up if it is subnormal and too small."""
    with np.errstate(over="ignore", under="ignore"):
        span = high - low
        exact = np.where(np.isfinite(span), span / levels, high / levels - low / levels)
        step: np.ndarray = np.asarray(exact.astype(dtype))
        short = (step < np.finfo(dtype).tiny) & (step.astype(np.float64) * levels < span)
        return np.where(short, np.nextafter(step, dtype.type(np.inf)), step)


def _nonzero(scale: np.ndarray) -> np.ndarray:
    """Return the scale in float64 with 0 replaced by 1, as a divisor."""
    return np.where(scale > 0, scale, 1).astype(np.float64)


def _pack(codes: np.ndarray) -> np.ndarray:
    """Pack two 4-bit codes per byte, the first in the low half; an odd number of codes is padded with 0."""
    flat = codes.reshape(-1).view(np.uint8) & 0xF
    if flat.size % 2:
        flat = np.append(flat, np.uint8(0))
    return flat[0::2] | (flat[1::2] << 4)


def _unpack(data: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Unpack the codes of `_pack` to int8."""
    flat = np.empty((data.size, 2), np.int8)
    # Shifting the nibble to the top and back extends its sign.
    flat[:, 0] = (data << 4).view(np.int8) >> 4
    flat[:, 1] = data.view(np.int8) >> 4
    return flat.reshape(-1)[: math.prod(shape)].reshape(shape)

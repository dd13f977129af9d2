"""One codec per layer of a hierarchical graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from .._frozen import Frozen
from .._validate import ArrayLike, as_array, as_int
from ..errors import AttentionError, DimensionMismatchError, InvalidConfigError
from ._codec import (
    CODECS,
    Codec,
    Compressed,
    as_data,
    codec_from_config,
    require,
    require_array,
    set_options,
    smallest_index_type,
)


@CODECS.register("hierarchical")
@dataclass(frozen=True)
class Hierarchical(Frozen, Codec):
    """Encodes each row by the codec of its node's HNSW layer: finely for the few upper nodes, coarsely below.

    Args:
        codecs: Codecs by layer. A node uses the codec of its layer, or of the next lower layer that has one.

    Raises:
        InvalidConfigError: Not a mapping from whole numbers >= 0 to codecs.

    Example:
        >>> import numpy as np
        >>> from graphattend.compression import Hierarchical, Quantizer
        >>> codec = Hierarchical({0: Quantizer(bits=4), 1: Quantizer(bits=8, granularity="row")})
        >>> c = codec.encode(np.ones((100, 64), np.float32), layers=np.array([1] * 10 + [0] * 90))
        >>> round(c.ratio, 1)
        7.0
    """

    key: ClassVar[str] = "hierarchical"

    codecs: Mapping[int, Codec]

    def __post_init__(self) -> None:
        if not isinstance(self.codecs, Mapping) or not self.codecs:
            raise InvalidConfigError(
                f"codecs: expected a mapping from layer to codec, got {self.codecs!r:.60}", argument="codecs"
            )
        checked = {}
        for layer, codec in self.codecs.items():
            if not isinstance(codec, Codec) or isinstance(codec, Hierarchical):
                raise InvalidConfigError(f"codecs[{layer!r}]: expected a codec, got {codec!r:.60}", argument="codecs")
            checked[as_int(layer, "codecs", minimum=0, maximum=255)] = codec
        set_options(self, codecs=MappingProxyType(dict(sorted(checked.items()))))

    def __hash__(self) -> int:
        return hash(tuple(self.codecs.items()))

    def encode(self, x: ArrayLike, layers: ArrayLike) -> Compressed:
        """Encode the rows of a matrix by layer.

        Args:
            x: (V, D), one row per node.
            layers: (V,) integers, the highest HNSW layer of each node.

        Returns:
            The arrays of each part as ``<layer>/<array>``, and ``layers``, the layer of each row's codec.

        Raises:
            DimensionMismatchError: Not a matrix, or the numbers of layers and rows differ; InvalidConfigError: a layer
                without a codec, or data that the layer's codec refuses; EmptyInputError; NumericalInstabilityError:
                NaN or infinity.
        """
        x = as_data(x, 2, 2)
        used = self._codec_layers(layers, x.shape[0])
        arrays = {"layers": used}
        bound = 0.0
        for layer in np.unique(used).tolist():
            encode: Any = getattr(self.codecs[layer], "encode")  # noqa: B009
            try:
                part: Compressed = encode(x[used == layer])
            except AttentionError as error:
                raise type(error)(f"layer {layer}: {error.message}", argument=error.argument) from None
            arrays |= {f"{layer}/{name}": array for name, array in part.arrays.items()}
            bound = max(bound, part.error_bound)
        return self._compressed(x.shape, x.dtype, arrays, bound)

    def _codec_layers(self, layers: object, count: int) -> np.ndarray:
        """Return for each row the layer whose codec it uses, (V,)."""
        given = as_array(layers, "layers")
        if given.dtype.kind not in "iu":
            raise InvalidConfigError.of("layers", "whole numbers", str(given.dtype), got=f"dtype {given.dtype}")
        if given.shape != (count,):
            raise DimensionMismatchError.of("layers", (count,), given.shape, text=f"one per row, shape {(count,)}")
        known = np.array(list(self.codecs))
        position = np.searchsorted(known, given, side="right") - 1
        if position.min() < 0:
            lowest = int(given.min())
            raise InvalidConfigError(
                f"layers: no codec for layer {lowest}, the lowest given is {known[0]}",
                argument="layers",
                expected=list(self.codecs),
                actual=lowest,
            )
        return known[position].astype(smallest_index_type(int(known[-1])))

    def to_config(self) -> dict[str, Any]:
        """Return key and options as JSON types."""
        return {
            "key": self.key,
            "options": {"codecs": {str(layer): codec.to_config() for layer, codec in self.codecs.items()}},
        }

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Codec:
        """Create a codec from the options of `to_config`."""
        codecs = options.get("codecs")
        require(set(options) == {"codecs"} and isinstance(codecs, Mapping), "codecs")
        checked = {}
        for layer, config in dict(codecs or {}).items():
            require(layer.isascii() and layer.isdecimal() and len(layer) <= 3, "codecs")
            require(isinstance(config, Mapping) and config.get("key") != cls.key, "codecs")
            checked[int(layer)] = codec_from_config(config)
        return cls(checked)

    def _parts(
        self, shape: tuple[int, ...], arrays: Mapping[str, np.ndarray]
    ) -> list[tuple[np.ndarray, Codec, tuple[int, ...], dict[str, np.ndarray]]]:
        """Return rows, codec, shape and arrays of each part."""
        parts: list[tuple[np.ndarray, Codec, tuple[int, ...], dict[str, np.ndarray]]] = []
        for layer in np.unique(arrays["layers"]).tolist():
            rows = np.flatnonzero(arrays["layers"] == layer)
            prefix = f"{layer}/"
            own = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
            parts.append((rows, self.codecs[layer], (rows.size, shape[1]), own))
        return parts

    def _decode(self, shape: tuple[int, ...], dtype: np.dtype[Any], arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        x = np.empty(shape, dtype)
        for rows, codec, part_shape, own in self._parts(shape, arrays):
            x[rows] = codec.decode(codec._compressed(part_shape, dtype, own, 0.0))
        return x

    def _check(self, shape: tuple[int, ...], dtype: np.dtype[Any], arrays: Mapping[str, np.ndarray]) -> None:
        require(len(shape) == 2, "shape")
        used = require_array(arrays, "layers", (shape[0],), np.uint8)
        require(set(np.unique(used).tolist()) <= set(self.codecs), "array 'layers'")
        count = 1
        for _, codec, part_shape, own in self._parts(shape, arrays):
            codec._check(part_shape, dtype, own)
            count += len(own)
        require(len(arrays) == count, "number of arrays")

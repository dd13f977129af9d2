"""Tucker decomposition of a three-way array."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .._validate import ArrayLike, as_int
from ..errors import InvalidConfigError
from ._codec import CODECS, Codec, Compressed, as_data, measured_bound, require, require_array, set_options
from .low_rank import rounding_slack, svd, unit_scale

_AXES = 3
_MAX_ITERATIONS = 50
_TOLERANCE = 1e-10


@CODECS.register("tucker")
@dataclass(frozen=True)
class Tucker(Codec):
    """Tucker decomposition of a three-way array: HOSVD, then higher-order orthogonal iteration.

    Args:
        ranks: Size of the core along each of the three axes.

    Raises:
        InvalidConfigError: Not three integers >= 1.

    Source:
        De Lathauwer, De Moor, Vandewalle 2000, "A multilinear singular value decomposition" (HOSVD) and "On the
        best rank-1 and rank-(R1,...,RN) approximation of higher-order tensors" (HOOI).

    Example:
        >>> import numpy as np
        >>> from graphattend.compression import Tucker
        >>> x = np.einsum("i,j,k->ijk", [1.0, 2.0, 3.0], [1.0, -1.0], [2.0, 0.0, 1.0, 1.0])
        >>> c = Tucker((1, 1, 1)).encode(x)
        >>> bool(np.allclose(c.decode(), x)), c.nbytes
        (True, 88)
    """

    key: ClassVar[str] = "tucker"

    ranks: Sequence[int]

    def __post_init__(self) -> None:
        ranks = self.ranks
        if not isinstance(ranks, (tuple, list)) or len(ranks) != _AXES:
            expected = "three whole numbers"
            raise InvalidConfigError(f"ranks: expected {expected}, got {ranks!r:.60}", argument="ranks")
        set_options(self, ranks=tuple(as_int(r, "ranks", minimum=1) for r in ranks))

    def encode(self, x: ArrayLike) -> Compressed:
        """Decompose a three-way array.

        Args:
            x: (I, J, K).

        Returns:
            ``core`` and ``factor_0 … factor_2`` of the array divided by its largest magnitude, and this ``scale``.

        Raises:
            DimensionMismatchError: Not three axes; InvalidConfigError: a rank is larger than its axis, or not real
                numbers; EmptyInputError; NumericalInstabilityError: NaN or infinity.
        """
        x = as_data(x, _AXES, _AXES)
        if any(r > n for r, n in zip(self.ranks, x.shape, strict=True)):
            raise InvalidConfigError.of("ranks", x.shape, self.ranks, text=f"at most {x.shape}")
        scale = unit_scale(x)
        core, factors = _hooi(x / np.float64(scale), tuple(self.ranks))
        arrays = {"core": core.astype(x.dtype), "scale": scale}
        arrays |= {f"factor_{i}": np.ascontiguousarray(f.astype(x.dtype)) for i, f in enumerate(factors)}
        size = float(np.linalg.norm(core))
        for factor in factors:
            size *= float(np.linalg.norm(factor, axis=1).max())
        slack = rounding_slack(scale, size, sum(self.ranks) + 6)
        decoded = self.decode(self._compressed(x.shape, x.dtype, arrays, 0.0))
        return self._compressed(x.shape, x.dtype, arrays, measured_bound(x, decoded, slack))

    def _decode(self, shape: tuple[int, ...], dtype: np.dtype[Any], arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        x = arrays["core"]
        for axis in range(_AXES):
            x = _multiply(x, arrays[f"factor_{axis}"], axis)
        return np.ascontiguousarray(x * arrays["scale"])

    def _check(self, shape: tuple[int, ...], dtype: np.dtype[Any], arrays: Mapping[str, np.ndarray]) -> None:
        require(len(shape) == _AXES and all(r <= n for r, n in zip(self.ranks, shape, strict=True)), "ranks")
        require_array(arrays, "core", tuple(self.ranks), dtype)
        require_array(arrays, "scale", (), dtype)
        for axis, (n, r) in enumerate(zip(shape, self.ranks, strict=True)):
            require_array(arrays, f"factor_{axis}", (n, r), dtype)
        require(len(arrays) == 2 + _AXES, "number of arrays")


def _multiply(x: np.ndarray, matrix: np.ndarray, axis: int) -> np.ndarray:
    """Mode product: contract `axis` of `x` with the second axis of `matrix`."""
    return np.moveaxis(np.tensordot(matrix, x, axes=(1, axis)), 0, axis)


def _leading(x: np.ndarray, axis: int, rank: int) -> np.ndarray:
    """Return the first `rank` left singular vectors of the unfolding of `x` along `axis`."""
    unfolded = np.moveaxis(x, axis, 0).reshape(x.shape[axis], -1)
    # An unfolding with fewer columns than `rank` needs the complete basis.
    return svd(unfolded, full=unfolded.shape[1] < rank)[0][:, :rank]


def _hooi(x: np.ndarray, ranks: tuple[int, ...]) -> tuple[np.ndarray, list[np.ndarray]]:
    """Return the core and orthonormal factors by HOOI; each sweep increases the norm of the core or keeps it."""
    factors = [_leading(x, axis, rank) for axis, rank in enumerate(ranks)]
    before = 0.0
    core = x
    for _ in range(_MAX_ITERATIONS):
        for axis, rank in enumerate(ranks):
            projected = x
            for other in range(_AXES):
                if other != axis:
                    projected = _multiply(projected, factors[other].T, other)
            factors[axis] = _leading(projected, axis, rank)
        core = _multiply(projected, factors[_AXES - 1].T, _AXES - 1)
        norm = float(np.linalg.norm(core))
        if norm - before <= _TOLERANCE * norm:
            break
        before = norm
    return np.ascontiguousarray(core), factors

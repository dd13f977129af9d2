"""Low-rank factorisation of a matrix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from .._validate import ArrayLike, as_int, as_number
from ..errors import InvalidConfigError, NumericalInstabilityError
from ._codec import CODECS, Codec, Compressed, as_data, measured_bound, require, require_array, set_options


@CODECS.register("low_rank")
@dataclass(frozen=True)
class LowRank(Codec):
    """Truncated singular value decomposition, the best approximation of a given rank (Eckart-Young).

    Give exactly one of the two options.

    Args:
        rank: Number of singular values to keep.
        energy: Keep the fewest singular values that have this share (0 < energy <= 1) of the squared Frobenius norm.

    Raises:
        InvalidConfigError: An option is not allowed, or not exactly one is given.

    Source:
        Eckart, Young 1936, "The approximation of one matrix by another of lower rank".

    Example:
        >>> import numpy as np
        >>> from graphattend.compression import LowRank
        >>> x = np.outer([1.0, 2.0, 3.0, 4.0], [1.0, 0.0, 2.0, 1.0])
        >>> c = LowRank(rank=1).encode(x)
        >>> bool(np.allclose(c.decode(), x)), c.error_bound < 1e-12
        (True, True)
    """

    key: ClassVar[str] = "low_rank"

    rank: int | None = None
    energy: float | None = None

    def __post_init__(self) -> None:
        if (self.rank is None) == (self.energy is None):
            raise InvalidConfigError("rank: expected exactly one of rank and energy", argument="rank")
        if self.rank is not None:
            set_options(self, rank=as_int(self.rank, "rank", minimum=1))
        if self.energy is not None:
            set_options(self, energy=as_number(self.energy, "energy", above=0.0, maximum=1.0))

    def encode(self, x: ArrayLike) -> Compressed:
        """Decompose a matrix.

        Args:
            x: (N, D).

        Returns:
            The factors ``left (N, rank)`` and ``right (rank, D)`` of the matrix divided by its largest magnitude, and
            this ``scale``.

        Raises:
            DimensionMismatchError: Not a matrix; InvalidConfigError: `rank` is larger than N or D, or not real
                numbers; EmptyInputError; NumericalInstabilityError: NaN or infinity.
        """
        x = as_data(x, 2, 2)
        limit = min(x.shape)
        if self.rank is not None and self.rank > limit:
            raise InvalidConfigError.of("rank", limit, self.rank, text=f"at most {limit} for shape {x.shape}")
        scale = unit_scale(x)
        u, s, vt = svd(x / np.float64(scale))
        rank = self.rank if self.rank is not None else _rank_for(s, float(self.energy or 1.0))
        root = np.sqrt(s[:rank])
        arrays = {
            "left": np.ascontiguousarray((u[:, :rank] * root).astype(x.dtype)),
            "right": np.ascontiguousarray((vt[:rank] * root[:, None]).astype(x.dtype)),
            "scale": scale,
        }
        # |left|·|right| bounds the sums of products in any order (Higham 2002, eq. 3.5).
        size = np.linalg.norm(arrays["left"], axis=1).max() * np.linalg.norm(arrays["right"], axis=0).max()
        slack = rounding_slack(scale, size, rank + 2)
        return self._compressed(x.shape, x.dtype, arrays, measured_bound(x, self._decoded(x, arrays), slack))

    def _decoded(self, x: np.ndarray, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        return self.decode(self._compressed(x.shape, x.dtype, arrays, 0.0))

    def _decode(self, shape: tuple[int, ...], dtype: np.dtype[Any], arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        x: np.ndarray = arrays["left"] @ arrays["right"]
        x *= arrays["scale"]
        return x

    def _check(self, shape: tuple[int, ...], dtype: np.dtype[Any], arrays: Mapping[str, np.ndarray]) -> None:
        require(len(shape) == 2 and "left" in arrays and arrays["left"].ndim == 2, "array 'left'")
        rank = arrays["left"].shape[1]
        require(1 <= rank <= min(shape) and (self.rank is None or rank == self.rank), "rank")
        require_array(arrays, "left", (shape[0], rank), dtype)
        require_array(arrays, "right", (rank, shape[1]), dtype)
        require_array(arrays, "scale", (), dtype)
        require(len(arrays) == 3, "number of arrays")


def svd(x: np.ndarray, *, full: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return `np.linalg.svd` or raise a typed error."""
    try:
        u, s, vt = np.linalg.svd(x, full_matrices=full)
    except np.linalg.LinAlgError as error:
        raise NumericalInstabilityError(f"x: {error}", argument="x") from None
    return u, s, vt


def unit_scale(x: np.ndarray) -> np.ndarray:
    """Return the largest magnitude (1 if all are zero); squares and products of `x` divided by it do not overflow."""
    top = np.abs(x).max()
    return np.asarray(top if top > 0 else 1, dtype=x.dtype)


def rounding_slack(scale: np.ndarray, size: float, terms: int) -> float:
    """Return twice the largest difference between two orders of summing `terms` products of total magnitude `size`."""
    info = np.finfo(scale.dtype)
    return float(2 * terms * info.eps * float(size) * float(scale) + float(info.smallest_subnormal))


def _rank_for(singular: np.ndarray, energy: float) -> int:
    """Return the smallest number of singular values with at least the share `energy` of the sum of squares."""
    total = np.cumsum(singular**2)
    enough = total >= energy * total[-1]
    return int(np.argmax(enough)) + 1

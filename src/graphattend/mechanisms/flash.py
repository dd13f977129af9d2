"""Flash attention: exact attention in tiles, with memory linear in the number of rows."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import ClassVar

import numpy as np

from ._boundary import Context
from ._gradients import CoreResult
from ._options import option
from ._scaled_dot import DotProduct, dot_product_core


@dataclasses.dataclass(frozen=True, eq=False)
class FlashAttention(DotProduct):
    """Exact scaled dot-product attention in tiles, without the M×N matrix in memory.

    The forward pass processes the keys in tiles with a running maximum and sum. The backward pass recomputes the
    weights from the stored maximum and sum. Dropout and returned weights form the full matrix.

    Args:
        dim: Width D of queries and keys; values may have any width.
        temperature: Divides the scores.
        scale: Factor of the dot products, 1/√D by default.
        is_causal: Query i sees key j iff j <= i.
        block_size: Rows and columns of a tile.
        dropout: Probability of dropping a weight in training.
        seed: Unused; there are no parameters.
        check_finite: Whether NaN and infinity in the inputs raise an error.

    Source:
        Dao et al. 2022, "FlashAttention: Fast and Memory-Efficient Exact Attention with IO-Awareness",
        algorithms 1 and 4.

    Example:
        >>> import numpy as np, graphattend as ga
        >>> x = np.random.default_rng(0).standard_normal((1000, 16))
        >>> flash = ga.FlashAttention(16).forward(x, x, x)
        >>> bool(np.allclose(flash, ga.ScaledDotProductAttention(16).forward(x, x, x)))
        True
    """

    is_causal: bool = option("bool", False, "query i sees key j iff j <= i")
    block_size: int = option("int", 128, "rows and columns of a tile", minimum=1)
    key: ClassVar[str] = "flash"
    family: ClassVar[str] = "sparse"
    complexity: ClassVar[str] = "O(M·N·D) time, O(M) extra memory"
    any_value_width: ClassVar[bool] = True
    laws: ClassVar[frozenset[str]] = frozenset({"permutation", "weights_times_values"})

    @cached_property
    def _plain(self) -> bool:
        return not self.is_causal

    def _graph_factor(self) -> float | None:
        return self.factor

    def _core(self, q: np.ndarray, k: np.ndarray, v: np.ndarray | None, context: Context) -> CoreResult:
        options = {"causal": self.is_causal, "block_size": self.block_size}
        return dot_product_core(q, k, v, context, scale=self.factor, **options)

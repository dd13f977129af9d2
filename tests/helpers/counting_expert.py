"""An expert for mixtures that records its calls."""

import dataclasses
from typing import ClassVar

import numpy as np

from graphattend.mechanisms.scaled_dot_product import ScaledDotProductAttention

#: Seed of the expert and number of queries of each call.
CALLS: list[tuple[int, int]] = []


@dataclasses.dataclass(frozen=True, eq=False)
class Counting(ScaledDotProductAttention):
    """Scaled dot-product attention that appends to CALLS."""

    key: ClassVar[str] = "counting"

    def _core(self, q, k, v, context):
        CALLS.append((self.seed, int(np.prod(q.shape[:-1]))))
        return super()._core(q, k, v, context)

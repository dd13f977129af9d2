"""Pure functions of arrays, each with its vector-Jacobian product (see `graphattend.vjp`).

They check shapes and kinds, but do not scan for NaN; the classes do.
"""

from .attention import scaled_dot_product_attention
from .multi_head import from_torch_mask, multi_head_attention
from .softmax import segment_softmax, softmax

__all__ = [
    "from_torch_mask",
    "multi_head_attention",
    "scaled_dot_product_attention",
    "segment_softmax",
    "softmax",
]

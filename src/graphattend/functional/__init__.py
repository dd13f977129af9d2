"""Pure functions of arrays, each with its vector-Jacobian product (see `graphattend.vjp`).

They check shapes and kinds, but do not scan for NaN; the classes do.
"""

from .attention import scaled_dot_product_attention
from .gat import gat_attention
from .gating import load_balance_loss, top_k_gating
from .linear import favor_features, linear_attention, orthogonal_projection
from .multi_head import from_torch_mask, multi_head_attention
from .quantized import quantized_attention
from .rotary import rotary
from .softmax import segment_softmax, softmax

__all__ = [
    "favor_features",
    "from_torch_mask",
    "gat_attention",
    "linear_attention",
    "load_balance_loss",
    "multi_head_attention",
    "orthogonal_projection",
    "quantized_attention",
    "rotary",
    "scaled_dot_product_attention",
    "segment_softmax",
    "softmax",
    "top_k_gating",
]

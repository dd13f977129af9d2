"""Pure functions of arrays, each with its vector-Jacobian product (see `graphattend.vjp`).

The functions check shapes and dtypes but do not scan for NaN; the mechanism classes do.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .attention import scaled_dot_product_attention
    from .favor import favor_features, orthogonal_projection
    from .gat import gat_attention
    from .gating import load_balance_loss, top_k_gating
    from .linear import linear_attention
    from .multi_head import from_torch_mask, multi_head_attention
    from .quantized import quantized_attention
    from .rotary import rotary
    from .softmax import segment_softmax

#: The module that defines each function. It is imported at first use.
_LAZY = {
    "favor_features": "favor",
    "from_torch_mask": "multi_head",
    "gat_attention": "gat",
    "linear_attention": "linear",
    "load_balance_loss": "gating",
    "multi_head_attention": "multi_head",
    "orthogonal_projection": "favor",
    "quantized_attention": "quantized",
    "scaled_dot_product_attention": "attention",
    "segment_softmax": "softmax",
    "top_k_gating": "gating",
}

# A function named like its module is imported at once: a later import of the module would replace the function.
from .matmul import matmul as matmul  # noqa: E402
from .rotary import rotary as rotary  # noqa: E402
from .softmax import softmax as softmax  # noqa: E402

__all__ = [
    "favor_features",
    "from_torch_mask",
    "gat_attention",
    "linear_attention",
    "load_balance_loss",
    "matmul",
    "multi_head_attention",
    "orthogonal_projection",
    "quantized_attention",
    "rotary",
    "scaled_dot_product_attention",
    "segment_softmax",
    "softmax",
    "top_k_gating",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)
    globals()[name] = value
    return value

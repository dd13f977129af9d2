"""Scaled dot-product attention."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from ._boundary import Context
from ._gradients import CoreResult, Params
from ._mechanism import unprojected
from ._options import option
from ._scaled_dot import DotProduct, dot_product_core


@dataclasses.dataclass(frozen=True, eq=False)
class ScaledDotProductAttention(DotProduct):
    """Scaled dot-product attention: softmax(scale · q·k / temperature) over the keys, applied to the values.

    Args:
        dim: Width D of queries and keys; values may have any width.
        temperature: Divides the scores; small values sharpen the weights.
        scale: Factor of the dot products, 1/√D by default.
        normalize: Whether to scale queries and keys to length one, so that the scores are cosine similarities.
        dropout: Probability of dropping a weight in training.
        seed: Unused; there are no parameters.
        check_finite: Whether NaN and infinity in the inputs raise an error.

    Source:
        Vaswani et al. 2017, "Attention Is All You Need", eq. 1.

    Example:
        >>> import numpy as np, graphattend as ga
        >>> attn = ga.ScaledDotProductAttention(2, temperature=0.1)
        >>> attn.forward(np.array([1.0, 0.0]), np.eye(2), np.array([[1.0], [0.0]])).round(3)
        array([0.999])
    """

    normalize: bool = option("bool", False, "scale queries and keys to length one first")
    key: ClassVar[str] = "scaled_dot_product"
    family: ClassVar[str] = "core"
    complexity: ClassVar[str] = "O(M·N·D)"
    any_value_width: ClassVar[bool] = True
    laws: ClassVar[frozenset[str]] = frozenset({"permutation", "weights_times_values"})

    @cached_property
    def _plain(self) -> bool:
        return not self.normalize

    def _graph_factor(self) -> float | None:
        return self.factor

    def _core(self, q: np.ndarray, k: np.ndarray, v: np.ndarray | None, context: Context) -> CoreResult:
        return dot_product_core(q, k, v, context, scale=self.factor)

    def _project(
        self, q: np.ndarray, k: np.ndarray, v: np.ndarray | None, p: Params
    ) -> tuple[tuple[Any, Any, Any], Callable[..., Any]]:
        if not self.normalize:
            return (q, k, v), unprojected
        q1, pull_q = _unit(q)
        k1, pull_k = _unit(k)
        return (q1, k1, v), lambda gq, gk, gv: (pull_q(gq), pull_k(gk), gv, {})


def _unit(x: np.ndarray) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
    """Scale rows to length one (zero rows stay zero); return them and the pullback."""
    norm = np.sqrt(np.einsum("...d,...d->...", x, x))[..., None]
    inverse = np.where(norm > 0, 1 / np.where(norm > 0, norm, 1), 0).astype(x.dtype)
    u = x * inverse
    return u, lambda g: (g - u * (g * u).sum(axis=-1, keepdims=True)) * inverse

"""Base class of mechanisms with scaled dot products: their options and scores."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from .. import simd
from ..functional.dot_product import dot_product_attention, scaled_dot
from ..graph import GraphMetadata
from ._base import Attention
from ._boundary import Context
from ._gradients import CoreGradients, CoreResult, Grads, Params
from ._mechanism import SingleScores
from ._options import option


@dataclasses.dataclass(frozen=True, eq=False)
class DotProduct(Attention):
    """Options and scores of scale · q·k / temperature."""

    temperature: float = option("float", 1.0, "divides the scores; small values sharpen the weights", above=0.0)
    scale: float | None = option("float", None, "factor of the dot products; null means 1/√dim", nullable=True)
    dropout: float = option("float", 0.0, "probability of dropping a weight in training", minimum=0.0, maximum=1.0)

    @cached_property
    def factor(self) -> float:
        """Factor of the dot products."""
        scale = self.dim**-0.5 if self.scale is None else self.scale
        return scale / self.temperature

    def _dot(
        self, q: np.ndarray, k: np.ndarray
    ) -> tuple[np.ndarray, Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]]:
        """Return the scores and the pullback to q and k."""
        return scaled_dot(q, k, self.factor)

    def _scores(
        self, q: np.ndarray, k: np.ndarray, meta: Params, p: Params
    ) -> tuple[np.ndarray, Callable[..., tuple[np.ndarray, np.ndarray, Grads, Grads]]]:
        s, pull = scaled_dot(q, k, self.factor)
        return s, lambda gs: (*pull(gs), {}, {})

    def _fused(self, query: Any, keys: Any, values: Any) -> np.ndarray | None:
        if not self._plain:
            return None
        return simd.single(query, keys, values, self.dim, self.factor, self.check_finite)

    def _fused_weights(
        self, query: Any, keys: Any, values: Any, metadata: Any, mask: Any = None
    ) -> tuple[Any, np.ndarray] | None:
        if not self._plain:
            return super()._fused_weights(query, keys, values, metadata, mask)
        return None if metadata is not None else simd.single_weights(query, keys, values, self.dim, self.factor, mask)

    def _fused_masked(self, query: Any, keys: Any, values: Any, metadata: Any, mask: np.ndarray) -> np.ndarray | None:
        if not self._plain or metadata is not None:
            return super()._fused_masked(query, keys, values, metadata, mask)
        # What the mask hides may be rubbish, for which the checked pass is needed.
        return simd.single(query, keys, values, self.dim, self.factor, True, mask)

    def _single_vjp(self, query: np.ndarray, keys: np.ndarray, metadata: GraphMetadata | None) -> SingleScores | None:
        if not self._plain or metadata is not None:
            return None
        return SingleScores(query, {"scale": self.factor}, lambda gq, gk, _: (gq, gk, {}, {}))

    @cached_property
    def _plain(self) -> bool:
        """Whether the mechanism is plain scaled dot-product attention."""
        return False


def dot_product_core(
    q: np.ndarray, k: np.ndarray, v: np.ndarray | None, context: Context, **options: Any
) -> CoreResult:
    """Run `functional.dot_product.dot_product_attention` as a core."""
    mask, drop, need_weights = context.mask, context.drop, context.need_weights
    out, w, pull = dot_product_attention(q, k, v, mask=mask, drop=drop, need_weights=need_weights, **options)

    def pullback(g: np.ndarray, g_weights: np.ndarray | None = None) -> CoreGradients:
        gq, gk, gv = pull(g, g_weights)
        return CoreGradients(gq, gk, gv, {}, {})

    return out, w, pullback

"""Mechanisms whose scores are dot products plus a bias for each pair."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..errors import UnsupportedError
from ..functional.dot_product import dot_product_attention, scaled_dot
from ..graph import GraphMetadata
from ._boundary import Context
from ._gradients import CoreGradients, CoreResult, Grads, Params
from ._mechanism import Mechanism, SingleScores


class PairScores(NamedTuple):
    """Scores of pairs as factor · q·k + bias, or with `squares` as factor · (q·k - |k|²) + bias.

    Args:
        q: (..., [H,] M, d).
        k: (..., [H,] N, d).
        factor: Factor of the products.
        bias: Added to the scores, broadcastable to (..., [H,] M, N), or None.
        pull: ``pull(gq, gk, gs) -> (gq, gk, {parameter: gradient}, {field: gradient})``. Its arguments are the
            gradients of q and k through the products, and with a bias the gradient of the scores (..., [H,] M, N), or
            with `squares` Σ gradient of the score · |k|², (..., [H,] M, 1).
        squares: Whether |k|² is subtracted from the products.
    """

    q: np.ndarray
    k: np.ndarray
    factor: float
    bias: np.ndarray | None
    pull: Callable[..., tuple[np.ndarray, np.ndarray, Grads, Grads]]
    squares: bool = False


class Biased(Mechanism):
    """Base class of mechanisms that define `_pair_scores`, with their core."""

    def _pair_scores(self, q: np.ndarray, k: np.ndarray, meta: Params, p: Params) -> PairScores:
        """Return the scores as dot products and a bias."""
        raise UnsupportedError(f"{type(self).__name__}: has no scores")

    def _scores(self, q: np.ndarray, k: np.ndarray, meta: Params, p: Params) -> tuple[np.ndarray, Callable[..., Any]]:
        pairs = self._pair_scores(q, k, meta, p)
        s, pull = scaled_dot(pairs.q, pairs.k, pairs.factor, bias=pairs.bias, squares=pairs.squares)
        return s, lambda gs: pairs.pull(*pull(gs))

    def _core(self, q: np.ndarray, k: np.ndarray, v: np.ndarray | None, context: Context) -> CoreResult:
        pairs = self._pair_scores(q, k, context.metadata, context.parameters)
        out, w, pull_d = dot_product_attention(
            pairs.q,
            pairs.k,
            v,
            scale=pairs.factor,
            bias=pairs.bias,
            squares=pairs.squares,
            mask=context.mask,
            drop=context.drop,
            need_weights=context.need_weights,
        )

        def pullback(g: np.ndarray, g_weights: np.ndarray | None = None) -> CoreGradients:
            gq, gk, gv, *gs = pull_d(g, g_weights)
            gq, gk, gp, gm = pairs.pull(gq, gk, *gs)
            return CoreGradients(gq, gk, gv, gp, gm)

        return out, w, pullback

    def _single_vjp(self, query: np.ndarray, keys: np.ndarray, metadata: GraphMetadata | None) -> SingleScores | None:
        if self._single_scores(query, keys, metadata) is None:  # it checks the metadata
            return None
        given = {name: getattr(metadata, name, None) for name in self._reads}
        fields = {name: np.asarray(a) for name, a in given.items() if a is not None}
        pairs = self._pair_scores(query, keys, fields, self._params(query.dtype))
        if pairs.k is not keys:
            return None
        options = {"scale": pairs.factor, "bias": pairs.bias, "squares": pairs.squares}
        added = pairs.squares or pairs.bias is not None
        return SingleScores(pairs.q, options, pairs.pull if added else lambda gq, gk, gs: pairs.pull(gq, gk))

"""Linear attention by positive orthogonal random features."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from .. import simd
from ..functional.attention import causal_mask
from ..functional.linear import draw_projection, features, mix
from ._base import Attention, CoreGradients, CoreResult, Params, option


@dataclasses.dataclass(frozen=True, eq=False)
class LinearAttention(Attention):
    """An estimate of softmax attention in time linear in the number of keys (Performer, FAVOR+).

    exp(q·k/√D) is estimated, without bias, by dot products of positive random features; the sum over the keys is
    then a fixed-size state φ(K)ᵀV. The error falls like m^(-1/2) and grows with |q| and |k|. A mask that treats all
    queries alike keeps the linear time; any other mask, dropout and returned weights make the M×N matrix.

    The one parameter is ``projection`` (m, D), the random directions.

    Args:
        dim: Width D of queries and keys; values may have any width.
        num_features: m, the number of random features.
        redraw: Number of the draw; another number gives other random directions for the same seed.
        is_causal: Query i sees key j iff j <= i, in linear time, too.
        temperature: Divides the scores.
        dropout: Probability of dropping a weight in training.
        seed: Seed of the random directions.
        check_finite: Whether NaN and infinity in the inputs are refused.

    Source:
        Choromanski et al. 2021, "Rethinking Attention with Performers", algorithm 1.

    Example:
        >>> import numpy as np, graphattend as ga
        >>> x = np.random.default_rng(0).standard_normal((40, 8)) * 0.5
        >>> exact = ga.ScaledDotProductAttention(8).forward(x, x, x)
        >>> bool(np.abs(ga.LinearAttention(8, num_features=2048).forward(x, x, x) - exact).max() < 0.1)
        True
    """

    num_features: int = option("int", 256, "number of random features", minimum=1)
    redraw: int = option("int", 0, "number of the draw; another one gives other random directions", minimum=0)
    is_causal: bool = option("bool", False, "query i sees key j iff j <= i")
    temperature: float = option("float", 1.0, "divides the scores; small values sharpen the weights", above=0.0)
    dropout: float = option("float", 0.0, "probability of dropping a weight in training", minimum=0.0, maximum=1.0)

    key: ClassVar[str] = "linear"
    family: ClassVar[str] = "sparse"
    complexity: ClassVar[str] = "O((M+N)·m·D)"
    any_value_width: ClassVar[bool] = True
    laws: ClassVar[frozenset[str]] = frozenset({"permutation", "weights_times_values"})

    @classmethod
    def example(cls, rng: np.random.Generator, n: int, dim: int = 8) -> tuple[Attention, dict[str, Any]]:
        """Sixteen features."""
        _, inputs = super().example(rng, n, dim)
        return cls(dim, num_features=16), inputs

    def _init_parameters(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        draw = np.random.default_rng([self.seed, self.redraw])
        return {"projection": draw_projection(self.num_features, self.dim, draw)}

    def redrawn(self) -> LinearAttention:
        """The same mechanism with the next draw of random directions.

        Example:
            >>> import graphattend as ga
            >>> ga.LinearAttention(8).redrawn().redraw
            1
        """
        return dataclasses.replace(self, redraw=self.redraw + 1)

    def _project(
        self, q: np.ndarray, k: np.ndarray, v: Any, p: Params
    ) -> tuple[tuple[Any, Any, Any], Callable[..., Any]]:
        w = p["projection"]
        shrink = q.dtype.type(self.temperature**-0.5)
        fq, pull_q = features(q * shrink, w, True, 0.0, shift=True)
        fk, pull_k = features(k * shrink, w, False, 0.0, shift=True)

        def pull(gq: np.ndarray, gk: np.ndarray, gv: Any) -> tuple[Any, ...]:
            (gx_q, gw_q), (gx_k, gw_k) = pull_q(gq), pull_k(gk)
            return gx_q * shrink, gx_k * shrink, gv, {"projection": gw_q + gw_k}

        return (fq, fk, v), pull

    def _core(
        self, q: np.ndarray, k: np.ndarray, v: Any, mask: Any, meta: Params, p: Params, drop: Any, need_weights: bool
    ) -> CoreResult:
        alike = mask is None or mask.ndim < 2 or mask.shape[-2] == 1
        if v is None or drop is not None or need_weights or not alike:
            return self._quadratic(q, k, v, mask, drop)
        share = None if mask is None else _factor(mask, q.dtype)
        if share is not None:
            share = share[..., None] if mask.ndim < 2 else share.swapaxes(-1, -2)
        out, pull = mix(q, k if share is None else k * share, v, self.is_causal)

        def pullback(g: np.ndarray, g_weights: Any = None) -> CoreGradients:
            if g_weights is not None:
                return self._quadratic(q, k, v, mask, None)[2](g, g_weights)
            gq, gk, gv = pull(g)
            return CoreGradients(gq, gk if share is None else gk * share, gv, {}, {})

        return out, None, pullback

    def _quadratic(self, q: np.ndarray, k: np.ndarray, v: Any, mask: Any, drop: Any) -> CoreResult:
        """The same with the M×N matrix of weights."""
        share = q.dtype.type(1) if mask is None else _factor(mask, q.dtype)
        if self.is_causal:
            share = share * causal_mask(q.shape[-2], k.shape[-2])
        a = simd.matmul_nt(q, k) * share
        total = a.sum(axis=-1, keepdims=True)
        inverse = np.where(total > 0, 1 / np.where(total > 0, total, 1), 0).astype(q.dtype)
        w = a * inverse
        wd = w if drop is None else w * drop
        out = None if v is None else simd.matmul(wd, v)

        def pullback(g: np.ndarray, g_weights: Any = None) -> CoreGradients:
            gw = simd.matmul_nt(g, v)
            if g_weights is not None:
                gw = gw + g_weights
            if drop is not None:
                gw = gw * drop
            # w = a / Σa: the softmax pullback without the factor w, which is a · inverse.
            ga = (gw - (gw * w).sum(axis=-1, keepdims=True)) * inverse * share
            return CoreGradients(simd.matmul(ga, k), simd.matmul_tn(ga, q), simd.matmul_tn(wd, g), {}, {})

        return out, wd, pullback


def _factor(mask: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """What a mask multiplies the estimated exponentials with."""
    return mask.astype(dtype) if mask.dtype == np.bool_ else np.exp(mask).astype(dtype)

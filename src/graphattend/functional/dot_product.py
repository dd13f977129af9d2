"""Scaled dot-product attention of checked arrays, the implementation that functions and mechanisms share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import simd
from .._validate import as_rng
from ..errors import InvalidConfigError
from ..simd.numpy_ops import less_squares
from .hidden import sum_of_seen
from .softmax import masked_softmax, softmax_pullback

#: A pullback: maps the gradients of the results to the gradients of the arguments.
Pull = Callable[..., Any]


class Attended(NamedTuple):
    """The result of attention over checked arrays.

    Args:
        output: (..., M, E), or None if there were no values.
        weights: (..., M, N) after dropout, or None if they were not computed.
        pull: ``pull(g_output, g_weights=None) -> (gq, gk, gv)``. The gradients may have the leading axes of the output.
    """

    output: Any
    weights: Any
    pull: Pull


def dot_product_attention(
    q: np.ndarray,
    k: np.ndarray,
    v: np.ndarray | None,
    *,
    scale: float,
    mask: np.ndarray | None = None,
    causal: bool = False,
    drop: np.ndarray | None = None,
    need_weights: bool = False,
    watched: np.ndarray | None = None,
    block_size: int | None = None,
    bias: np.ndarray | None = None,
    squares: bool = False,
) -> Attended:
    """Compute softmax(scale · q·kᵀ + bias + mask) · v for checked arrays.

    Args:
        q: (..., M, D).
        k: (..., N, D).
        v: (..., N, E), or None for the weights alone.
        scale: Factor of the scores.
        mask: Boolean (True = attend) or additive, broadcastable to (..., M, N), with at least one axis.
        causal: Query i sees key j iff j <= i.
        drop: Multiplier of the weights (..., M, N), see `dropout_multiplier`.
        need_weights: Whether to return the weights. Kernels work in tiles without weights, `drop` and `watched`.
        watched: The seen pairs (..., M, N) if hidden keys are not finite, see `pairs_to_watch`.
        block_size: Side of a tile. If given, the output is computed in tiles even without kernels.
        bias: Added to the scores, broadcastable to (..., M, N). With a bias, `pull` also returns the gradient of the
            scores (..., M, N), after those of q, k and v.
        squares: Whether the scores are scale · (q·k - |k|²). `pull` then also returns Σ gradient of the score · |k|²,
            (..., M, 1), after those of q, k and v.
    """
    biased = bias is not None or squares

    def exact() -> Attended:
        seen = and_causal(mask, q.shape[-2], k.shape[-2]) if causal else mask
        s, pull_scores = scaled_dot(q, k, scale, watched, bias, squares)
        out, w, pull_weights = from_scores(s, v, seen, drop, watched)

        def pull(g: np.ndarray, g_weights: np.ndarray | None = None) -> tuple[np.ndarray, ...]:
            gs, gv = pull_weights(g, g_weights)
            gq, gk, *last = pull_scores(gs)
            return gq, gk, gv, *last

        return Attended(out, w, pull)

    def few() -> Attended | None:
        seen = and_causal(mask, q.shape[-2], k.shape[-2]) if causal else mask
        found = simd.attend_few(q, k, v, scale=scale, bias=bias, mask=seen, squares=squares)
        if found is None:
            return None
        w = found[1]

        def pull(g: np.ndarray, g_weights: np.ndarray | None = None) -> tuple[np.ndarray, ...]:
            assert v is not None
            *grads, last = simd.attend_few_vjp(q, k, v, w, g, scale=scale, grad_weights=g_weights, squares=squares)
            return *grads, *((last,) if biased else ())

        return Attended(found[0], w, pull)

    if drop is not None or watched is not None:
        return exact()
    kernels = simd._kernels is not None and q.dtype in simd._kernels.DTYPES
    one_by_one = few() if kernels and q.shape[-2] <= simd.FEW_ROWS else None
    if one_by_one is not None:  # for few rows its pullback is also faster than the tiled one
        return one_by_one
    if biased or need_weights or v is None or (block_size is None and not kernels):
        return exact()
    options: dict[str, Any] = {"scale": scale, "mask": mask, "causal": causal, "block_size": block_size or 128}
    out, stats = simd.attention(q, k, v, **options)

    def pull(g: np.ndarray, g_weights: np.ndarray | None = None) -> tuple[np.ndarray, ...]:
        if g_weights is not None:
            return tuple(exact().pull(g, g_weights))
        return simd.attention_vjp(q, k, v, out, stats, g, **options)

    return Attended(out, None, pull)


def scaled_dot(
    q: np.ndarray,
    k: np.ndarray,
    scale: float,
    watched: np.ndarray | None = None,
    bias: np.ndarray | None = None,
    squares: bool = False,
) -> tuple[np.ndarray, Pull]:
    """Return the scores scale · q·kᵀ (..., M, N) and ``pull(gs) -> (gq, gk)``.

    The bias and, with `squares`, -scale · |k|² are added. `pull` then also returns the gradient of the bias, gs, or
    with `squares` Σ gs · |k|², (..., M, 1). If `watched` is given, the scores of all other pairs are zero.
    """
    f = q.dtype.type(scale)
    s = simd.matmul_nt(q, k)
    s *= f
    if squares:
        s -= (np.einsum("...d,...d->...", k, k) * f)[..., None, :]
    if bias is not None:
        s = s + bias
    if watched is not None:
        s = np.where(watched, s, s.dtype.type(0))

    def pull(gs: np.ndarray) -> tuple[np.ndarray, ...]:
        scaled = gs * f
        if watched is not None:
            gq, gk = sum_of_seen(scaled, k), sum_of_seen(scaled.swapaxes(-1, -2), q)
        else:
            gq, gk = simd.matmul(scaled, k), simd.matmul_tn(scaled, q)
        if squares:
            return gq, *less_squares(gs, gk, k, scale)
        return (gq, gk) if bias is None else (gq, gk, gs)

    return s, pull


def from_scores(
    s: np.ndarray,
    v: np.ndarray | None,
    mask: np.ndarray | None = None,
    drop: np.ndarray | None = None,
    watched: np.ndarray | None = None,
    aggregate: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, Pull]] | None = None,
) -> tuple[Any, np.ndarray, Pull]:
    """Apply softmax and dropout to scores (..., M, N), then aggregate the values (..., N, E).

    `aggregate` maps weights and values to the output and ``pull(g) -> (gw, gv, ...)``; the default is `weighted_sum`.
    Returns the output (None without values), the weights, and ``pull(g, g_weights=None) -> (gs, gv, ...)``.
    """
    w = masked_softmax(s, mask)
    wd = w if drop is None else w * drop
    out, pull_sum = None, None
    if v is not None:
        out, pull_sum = weighted_sum(wd, v, watched) if aggregate is None else aggregate(wd, v)

    def pull(g: np.ndarray, g_weights: np.ndarray | None = None) -> tuple[Any, ...]:
        assert pull_sum is not None
        gw, *rest = pull_sum(g)
        if g_weights is not None:
            gw = gw + g_weights
        return softmax_pullback(w, gw if drop is None else gw * drop), *rest

    return out, wd, pull


def weighted_sum(
    w: np.ndarray, v: np.ndarray, watched: np.ndarray | None = None
) -> tuple[np.ndarray, Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]]:
    """Return weights (..., M, N) times values (..., N, E), and ``pull(g) -> (gw, gv)``."""

    def pull(g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        gw = simd.matmul_nt(g, v)
        return gw if watched is None else np.where(watched, gw, gw.dtype.type(0)), simd.matmul_tn(w, g)

    return (simd.matmul if watched is None else sum_of_seen)(w, v), pull


def causal_mask(rows: int, columns: int) -> np.ndarray:
    """Return the boolean mask (M, N) that is True where j <= i."""
    return np.arange(columns) <= np.arange(rows)[:, None]


def and_causal(mask: np.ndarray | None, rows: int, columns: int) -> np.ndarray:
    """Return the mask combined with the causal mask."""
    seen = causal_mask(rows, columns)
    if mask is None:
        return seen
    if mask.dtype == np.bool_:
        return np.asarray(mask & seen)
    return np.where(seen, mask, mask.dtype.type(-np.inf))


def dropout_multiplier(
    shape: tuple[int, ...], p: float, rng: np.random.Generator | int | None, dtype: np.dtype[Any]
) -> np.ndarray | None:
    """Draw inverted dropout: 0 with probability `p`, else 1/(1-p). Return None for p = 0."""
    if p == 0:
        return None
    if rng is None:
        raise InvalidConfigError.of(
            "rng", "a numpy.random.Generator", None, text="a numpy.random.Generator because dropout is on"
        )
    if p == 1:
        return np.zeros(shape, dtype)
    kept = as_rng(rng).random(shape, dtype=np.float32) >= p
    multiplier: np.ndarray = kept.astype(dtype) / dtype.type(1 - p)
    return multiplier

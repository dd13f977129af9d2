"""Positive random features (FAVOR+): the directions, the exponents and the features."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np

from .. import simd
from .._float64_fallback import float64_fallback
from .._validate import (
    ArrayLike,
    as_bool,
    as_float,
    as_int,
    as_number,
    as_rng,
    check_length,
    check_ndim,
    check_nonempty,
    check_size,
)
from .._vjp import WithPullback, with_vjp

#: Largest exponent for which float32 gives output and gradients to 1e-5; its relative rounding error is below 6e-8.
_SINGLE_REACH: Final = 72.0

#: Rows at a time, so that products of them stay in the cache.
_BLOCK: Final = 1024


def draw_projection(num_features: int, dim: int, rng: np.random.Generator) -> np.ndarray:
    """Draw Gaussian rows (m, D) that are orthogonal within blocks of `dim` rows."""
    blocks = []
    for start in range(0, num_features, dim):
        q, r = np.linalg.qr(rng.standard_normal((dim, dim)))
        q *= np.sign(np.diag(r))  # makes the rotation uniform (Mezzadri 2007)
        blocks.append(q.T[: num_features - start])
    norms = np.sqrt(rng.chisquare(dim, num_features))
    return np.concatenate(blocks) * norms[:, None]


def orthogonal_projection(num_features: int, dim: int, *, seed: int) -> np.ndarray:
    """Draw random directions for `favor_features`: Gaussian rows, orthogonal within blocks of D rows.

    Args:
        num_features: m, the number of rows.
        dim: D.
        seed: Seed, or a `numpy.random.Generator`.

    Returns:
        (m, D), float64.

    Source:
        Choromanski et al. 2021, "Rethinking Attention with Performers", section 2.4.

    Example:
        >>> import graphattend as ga
        >>> w = ga.functional.orthogonal_projection(4, 4, seed=0)
        >>> abs(float(w[0] @ w[1])) < 1e-12
        True
    """
    m, d = as_int(num_features, "num_features", minimum=1), as_int(dim, "dim", minimum=1)
    check_size((d, d), "dim")
    check_size((m, d), "num_features")
    return draw_projection(m, d, as_rng(seed, "seed"))


class Directions(NamedTuple):
    """Random directions (m, D) in both precisions, and the largest |x|²/2 of which float32 is accurate to 1e-5."""

    wide: np.ndarray
    single: np.ndarray
    reach: float

    @classmethod
    def of(cls, projection: np.ndarray) -> Directions:
        """Build the directions from an array of either precision."""
        wide = projection.astype(np.float64, copy=False)
        single = projection.astype(np.float32, copy=False)
        longest = float(np.einsum("md,md->m", wide, wide).max())  # solve √(2 half · longest) + half = reach for √half
        root = ((longest / 2 + _SINGLE_REACH) ** 0.5) - (longest / 2) ** 0.5
        return cls(wide, single, root * root)

    def outreach(self, half: np.ndarray) -> bool:
        """Whether the exponents of float32 rows, given |x|²/2, may be too large for an accuracy of 1e-5."""
        return not half.max() <= self.reach


def exponents(
    x: np.ndarray, directions: Directions, sharpness: float = 1.0
) -> tuple[np.ndarray, Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]]:
    """Return the logarithms of the features, up to a constant, and the pullback to x and the projection.

    They are s·x Wᵀ·D^(-1/4) - |s·x|²/(2√D) with s = `sharpness`, in float64 if float32 is not accurate to 1e-5. The
    gradients have the precision of x.
    """
    factor, w = sharpness * x.shape[-1] ** -0.25, directions.wide
    half = np.einsum("...d,...d->...", x, x)[..., None] * (0.5 * factor * factor)
    if x.dtype == np.float32:
        if directions.outreach(half):
            h, pull = exponents(x.astype(np.float64), directions, sharpness)
            return h, _narrowed(pull)
        w = directions.single
    h = simd.matmul_nt(x * factor, w)
    h -= half
    return h, lambda gh: _exponents_pullback(x, w, gh.astype(x.dtype, copy=False), factor)


def exponentials(
    x: np.ndarray, directions: Directions, sharpness: float, *, is_query: bool
) -> tuple[np.ndarray, Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]] | None:
    """Return exp(exponents - maximum), and the pullback to x and the projection with the maximum held constant.

    For queries the maximum is taken over each row, for keys over all rows. Return None if the exponents need float64.
    """
    factor, w = sharpness * x.shape[-1] ** -0.25, directions.wide
    if x.dtype == np.float32:
        if directions.outreach(np.einsum("...d,...d->...", x, x) * (0.5 * factor * factor)):
            return None
        w = directions.single
    sharp = x if sharpness == 1 else x * x.dtype.type(sharpness)
    u = simd.favor_exponentials(sharp, w, is_query=is_query, shift=True)
    return u, lambda g: _exponents_pullback(x, w, g * u, factor)


def attend_single(
    query: np.ndarray,
    keys: np.ndarray,
    values: np.ndarray | None,
    directions: Directions,
    sharpness: float,
    mask: np.ndarray | None = None,
) -> tuple[Any, np.ndarray] | None:
    """Return output (E,), None without values, and weights (N,) of one query in one kernel call.

    The mask (1, N) is boolean (True = attend) or contains logarithms of factors of the weights. Returns None if the
    exponents need float64 or a result is not finite.
    """
    single = query.dtype == np.float32
    w, reach = (directions.single, directions.reach) if single else (directions.wide, sys.float_info.max)
    return simd.favor_single(query, keys, values, w, sharpness * keys.shape[-1] ** -0.25, reach, mask)


def _narrowed(
    pull: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]],
) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return a pullback of float64 arrays that converts its gradients to float32."""

    def pullback(g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        gx, gw = pull(g.astype(np.float64, copy=False))
        return gx.astype(np.float32), gw.astype(np.float32)

    return pullback


def _exponents_pullback(x: np.ndarray, w: np.ndarray, gh: np.ndarray, factor: float) -> tuple[np.ndarray, np.ndarray]:
    gx = simd.matmul(gh, w * factor)
    flat, rows, totals = (a.reshape(-1, a.shape[-1]) for a in (gx, x, gh.sum(axis=-1, keepdims=True)))
    totals *= factor * factor
    for start in range(0, len(rows), _BLOCK):
        block = slice(start, start + _BLOCK)
        flat[block] -= totals[block] * rows[block]
    return gx, simd.matmul_tn(gh.reshape(-1, w.shape[0]), rows) * factor


def features(
    x: np.ndarray, directions: Directions, is_query: bool, eps: float
) -> tuple[np.ndarray, Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]]:
    """Return FAVOR+ features, and the pullback to x and the projection with the stabiliser held constant."""
    factor, w = x.shape[-1] ** -0.25, directions.wide
    if x.dtype == np.float32:
        if directions.outreach(0.5 * factor * factor * np.einsum("...d,...d->...", x, x)):
            phi, pull = features(x.astype(np.float64), directions, is_query, eps)
            return phi.astype(np.float32), _narrowed(pull)
        w = directions.single
    e = simd.favor_exponentials(x, w, is_query=is_query)
    ratio = x.dtype.type(w.shape[0] ** -0.5)
    return ratio * (e + x.dtype.type(eps)), lambda g: _exponents_pullback(x, w, g * e * ratio, factor)


def check_projection(x: np.ndarray, projection: ArrayLike) -> Directions:
    """Check a caller's projection (m, D) against x (..., D) and return its directions."""
    w = as_float(projection, "projection", beside=x.dtype)
    check_ndim(w, "projection", 2, 2)
    check_nonempty(w, "projection")
    check_length(w, "projection", 1, x.shape[-1], "the width of x")
    return Directions.of(w)


@with_vjp
@float64_fallback
def favor_features(
    x: ArrayLike, projection: ArrayLike, *, is_query: bool, eps: float = 0.0
) -> WithPullback[np.ndarray]:
    """Compute positive random features whose dot products estimate exp(q·k/√D), up to the stabiliser.

    The features are m^(-1/2) · (exp(x Wᵀ·D^(-1/4) - |x|²/(2√D) - stabiliser) + eps). The stabiliser is the maximum of
    x Wᵀ·D^(-1/4): for queries of each row, for keys of each leading index. Gradients treat it as a constant.

    Args:
        x: (..., N, D) or (D,).
        projection: W, (m, D), from `orthogonal_projection`.
        is_query: Whether the rows are queries; this selects the stabiliser.
        eps: Added to every feature. With 0, linear attention does not depend on the stabiliser.

    Returns:
        Non-negative features (..., N, m).

    Source:
        Choromanski et al. 2021, "Rethinking Attention with Performers", lemma 1 and eq. 5.

    Example:
        >>> import numpy as np, graphattend as ga
        >>> w = ga.functional.orthogonal_projection(16, 4, seed=0)
        >>> ga.functional.favor_features(np.ones((3, 4)), w, is_query=True).shape
        (3, 16)
    """
    a = as_float(x, "x")
    check_ndim(a, "x", 1)
    check_nonempty(a, "x")
    given = as_float(projection, "projection", beside=a.dtype)
    directions = check_projection(a, given)
    as_bool(is_query, "is_query")
    eps = as_number(eps, "eps", minimum=0.0)
    rows = a if a.ndim > 1 else a[None]
    phi, pull = features(rows, directions, is_query, eps)

    def pullback(g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        gx, gw = pull(np.asarray(g, a.dtype).reshape(phi.shape))
        return gx.reshape(a.shape), gw.astype(given.dtype, copy=False)

    return phi.reshape(*a.shape[:-1], len(given)), pullback

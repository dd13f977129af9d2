"""Linear attention by positive random features (FAVOR+)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np

from .. import simd
from .._validate import (
    as_bool,
    as_float,
    as_floats,
    as_int,
    as_number,
    as_rng,
    broadcast_shapes,
    check_length,
    check_ndim,
    check_nonempty,
    common_dtype,
)
from .._vjp import differentiable, unbroadcast
from ._widening import widening
from .attention import causal_mask
from .softmax import masked_softmax, softmax_pullback


def draw_projection(num_features: int, dim: int, rng: np.random.Generator) -> np.ndarray:
    """Gaussian rows, orthogonal within blocks of `dim`: (m, D)."""
    blocks = []
    for start in range(0, num_features, dim):
        q, r = np.linalg.qr(rng.standard_normal((dim, dim)))
        q *= np.sign(np.diag(r))  # makes the rotation uniform (Mezzadri 2007)
        blocks.append(q.T[: num_features - start])
    norms = np.sqrt(rng.chisquare(dim, num_features))
    return np.concatenate(blocks) * norms[:, None]


def orthogonal_projection(num_features: int, dim: int, *, seed: int) -> np.ndarray:
    """Random directions for `favor_features`: orthogonal in blocks of D, each row distributed like a Gaussian vector.

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
    return draw_projection(m, d, as_rng(seed, "seed"))


def _exponents(x: np.ndarray, projection: np.ndarray, root: Any) -> tuple[np.ndarray, np.ndarray]:
    """X Wᵀ·D^(-1/4), and the same less |x|²/(2√D); `root` is D^(-1/4) in the dtype of x."""
    z = simd.matmul_nt(x * root, projection)
    return z, z - 0.5 * np.einsum("...d,...d->...", x, x)[..., None] * (root * root)


def exponents(
    x: np.ndarray, projection: np.ndarray
) -> tuple[np.ndarray, Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]]:
    """The logarithms of the features of checked arrays, up to a constant, and the pullback to x and projection."""
    root = x.dtype.type(x.shape[-1] ** -0.25)

    def pullback(gh: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        gx = simd.matmul(gh, projection) * root - gh.sum(axis=-1, keepdims=True) * x * (root * root)
        flat_h, flat_x = gh.reshape(-1, projection.shape[0]), x.reshape(-1, x.shape[-1])
        return gx, simd.matmul_tn(flat_h, flat_x) * root

    return _exponents(x, projection, root)[1], pullback


def features(
    x: np.ndarray, projection: np.ndarray, is_query: bool, eps: float, shift: bool = False
) -> tuple[np.ndarray, Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]]:
    """FAVOR+ features of checked arrays and the pullback to x and projection; the stabiliser is held constant.

    The published stabiliser is the maximum of x Wᵀ·D^(-1/4); with `shift` it is that of the whole exponent, which
    also keeps long vectors from underflowing. The two differ by a factor per row that a normalised sum forgets.
    """
    root = x.dtype.type(x.shape[-1] ** -0.25)
    e = simd.favor_exponentials(x, projection, is_query=is_query, shift=shift)
    ratio = x.dtype.type(projection.shape[0] ** -0.5)

    def pullback(g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        gh = g * e * ratio
        gx = simd.matmul(gh, projection) * root - gh.sum(axis=-1, keepdims=True) * x * (root * root)
        flat_h, flat_x = gh.reshape(-1, projection.shape[0]), x.reshape(-1, x.shape[-1])
        return gx, simd.matmul_tn(flat_h, flat_x) * root

    return ratio * (e + x.dtype.type(eps)), pullback


def _check_projection(x: np.ndarray, projection: Any) -> np.ndarray:
    w = as_float(projection, "projection", beside=x.dtype)
    check_ndim(w, "projection", 2, 2)
    check_nonempty(w, "projection")
    check_length(w, "projection", 1, x.shape[-1], "the width of x")
    return w.astype(x.dtype, copy=False)


@widening
def _favor_vjp(
    x: Any, projection: Any, *, is_query: bool, eps: float = 0.0
) -> tuple[np.ndarray, Callable[..., tuple[np.ndarray, np.ndarray]]]:
    a = as_float(x, "x")
    check_ndim(a, "x", 1)
    check_nonempty(a, "x")
    given = as_float(projection, "projection", beside=a.dtype)
    w = _check_projection(a, given)
    as_bool(is_query, "is_query")
    eps = as_number(eps, "eps", minimum=0.0)
    rows = a if a.ndim > 1 else a[None]
    phi, pull = features(rows, w, is_query, eps)

    def pullback(g: Any) -> tuple[np.ndarray, np.ndarray]:
        gx, gw = pull(np.asarray(g, a.dtype).reshape(phi.shape))
        return gx.reshape(a.shape), gw.astype(given.dtype, copy=False)

    return phi.reshape(*a.shape[:-1], w.shape[0]), pullback


@differentiable(_favor_vjp)
def favor_features(x: Any, projection: Any, *, is_query: bool, eps: float = 0.0) -> np.ndarray:
    """Positive random features whose dot products estimate exp(q·k/√D), up to the stabiliser.

    m^(-1/2) · (exp(x Wᵀ·D^(-1/4) - |x|²/(2√D) - stabiliser) + eps); the stabiliser is the maximum of x Wᵀ·D^(-1/4),
    for queries over their row, for keys one per leading index; it is a constant in gradients.

    Args:
        x: (..., N, D) or (D,).
        projection: W, (m, D), from `orthogonal_projection`.
        is_query: Which stabiliser to use.
        eps: Added to every feature; with 0 linear attention does not depend on the stabiliser.

    Returns:
        Features (..., N, m), not negative.

    Source:
        Choromanski et al. 2021, "Rethinking Attention with Performers", lemma 1 and eq. 5.

    Example:
        >>> import numpy as np, graphattend as ga
        >>> w = ga.functional.orthogonal_projection(16, 4, seed=0)
        >>> ga.functional.favor_features(np.ones((3, 4)), w, is_query=True).shape
        (3, 16)
    """
    return _favor_vjp(x, projection, is_query=is_query, eps=eps)[0]


def mix(
    fq: np.ndarray, fk: np.ndarray, v: np.ndarray, is_causal: bool
) -> tuple[np.ndarray, Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]]:
    """Σ_j (fq·fk_j) v_j / Σ_j fq·fk_j without the M×N matrix, and the pullback to fq, fk, v.

    Rows whose normaliser is zero give zeros.
    """
    raw, pull_raw = (_causal if is_causal else _full)(fq, fk, _with_ones(v))
    out, inverse = _normalised(raw)

    def pullback(g: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        g_num = g * inverse
        g_den = -(g_num * out).sum(axis=-1, keepdims=True)
        gq, gk, gv = pull_raw(np.concatenate([g_num, g_den], axis=-1))
        return gq, gk, gv[..., :-1]

    return out, pullback


def stable_mix(
    hq: np.ndarray, hk: np.ndarray, v: np.ndarray, is_causal: bool
) -> tuple[np.ndarray, Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]]:
    """`attend_exponents`, or the M×N matrix where causal rows have no stabiliser in common; and the pullback."""
    if not is_causal or shares_stabiliser(hk):
        return attend_exponents(hq, hk, v, is_causal)
    w, pull = exact_weights(hq, hk, causal_mask(hq.shape[-2], hk.shape[-2]))
    return simd.matmul(w, v), lambda g: (*pull(simd.matmul_nt(g, v)), simd.matmul_tn(w, g))


#: How far (in the exponent) what a causal row sees may lie below what it does not see, feature by feature: exp of it
#: keeps all its digits, and so does what is e^-20 times smaller.
_CAUSAL_GAP: Final = {np.dtype(np.float32): 60.0, np.dtype(np.float64): 600.0}


def shares_stabiliser(hk: np.ndarray) -> bool:
    """Whether one stabiliser per feature serves every causal row: what the first key has left is far from underflow."""
    return bool((hk.max(axis=-2) - hk[..., 0, :] <= _CAUSAL_GAP[hk.dtype]).all())


def attend_exponents(
    hq: np.ndarray, hk: np.ndarray, v: np.ndarray, is_causal: bool = False
) -> tuple[np.ndarray, Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]]:
    """`mix` of features given by their logarithms, a key with -inf hidden; and the pullback to hq, hk, v.

    The keys are shifted by their maximum in each feature, the queries by that and by their own maximum: the largest
    term of a row is then 1. That costs one maximum over the keys and one over the features.
    """
    top = _finite_top(hk, -2)
    fk = simd.exp(hk - top)
    seen = hq + top
    fq = simd.exp(seen - seen.max(axis=-1, keepdims=True))
    out, pull = mix(fq, fk, v, is_causal)

    def pullback(g: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        gq, gk, gv = pull(g)
        return gq * fq, gk * fk, gv

    return out, pullback


def log_kernel(hq: np.ndarray, hk: np.ndarray) -> tuple[np.ndarray, Callable[[np.ndarray], tuple[Any, Any]]]:
    """Log Σ_f exp(hq_if + hk_jf) for every pair (..., M, N), in float64, and the pullback to hq and hk."""
    hq, hk = hq.astype(np.float64, copy=False), hk.astype(np.float64, copy=False)
    top_q, top_k = _finite_top(hq, -1), _finite_top(hk, -1)
    fq, fk = np.exp(hq - top_q), np.exp(hk - top_k)
    a = simd.matmul_nt(fq, fk)
    s = top_q + top_k.swapaxes(-1, -2)
    # The few pairs whose large features are each other's small ones are summed one by one.
    rare = np.nonzero(a < 1e-280)
    batch = (*a.shape[:-2],)
    q_all, k_all = (np.broadcast_to(h, (*batch, *h.shape[-2:])) for h in (hq, hk))
    pairs = q_all[*rare[:-2], rare[-2]] + k_all[*rare[:-2], rare[-1]]
    tops = pairs.max(axis=-1, initial=-np.inf)
    share = np.exp(pairs - tops[:, None])
    total = share.sum(axis=-1)
    share /= total[:, None]
    a[rare] = 1.0
    s = s + np.log(a)
    s[rare] = tops + np.log(total)

    def pullback(gs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        ga = gs / a
        ga[rare] = 0
        gq = np.array(np.broadcast_to(fq * simd.matmul(ga, fk), q_all.shape))
        gk = np.array(np.broadcast_to(fk * simd.matmul_tn(ga, fq), k_all.shape))
        one = gs[rare][:, None] * share
        np.add.at(gq, (*rare[:-2], rare[-2]), one)
        np.add.at(gk, (*rare[:-2], rare[-1]), one)
        return gq, gk

    return s, pullback


def exact_weights(
    hq: np.ndarray, hk: np.ndarray, mask: np.ndarray | None
) -> tuple[np.ndarray, Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]]:
    """Weights (..., M, N) by the softmax of `log_kernel` over what each row sees, and the pullback to hq and hk."""
    dtype = hq.dtype
    s, pull = log_kernel(hq, hk)
    w = masked_softmax(s, mask)

    def pullback(g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        gq, gk = pull(softmax_pullback(w, g.astype(np.float64)))
        return gq.astype(dtype), gk.astype(dtype)

    return w.astype(dtype), pullback


def _finite_top(h: np.ndarray, axis: int) -> np.ndarray:
    """The maximum, and 0 where there is nothing but -inf."""
    top = h.max(axis=axis, keepdims=True)
    return np.where(np.isneginf(top), h.dtype.type(0), top)


def _with_ones(v: np.ndarray) -> np.ndarray:
    """Values with one more column, which becomes the normaliser."""
    return np.concatenate([v, np.ones((*v.shape[:-1], 1), v.dtype)], axis=-1)


def _normalised(raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All columns divided by the last one, and the factor; rows whose last entry is zero give zeros."""
    total = raw[..., -1:]
    alive = total > 0
    inverse = np.where(alive, 1 / np.where(alive, total, 1), 0).astype(raw.dtype)
    return raw[..., :-1] * inverse, inverse


class KeyState(NamedTuple):
    """All that linear attention needs to know about its keys and values: Σ_j e^(h_j - top) [v_j, 1] and top.

    `total` is (..., m, E+1), `top` (..., 1, m), the largest exponent of each feature so far.
    """

    total: np.ndarray
    top: np.ndarray

    @classmethod
    def of(cls, k: np.ndarray, v: np.ndarray, projection: np.ndarray) -> KeyState:
        """The state of keys (..., N, D) and values (..., N, E)."""
        _, h = _exponents(k, projection, k.dtype.type(k.shape[-1] ** -0.25))
        top = h.max(axis=-2, keepdims=True)
        return cls(simd.matmul_tn(np.exp(h - top), _with_ones(v)), top)

    def plus(self, other: KeyState) -> KeyState:
        """The state of the keys of both."""
        top = np.maximum(self.top, other.top)
        shrink, shrink_other = (np.exp(x.top - top).swapaxes(-1, -2) for x in (self, other))
        return KeyState(self.total * shrink + other.total * shrink_other, top)

    def read(self, hq: np.ndarray) -> np.ndarray:
        """What queries with exponents (..., M, m) see: (..., M, E)."""
        seen = hq + self.top.astype(hq.dtype, copy=False)
        fq = simd.exp(seen - seen.max(axis=-1, keepdims=True))
        return _normalised(simd.matmul(fq, self.total.astype(hq.dtype, copy=False)))[0]


def _full(fq: np.ndarray, fk: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, Callable[..., Any]]:
    state = simd.matmul_tn(fk, v)

    def pull(g: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        g_state = simd.matmul_tn(fq, g)
        return simd.matmul_nt(g, state), simd.matmul_nt(v, g_state), simd.matmul(fk, g_state)

    return simd.matmul(fq, state), pull


#: Rows per block of the causal form: within a block the masked product is made, between blocks a running state.
_BLOCK = 64


def _causal(fq: np.ndarray, fk: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, Callable[..., Any]]:
    m_rows, n_keys = fq.shape[-2], fk.shape[-2]
    batch = np.broadcast_shapes(fq.shape[:-2], fk.shape[:-2], v.shape[:-2])
    starts = range(0, m_rows, _BLOCK)
    lower = np.tri(_BLOCK, dtype=v.dtype)

    def block(i: int) -> tuple[slice, slice, np.ndarray]:
        rows, keys = slice(i, min(i + _BLOCK, m_rows)), slice(min(i, n_keys), min(i + _BLOCK, n_keys))
        return rows, keys, lower[: rows.stop - i, : keys.stop - keys.start]

    out = np.empty((*batch, m_rows, v.shape[-1]), v.dtype)
    state = np.zeros((*batch, fk.shape[-1], v.shape[-1]), v.dtype)
    for i in starts:
        rows, keys, tri = block(i)
        a = simd.matmul_nt(fq[..., rows, :], fk[..., keys, :]) * tri
        out[..., rows, :] = simd.matmul(fq[..., rows, :], state) + simd.matmul(a, v[..., keys, :])
        state = state + simd.matmul_tn(fk[..., keys, :], v[..., keys, :])

    def pull(g: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        gq = np.zeros((*batch, *fq.shape[-2:]), v.dtype)
        gk = np.zeros((*batch, *fk.shape[-2:]), v.dtype)
        gv = np.zeros((*batch, *v.shape[-2:]), v.dtype)
        past = np.zeros_like(state)
        for i in starts:
            rows, keys, tri = block(i)
            q, k, w, gr = fq[..., rows, :], fk[..., keys, :], v[..., keys, :], g[..., rows, :]
            ga = simd.matmul_nt(gr, w) * tri
            gq[..., rows, :] = simd.matmul_nt(gr, past) + simd.matmul(ga, k)
            gk[..., keys, :] += simd.matmul_tn(ga, q)
            gv[..., keys, :] += simd.matmul_tn(simd.matmul_nt(q, k) * tri, gr)
            past = past + simd.matmul_tn(k, w)
        future = np.zeros_like(state)
        for i in reversed(starts):
            rows, keys, _ = block(i)
            gk[..., keys, :] += simd.matmul_nt(v[..., keys, :], future)
            gv[..., keys, :] += simd.matmul(fk[..., keys, :], future)
            future = future + simd.matmul_tn(fq[..., rows, :], g[..., rows, :])
        return gq, gk, gv

    return out, pull


@widening
def _linear_attention_vjp(
    query: Any, key: Any, value: Any, projection: Any, *, is_causal: bool = False, eps: float = 0.0
) -> tuple[np.ndarray, Callable[..., tuple[Any, ...]]]:
    q, k, v = as_floats(("query", "key", "value"), query, key, value)
    check_ndim(q, "query", 1)
    for name, x in (("key", k), ("value", v)):
        check_ndim(x, name, 2)
    for name, x in (("query", q), ("key", k), ("value", v)):
        check_nonempty(x, name)
    check_length(k, "key", -1, q.shape[-1], "the query's width")
    check_length(v, "value", -2, k.shape[-2], "one value per key")
    q, k, v = common_dtype(q, k, v)
    rows = q if q.ndim > 1 else q[None]
    broadcast_shapes("query, key, value", rows.shape[:-2], k.shape[:-2], v.shape[:-2])
    w = _check_projection(q, projection)
    as_bool(is_causal, "is_causal")
    eps = as_number(eps, "eps", minimum=0.0)
    fq, pull_q = exponents(rows, w) if eps == 0 else features(rows, w, True, eps)
    fk, pull_k = exponents(k, w) if eps == 0 else features(k, w, False, eps)
    out, pull = mix(fq, fk, v, is_causal) if eps else stable_mix(fq, fk, v, is_causal)

    def pullback(g: Any) -> tuple[Any, ...]:
        gfq, gfk, gv = pull(np.asarray(g, q.dtype).reshape(out.shape))
        gq, gw_q = pull_q(unbroadcast(gfq, fq.shape))
        gk, gw_k = pull_k(unbroadcast(gfk, fk.shape))
        return gq.reshape(q.shape), gk, unbroadcast(gv, v.shape), gw_q + gw_k

    return out if q.ndim > 1 else out[..., 0, :], pullback


@differentiable(_linear_attention_vjp)
def linear_attention(
    query: Any, key: Any, value: Any, projection: Any, *, is_causal: bool = False, eps: float = 0.0
) -> np.ndarray:
    """An estimate of softmax attention in time linear in M and N, by positive random features.

    Args:
        query: (..., M, D) or (D,).
        key: (..., N, D).
        value: (..., N, E).
        projection: (m, D), from `orthogonal_projection`; more rows, smaller error (about m^(-1/2)).
        is_causal: Query i sees key j iff j <= i, in linear time, too.
        eps: Added to every feature. With 0 each row is stabilised over the keys it sees alone; above 0 `eps` is
            measured against the stabiliser of `favor_features`, which is one for all keys.

    Returns:
        (..., M, E). Where later keys lie so far above the first one that float32 (e^60) or float64 (e^600)
        cannot hold both, the causal form makes the M×N matrix.

    Source:
        Choromanski et al. 2021, "Rethinking Attention with Performers", algorithm 1.

    Example:
        >>> import numpy as np, graphattend as ga
        >>> rng = np.random.default_rng(0)
        >>> q, k, v = (rng.standard_normal((50, 8)) * 0.5 for _ in range(3))
        >>> w = ga.functional.orthogonal_projection(2048, 8, seed=0)
        >>> exact = ga.functional.scaled_dot_product_attention(q, k, v)
        >>> bool(np.abs(ga.functional.linear_attention(q, k, v, w) - exact).max() < 0.05)
        True
    """
    return _linear_attention_vjp(query, key, value, projection, is_causal=is_causal, eps=eps)[0]

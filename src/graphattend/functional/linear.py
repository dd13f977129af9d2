"""Linear attention by positive random features (FAVOR+)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

import numpy as np

from .. import simd
from .._float64_fallback import float64_fallback
from .._validate import (
    ArrayLike,
    all_finite,
    as_bool,
    as_floats,
    as_number,
    broadcast_shapes,
    check_length,
    check_ndim,
    check_nonempty,
    common_dtype,
)
from .._vjp import WithPullback, unbroadcast, with_vjp
from .favor import Directions, check_projection, exponents, features
from .hidden import holds_rubbish, rubbish
from .softmax import masked_softmax, softmax_pullback

#: Sums over keys, and their pullback to fq (or hq), fk (or hk) and v.
_Sums = tuple[np.ndarray, Callable[[np.ndarray], tuple[np.ndarray, np.ndarray, np.ndarray]]]


def mix(fq: np.ndarray, fk: np.ndarray, v: np.ndarray, is_causal: bool) -> _Sums:
    """Compute Σ_j (fq·fk_j) v_j / Σ_j fq·fk_j without the M×N matrix, and the pullback to fq, fk, v.

    A row whose normaliser is zero gives zeros.
    """
    return _ratio((_causal if is_causal else _full)(fq, fk, _with_ones(v)))


def _ratio(sums: _Sums) -> _Sums:
    """Divide sums of values by their last column, the sum of the ones that `_with_ones` appended."""
    raw, pull_raw = sums
    out, inverse = _normalised(raw)

    def pullback(g: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        g_num = g * inverse
        g_den = -(g_num * out).sum(axis=-1, keepdims=True)
        gq, gk, gv = pull_raw(np.concatenate([g_num, g_den], axis=-1))
        return gq, gk, gv[..., :-1]

    return out, pullback


def attend_exponents(hq: np.ndarray, hk: np.ndarray, v: np.ndarray, is_causal: bool = False) -> _Sums:
    """Compute `mix` from the logarithms of the features, and the pullback to hq, hk, v. A key of -inf is hidden.

    The maximum of each feature over the keys is subtracted from the keys and added to the queries. Each query's own
    maximum is then subtracted, so that the largest term of a row is 1. This costs one maximum over the keys and one
    over the features.
    Output and gradients have the precision of `v`; the exponents may be float64 even if `v` is float32.
    """
    if not hq.dtype == hk.dtype == v.dtype:
        return _attend_widened(hq, hk, v, is_causal)
    if is_causal and not _shares_stabiliser(hk):
        return _ratio(_causal_apart(hq, hk, _with_ones(v)))
    top = _finite_top(hk, -2)
    fk = simd.exp(hk - top)
    seen = hq + top
    fq = simd.exp(seen - np.maximum.reduce(seen, axis=-1, keepdims=True))
    rows, width, columns = hq.shape[-2], hk.shape[-1], v.shape[-1] + 1
    few = rows * (width + columns) < width * columns
    out, pull = _ratio((_causal if is_causal else _square if few else _full)(fq, fk, _with_ones(v)))

    def pullback(g: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        gq, gk, gv = pull(g)
        return gq * fq, gk * fk, gv

    return out, pullback


def _attend_widened(hq: np.ndarray, hk: np.ndarray, v: np.ndarray, is_causal: bool) -> _Sums:
    wide = np.result_type(hq, hk)
    out, pull = attend_exponents(hq.astype(wide), hk.astype(wide), v.astype(wide), is_causal)

    def pullback(g: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        gq, gk, gv = pull(g.astype(wide))
        return gq.astype(hq.dtype, copy=False), gk.astype(hk.dtype, copy=False), gv.astype(v.dtype)

    return out.astype(v.dtype), pullback


#: How far, per feature, the exponents that a causal row sees may lie below those of later keys. Within this gap the
#: exponentials keep all their digits, and so do terms that are e^-20 times smaller.
_CAUSAL_GAP: Final = {np.dtype(np.float32): 60.0, np.dtype(np.float64): 600.0}


def _shares_stabiliser(hk: np.ndarray) -> bool:
    """Whether one stabiliser per feature serves all causal rows: the first key's features stay far from underflow."""
    first = hk[..., 0, :]
    return bool(np.isfinite(first).all() and (hk.max(axis=-2) - first <= _CAUSAL_GAP[hk.dtype]).all())


def log_kernel(hq: np.ndarray, hk: np.ndarray) -> tuple[np.ndarray, Callable[[np.ndarray], tuple[Any, Any]]]:
    """Compute log Σ_f exp(hq_if + hk_jf) for every pair (..., M, N) in float64, and the pullback to hq and hk."""
    hq, hk = hq.astype(np.float64, copy=False), hk.astype(np.float64, copy=False)
    top_q, top_k = _finite_top(hq, -1), _finite_top(hk, -1)
    fq, fk = np.exp(hq - top_q), np.exp(hk - top_k)
    a = simd.matmul_nt(fq, fk)
    s = top_q + top_k.swapaxes(-1, -2)
    # In a few pairs the large features of one vector are the small ones of the other. Their sums are computed directly.
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
    """Return weights (..., M, N), the softmax of `log_kernel` over the keys a row sees, and the pullback to hq and hk.

    The weights have the precision of the exponents, and so does the gradient passed to the pullback.
    """
    dtype = np.result_type(hq, hk)
    s, pull = log_kernel(hq, hk)
    w = masked_softmax(s, mask)

    def pullback(g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        gq, gk = pull(softmax_pullback(w, g.astype(np.float64, copy=False)))
        return gq.astype(hq.dtype), gk.astype(hk.dtype)

    return w.astype(dtype, copy=False), pullback


def _finite_top(h: np.ndarray, axis: int) -> np.ndarray:
    """Return the maximum along the axis (kept), or 0 where all entries are -inf."""
    top: np.ndarray = np.maximum.reduce(h, axis=axis, keepdims=True)
    return top if all_finite(top) else np.where(np.isneginf(top), h.dtype.type(0), top)


def _with_ones(v: np.ndarray) -> np.ndarray:
    """Append a column of ones to the values; its sum becomes the normaliser."""
    out = np.empty((*v.shape[:-1], v.shape[-1] + 1), v.dtype)
    out[..., :-1], out[..., -1] = v, 1
    return out


def _normalised(raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Divide all columns by the last; return them and 1 / last. A row whose last entry is zero gives zeros."""
    total = raw[..., -1:]
    alive = total > 0
    inverse = 1 / total if alive.all() else np.where(alive, 1 / np.where(alive, total, 1), 0).astype(raw.dtype)
    return raw[..., :-1] * inverse, inverse


class KeyState(NamedTuple):
    """The state of linear attention: the sums over keys that determine its output.

    `total` (..., m, E+1) is Σ_j e^(h_j - top) [v_j, 1]; `top` (..., 1, m) is the largest exponent of each feature.
    """

    total: np.ndarray
    top: np.ndarray

    @classmethod
    def of(cls, k: np.ndarray, v: np.ndarray, directions: Directions, sharpness: float = 1.0) -> KeyState:
        """Compute the state of keys (..., N, D) and values (..., N, E)."""
        h, _ = exponents(k, directions, sharpness)
        top = h.max(axis=-2, keepdims=True)
        return cls(simd.matmul_tn(simd.exp(h - top), _with_ones(v.astype(h.dtype, copy=False))), top)

    def plus(self, other: KeyState) -> KeyState:
        """Return the state of both sets of keys together."""
        top = np.maximum(self.top, other.top)
        shrink, shrink_other = (np.exp(x.top - top).swapaxes(-1, -2) for x in (self, other))
        return KeyState(self.total * shrink + other.total * shrink_other, top)

    def read(self, hq: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
        """Return the output (..., M, E) of queries with exponents (..., M, m)."""
        seen = hq + self.top
        fq = simd.exp(seen - seen.max(axis=-1, keepdims=True))
        total = self.total.astype(fq.dtype, copy=False)
        return _normalised(simd.matmul(fq, total))[0].astype(dtype, copy=False)


def _full(fq: np.ndarray, fk: np.ndarray, v: np.ndarray) -> _Sums:
    state = simd.matmul_tn(fk, v)

    def pull(g: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        g_state = simd.matmul_tn(fq, g)
        return simd.matmul_nt(g, state), simd.matmul_nt(v, g_state), simd.matmul(fk, g_state)

    return simd.matmul(fq, state), pull


#: Rows per block of the causal form. It computes masked products within blocks and a running state between them.
_BLOCK = 64


def _causal(fq: np.ndarray, fk: np.ndarray, v: np.ndarray) -> _Sums:
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


def _square(fq: np.ndarray, fk: np.ndarray, v: np.ndarray) -> _Sums:
    """Compute `_full` from the products of queries and keys, which costs less for few rows and keys."""
    a = simd.matmul_nt(fq, fk)

    def pull(g: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        ga = simd.matmul_nt(g, v)
        return simd.matmul(ga, fk), simd.matmul_tn(ga, fq), simd.matmul_tn(a, g)

    return simd.matmul(a, v), pull


_View = Callable[[np.ndarray], np.ndarray]


def _halves(m_rows: int, n_keys: int) -> Iterator[tuple[_View, _View]]:
    """Split the pairs (i, j) with j <= i into blocks in which every row sees every key; yield views of rows and keys.

    The blocks are: each row with its own key; the second half of every block of 2, 4, 8, … rows with the keys of its
    first half; the rows beyond the last key with all keys.
    """
    n = min(m_rows, n_keys)

    def cut(start: int, count: int, keys: int, rows: int) -> tuple[_View, _View]:
        def blocks(x: np.ndarray) -> np.ndarray:
            part = x[..., start : start + count * (keys + rows), :]
            return part.reshape(*x.shape[:-2], count, keys + rows, x.shape[-1])

        return lambda x: blocks(x)[..., keys:, :], lambda x: blocks(x)[..., :keys, :]

    yield lambda x: x[..., :n, None, :], lambda x: x[..., :n, None, :]
    half = 1
    while half < n:
        whole, rest = divmod(n, 2 * half)
        if whole:
            yield cut(0, whole, half, half)
        if rest > half:
            yield cut(2 * half * whole, 1, half, rest - half)
        half *= 2
    if m_rows > n:
        yield lambda x: x[..., n:, :], lambda x: x


def _causal_apart(hq: np.ndarray, hk: np.ndarray, v: np.ndarray) -> _Sums:
    """Compute `_causal` from the logarithms of the features, with each row relative to the largest term that it sees.

    Every block of `_halves` has its own stabilisers, taken from keys that its rows see. Nothing overflows, and no term
    underflows because of keys that a row does not see. Memory is linear in the rows; time grows as N log N.
    """
    m_rows, n_keys, width = hq.shape[-2], hk.shape[-2], hk.shape[-1]
    batch = np.broadcast_shapes(hq.shape[:-2], hk.shape[:-2], v.shape[:-2])
    so_far = np.maximum.accumulate(hk[..., :m_rows, :], axis=-2)[..., np.minimum(np.arange(m_rows), n_keys - 1), :]
    low = hq - _finite_top(hq + so_far, -1)

    def parts() -> Iterator[tuple[_View, _View, np.ndarray, np.ndarray, _Sums]]:
        for rows, keys in _halves(m_rows, n_keys):
            k = keys(hk)
            top = k.max(axis=-2, keepdims=True)
            fq, fk = simd.exp(rows(low) + top), simd.exp(k - np.where(np.isneginf(top), k.dtype.type(0), top))
            yield rows, keys, fq, fk, (_square if k.shape[-2] < width else _full)(fq, fk, keys(v))

    out = np.zeros((*batch, m_rows, v.shape[-1]), v.dtype)
    for rows, _, _, _, (raw, _) in parts():
        rows(out)[...] += raw

    def pull(g: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        gq, gk, gv = (np.zeros((*batch, *a.shape[-2:]), v.dtype) for a in (hq, hk, v))
        for rows, keys, fq, fk, (_, pull_part) in parts():
            part_q, part_k, part_v = pull_part(rows(g))
            rows(gq)[...] += part_q * fq
            keys(gk)[...] += part_k * fk
            keys(gv)[...] += part_v
        return gq, gk, gv

    return out, pull


_Rule = tuple[np.ndarray, Callable[[np.ndarray], tuple[np.ndarray, ...]]]


def _linear(q: np.ndarray, k: np.ndarray, v: np.ndarray, is_causal: bool, directions: Directions, eps: float) -> _Rule:
    """Compute linear attention of checked arrays, and the pullback to the arrays and the directions."""
    fq, pull_q = exponents(q, directions) if eps == 0 else features(q, directions, True, eps)
    fk, pull_k = exponents(k, directions) if eps == 0 else features(k, directions, False, eps)
    out, pull = (mix if eps else attend_exponents)(fq, fk, v, is_causal)

    def pullback(g: np.ndarray) -> tuple[np.ndarray, ...]:
        gfq, gfk, gv = pull(g)
        gq, gw_q = pull_q(unbroadcast(gfq, fq.shape))
        gk, gw_k = pull_k(unbroadcast(gfk, fk.shape))
        return gq, gk, unbroadcast(gv, v.shape), gw_q + gw_k

    return out, pullback


def _in_prefixes(run: Callable[..., _Rule], q: np.ndarray, k: np.ndarray, v: np.ndarray) -> _Rule:
    """Compute the causal rows before each key or value with `rubbish` without that key and all later ones."""
    m_rows = q.shape[-2]
    bad = np.unique(np.concatenate([np.nonzero(rubbish(x))[-1] for x in (k, v)]))
    ends = [int(i) for i in bad if 0 < i < m_rows] + [m_rows]
    parts = [run(q[..., :end, :], k[..., :end, :], v[..., :end, :], True) for end in ends]
    starts = [0, *ends[:-1]]
    out = np.concatenate([o[..., start:, :] for start, (o, _) in zip(starts, parts, strict=True)], axis=-2)

    def pullback(g: np.ndarray) -> tuple[np.ndarray, ...]:
        gq, gk, gv = (np.zeros_like(x) for x in (q, k, v))
        gw: Any = 0
        for start, end, (_, pull) in zip(starts, ends, parts, strict=True):
            mine = g[..., :end, :].copy()
            mine[..., :start, :] = 0
            part_q, part_k, part_v, part_w = pull(mine)
            gq[..., start:end, :] = part_q[..., start:, :]
            gk[..., :end, :] += part_k
            gv[..., :end, :] += part_v
            gw = gw + part_w
        return gq, gk, gv, gw

    return out, pullback


@with_vjp
@float64_fallback
def linear_attention(
    query: ArrayLike,
    key: ArrayLike,
    value: ArrayLike,
    projection: ArrayLike,
    *,
    is_causal: bool = False,
    eps: float = 0.0,
) -> WithPullback[np.ndarray]:
    """Linear attention: estimate softmax attention with positive random features, in time linear in M and N.

    Args:
        query: (..., M, D) or (D,).
        key: (..., N, D).
        value: (..., N, E).
        projection: (m, D), from `orthogonal_projection`; the error falls about as m^(-1/2).
        is_causal: Query i sees key j iff j <= i; also in linear time.
        eps: Added to every feature. With 0, each row is stabilised over the keys that it sees. With eps > 0, `eps` is
            relative to the stabiliser of `favor_features`, which is the same for all keys.

    Returns:
        The output (..., M, E). Exponents and sums are computed in float64 if float32 is not accurate to 1e-5 (for
        vectors of large norm). If the features of later keys exceed those of the first key by more than a factor of
        e^60 in float32 or e^600 in float64, the causal form takes log₂(N) passes over the keys instead of one.

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
    w = check_projection(q, projection)
    run = functools.partial(_linear, directions=w, eps=as_number(eps, "eps", minimum=0.0))
    if as_bool(is_causal, "is_causal") and holds_rubbish(k, v):
        out, pull = _in_prefixes(run, rows, k, v)
    else:
        out, pull = run(rows, k, v, is_causal)

    def pullback(g: np.ndarray) -> tuple[Any, ...]:
        gq, gk, gv, gw = pull(np.asarray(g, q.dtype).reshape(out.shape))
        return gq.reshape(q.shape), gk, gv, gw

    return out if q.ndim > 1 else out[..., 0, :], pullback

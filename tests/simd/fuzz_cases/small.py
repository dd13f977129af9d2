"""Kernels of FAVOR+ features, layers for one query, rotary encoding and 8-bit codes."""

import numpy as np

from . import draw
from .draw import Case, hide, lead, normal, output, row_of_mask, size, softmax64


def make_favor(rng):
    b, n, m, d = lead(rng), size(rng), size(rng), size(rng)
    z = output(*b, n, m)
    z[...] = normal(rng, *b, n, m)
    return [z, normal(rng, *b, n, d), 0.5, int(rng.integers(2)), int(rng.integers(2)), z.copy()]


def ref_favor(z, x, root, query, shift, before):
    s = root * before.astype(float)
    h = s - 0.5 * root * root * (x.astype(float) ** 2).sum(-1, keepdims=True)
    return [np.exp(h - (h if shift else s).max(axis=-1 if query else (-2, -1), keepdims=True))]


def make_favor_one(rng):
    n, m, d, e, values = size(rng, 90), size(rng, 40), size(rng, 20), size(rng, 20), rng.random() < 0.8
    parts = normal(rng, d), normal(rng, n, d), normal(rng, n, e) if values else None, normal(rng, m, d)
    return [*parts, output(e) if values else None, output(n), 0.5, 1e3, row_of_mask(rng, 1, n)]


def ref_favor_one(q, k, v, directions, out, weights, root, reach, mask):
    k, w = k.astype(float), directions.astype(float)
    h = root * (q + k) @ w.T - 0.5 * root * root * (k * k).sum(-1, keepdims=True)
    w = softmax64(hide(h.T, mask).T.reshape(1, -1))
    w = w.reshape(len(k), -1).sum(-1)
    return [None if v is None else w @ v.astype(float), w]


def make_cross_one(rng):
    n, near, d, fusion = size(rng, 90), size(rng, 90), size(rng, 20), rng.integers(3)
    width = (0, d, 3)[fusion]
    w, b = (normal(rng, 3 * d, width) / 4, normal(rng, width)) if width else (None, None)
    inputs = normal(rng, d), *(normal(rng, rows, d) for rows in (n, n, near, near)), w, b
    return [
        *inputs,
        row_of_mask(rng, 1, n),
        output(d),
        output(n) if rng.random() < 0.5 else None,
        0.25,
        bool(fusion == 2),
    ]


def ref_cross_one(q, k, v, latent_k, latent_v, w, b, mask, out, weights, scale, gated):
    q, k, near = q.astype(float), k.astype(float), latent_k.astype(float)
    own = softmax64(hide(scale * q[None] @ k.T, mask))
    graph = own @ v.astype(float)
    parts = np.stack([graph[0], *(softmax64(scale * np.stack([q, graph[0]]) @ near.T) @ latent_v.astype(float))])
    y = parts.mean(axis=0)
    if w is not None:
        y = parts.ravel() @ w.astype(float) + b
        y = softmax64(y[None])[0] @ parts if gated else y
    return [y, None if weights is None else own[0]]


def make_gat_one(rng):
    n, d, e, width, heads = size(rng, 90), size(rng, 20), size(rng, 5), size(rng, 20), size(rng, 6)
    joined, values, edges = heads * width if rng.random() < 0.5 else width, rng.random() < 0.8, rng.random() < 0.7
    vectors = normal(rng, heads, d), normal(rng, heads, d), normal(rng, heads, e) if edges else None
    layer = normal(rng, heads, d, width) if values else None, normal(rng, joined) if values and joined % 2 else None
    inputs = normal(rng, d), normal(rng, n, d), normal(rng, n, d) if values else None
    given = *inputs, normal(rng, n, e) if edges else None, *vectors, *layer, row_of_mask(rng, heads, n)
    return [*given, output(joined) if values else None, output(heads, n), 0.2]


def ref_gat_one(q, k, v, edges, by_query, by_key, by_edge, w, b, mask, out, weights, slope):
    s = by_key.astype(float) @ k.T + (by_query.astype(float) @ q)[:, None]
    s += 0 if edges is None else by_edge.astype(float) @ edges.T
    found = softmax64(hide(np.where(s > 0, s, slope * s), mask))
    if v is None:
        return [None, found]
    heads = np.einsum("hn,nd,hde->he", found, v.astype(float), w.astype(float))
    y = heads.ravel() if out.size == heads.size else heads.mean(axis=0)
    return [y + (0 if b is None else b), found]


def make_rotate(rng):
    b, d = lead(rng), size(rng)
    x = normal(rng, *b, d)
    return [x, rng.standard_normal(b[1:]), 10.0 ** -np.arange(d // 2), int(rng.integers(2)), output(*x.shape)]


def ref_rotate(x, at, rates, interleaved, out):
    angle, pairs = at[..., None] * rates, x.shape[-1] // 2
    expected = np.broadcast_to(x, out.shape).astype(float)
    a, b = (slice(0, 2 * pairs, 2), slice(1, 2 * pairs, 2)) if interleaved else (slice(pairs), slice(pairs, 2 * pairs))
    turned = expected.copy()
    turned[..., a] = expected[..., a] * np.cos(angle) - expected[..., b] * np.sin(angle)
    turned[..., b] = expected[..., a] * np.sin(angle) + expected[..., b] * np.cos(angle)
    return [turned]


def make_int8(rng, combine):
    b, m, n, d = lead(rng), size(rng, 6), size(rng, 80), size(rng, 20)
    group = None if rng.random() < 0.5 else size(rng, 6)
    codes = rng.integers(-128, 128, (*b, n, d)).astype(np.int8)
    shape = () if rng.random() < 0.3 else (n,) if group is None else (n, -(-d // group))
    scale, zero = np.asarray(rng.random(shape), draw.REAL), np.asarray(rng.integers(-9, 9, shape), np.int8)
    x = normal(rng, m, n if combine else d)
    return [x, codes, scale, zero, group, output(*b, m, d if combine else n)]


def decoded(codes, scale, zero, group):
    scale, zero = scale.astype(float), zero.astype(float)
    if group is None:
        scale, zero = (a[..., None] if a.ndim else a for a in (scale, zero))
    else:
        scale, zero = (np.repeat(a, group, -1)[..., : codes.shape[-1]] if a.ndim else a for a in (scale, zero))
    return (codes.astype(float) - zero) * scale


def ref_int8(x, codes, scale, zero, group, out, combine):
    y = decoded(codes, scale, zero, group)
    return [x.astype(float) @ (y if combine else y.swapaxes(-1, -2))]


CASES = {
    "favor": Case(make_favor, ref_favor, extra=1),
    "favor_one": Case(make_favor_one, ref_favor_one),
    "cross_one": Case(make_cross_one, ref_cross_one),
    "gat_one": Case(make_gat_one, ref_gat_one),
    "rotate": Case(make_rotate, ref_rotate),
    "int8_scores": Case(lambda rng: make_int8(rng, False), lambda *a: ref_int8(*a, combine=False)),
    "int8_combine": Case(lambda rng: make_int8(rng, True), lambda *a: ref_int8(*a, combine=True)),
    "finite": Case(lambda rng: [normal(rng, *lead(rng), size(rng, 40))], lambda x: []),
}

"""Kernels of FAVOR+ features, rotary encoding and 8-bit codes."""

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
    "rotate": Case(make_rotate, ref_rotate),
    "int8_scores": Case(lambda rng: make_int8(rng, False), lambda *a: ref_int8(*a, combine=False)),
    "int8_combine": Case(lambda rng: make_int8(rng, True), lambda *a: ref_int8(*a, combine=True)),
    "finite": Case(lambda rng: [normal(rng, *lead(rng), size(rng, 40))], lambda x: []),
}

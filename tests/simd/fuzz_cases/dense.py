"""Kernels over matrices: elementwise ones, products, attention of all queries or few, heads."""

from itertools import pairwise

import numpy as np

from graphattend.simd import numpy_ops

from . import draw
from .draw import Case, close, hide, indptr_of, lead, normal, output, row_of_mask, size, softmax64
from .small import ref_rotate


def make_matmul(rng):
    m, n, k, b, flags = size(rng), size(rng, 20), size(rng, 20), lead(rng), int(rng.integers(4))
    x = normal(rng, *b, *((k, m) if flags & 1 else (m, k)))
    y = normal(rng, *((n, k) if flags & 2 else (k, n)))
    return [x, y, output(*b, m, n), flags]


def ref_matmul(x, y, out, flags):
    x, y = x.astype(float), y.astype(float)
    return [(x.swapaxes(-1, -2) if flags & 1 else x) @ (y.swapaxes(-1, -2) if flags & 2 else y)]


def make_elementwise(rng):
    shape = (*lead(rng), size(rng, 40))
    return [normal(rng, *shape), output(*shape)]


def make_segments(rng):
    indptr = indptr_of(rng, size(rng))
    shape = (int(indptr[-1]), *([size(rng, 6)] if rng.random() < 0.5 else []))
    return [normal(rng, *shape), indptr, output(*shape)]


def ref_segments(x, indptr, out):
    expected = np.zeros(x.shape)
    for a, b in pairwise(indptr):
        if b > a:
            expected[a:b] = softmax64(x[a:b].T).T
    return [expected]


def make_one(rng):
    b, n, d, e = lead(rng), size(rng, 150), size(rng, 20), size(rng, 20)
    arrays = normal(rng, *b, d), normal(rng, n, d), normal(rng, *b, n, e), output(*b, e)
    return [*arrays, 0.5, row_of_mask(rng, *b, 1, n)]


def ref_one(q, k, v, out, scale, mask):
    s = scale * np.einsum("...d,...nd->...n", q.astype(float), k.astype(float))
    w = softmax64(hide(s, None if mask is None else mask[..., 0, :]))
    return [np.einsum("...n,...ne->...e", w, v.astype(float))]


def visible(rng, b, m, n):
    """Draw a mask, causal and lengths."""
    mask, lengths = None, None
    if rng.random() < 0.5:
        mask = rng.random((*b, m, n)) < 0.7
        if rng.random() < 0.5:
            mask = np.where(mask, 0.5, -np.inf).astype(draw.REAL)
        if rng.random() < 0.3:
            mask = mask[..., :1, :]
    if rng.random() < 0.3:
        lengths = rng.integers(-1, n + 2, (*b, m)).astype(np.int64)
    return [mask, bool(rng.random() < 0.5), lengths]


def weights64(q, k, scale, mask, causal, lengths):
    s = scale * (q.astype(float) @ k.astype(float).swapaxes(-1, -2))
    if mask is not None:
        s = np.where(mask, s, -np.inf) if mask.dtype == bool else s + mask
    i, j = np.arange(s.shape[-2])[:, None], np.arange(s.shape[-1])
    if causal:
        s = np.where(j <= i, s, -np.inf)
    if lengths is not None:
        s = np.where(j < lengths[..., None], s, -np.inf)
    return softmax64(s), s


def make_attend(rng):
    b, m, n, d, e = lead(rng), size(rng, 20), size(rng, 80), size(rng, 12), size(rng, 12)
    arrays = [normal(rng, *b, m, d), normal(rng, n, d), normal(rng, *b, n, e), output(*b, m, e)]
    return [*arrays, None if rng.random() < 0.5 else output(*b, m, 2), 0.5, *visible(rng, b, m, n)]


def ref_attend(q, k, v, out, stats, scale, mask, causal, lengths):
    w, s = weights64(q, k, scale, mask, causal, lengths)
    if stats is None:
        return [w @ v, None]
    top = s.max(-1)
    safe = np.where(np.isfinite(top), top, 0)
    return [w @ v, np.stack([top, np.exp(s - safe[..., None]).sum(-1)], -1)]


def places(rng, b, n, d):
    """Draw positions on the rows of a table, or near them, and frequencies."""
    positions = rng.integers(0, 5, (*b, n)) + 0.25 if rng.random() < 0.5 else 1.5 * rng.random((*b, n)) - 0.5
    return positions, rng.random(d // 2)


def make_few(rng):
    b, m, n, d, e = lead(rng), size(rng, 10), size(rng, 150), size(rng, 40), size(rng, 40)
    bias = None if rng.random() < 0.4 else normal(rng, *b, *((m, n), (1, n), (m, 1))[rng.integers(3)])
    turned = rng.random() < 0.4
    positions, frequency = places(rng, b, n, d) if turned else (None, None)
    v, out = (normal(rng, *b, n, e), output(*b, m, e)) if rng.random() < 0.7 else (None, None)
    slope = 1.0 if rng.random() < 0.5 else 0.2
    options = [0.5, slope, bool(rng.random() < 0.5), bool(rng.random() < 0.5)]
    mask = visible(rng, b, m, n)[0]
    return [
        normal(rng, *b, m, d),
        normal(rng, n, d),
        v,
        bias,
        mask,
        None if positions is None else positions.astype(draw.REAL),
        frequency,
        out,
        output(*b, m, n),
        *options,
    ]


def ref_few(q, k, v, bias, mask, positions, frequency, out, weights, scale, slope, squares, interleaved):
    q, k = q.astype(float), k.astype(float)
    if positions is None:
        s = q @ k.swapaxes(-1, -2) - (np.square(k).sum(-1)[..., None, :] if squares else 0)
    else:
        full = np.broadcast_to(k, (*np.broadcast_shapes(k.shape[:-1], positions.shape), k.shape[-1]))
        s = q @ ref_rotate(full, positions, frequency, interleaved, full)[0].swapaxes(-1, -2)
    s = s * scale + (0 if bias is None else bias)
    s = np.where(s > 0, s, slope * s)
    w = softmax64(hide(s, mask))
    return [None if v is None else w @ v, w]


def make_few_vjp(rng):
    b, m, n, d, e = lead(rng), size(rng, 10), size(rng, 150), size(rng, 80), size(rng, 80)
    q, k, v, grad = normal(rng, *b, m, d), normal(rng, n, d), normal(rng, *b, n, e), normal(rng, *b, m, e)
    w = softmax64(rng.standard_normal((*b, m, n))).astype(draw.REAL)
    w[rng.random(w.shape) < 0.1] = 0
    by_weights = None if rng.random() < 0.5 else normal(rng, *b, m, n)
    grads = [output(*b, m, d), output(*b, n, d), output(*b, n, e), output(*b, m, n)]
    slopes = None if rng.random() < 0.5 else rng.choice([0.2, 1.0], (*b, m, n)).astype(draw.REAL)
    turned, squares = ((False, False), (False, True), (True, False))[rng.integers(3)]
    positions, frequency = places(rng, b, n, d) if turned else (None, None)
    more = output(*b, m, 1) if squares else output(*b, m, n) if turned else None
    arrays = [q, k, v, w, grad, by_weights, slopes, positions, frequency, *grads, more]
    return [*arrays, 0.5, bool(rng.random() < 0.5), bool(rng.random() < 0.4)]


def ref_few_vjp(
    q, k, v, w, grad, by_weights, slopes, positions, frequency, dq, dk, dv, ds, more, scale, interleaved, add
):
    before = draw.FILL if add else 0
    q, k, v, w, grad = (x.astype(float) for x in (q, k, v, w, grad))
    gw = grad @ v.swapaxes(-1, -2) + (0 if by_weights is None else by_weights)
    gs = w * (gw - (w * gw).sum(-1, keepdims=True)) * (1 if slopes is None else slopes)
    turned, rest = k, None
    if positions is not None:
        turned = np.broadcast_to(k, (*np.broadcast_shapes(k.shape[:-1], positions.shape), k.shape[-1]))
        turned = ref_rotate(turned, positions, frequency, interleaved, turned)[0]
    by_key = scale * gs.swapaxes(-1, -2) @ q
    if positions is not None:
        first, second = numpy_ops.pairs(k.shape[-1], interleaved)
        steps = np.zeros_like(turned)
        steps[..., first], steps[..., second] = -turned[..., second] * frequency, turned[..., first] * frequency
        rest = scale * gs * (q @ steps.swapaxes(-1, -2))
        by_key = ref_rotate(by_key, -positions, frequency, interleaved, by_key)[0]
    elif more is not None:
        rest = gs @ np.square(k).sum(-1)[..., None]
        by_key = by_key - 2 * scale * gs.sum(-2)[..., None] * k
    expected = scale * gs @ turned, by_key + before, w.swapaxes(-1, -2) @ grad + before, gs, rest
    outputs = dq, dk, dv, ds, more
    return [None if out is None else np.broadcast_to(x, out.shape) for x, out in zip(expected, outputs, strict=True)]


def make_attend_vjp(rng):
    b, m, n, d, e = lead(rng), size(rng, 20), size(rng, 80), size(rng, 12), size(rng, 12)
    q, k, v, grad = normal(rng, *b, m, d), normal(rng, *b, n, d), normal(rng, n, e), normal(rng, *b, m, e)
    options = visible(rng, b, m, n)
    out, stats = ref_attend(q, k, v, None, q, 0.5, *options)
    grads = [output(*b, m, d), output(*b, n, d), output(*b, n, e)]
    return [q, k, v, out.astype(draw.REAL), stats.astype(draw.REAL), grad, *grads, 0.5, *options]


def ref_attend_vjp(q, k, v, out, stats, grad, dq, dk, dv, scale, *options):
    w, _ = weights64(q, k, scale, *options)
    with np.errstate(invalid="ignore"):
        # Compute the weights from the given statistics, which a spoilt call may have replaced.
        expected = ref_attend(q, k, v, None, q, scale, *options)
        same_size = out.size == expected[0].size and stats.size == expected[1].size
        if not (same_size and close(out, expected[0]) and close(stats, expected[1])):
            return [None, None, None]
    gw = grad.astype(float) @ v.astype(float).swapaxes(-1, -2)
    gs = scale * w * (gw - (w * gw).sum(-1, keepdims=True))
    return [gs @ k, gs.swapaxes(-1, -2) @ q, w.swapaxes(-1, -2) @ grad.astype(float)]


def make_heads(rng):
    heads, width, m, n = size(rng, 6), size(rng, 5), size(rng, 4), size(rng, 80)
    d, dq, dk, dv, do = heads * width, size(rng), size(rng), size(rng), size(rng)
    weights = [normal(rng, dq, d), normal(rng, dk, d), normal(rng, dv, d), normal(rng, d, do)]
    biases = [None if rng.random() < 0.5 else normal(rng, w) for w in (d, d, do)]
    gated, biased = rng.random(2) < 0.5
    gates = normal(rng, dq, heads) if gated else None, normal(rng, heads) if gated and biased else None
    values, out, stored = normal(rng, n, dv), output(m, do), output(m * heads, n)
    kind = rng.random()
    if kind < 0.3:
        values = out = weights[2] = weights[3] = None  # the weights alone
    elif kind < 0.6:
        stored = None
    arrays = [normal(rng, m, dq), normal(rng, n, dk), values, *weights, *biases, *gates]
    return [*arrays, out, stored, heads, 0.25, row_of_mask(rng, 1, n), 1.5, 0.4]


def ref_heads(
    q, k, v, w_q, w_k, w_v, w_o, b_q, b_v, b_o, w_gate, b_gate, out, weights, heads, scale, mask, sharpness, threshold
):
    add = lambda b: 0 if b is None else b.astype(float)  # noqa: E731
    split = lambda x: x.reshape(len(x), int(heads), -1).transpose(1, 0, 2)  # noqa: E731
    qh = split(q.astype(float) @ w_q + add(b_q))
    kh = split(k.astype(float) @ w_k)
    w = softmax64(hide(scale * qh @ kh.transpose(0, 2, 1), mask))
    if v is None:
        return [None, w.transpose(1, 0, 2)]
    vh = split(v.astype(float) @ w_v + add(b_v))
    mixed = w @ vh
    if w_gate is not None:
        z = q.astype(float) @ w_gate + add(b_gate)
        gates = 1 / (1 + np.exp(-sharpness * z))
        gates *= (gates >= threshold) | (z == z.max(axis=-1, keepdims=True))
        mixed *= gates.T[..., None]
    return [mixed.transpose(1, 0, 2).reshape(len(q), -1) @ w_o + add(b_o), w.transpose(1, 0, 2)]


CASES = {
    "exp": Case(make_elementwise, lambda x, out: [np.exp(x.astype(float)).reshape(out.shape)]),
    "softmax": Case(make_elementwise, lambda x, out: [np.broadcast_to(softmax64(x), out.shape)]),
    "segment_softmax": Case(make_segments, ref_segments),
    "matmul": Case(make_matmul, ref_matmul),
    "attend_one": Case(make_one, ref_one),
    "attend": Case(make_attend, ref_attend),
    "attend_few": Case(make_few, ref_few),
    "attend_few_vjp": Case(make_few_vjp, ref_few_vjp),
    "attend_vjp": Case(make_attend_vjp, ref_attend_vjp),
    "heads": Case(make_heads, ref_heads),
}

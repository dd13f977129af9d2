"""Throws everything at every entry point: no crash, no byte outside the outputs touched, the right answer or a refusal.

Each case makes good arguments; some of them are then spoilt (type, layout, alignment, overlap, emptiness, count). A
kernel may decline (None), raise TypeError, ValueError or OverflowError, or must give what the formula gives.

Run as a script it fuzzes one compiled module, which is how the build with sanitizers is tested::

    python tests/simd/test_fuzz.py MODULE SEED ROUNDS [ENTRY...]
"""

from __future__ import annotations

import contextlib
import sys
import zlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from graphattend import geometry
from graphattend.geometry._unchecked import distances, means, project
from graphattend.simd import kernel_ops, numpy_ops

#: The dtype under test and how closely its results must agree with the formulas, which compute in float64.
REAL: Any = np.dtype(np.float32)
TOLERANCES = {"float32": 2e-5, "float64": 1e-12}
GUARD = 64


class Case(NamedTuple):
    """An entry point: how to call it, and what it should write where."""

    make: Callable[[np.random.Generator], list[Any]]
    reference: Callable[..., list[Any]]  # the outputs in the order of their declaration
    extra: int = 0  # trailing arguments that are for the formula only
    renew: Callable[[list[Any]], None] | None = None  # makes what follows from other arguments anew after they changed


def normal(rng, *shape):
    return rng.standard_normal(shape).astype(REAL)


def size(rng, most=12):
    return int(rng.integers(1, most))


def output(*shape):
    """An array with untouched memory around it, to be looked at afterwards."""
    count = int(np.prod(shape))
    whole = np.full(count + 2 * GUARD, 7.25, REAL)
    return whole[GUARD : GUARD + count].reshape(shape)


def softmax64(s):
    s = np.asarray(s, float)
    top = s.max(-1, keepdims=True)
    e = np.exp(s - np.where(np.isfinite(top), top, 0))
    total = e.sum(-1, keepdims=True)
    return e / np.where(total == 0, 1, total)


def lead(rng):
    return tuple(rng.integers(1, 3, int(rng.integers(0, 3))))


# --- one entry after the other: arguments and formula ------------------------------------------------------------


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


def indptr_of(rng, rows, most=5):
    return np.concatenate([[0], np.cumsum(rng.integers(0, most, rows))]).astype(np.int64)


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
    return [normal(rng, *b, d), normal(rng, n, d), normal(rng, *b, n, e), output(*b, e), 0.5]


def ref_one(q, k, v, out, scale):
    w = softmax64(scale * np.einsum("...d,...nd->...n", q.astype(float), k.astype(float)))
    return [np.einsum("...n,...ne->...e", w, v.astype(float))]


def visible(rng, b, m, n):
    """Random mask, causal and lengths."""
    mask, lengths = None, None
    if rng.random() < 0.5:
        mask = rng.random((*b, m, n)) < 0.7
        if rng.random() < 0.5:
            mask = np.where(mask, 0.5, -np.inf).astype(REAL)
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


def make_few(rng):
    b, m, n, d, e = lead(rng), size(rng, 10), size(rng, 150), size(rng, 40), size(rng, 40)
    bias = None if rng.random() < 0.4 else normal(rng, *b, *((m, n), (1, n), (m, 1))[rng.integers(3)])
    turned = rng.random() < 0.4
    # On the rows of a table, or near them.
    places = rng.integers(0, 5, (*b, n)) + 0.25 if rng.random() < 0.5 else 1.5 * rng.random((*b, n)) - 0.5
    positions = places if turned else None
    frequency = rng.random(d // 2) if turned else None
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
        positions,
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
    if mask is not None:
        s = np.where(mask, s, -np.inf) if mask.dtype == bool else s + mask
    w = softmax64(s)
    return [None if v is None else w @ v, w]


def make_few_vjp(rng):
    b, m, n, d, e = lead(rng), size(rng, 10), size(rng, 150), size(rng, 80), size(rng, 80)
    q, k, v, grad = normal(rng, *b, m, d), normal(rng, n, d), normal(rng, *b, n, e), normal(rng, *b, m, e)
    w = softmax64(rng.standard_normal((*b, m, n))).astype(REAL)
    w[rng.random(w.shape) < 0.1] = 0
    by_weights = None if rng.random() < 0.5 else normal(rng, *b, m, n)
    grads = [output(*b, m, d), output(*b, n, d), output(*b, n, e), output(*b, m, n)]
    slopes = None if rng.random() < 0.5 else rng.choice([0.2, 1.0], (*b, m, n)).astype(REAL)
    return [q, k, v, w, grad, by_weights, slopes, *grads, 0.5]


def ref_few_vjp(q, k, v, w, grad, by_weights, slopes, dq, dk, dv, ds, scale):
    q, k, v, w, grad = (x.astype(float) for x in (q, k, v, w, grad))
    gw = grad @ v.swapaxes(-1, -2) + (0 if by_weights is None else by_weights)
    gs = w * (gw - (w * gw).sum(-1, keepdims=True)) * (1 if slopes is None else slopes)
    expected = scale * gs @ k, scale * gs.swapaxes(-1, -2) @ q, w.swapaxes(-1, -2) @ grad, gs
    return [np.broadcast_to(x, out.shape) for x, out in zip(expected, (dq, dk, dv, ds), strict=True)]


def make_attend_vjp(rng):
    b, m, n, d, e = lead(rng), size(rng, 20), size(rng, 80), size(rng, 12), size(rng, 12)
    q, k, v, grad = normal(rng, *b, m, d), normal(rng, *b, n, d), normal(rng, n, e), normal(rng, *b, m, e)
    options = visible(rng, b, m, n)
    out, stats = ref_attend(q, k, v, None, q, 0.5, *options)
    grads = [output(*b, m, d), output(*b, n, d), output(*b, n, e)]
    return [q, k, v, out.astype(REAL), stats.astype(REAL), grad, *grads, 0.5, *options]


def ref_attend_vjp(q, k, v, out, stats, grad, dq, dk, dv, scale, *options):
    w, _ = weights64(q, k, scale, *options)
    with np.errstate(invalid="ignore"):
        # The weights follow from the given statistics, which a spoilt call may have swapped for another.
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
    gain = None if rng.random() < 0.5 else normal(rng, m, heads) * (rng.random((m, heads)) < 0.5)
    arrays = [normal(rng, m, dq), normal(rng, n, dk), normal(rng, n, dv), *weights, *biases, gain]
    return [*arrays, output(m, do), None if rng.random() < 0.5 else output(m * heads, n), heads, 0.25]


def ref_heads(q, k, v, w_q, w_k, w_v, w_o, b_q, b_v, b_o, gain, out, weights, heads, scale):
    add = lambda b: 0 if b is None else b.astype(float)  # noqa: E731
    split = lambda x: x.reshape(len(x), int(heads), -1).transpose(1, 0, 2)  # noqa: E731
    qh = split(q.astype(float) @ w_q + add(b_q))
    kh, vh = split(k.astype(float) @ w_k), split(v.astype(float) @ w_v + add(b_v))
    w = softmax64(scale * qh @ kh.transpose(0, 2, 1))
    mixed = w @ vh * (1 if gain is None else gain.astype(float).T[..., None])
    return [mixed.transpose(1, 0, 2).reshape(len(q), -1) @ w_o + add(b_o), w.transpose(1, 0, 2)]


def graph_of(rng, rows, targets):
    indptr = indptr_of(rng, rows)
    kind = np.int64 if rng.random() < 0.5 else np.int32
    return indptr, rng.integers(0, targets, int(indptr[-1])).astype(kind)


def by_head(rng, nodes, heads, width):
    return normal(rng, nodes, width) if heads is None else normal(rng, nodes, heads, width)


def output_with(gain, *shape):
    """An output, of zeros if there is a gain: then a kernel adds to it."""
    out = output(*shape)
    if gain is not None:
        out[...] = 0
    return out


def gain_of(rng, *shape):
    """Factors, some of which are 0, or none."""
    return None if rng.random() < 0.6 else normal(rng, *shape) * (rng.random(shape) < 0.7).astype(REAL)


def make_graph(rng):
    m, n, d, e = size(rng), size(rng), size(rng, 70), size(rng, 70)
    heads = None if rng.random() < 0.5 else size(rng, 4)
    indptr, indices = graph_of(rng, m, n)
    edge = (len(indices),) if heads is None else (len(indices), heads)
    q, k, v = by_head(rng, m, heads, d), by_head(rng, n, heads, d), by_head(rng, n, heads, e)
    bias = None if rng.random() < 0.5 else normal(rng, *edge)
    weights = None if rng.random() < 0.5 else output(*edge)
    positions = frequency = None
    plain = rng.random() < 0.25
    if plain:
        q, k = (np.abs(x) + REAL.type(0.1) for x in (q, k))
    elif rng.random() < 0.5:
        positions, frequency = rng.standard_normal(len(indices)) * 10 ** rng.uniform(-1, 3), rng.random(d // 2)
    gain = gain_of(rng, *q.shape[:-1])
    out = output_with(gain, *q.shape[:-1], e)
    given = bias, positions, frequency, gain, out, weights, 0.5, bool(rng.random() < 0.5), plain
    return [q, k, v, indptr, indices, *given]


def graph_weights(q, k, indptr, indices, bias, positions, frequency, scale, interleaved, plain):
    source = np.repeat(np.arange(len(q)), np.diff(indptr).astype(np.intp))
    keys = k[indices].astype(float)
    if positions is not None:
        at = np.broadcast_to(positions[:, None], keys.shape[:-1])
        keys = numpy_ops.rotate(keys, at, frequency, interleaved)
    s = scale * (q[source].astype(float) * keys).sum(-1)
    s = s if bias is None else s + bias.reshape(s.shape)
    return source, ref_segments(np.log(s) if plain else s, indptr, None)[0]


def with_heads(*arrays):
    return [x if x.ndim == 3 else x[:, None] for x in arrays]


def ref_graph(q, k, v, indptr, indices, bias, positions, frequency, gain, out, weights, scale, interleaved, plain):
    q, k, v = with_heads(q, k, v)
    bias = None if plain else bias
    source, w = graph_weights(q, k, indptr, indices, bias, positions, frequency, scale, interleaved, plain)
    expected = np.zeros((*q.shape[:2], v.shape[2]))
    np.add.at(expected, source, w[..., None] * v[indices].astype(float))
    return [expected if gain is None else expected * gain.reshape(q.shape[:2])[..., None], w]


def make_graph_vjp(rng):
    m, n, d, e = size(rng), size(rng), size(rng, 70), size(rng, 70)
    heads = None if rng.random() < 0.5 else size(rng, 4)
    indptr, indices = graph_of(rng, m, n)
    edge = (len(indices),) if heads is None else (len(indices), heads)
    grad, k, v = by_head(rng, m, heads, e), by_head(rng, n, heads, d), by_head(rng, n, heads, e)
    dq = output(*grad.shape[:-1], d)
    return [grad, k, v, indptr, indices, normal(rng, *edge), output(*edge), dq, 0.5, bool(rng.random() < 0.5)]


def ref_graph_vjp(grad, k, v, indptr, indices, w, dscores, dq, scale, plain):
    grad, k, v = with_heads(grad, k, v)
    source = np.repeat(np.arange(len(grad)), np.diff(indptr).astype(np.intp))
    w = w.reshape((len(indices), grad.shape[1])).astype(float)
    gw = (grad[source].astype(float) * v[indices]).sum(-1)
    mean = np.zeros(grad.shape[:-1])
    np.add.at(mean, source, w * gw)
    ds = (1 if plain else w) * (gw - mean[source])
    expected = np.zeros((*grad.shape[:-1], k.shape[-1]))
    np.add.at(expected, source, scale * ds[..., None] * k[indices])
    return [ds, expected]


def make_graph_turn(rng):
    m, n, d = size(rng), size(rng), size(rng, 70)
    indptr, indices = graph_of(rng, m, n)
    order = None if rng.random() < 0.5 else rng.permutation(len(indices)).astype(indices.dtype)
    y = None if rng.random() < 0.5 else normal(rng, m, d)
    weights, positions = normal(rng, len(indices)), rng.standard_normal(len(indices)) * 10 ** rng.uniform(-1, 3)
    given = weights, positions, rng.random(d // 2), output(m, d), None if y is None else output(len(indices)), 0.5
    return [normal(rng, n, d), y, indptr, indices, order, *given, bool(rng.random() < 0.5), bool(rng.random() < 0.5)]


def ref_graph_turn(x, y, indptr, indices, order, weights, positions, frequency, out, slopes, scale, interleaved, back):
    target = np.repeat(np.arange(len(out)), np.diff(indptr).astype(np.intp))
    edge = np.arange(len(indices)) if order is None else order
    at = positions[edge] * (-1 if back else 1)
    turned = numpy_ops.rotate(x[indices].astype(float), at, frequency, interleaved)
    expected = np.zeros(out.shape)
    np.add.at(expected, target, scale * weights[edge, None].astype(float) * turned)
    if y is None:
        return [expected, None]
    first, second = numpy_ops.pairs(x.shape[1], interleaved)
    rows, derived = y[target].astype(float), np.zeros(len(weights))
    terms = rows[:, second] * turned[:, first] - rows[:, first] * turned[:, second]
    derived[edge] = scale * weights[edge].astype(float) * (terms @ frequency)
    return [expected, derived]


def make_graph_sum(rng):
    m, n = size(rng), size(rng)
    heads = None if rng.random() < 0.5 else size(rng, 10)
    indptr, indices = graph_of(rng, m, n)
    x = by_head(rng, n, heads, size(rng, 70) if rng.random() < 0.5 else 4 * size(rng, 6))
    out, add = output(m, *x.shape[1:]), bool(rng.random() < 0.3)
    out[...] = normal(rng, *out.shape)
    if rng.random() < 0.3:
        return [x, indptr, indices, None, None, out, 0.5, add, out.copy()]
    count = len(indices) + size(rng)
    weights = normal(rng, *((count,) if heads is None else (count, heads)))
    order = rng.integers(0, count, len(indices)).astype(np.int64 if rng.random() < 0.5 else np.int32)
    return [x, indptr, indices, order, weights, out, 0.5, add, out.copy()]


def ref_graph_sum(x, indptr, indices, order, weights, out, scale, add, before):
    (x,) = with_heads(x)
    source = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr).astype(np.intp))
    rows = scale * x[indices].astype(float)
    if weights is not None:
        rows *= weights.reshape(len(weights), x.shape[1]).astype(float)[order][..., None]
    expected = np.zeros((len(indptr) - 1, *x.shape[1:]))
    np.add.at(expected, source, rows)
    return [expected + (before.reshape(expected.shape) if add else 0)]


def make_gat(rng):
    nodes, d, heads, width = size(rng), size(rng), size(rng, 7), size(rng, 9)
    indptr, indices = graph_of(rng, nodes, nodes)
    arrays = [normal(rng, nodes, d), normal(rng, heads, d, width), normal(rng, heads, width), normal(rng, heads, width)]
    added = None if rng.random() < 0.5 else normal(rng, len(indices), heads)
    weights = None if rng.random() < 0.5 else output(len(indices), heads)
    gain = gain_of(rng, nodes)
    hidden, out = output(nodes, heads * width), output_with(gain, nodes, heads, width)
    return [*arrays, indptr, indices, added, gain, hidden, out, weights, 0.2]


def ref_gat(x, w, a_query, a_key, indptr, indices, added, gain, hidden, out, weights, slope):
    h = np.einsum("vd,hde->vhe", x.astype(float), w.astype(float))
    source = np.repeat(np.arange(len(x)), np.diff(indptr).astype(np.intp))
    s = (h * a_query).sum(-1)[source] + (h * a_key).sum(-1)[indices]
    if added is not None:
        s = s + added.reshape(s.shape)
    p = ref_segments(np.where(s < 0, slope * s, s), indptr, None)[0]
    expected = np.zeros(h.shape)
    np.add.at(expected, source, p[..., None] * h[indices])
    if gain is not None:
        expected *= gain[:, None, None]
    return [h.reshape(hidden.shape), expected, None if weights is None else p.reshape(weights.shape)]


def make_gat_vjp(rng):
    m, n, heads, width = size(rng), size(rng), size(rng, 10), size(rng, 20)
    indptr, indices = graph_of(rng, m, n)
    edge = (len(indices), heads)
    added = None if rng.random() < 0.5 else normal(rng, *edge)
    arrays = [normal(rng, m, heads, width), normal(rng, n, heads, width), normal(rng, m, heads), normal(rng, n, heads)]
    return [*arrays, indptr, indices, added, normal(rng, *edge), output(*edge), output(m, heads), 0.2]


def ref_gat_vjp(grad, hidden, query, key, indptr, indices, added, w, dscores, dquery, slope):
    source = np.repeat(np.arange(len(grad)), np.diff(indptr).astype(np.intp))
    gw = (grad[source].astype(float) * hidden[indices]).sum(-1)
    mean = np.zeros(query.shape)
    np.add.at(mean, source, w.astype(float) * gw)
    score = query[source] + key[indices]
    if added is not None:
        score = score + added
    ds = w * (gw - mean[source]) * np.where(score < 0, float(slope), 1)
    total = np.zeros(query.shape)
    np.add.at(total, source, ds)
    return [ds, total]


# --- spaces: the formulas are those of the geometry, which has tests with 60 digits of its own ------------------------------


def spaces_of(rng):
    """A table of one to three spaces, and the number of coordinates."""
    rows = []
    for _ in range(int(rng.integers(1, 4))):
        kind = int(rng.integers(4))
        width = int(rng.integers(2, 9))
        inside = 1e-6 if REAL.name == "float32" else 1e-12
        rows.append([kind, width, 0.0 if kind == 0 else rng.uniform(0.5, 2), rng.uniform(0.3, 1), inside])
    return np.array(rows), int(sum(row[1] for row in rows))


def factors(table):
    """The manifolds, and where their coordinates stand."""
    found, start = [], 0
    for kind, width, c, *_ in table:
        kinds = (lambda _: geometry.Euclidean(), lambda c: geometry.Poincare(-c), lambda c: geometry.Lorentz(-c))
        manifold = (*kinds, geometry.Sphere)[int(kind)](c)
        found.append((manifold, slice(start, start + int(width))))
        start += int(width)
    return found


def points_of(rng, table, *shape):
    """Points of the spaces, on the sphere on one side of it."""
    parts = []
    for manifold, at in factors(table):
        x = 0.2 * rng.standard_normal((*shape, at.stop - at.start))
        if isinstance(manifold, geometry.Sphere):
            x[..., 0] += 1
        parts.append(manifold.project(x * 0.9**0.5))
    return np.concatenate(parts, axis=-1).astype(REAL)


def lists_or_not(rng, m, n):
    return graph_of(rng, m, n) if rng.random() < 0.5 else (None, None)


def make_metric(rng):
    table, d = spaces_of(rng)
    m, n = size(rng, 6), size(rng, 20)
    indptr, indices = lists_or_not(rng, m, n)
    b = lead(rng) if indices is None else ()
    mask = rng.random((*b, m, n)) < 0.7 if indices is None and rng.random() < 0.4 else None
    weights = output(*((*b, m, n) if indices is None else indices.shape)) if rng.random() < 0.6 else None
    q, k, v = points_of(rng, table, *b, m), points_of(rng, table, n), points_of(rng, table, *b, n)
    gain = None if indices is None else gain_of(rng, m)
    out = output_with(gain, *b, m, d)
    return [q, k, v, table, indptr, indices, mask, gain, out, weights, bool(rng.random() < 0.5)]


def rows_of(indptr, indices, m, n):
    """The keys of every row."""
    if indices is None:
        return [slice(None)] * m
    return [np.asarray(indices[a:b], np.intp) for a, b in pairwise(indptr)]


def entries(*arrays):
    """The entries of a batch of matrices."""
    shape = np.broadcast_shapes(*(a.shape[:-2] for a in arrays))
    for at in np.ndindex(shape):
        yield at, [np.broadcast_to(a, (*shape, *a.shape[-2:]))[at].astype(float) for a in arrays]


def distances64(table, q, k, root):
    """The combined distance and its pullback to q, k and the factors."""
    parts = []
    for manifold, at in factors(table):
        (x, pull_x), (y, pull_y) = project(manifold, q[:, at]), project(manifold, k[:, at])
        parts.append((*distances(manifold, x, y), pull_x, pull_y))
    d, share = np.stack([p[0] for p in parts]), table[:, 3]
    whole = np.sqrt((d * d).sum(0))
    score = share[0] * whole if root else np.tensordot(share, d, 1)

    def pull(g):
        gq, gk, gs = [], [], []
        for s, (d_s, pull_d, pull_x, pull_y) in zip(share, parts, strict=True):
            by = g * (share[0] * d_s / np.where(whole == 0, 1, whole) if root else s)
            a, b = pull_d(by)
            gq.append(pull_x(a)[0])
            gk.append(pull_y(b)[0])
            gs.append((g * (whole if root else d_s)).sum())
        return np.concatenate(gq, -1), np.concatenate(gk, -1), np.array(gs)

    return score, pull


def means64(table, kind, w, v):
    """Means and their pullback to v and w."""
    parts = []
    for manifold, at in factors(table):
        x, pull_x = project(manifold, v[:, at])
        parts.append((*means(manifold, kind, x, w), pull_x, at))

    def pull(g):
        found = [(pull_m(g[:, at]), pull_x) for _, pull_m, pull_x, at in parts]
        return np.concatenate([pull_x(gv)[0] for (gv, _), pull_x in found], -1), sum(gw for (_, gw), _ in found)

    return np.concatenate([p[0] for p in parts], -1), pull


def ref_metric(q, k, v, table, indptr, indices, mask, gain, out, weights, root):
    v = np.zeros_like(k) if v is None else v
    arrays = [q, k, v] + ([] if mask is None else [np.broadcast_to(mask, (*mask.shape[:-2], q.shape[-2], k.shape[-2]))])
    lead = np.broadcast_shapes(*(a.shape[:-2] for a in arrays))
    expected, w_all = np.zeros((*lead, q.shape[-2], q.shape[-1])), []
    for at, (x, y, z, *seen) in entries(*arrays):
        for i, keys in enumerate(rows_of(indptr, indices, len(x), len(y))):
            s = -distances64(table, x[i : i + 1], y[keys], root)[0]
            if seen:
                s = np.where(seen[0][i], s, -np.inf) if mask.dtype == bool else s + seen[0][i]
            w = softmax64(s) if s.size else s
            w_all.append(w[0])
            if w.any():
                expected[(*at, i)] = means64(table, "midpoint", w, z[keys])[0][0]
    w = (
        None
        if weights is None
        else np.concatenate(w_all).reshape(weights.shape if indices is not None else (*lead, *weights.shape[-2:]))
    )
    if gain is not None:
        expected *= gain[:, None]
    return [None if out is None else expected, w]


def make_metric_vjp(rng):
    table, d = spaces_of(rng)
    m, n = size(rng, 6), size(rng, 20)
    indptr, indices = lists_or_not(rng, m, n)
    b = lead(rng) if indices is None else ()
    shape = (*b, m, n) if indices is None else indices.shape
    w, g = rng.random(shape).astype(REAL), normal(rng, *shape)
    outputs = [output(*b, m, d), output(*b, n, d), np.zeros(len(table))]
    q, k = points_of(rng, table, *b, m), points_of(rng, table, n)
    return [q, k, w, g, table, indptr, indices, *outputs, bool(rng.random() < 0.5)]


def ref_metric_vjp(q, k, w, g, table, indptr, indices, dq, dk, dshare, root):
    lists, arrays = indices is not None, [q, k]
    if not lists:
        arrays += [w, g]
    lead = dq.shape[:-2]
    if lists:  # spoilt ones may have further axes
        w, g = w.reshape(-1), g.reshape(-1)
    gq, gk, shares = np.zeros(dq.shape), np.zeros(dk.shape), np.zeros(len(table))
    for at, (x, y, *rest) in entries(*arrays, np.zeros((*lead, 1, 1))):
        for i, keys in enumerate(rows_of(indptr, indices, len(x), len(y))):
            part = slice(indptr[i], indptr[i + 1]) if lists else i
            weight, by = (a[part].astype(float) for a in ((w, g) if lists else rest[:2]))
            gs = weight * (by - (weight * by).sum())
            a, b, s = distances64(table, x[i : i + 1], y[keys], root)[1](-gs[None])
            gq[(*at, i)] += a[0]
            np.add.at(gk[at], keys, b)
            shares += s
    return [gq, gk, shares]


def make_frechet(rng):
    table, d = spaces_of(rng)
    m, n = size(rng, 6), size(rng, 20)
    indptr, indices = lists_or_not(rng, m, n)
    b = lead(rng) if indices is None else ()
    w = rng.random((*b, m, n) if indices is None else indices.shape).astype(REAL)
    return [points_of(rng, table, n), w, table, indptr, indices, output(*b, m, d)]


def ref_frechet(v, w, table, indptr, indices, out):
    expected = np.zeros(out.shape)
    lists = indices is not None
    for at, (x, *rest) in entries(*([v] if lists else [v, w]), np.zeros((*out.shape[:-2], 1, 1))):
        for i, keys in enumerate(rows_of(indptr, indices, out.shape[-2], len(x))):
            weight = (w[indptr[i] : indptr[i + 1]] if lists else rest[0][i]).astype(float)
            if weight.any():
                expected[(*at, i)] = means64(table, "frechet", weight[None], x[keys])[0][0]
    return [expected]


def make_mean_vjp(rng):
    v, w, table, indptr, indices, out = make_frechet(rng)
    means = ref_frechet(v, w, table, indptr, indices, out)[0].astype(REAL) if rng.random() < 0.5 else None
    return [
        v,
        w,
        normal(rng, *out.shape),
        means,
        table,
        indptr,
        indices,
        output(*out.shape[:-2], *v.shape[-2:]),
        output(*w.shape),
    ]


def renew_means(args):
    """The means of the spoilt points and weights: gradients at any other point belong to nothing."""
    v, w, _, means, table, indptr, indices = args[:7]
    if not isinstance(means, np.ndarray) or means.dtype != REAL:
        return
    with contextlib.suppress(Exception):  # what has no means is for the kernel to refuse
        right = ref_frechet(v, w, table, indptr, indices, np.zeros(args[2].shape))[0].astype(REAL)
        args[3] = means if means.shape == right.shape and close(means, right) else right


def ref_mean_vjp(v, w, grad, given, table, indptr, indices, dv, dw):
    gv, gw = np.zeros(dv.shape), np.zeros(dw.shape)
    lists = indices is not None
    for at, (x, g, *rest) in entries(*([v, grad] if lists else [v, grad, w]), np.zeros((*dv.shape[:-2], 1, 1))):
        for i, keys in enumerate(rows_of(indptr, indices, len(g), len(x))):
            part = slice(indptr[i], indptr[i + 1]) if lists else i
            weight = (w[part] if lists else rest[0][i]).astype(float)
            if not weight.any():
                continue
            weight /= weight.sum()
            by_points, by_weights = means64(table, "midpoint" if given is None else "frechet", weight[None], x[keys])[
                1
            ](g[i : i + 1])
            np.add.at(gv[at], keys, by_points)
            # Up to what is the same for all weights, which the softmax takes out.
            by_weights = by_weights[0]
            found = dw[part] if lists else dw[(*at, i)]
            shift = weight @ (found.astype(float) - by_weights)
            gw[part if lists else (*at, i)] = by_weights + shift
    return [gv, gw]


def make_favor(rng):
    b, n, m, d = lead(rng), size(rng), size(rng), size(rng)
    z = output(*b, n, m)
    z[...] = normal(rng, *b, n, m)
    return [z, normal(rng, *b, n, d), 0.5, int(rng.integers(2)), int(rng.integers(2)), z.copy()]


def ref_favor(z, x, root, query, shift, before):
    s = root * before.astype(float)
    h = s - 0.5 * root * root * (x.astype(float) ** 2).sum(-1, keepdims=True)
    return [np.exp(h - (h if shift else s).max(axis=-1 if query else (-2, -1), keepdims=True))]


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
    scale, zero = np.asarray(rng.random(shape), REAL), np.asarray(rng.integers(-9, 9, shape), np.int8)
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
    "graph_attend": Case(make_graph, ref_graph),
    "graph_attend_vjp": Case(make_graph_vjp, ref_graph_vjp),
    "graph_turn": Case(make_graph_turn, ref_graph_turn),
    "graph_sum": Case(make_graph_sum, ref_graph_sum, extra=1),
    "gat": Case(make_gat, ref_gat),
    "gat_vjp": Case(make_gat_vjp, ref_gat_vjp),
    "metric_attend": Case(make_metric, ref_metric),
    "metric_vjp": Case(make_metric_vjp, ref_metric_vjp),
    "frechet": Case(make_frechet, ref_frechet),
    "mean_vjp": Case(make_mean_vjp, ref_mean_vjp, renew=renew_means),
    "favor": Case(make_favor, ref_favor, extra=1),
    "rotate": Case(make_rotate, ref_rotate),
    "int8_scores": Case(lambda rng: make_int8(rng, False), lambda *a: ref_int8(*a, combine=False)),
    "int8_combine": Case(lambda rng: make_int8(rng, True), lambda *a: ref_int8(*a, combine=True)),
    "finite": Case(lambda rng: [normal(rng, *lead(rng), size(rng, 40))], lambda x: []),
}


# --- declarations -------------------------------------------------------------------------------------------------------


def outputs_of(module, name):
    """Which operands a kernel writes: its documentation is its declaration, a line for each operand."""
    declared = getattr(module, name).__doc__.splitlines()
    return [i for i, operand in enumerate(declared) if operand.split()[-1].endswith("WRITE")]


def is_guarded(a):
    whole = guards_of(a)
    return whole.ndim == 1 and whole.size == a.size + 2 * GUARD


# --- spoiling -----------------------------------------------------------------------------------------------------


def misaligned(a):
    raw = np.zeros(a.nbytes + 1, np.uint8)[1:]
    moved = raw.view(a.dtype)[: a.size].reshape(a.shape) if a.size else a
    moved[...] = a
    return moved


def spread(a, axis, step):
    """The same values, `step` apart along one axis (negative: backwards)."""
    shape = list(a.shape)
    shape[axis] *= abs(step)
    index = [slice(None)] * a.ndim
    index[axis] = slice(None, None, step)
    wide = np.zeros(shape, a.dtype)[tuple(index)]
    wide[...] = a
    return wide


def read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


def layouts(rng, a):
    """Other arrays with the same values: a kernel that takes them must give the same answer."""
    axis, step = int(rng.integers(a.ndim)), int(rng.choice([-3, -1, 2, 3]))
    return [
        lambda: spread(a, axis, step),
        lambda: np.asfortranarray(a),
        lambda: misaligned(a) if a.dtype.itemsize > 1 else a,
        lambda: np.broadcast_to(a[..., :1, :], a.shape).copy() if a.ndim > 1 else a,
    ]


def spoilt(rng, a):
    """Arrays that differ in what they are."""
    axis = int(rng.integers(a.ndim)) if a.ndim else 0
    return [
        lambda: a.astype(rng.choice(["f4", "f8", "f2", "c8", "i4", "i8", "?", "O", ">f4", "u1"])),
        lambda: a.take(range(a.shape[axis] - 1), axis) if a.ndim else a,
        lambda: np.concatenate([a, a], axis) if a.ndim else a,
        lambda: a[None],
        lambda: a[0] if a.ndim and len(a) else a,
        lambda: a.reshape((1,) * int(rng.integers(1, 8)) + a.shape),
        lambda: a[..., :0] if a.ndim else a,
        lambda: np.broadcast_to(a[:1], a.shape) if a.ndim and len(a) else a,
        lambda: np.lib.stride_tricks.as_strided(a, a.shape, (0,) * a.ndim),
        lambda: read_only(a),
        lambda: a.view(np.recarray),
        lambda: np.ma.masked_array(a),
    ]


OBJECTS = [None, 3, -1, 2.5, "text", b"bytes", [1.0, 2.0], {}, 2**80, float("nan"), True]


def spoil(rng, case, args):
    """A few of the arguments replaced."""
    args = list(args)
    if case.extra:  # what the formula needs must stay what the kernel gets
        i = int(rng.integers(1, len(args) - case.extra))
        args[i] = OBJECTS[int(rng.integers(len(OBJECTS)))] if rng.random() < 0.5 else args[1][..., ::-1]
        return args
    for _ in range(int(rng.integers(1, 3))):
        i = int(rng.integers(len(args)))
        a = args[i]
        chance = rng.random()
        if isinstance(a, np.ndarray) and chance < 0.85:
            makers = layouts(rng, a) + spoilt(rng, a) if a.ndim else spoilt(rng, a)
            args[i] = makers[int(rng.integers(len(makers)))]()
        elif chance < 0.95:
            args[i] = OBJECTS[int(rng.integers(len(OBJECTS)))]
        else:
            arrays = [b for b in args if isinstance(b, np.ndarray)]
            args[i] = arrays[int(rng.integers(len(arrays)))] if arrays else None  # the same array twice
    if rng.random() < 0.03:
        return args[:-1] if rng.random() < 0.5 else [*args, None]
    return args


# --- checking -----------------------------------------------------------------------------------------------------


def close(actual, expected):
    actual, expected = np.asarray(actual, float), np.asarray(expected, float)
    if actual.size == expected.size:
        expected = expected.reshape(actual.shape)
    else:  # an output with more leading axes than needed is filled by broadcasting
        expected = np.broadcast_to(expected, actual.shape)
    same = (actual == expected) | (np.isnan(actual) & np.isnan(expected))
    scale = max(np.abs(expected[np.isfinite(expected)]).max(initial=0), 1)
    with np.errstate(invalid="ignore"):
        return bool((same | (np.abs(actual - expected) <= TOLERANCES[REAL.name] * scale)).all())


def guards_of(array):
    base = array
    while isinstance(base.base, np.ndarray):
        base = base.base
    return base


def attempt(module, name, case, outputs, args):
    """One call: True if the kernel did the work."""
    inputs = [a for i, a in enumerate(args) if isinstance(a, np.ndarray) and i not in outputs and a.dtype != object]
    before = [a.copy() for a in inputs]
    overlapping = any(
        np.shares_memory(a, args[o])
        for o in outputs
        if o < len(args) and isinstance(args[o], np.ndarray)
        for a in inputs
    )
    try:
        result = getattr(module, name)(*args[: len(args) - case.extra])
    except (TypeError, ValueError, OverflowError):
        return False
    assert result is None or result is True or result is False
    if result is None:
        return False
    assert not overlapping, f"{name}: an output shares memory with an input"
    for a, b in zip(inputs, before, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=f"{name}: an input was changed")
    for o in outputs:
        if isinstance(args[o], np.ndarray):
            whole = guards_of(args[o])
            if is_guarded(args[o]):
                assert (whole[:GUARD] == 7.25).all(), f"{name}: wrote outside its output"
                assert (whole[-GUARD:] == 7.25).all(), f"{name}: wrote outside its output"
    return True


def compare(name, case, outputs, args):
    expected = case.reference(*args)
    for o, e in zip(outputs, expected, strict=True):
        if args[o] is not None and e is not None:
            assert close(args[o], e), f"{name}: output {o} is wrong for {[getattr(a, 'shape', a) for a in args]}"


def fuzz(module, seed, rounds, dtype, entries=()):
    """Returns how many calls did the work, good and spoilt, per entry."""
    global REAL
    REAL = np.dtype(dtype)
    # One for each entry: a new one changes nothing for the others.
    cases = {name: CASES[name] for name in entries or CASES}
    generators = {name: np.random.default_rng([seed, zlib.crc32(name.encode())]) for name in cases}
    worked = {name: [0, 0] for name in cases}
    for _ in range(rounds):
        for name, case in cases.items():
            rng = generators[name]
            outputs, args = outputs_of(module, name), case.make(rng)
            if attempt(module, name, case, outputs, args):
                worked[name][0] += 1
                compare(name, case, outputs, args)
            for _ in range(4):
                with np.errstate(all="ignore"):
                    args = spoil(rng, case, case.make(rng))
                    if case.renew and len(args) > 8:
                        case.renew(args)
                    if attempt(module, name, case, outputs, args):
                        worked[name][1] += 1
                        compare(name, case, outputs, args)
    return worked


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("seed", range(3))
def test_every_entry_point(kernels, seed, dtype):
    worked = fuzz(kernels, seed, 8, dtype)
    assert min(good for good, _ in worked.values()) > 4, worked  # the good calls are not declined
    assert sum(odd for _, odd in worked.values()) > 20, worked  # nor are all the others


@pytest.mark.parametrize("seed", [392, 635, 1349, 2755])
def test_gradients_by_distance_next_to_the_rim(kernels, seed, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "REAL", np.dtype(np.float64))
    case, rng = CASES["metric_vjp"], np.random.default_rng(seed)  # with points on the rim
    args = case.make(rng)
    assert attempt(kernels, "metric_vjp", case, outputs_of(kernels, "metric_vjp"), args)
    compare("metric_vjp", case, outputs_of(kernels, "metric_vjp"), args)


def test_every_entry_point_is_fuzzed(kernels):
    entries = {n for n in dir(kernels) if not n.startswith("_")}
    assert entries - {"setup"} == set(CASES)


if __name__ == "__main__":
    for kind in ("f4", "f8"):
        print(fuzz(kernel_ops.load(Path(sys.argv[1])), int(sys.argv[2]), int(sys.argv[3]), kind, sys.argv[4:]))

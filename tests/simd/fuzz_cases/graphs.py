"""Kernels over CSR lists."""

import numpy as np

from graphattend.simd import numpy_ops

from . import draw
from .dense import ref_segments
from .draw import Case, gain_of, graph_of, mixed, mixture_with, normal, output, output_with, scaled, size


def by_head(rng, nodes, heads, width):
    return normal(rng, nodes, width) if heads is None else normal(rng, nodes, heads, width)


def layer_of(rng):
    """Draw rows, targets, widths, heads (or none), CSR lists and the shape of the edges' data."""
    sizes = size(rng), size(rng), size(rng, 70), size(rng, 70)
    heads = None if rng.random() < 0.5 else size(rng, 4)
    lists = graph_of(rng, *sizes[:2])
    count = len(lists[1])
    return sizes, heads, lists, (count,) if heads is None else (count, heads)


def make_graph(rng):
    (m, n, d, e), heads, (indptr, indices), edge = layer_of(rng)
    q, k, v = by_head(rng, m, heads, d), by_head(rng, n, heads, d), by_head(rng, n, heads, e)
    bias = None if rng.random() < 0.5 else normal(rng, *edge)
    weights = None if rng.random() < 0.5 else output(*edge)
    positions = frequency = None
    plain = rng.random() < 0.25
    if plain:
        q, k = (np.abs(x) + draw.REAL.type(0.1) for x in (q, k))
    elif rng.random() < 0.5:
        positions, frequency = rng.standard_normal(len(indices)) * 10 ** rng.uniform(-1, 3), rng.random(d // 2)
    gain = gain_of(rng, *q.shape[:-1])
    out = output_with(gain, *q.shape[:-1], e)
    mixture = mixture_with(rng, gain, len(indices))
    given = bias, positions, frequency, gain, out, weights, mixture, 0.5, bool(rng.random() < 0.5), plain
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


def ref_graph(
    q, k, v, indptr, indices, bias, positions, frequency, gain, out, weights, mixture, scale, interleaved, plain
):
    q, k, v = with_heads(q, k, v)
    bias = None if plain else bias
    if plain and (min(q.min(initial=0), k.min(initial=0)) < 0 or positions is not None):
        return [None] * 3  # weights without softmax are of features, which are positive
    source, w = graph_weights(q, k, indptr, indices, bias, positions, frequency, scale, interleaved, plain)
    expected = np.zeros((*q.shape[:2], v.shape[2]))
    np.add.at(expected, source, w[..., None] * v[indices].astype(float))
    expected = expected if gain is None else scaled(expected, gain.reshape(q.shape[:2])[..., None])
    return [expected, w, mixed(mixture, gain, source, w)]


def make_graph_vjp(rng):
    (m, n, d, e), heads, (indptr, indices), edge = layer_of(rng)
    grad, k, v = by_head(rng, m, heads, e), by_head(rng, n, heads, d), by_head(rng, n, heads, e)
    dq = None if rng.random() < 0.2 else output(*grad.shape[:-1], d)
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
    return [ds, None if dq is None else expected]


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
    rows, derived = y[target].astype(float), np.full(len(weights), draw.FILL)  # an edge that `order` lacks has no slope
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


def make_head_dots(rng):
    nodes, heads, width = size(rng), size(rng, 9), size(rng, 20)
    return [normal(rng, nodes, heads, width), normal(rng, heads, width), output(nodes, heads)]


def ref_head_dots(x, a, out):
    return [(x.astype(float) * a).sum(-1)]


def make_gat(rng):
    m, nodes, heads, width = size(rng), size(rng), size(rng, 7), size(rng, 9)
    indptr, indices = graph_of(rng, m, nodes)
    arrays = [normal(rng, nodes, heads, width), normal(rng, m, heads), normal(rng, nodes, heads)]
    added = None if rng.random() < 0.5 else normal(rng, len(indices), heads)
    weights = None if rng.random() < 0.5 else output(len(indices), heads)
    gain = gain_of(rng, m)
    out, mixture = output_with(gain, m, heads, width), mixture_with(rng, gain, len(indices))
    return [*arrays, indptr, indices, added, gain, out, weights, mixture, 0.2]


def ref_gat(hidden, query, key, indptr, indices, added, gain, out, weights, mixture, slope):
    source = np.repeat(np.arange(len(query)), np.diff(indptr).astype(np.intp))
    s = query.astype(float)[source] + key[indices]
    if added is not None:
        s = s + added.reshape(s.shape)
    p = ref_segments(np.where(s < 0, slope * s, s), indptr, None)[0]
    expected = np.zeros(out.shape)
    np.add.at(expected, source, p[..., None] * hidden[indices])
    if gain is not None:
        expected = scaled(expected, gain[:, None, None])
    wanted = None if weights is None else p.reshape(weights.shape)
    return [expected, wanted, mixed(mixture, gain, source, p * np.ones(query.shape[1]))]


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


CASES = {
    "graph_attend": Case(make_graph, ref_graph),
    "graph_attend_vjp": Case(make_graph_vjp, ref_graph_vjp),
    "graph_turn": Case(make_graph_turn, ref_graph_turn),
    "graph_sum": Case(make_graph_sum, ref_graph_sum, extra=1),
    "head_dots": Case(make_head_dots, ref_head_dots),
    "gat": Case(make_gat, ref_gat),
    "gat_vjp": Case(make_gat_vjp, ref_gat_vjp),
}

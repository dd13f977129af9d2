"""Kernels over spaces, against the formulas of geometry, which has its own tests with 60 digits."""

import contextlib
from itertools import pairwise

import numpy as np

from graphattend import geometry
from graphattend.geometry._unchecked import distances, means, project

from . import draw
from .draw import (
    Case,
    Sums,
    close,
    gain_of,
    graph_of,
    lead,
    mixed,
    mixture_with,
    normal,
    output,
    output_with,
    scaled,
    size,
    softmax64,
)


def spaces_of(rng):
    """Draw a table of one to three spaces; return it with the number of coordinates."""
    rows = []
    for _ in range(int(rng.integers(1, 4))):
        kind = int(rng.integers(4))
        width = int(rng.integers(2, 9))
        inside = 1e-6 if draw.REAL.name == "float32" else 1e-12
        rows.append([kind, width, 0.0 if kind == 0 else rng.uniform(0.5, 2), rng.uniform(0.3, 1), inside])
    return np.array(rows), int(sum(row[1] for row in rows))


def factors(table):
    """Return the manifolds and the slices of their coordinates."""
    found, start = [], 0
    for kind, width, c, *_ in table:
        kinds = (lambda _: geometry.Euclidean(), lambda c: geometry.Poincare(-c), lambda c: geometry.Lorentz(-c))
        manifold = (*kinds, geometry.Sphere)[int(kind)](c)
        found.append((manifold, slice(start, start + int(width))))
        start += int(width)
    return found


def is_absurd(table):
    """Whether a spoilt table leaves nothing to compare: NaN, or a factor that makes rounding errors larger than distances."""
    return not (np.abs(table) < 1e6).all()


def points_of(rng, table, *shape):
    """Draw points of the spaces, on a sphere in one hemisphere."""
    parts = []
    for manifold, at in factors(table):
        x = 0.2 * rng.standard_normal((*shape, at.stop - at.start))
        if isinstance(manifold, geometry.Sphere):
            x[..., 0] += 1
        parts.append(manifold.project(x * 0.9**0.5))
    return np.concatenate(parts, axis=-1).astype(draw.REAL)


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
    mixture = mixture_with(rng, gain, 0 if indices is None else len(indices))
    if weights is not None and gain is None and rng.random() < 0.3:
        v = out = None  # weights alone
    return [q, k, v, table, indptr, indices, mask, gain, out, weights, mixture, bool(rng.random() < 0.5)]


def rows_of(indptr, indices, m, n):
    """Return the keys of every row."""
    if indices is None:
        return [slice(None)] * m
    return [np.asarray(indices[a:b], np.intp) for a, b in pairwise(indptr)]


def entries(*arrays):
    """Iterate over the entries of a batch of matrices."""
    shape = np.broadcast_shapes(*(a.shape[:-2] for a in arrays))
    for at in np.ndindex(shape):
        yield at, [np.broadcast_to(a, (*shape, *a.shape[-2:]))[at].astype(float) for a in arrays]


def distances64(table, q, k, root):
    """Return the combined distance and its pullback to q, k and the factors."""
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
    """Return means and their pullback to v and w."""
    parts = []
    for manifold, at in factors(table):
        x, pull_x = project(manifold, v[:, at])
        parts.append((*means(manifold, kind, x, w), pull_x, at))

    def pull(g):
        found = [(pull_m(g[:, at]), pull_x) for _, pull_m, pull_x, at in parts]
        return np.concatenate([pull_x(gv)[0] for (gv, _), pull_x in found], -1), sum(gw for (_, gw), _ in found)

    return np.concatenate([p[0] for p in parts], -1), pull


def ref_metric(q, k, v, table, indptr, indices, mask, gain, out, weights, mixture, root):
    if is_absurd(table):
        return [None] * 3
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
    w = None
    if weights is not None:
        shape = weights.shape if indices is not None else (*lead, *weights.shape[-2:])
        w = np.concatenate(w_all).reshape(shape)
    total = None
    if gain is not None:
        expected = scaled(expected, gain[:, None])
        source = np.repeat(np.arange(len(q)), np.diff(indptr).astype(np.intp))
        total = mixed(mixture, gain, source, np.concatenate(w_all))
    return [None if out is None else expected, w, total]


def make_metric_vjp(rng):
    table, d = spaces_of(rng)
    b, m, n = lead(rng), size(rng, 6), size(rng, 20)
    w, g = rng.random((*b, m, n)).astype(draw.REAL), normal(rng, *b, m, n)
    outputs = [output(*b, m, d), output(*b, n, d), np.zeros((m, len(table)))]
    q, k = points_of(rng, table, *b, m), points_of(rng, table, n)
    return [q, k, w, g, table, *outputs, bool(rng.random() < 0.5)]


def inner64(table, x):
    """Return inner coordinates (see metric.h) and the pullback to x."""
    parts = []
    for (kind, _, c, *_), (_, at) in zip(table, factors(table), strict=True):
        y = x[:, at]
        time, length = (
            np.sqrt(1 + c * (y[:, 1:] ** 2).sum(-1, keepdims=True)),
            np.linalg.norm(y, axis=-1, keepdims=True),
        )
        zero = np.zeros((len(y), 1))
        if kind == 2:
            s = y[:, 1:]
            parts.append((at, np.concatenate([zero, s / (1 + time)], -1), s, 1 + time, c / time / (1 + time) ** 2))
        elif kind == 3:
            parts.append((at, y / length, y, length, length**-3))
        else:
            parts.append((at, y, y, zero + 1, zero))

    def pull(g):
        found = np.zeros(x.shape)
        for at, inner, s, divisor, along in parts:
            own = slice(inner.shape[1] - s.shape[1], None)
            by = g[:, at][:, own]
            found[:, at][:, own] = by / divisor - s * (s * by).sum(-1, keepdims=True) * along
        return found

    return np.concatenate([part[1] for part in parts], -1), pull


def ref_metric_keys(k, rows, slopes, directions, value_slopes, table, indptr, indices, order, out):
    inner, pull = inner64(table, k.astype(float))
    by_inner, key = np.zeros(inner.shape), np.repeat(np.arange(len(k)), np.diff(indptr).astype(np.intp))
    for source, by_edge, apart in ((rows, slopes, True), (directions, value_slopes, False)):
        for s, (_, at) in enumerate(factors(table) if source is not None else ()):
            toward = source[:, at].astype(float)[indices] - (inner[key, at] if apart else 0)
            slope = by_edge[:, s].astype(float)[order]
            np.add.at(by_inner[:, at], key, slope[:, :1] * toward + slope[:, 1:] * inner[key, at])
    return [pull(by_inner)]


def make_metric_keys(rng):
    table, d = spaces_of(rng)
    n, m = size(rng, 20), size(rng, 6)
    indptr, indices = graph_of(rng, n, m)
    order = rng.integers(0, len(indices) + 3, len(indices))
    given = (True, bool(rng.random() < 0.5))
    parts = [
        x
        for some in (given if rng.random() < 0.5 else given[::-1])
        for x in ((normal(rng, m, d), normal(rng, len(indices) + 3, len(table), 2)) if some else (None, None))
    ]
    return [points_of(rng, table, n), *parts, table, indptr, indices, order, output(n, d)]


def keys_from(k, by_row, table, indptr, indices):
    """Return what `metric_keys` computes from a kernel's results by row."""
    order = np.argsort(indices, kind="stable")
    source = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr).astype(np.intp))[order]
    starts = np.concatenate([[0], np.cumsum(np.bincount(indices, minlength=len(k)))])
    return ref_metric_keys(k, *by_row, table, starts, source, order, None)[0]


def make_metric_rows(rng):
    table, d = spaces_of(rng)
    m, n = size(rng, 6), size(rng, 20)
    indptr, indices = graph_of(rng, m, n)
    w = rng.random(indices.shape)
    for keys in rows_of(indptr, np.arange(len(w)), m, n):  # softmax gave them
        w[keys] /= w[keys].sum()
    averages = bool(rng.random() < 0.7)
    dw = normal(rng, *w.shape) if not averages or rng.random() < 0.5 else None
    q, k, v = points_of(rng, table, m), points_of(rng, table, n), points_of(rng, table, n) if averages else None
    by_edge = len(w), len(table), 2
    more = (output(*by_edge), output(m, d)) if averages else (None, None)
    given = [q, k, v, w.astype(draw.REAL), dw, normal(rng, m, d) if averages else None, table, indptr, indices]
    outputs = [output(m, d), output(*by_edge), output(m, d), *more, np.zeros((m, len(table)))]
    return [*given, *outputs, bool(rng.random() < 0.5)]


def by_pairs(table, x, y, by_distances, root):
    """Return the gradients by x (1, D), y (N, D) and the shares, and the size of the largest gradient of a pair.

    It is relative to the distance of near points: their difference, which gives the direction, is all the less known.
    """
    pairs = [distances64(table, x, y[j : j + 1], root)[1](by_distances[None, j : j + 1]) for j in range(len(y))]
    a, b, s = (np.stack([pair[i] for pair in pairs]) for i in range(3))
    near = np.ones(len(y))
    for manifold, at in factors(table):
        apart = distances(manifold, project(manifold, x[:, at])[0], project(manifold, y[:, at])[0])[0][0]
        near = np.where(apart > 0, np.minimum(near, apart), near)
    largest = (np.maximum(np.abs(a).max((1, 2)), np.abs(b).max((1, 2))) / near).max()
    return a.sum(0), b[:, 0], s.sum(0), largest


#: The gap from which 1 - c|x|² is a plain subtraction (NEAR_BOUNDARY in ball.h); smaller ones are computed more precisely.
PLAIN = {"float32": 0.25, "float64": 0.01}


def roundings(table, x):
    """Return the factor by which gradients by the points of a midpoint are rounded more than other numbers.

    The midpoint divides by the root of (Σ w (λ - 1))² - c|Σ w λ x|², a difference of terms of the size λ² = 4 / gap².
    """
    smallest = np.ones(len(x))
    for (kind, _, c, *_), (_, at) in zip(table, factors(table), strict=True):
        y = x[:, at]
        if kind == 1:
            smallest = np.minimum(smallest, 1 - c * (y * y).sum(-1))
        elif kind == 2:  # that of its point in the ball
            smallest = np.minimum(smallest, 2 / (1 + np.sqrt(1 + c * (y[:, 1:] ** 2).sum(-1))))
    rounded = 8 * np.finfo(draw.REAL).eps / np.maximum(smallest, PLAIN[draw.REAL.name]) ** 2
    return np.maximum(rounded / draw.TOLERANCES[draw.REAL.name], 1)


def ref_metric_rows(
    q, k, v, w, dw, grad, table, indptr, indices, dq, slopes, inner, value_slopes, directions, dshare, root
):
    w, q, k = w.reshape(-1).astype(float), q.astype(float), k.astype(float)
    sums = np.add.reduceat(np.append(w, 0), indptr[:-1].astype(np.intp))[np.diff(indptr) > 0]
    if is_absurd(table) or (w < 0).any() or (np.abs(sums - 1) > 1e-3).any():
        return [None] * 6  # another array in the place of the weights, which have the sum one
    gq, gk, gv, shares = np.zeros(q.shape), np.zeros(k.shape), np.zeros(k.shape), np.zeros(dshare.shape)
    largest = largest_value = 0
    for i, keys in enumerate(rows_of(indptr, indices, len(q), len(k))):
        if not len(keys):
            continue
        part = slice(indptr[i], indptr[i + 1])
        by = np.zeros(len(keys)) if dw is None else dw.reshape(-1)[part].astype(float)
        if v is not None:
            pull = means64(table, "midpoint", w[None, part], v[keys].astype(float))[1]
            by_points, by_weights = pull(grad[i : i + 1].astype(float))
            np.add.at(gv, keys, by_points)
            by = by + by_weights[0]
            terms = np.abs(by_points).max(-1) * roundings(table, v[keys].astype(float))
            largest_value = max(largest_value, terms.max())
        gs = w[part] * (by - (w[part] * by).sum())
        gq[i : i + 1], b, shares[i], most = by_pairs(table, q[i : i + 1], k[keys], -gs, root)
        np.add.at(gk, keys, b)
        largest = max(largest, most)
    assert close(keys_from(k, (inner, slopes, None, None), table, indptr, indices), Sums(gk, largest)), (
        "metric_rows: keys"
    )
    if v is not None:
        by_values = keys_from(v, (None, None, directions, value_slopes), table, indptr, indices)
        assert close(by_values, Sums(gv, largest_value)), "metric_rows: values"
    return [Sums(gq, largest), None, inner64(table, q)[0], None, None, shares]


def ref_metric_vjp(q, k, w, g, table, dq, dk, dshare, root):
    if is_absurd(table):
        return [None] * 3
    gq, gk, shares = np.zeros(dq.shape), np.zeros(dk.shape), np.zeros(dshare.shape)
    largest = 0
    for at, (x, y, weights, by, _) in entries(q, k, w, g, np.zeros((*dq.shape[:-2], 1, 1))):
        for i in range(len(x)):
            gs = weights[i] * (by[i] - weights[i] @ by[i])
            a, b, s, most = by_pairs(table, x[i : i + 1], y, -gs, root)
            gq[(*at, i)] += a[0]
            gk[at] += b
            shares[i] += s
            largest = max(largest, most)
    return [Sums(gq, largest), Sums(gk, largest), shares]


def make_frechet(rng):
    table, d = spaces_of(rng)
    m, n = size(rng, 6), size(rng, 20)
    indptr, indices = lists_or_not(rng, m, n)
    b = lead(rng) if indices is None else ()
    w = rng.random((*b, m, n) if indices is None else indices.shape).astype(draw.REAL)
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
    means = ref_frechet(v, w, table, indptr, indices, out)[0].astype(draw.REAL) if rng.random() < 0.5 else None
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
    """Recompute the means of the spoilt points and weights, because gradients are only defined there."""
    v, w, _, means, table, indptr, indices = args[:7]
    if not isinstance(means, np.ndarray) or means.dtype != draw.REAL:
        return
    with contextlib.suppress(Exception):  # the kernel has to refuse points without means
        right = ref_frechet(v, w, table, indptr, indices, np.zeros(args[2].shape))[0].astype(draw.REAL)
        if np.broadcast_shapes(means.shape, right.shape) == right.shape:  # else the kernel has to refuse them
            args[3] = means if means.shape == right.shape and close(means, right) else right


def ref_mean_vjp(v, w, grad, given, table, indptr, indices, dv, dw):
    gv, gw = np.zeros((*grad.shape[:-2], *v.shape[-2:])), np.zeros(dw.shape)
    lists = indices is not None
    for at, (x, g, *rest) in entries(*([v, grad] if lists else [v, grad, w]), np.zeros((*gv.shape[:-2], 1, 1))):
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
            # Up to a constant of all weights, which the softmax removes.
            by_weights = by_weights[0]
            found = dw[part] if lists else dw[(*at, i)]
            shift = weight @ (found.astype(float) - by_weights)
            gw[part if lists else (*at, i)] = by_weights + shift
    return [gv, gw]


CASES = {
    "metric_attend": Case(make_metric, ref_metric),
    "metric_vjp": Case(make_metric_vjp, ref_metric_vjp),
    "metric_rows": Case(make_metric_rows, ref_metric_rows),
    "metric_keys": Case(make_metric_keys, ref_metric_keys),
    "frechet": Case(make_frechet, ref_frechet),
    "mean_vjp": Case(make_mean_vjp, ref_mean_vjp, renew=renew_means),
}

"""Formulations per edge against loops over nodes and finite differences, and kernels against both."""

from __future__ import annotations

import kernel_numbers as numbers
import numpy as np
import pytest
from kernel_numbers import close

from graphattend.simd import graph_ops, numpy_graph_ops, numpy_ops

M, N, D, E = 9, 7, 6, 5


def lists(rng):
    degree = rng.integers(0, 5, M)
    degree[2] = 0
    indptr = np.concatenate([[0], np.cumsum(degree)]).astype(np.intp)
    return indptr, rng.integers(0, N, indptr[-1])


def problem(rng, form, heads=None):
    """Draw float64 arrays, and return them with the options of a form."""
    lead = () if heads is None else (heads,)
    indptr, indices = lists(rng)
    q, k, v = (rng.standard_normal((n, *lead, d)) for n, d in ((M, D), (N, D), (N, E)))
    options = {}
    if form == "plain":
        q, k, options["plain"] = np.abs(q) + 0.1, np.abs(k) + 0.1, True
    elif form in ("neighbours", "halves"):
        options["rotation"] = (3 * rng.random(len(indices)), rng.random(D // 2), form == "neighbours")
    elif form == "bias":
        options["bias"] = rng.standard_normal((len(indices), *lead))
    elif form == "gain":
        options["gain"] = rng.standard_normal((M, *lead)) * rng.integers(0, 2, (M, *lead))
    return q, k, v, indptr, indices, options


def turned(x, position, frequency, interleaved):
    """Rotate the pairs of one row as complex numbers."""
    out = x.copy()
    for i, rate in enumerate(frequency):
        at = [2 * i, 2 * i + 1] if interleaved else [i, i + len(frequency)]
        z = complex(*x[at]) * np.exp(1j * position * rate)
        out[at] = z.real, z.imag
    return out


def by_loops(q, k, v, indptr, indices, scale, *, bias=None, rotation=None, plain=False, gain=None):
    """Compute one node and head at a time."""
    q, k, v = (x.reshape(len(x), -1, x.shape[-1]) for x in (q, k, v))
    out, weights = np.zeros((*q.shape[:2], v.shape[2])), np.zeros((len(indices), q.shape[1]))
    for i, h in np.ndindex(*q.shape[:2]):
        edges = range(indptr[i], indptr[i + 1])
        terms = []
        for e in edges:
            key = k[indices[e], h]
            if rotation is not None:
                key = turned(key, rotation[0][e], *rotation[1:])
            product = scale * float(q[i, h] @ key)
            terms.append(
                product if plain else np.exp(product + (0 if bias is None else bias.reshape(weights.shape)[e, h]))
            )
        for e, term in zip(edges, terms, strict=True):
            weights[e, h] = term / sum(terms)
            out[i, h] += weights[e, h] * v[indices[e], h] * (1 if gain is None else gain.reshape(q.shape[:2])[i, h])
    return out, weights


FORMS = ["dots", "bias", "gain", "plain", "neighbours", "halves"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("heads", [None, 3])
def test_attention_is_what_loops_give(rng, form, heads):
    if heads is not None and form in ("neighbours", "halves"):
        heads = None
    *arrays, options = problem(rng, form, heads)
    out, weights = numpy_graph_ops.graph_attention(*arrays, 0.7, **options)
    expected, expected_weights = by_loops(*arrays, 0.7, **options)
    np.testing.assert_allclose(out.reshape(expected.shape), expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(weights.reshape(expected_weights.shape), expected_weights, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("form", ["dots", "bias", "plain", "neighbours", "halves"])
def test_gradients_are_those_of_finite_differences(rng, form):
    q, k, v, indptr, indices, options = problem(rng, form)
    grad, grad_weights = rng.standard_normal((M, E)), rng.standard_normal(len(indices))
    name = {"bias": "bias", "neighbours": "rotation", "halves": "rotation"}.get(form)
    extra = () if name is None else (options["bias"] if name == "bias" else options["rotation"][0],)

    def value(q, k, v, *extra):
        now = dict(options)
        if name == "bias":
            (now["bias"],) = extra
        elif name == "rotation":
            now["rotation"] = (*extra, *options["rotation"][1:])
        out, weights = numpy_graph_ops.graph_attention(q, k, v, indptr, indices, 0.7, **now)
        return float((out * grad).sum() + (weights * grad_weights).sum())

    _, weights = numpy_graph_ops.graph_attention(q, k, v, indptr, indices, 0.7, **options)
    kind = {n: a for n, a in options.items() if n == "rotation"}
    if form == "plain":
        products = 0.7 * np.einsum("kd,kd->k", q[np.repeat(np.arange(M), np.diff(indptr))], k[indices])
        kind["totals"] = numpy_ops.segment_sum(products, indptr)[:, None]
        kind["totals"][np.diff(indptr) == 0] = 1
    found = numpy_graph_ops.graph_attention_vjp(
        q, k, v, indptr, indices, weights, grad, 0.7, grad_weights=grad_weights, **kind
    )
    points = (q, k, v, *extra)
    for which, x in enumerate(points):
        direction = rng.standard_normal(x.shape)
        near = [value(*(p + s * direction if i == which else p for i, p in enumerate(points))) for s in (1e-6, -1e-6)]
        slope = (near[0] - near[1]) / 2e-6
        assert abs(slope - (found[which] * direction).sum()) <= 1e-7 * max(1, abs(slope))


@pytest.mark.parametrize("interleaved", [True, False])
@pytest.mark.parametrize("back", [True, False])
@pytest.mark.parametrize("ordered", [True, False])
def test_turned_sums_are_what_loops_give(rng, interleaved, back, ordered):
    indptr, indices = lists(rng)
    count = len(indices)
    order = rng.permutation(count) if ordered else None
    x, y, weights = rng.standard_normal((N, D)), rng.standard_normal((M, D)), rng.standard_normal(count)
    positions, frequency = 3 * rng.random(count), rng.random(D // 2)
    rotation = (positions, frequency, interleaved)
    out, slopes = numpy_graph_ops.graph_turn(
        x, indptr, indices, weights, rotation, y=y, order=order, back=back, scale=0.7
    )
    expected, derived = np.zeros((M, D)), np.zeros(count)
    for i in range(M):
        for e in range(indptr[i], indptr[i + 1]):
            at = e if order is None else order[e]
            side = -1 if back else 1
            row = turned(x[indices[e]], side * positions[at], frequency, interleaved)
            expected[i] += 0.7 * weights[at] * row
            ahead, behind = (
                turned(x[indices[e]], side * positions[at] + h, frequency, interleaved) for h in (1e-6, -1e-6)
            )
            derived[at] = 0.7 * weights[at] * (y[i] @ (ahead - behind)) / 2e-6
    np.testing.assert_allclose(out, expected, atol=1e-12)
    np.testing.assert_allclose(slopes, derived, atol=1e-8)
    assert numpy_graph_ops.graph_turn(x, indptr, indices, weights, rotation)[1] is None


def in_real(value):
    """Convert floats to the kernels' dtype; positions and frequencies stay in double precision."""
    return value.astype(numbers.REAL) if isinstance(value, np.ndarray) and value.dtype == np.float64 else value


@pytest.mark.usefixtures("kernels", "real")
@pytest.mark.parametrize("form", FORMS)
def test_kernels_give_the_same(rng, form):
    q, k, v, indptr, indices, options = problem(rng, form)
    arrays = [in_real(x) for x in (q, k, v)]
    given = {n: in_real(a) for n, a in options.items()}
    expected, expected_weights = numpy_graph_ops.graph_attention(q, k, v, indptr, indices, 0.7, **options)
    out, weights, _ = graph_ops.graph_attention(*arrays, indptr, indices, 0.7, **given, need_weights=True)
    close(out, expected, floor=1)
    close(weights, expected_weights, floor=1)
    if form == "gain":
        before = in_real(rng.standard_normal(expected.shape))
        total = before.copy()
        found, none, _ = graph_ops.graph_attention(*arrays, indptr, indices, 0.7, **given, out=total)
        assert found is total
        assert none is None
        close(total, before + expected, floor=1)

"""For a single query, function and class make the same kernel calls and multiply-adds; masks are those of the formula."""

import numpy as np
import pytest

import graphattend as ga
from graphattend import simd

F = ga.functional
D, N = 8, 64


class Recorder:
    """Wraps the compiled kernels and records the names of those called."""

    def __init__(self, kernels):
        self.kernels, self.names = kernels, []

    def __getattr__(self, name):
        kernel = getattr(self.kernels, name)
        return lambda *operands: self.names.append(name) or kernel(*operands)


def calls(rng, dtype=np.float64, **options):
    """Return calls of function and class for both kinds of attention, over the same arrays."""
    q, k, v = (rng.standard_normal(shape).astype(dtype) for shape in ((D,), (N, D), (N, D)))
    plain, heads = ga.ScaledDotProductAttention(D), ga.MultiHeadAttention(D, num_heads=2)
    p = {name: a.astype(dtype) for name, a in heads.parameters().items()}
    return {
        "scaled_dot_product": (
            lambda: F.scaled_dot_product_attention(q, k, v),
            lambda: plain.forward(q, k, v),
        ),
        "multi_head": (
            lambda: F.multi_head_attention(q, k, v, p, num_heads=2),
            lambda: heads.forward(q, k, v),
        ),
    }


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["scaled_dot_product", "multi_head"])
def test_the_same_kernels_are_called(rng, monkeypatch, name, dtype):
    function, method = calls(rng, dtype)[name]
    method()  # casts the parameters, once
    called = []
    for call in (function, method):
        recorder = Recorder(getattr(simd._kernels, "_k", None))
        if simd._kernels is not None:
            monkeypatch.setattr(simd._kernels, "_k", recorder)
        result = call()
        monkeypatch.undo()
        called.append((recorder.names, result))
    (ours, out), (theirs, expected) = called
    assert ours == theirs
    assert len(ours) == (1 if simd.has_kernels(np.dtype(dtype)) else 0)
    np.testing.assert_array_equal(out, expected)


@pytest.mark.parametrize("name", ["scaled_dot_product", "multi_head"])
def test_the_same_products_are_formed(rng, monkeypatch, name):
    """Without kernels, keys and values are not projected for one query."""
    work = []

    def counting(product, inner):
        def counted(a, b):
            out = product(a, b)
            work.append(out.size * a.shape[inner])
            return out

        return counted

    with ga.use_backend("numpy"):
        totals = []
        for call in calls(rng)[name]:
            for product, inner in (("matmul", -1), ("matmul_nt", -1), ("matmul_tn", -2)):
                monkeypatch.setattr(simd, product, counting(getattr(simd, product), inner))
            call()
            monkeypatch.undo()
            totals.append(sum(work))
            work.clear()
    assert totals[0] == totals[1]
    assert totals[0] < N * D * D


@pytest.mark.parametrize("scale", [1e30, 1e300, np.nan])
def test_what_is_not_finite_takes_the_checked_way(rng, scale):
    """Overflows are computed in float64 or raise, and NaN propagates, as for many queries."""
    dtype = np.float32 if scale == 1e30 else np.float64
    x = (rng.standard_normal((N, D)) * scale).astype(dtype)
    eye = {name: np.eye(D, dtype=dtype) for name in ("w_q", "w_k", "w_v", "w_o")}
    for call in (
        lambda q: F.scaled_dot_product_attention(q, x, x),
        lambda q: F.multi_head_attention(q, x, x, eye, num_heads=2),
    ):
        if scale == 1e300:
            with pytest.raises(ga.NumericalInstabilityError):
                call(x[0])
        else:
            np.testing.assert_allclose(call(x[0]), call(x[:2])[0], rtol=1e-5)


def test_arguments_of_one_query_are_checked():
    x, eye = np.ones((3, 4)), {name: np.eye(4) for name in ("w_q", "w_k", "w_v", "w_o")}
    sdpa, heads = F.scaled_dot_product_attention, F.multi_head_attention
    for call, argument in (
        (lambda: sdpa(x[0], x[:, :3], x), "key"),
        (lambda: sdpa(x[0], x, x[:2]), "value"),
        (lambda: sdpa(x[0], x[:0], x[:0]), "key"),
        (lambda: sdpa(x[0], x, x[:, :0]), "value"),
        (lambda: sdpa(x[0, :0], x[:, :0], x), "query"),
        (lambda: sdpa(x[0], x, x, scale=np.inf), "scale"),
        (lambda: sdpa(x[0], x, x, is_causal=0), "is_causal"),
        (lambda: sdpa(x[0], x, x, None, False), "dropout_p"),
        (lambda: sdpa(x[0], x, x, return_lse=None), "return_lse"),
        (lambda: heads(x[0], x, x, eye, num_heads=3), "num_heads"),
        (lambda: heads(x[0], x, x, eye | {"b_k": np.ones(3)}, num_heads=2), "b_k"),
        (lambda: heads(x[0], x, x, eye | {"b_q": np.ones(3)}, num_heads=2), "b_q"),
        (lambda: heads(x[0], x, x, eye | {"w": np.eye(4)}, num_heads=2), "parameters"),
        (lambda: heads(x[0], x[:, :3], x, eye, num_heads=2), "w_k"),
        (lambda: heads(x[0], x[:0], x[:0], eye, num_heads=2), "key"),
        (lambda: heads(x[0], x, x, {n: a for n, a in eye.items() if n != "w_o"}, num_heads=2), "w_o"),
    ):
        with pytest.raises(ga.AttentionError) as info:
            call()
        assert info.value.argument == argument


@pytest.mark.parametrize("rows", [1, 2, 9, 40])
@pytest.mark.parametrize("keys", [1, 3, 70])
@pytest.mark.parametrize("kind", ["pairs", "keys", "none", "added", "strided"])
def test_masks_of_queries_are_those_of_the_formula(rng: np.random.Generator, rows: int, keys: int, kind: str) -> None:
    q, k, v = (rng.standard_normal(shape) for shape in ((rows, 5), (keys, 5), (keys, 3)))
    k[0] *= 100  # hidden below, it would outweigh the other keys
    seen = rng.random((rows, keys)) < 0.6
    seen[:, 0] = False
    mask = {
        "pairs": seen,
        "keys": seen[0],
        "none": seen & False,
        "added": np.where(seen, 0.5, -np.inf),
        "strided": np.asfortranarray(seen),
    }[kind]
    pairs = np.broadcast_to(mask, seen.shape)
    e = np.exp(q @ k.T / np.sqrt(5)) * (pairs if mask.dtype == bool else np.exp(pairs))
    total = e.sum(axis=-1, keepdims=True)
    expected = e / np.where(total > 0, total, 1) @ v
    for dtype, tolerance in ((np.float64, 1e-12), (np.float32, 1e-5)):
        arrays = [x.astype(dtype) for x in (q, k, v)]
        given = mask if mask.dtype == bool else mask.astype(dtype)
        for found in (
            ga.functional.scaled_dot_product_attention(*arrays, attn_mask=given),
            ga.ScaledDotProductAttention(5).forward(*arrays, attn_mask=given),
        ):
            np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance)

"""multi_head_attention against a loop over batch entries and heads."""

import math

import numpy as np
import pytest

import graphattend as ga
from graphattend.testing import check_vjp

F = ga.functional


def parameters(rng, d=6, dk=6, dv=6, bias=True):
    p = {"w_q": rng.standard_normal((d, d)), "w_k": rng.standard_normal((dk, d)),
         "w_v": rng.standard_normal((dv, d)), "w_o": rng.standard_normal((d, d))}  # fmt: skip
    if bias:
        p |= {name: rng.standard_normal(d) for name in ("b_q", "b_k", "b_v", "b_o")}
    return p


def loop(query, key, value, p, heads, mask=None, padding=None):
    """Compute one batch entry, head and query at a time."""
    d = p["w_q"].shape[1]
    e = d // heads
    bias = {name: p.get(name, np.zeros(d)) for name in ("b_q", "b_k", "b_v", "b_o")}
    batch, m, n = query.shape[0], query.shape[1], key.shape[1]
    out, weights = np.zeros((batch, m, d)), np.zeros((batch, heads, m, n))
    for b in range(batch):
        joined = np.zeros((m, d))
        for h in range(heads):
            at = slice(h * e, (h + 1) * e)
            q = query[b] @ p["w_q"][:, at] + bias["b_q"][at]
            k = key[b] @ p["w_k"][:, at] + bias["b_k"][at]
            v = value[b] @ p["w_v"][:, at] + bias["b_v"][at]
            for i in range(m):
                s = [float(q[i] @ k[j]) / math.sqrt(e) for j in range(n)]
                if mask is not None:
                    full = np.broadcast_to(mask, (batch, heads, m, n))[b, h, i]
                    s = [x if f else -math.inf for x, f in zip(s, full, strict=True)] if full.dtype == bool else [
                        x + float(f) for x, f in zip(s, full, strict=True)]  # fmt: skip
                if padding is not None:
                    s = [x if f else -math.inf for x, f in zip(s, padding[b], strict=True)]
                top = max(s)
                if top > -math.inf:
                    exps = [math.exp(x - top) for x in s]
                    weights[b, h, i] = np.asarray(exps) / math.fsum(exps)
                joined[i, at] = weights[b, h, i] @ v
        out[b] = joined @ p["w_o"] + bias["b_o"]
    return out, weights


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("heads", [1, 2, 3, 6])
@pytest.mark.parametrize("kind", ["none", "bool", "float", "padding", "both", "per head"])
def test_is_a_loop_over_heads(rng, bias, heads, kind):
    p = parameters(rng, bias=bias)
    q, k, v = rng.standard_normal((2, 3, 6)), rng.standard_normal((2, 5, 6)), rng.standard_normal((2, 5, 6))
    mask = padding = None
    if kind in ("bool", "both"):
        mask = rng.random((3, 5)) < 0.6
    if kind == "float":
        mask = rng.standard_normal((3, 5))
    if kind == "per head":
        mask = rng.random((2, heads, 3, 5)) < 0.7
    if kind in ("padding", "both"):
        padding = np.array([[True, True, False, True, False], [False] * 5])
    out, w = F.multi_head_attention(
        q, k, v, p, num_heads=heads, attn_mask=mask, key_padding_mask=padding, need_weights=True
    )
    expected = loop(q, k, v, p, heads, mask, padding)
    np.testing.assert_allclose(out, expected[0], rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(w, expected[1], rtol=1e-11, atol=1e-14)
    alone = F.multi_head_attention(q, k, v, p, num_heads=heads, attn_mask=mask, key_padding_mask=padding)
    np.testing.assert_allclose(alone, expected[0], rtol=1e-11, atol=1e-12)


def test_other_widths_masks_and_axes(rng):
    p = parameters(rng, dk=4, dv=3)
    q, k, v = rng.standard_normal((2, 3, 6)), rng.standard_normal((2, 5, 4)), rng.standard_normal((2, 5, 3))
    per_batch = rng.random((2, 3, 5)) < 0.8  # (B, M, N): for every head
    out = F.multi_head_attention(q, k, v, p, num_heads=3, attn_mask=per_batch)
    np.testing.assert_allclose(out, loop(q, k, v, p, 3, per_batch[:, None])[0], rtol=1e-11)
    float_padding = np.array([[0.0, -1.0, -np.inf, 0.5, 0.0]] * 2)
    out = F.multi_head_attention(q, k, v, p, num_heads=3, attn_mask=per_batch, key_padding_mask=float_padding)
    joint = np.where(per_batch[:, None], 0.0, -np.inf) + float_padding[:, None, None]
    np.testing.assert_allclose(out, loop(q, k, v, p, 3, joint)[0], rtol=1e-11)
    without = F.multi_head_attention(q[0], k[0], v[0], p, num_heads=3)
    np.testing.assert_allclose(without, loop(q, k, v, p, 3)[0][0], rtol=1e-11)
    inverted = F.from_torch_mask(~np.array([[True, False, True, True, True]] * 2))
    assert inverted.tolist() == [[True, False, True, True, True]] * 2


def test_is_the_class(rng):
    attn = ga.MultiHeadAttention(8, num_heads=2, seed=1)
    p = {n: a + rng.standard_normal(a.shape) * 0.1 for n, a in attn.parameters().items()}
    attn = attn.with_parameters(p)
    x = rng.standard_normal((2, 5, 8))
    ours = F.multi_head_attention(x, x, x, p, num_heads=2, need_weights=True)
    for a, b in zip(attn.forward(x, x, x, need_weights=True), ours, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14)


def _without(function, index, value):
    """Return the function with one positional argument held constant."""

    def put(arrays):
        return [*arrays[:index], value, *arrays[index:]]

    def held(*arrays):
        return function(*put(arrays))

    def rule(*arrays):
        y, pullback = function.vjp_rule(*put(arrays))
        return y, lambda g: tuple(a for i, a in enumerate(pullback(g)) if i != index)

    held.vjp_rule = rule
    return held


@pytest.mark.parametrize("bias", [True, False])
def test_gradients(rng, bias):
    p = parameters(rng, dk=4, dv=3, bias=bias)
    q, k, v = rng.standard_normal((2, 3, 6)), rng.standard_normal((5, 4)), rng.standard_normal((2, 5, 3))
    mask = rng.random((3, 5)) < 0.8

    def run(q, k, v, *arrays):
        return F.multi_head_attention(
            q, k, v, dict(zip(p, arrays, strict=True)), num_heads=2, attn_mask=mask, need_weights=True
        )

    def rule(q, k, v, *arrays):
        y, pullback = ga.vjp(
            F.multi_head_attention, q, k, v, dict(zip(p, arrays, strict=True)), num_heads=2, attn_mask=mask,
            need_weights=True,
        )  # fmt: skip

        def pull(g):
            *gx, gp = pullback(g)
            return (*gx, *(gp[name] for name in p))

        return y, pull

    run.vjp_rule = rule
    free = [a for name, a in p.items() if name != "b_k"]
    if bias:  # the key bias adds the same to all keys, so it has no gradient
        at = list(p).index("b_k")
        y, pullback = rule(q, k, v, *p.values())
        assert np.abs(pullback(tuple(rng.standard_normal(a.shape) for a in y))[3 + at]).max() < 1e-13
        check_vjp(_without(run, 3 + at, p["b_k"]), q, k, v, *free)
    else:
        check_vjp(run, q, k, v, *free)
    y, pullback = ga.vjp(F.multi_head_attention, q, k, v, p, num_heads=2)
    assert len(pullback(np.ones_like(y))) == 4


def test_float32(rng):
    p = {n: a.astype(np.float32) for n, a in parameters(rng).items()}
    x = rng.standard_normal((1, 4, 6)).astype(np.float32)
    out = F.multi_head_attention(x, x, x, p, num_heads=2)
    assert out.dtype == np.float32
    np.testing.assert_allclose(out, loop(x.astype(float), x.astype(float), x.astype(float),
                               {n: a.astype(float) for n, a in p.items()}, 2)[0], rtol=2e-4, atol=2e-5)  # fmt: skip


def test_bad_input(rng):
    p, x = parameters(rng), np.ones((2, 3, 6))
    run = F.multi_head_attention
    cases = [
        (lambda: run(x, x, x, p, num_heads=4), ga.DimensionMismatchError, "num_heads"),
        (lambda: run(x, x, x, p, num_heads=0), ga.InvalidConfigError, "num_heads"),
        (lambda: run(x, x, x, p, num_heads=2.0), ga.InvalidConfigError, "num_heads"),
        (lambda: run(x, x, x, None, num_heads=2), ga.InvalidConfigError, "parameters"),
        (lambda: run(x, x, x, {**p, "w_x": 1}, num_heads=2), ga.InvalidConfigError, "parameters"),
        (lambda: run(x, x, x, {n: a for n, a in p.items() if n != "w_v"}, num_heads=2), ga.InvalidConfigError, "w_v"),
        (lambda: run(x, x, x, {**p, "w_q": np.ones((5, 6))}, num_heads=2), ga.DimensionMismatchError, "w_q"),
        (lambda: run(x, x, x, {**p, "w_q": np.ones(6)}, num_heads=2), ga.DimensionMismatchError, "w_q"),
        (lambda: run(x, x, x, {**p, "b_k": np.ones(5)}, num_heads=2), ga.DimensionMismatchError, "b_k"),
        (lambda: run(x, x, x, {**p, "w_o": "text"}, num_heads=2), ga.InvalidConfigError, "w_o"),
        (lambda: run(1.0, x, x, p, num_heads=2), ga.DimensionMismatchError, "query"),
        (lambda: run(x, x[:, :0], x[:, :0], p, num_heads=2), ga.EmptyInputError, "key"),
        (lambda: run(x, x, x[:, :2], p, num_heads=2), ga.DimensionMismatchError, "value"),
        (lambda: run(x, x, x, p, num_heads=2, key_padding_mask=np.ones((2, 4), bool)), ga.DimensionMismatchError, "key_padding_mask"),
        (lambda: run(x, x, x, p, num_heads=2, key_padding_mask=np.ones((2, 3), int)), ga.InvalidConfigError, "key_padding_mask"),
        (lambda: run(x, x, x, p, num_heads=2, attn_mask=np.ones((4, 4), bool)), ga.DimensionMismatchError, "attn_mask"),
        (lambda: run(x, x, x, p, num_heads=2, need_weights=1), ga.InvalidConfigError, "need_weights"),
        (lambda: F.from_torch_mask([0, 1]), ga.InvalidConfigError, "mask"),
        (lambda: F.from_torch_mask(None), ga.InvalidConfigError, "mask"),
    ]  # fmt: skip
    for call, error, argument in cases:
        with pytest.raises(error) as info:
            call()
        assert info.value.argument == argument


@pytest.mark.parametrize(("given", "name"), [("query", "w_q"), ("key", "w_k"), ("value", "w_v")])
def test_an_input_of_another_width_is_named_beside_the_projection(rng, given, name):
    arrays = dict.fromkeys(("query", "key", "value"), np.ones((3, 6))) | {given: np.ones((3, 5))}
    with pytest.raises(ga.DimensionMismatchError, match=f"^{name}: expected 5 along axis 0 .the {given}'s width."):
        F.multi_head_attention(**arrays, parameters=parameters(rng), num_heads=2)


def test_a_single_query(rng):
    p, q, x = parameters(rng), rng.standard_normal(6), rng.standard_normal((4, 6))
    mask = np.array([True, False, True, True])
    out, weights = F.multi_head_attention(q, x, x, p, num_heads=2, attn_mask=mask, need_weights=True)
    rows, row_weights = F.multi_head_attention(q[None], x, x, p, num_heads=2, attn_mask=mask[None], need_weights=True)
    assert out.shape == (6,)
    assert weights.shape == (2, 4)
    np.testing.assert_array_equal(out, rows[0])
    np.testing.assert_array_equal(weights, row_weights[:, 0])
    check_vjp(F.multi_head_attention, q, x, x, parameters=p, num_heads=2, attn_mask=mask, need_weights=True)

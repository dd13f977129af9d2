"""Laws of the functional layer, on random shapes and numbers."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from soak.draw import Tame
from soak.functions import FUNCTIONS

import graphattend as ga

F = ga.functional
sdpa = F.scaled_dot_product_attention
numbers = given(st.integers(0, 2**32 - 1))


def rows(seed, *, width=4, scale=1.0):
    """Draw queries, keys and values of random sizes; return them with the generator."""
    rng = np.random.default_rng(seed)
    m, n = rng.integers(1, 6), rng.integers(1, 9)
    scale = scale * 10.0 ** rng.integers(-2, 2)
    return rng, *(scale * rng.standard_normal((size, width)) for size in (m, n, n))


def close(found, wanted, tolerance=1e-9):
    np.testing.assert_allclose(
        found, wanted, rtol=tolerance, atol=tolerance * max(1e-30, np.abs(wanted).max(initial=0))
    )


# -- scaled dot-product attention ------------------------------------------------------------------------------


@numbers
def test_the_order_of_keys_does_not_matter(seed):
    rng, q, k, v = rows(seed)
    order = rng.permutation(len(k))
    close(sdpa(q, k[order], v[order]), sdpa(q, k, v))


@numbers
def test_queries_do_not_see_each_other(seed):
    rng, q, k, v = rows(seed)
    order = rng.permutation(len(q))
    close(sdpa(q[order], k, v), sdpa(q, k, v)[order])


@numbers
def test_one_key_gives_its_value(seed):
    _, q, k, v = rows(seed, scale=100)
    close(sdpa(q, k[:1], v[:1]), np.repeat(v[:1], len(q), axis=0))


@numbers
def test_equal_keys_give_the_mean(seed):
    _, q, k, v = rows(seed)
    close(sdpa(q, np.repeat(k[:1], len(k), axis=0), v), np.repeat(v.mean(axis=0)[None], len(q), axis=0), 1e-8)


@numbers
def test_outputs_lie_between_the_values(seed):
    _, q, k, v = rows(seed, scale=100)
    out, slack = sdpa(q, k, v), 1e-12 * np.abs(v).max()
    assert (out <= v.max(axis=0) + slack).all()
    assert (out >= v.min(axis=0) - slack).all()


@numbers
def test_it_is_linear_in_the_values(seed):
    rng, q, k, v = rows(seed)
    w, a = rng.standard_normal(v.shape), rng.standard_normal()
    close(sdpa(q, k, a * v + w), a * sdpa(q, k, v) + sdpa(q, k, w), 1e-8)


@numbers
def test_a_scale_may_be_taken_into_the_queries(seed):
    rng, q, k, v = rows(seed)
    scale = rng.random() + 0.1
    close(sdpa(q, k, v, scale=scale), sdpa(scale * q, k, v, scale=1.0))


@numbers
def test_keys_that_occur_twice_weigh_as_much_as_once(seed):
    _, q, k, v = rows(seed)
    close(sdpa(q, np.concatenate([k, k]), np.concatenate([v, v])), sdpa(q, k, v))


@numbers
def test_hiding_a_key_is_leaving_it_out(seed):
    rng, q, k, v = rows(seed)
    seen = rng.random(len(k)) < 0.6
    seen[rng.integers(len(k))] = True
    close(sdpa(q, k, v, seen), sdpa(q, k[seen], v[seen]))


@numbers
def test_an_added_mask_is_a_shift_of_the_scores(seed):
    rng, q, k, v = rows(seed)
    mask = rng.standard_normal((len(q), len(k)))
    _, weights = sdpa(q, k, v, mask, return_weights=True)
    scores = q @ k.T / np.sqrt(q.shape[1]) + mask
    close(weights, F.softmax(scores))


@numbers
def test_causal_rows_see_what_precedes_them(seed):
    _, q, k, v = rows(seed)
    whole = sdpa(q, k, v, is_causal=True)
    for i in range(len(q)):
        close(whole[i : i + 1], sdpa(q[i : i + 1], k[: i + 1], v[: i + 1]))


@numbers
def test_shared_heads_are_repeated_heads(seed):
    rng = np.random.default_rng(seed)
    q, k, v = (rng.standard_normal((h, 3, 4)) for h in (6, 2, 2))
    close(sdpa(q, k, v, enable_gqa=True), sdpa(q, np.repeat(k, 3, axis=0), np.repeat(v, 3, axis=0)))


@numbers
def test_parts_are_joined_by_their_log_sums(seed):
    """This law allows computing attention over a graph in pieces."""
    rng, q, k, v = rows(seed)
    k, v = np.concatenate([k, k[::-1] + 1]), np.concatenate([v, v + 1])
    cut = rng.integers(1, len(k))
    whole, lse = sdpa(q, k, v, return_lse=True)
    parts = [sdpa(q, k[s], v[s], return_lse=True) for s in (slice(cut), slice(cut, None))]
    shares = np.exp(np.stack([p[1] for p in parts]) - lse)
    close(shares.sum(axis=0), np.ones(len(q)), 1e-8)
    close(sum(s[:, None] * p[0] for s, p in zip(shares, parts, strict=True)), whole, 1e-8)


@numbers
def test_a_batch_is_a_loop(seed):
    rng = np.random.default_rng(seed)
    q, k, v = (rng.standard_normal((3, n, 4)) for n in (2, 5, 5))
    close(sdpa(q, k, v), np.stack([sdpa(*x) for x in zip(q, k, v, strict=True)]))


@numbers
def test_a_high_cap_changes_nothing(seed):
    _, q, k, v = rows(seed)
    close(sdpa(q, k, v, softcap=1e9), sdpa(q, k, v), 1e-6)


# -- softmax ---------------------------------------------------------------------------------------------------


@numbers
def test_segments_are_softmaxes(seed):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, 5, 4)
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    scores = 10 * rng.standard_normal(indptr[-1])
    found = F.segment_softmax(scores, indptr)
    for start, stop in itertools.pairwise(indptr):
        if stop > start:
            close(found[start:stop], F.softmax(scores[start:stop]))


@numbers
def test_softmax_keeps_the_order(seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(rng.integers(1, 9)) * 10.0 ** rng.integers(-3, 3)
    assert (np.diff(F.softmax(np.sort(x))) >= 0).all()


@numbers
def test_the_gradient_of_softmax_sums_to_zero(seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((3, rng.integers(1, 9)))
    (gradient,) = ga.vjp(F.softmax, x)[1](rng.standard_normal(x.shape))
    np.testing.assert_allclose(gradient.sum(axis=-1), 0, atol=1e-12)


# -- rotary ----------------------------------------------------------------------------------------------------


@numbers
def test_rotations_keep_lengths(seed):
    rng = np.random.default_rng(seed)
    x, at = rng.standard_normal((5, 6)), rng.integers(0, 1000, 5)
    for interleaved in (True, False):
        turned = F.rotary(x, at, interleaved=interleaved)
        close(np.linalg.norm(turned, axis=1), np.linalg.norm(x, axis=1))


@numbers
def test_rotations_depend_on_differences_of_positions(seed):
    rng = np.random.default_rng(seed)
    q, k = rng.standard_normal((2, 6))
    a, b, shift = rng.integers(0, 100, 3)
    one = F.rotary(q, a) @ F.rotary(k, b)
    assert abs(one - F.rotary(q, a + shift) @ F.rotary(k, b + shift)) < 1e-9


@numbers
def test_rotations_add(seed):
    rng = np.random.default_rng(seed)
    x, (a, b) = rng.standard_normal(6), rng.random(2) * 50
    close(F.rotary(F.rotary(x, a), b), F.rotary(x, a + b), 1e-10)
    close(F.rotary(F.rotary(x, a), -a), x, 1e-10)


# -- linear attention ------------------------------------------------------------------------------------------


@numbers
def test_linear_attention_ignores_the_order_of_keys(seed):
    rng, q, k, v = rows(seed)
    w, order = F.orthogonal_projection(8, 4, seed=seed % 7), rng.permutation(len(k))
    close(F.linear_attention(q, k[order], v[order], w), F.linear_attention(q, k, v, w), 1e-8)


@numbers
def test_linear_attention_of_later_keys_leaves_earlier_rows(seed):
    _, q, k, v = rows(seed)
    n = min(len(q), len(k))
    w = F.orthogonal_projection(8, 4, seed=seed % 7)
    whole = F.linear_attention(q[:n], k[:n], v[:n], w, is_causal=True)
    for i in range(1, n + 1):
        close(F.linear_attention(q[:i], k[:i], v[:i], w, is_causal=True), whole[:i], 1e-7)


@numbers
def test_linear_attention_lies_between_the_values(seed):
    _, q, k, v = rows(seed)
    out = F.linear_attention(q, k, v, F.orthogonal_projection(8, 4, seed=0))
    slack = 1e-9 * np.abs(v).max()
    assert (out <= v.max(axis=0) + slack).all()
    assert (out >= v.min(axis=0) - slack).all()


@numbers
def test_random_directions_are_orthogonal(seed):
    w = F.orthogonal_projection(4, 4, seed=seed % 1000)
    gram = w @ w.T
    np.testing.assert_allclose(gram - np.diag(np.diag(gram)), 0, atol=1e-12 * np.abs(gram).max())


@numbers
def test_features_are_positive(seed):
    _, q, _, _ = rows(seed)
    for is_query in (True, False):
        assert (F.favor_features(q, F.orthogonal_projection(8, 4, seed=1), is_query=is_query) >= 0).all()


# -- heads, graphs, gates --------------------------------------------------------------------------------------


@numbers
def test_one_head_without_projections_is_attention(seed):
    _, q, k, v = rows(seed)
    eye = {f"w_{n}": np.eye(4) for n in "qkvo"}
    close(F.multi_head_attention(q, k, v, eye, num_heads=1), sdpa(q, k, v))


@numbers
def test_the_last_projection_may_come_later(seed):
    rng, q, k, v = rows(seed)
    p = {f"w_{n}": rng.standard_normal((4, 4)) for n in "qkvo"}
    inner = F.multi_head_attention(q, k, v, {**p, "w_o": np.eye(4)}, num_heads=2)
    close(F.multi_head_attention(q, k, v, p, num_heads=2), inner @ p["w_o"], 1e-8)


def gat(rng):
    return {
        "w": rng.standard_normal((1, 4, 3)),
        "a_query": rng.standard_normal((1, 3)),
        "a_key": rng.standard_normal((1, 3)),
    }


@numbers
def test_without_a_bend_the_query_of_a_gat_does_not_matter(seed):
    rng, q, k, _ = rows(seed)
    p = gat(rng)
    out = F.gat_attention(q[0], k, p, negative_slope=1.0)
    close(F.gat_attention(q[0] + rng.standard_normal(4), k, p, negative_slope=1.0), out, 1e-8)


@numbers
def test_a_gat_ignores_the_order_of_neighbours(seed):
    rng, q, k, _ = rows(seed)
    p, order = gat(rng), rng.permutation(len(k))
    close(F.gat_attention(q[0], k[order], p), F.gat_attention(q[0], k, p))


@numbers
def test_gates_are_sorted_and_sum_to_one(seed):
    rng = np.random.default_rng(seed)
    logits, k = rng.standard_normal((5, 4)) * 10, int(rng.integers(1, 5))
    _, weights = F.top_k_gating(logits, k)
    close(weights.sum(axis=1), np.ones(5))
    assert (np.diff(weights, axis=1) <= 0).all()


@numbers
def test_gates_ignore_a_shift(seed):
    rng = np.random.default_rng(seed)
    logits, shift = rng.standard_normal((5, 4)), rng.standard_normal((5, 1)) * 100
    (i, w), (j, u) = (F.top_k_gating(x, 2) for x in (logits, logits + shift))
    assert (i == j).all()
    close(u, w, 1e-8)


@numbers
def test_balance_does_not_know_the_experts_apart(seed):
    rng = np.random.default_rng(seed)
    logits, order = rng.standard_normal((6, 4)), rng.permutation(4)
    close(F.load_balance_loss(logits[:, order], 2), F.load_balance_loss(logits, 2))


# -- products and codes ----------------------------------------------------------------------------------------


@numbers
def test_products_are_transposed_in_reverse(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((3, 5)), rng.standard_normal((5, 2))
    close(F.matmul(a, b), F.matmul(b.T.copy(), a.T.copy()).T)


@numbers
def test_products_are_associative(seed):
    rng = np.random.default_rng(seed)
    a, b, c = (rng.standard_normal(s) for s in ((3, 5), (5, 4), (4, 2)))
    close(F.matmul(F.matmul(a, b), c), F.matmul(a, F.matmul(b, c)), 1e-8)


@numbers
def test_attention_over_codes_is_attention_over_what_they_stand_for(seed):
    _, q, k, v = rows(seed)
    packed = ga.compression.Quantizer(8, granularity="row").encode(k)
    close(F.quantized_attention(q, packed, v), sdpa(q, packed.decode(), v), 1e-6)


# -- gradients of everything -----------------------------------------------------------------------------------

DIFFERENTIABLE = [name for name in FUNCTIONS if hasattr(getattr(F, name), "vjp_rule")]


def cotangents(rng, output):
    g = tuple(rng.standard_normal(np.shape(y)) if np.asarray(y).dtype.kind == "f" else None for y in output)
    return g


@pytest.mark.parametrize("name", DIFFERENTIABLE)
@numbers
def test_pullbacks_are_linear(name, seed):
    d = Tame(seed)
    args, options = FUNCTIONS[name](d)
    y, pullback = ga.vjp(getattr(F, name), *args, **options)
    ys = y if isinstance(y, tuple) else (y,)
    g, h = cotangents(d.rng, ys), cotangents(d.rng, ys)
    total = tuple(None if a is None else 2 * a - b for a, b in zip(g, h, strict=True))
    zero = tuple(None if a is None else 0 * a for a in g)

    def gradients(c):
        found = pullback(c if isinstance(y, tuple) else c[0])
        return [a for a in found if isinstance(a, np.ndarray)]

    for a, b, both, none in zip(gradients(g), gradients(h), gradients(total), gradients(zero), strict=True):
        size = max(1.0, np.abs(a).max(initial=0), np.abs(b).max(initial=0))  # the arguments are of order one
        np.testing.assert_allclose(both, 2 * a - b, rtol=1e-7, atol=1e-9 * size)
        assert not none.any()

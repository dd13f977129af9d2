"""Masked keys contribute nothing to outputs and gradients, whatever their values."""

import numpy as np
import pytest

import graphattend as ga

F = ga.functional


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e308])
@pytest.mark.parametrize("kind", ["bool", "float"])
@pytest.mark.parametrize("options", [{}, {"softcap": 2.0}, {"return_weights": True}, {"is_causal": True}])
def test_scaled_dot_product(rng, bad, kind, options):
    q, k, v = (rng.standard_normal((2, 5, 4)) for _ in range(3))
    mask = np.ones((2, 5, 5), bool)
    mask[0, :, 3] = mask[1, :, 1:3] = False
    results = []
    for rubbish in (0.0, bad):
        keys, values = k.copy(), v.copy()
        for x in (keys, values):
            x[0, 3] = x[1, 1:3] = rubbish
        given = mask if kind == "bool" else np.where(mask, 0.0, -np.inf)
        out, pull = ga.vjp(F.scaled_dot_product_attention, q, keys, values, given, **options)
        grads = pull(out)[:3]
        assert not grads[1][0, 3].any()
        assert not grads[2][1, 1:3].any()
        results.append([*(out if isinstance(out, tuple) else (out,)), *grads])
    for clean, spoilt in zip(*results, strict=True):
        np.testing.assert_array_equal(spoilt, clean)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e308])
@pytest.mark.parametrize("name", ["attn_mask", "key_padding_mask"])
def test_multi_head(rng, bad, name):
    x = rng.standard_normal((2, 5, 4))
    p = {n: rng.standard_normal((4, 4)) for n in ("w_q", "w_k", "w_v", "w_o")} | {"b_k": np.ones(4)}
    padding = np.arange(5) < np.array([[4], [2]])
    mask = {name: padding if name == "key_padding_mask" else np.broadcast_to(padding[:, None], (2, 5, 5))}
    results = []
    for rubbish in (0.0, bad):
        keys = np.where(padding[..., None], x, rubbish)
        out, pull = ga.vjp(F.multi_head_attention, x, keys, keys, p, num_heads=2, **mask)
        *grads, gp = pull(out)
        assert not grads[1][~padding].any()
        results.append([out, *grads, *gp.values()])
    for clean, spoilt in zip(*results, strict=True):
        np.testing.assert_array_equal(spoilt, clean)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", ["bool", "float", "causal"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "options", [{}, {"softcap": 2.0}, {"return_weights": True}, {"score_mod": lambda s, *_: s * 2}]
)
def test_rows_that_do_not_see_a_bad_key(rng, bad, kind, dtype, options):
    """Keys 2 and 3 are hidden only from rows 0 and 1; those rows and their gradients are as with clean keys."""
    q, k, v, g = (rng.standard_normal((2, 4, 3)).astype(dtype) for _ in range(4))
    mask = np.tril(np.ones((4, 4), bool))
    given = {"bool": mask, "float": np.where(mask, 0.0, -np.inf), "causal": None}[kind]
    options = options | {"is_causal": kind == "causal"}
    results = []
    for rubbish in (None, bad):
        keys, values = k.copy(), v.copy()
        if rubbish is not None:
            keys[:, 2:], values[:, 2:] = rubbish, rubbish
        out, pull = ga.vjp(F.scaled_dot_product_attention, q, keys, values, given, **options)
        grad = pull((g, None) if options.get("return_weights") else g)
        outputs = out if isinstance(out, tuple) else (out,)
        results.append([*(x[:, :2] for x in outputs), grad[0][:, :2]])
        # One row at a time, so that the gradients of the bad rows are not mixed in.
        _, pull = ga.vjp(
            F.scaled_dot_product_attention, q[:, :2], keys, values, None if given is None else given[:2], **options
        )
        grads = pull((g[:, :2], None) if options.get("return_weights") else g[:, :2])
        results[-1] += [grads[0], grads[1][:, :2], grads[2][:, :2]]
        assert not grads[1][:, 2:].any()
        assert not grads[2][:, 2:].any()
    for clean, spoilt in zip(*results, strict=True):
        np.testing.assert_allclose(
            spoilt, clean, rtol=1e-5 if dtype == np.float32 else 1e-12, atol=1e-6 if dtype == np.float32 else 1e-14
        )


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("need_weights", [False, True])
def test_rows_of_multi_head_that_do_not_see_a_bad_key(rng, bad, need_weights):
    x, g = rng.standard_normal((2, 4, 4)), rng.standard_normal((2, 4, 4))
    p = {n: rng.standard_normal((4, 4)) for n in ("w_q", "w_k", "w_v", "w_o")} | {"b_k": np.ones(4)}
    mask = np.tril(np.ones((4, 4), bool))
    results = []
    for rubbish in (None, bad):
        keys = x.copy()
        if rubbish is not None:
            keys[:, 2:] = rubbish
        options = {"num_heads": 2, "attn_mask": mask, "need_weights": need_weights}
        out, pull = ga.vjp(F.multi_head_attention, x, keys, keys, p, **options)
        grads = pull((g, None) if need_weights else g)
        results.append([(out[0] if need_weights else out)[:, :2], grads[0][:, :2]])
    for clean, spoilt in zip(*results, strict=True):
        np.testing.assert_allclose(spoilt, clean, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(
    ("rows", "bad"), [(m, bad) for m in (3, 5, 9) for bad in (np.nan, np.inf, -np.inf)] + [(3, 1e308)]
)
@pytest.mark.parametrize("eps", [0.0, 1e-3])
def test_causal_linear_attention(rng, bad, eps, rows):
    """Rows before the first bad key are as without it; only the ninth row sees key 6 of 7."""
    q, k, v = rng.standard_normal((2, rows, 4)), rng.standard_normal((2, 7, 4)), rng.standard_normal((7, 3))
    w = F.orthogonal_projection(6, 4, seed=0)
    keys, values = k.copy(), v.copy()
    keys[1, 3], values[6] = bad, bad
    out, pull = ga.vjp(F.linear_attention, q, keys, values, w, is_causal=True, eps=eps)
    clean, pull_clean = ga.vjp(F.linear_attention, q[:, :3], k[:, :3], v[:3], w, is_causal=True, eps=eps)
    tolerance = {"rtol": 1e-10, "atol": 1e-12}
    np.testing.assert_allclose(out[:, :3], clean, **tolerance)
    g = np.zeros_like(out)
    g[:, :3] = rng.standard_normal(clean.shape)
    grads, wanted = pull(g), pull_clean(g[:, :3])
    np.testing.assert_allclose(grads[0][:, :3], wanted[0], **tolerance)
    if rows == 3:
        np.testing.assert_allclose(grads[1][:, :3], wanted[1], **tolerance)
        np.testing.assert_allclose(grads[2][:3], wanted[2], **tolerance)
        np.testing.assert_allclose(grads[3], wanted[3], **tolerance)
        assert not grads[1][:, 3:].any()
        assert not grads[2][3:].any()
    if rows < 9 and eps == 0:  # in the other batch entry only the last value is bad
        np.testing.assert_allclose(out[0], F.linear_attention(q[0], k[0], v, w, is_causal=True)[:rows], **tolerance)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e308])
@pytest.mark.parametrize("variant", ["gat", "gatv2"])
@pytest.mark.parametrize("kind", ["bool", "float"])
def test_gat(rng, bad, variant, kind):
    vectors = {"gat": ("a_query", "a_key"), "gatv2": ("a",)}[variant]
    matrices = {"gat": ("w",), "gatv2": ("w_query", "w_key")}[variant]
    p = {n: rng.standard_normal((2, 3)) for n in vectors} | {n: rng.standard_normal((2, 4, 3)) for n in matrices}
    q, k = rng.standard_normal((3, 4)), rng.standard_normal((5, 4))
    mask = np.ones((3, 5), bool)
    mask[:, 2] = mask[0, 4] = False
    absent = [0, 1, 3, 4]
    results = []
    for keys, seen in ((k[absent], mask[:, absent]), (np.where(np.arange(5)[:, None] == 2, bad, k), mask)):
        given = seen if kind == "bool" else np.where(seen, 0.5, -np.inf)
        (out, w), pull = ga.vjp(F.gat_attention, q, keys, p, None, attn_mask=given, need_weights=True, variant=variant)
        gq, gk, gp, _ = pull((out, w[..., :1] * w))
        if len(keys) == 5:
            assert not gk[2].any()
            assert not w[..., 2].any()
            gk, w = gk[absent], w[..., absent]
        results.append([out, w, gq, gk, *gp.values()])
    for clean, spoilt in zip(*results, strict=True):
        np.testing.assert_allclose(spoilt, clean, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_segment_softmax_and_softmax(rng, bad):
    """A bad gradient of a zero weight, which a hidden value causes, has no effect."""
    s, g, hidden = rng.standard_normal(6), rng.standard_normal(6), [1, 4]
    s[hidden] = -np.inf
    results = []
    for rubbish in (0.0, bad):
        cotangent = g.copy()
        cotangent[hidden] = rubbish
        w, pull = ga.vjp(F.segment_softmax, s, np.array([0, 3, 6]))
        rows, pull_rows = ga.vjp(F.softmax, s.reshape(2, 3))
        results.append([pull(cotangent)[0], pull_rows(cotangent.reshape(2, 3))[0].ravel(), w, rows.ravel()])
    for clean, spoilt in zip(*results, strict=True):
        np.testing.assert_array_equal(spoilt, clean)
    assert not results[1][0][hidden].any()


@pytest.mark.parametrize("score", [np.nan, np.inf])
def test_an_additive_mask_hides_any_score(score):
    from graphattend.functional.softmax import masked_softmax

    with np.errstate(invalid="ignore"):
        w = masked_softmax(np.array([[0.0, score, 0.0]]), np.array([0.0, -np.inf, 0.0]))
    np.testing.assert_array_equal(w, [[0.5, 0.0, 0.5]])

"""What a mask hides contributes nothing, whatever it holds: not to outputs, not to gradients."""

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
    """Keys 2 and 3 are hidden from rows 0 and 1 alone; those rows, and their gradients, are as with clean keys."""
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
        # One row at a time, so that what the bad rows give their keys does not mix in.
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

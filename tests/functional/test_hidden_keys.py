"""What a mask hides from every row contributes nothing, whatever it holds: not to outputs, not to gradients."""

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

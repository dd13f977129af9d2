"""DynamicHeadAttention: the gates, the active heads, and their report."""

import numpy as np
import pytest

import graphattend as ga


def test_dynamic_heads_report_what_they_use(rng):
    attn = ga.DynamicHeadAttention(8, num_heads=4, threshold=0.6, gate_temperature=0.5, seed=2)
    attn = attn.with_parameters({n: 0.5 * rng.standard_normal(a.shape) for n, a in attn.parameters().items()})
    q, x = rng.standard_normal((7, 8)), rng.standard_normal((5, 8))
    p = attn.parameters()
    gate = 1 / (1 + np.exp(-(q @ p["w_gate"] + p["b_gate"]) / 0.5))
    on = (gate >= 0.6) | (gate == gate.max(1, keepdims=True))
    np.testing.assert_allclose(attn.head_gates(q), gate * on, rtol=1e-12)
    assert attn.active_heads(q).tolist() == on.sum(1).tolist()
    assert int(attn.active_heads(q[0])) == on[0].sum()
    assert (attn.active_heads(q) >= 1).all()
    names = ("w_q", "w_k", "w_v", "w_o", "b_q", "b_k", "b_v", "b_o")
    full = ga.MultiHeadAttention(8, num_heads=4).with_parameters({n: p[n] for n in names})
    out = attn.forward(q, x, x)
    for i in range(7):
        joined = np.concatenate([full.head_output(h, q[i], x, x) * (gate * on)[i, h] for h in range(4)])
        np.testing.assert_allclose(out[i], joined @ p["w_o"] + p["b_o"], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(attn.attention_weights(q, x), full.attention_weights(q, x), rtol=1e-11)
    with pytest.raises(ga.DimensionMismatchError, match="query"):
        attn.head_gates(q[:, :4])

"""Multi-head attention of one query without projected keys equals that with projected keys, with all gradients."""

import numpy as np
import pytest

from graphattend.functional.dot_product import dot_product_attention
from graphattend.functional.folding import attend_one
from graphattend.functional.multi_head import finish, project

D, H, E, N = 6, 2, 4, 9


def parameters(rng, bias):
    shapes = {"w_q": (D, H * E), "w_k": (D, H * E), "w_v": (D, H * E), "w_o": (H * E, D)}
    if bias:
        shapes |= {"b_q": (H * E,), "b_k": (H * E,), "b_v": (H * E,), "b_o": (D,)}
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()}


def projected(q, k, v, mask, p, scale, gate):
    (h_q, h_k, h_v), pull_p = project(q, k, v, p, H)
    mixed, w, pull_d = dot_product_attention(h_q, h_k, h_v, scale=scale, mask=mask, need_weights=True)
    out, pull_f = finish(mixed * gate, p)

    def pull(g, g_w):
        g_mixed, gp = pull_f(g)
        return pull_p(*pull_d(g_mixed * gate, g_w)), gp, (g_mixed * mixed).sum(-1, keepdims=True)

    return out, w, pull


@pytest.mark.parametrize("lead", [(), (3,)])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_folding_changes_nothing(lead, bias, masked):
    rng = np.random.default_rng(1)
    p = parameters(rng, bias)
    q, k, v = (rng.standard_normal((*lead, n, D)) for n in (1, N, N))
    gate = rng.random((*lead, H, 1, 1))
    mask = rng.random((*lead, H, 1, N)) < 0.6 if masked else None
    if masked:
        mask[..., 0, 0, :] = False  # a head that sees nothing
    out, w, pull = attend_one(q, k, v, mask, p, H, 0.3, gate)
    expected, weights, pull_expected = projected(q, k, v, mask, p, 0.3, gate)
    np.testing.assert_allclose(out, expected, atol=1e-12)
    np.testing.assert_allclose(w, weights, atol=1e-13)
    assert attend_one(q, k, None, mask, p, H, 0.3)[0] is None
    np.testing.assert_allclose(attend_one(q, k, None, mask, p, H, 0.3)[1], weights, atol=1e-13)
    g, g_w = rng.standard_normal(out.shape), rng.standard_normal(w.shape)
    gq, gk, gv, g_gate, gp = pull(g, g_w)
    (eq, ek, ev, ep), ep_out, e_gate = pull_expected(g, g_w)
    for ours, theirs in ((gq, eq), (gk, ek), (gv, ev), (g_gate, e_gate)):
        np.testing.assert_allclose(ours, theirs, atol=1e-12)
    assert gp.keys() == p.keys()
    for name, a in (ep | ep_out).items():
        np.testing.assert_allclose(gp[name], a, atol=1e-12)

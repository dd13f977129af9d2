"""gat_attention against loops over heads and keys."""

import numpy as np
import pytest

import graphattend as ga
import graphattend.functional.gat as module
from graphattend.testing import check_vjp

gat = ga.functional.gat_attention


def parameters(rng, variant, heads=2, d=4, e=3, edge=2, bias=True, concat=True):
    names = ("w",) if variant == "gat" else ("w_query", "w_key")
    p = {n: rng.standard_normal((heads, d, e)) for n in names}
    p |= {n: rng.standard_normal((heads, e)) for n in (("a_query", "a_key") if variant == "gat" else ("a",))}
    if edge:
        p["w_e"] = rng.standard_normal((heads, edge, e))
        if variant == "gat":
            p["a_edge"] = rng.standard_normal((heads, e))
    if bias:
        p["bias"] = rng.standard_normal(heads * e if concat else e)
    return p


def reference(q, k, p, features, variant, concat, slope, mask):
    first = p["w"] if variant == "gat" else p["w_query"]
    heads, _, e = first.shape
    out, weights = np.zeros((heads, e)), np.zeros((heads, len(k)))
    for h in range(heads):
        scores = []
        for j, x in enumerate(k):
            edge = 0 if features is None else features[j] @ p["w_e"][h]
            if variant == "gat":
                s = p["a_query"][h] @ (q @ p["w"][h]) + p["a_key"][h] @ (x @ p["w"][h])
                s += 0 if features is None else p["a_edge"][h] @ edge
                s = s if s > 0 else slope * s
            else:
                z = q @ p["w_query"][h] + x @ p["w_key"][h] + edge
                s = p["a"][h] @ np.where(z > 0, z, slope * z)
            scores.append(s if mask[j] else -np.inf)
        z = np.exp(np.array(scores) - max(scores))
        weights[h] = z / z.sum()
        out[h] = weights[h] @ (k @ (p["w"] if variant == "gat" else p["w_key"])[h])
    return (out.reshape(-1) if concat else out.mean(0)) + p.get("bias", 0), weights


@pytest.mark.parametrize("variant", ["gat", "gatv2"])
@pytest.mark.parametrize("concat", [True, False])
@pytest.mark.parametrize("edge", [0, 2])
def test_formula_and_gradients(rng, variant, concat, edge):
    p = parameters(rng, variant, edge=edge, concat=concat)
    q, k = rng.standard_normal((3, 4)), rng.standard_normal((6, 4))
    features = rng.standard_normal((6, 2)) if edge else None
    mask = np.array([True, True, False, True, True, True])
    options = {"variant": variant, "concat": concat, "negative_slope": 0.1, "attn_mask": mask}
    out, w = gat(q, k, p, features, need_weights=True, **options)
    for i in range(3):
        expected = reference(q[i], k, p, features, variant, concat, 0.1, mask)
        np.testing.assert_allclose(out[i], expected[0], rtol=1e-11)
        np.testing.assert_allclose(w[:, i], expected[1], rtol=1e-11)
    np.testing.assert_allclose(gat(q[0], k, p, features, **options), out[0], rtol=1e-12)

    def run(q, k, *arrays):
        return gat(q, k, dict(zip(p, arrays, strict=True)), features, **options)

    def rule(q, k, *arrays):
        y, pullback = ga.vjp(gat, q, k, dict(zip(p, arrays, strict=True)), features, **options)

        def pull(g):
            gq, gk, gp, ge = pullback(g)
            assert (ge is None) == (features is None)
            return gq, gk, *(gp[n] for n in p)

        return y, pull

    run.vjp_rule = rule
    free = [n for n in p if n != "bias"]
    assert free
    check_vjp(run, q, k, *p.values(), rtol=1e-5)


def test_one_head_without_the_axis_and_bad_input(rng):
    p = parameters(rng, "gat", heads=1, edge=0)
    flat = {n: a[0] if n != "bias" else a for n, a in p.items()}
    q, k = rng.standard_normal(4), rng.standard_normal((5, 4))
    np.testing.assert_allclose(gat(q, k, flat), gat(q, k, p), rtol=1e-14)
    gp = ga.vjp(gat, q, k, flat)[1](np.ones(3))[2]
    assert {n: a.shape for n, a in gp.items()} == {n: a.shape for n, a in flat.items()}
    for call in (
        lambda: gat(q, k, None),
        lambda: gat(q, k, {}),
        lambda: gat(q, k, {**p, "u": 1}),
        lambda: gat(q, k, {n: a for n, a in p.items() if n != "a_key"}),
        lambda: gat(q, k, {**p, "w": "text"}),
        lambda: gat(q, k, {**p, "w": np.ones(3)}),
        lambda: gat(q, k, p, variant="gatv3"),
        lambda: gat(q, k, p, rng.random((5, 2))),
        lambda: gat(q, k, p, "edges"),
        lambda: gat(q, k[:, :3], p),
        lambda: gat("q", k, p),
        lambda: gat(q, k, p, attn_mask=np.ones(4, bool)),
        lambda: gat(q, k, p, negative_slope=2.0),
        lambda: gat(q, k, p, need_weights=1),
    ):
        with pytest.raises(ga.AttentionError):
            call()


@pytest.mark.parametrize("need_weights", [False, True])
def test_one_forward_pass_serves_output_and_gradients(monkeypatch, need_weights):
    passes = []
    project = module.project
    monkeypatch.setattr(module, "project", lambda *a: passes.append(a) or project(*a))
    p = {"w": np.eye(2), "a_query": np.zeros(2), "a_key": np.array([1.0, 0.0])}
    output, pullback = ga.vjp(gat, np.zeros(2), np.eye(2), p, need_weights=need_weights)
    for _ in range(2):
        pullback(output)
    assert len(passes) == 1


@pytest.mark.parametrize("variant", ["gat", "gatv2"])
@pytest.mark.parametrize("kind", ["bool", "float"])
def test_rows_that_do_not_see_a_bad_key(rng, variant, kind):
    """Key 4 is hidden only from row 0: that row and its gradient equal those without the key."""
    p = parameters(rng, variant, edge=0)
    q, k = rng.standard_normal((2, 4)), rng.standard_normal((5, 4))
    k[4] = np.nan
    mask = np.ones((2, 5), bool)
    mask[0, 4] = False
    given = mask if kind == "bool" else np.where(mask, 0.0, -np.inf)
    (out, w), pull = ga.vjp(gat, q, k, p, None, attn_mask=given, need_weights=True, variant=variant)
    clean, pull_clean = ga.vjp(gat, q[0], k[:4], p, None, variant=variant)
    np.testing.assert_allclose(out[0], clean, rtol=1e-12)
    assert np.isnan(out[1]).all()
    assert not w[:, 0, 4].any()
    gq = pull((np.ones_like(out), None))[0]
    np.testing.assert_allclose(gq[0], pull_clean(np.ones_like(clean))[0], rtol=1e-10)


def test_is_the_class(rng):
    attn = ga.EdgeFeaturedAttention(4, edge_dim=2, num_heads=2, seed=3)
    q, k, features = rng.standard_normal((3, 4)), rng.standard_normal((6, 4)), rng.standard_normal((6, 2))
    edges = ga.GraphMetadata(edge_features=features)
    np.testing.assert_array_equal(gat(q, k, attn.parameters(), features), attn.forward(q, k, k, metadata=edges))
    single = [x.astype(np.float32) for x in (q, k, features)]
    assert gat(*single[:2], attn.parameters(), single[2]).dtype == np.float32

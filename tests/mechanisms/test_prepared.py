"""Prepared keys and values: equal results (see the law), their own copies, and errors."""

import numpy as np
import pytest

import graphattend as ga
from graphattend.mechanisms import mechanism_class

KEYS = ga.list_mechanisms()


def example(key):
    attn, inputs = mechanism_class(key).example(np.random.default_rng(0), 5)
    x = dict(inputs)
    return attn, x.pop("query"), x.pop("keys"), x.pop("values"), x


@pytest.mark.parametrize("key", KEYS)
def test_later_changes_do_not_reach_it(key):
    attn, q, k, v, rest = example(key)
    expected = attn.forward(q, k, v, **rest)
    prepared = attn.prepare(k, v)
    k[:], v[:] = 0.1, 0.2
    np.testing.assert_allclose(attn.forward(q, prepared, **rest), expected, rtol=1e-9, atol=1e-12)
    with pytest.raises((AttributeError, TypeError)):
        prepared.keys = k
    with pytest.raises(ValueError, match="read-only"):
        prepared.keys[0] = 0.0


@pytest.mark.parametrize("key", KEYS)
def test_refusals(key):
    attn, q, k, v, rest = example(key)
    prepared = attn.prepare(k, v)
    other = ga.create("flash" if key != "flash" else "linear", 8)
    with pytest.raises(ga.InvalidConfigError, match=f"keys: expected what this {other.key} prepared"):
        other.forward(q, prepared)
    if attn.parameters():
        name, a = next(iter(attn.parameters().items()))
        with pytest.raises(ga.InvalidConfigError, match="keys"):
            attn.with_parameters({name: a * 1.5 - 0.01}).forward(q, prepared, **rest)
    again = attn.with_parameters(attn.parameters())  # equal parameters, so it may use the prepared keys
    np.testing.assert_allclose(again.forward(q, prepared, **rest), attn.forward(q, k, v, **rest), rtol=1e-9, atol=1e-12)
    with pytest.raises(ga.InvalidConfigError, match="values"):
        attn.forward(q, prepared, v, **rest)
    with pytest.raises(ga.AttentionError, match="keys"):
        attn.vjp(q, prepared, v, **rest)
    with pytest.raises(ga.InvalidConfigError, match="values"):
        attn.forward(q, k, **rest)
    for bad, error in (
        (q[:-1], ga.DimensionMismatchError),
        (q * np.nan, ga.NumericalInstabilityError),
        ("a", ga.InvalidConfigError),
    ):
        for call in (attn.forward, attn.attention_weights):
            with pytest.raises(error, match="query"):
                call(bad, prepared, **rest)
    with pytest.raises(ga.DimensionMismatchError, match="attn_mask"):
        attn.forward(q, prepared, attn_mask=np.ones(9, bool), **rest)
    with pytest.raises(ga.InvalidConfigError, match="need_weights"):
        attn.forward(q, prepared, need_weights=1, **rest)
    with pytest.raises(ga.InvalidConfigError, match="training"):
        attn.forward(q, prepared, training=1, **rest)


@pytest.mark.parametrize("key", KEYS)
def test_masks_dtypes_and_dropout(key):
    attn, q, k, v, rest = example(key)
    prepared = attn.prepare(k, v)
    mask = np.array([True, False, True, True, False])
    np.testing.assert_allclose(
        attn.forward(q, prepared, attn_mask=mask, **rest),
        attn.forward(q, k, v, attn_mask=mask, **rest),
        rtol=1e-9,
        atol=1e-12,
    )
    k32, v32 = k.astype(np.float32), v.astype(np.float32)
    small = attn.prepare(k32, v32)
    for query in (q, q.astype(np.float32)):
        a, b = attn.forward(query, small, **rest), attn.forward(query, k32, v32, **rest)
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
        assert attn.attention_weights(query, small, **rest).dtype == b.dtype
    config = attn.to_config()
    if "dropout" not in config["options"]:
        return
    config["options"]["dropout"] = 0.5
    noisy = ga.from_config(config).with_parameters(attn.parameters())
    a, b = (
        noisy.forward(q, *args, training=True, rng=np.random.default_rng(3), **rest)
        for args in ((noisy.prepare(k, v),), (k, v))
    )
    np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.usefixtures("on_numpy")
def test_projection_runs_once(monkeypatch):
    attn = ga.MultiHeadAttention(8)
    x = np.random.default_rng(0).standard_normal((500, 8))
    prepared = attn.prepare(x, x)
    seen = []
    original = ga.MultiHeadAttention._project
    monkeypatch.setattr(
        ga.MultiHeadAttention,
        "_project",
        lambda self, q, k, v, p: seen.append((k.shape, v.shape)) or original(self, q, k, v, p),
    )
    attn.forward(x[0], prepared)
    attn.attention_weights(x[0], prepared)
    assert seen == [((1, 8), (1, 8))] * 2

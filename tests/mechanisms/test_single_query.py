"""One query and its weights in one kernel call: results, gradients and errors equal those of the composed path."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

import graphattend as ga
from graphattend.mechanisms import mechanism_class

KEYS = [
    "dynamic_heads",
    "edge_featured",
    "rl_navigator",
    "graph_rope",
    "structural",
    "hnsw_aware",
    "local_global",
    "cross_space",
    "moe",
    "learned_routing",
    "hyperbolic",
    "mixed_curvature",
    "manifold",
    "multi_head",
    "flash",
    "scaled_dot_product",
]
OPTIONS: dict[str, list[dict[str, Any]]] = {
    "hnsw_aware": [{"encoding": "bias"}, {"encoding": "embedding"}],
    "structural": [{"mode": "features"}],
    "graph_rope": [{"interleaved": False}],
    "rl_navigator": [{"rank": 3}],
    "local_global": [{"window": None}, {"window": 3, "global_nodes": (0,)}],
    "edge_featured": [{"edge_dim": 3, "variant": "gatv2"}, {"edge_dim": 3, "concat": False, "bias": False}],
    "cross_space": [{"fusion": "gated"}, {"fusion": "mean"}],
    "learned_routing": [{"mode": "hard"}],
    "hyperbolic": [{"aggregation": "frechet"}, {"curvature": -0.5, "temperature": 0.3}],
}
#: With these, the gradients need more than the kernels of one query.
COMPOSED = [{"mode": "hard"}, {"encoding": "embedding"}, {"edge_dim": 3, "variant": "gatv2"}]
CASES = [(key, options) for key in KEYS for options in [{}, *OPTIONS.get(key, [])]]


def case(key: str, options: dict[str, Any], dtype: Any, n: int = 19) -> tuple[Any, dict[str, Any]]:
    rng = np.random.default_rng(5)
    attn, inputs = mechanism_class(key).example(rng, n)
    attn = ga.create(key, 8, **options) if options else attn
    moved = {m: a + 0.3 * rng.standard_normal(a.shape) for m, a in attn.parameters().items()}
    attn = attn.with_parameters({m: a for m, a in moved.items() if not m.endswith(("curvature", "temperature"))})
    meta = inputs.pop("metadata", None)
    inputs = {name: a.astype(dtype) for name, a in inputs.items()}
    if meta is not None:
        given = {f.name: getattr(meta, f.name) for f in dataclasses.fields(meta)}
        cast = {
            m: a.astype(dtype) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a for m, a in given.items()
        }
        inputs["metadata"] = ga.GraphMetadata(**cast)
    return attn, inputs


@pytest.mark.with_kernels
@pytest.mark.parametrize(("key", "options"), CASES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-5), (np.float64, 1e-11)])
def test_kernels_and_numpy_agree(key: str, options: dict[str, Any], dtype: Any, tolerance: float) -> None:
    attn, inputs = case(key, options, dtype)
    q, k, v = inputs.pop("query"), inputs.pop("keys"), inputs.pop("values")
    mask = np.arange(len(k)) % 3 > 0
    found = []
    for backend in (ga.backend_info()["backend"], "numpy"):
        with ga.use_backend(backend):
            parts = [attn.forward(q, k, v, **inputs), attn.attention_weights(q, k, **inputs)]
            parts += attn.forward(q, k, v, need_weights=True, **inputs)
            parts += attn.forward(q, k, v, need_weights=True, attn_mask=mask, **inputs)
            parts += attn.forward(q[None], k[None], v[None], need_weights=True, **inputs)
            for options_ in ({}, {"attn_mask": mask}):
                out, pull = attn.vjp(q, k, v, **options_, **inputs)
                g = np.cos(np.arange(out.size, dtype=dtype))
                weights = np.sin(np.arange(parts[1].size, dtype=dtype)).reshape(parts[1].shape)
                parts.append(out)
                for c in (pull(g), pull(g, weights)):
                    parts += [c.query, c.keys, c.values, *c.parameters.values(), *c.metadata.values()]
                    assert c.parameters.keys() == attn.parameters().keys()
            found.append(parts)
    for ours, reference in zip(*found, strict=True):
        assert ours.shape == reference.shape
        assert ours.dtype == reference.dtype == dtype
        np.testing.assert_allclose(ours, reference, rtol=0, atol=tolerance * max(1, np.abs(reference).max()))


@pytest.mark.with_kernels
@pytest.mark.parametrize(("key", "options"), [case for case in CASES if case[1] not in COMPOSED])
def test_gradients_skip_the_checked_pass(key: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    attn, inputs = case(key, options, np.float32)

    def refuse(*arguments: object) -> None:
        raise AssertionError("checked")

    monkeypatch.setattr(ga.Attention, "_vjp_checked", refuse)
    out, pull = attn.vjp(**inputs)
    assert pull(np.ones_like(out)).query.shape == (8,)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("name", ["query", "keys", "values"])
def test_nan_is_refused(key: str, name: str) -> None:
    attn, inputs = case(key, {}, np.float32)
    bad = inputs[name].copy()
    bad.reshape(-1)[0] = np.nan
    spoilt = inputs | {name: bad}
    for call in (attn.forward, lambda **x: attn.forward(**x, need_weights=True)):
        with pytest.raises(ga.NumericalInstabilityError, match=name):
            call(**spoilt)
    if name != "values":
        del spoilt["values"]
        with pytest.raises(ga.NumericalInstabilityError, match=name):
            attn.attention_weights(**spoilt)


@pytest.mark.parametrize(
    ("key", "field", "value"),
    [
        ("hnsw_aware", "hnsw_layers", np.full(19, -1)),
        ("structural", "structural_features", np.full((19, 5), np.nan)),
        ("structural", "query_structural", np.full(5, np.inf)),
        ("graph_rope", "distances", np.full(19, np.nan)),
        ("edge_featured", "edge_features", np.full((19, 3), np.inf)),
    ],
)
def test_bad_metadata_is_refused(key: str, field: str, value: Any) -> None:
    attn, inputs = case(key, {}, np.float64)
    inputs["metadata"] = dataclasses.replace(inputs["metadata"], **{field: value})
    for more in ({}, {"need_weights": True}):
        with pytest.raises(ga.AttentionError, match=field):
            attn.forward(**inputs, **more)


def test_values_are_needed() -> None:
    attn, inputs = case("scaled_dot_product", {}, np.float32)
    for more in ({}, {"need_weights": True}):
        with pytest.raises(ga.AttentionError, match="values"):
            attn.forward(inputs["query"], inputs["keys"], **more)


@pytest.mark.with_kernels
def test_gradients_that_overflow_are_computed_again_or_refused(rng: np.random.Generator) -> None:
    attn = ga.create("scaled_dot_product", 8)
    q, k, v = (rng.standard_normal(shape).astype(np.float32) for shape in (8, (5, 8), (5, 8)))
    q, k, v = 1e-6 * q, 1e-6 * k, 1e5 * v
    g = np.full(8, 1e34, np.float32)  # the gradients of the weights overflow float32, those of the inputs do not
    assert np.abs(v.astype(float) @ g).max() > np.finfo(np.float32).max
    pull, wide = (attn.vjp(*(x.astype(dtype) for x in (q, k, v)))[1] for dtype in (np.float32, np.float64))
    for ours, theirs in zip(pull(g)[:3], wide(g)[:3], strict=True):
        assert ours.dtype == np.float32
        assert np.abs(ours - theirs).max() <= 1e-5 * np.abs(theirs).max()
    with pytest.raises(ga.NumericalInstabilityError, match="grad_output"):
        attn.vjp(q, k, 1e9 * v)[1](g)
    with pytest.raises(ga.DimensionMismatchError, match="grad_output"):
        pull(g[:7])
    with pytest.raises(ga.DimensionMismatchError, match="grad_weights"):
        pull(g, np.ones(4, np.float32))

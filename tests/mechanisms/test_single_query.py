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
MIXED: list[dict[str, Any]] = [
    {"key": "scaled_dot_product", "dim": 8},
    {"key": "hyperbolic", "dim": 8},
    {"key": "hyperbolic", "dim": 8, "options": {"curvature": -0.25}},
    {"key": "local_global", "dim": 8, "options": {"window": 3}},
    {"key": "multi_head", "dim": 8, "options": {"num_heads": 2}},
    {"key": "graph_rope", "dim": 8},
    {"key": "hnsw_aware", "dim": 8, "options": {"encoding": "bias"}},
]
OPTIONS: dict[str, list[dict[str, Any]]] = {
    "hnsw_aware": [{"encoding": "bias"}, {"encoding": "embedding"}],
    "structural": [{"mode": "features"}],
    "graph_rope": [{"interleaved": False}],
    "rl_navigator": [{"rank": 3}],
    "local_global": [{"window": None}, {"window": 3, "global_nodes": (0,)}],
    "edge_featured": [{"edge_dim": 3, "variant": "gatv2"}, {"edge_dim": 3, "concat": False, "bias": False}],
    "cross_space": [{"fusion": "gated"}, {"fusion": "mean"}],
    "learned_routing": [{"mode": "hard"}, {"mechanisms": MIXED}, {"mechanisms": [MIXED[0]]}],
    # Experts that add in their kernel, that only write there, that do neither, and a mixture as an expert.
    "moe": [
        {"experts": MIXED, "top_k": len(MIXED)},
        {"experts": MIXED[::-1], "top_k": 2},
        {"experts": MIXED[1:2], "top_k": 1},
        {"experts": [{"key": "learned_routing", "dim": 8}, *MIXED[:2]], "top_k": 3},
    ],
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
    if options.keys() & {"experts", "mechanisms"}:
        meta = ga.GraphMetadata(distances=rng.random(n), hnsw_layers=rng.integers(0, 3, n), query_layer=1)
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


MASKS = {
    "some": lambda n: np.arange(n) % 3 > 0,
    "all": lambda n: np.ones(n, bool),
    "none": lambda n: np.zeros(n, bool),
    "every other": lambda n: np.repeat(np.arange(n) % 3 > 0, 2)[::2],
    "added": lambda n: np.where(np.arange(n) % 3 > 0, np.sin(np.arange(n)), -np.inf),
    "nothing added": lambda n: np.full(n, -np.inf),
}


@pytest.mark.with_kernels
@pytest.mark.parametrize(("key", "options"), [*CASES, ("linear", {})])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-5), (np.float64, 1e-11)])
def test_masks_and_prepared_keys_agree(key: str, options: dict[str, Any], dtype: Any, tolerance: float) -> None:
    attn, inputs = case(key, options, dtype)
    q, k, v = inputs.pop("query"), inputs.pop("keys"), inputs.pop("values")
    found: list[dict[str, np.ndarray]] = []
    for backend in (ga.backend_info()["backend"], "numpy"):
        with ga.use_backend(backend):
            prepared, parts = attn.prepare(k, v), {}
            parts["prepared"] = attn.forward(q, prepared, **inputs)
            for name, make in MASKS.items():
                mask = make(len(k))
                mask = mask if mask.dtype == bool else mask.astype(dtype)
                call = inputs | {"attn_mask": mask}
                parts[name] = attn.forward(q, k, v, **call)
                parts[f"{name}, weights"] = attn.attention_weights(q, k, **call)
                parts[f"{name}, both"] = attn.forward(q, k, v, need_weights=True, **call)[1]
                parts[f"{name}, prepared"] = attn.forward(q, prepared, **call)
                out, pull = attn.vjp(q, k, v, **call)
                c = pull(np.cos(np.arange(out.size, dtype=dtype)))
                more = {"query": c.query, "keys": c.keys, "values": c.values, **c.parameters, **c.metadata}
                parts |= {f"{name}, gradient of {of}": a for of, a in more.items()}
            found.append(parts)
    ours, expected = found
    for name, reference in expected.items():
        assert ours[name].dtype == reference.dtype == dtype
        limit = tolerance * max(1, np.abs(reference).max())
        np.testing.assert_allclose(ours[name], reference, rtol=0, atol=limit, err_msg=name)


@pytest.mark.with_kernels
@pytest.mark.parametrize("key", [*KEYS, "linear"])
def test_masked_and_prepared_calls_skip_the_checked_pass(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    attn, inputs = case(key, {}, np.float32)
    q, k, v = inputs.pop("query"), inputs.pop("keys"), inputs.pop("values")
    prepared, mask = attn.prepare(k, v), np.arange(len(k)) % 3 > 0

    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("checked")

    monkeypatch.setattr(ga.Attention, "_check", refuse)
    assert attn.forward(q, prepared, **inputs).shape == (8,)
    assert attn.forward(q[None], k, v, **inputs).shape == (1, 8)
    for given in ((k, v), (prepared,)) if key != "linear" else ((k, v),):  # linear checks whether a state was streamed
        assert attn.forward(q, *given, attn_mask=mask, **inputs).shape == (8,)
        assert attn.forward(q[None], *given, attn_mask=mask, **inputs).shape == (1, 8)
        assert len(attn.forward(q, *given, attn_mask=mask, need_weights=True, **inputs)) == 2
        if key != "cross_space":  # the checked pass checks the latent keys, which the weights do not need
            assert attn.attention_weights(q, given[0], attn_mask=mask, **inputs).shape[-1] == len(k)


@pytest.mark.with_kernels
@pytest.mark.parametrize(("key", "options"), [*CASES, ("linear", {})])
@pytest.mark.parametrize("masked", [False, True])
def test_a_matrix_of_one_query_is_one_query(key: str, options: dict[str, Any], masked: bool) -> None:
    attn, inputs = case(key, options, np.float64)
    q, k, v = inputs.pop("query"), inputs.pop("keys"), inputs.pop("values")
    mask = np.arange(len(k)) % 3 > 0
    prepared, found = attn.prepare(k, v), []
    for query, seen in ((q, mask), (q[None], mask[None])):
        more = inputs | ({"attn_mask": seen} if masked else {})
        out, weights = attn.forward(query, k, v, need_weights=True, **more)
        parts = [out, weights, attn.forward(query, k, v, **more), attn.forward(query, prepared, **more)]
        parts.append(attn.attention_weights(query, k, **more))
        y, pull = attn.vjp(query, k, v, **more)
        for c in (pull(np.cos(np.arange(float(y.size))).reshape(y.shape)), pull(y, np.cos(weights))):
            parts += [y, c.query, c.keys, c.values, *c.parameters.values(), *c.metadata.values()]
        found.append(parts)
    heads = () if attn.heads is None else (attn.heads,)
    assert [x.shape for x in found[0][1:3]] == [(*heads, 19), found[0][0].shape]
    assert [x.shape for x in found[1][1:3]] == [(*heads, 1, 19), (1, *found[0][0].shape)]
    for one, matrix in zip(*found, strict=True):
        assert matrix.ndim - one.ndim in (0, 1)
        np.testing.assert_allclose(matrix.reshape(one.shape), one, rtol=0, atol=1e-11 * max(1, np.abs(one).max()))


@pytest.mark.parametrize("key", [*KEYS, "linear"])
@pytest.mark.parametrize(
    "mask", [np.ones(18, bool), np.full(19, np.nan), np.full(19, np.inf), np.ones(19, int), np.ones((3, 19), bool), "x"]
)
def test_unfit_masks_are_refused(key: str, mask: Any) -> None:
    attn, inputs = case(key, {}, np.float64)
    call = {name: inputs[name] for name in ("query", "keys", "metadata") if name in inputs}
    for run in (attn.forward, lambda **x: attn.forward(**x, need_weights=True), attn.vjp):
        with pytest.raises(ga.AttentionError, match="attn_mask"):
            run(**inputs, attn_mask=mask)
    with pytest.raises(ga.AttentionError, match="attn_mask"):
        attn.attention_weights(**call, attn_mask=mask)


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


@pytest.mark.parametrize(
    ("key", "options"), [case for case in CASES if case[1].keys() & {"experts", "mechanisms"} or case == ("moe", {})]
)
def test_gradients_of_mixtures_are_derivatives(key: str, options: dict[str, Any]) -> None:
    attn, inputs = case(key, options, np.float64)
    rng, meta = np.random.default_rng(7), inputs.pop("metadata", None)
    g, gw = rng.standard_normal(8), rng.standard_normal(19)
    given = inputs | {f"parameter {name}": a for name, a in attn.parameters().items()}

    def value(arrays: dict[str, np.ndarray]) -> tuple[float, Any]:
        own = {name.removeprefix("parameter "): a for name, a in arrays.items() if name not in inputs}
        call = {name: arrays[name] for name in inputs}
        moved = attn.with_parameters(own)
        out, weights = moved.forward(**call, metadata=meta, need_weights=True)
        return float(g @ out + gw @ weights), moved.vjp(**call, metadata=meta)[1](g, gw)

    _, c = value(given)
    found = {"query": c.query, "keys": c.keys, "values": c.values}
    found |= {f"parameter {name}": a for name, a in c.parameters.items()}
    for name, a in given.items():
        direction = rng.standard_normal(a.shape)
        up, down = (value(given | {name: a + step * direction})[0] for step in (1e-6, -1e-6))
        expected = (up - down) / 2e-6
        assert abs(np.sum(found[name] * direction) - expected) < 1e-7 * max(1, abs(expected)), name


@pytest.mark.with_kernels
def test_a_sum_of_the_gradients_of_experts_that_overflows_takes_the_checked_pass() -> None:
    expert = {"key": "scaled_dot_product", "dim": 1, "options": {"scale": 1.0}}
    moe = ga.MoEAttention(1, experts=[expert, expert], top_k=2)
    query, keys, values = (np.array(x, np.float32) for x in ([1.0], [[0.0], [0.0]], [[1.0], [-1.0]]))
    g = np.full(1, 3e38, np.float32)
    expected = moe.vjp(query, keys, values)[1](g)
    assert expected.keys[0, 0] == pytest.approx(1.5e38)
    steep = {**expert, "options": {"scale": 4.0}}
    steep = ga.MoEAttention(1, experts=[steep, steep], top_k=2)
    with pytest.raises(ga.NumericalInstabilityError):
        steep.vjp(query, keys, values)[1](g)

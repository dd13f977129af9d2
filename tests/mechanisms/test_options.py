"""Every option of every mechanism: invalid values, misspelt names, builder, create, config and files."""

import json

import numpy as np
import pytest

import graphattend as ga
from graphattend.mechanisms import mechanism_class

KEYS = ga.list_mechanisms()
OPTIONS = [(key, name) for key in KEYS for name in ga.schema(key)["properties"] if name != "dim"]

#: A non-default value of every option.
OTHER = {
    "seed": 3,
    "check_finite": False,
    "temperature": 0.5,
    "scale": 0.25,
    "normalize": True,
    "dropout": 0.1,
    "num_heads": 2,
    "head_dim": 3,
    "bias": False,
    "edge_dim": 2,
    "variant": "gatv2",
    "concat": False,
    "negative_slope": 0.1,
    "add_self_loops": True,
    "fill_value": 0.5,
    "curvature": -0.5,
    "aggregation": "midpoint",
    "strict": True,
    "spaces": [["lorentz", 5, -0.5], ["sphere", 3, 2.0]],
    "manifold": {"type": "poincare", "curvature": -2.0},
    "window": 3,
    "global_nodes": [0, 4],
    "num_features": 7,
    "redraw": 2,
    "is_causal": True,
    "block_size": 5,
    "base": 100.0,
    "interleaved": False,
    "encoding": "bias",
    "num_layers": 4,
    "decay": 0.3,
    "fusion": "gated",
    "latent_neighbors": 3,
    "mode": {"structural": "bias", "learned_routing": "hard"},
    "experts": [ga.create("flash", 8).to_config(), ga.create("hyperbolic", 8, curvature=-2.0).to_config()],
    "mechanisms": [ga.create("flash", 8).to_config()],
    "top_k": 1,
    "threshold": 0.3,
    "gate_temperature": 2.0,
    "router_temperature": 2.0,
    "rank": 3,
    "sharpness": 0.5,
}
ANY_BAD = {
    "fill_value": ["median", None, True, np.nan, [1.0]],
    "spaces": ["poincare", [], [("poincare", 8)], [("poincaree", 8, -1.0)], [("poincare", 7, -1.0)], [("poincare", 8, 1.0)],
               [("euclidean", 8, -1.0)], [("sphere", 8, 0.0)], [("euclidean", 8.0, 0.0)], 3],
    "manifold": ["poincare", None, {"type": "pointcare"}, {"type": "poincare", "curvature": 1.0}, {}, ga.geometry.Sphere, 1],
    "global_nodes": ["0", [-1], -1, [0.5], True, None, [[0]]],
    "experts": [[], "flash", [1], [{"key": "flush", "dim": 8}], [ga.create("flash", 4)], 7, {"key": "flash"}],
    "mechanisms": [[], "flash", [1], [{"key": "flush", "dim": 8}], [ga.create("flash", 4)], 7],
}  # fmt: skip


def other(key, name):
    value = OTHER[name]
    if name == "mode":
        value = value[key]
    if (key, name) == ("manifold", "aggregation"):
        return "midpoint"
    if (key, name) == ("hyperbolic", "aggregation"):
        return "tangent"
    return value


def bad_values(key, name):
    p = ga.schema(key)["properties"][name]
    if name in ANY_BAD:
        return ANY_BAD[name]
    types = p["type"] if isinstance(p["type"], list) else [p["type"]]
    bad = ["text", [1], np.ones(2), object(), 1j, {}]
    if "null" not in types:
        bad.append(None)
    if "boolean" in types:
        return [*bad, 1, 0.0]
    if "string" in types:
        return [*bad, 1, True, p["enum"][0][:-1], ""]
    bad += [True, np.nan, np.inf]
    if "integer" in types:
        bad += [1.5, 2.0]
    if "minimum" in p:
        bad += [p["minimum"] - 1]
    if "maximum" in p:
        bad += [p["maximum"] + 1]
    if "exclusiveMinimum" in p:
        bad += [p["exclusiveMinimum"], p["exclusiveMinimum"] - 1.0]
    if "exclusiveMaximum" in p:
        bad += [p["exclusiveMaximum"], p["exclusiveMaximum"] + 1.0]
    return bad


@pytest.mark.parametrize(("key", "name"), OPTIONS)
def test_wrong_values_name_the_option(key, name):
    for value in bad_values(key, name):
        with pytest.raises(ga.InvalidConfigError) as info:
            ga.create(key, 8, **{name: value})
        if name not in ("experts", "mechanisms", "manifold"):  # for these the error may name the inner config
            assert str(info.value).startswith(name), (value, str(info.value))
            assert info.value.argument == name


@pytest.mark.parametrize(("key", "name"), OPTIONS)
def test_a_misspelt_option_names_the_right_one(key, name):
    wrong = name + "x"
    cls = mechanism_class(key)
    for call in (
        lambda: ga.create(key, 8, **{wrong: 1}),
        lambda: cls(8, **{wrong: 1}),
        lambda: getattr(cls.builder(8), wrong)(1),
        lambda: ga.from_config({"key": key, "dim": 8, "options": {wrong: 1}}),
    ):
        with pytest.raises(ga.InvalidConfigError) as info:
            call()
        assert wrong in str(info.value)
        assert f"did you mean '{name}'" in str(info.value)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
@pytest.mark.parametrize(("key", "name"), OPTIONS)
def test_option_survives_builder_config_and_files(key, name, suffix, tmp_path, rng):
    value = other(key, name)
    made = ga.create(key, 8, **{name: value})
    config = made.to_config()
    assert config["options"][name] != ga.create(key, 8).to_config()["options"][name]
    assert json.loads(json.dumps(config, allow_nan=False)) == config
    assert ga.from_config(json.loads(json.dumps(config))).to_config() == config
    assert getattr(type(made).builder(8), name)(value).build() == made
    trained = made.with_parameters({n: a - 0.1 * rng.random(a.shape) for n, a in made.parameters().items()
                                    if n not in ("curvature", "temperature")})  # fmt: skip
    trained.save(tmp_path / f"a{suffix}")
    again = ga.load(tmp_path / f"a{suffix}")
    assert again.to_config() == config
    for n, a in trained.parameters().items():
        b = again.parameters()[n]
        assert (a.dtype, a.tobytes()) == (b.dtype, b.tobytes())


@pytest.mark.parametrize("key", KEYS)
def test_dim(key):
    for dim in (0, -1, 2.0, "8", None, True, [8], np.nan):
        with pytest.raises(ga.InvalidConfigError, match=r"^dim: expected a whole number >= 1"):
            ga.create(key, dim)
    with pytest.raises(ga.InvalidConfigError, match="dim"):
        mechanism_class(key)()
    with pytest.raises(ga.InvalidConfigError, match="positional"):
        mechanism_class(key)(8, 1)
    assert ga.create(key, np.int64(8)).to_config()["dim"] == 8


@pytest.mark.parametrize("key", KEYS)
def test_identity_and_immutability(key):
    attn = ga.create(key, 8, seed=4)
    assert attn == ga.create(key, 8, seed=4)
    assert hash(attn) == hash(ga.create(key, 8, seed=4))
    assert attn != 3
    assert (attn.key, attn.dim) == (key, 8)
    assert attn.supports_variable_length is True
    with pytest.raises(AttributeError):
        attn.dim = 4
    for name, a in attn.parameters().items():
        before = a.copy()
        a += 1.0  # a copy: this does not change the mechanism
        assert np.array_equal(attn.parameters()[name], before)
        bigger = attn.with_parameters({name: before * 2})
        assert np.array_equal(bigger.parameters()[name], before * 2)
        assert np.array_equal(attn.parameters()[name], before)


@pytest.mark.parametrize("key", [k for k in KEYS if ga.create(k, 8).parameters()])
def test_parameters_are_checked(key):
    attn = ga.create(key, 8)
    name, a = next(iter(attn.parameters().items()))
    with pytest.raises(ga.InvalidConfigError, match=f"did you mean '{name}'"):
        attn.with_parameters({name + "x": a})
    with pytest.raises(ga.DimensionMismatchError, match=name):
        attn.with_parameters({name: np.ones((*a.shape, 2))})
    with pytest.raises(ga.NumericalInstabilityError, match=name):
        attn.with_parameters({name: np.full(a.shape, np.nan)})
    for value in ("text", None, a.astype(complex), a > 0, [[1.0], [1.0, 2.0]]):
        with pytest.raises(ga.AttentionError):
            attn.with_parameters({name: value})
    with pytest.raises(ga.InvalidConfigError, match="mapping"):
        attn.with_parameters([a])


@pytest.mark.parametrize(
    ("config", "match"),
    [
        (None, "config"),
        ([], "config"),
        ({}, "key"),
        ({"key": "flash"}, "dim"),
        ({"key": "flush", "dim": 4}, "did you mean 'flash'"),
        ({"key": ["flash"], "dim": 4}, "key"),
        ({"key": "flash", "dim": 4, "version": 2}, "version"),
        ({"key": "flash", "dim": 4, "extra": 2}, "extra"),
        ({"key": "flash", "dim": 4, "options": []}, "options"),
        ({"key": "flash", "dim": 4, "options": {1: 2}}, "options"),
        ({"key": "flash", "dim": 4, "options": {"dim": 5}}, "dim"),
    ],
)
def test_bad_configs(config, match):
    with pytest.raises(ga.InvalidConfigError, match=match):
        ga.from_config(config)


@pytest.mark.parametrize("key", ["flush", "", None, 3, b"flash", ["flash"], {}])
def test_unknown_keys(key):
    with pytest.raises(ga.InvalidConfigError, match="key"):
        ga.create(key, 4)
    if key is not None:
        with pytest.raises(ga.InvalidConfigError, match="key"):
            ga.schema(key)


def test_defaults_of_the_contract():
    assert ga.create("scaled_dot_product", 16).to_config()["options"] == {
        "seed": 0, "check_finite": True, "temperature": 1.0, "scale": None, "dropout": 0.0,
        "normalize": False,
    }  # fmt: skip
    assert ga.create("multi_head", 8).num_heads == 4
    assert ga.create("hyperbolic", 8).curvature == -1.0
    assert ga.create("hyperbolic", 8).aggregation == "midpoint"
    assert ga.create("edge_featured", 8).negative_slope == 0.2
    assert ga.create("edge_featured", 8).variant == "gat"
    assert ga.create("mixed_curvature", 128).spaces == (("euclidean", 64, 0.0), ("poincare", 64, -1.0))
    assert ga.create("graph_rope", 8).base == 10000.0
    assert ga.create("moe", 8).top_k == 2
    assert ga.ScaledDotProductAttention.builder(8).temperature(0.07).dropout(0.1).build().dropout == 0.1


@pytest.mark.parametrize("key", KEYS)
def test_building_never_shares_state(key):
    builder = mechanism_class(key).builder(8)
    changed = builder.seed(5)
    assert builder.build().seed == 0
    assert changed.build().seed == 5

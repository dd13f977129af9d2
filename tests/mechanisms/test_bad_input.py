"""Bad input of every kind through the class layer raises a typed error that names the argument; inputs are unchanged."""

import dataclasses

import numpy as np
import pytest

import graphattend as ga
from graphattend.graph import NeighborGraph
from graphattend.mechanisms import mechanism_class

KEYS = ga.list_mechanisms()


class Broken:
    def __array__(self, *args, **kwargs):
        raise ValueError("no array today")


def example(key):
    return mechanism_class(key).example(np.random.default_rng(0), 5)


def bad_arrays(x):
    """Return pairs (bad value, error) for an array argument."""
    nan, inf = x.copy(), x.copy()
    nan.flat[-1], inf.flat[0] = np.nan, -np.inf
    return [
        (None, ga.InvalidConfigError),
        ("text", ga.InvalidConfigError),
        (b"bytes", ga.InvalidConfigError),
        ({"a": 1}, ga.InvalidConfigError),
        (object(), ga.InvalidConfigError),
        (Broken(), ga.InvalidConfigError),
        (x.astype(object), ga.InvalidConfigError),
        (x.astype(str), ga.InvalidConfigError),
        (x + 1j, ga.InvalidConfigError),
        (x > 0, ga.InvalidConfigError),
        ([[1.0], [1.0, 2.0]], ga.InvalidConfigError),
        (np.datetime64("2020-01-01"), ga.InvalidConfigError),
        (np.float64(1.0), ga.DimensionMismatchError),
        (nan, ga.NumericalInstabilityError),
        (inf, ga.NumericalInstabilityError),
        (x[..., :-1], ga.DimensionMismatchError),
        (x[..., :0], ga.AttentionError),
    ]


def call(attn, method, inputs):
    x = dict(inputs)
    args = [x.pop("query"), x.pop("keys"), x.pop("values")]
    if method == "attention_weights":
        args.pop()
    if method == "prepare":
        return attn.prepare(*args[1:])
    return getattr(attn, method)(*args, **x)


@pytest.mark.parametrize("method", ["forward", "__call__", "attention_weights", "vjp", "prepare"])
@pytest.mark.parametrize("key", KEYS)
def test_arrays(key, method):
    attn, inputs = example(key)
    names = {"attention_weights": ("query", "keys"), "prepare": ("keys", "values")}.get(
        method, ("query", "keys", "values")
    )
    before = {name: inputs[name].copy() for name in ("query", "keys", "values")}
    for name in names:
        for value, error in bad_arrays(inputs[name]):
            if name == "values" and attn.any_value_width and isinstance(value, np.ndarray) and value.shape[-1:] == (7,):
                continue
            with pytest.raises(error) as info:
                call(attn, method, {**inputs, name: value})
            assert name in str(info.value)
    for name in names:
        if name == "query":
            continue
        with pytest.raises(ga.DimensionMismatchError):
            call(attn, method, {**inputs, name: inputs[name][0]})
    for name, a in before.items():
        assert np.array_equal(inputs[name], a)


@pytest.mark.parametrize("key", KEYS)
def test_masks_and_flags(key):
    attn, inputs = example(key)
    n = inputs["keys"].shape[0]
    for mask, error in [
        (np.ones(n - 1, bool), ga.DimensionMismatchError),
        (np.ones((2, 3, n), bool), ga.DimensionMismatchError),
        (np.ones(n, int), ga.InvalidConfigError),
        (np.full(n, "a"), ga.InvalidConfigError),
        ("mask", ga.InvalidConfigError),
        (np.ones(n) * 1j, ga.InvalidConfigError),
        (np.full(n, np.nan), ga.NumericalInstabilityError),
        (np.full(n, np.inf), ga.NumericalInstabilityError),
    ]:
        for method in ("forward", "attention_weights", "vjp"):
            with pytest.raises(error) as info:
                call(attn, method, {**inputs, "attn_mask": mask})
            assert info.value.argument == "attn_mask"
    for name in ("need_weights", "training"):
        for value in (1, None, "yes"):
            with pytest.raises(ga.InvalidConfigError, match=name):
                call(attn, "forward", {**inputs, name: value})


@pytest.mark.parametrize("key", KEYS)
def test_metadata(key):
    attn, inputs = example(key)
    for value in ({}, "text", 3, np.ones(5)):
        with pytest.raises(ga.InvalidConfigError, match="metadata"):
            call(attn, "forward", {**inputs, "metadata": value})
    metadata = inputs.get("metadata")
    if metadata is None:
        return
    for field in dataclasses.fields(metadata):
        given = getattr(metadata, field.name)
        if given is None:
            continue
        bad = ["text", object(), np.asarray(given) * 1j, np.asarray(given) > 0]
        if field.name != "query_layer":
            bad += [np.asarray(given)[..., :-1], np.float64(0.5), np.full(np.shape(given), np.nan)]
        for value in bad:
            changed = dataclasses.replace(metadata, **{field.name: value})
            with pytest.raises(ga.AttentionError) as info:
                call(attn, "forward", {**inputs, "metadata": changed})
            assert f"metadata.{field.name}" in str(info.value)
    for name in attn.needed:
        with pytest.raises(ga.InvalidConfigError, match=name):
            call(attn, "forward", {**inputs, "metadata": dataclasses.replace(metadata, **{name: None})})


@pytest.mark.parametrize("key", KEYS)
def test_cotangents(key):
    attn, inputs = example(key)
    out, pullback = call(attn, "vjp", inputs)
    for g in ("text", None, np.ones(out.size + 1), np.ones((2, out.size)), out * 1j, object()):
        with pytest.raises(ga.AttentionError, match="grad_output"):
            pullback(g)
    with pytest.raises(ga.AttentionError, match="grad_weights"):
        pullback(np.ones_like(out), np.ones(99))


@pytest.mark.parametrize("key", KEYS)
def test_attend(key, rng):
    attn, inputs = example(key)
    x = np.concatenate([inputs["query"][None], inputs["keys"]])
    edges = np.array([[1, 2, 3, 0], [0, 0, 1, 5]])
    extra = {"edge_features": rng.random((4, 3 if key == "edge_featured" else 2)), "distances": rng.random(4),
             "edge_weights": rng.random(4), "layers": [0, 1, 0, 0, 2, 1]}  # fmt: skip
    graph = NeighborGraph.from_edge_index(edges, 6, **extra)
    out = attn.attend(graph, x)
    assert out.shape[0] == 6
    for bad in (None, "graph", {}, np.ones((6, 6))):
        with pytest.raises(ga.InvalidConfigError, match="graph"):
            attn.attend(bad, x)
    for name in ("queries", "keys", "values"):
        for value, error in [*bad_arrays(x), (x[:-1], ga.DimensionMismatchError), (x[None], ga.DimensionMismatchError)]:
            if name != "queries" and value is None:
                continue  # the default
            if name == "values" and attn.any_value_width and isinstance(value, np.ndarray) and value.shape[-1:] == (7,):
                continue
            with pytest.raises(error) as info:
                attn.attend(graph, **{"queries": x, name: value})
            assert name in str(info.value)
    with pytest.raises(ga.InvalidConfigError, match="need_weights"):
        attn.attend(graph, x, need_weights=1)
    y, pullback = attn.attend_vjp(graph, x)
    for g in ("text", None, y[:-1], y * 1j):
        with pytest.raises(ga.AttentionError, match="grad_output"):
            pullback(g)
    bare = NeighborGraph.from_edge_index(edges, 6)
    missing = [name for name in attn.needed if "structural" not in name and "latent" not in name]
    if missing:
        with pytest.raises(ga.InvalidConfigError, match="graph"):
            attn.attend(bare, x)


# The Fréchet mean of a NaN point does not converge, and raises an error.
@pytest.mark.parametrize("key", [key for key in KEYS if key != "manifold"])
def test_check_finite_false_lets_nan_through(key):
    attn, inputs = example(key)
    config = attn.to_config()
    config["options"]["check_finite"] = False
    loose = ga.from_config(config)
    x = dict(inputs)
    x["values"] = x["values"].copy()
    x["values"][0, 0] = np.nan
    with pytest.raises(ga.NumericalInstabilityError, match="values"):
        call(attn, "forward", x)
    with np.errstate(all="ignore"):
        out = call(loose, "forward", x)
    assert out.shape == call(attn, "forward", inputs).shape


@pytest.mark.parametrize("key", KEYS)
def test_accepted_kinds(key):
    """Lists, float16, integers, other byte orders, strided, read-only and masked arrays are accepted."""
    attn, inputs = example(key)
    x = dict(inputs)
    args = [x.pop(n) for n in ("query", "keys", "values")]
    exact = attn.forward(*args, **x)
    read_only = [a.copy() for a in args]
    for a in read_only:
        a.setflags(write=False)
    same = {
        "lists": [a.tolist() for a in args],
        "big endian": [a.astype(">f8") for a in args],
        "strided": [np.repeat(a, 2, axis=-1)[..., ::2] for a in args],
        "fortran": [np.asfortranarray(a) for a in args],
        "read-only": read_only,
        "masked": [np.ma.masked_array(a) for a in args],
    }
    for kind, changed in same.items():
        out = attn.forward(*changed, **x)
        assert type(out) is np.ndarray, kind
        assert out.dtype == np.float64, kind
        np.testing.assert_allclose(out, exact, rtol=1e-12, atol=1e-14, err_msg=kind)
    half = attn.forward(*(a.astype(np.float16) for a in args), **x)
    assert half.dtype == np.float32
    np.testing.assert_allclose(half, exact, atol=3e-2)
    assert attn.forward(*((a * 3).astype(int) for a in args), **x).dtype == np.float32
    mixed = attn.forward(args[0].astype(np.float32), *args[1:], **x)
    assert mixed.dtype == np.float64
    with pytest.raises(ga.InvalidConfigError, match="masked"):
        attn.forward(np.ma.masked_array(args[0], mask=np.arange(8) == 2), *args[1:], **x)

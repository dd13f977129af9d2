"""Rare paths through the mechanisms: default arguments, gradients of dropout, incomplete user-defined classes."""

import dataclasses
from typing import Any, ClassVar

import numpy as np
import pytest
from graph_cases import case

import graphattend as ga
from graphattend.mechanisms import mechanism_class
from graphattend.mechanisms._biased import Biased
from graphattend.testing import check_mechanism

DROPPING = [key for key in ga.list_mechanisms() if "dropout" in ga.schema(key)["properties"]]


@pytest.mark.parametrize("key", ga.list_mechanisms())
def test_keys_that_default_to_queries_add_their_gradient(key, rng):
    attn, graph, x = case(key, rng)
    values = x[::-1].copy()
    out, pull = attn.attend_vjp(graph, x, values=values)
    explicit, pull_explicit = attn.attend_vjp(graph, x, x, values)
    np.testing.assert_allclose(out, explicit, rtol=1e-12, atol=1e-14)
    g = rng.standard_normal(np.shape(out))
    defaulted, each = pull(g), pull_explicit(g)
    scale = np.abs(each.query).max() + np.abs(each.keys).max()
    np.testing.assert_allclose(defaulted.query, each.query + each.keys, rtol=1e-9, atol=1e-12 * scale)
    np.testing.assert_allclose(defaulted.values, each.values, rtol=1e-9, atol=1e-12 * np.abs(each.values).max())


@pytest.mark.parametrize("key", DROPPING)
def test_the_gradient_through_dropout_is_that_of_the_seed(key, rng):
    example, inputs = mechanism_class(key).example(rng, 6)
    config = example.to_config()
    attn = ga.from_config(config | {"options": config["options"] | {"dropout": 0.4}})
    attn = attn.with_parameters(example.parameters())
    given = {name: x for name, x in inputs.items() if name != "values"} | {"training": True, "rng": 3}
    values = np.asarray(inputs["values"], float)
    out, pull = attn.vjp(values=values, **given)
    g, step = rng.standard_normal(np.shape(out)), rng.standard_normal(values.shape)
    h = 1e-6
    ahead, behind = (attn.forward(values=values + sign * h * step, **given) for sign in (1, -1))
    slope = ((ahead - behind) * g).sum() / (2 * h)
    assert (pull(g).values * step).sum() == pytest.approx(slope, rel=1e-5, abs=1e-8)
    assert not np.allclose(out, attn.forward(values=values, **{n: x for n, x in given.items() if n != "training"}))


@pytest.mark.parametrize("key", DROPPING)
def test_dropout_over_a_graph_repeats_by_its_seed(key, rng):
    example, graph, x = case(key, rng)
    config = example.to_config()
    attn = ga.from_config(config | {"options": config["options"] | {"dropout": 0.5}})
    first, again, other = (attn.attend(graph, x, training=True, rng=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first, attn.attend(graph, x))


def test_latent_values_that_default_to_latent_keys_add_their_gradient(rng):
    attn, inputs = mechanism_class("cross_space").example(rng, 5)
    latents = rng.standard_normal((4, attn.dim))
    given = {name: x for name, x in inputs.items() if name != "metadata"}
    found = []
    for fields in ({"latent_keys": latents}, {"latent_keys": latents, "latent_values": latents}):
        out, pull = attn.vjp(**given, metadata=ga.GraphMetadata(**fields))
        found.append((out, pull(np.ones(np.shape(out))).metadata))
    (out, defaulted), (explicit, each) = found
    np.testing.assert_allclose(out, explicit, rtol=1e-12)
    np.testing.assert_allclose(defaulted["latent_keys"], each["latent_keys"] + each["latent_values"], rtol=1e-9)


def test_nodes_of_a_wrong_shape_are_named_also_where_nan_is_allowed():
    attn = ga.create("scaled_dot_product", 4, check_finite=False)
    graph = ga.NeighborGraph([0, 1, 2], [1, 0])
    with pytest.raises(ga.DimensionMismatchError, match="queries"):
        attn.attend(graph, np.full((3, 4), np.nan))


def test_rubbish_that_every_row_sees_goes_on():
    attn = ga.create("scaled_dot_product", 4, check_finite=False)
    keys = np.ones((3, 4))
    keys[1, 0] = np.nan
    out = attn.forward(np.ones((2, 4)), keys, np.ones((3, 4)), attn_mask=np.ones((2, 3), bool))
    assert np.isnan(out).all()


@dataclasses.dataclass(frozen=True, eq=False)
class Scoreless(ga.Attention):
    """A class without scores."""

    key: ClassVar[str] = "scoreless"
    family: ClassVar[str] = "core"
    complexity: ClassVar[str] = "O(1)"


def test_a_class_without_scores_says_so():
    with pytest.raises(ga.UnsupportedError, match="Scoreless: has no scores"):
        Scoreless(4).forward(np.ones(4), np.ones((3, 4)), np.ones((3, 4)))


@dataclasses.dataclass(frozen=True, eq=False)
class Pairless(Biased, ga.Attention):
    """A class of dot products and a bias without scores of pairs."""

    key: ClassVar[str] = "pairless"
    family: ClassVar[str] = "core"
    complexity: ClassVar[str] = "O(1)"


def test_a_class_without_scores_of_pairs_says_so():
    with pytest.raises(ga.UnsupportedError, match="Pairless: has no scores"):
        Pairless(4).forward(np.ones((2, 4)), np.ones((3, 4)), np.ones((3, 4)))


class Careless(ga.ScaledDotProductAttention):
    """A class that accepts all inputs."""

    def forward(self, *arrays: Any, **options: Any) -> Any:
        return np.zeros(self.dim)


class Forgetful(ga.EdgeFeaturedAttention):
    """A class that does not declare the metadata it needs."""

    def forward(self, *arrays: Any, metadata: Any = None, **options: Any) -> Any:
        return np.zeros(self.dim) if metadata is None else super().forward(*arrays, metadata=metadata, **options)


@pytest.mark.parametrize(("cls", "says"), [(Careless, "accepted bad query"), (Forgetful, "accepted missing metadata")])
def test_the_laws_find_a_class_that_takes_bad_input(cls, says):
    with pytest.raises(AssertionError, match=says):
        check_mechanism(cls, laws=["bad_input"])


METHODS = [name for name in vars(ga.geometry.Manifold) if not name.startswith("_")]
#: A class with the methods of `Manifold` and no others.
Borrowed = type("Borrowed", (), {name: getattr(ga.geometry.Euclidean(), name) for name in METHODS})


def test_a_manifold_without_a_config_cannot_be_saved(rng):
    attn, x = ga.ManifoldAttention(3, manifold=Borrowed()), rng.standard_normal((4, 3))
    flat = ga.ManifoldAttention(3, manifold=ga.geometry.Euclidean())
    np.testing.assert_allclose(attn.forward(x, x, x), flat.forward(x, x, x), rtol=1e-12)
    with pytest.raises(ga.UnsupportedError, match="Borrowed has no to_config") as info:
        attn.to_config()
    assert info.value.argument == "manifold"


@dataclasses.dataclass(frozen=True, eq=False)
class Averaging(ga.Attention):
    """A class whose core has no weights."""

    key: ClassVar[str] = "averaging"
    family: ClassVar[str] = "core"
    complexity: ClassVar[str] = "O(N)"

    def _core(self, q: Any, k: Any, v: Any, context: Any) -> Any:
        mean = 0 if v is None else v.mean(axis=-2, keepdims=True)  # there are no values if only weights are wanted
        return mean + np.zeros((*q.shape[:-1], self.dim)), None, None


def test_a_core_without_weights_says_so(rng):
    x = rng.standard_normal((4, 3))
    np.testing.assert_allclose(Averaging(3).forward(x, x, x), np.tile(x.mean(axis=0), (4, 1)), rtol=1e-12)
    with pytest.raises(ga.UnsupportedError, match="averaging has no weights"):
        Averaging(3).attention_weights(x, x)


def test_a_builder_has_no_private_names():
    builder = ga.MultiHeadAttention.builder(4)
    assert not hasattr(builder, "_anything")
    with pytest.raises(ga.InvalidConfigError, match="num_head"):
        builder.num_head(2)

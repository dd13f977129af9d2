import dataclasses

import numpy as np
import pytest

import graphattend as ga
from graphattend.cli import COMMANDS
from graphattend.compression import CODECS, Codec, Compressed, Quantizer
from graphattend.geometry import MANIFOLDS, ManifoldBase, Poincare
from graphattend.graph.formats import FORMATS
from graphattend.mechanisms import REGISTRY
from graphattend.registry import Registry
from graphattend.training import LOSSES, OPTIMIZERS, SCHEDULES

ALL = {r.kind: r for r in (REGISTRY, MANIFOLDS, CODECS, LOSSES, OPTIMIZERS, SCHEDULES, COMMANDS, FORMATS)}


@pytest.fixture
def registered():
    """Return a function that registers for the duration of a test."""
    done = []

    def register(registry, name, thing):
        registry.register(name)(thing)
        done.append((registry, name))
        return thing

    yield register
    for registry, name in done:
        del registry._things[name]


@pytest.mark.parametrize("kind", ALL)
def test_every_entry_is_found(kind):
    registry = ALL[kind]
    assert len(registry) == len(list(registry)) >= 4
    for name in registry:
        assert name in registry
        assert registry.find(name) is registry[name] is registry.find(name)


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("name", ["no-such-thing", "", None, 3, ["list"]])
def test_an_unknown_name_is_a_typed_error(kind, name):
    registry = ALL[kind]
    with pytest.raises(ga.InvalidConfigError, match="what: expected one of") as caught:
        registry.find(name, "what")
    assert caught.value.argument == "what"
    assert caught.value.expected == list(registry)
    assert isinstance(name, list) or name not in registry


def test_the_nearest_name_is_suggested():
    with pytest.raises(ga.InvalidConfigError, match="did you mean 'quantizer'"):
        CODECS.find("quantiser")


@pytest.mark.parametrize("name", ["quantizer", 3])
def test_a_name_is_registered_once(name):
    with pytest.raises(ga.InvalidConfigError) as caught:
        CODECS.register(name)
    assert caught.value.argument == "name"


def test_entries_keep_their_order_and_modules_load_when_asked_for():
    registry = Registry("thing", {"b": "graphattend.geometry.sphere:Sphere", "a": "graphattend.errors"})
    registry.register("c")(len)
    assert list(registry) == ["b", "a", "c"]
    assert registry["a"] is ga.errors
    assert registry["b"] is ga.geometry.Sphere
    assert registry.attributes()["Sphere"] == "graphattend.geometry.sphere"
    assert repr(registry) == "Registry('thing', ['b', 'a', 'c'])"


def test_public_classes_are_registered():
    assert {MANIFOLDS[name].__name__ for name in MANIFOLDS} <= set(ga.geometry.__all__)
    assert {CODECS[name].key for name in CODECS} == set(CODECS)
    for registry in (LOSSES, OPTIMIZERS):
        assert set(registry) <= set(ga.training.__all__)
    assert set(SCHEDULES) == set(ga.training.schedules.__all__) - {"Schedule"}


def test_a_manifold_of_ones_own_comes_back_from_its_description(registered):
    @dataclasses.dataclass(frozen=True)
    class Stretched(ManifoldBase):
        factor: float = 2.0

        def dist(self, x, y):
            return self.factor * np.linalg.norm(np.asarray(x) - y, axis=-1)

        def to_config(self):
            return {"type": "stretched", "factor": self.factor}

    registered(MANIFOLDS, "stretched", Stretched)
    assert ga.geometry.from_config(Stretched(3.0).to_config()) == Stretched(3.0)
    product = ga.geometry.Product([(Poincare(), 2), (Stretched(), 3)])
    assert ga.geometry.from_config(product.to_config()) == product


def test_a_codec_of_ones_own_comes_back_from_its_file(registered, tmp_path):
    @dataclasses.dataclass(frozen=True)
    class Plain(Codec):
        key = "plain"

        def encode(self, x):
            return self._compressed(x.shape, x.dtype, {"x": x}, 0.0)

        def _decode(self, shape, dtype, arrays):
            return arrays["x"]

        def _check(self, shape, dtype, arrays):
            pass

    registered(CODECS, "plain", Plain)
    Plain().encode(np.ones((2, 3))).save(tmp_path / "plain.npz")
    assert np.array_equal(Compressed.load(tmp_path / "plain.npz").decode(), np.ones((2, 3)))
    assert isinstance(CODECS["quantizer"](), Quantizer)


def test_a_loss_of_ones_own_can_be_named_by_javascript(registered):
    from graphattend._bridge_training import Training

    def far(output, targets, *, index=None):
        return ga.training.reconstruction(output, targets, index=index)

    def far_vjp(output, targets, *, index=None):
        return ga.vjp(ga.training.reconstruction, output, targets, index=index)

    from graphattend._vjp import differentiable

    registered(LOSSES, "far", differentiable(far_vjp)(far))
    x = np.eye(3, 4)
    graph = ga.NeighborGraph.from_edge_index([[0, 1, 2], [1, 2, 0]], 3)
    losses = {}
    for name in ("far", None):
        run = Training(ga.MultiHeadAttention(4), graph, x, None, x, None, {"loss": name, "epochs": 3, "lr": 0.01})
        while run.steps() is not None:
            pass
        losses[name] = run.result()["losses"]
    assert losses["far"] == losses[None]
    assert losses["far"][2] < losses["far"][0]
    with pytest.raises(ga.InvalidConfigError, match="loss: expected one of"):
        Training(ga.MultiHeadAttention(4), graph, x, None, x, None, {"loss": "fra"})

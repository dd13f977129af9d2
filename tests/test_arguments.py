"""Constructors raise typed errors for wrong, missing and extra arguments; other errors inside propagate unchanged."""

import dataclasses
import inspect

import numpy as np
import pytest

import graphattend as ga
from graphattend._arguments import TypedArguments

T, C, G = ga.training, ga.compression, ga.geometry


CALLS = [
    (lambda: T.SGD(lr=0.1, momentm=0.9), "momentm: no such option of SGD (did you mean 'momentum'?)"),
    (lambda: T.Adam(lrr=0.1), "lrr: no such option of Adam (did you mean 'lr'?)"),
    (lambda: T.RiemannianAdam(lr=0.1), "RiemannianAdam: missing a required"),
    (lambda: T.Trainer(lambda *a: 0, T.SGD(0.1), epoch=3), "epoch: no such option of Trainer (did you mean 'epochs'?)"),
    (lambda: T.Trainer(), "Trainer: missing a required argument: 'objective'"),
    (lambda: T.LossBalancer(methd="fixed"), "did you mean 'method'"),
    (lambda: T.CurriculumScheduler(), "CurriculumScheduler: missing"),
    (lambda: T.schedules.cosine(0.1, total=3), "total: no such option of cosine (did you mean 'total_steps'?)"),
    (lambda: T.Pairs(), "Pairs: missing"),
    (lambda: C.Quantizer(bit=8), "did you mean 'bits'"),
    (lambda: C.Tucker(), "Tucker: missing"),
    (lambda: G.Poincare(curvatur=-1.0), "did you mean 'curvature'"),
    (lambda: G.Sphere(1.0, 2.0), "Sphere: too many positional arguments"),
    (lambda: ga.GraphMetadata(edge_feature=np.ones((1, 1))), "did you mean 'edge_features'"),
    (lambda: ga.NeighborGraph([0]), "NeighborGraph: missing"),
    (lambda: ga.MultiHeadAttention.builder(8).num_heads(), "num_heads: expected one value, got 0"),
    (lambda: ga.MultiHeadAttention.builder(8).num_heads(1, 2), "num_heads: expected one value, got 2"),
]


@pytest.mark.parametrize(("call", "message"), CALLS)
def test_wrong_arguments(call, message):
    with pytest.raises(ga.InvalidConfigError) as info:
        call()
    assert message in str(info.value)
    assert info.value.__suppress_context__ or info.value.__context__ is None


def test_a_fault_inside_a_constructor_is_not_hidden():
    @dataclasses.dataclass
    class Odd(metaclass=TypedArguments):
        x: int

        def __post_init__(self):
            len(self.x)

    with pytest.raises(TypeError, match="len"):
        Odd(3)


def test_signatures_stay_readable():
    assert list(inspect.signature(G.Poincare).parameters) == ["curvature"]
    assert inspect.signature(T.Adam).parameters["eps"].default == 1e-8

"""Every law for every registered mechanism."""

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest

import graphattend as ga
from graphattend.mechanisms import mechanism_class
from graphattend.mechanisms._base import Attention
from graphattend.mechanisms._options import option
from graphattend.testing import LAWS, check_mechanism


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("key", ga.list_mechanisms())
def test_law(key, law):
    check_mechanism(mechanism_class(key), laws=[law])


@pytest.mark.parametrize("key", ga.list_mechanisms())
def test_registry_entry_is_complete(key):
    cls = mechanism_class(key)
    assert cls.key == key
    assert cls.family in ("core", "geometric", "sparse", "graph", "adaptive")
    assert cls.complexity.startswith("O(")
    schema = ga.schema(key)
    assert schema["x-class"] == cls.__name__ == getattr(ga, cls.__name__).__name__
    assert all(p["description"] for p in schema["properties"].values())


@dataclasses.dataclass(frozen=True, eq=False)
class Laplace(Attention):
    """A user-defined mechanism whose scores are negative absolute distances times a learned rate."""

    rate: float = option("float", 1.0, "initial rate", above=0.0)

    key: ClassVar[str] = "laplace"
    family: ClassVar[str] = "core"
    complexity: ClassVar[str] = "O(M·N·D)"
    any_value_width: ClassVar[bool] = True
    laws: ClassVar[frozenset[str]] = frozenset({"permutation", "weights_times_values"})

    def _init_parameters(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        return {"rate": np.asarray(self.rate)}

    def _scores(self, q: Any, k: Any, meta: Any, p: Any) -> tuple[np.ndarray, Callable[..., Any]]:
        difference = q[..., :, None, :] - k[..., None, :, :]
        distance = np.abs(difference).sum(axis=-1)

        def pull(gs: np.ndarray) -> Any:
            g = -p["rate"] * gs[..., None] * np.sign(difference)
            return g.sum(axis=-2), -g.sum(axis=-3), {"rate": -(gs * distance).sum()}, {}

        return -p["rate"] * distance, pull


@pytest.mark.parametrize("law", LAWS)
def test_mechanism_of_a_user_passes_the_same_laws(law):
    check_mechanism(Laplace, laws=[law])


def test_a_wrong_gradient_is_found():
    @dataclasses.dataclass(frozen=True, eq=False)
    class Wrong(Laplace):
        def _scores(self, q, k, meta, p):
            s, pull = super()._scores(q, k, meta, p)
            return s, lambda gs: (2 * pull(gs)[0], *pull(gs)[1:])

    with pytest.raises(AssertionError, match="query"):
        check_mechanism(Wrong, laws=["gradients"])

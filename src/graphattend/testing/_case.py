"""A mechanism with its example inputs, the argument of the laws."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from ..graph import GraphMetadata
from ..mechanisms._base import Attention


@dataclasses.dataclass(frozen=True)
class Case:
    attn: Attention
    inputs: dict[str, Any]
    seed: int

    @classmethod
    def make(cls, target: type[Attention] | Attention, seed: int, n: int = 7) -> Case:
        rng = np.random.default_rng(seed)
        kind = target if isinstance(target, type) else type(target)
        attn, inputs = kind.example(rng, n)
        attn = attn if isinstance(target, type) else target
        if attn.unread and "metadata" in inputs:  # its options do not allow these fields
            inputs = inputs | {"metadata": dataclasses.replace(inputs["metadata"], **dict.fromkeys(attn.unread))}
        return cls(attn, inputs, seed)

    @property
    def rng(self) -> np.random.Generator:
        return np.random.default_rng(self.seed + 1)

    def forward(self, attn: Attention | None = None, **changes: object) -> Any:
        x = {**self.inputs, **changes}
        return (attn or self.attn).forward(x.pop("query"), x.pop("keys"), x.pop("values"), **x)

    def queries(self, m: int = 3) -> np.ndarray:
        """Return m queries like the example's, (m, D); none equals a key, where some distances have no derivative."""
        others = (type(self.attn).example(np.random.default_rng([self.seed, i]), 1)[1] for i in range(1, m))
        return np.stack([self.inputs["query"], *(x["query"] for x in others)])

    def batched(self, b: int = 2) -> dict[str, Any]:
        """Return the example with a leading batch axis of length 2; the second entry has the keys in reverse order."""
        x = dict(self.inputs)
        x["query"] = np.stack([self.queries(3), self.queries(3)[::-1]])
        for name in ("keys", "values"):
            x[name] = np.stack([x[name], x[name][::-1]])
        if x.get("metadata") is not None:
            x["metadata"] = map_metadata(x["metadata"], lambda a: np.stack([a, a[::-1]]))
        return x


def map_metadata(metadata: GraphMetadata, f: Callable[[np.ndarray], np.ndarray]) -> GraphMetadata:
    """Apply `f` to the fields that have one row per key (or per latent key)."""
    fields = {}
    for field in dataclasses.fields(metadata):
        value = getattr(metadata, field.name)
        if value is not None and not field.name.startswith("query"):
            value = f(np.asarray(value))
        fields[field.name] = value
    return GraphMetadata(**fields)


def close(actual: object, expected: object, rtol: float, what: str) -> None:
    a, b = np.asarray(actual), np.asarray(expected)
    assert a.shape == b.shape, f"{what}: shapes {a.shape} and {b.shape}"
    if not a.size:
        return
    scale = max(float(np.abs(b).max()), 1e-30)
    worst = float(np.abs(a - b).max()) / scale
    assert worst <= rtol, f"{what}: relative difference {worst:.2e} > {rtol:.0e}"


def vjp_of(case: Case, changes: dict[str, Any], attn: Attention | None = None) -> Any:
    x = {**case.inputs, **changes}
    return (attn or case.attn).vjp(x.pop("query"), x.pop("keys"), x.pop("values"), **x)

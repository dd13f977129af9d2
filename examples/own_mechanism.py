"""Write your own mechanism in 30 lines.

A mechanism is a frozen dataclass: options as fields, and a stage that scores queries against keys together with its
vector-Jacobian product. The base class does the rest: checks, softmax, masks, gradients, graphs, files. Registered,
it can be created by name, compared, evaluated and saved; `check_mechanism` holds it to the laws that all mechanisms
keep.
"""

import dataclasses
from typing import Any, ClassVar

import numpy as np

import graphattend as ga
from graphattend.mechanisms import REGISTRY, option
from graphattend.testing import check_mechanism


@REGISTRY.register("manhattan")
@dataclasses.dataclass(frozen=True, eq=False)
class ManhattanAttention(ga.Attention):
    """Attention by nearness in the sum of absolute differences: softmax(-|q - k|₁ / temperature) over the keys."""

    temperature: float = option("float", 1.0, "divides the distances", above=0.0)
    key: ClassVar[str] = "manhattan"
    family: ClassVar[str] = "core"
    complexity: ClassVar[str] = "O(M·N·D)"

    def _scores(self, q: np.ndarray, k: np.ndarray, meta: Any, p: Any) -> Any:
        difference = q[..., :, None, :] - k[..., None, :, :]
        factor = np.asarray(-1.0 / self.temperature, q.dtype)

        def pullback(g: np.ndarray) -> Any:
            moved = np.sign(difference) * (factor * g)[..., None]
            return moved.sum(-2), -moved.sum(-3), {}, {}

        return np.abs(difference).sum(-1) * factor, pullback


print("laws that hold:", ", ".join(check_mechanism(ManhattanAttention)))

graph = ga.NeighborGraph.knn(np.random.default_rng(0).standard_normal((40, 3)), 4)
result = ga.analysis.analyze(graph, keys=["manhattan", "scaled_dot_product"], dim=4)
print(f"agrees with dot products by {result.agreement[0, 1]:.2f}")

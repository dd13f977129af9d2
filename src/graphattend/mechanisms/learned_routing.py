"""A learned choice between mechanisms, soft or hard."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

import numpy as np

from .. import simd
from .._validate import ArrayLike
from ..functional.softmax import softmax_pullback
from ._base import Attention
from ._mixture import Routed, as_members
from ._options import option
from ._router import Gates


@dataclasses.dataclass(frozen=True, eq=False)
class LearnedRoutingAttention(Routed):
    """Route each query to mechanisms by a learned linear router.

    With mode="soft", the output is the average of all mechanisms' outputs with weights softmax(logits /
    router_temperature). With "hard", it is the output of the most likely mechanism. The router's gradient is then that
    of the soft mixture (straight-through), for which the backward pass computes all mechanisms. The parameters are
    ``w_router``, ``b_router`` and ``experts/x/name``.

    Args:
        dim: Width D of queries, keys and values.
        mechanisms: Mechanisms with the same dim, or their configs; scaled_dot_product and hyperbolic by default.
        mode: "soft" or "hard".
        router_temperature: Divides the router's logits.
        seed: Seed of the router.
        check_finite: Whether NaN and infinity in the inputs raise an error.

    Source:
        Jacobs et al. 1991, "Adaptive Mixtures of Local Experts" (soft); Bengio et al. 2013, "Estimating or Propagating
        Gradients Through Stochastic Neurons for Conditional Computation" (straight-through).

    Example:
        >>> import numpy as np, graphattend as ga
        >>> attn = ga.LearnedRoutingAttention(8, mode="hard")
        >>> attn.shares(np.ones(8))
        array([1., 0.])
    """

    mechanisms: Any = option(
        "any",
        None,
        "configs of the mechanisms to choose from; null means scaled_dot_product and hyperbolic",
        nullable=True,
        schema={"type": ["array", "null"], "items": {"type": "object"}},
    )
    mode: str = option("str", "soft", "weigh all mechanisms or use the likeliest", choices=("soft", "hard"))
    router_temperature: float = option("float", 1.0, "divides the router's logits", above=0.0)

    key: ClassVar[str] = "learned_routing"
    family: ClassVar[str] = "adaptive"
    complexity: ClassVar[str] = "O(M·D·X) + all mechanisms (soft) or one (hard)"
    laws: ClassVar[frozenset[str]] = frozenset({"permutation"})
    _members_field: ClassVar[str] = "mechanisms"

    def _check_options(self) -> None:
        from . import create

        chosen = self.mechanisms
        if chosen is None:
            chosen = [create(key, self.dim, seed=self.seed) for key in ("scaled_dot_product", "hyperbolic")]
        object.__setattr__(self, "mechanisms", as_members(chosen, self.dim, "mechanisms"))

    @classmethod
    def example(cls, rng: np.random.Generator, n: int, dim: int = 8) -> tuple[Attention, dict[str, Any]]:
        """Return an example with small coordinates, which lie inside the unit ball."""
        x = rng.standard_normal((2 * n + 1, dim)) * (0.32 / dim) ** 0.5
        return cls(dim), {"query": x[0], "keys": x[1 : n + 1], "values": x[n + 1 :]}

    def _encode_option(self, name: str, value: Any) -> Any:
        return [m.to_config() for m in value] if name == "mechanisms" else value

    @property
    def all_in_backward(self) -> bool:  # type: ignore[override]
        """Whether the router's gradient needs mechanisms that were not chosen."""
        return self.mode == "hard"

    def _gates(self, logits: np.ndarray) -> Gates:
        factor = logits.dtype.type(1 / self.router_temperature)
        soft = simd.softmax(logits * factor)
        shares = soft
        if self.mode == "hard":
            shares = (np.arange(logits.shape[-1]) == logits.argmax(axis=-1)[..., None]).astype(logits.dtype)
        return Gates(shares, lambda g: softmax_pullback(soft, g) * factor)

    def _routes(self, logits: list[float]) -> dict[int, float]:
        highest = max(logits)
        if self.mode == "hard":
            return {logits.index(highest): 1.0}
        exps = [math.exp((x - highest) / self.router_temperature) for x in logits]
        total = sum(exps)
        return {i: e / total for i, e in enumerate(exps)}

    def get_routing(self, query: ArrayLike) -> Any:
        """Return the gate weights of the mechanisms for a query.

        Args:
            query: (D,), or (M, D).

        Returns:
            ``[(index, share), ...]`` in order of decreasing share; for several queries a list of such lists.

        Example:
            >>> import numpy as np, graphattend as ga
            >>> len(ga.LearnedRoutingAttention(8).get_routing(np.ones(8)))
            2
        """
        shares = self.shares(query)
        order = np.argsort(-shares, axis=-1, kind="stable")
        rows = [
            [(int(i), float(s[i])) for i in o] for s, o in zip(np.atleast_2d(shares), np.atleast_2d(order), strict=True)
        ]
        return rows[0] if shares.ndim == 1 else rows

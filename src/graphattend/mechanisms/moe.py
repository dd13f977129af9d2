"""Mixture of experts: a router chooses a few mechanisms for each query."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

import numpy as np

from .._validate import ArrayLike, as_int
from ..errors import InvalidConfigError
from ..functional.gating import load_balance_loss, scatter, top_k
from ..functional.softmax import softmax_pullback
from ..graph import GraphMetadata
from ._base import Attention
from ._builder import Builder
from ._mixture import Routed, as_members
from ._options import option
from ._router import Gates


@dataclasses.dataclass(frozen=True, eq=False)
class MoEAttention(Routed):
    """A sparse mixture of attention mechanisms: output Σ weight · expert(query, keys, values) over the chosen experts.

    The router is linear in the query. Its `top_k` highest logits select the experts, and their softmax gives the gate
    weights. Experts that no query selects are not computed. Gradients flow through the weights and the selected
    experts. The parameters are ``w_router``, ``b_router`` and ``experts/x/name``.

    Args:
        dim: Width D of queries, keys and values.
        experts: Mechanisms with the same dim, or their configs. The default experts are local (scaled_dot_product),
            hierarchical (hyperbolic), global (linear) and structural (edge_featured).
        top_k: Number of experts per query.
        seed: Seed of the router and of the default experts.
        check_finite: Whether NaN and infinity in the inputs raise an error.

    Source:
        Shazeer et al. 2017, "Outrageously Large Neural Networks: The Sparsely-Gated Mixture-of-Experts Layer", eq. 1
        and 3-5.

    Example:
        >>> import numpy as np, graphattend as ga
        >>> moe = ga.MoEAttention.builder(8).add_local_expert().add_hyperbolic_expert(-1.0).top_k(1).build()
        >>> x = np.random.default_rng(0).standard_normal((5, 8)) * 0.2
        >>> moe.forward(x[0], x, x).shape, len(moe.get_routing(x[0]))
        ((8,), 1)
    """

    experts: Any = option(
        "any",
        None,
        "configs of the mechanisms that are mixed; null means local, hierarchical, global and structural",
        nullable=True,
        schema={"type": ["array", "null"], "items": {"type": "object"}},
    )
    top_k: int = option("int", 2, "how many experts are used per query", minimum=1)

    key: ClassVar[str] = "moe"
    family: ClassVar[str] = "adaptive"
    complexity: ClassVar[str] = "O(M·D·X) + top_k of the experts"
    laws: ClassVar[frozenset[str]] = frozenset({"permutation"})

    def _check_options(self) -> None:
        experts = _default_experts(self.dim, self.seed) if self.experts is None else self.experts
        members = as_members(experts, self.dim, "experts")
        object.__setattr__(self, "experts", members)
        if self.top_k > len(members):
            raise InvalidConfigError.of(
                "top_k", len(members), self.top_k, text=f"at most the number of experts, {len(members)}"
            )

    @classmethod
    def example(cls, rng: np.random.Generator, n: int, dim: int = 8) -> tuple[Attention, dict[str, Any]]:
        """Return an example with four experts, one of which reads edge features, and points inside the unit ball."""
        from . import create

        experts = [
            create("scaled_dot_product", dim),
            create("hyperbolic", dim),
            create("linear", dim, num_features=16),
            create("edge_featured", dim, edge_dim=2, num_heads=2),
        ]
        x = rng.standard_normal((2 * n + 1, dim)) * (0.32 / dim) ** 0.5
        inputs: dict[str, Any] = {"query": x[0], "keys": x[1 : n + 1], "values": x[n + 1 :]}
        inputs["metadata"] = GraphMetadata(edge_features=rng.standard_normal((n, 2)))
        return cls(dim, experts=experts), inputs

    @classmethod
    def builder(cls, dim: int) -> MoEBuilder:
        """Return a builder with a method for each kind of expert.

        Example:
            >>> import graphattend as ga
            >>> moe = ga.MoEAttention.builder(8).add_local_expert().add_sparse_expert(4, [0]).top_k(2).build()
            >>> [expert.key for expert in moe.experts]
            ['scaled_dot_product', 'local_global']
        """
        return MoEBuilder(cls, dim)

    def _encode_option(self, name: str, value: Any) -> Any:
        return [m.to_config() for m in value] if name == "experts" else value

    def _gates(self, logits: np.ndarray) -> Gates:
        chosen, weights = top_k(logits, self.top_k)

        def pull(g: np.ndarray) -> np.ndarray:
            inner = softmax_pullback(weights, np.take_along_axis(g, chosen, axis=-1))
            return scatter(inner, chosen, logits.shape)

        return Gates(scatter(weights, chosen, logits.shape), pull)

    def _routes(self, logits: list[float]) -> dict[int, float]:
        rest, highest, exps = logits.copy(), max(logits), {}
        for _ in range(self.top_k):
            top = max(rest)
            i = rest.index(top)
            exps[i], rest[i] = math.exp(top - highest), -math.inf
        total = sum(exps.values())
        return {i: e / total for i, e in exps.items()}

    def get_routing(self, query: ArrayLike) -> Any:
        """Return the experts selected for a query and their gate weights.

        Args:
            query: (D,), or (M, D).

        Returns:
            ``[(index, weight), ...]`` in order of decreasing weight; for several queries a list of such lists.

        Example:
            >>> import numpy as np, graphattend as ga
            >>> moe = ga.MoEAttention(8)
            >>> round(sum(weight for _, weight in moe.get_routing(np.ones(8))), 6)
            1.0
        """
        logits = self.router_logits(query)
        chosen, weights = top_k(np.atleast_2d(logits), self.top_k)
        flat = zip(chosen.reshape(-1, self.top_k), weights.reshape(-1, self.top_k), strict=True)
        rows = [[(int(i), float(w)) for i, w in zip(c, s, strict=True)] for c, s in flat]
        return rows[0] if logits.ndim == 1 else rows

    def expert_load(self, query: ArrayLike) -> np.ndarray:
        """Return the load of each expert, the fraction of queries that are routed to it, (X,).

        Args:
            query: (..., M, D) or (D,).

        Returns:
            Fractions from 0 to 1, (X,), which sum to `top_k`.

        Source:
            Fedus, Zoph and Shazeer 2022, "Switch Transformers", equation 5.

        Example:
            >>> import numpy as np, graphattend as ga
            >>> float(ga.MoEAttention(8, top_k=2).expert_load(np.ones((5, 8))).sum())
            2.0
        """
        shares = np.atleast_2d(self.shares(query))
        return (shares > 0).reshape(-1, shares.shape[-1]).mean(axis=0)

    def load(self, query: ArrayLike) -> np.ndarray:
        """Alias of `expert_load`. `graphattend.load` is a different function, which reads a mechanism from a file.

        Args:
            query: As for `expert_load`.

        Example:
            >>> import numpy as np, graphattend as ga
            >>> float(ga.MoEAttention(8, top_k=2).load(np.ones((5, 8))).sum())
            2.0
        """
        return self.expert_load(query)

    def load_balance_loss(self, query: ArrayLike) -> float:
        """Compute the load-balancing loss of these queries; see `graphattend.functional.load_balance_loss`.

        Args:
            query: (..., M, D) or (D,).

        Example:
            >>> import numpy as np, graphattend as ga
            >>> ga.MoEAttention(8).load_balance_loss(np.zeros((5, 8)))
            2.0
        """
        return float(load_balance_loss(np.atleast_2d(self.router_logits(query)), self.top_k))


def _default_experts(dim: int, seed: int) -> list[Attention]:
    from . import create

    edge = {"num_heads": next(h for h in (4, 2, 1) if dim % h == 0), "seed": seed}
    plain = ("scaled_dot_product", "hyperbolic", "linear")
    return [create(key, dim, seed=seed) for key in plain] + [create("edge_featured", dim, **edge)]


class MoEBuilder(Builder["MoEAttention"]):
    """Builder for the options of a mixture of experts. Each call returns a new builder.

    Example:
        >>> import graphattend as ga
        >>> ga.MoEAttention.builder(8).add_expert(ga.FlashAttention(8)).top_k(1).build().experts[0].key
        'flash'
    """

    def add_expert(self, expert: Attention) -> MoEBuilder:
        """Add any mechanism."""
        return self._with(experts=(*self._options.get("experts", ()), expert))

    def _add(self, key: str, **options: object) -> MoEBuilder:
        from . import create

        return self.add_expert(create(key, self._dim, **options))

    def add_local_expert(self, **options: object) -> MoEBuilder:
        """Add scaled dot-product attention."""
        return self._add("scaled_dot_product", **options)

    def add_hyperbolic_expert(self, curvature: float = -1.0, **options: object) -> MoEBuilder:
        """Add hyperbolic attention."""
        return self._add("hyperbolic", curvature=curvature, **options)

    def add_sparse_expert(self, window: int, global_nodes: object = (), **options: object) -> MoEBuilder:
        """Add local and global attention."""
        return self._add("local_global", window=window, global_nodes=global_nodes, **options)

    def add_global_expert(self, num_features: int = 256, **options: object) -> MoEBuilder:
        """Add linear attention."""
        return self._add("linear", num_features=num_features, **options)

    def add_structural_expert(self, edge_dim: int = 0, **options: object) -> MoEBuilder:
        """Add edge-featured attention."""
        return self._add("edge_featured", edge_dim=edge_dim, **options)

    def top_k(self, k: int) -> MoEBuilder:
        """Set the number of experts per query."""
        return self._with(top_k=as_int(k, "top_k", minimum=1))

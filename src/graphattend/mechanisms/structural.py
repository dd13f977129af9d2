"""Attention that uses structural features of the nodes, such as degree and centralities."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from .. import simd
from .._validate import all_finite
from .._vjp import unbroadcast
from ..graph import GraphMetadata, NeighborGraph
from ._base import Attention
from ._biased import Biased, PairScores
from ._gradients import Grads, Params
from ._mechanism import EdgeScores, GraphData
from ._options import option
from ._scaled_dot import DotProduct
from ._size_limit import reserve


@dataclasses.dataclass(frozen=True, eq=False)
class StructuralAttention(Biased, DotProduct):
    """Dot-product attention with structural features of query and keys, as biases or as added features.

    s (F,) are the features of a node: degree, closeness, betweenness, PageRank, clustering, or any others. With
    mode="bias", score = scale · q·k / temperature + bias · s_j. With "features", their projections are added before the
    dot product: q + s_i @ w_query and k + s_j @ w_key. "both" does both.

    Args:
        dim: Width D of queries and keys; values may have any width.
        num_features: F, the number of structural features.
        mode: "bias", "features" or "both".
        temperature: Divides the dot products.
        scale: Factor of the dot products, 1/√D by default.
        dropout: Probability of dropping a weight in training.
        seed: Seed of the initial projections (the bias starts at zero).
        check_finite: Whether NaN and infinity in the inputs raise an error.

    Source:
        Ying et al. 2021, "Do Transformers Really Perform Bad for Graph Representation?", sections 3.1.1 (centrality
        encoding added to the features) and 3.1.2 (biases of the scores).

    Example:
        >>> import numpy as np, graphattend as ga
        >>> attn = ga.StructuralAttention(4, num_features=1, mode="bias").with_parameters({"bias": [1.0]})
        >>> x = np.ones((2, 4))
        >>> degree = ga.GraphMetadata(structural_features=[[0.0], [1.0]])
        >>> attn.attention_weights(x[0], x, metadata=degree).round(3)
        array([0.269, 0.731])
    """

    num_features: int = option("int", 5, "number of structural features", minimum=1)
    mode: str = option("str", "both", "how the features enter", choices=("bias", "features", "both"))

    key: ClassVar[str] = "structural"
    family: ClassVar[str] = "graph"
    complexity: ClassVar[str] = "O(M·N·D)"
    needs: ClassVar[tuple[str, ...]] = ("structural_features",)
    uses: ClassVar[tuple[str, ...]] = ("query_structural",)
    any_value_width: ClassVar[bool] = True
    laws: ClassVar[frozenset[str]] = frozenset({"permutation", "weights_times_values"})

    @classmethod
    def example(cls, rng: np.random.Generator, n: int, dim: int = 8) -> tuple[Attention, dict[str, Any]]:
        """Return an example with five random features per key."""
        attn, inputs = super().example(rng, n, dim)
        inputs["metadata"] = GraphMetadata(structural_features=rng.random((n, 5)), query_structural=rng.random(5))
        return attn, inputs

    @property
    def needed(self) -> tuple[str, ...]:
        """The features of the keys, and those of the query unless mode is "bias"."""
        return self.needs if self.mode == "bias" else (*self.needs, "query_structural")

    @cached_property
    def _widths(self) -> dict[str, tuple[int, str]]:
        return dict.fromkeys(("structural_features", "query_structural"), (self.num_features, "num_features"))

    def _init_parameters(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        p: dict[str, np.ndarray] = {}
        reserve(2, self.num_features, self.dim)
        if self.mode != "features":
            p["bias"] = np.zeros(self.num_features)
        if self.mode != "bias":
            limit = np.sqrt(6 / (self.num_features + self.dim))
            p |= {n: rng.uniform(-limit, limit, (self.num_features, self.dim)) for n in ("w_query", "w_key")}
        return p

    def _edge_scores(
        self, q: np.ndarray, k: np.ndarray, graph: NeighborGraph, metadata: GraphData, p: Params
    ) -> EdgeScores | None:
        s_k = metadata.per_key["structural_features"]
        biased, featured = self.mode != "features", self.mode != "bias"
        x_q, x_k, s_q = q, k, s_k
        if featured:
            s_q = metadata.per_query["query_structural"]
            x_q, x_k = simd.matmul(s_q, p["w_query"]), simd.matmul(s_k, p["w_key"])
            x_q += q
            x_k += k
        bias = (s_k @ p["bias"])[graph.indices] if biased else None

        def pull(gq: np.ndarray, gk: np.ndarray, gs: np.ndarray, g_gain: np.ndarray | None) -> tuple[Any, ...]:
            gp: Grads = {}
            # Each edge has its own gradient of the features that it reads: gs · (bias + factor · W_key x_q).
            by_row = np.zeros(s_q.shape, s_q.dtype)
            if biased:
                gp["bias"] = np.bincount(graph.indices, gs, len(s_k)).astype(s_k.dtype) @ s_k
                by_row += p["bias"]
            if featured:
                gp |= {"w_query": simd.matmul_tn(s_q, gq), "w_key": simd.matmul_tn(s_k, gk)}
                by_row += simd.matmul_nt(x_q, p["w_key"]) * q.dtype.type(self.factor)
            by_edge = np.repeat(by_row, np.diff(graph.indptr), axis=0)
            by_edge *= gs[:, None]
            return gq, gk, gp, {"structural_features": by_edge}

        return EdgeScores(x_q, x_k, self.factor, bias, pull=pull)

    def _single_scores(
        self, query: np.ndarray, keys: np.ndarray, metadata: GraphMetadata | None
    ) -> tuple[np.ndarray, dict[str, Any]] | None:
        if type(metadata) is not GraphMetadata:
            return None
        s_k: Any = metadata.structural_features
        s_q: Any = metadata.query_structural
        shape, p = (len(keys), self.num_features), self._params(query.dtype)
        by_row: Any = None
        if (s_q is None) is not (self.mode == "bias"):  # the checked pass handles fields that "bias" ignores
            return None
        for s, expected in ((s_k, shape), *(((s_q, shape[1:]),) if self.mode != "bias" else ())):
            if type(s) is not np.ndarray or s.shape != expected or s.dtype != query.dtype or not all_finite(s):
                return None
        if self.mode != "bias":
            query = query + s_q @ p["w_query"]
            by_row = simd.matmul_nt(query, p["w_key"]) * query.dtype.type(self.factor)
        if self.mode != "features":
            by_row = p["bias"][None] if by_row is None else by_row + p["bias"]
        return query, {"scale": self.factor, "bias": simd.matmul_nt(by_row, s_k)}

    def _pair_scores(self, q: np.ndarray, k: np.ndarray, meta: Params, p: Params) -> PairScores:
        # q·(k + s_k W_key) = q·k + (W_key q)·s_k, and changing a few queries costs less than changing all keys.
        s_k = meta["structural_features"]
        featured, f = self.mode != "bias", q.dtype.type(self.factor)
        x_q, s_q = q, None
        by_row = np.zeros((1, self.num_features), q.dtype)  # factor of each feature of a key in a query's scores
        if featured:
            s_q = meta["query_structural"]
            s_q = s_q[None, :] if s_q.ndim == 1 else s_q
            x_q = q + simd.matmul(s_q, p["w_query"])
            by_row = simd.matmul_nt(x_q, p["w_key"]) * f
        if self.mode != "features":
            by_row = by_row + p["bias"]
        bias = simd.matmul_nt(by_row, s_k)

        def pull(gq: np.ndarray, gk: np.ndarray, gs: np.ndarray) -> tuple[Any, ...]:
            g_row = simd.matmul(gs, s_k)
            gp: Grads = {}
            if self.mode != "features":
                gp["bias"] = g_row.reshape(-1, self.num_features).sum(axis=0)
            if s_q is not None:
                g_row *= f
                gq = gq + simd.matmul(g_row, p["w_key"])
                rows = np.broadcast_to(x_q, gq.shape).reshape(-1, self.dim)
                gp["w_key"] = simd.matmul_tn(g_row.reshape(-1, self.num_features), rows)
                g_features = unbroadcast(gq, (*s_q.shape[:-1], self.dim)).reshape(-1, self.dim)
                gp["w_query"] = simd.matmul_tn(s_q.reshape(-1, self.num_features), g_features)
            by_key = unbroadcast(
                simd.matmul_tn(gs, by_row if by_row.shape[-2] == gs.shape[-2] else _rows(by_row, gs)), s_k.shape
            )
            return unbroadcast(gq, q.shape), unbroadcast(gk, k.shape), gp, {"structural_features": by_key}

        return PairScores(x_q, k, self.factor, bias, pull)


def _rows(row: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Broadcast a row to the number of rows of `like` (..., M, N)."""
    return np.broadcast_to(row, (*row.shape[:-2], like.shape[-2], row.shape[-1]))

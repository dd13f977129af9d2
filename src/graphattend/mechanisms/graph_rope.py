"""Rotary encoding of graph distances."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from .._validate import ArrayLike, as_float, check_ndim, check_nonempty
from .._vjp import unbroadcast
from ..functional.rotary import frequencies, rotary, rotate
from ..graph import GraphMetadata, NeighborGraph
from ._base import Attention
from ._gradients import Params
from ._mechanism import EdgeScores, GraphData, SingleScores
from ._options import option
from ._scaled_dot import DotProduct


@dataclasses.dataclass(frozen=True, eq=False)
class GraphRoPEAttention(DotProduct):
    """Dot-product attention with keys rotated by their distance from the query: score = scale · q·R(d_j)k_j.

    R(d) rotates coordinate pair i by d · base^(-2i/D). R(0) is the identity, so near keys stay nearly unchanged, and
    far keys are out of phase with the query. Distances are real numbers.

    Args:
        dim: Width D of queries and keys; values may have any width.
        base: Ratio of the slowest to the fastest rotation.
        interleaved: Whether coordinate pairs are (2i, 2i+1); otherwise they are (i, i + D/2).
        temperature: Divides the scores.
        scale: Factor of the dot products, 1/√D by default.
        dropout: Probability of dropping a weight in training.
        seed: Unused; there are no parameters.
        check_finite: Whether NaN and infinity in the inputs raise an error.

    Source:
        Su et al. 2021, "RoFormer: Enhanced Transformer with Rotary Position Embedding", eq. 16, with distances
        in a graph instead of relative positions.

    Example:
        >>> import numpy as np, graphattend as ga
        >>> attn = ga.GraphRoPEAttention(4)
        >>> x = np.ones((3, 4))
        >>> hops = ga.GraphMetadata(distances=[0.0, 1.0, 2.0])
        >>> attn.attention_weights(x[0], x, metadata=hops).round(2)
        array([0.53, 0.34, 0.13])
    """

    base: float = option("float", 10000.0, "ratio of the slowest to the fastest rotation", above=0.0)
    interleaved: bool = option("bool", True, "coordinate pairs are (2i, 2i+1), else (i, i + D/2)")

    key: ClassVar[str] = "graph_rope"
    family: ClassVar[str] = "graph"
    complexity: ClassVar[str] = "O(M·N·D)"
    needs: ClassVar[tuple[str, ...]] = ("distances",)
    any_value_width: ClassVar[bool] = True
    laws: ClassVar[frozenset[str]] = frozenset({"permutation", "weights_times_values"})

    @classmethod
    def example(cls, rng: np.random.Generator, n: int, dim: int = 8) -> tuple[Attention, dict[str, Any]]:
        """Return an example with keys at random distances."""
        attn, inputs = super().example(rng, n, dim)
        inputs["metadata"] = GraphMetadata(distances=rng.random(n) * 4)
        return attn, inputs

    def apply_rotation(self, embedding: ArrayLike, distance: ArrayLike) -> np.ndarray:
        """Rotate embeddings (..., D) by distances (...).

        Args:
            embedding: (..., D).
            distance: Real numbers, of a shape that broadcasts to the leading axes (...).

        Returns:
            The rotated vectors, in the shape of `embedding` and with the same norms.

        Example:
            >>> import numpy as np, graphattend as ga
            >>> ga.GraphRoPEAttention(2).apply_rotation(np.array([1.0, 0.0]), 0.0)
            array([1., 0.])
        """
        given = as_float(embedding, "embedding")
        check_ndim(given, "embedding", 1)
        check_nonempty(given, "embedding")
        as_float(distance, "distance")
        return rotary(embedding, distance, base=self.base, interleaved=self.interleaved)

    def _single_scores(
        self, query: np.ndarray, keys: np.ndarray, metadata: GraphMetadata | None
    ) -> tuple[np.ndarray, dict[str, Any]] | None:
        if type(metadata) is not GraphMetadata or type(metadata.distances) is not np.ndarray:
            return None
        at = metadata.distances
        if at.shape != (len(keys),) or at.dtype != query.dtype:  # the kernel rejects numbers that are not finite
            return None
        return query, {"scale": self.factor, "rotation": (at, self._frequency, self.interleaved)}

    def _single_vjp(self, query: np.ndarray, keys: np.ndarray, metadata: GraphMetadata | None) -> SingleScores | None:
        scores = self._single_scores(query, keys, metadata)
        if scores is None:
            return None
        return SingleScores(*scores, lambda gq, gk, g_at: (gq, gk, {}, {"distances": g_at[0]}))

    def _edge_scores(
        self, q: np.ndarray, k: np.ndarray, graph: NeighborGraph, metadata: GraphData, p: Params
    ) -> EdgeScores | None:
        at = metadata.per_edge["distances"].astype(np.float64, copy=False)

        def pull(gq: np.ndarray, gk: np.ndarray, g_at: np.ndarray, _: None) -> tuple[Any, ...]:
            return gq, gk, {}, {"distances": g_at}

        return EdgeScores(q, k, self.factor, rotation=(at, self._frequency, self.interleaved), pull=pull)

    @cached_property
    def _frequency(self) -> np.ndarray:
        return frequencies(self.dim, self.base)

    def _scores(self, q: np.ndarray, k: np.ndarray, meta: Params, p: Params) -> tuple[np.ndarray, Callable[..., Any]]:
        distances = meta["distances"]
        at = np.broadcast_to(distances, np.broadcast_shapes(distances.shape, k.shape[:-1]))
        turned, pull_r = rotate(k, at, self.base, self.interleaved)
        s, pull_s = self._dot(q, turned)

        def pull(gs: np.ndarray) -> tuple[Any, ...]:
            gq, g_turned = pull_s(gs)
            gk, gd = pull_r(unbroadcast(g_turned, turned.shape))
            return gq, gk, {}, {"distances": unbroadcast(gd, distances.shape).astype(distances.dtype, copy=False)}

        return s, pull

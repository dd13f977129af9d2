"""Attention with the layers of an HNSW graph."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from .._vjp import unbroadcast
from ..errors import OutOfBoundsError
from ..graph import GraphMetadata, NeighborGraph
from ._base import Attention
from ._biased import Biased, PairScores
from ._gradients import Grads, Params
from ._mechanism import EdgeScores, GraphData
from ._options import option
from ._scaled_dot import DotProduct
from ._size_limit import reserve


@dataclasses.dataclass(frozen=True, eq=False)
class HNSWAwareAttention(Biased, DotProduct):
    """Dot-product attention with a learnable bias or embedding for the HNSW layers of query and keys.

    With encoding="decay", score = scale · q·k / temperature - decay · |l_i - l_j|, where the scalar ``decay`` is
    learned. With "bias", score = scale · q·k / temperature + layer_bias[l_i, l_j]; the table ``layer_bias`` (L, L) is
    learned and initially equals the decay. With "embedding", the row of ``layer_embedding`` (L, D) for its layer is
    added to each query and key.

    Args:
        dim: Width D of queries and keys; values may have any width.
        encoding: Use of the layers in the scores: "decay", "bias" or "embedding".
        num_layers: L, the number of layers in the two tables.
        decay: Initial decrease of the score per layer between query and key.
        temperature: Divides the dot products.
        scale: Factor of the dot products, 1/√D by default.
        dropout: Probability of dropping a weight in training.
        seed: Seed of the initial layer embeddings.
        check_finite: Whether NaN and infinity in the inputs raise an error.

    Source:
        Malkov & Yashunin 2018, "Efficient and robust approximate nearest neighbor search using Hierarchical Navigable
        Small World graphs" (the layers); relative biases as in Shaw et al. 2018, eq. 5.

    Example:
        >>> import numpy as np, graphattend as ga
        >>> attn = ga.HNSWAwareAttention(4, decay=1.0)
        >>> x = np.ones((2, 4))
        >>> layers = ga.GraphMetadata(hnsw_layers=[0, 1], query_layer=0)
        >>> attn.attention_weights(x[0], x, metadata=layers).round(3)
        array([0.731, 0.269])
    """

    encoding: str = option("str", "decay", "how layers enter the scores", choices=("decay", "bias", "embedding"))
    num_layers: int = option("int", 16, "number of layers of the learned tables", minimum=1)
    decay: float = option("float", 1.0, "initial decrease of the score per layer between query and key")

    key: ClassVar[str] = "hnsw_aware"
    family: ClassVar[str] = "graph"
    complexity: ClassVar[str] = "O(M·N·D)"
    needs: ClassVar[tuple[str, ...]] = ("hnsw_layers", "query_layer")
    any_value_width: ClassVar[bool] = True
    laws: ClassVar[frozenset[str]] = frozenset({"permutation", "weights_times_values"})

    @classmethod
    def example(cls, rng: np.random.Generator, n: int, dim: int = 8) -> tuple[Attention, dict[str, Any]]:
        """Return an example with keys on random layers."""
        attn, inputs = super().example(rng, n, dim)
        inputs["metadata"] = GraphMetadata(hnsw_layers=rng.integers(0, 3, n), query_layer=1)
        return attn, inputs

    def _init_parameters(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        if self.encoding == "decay":
            return {"decay": np.asarray(self.decay)}
        if self.encoding == "bias":
            reserve(self.num_layers, self.num_layers)
            layers = np.arange(self.num_layers)
            return {"layer_bias": -self.decay * np.abs(layers[:, None] - layers)}
        reserve(self.num_layers, self.dim)
        return {"layer_embedding": rng.standard_normal((self.num_layers, self.dim)) * self.dim**-0.5}

    def _check_metadata(self, metadata: Params) -> None:
        if self.encoding == "decay":
            return
        for name, layers in metadata.items():
            top = int(layers.max()) if layers.size else 0
            if top >= self.num_layers:
                raise OutOfBoundsError(
                    f"metadata.{name}: expected layers < num_layers = {self.num_layers}, got {top}",
                    index=top,
                    length=self.num_layers,
                    argument=f"metadata.{name}",
                )

    def _pair_scores(self, q: np.ndarray, k: np.ndarray, meta: Params, p: Params) -> PairScores:
        l_k = meta["hnsw_layers"]
        l_q = np.broadcast_to(meta["query_layer"], (*meta["query_layer"].shape[:-1], q.shape[-2]))
        if self.encoding == "embedding":
            x_q, x_k, pull_e = self._embed(q, k, l_q, l_k, p["layer_embedding"])
            return PairScores(x_q, x_k, self.factor, None, lambda gq, gk: (*pull_e(gq, gk), {}))
        bias, pull_b = self._bias(l_q[..., :, None], l_k[..., None, :], p)
        return PairScores(q, k, self.factor, bias, lambda gq, gk, gs: (gq, gk, pull_b(gs), {}))

    def _single_scores(
        self, query: np.ndarray, keys: np.ndarray, metadata: GraphMetadata | None
    ) -> tuple[np.ndarray, dict[str, Any]] | None:
        if type(metadata) is not GraphMetadata or self.encoding == "embedding":
            return None
        l_k, l_q = metadata.hnsw_layers, metadata.query_layer
        if type(l_k) is not np.ndarray or type(l_q) is not int or l_k.dtype.kind != "i" or l_k.shape != (len(keys),):
            return None
        least, top = (0, 1 << 31) if self.encoding == "decay" else (0, self.num_layers - 1)
        if not (least <= l_q <= top and least <= np.minimum.reduce(l_k) and np.maximum.reduce(l_k) <= top):
            return None
        return query, {"scale": self.factor, "bias": self._bias(l_q, l_k[None], self._params(query.dtype))[0]}

    def _edge_scores(
        self, q: np.ndarray, k: np.ndarray, graph: NeighborGraph, metadata: GraphData, p: Params
    ) -> EdgeScores | None:
        l_k, l_q = metadata.per_key["hnsw_layers"], metadata.per_query["query_layer"]
        if self.encoding == "embedding":
            x_q, x_k, pull_e = self._embed(q, k, l_q, l_k, p["layer_embedding"])
            return EdgeScores(x_q, x_k, self.factor, pull=lambda gq, gk, gs, gain: (*pull_e(gq, gk), {}))
        bias, pull_b = self._bias(l_q[graph.targets], l_k[graph.indices], p)
        return EdgeScores(q, k, self.factor, bias, pull=lambda gq, gk, gs, gain: (gq, gk, pull_b(gs), {}))

    def _bias(
        self, l_q: np.ndarray | int, l_k: np.ndarray, p: Params
    ) -> tuple[np.ndarray, Callable[[np.ndarray], Grads]]:
        """Return the bias of the scores for the layers of queries and keys, which broadcast, and its pullback."""
        if self.encoding == "decay":
            decay = p["decay"]
            gap = np.abs(l_q - l_k).astype(decay.dtype)
            return -decay * gap, lambda gs: {"decay": -(gs * gap).sum()}
        table = p["layer_bias"]
        flat = l_q * self.num_layers + l_k

        def pull(gs: np.ndarray) -> Grads:
            index = np.broadcast_to(flat, gs.shape).reshape(-1)
            g = np.bincount(index, weights=gs.reshape(-1), minlength=table.size).reshape(table.shape)
            return {"layer_bias": g.astype(gs.dtype, copy=False)}

        return table.reshape(-1)[flat], pull

    def _embed(
        self, q: np.ndarray, k: np.ndarray, l_q: np.ndarray, l_k: np.ndarray, table: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray, Grads]]]:
        """Add the embeddings of their layers to queries and keys; return both and the pullback."""
        e_q, e_k = table[l_q], table[l_k]

        def pull(gq: np.ndarray, gk: np.ndarray) -> tuple[np.ndarray, np.ndarray, Grads]:
            g = np.zeros_like(table)
            for layers, grad, shape in ((l_q, gq, e_q.shape), (l_k, gk, e_k.shape)):
                one_hot = (layers.reshape(-1)[:, None] == np.arange(self.num_layers)).astype(g.dtype)
                g += one_hot.T @ unbroadcast(grad, shape).reshape(-1, table.shape[1])
            return unbroadcast(gq, q.shape), unbroadcast(gk, k.shape), {"layer_embedding": g}

        return q + e_q, k + e_k, pull

"""Graph attention with edge features: GAT and GATv2."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from .. import simd
from .._float64_fallback import silence
from .._validate import ArrayLike, all_finite, as_choice, as_number
from ..functional import gat
from ..graph import GraphMetadata, NeighborGraph
from . import _edge_segments, _self_loops
from ._base import Attention
from ._boundary import Call, Inputs
from ._gradients import Arrays, Gradients, Grads, Params
from ._mechanism import SingleScores
from ._options import divide_heads, option
from ._size_limit import reserve


@dataclasses.dataclass(frozen=True, eq=False)
class EdgeFeaturedAttention(Attention):
    """Graph attention: an additive score of query, key and edge through a LeakyReLU.

    GAT: score(i, j) = LeakyReLU(a_query·W h_i + a_key·W h_j + a_edge·W_e e_ij); the value of j is W h_j.
    GATv2: score(i, j) = a·LeakyReLU(W_query h_i + W_key h_j + W_e e_ij); the value of j is W_key h_j.
    The values are projected from the `values` argument, which for a graph defaults to the keys.

    Parameters have a leading head axis, which may be omitted for one head: ``w (H, D, E)``, ``w_e (H, e, E)``,
    ``a_query, a_key, a_edge (H, E)``; for GATv2 ``w_query, w_key (H, D, E)``, ``w_e``, ``a (H, E)``; and the output's
    ``bias``, (H·E,) or (E,).

    Args:
        dim: Width D of queries, keys and values.
        edge_dim: Width e of the edge features; 0 for none.
        num_heads: H; must divide D unless `head_dim` is given.
        head_dim: Width E of a head, D/H by default.
        variant: "gat" or "gatv2".
        concat: Whether heads are concatenated to (H·E,); otherwise they are averaged to (E,).
        bias: Whether the output has a bias.
        negative_slope: Slope of the LeakyReLU below zero.
        add_self_loops: Whether each node also attends to itself. `attend` then uses `NeighborGraph.with_self_loops`.
            In `forward` the query becomes the last key and value, so that weights have N+1 columns. The mask never
            hides it, and the keys must not already contain it.
        fill_value: Edge features of an added loop: the "mean" of the node's other unmasked edges, or a number.
        dropout: Probability of dropping a weight in training.
        seed: Seed of the initial parameters (Glorot & Bengio 2010, uniform).
        check_finite: Whether NaN and infinity in the inputs raise an error.

    Source:
        Veličković et al. 2018, "Graph Attention Networks", eq. 1-6; Brody et al. 2022, "How Attentive are Graph
        Attention Networks?", eq. 7.

    Example:
        >>> import numpy as np, graphattend as ga
        >>> attn = ga.EdgeFeaturedAttention(8, edge_dim=3, num_heads=2)
        >>> x = np.random.default_rng(0).standard_normal((5, 8))
        >>> edges = ga.GraphMetadata(edge_features=np.ones((5, 3)))
        >>> attn.forward(x[0], x, x, metadata=edges).shape
        (8,)
    """

    edge_dim: int = option("int", 0, "width of the edge features; 0 means none", minimum=0)
    num_heads: int = option("int", 4, "number of heads", minimum=1)
    head_dim: int | None = option("int", None, "width of a head; null means dim / num_heads", minimum=1, nullable=True)
    variant: str = option("str", "gat", "where the nonlinearity stands", choices=("gat", "gatv2"))
    concat: bool = option("bool", True, "join the heads; else average them")
    bias: bool = option("bool", True, "whether the output has a bias")
    negative_slope: float = option("float", 0.2, "slope of the LeakyReLU below zero", minimum=0.0, maximum=1.0)
    add_self_loops: bool = option("bool", False, "whether each query also attends to itself")
    fill_value: str | float = option(
        "any",
        "mean",
        'edge features of an added loop: "mean" of the other edges or a number',
        schema={"type": ["string", "number"]},
    )
    dropout: float = option("float", 0.0, "probability of dropping a weight in training", minimum=0.0, maximum=1.0)

    key: ClassVar[str] = "edge_featured"
    family: ClassVar[str] = "geometric"
    complexity: ClassVar[str] = "O((M+N)·D² + M·N·H)"
    uses: ClassVar[tuple[str, ...]] = ("edge_features",)
    laws: ClassVar[frozenset[str]] = frozenset({"permutation"})

    def _check_options(self) -> None:
        divide_heads(self.dim, self.num_heads, self.head_dim)
        fill = self.fill_value
        if isinstance(fill, str):
            as_choice(fill, "fill_value", ("mean",))
        else:
            object.__setattr__(self, "fill_value", as_number(fill, "fill_value"))

    @classmethod
    def example(cls, rng: np.random.Generator, n: int, dim: int = 8) -> tuple[Attention, dict[str, Any]]:
        """Return an example with two heads and three edge features."""
        _, inputs = super().example(rng, n, dim)
        inputs["metadata"] = GraphMetadata(edge_features=rng.standard_normal((n, 3)))
        return cls(dim, edge_dim=3, num_heads=2), inputs

    @classmethod
    def options_from_graph(cls, graph: NeighborGraph) -> dict[str, Any]:
        """Return the width of the graph's edge features as `edge_dim`."""
        return {} if graph.edge_features is None else {"edge_dim": graph.edge_features.shape[1]}

    @property
    def heads(self) -> int:
        """H, because the weights have a head axis."""
        return self.num_heads

    @property
    def width(self) -> int:
        """Width E of a head."""
        return divide_heads(self.dim, self.num_heads, self.head_dim)

    @property
    def needed(self) -> tuple[str, ...]:
        """Edge features, unless `edge_dim` is 0."""
        return ("edge_features",) if self.edge_dim else ()

    @property
    def used(self) -> tuple[str, ...]:
        """Edge features, unless `edge_dim` is 0."""
        return self.needed

    @property
    def unread(self) -> dict[str, str]:
        """Edge features, if `edge_dim` is 0."""
        return {} if self.edge_dim else {"edge_features": "edge_dim"}

    @cached_property
    def _widths(self) -> dict[str, tuple[int, str]]:
        return {"edge_features": (self.edge_dim, "edge_dim")} if self.edge_dim else {}

    def _init_parameters(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        heads, d, width, e = self.num_heads, self.dim, self.width, self.edge_dim
        reserve(2, heads, d + e, width)

        def initial(shape: tuple[int, ...]) -> np.ndarray:
            if len(shape) == 1:
                return np.zeros(shape)
            limit = np.sqrt(6 / (shape[-2] + shape[-1]))
            return rng.uniform(-limit, limit, shape)

        shapes = gat.parameter_shapes(d, heads, width, e, self.variant, self.concat, self.bias)
        return {name: initial(shape) for name, shape in shapes.items()}

    def _check_parameter(self, name: str, value: ArrayLike, current: np.ndarray) -> np.ndarray:
        if self.num_heads == 1 and name != "bias" and np.ndim(value) == current.ndim - 1:
            value = np.asarray(value)[None]
        return super()._check_parameter(name, value, current)

    def _columns(self, x: Inputs) -> int:
        return super()._columns(x) + self.add_self_loops

    def _run(self, x: Inputs, call: Call) -> tuple[Any, Any, Any]:
        inner = super()._run
        if not self.add_self_loops:
            return inner(x, call)
        # The keys and values include the query, so they cannot have been prepared.
        return _self_loops.run(x, self.num_heads, self.fill_value, lambda looped: inner(looped, call))

    def _attend(
        self, graph: NeighborGraph, queries: ArrayLike, keys: ArrayLike | None, values: ArrayLike | None, call: Call
    ) -> tuple[np.ndarray, Any, Callable[..., Gradients]]:
        if not self.add_self_loops or not isinstance(graph, NeighborGraph):
            return self._attend_edges(graph, queries, keys, values, call)
        looped = self._attended_graph(graph)
        out, weights, pull = self._attend_edges(looped, queries, keys, values, call)

        def pullback(grad_output: ArrayLike, grad_weights: ArrayLike | None = None) -> Gradients:
            g = pull(grad_output, grad_weights)
            if "edge_features" not in g.metadata:
                return g
            return g._replace(metadata={"edge_features": self._unloop(graph, looped, g.metadata["edge_features"])})

        return out, weights, pullback

    def _attend_into(
        self, graph: NeighborGraph, qkv: Arrays, out: np.ndarray, weights: np.ndarray | None, gain: np.ndarray
    ) -> bool | None:
        q, k, v = qkv
        if weights is not None and self.add_self_loops:
            return False
        if self.variant != "gat" or not self.concat or self.num_heads * self.width != self.dim or not q is k is v:
            return False
        graph = self._attended_graph(graph)
        return _edge_segments.attend_into(self, self.negative_slope, graph, q, out, weights, gain)

    def _attended_graph(self, graph: NeighborGraph) -> Any:
        return graph.with_self_loops(fill_value=self.fill_value) if self.add_self_loops else graph

    def _attend_edges(self, graph: NeighborGraph, *args: Any) -> tuple[np.ndarray, Any, Callable[..., Gradients]]:
        """Attend in one kernel call or per edge if that fits into memory, else by chunks of neighbourhoods."""
        if self.variant != "gat" or not isinstance(graph, NeighborGraph):
            return super()._attend(graph, *args)
        found = _edge_segments.attend(self, self.negative_slope, graph, *args)
        return super()._attend(graph, *args) if found is None else found

    def _unloop(self, graph: NeighborGraph, looped: NeighborGraph, g: np.ndarray) -> np.ndarray:
        """Return the gradient of the given edges' features, including their share in the mean of an added loop."""
        rows = np.repeat(np.arange(graph.num_nodes), np.diff(graph.indptr))
        own = graph.indices != rows
        looped_rows = np.repeat(np.arange(graph.num_nodes), np.diff(looped.indptr))
        loops = looped.indices == looped_rows
        out = np.zeros((graph.indices.size, g.shape[1]), g.dtype)
        out[own] = g[~loops]
        if self.fill_value == "mean":
            others = np.bincount(rows[own], minlength=graph.num_nodes)
            share = g[loops] / np.maximum(others, 1)[:, None].astype(g.dtype)
            out[own] += share[rows[own]]
        return out

    def _fused_weights(
        self, query: Any, keys: Any, values: Any, metadata: Any, mask: Any = None
    ) -> tuple[Any, np.ndarray] | None:
        # Because a_key·(W k) = (W a_key)·k and Σ w (W v) = W Σ w v, only the query and H sums of values are projected.
        if self.variant != "gat" or self.add_self_loops or not simd.is_single(query, keys, values, self.dim):
            return None
        features = self._plain_edges(keys, metadata)
        if features is False or (values is not None and values.shape[1] != self.dim):
            return None
        *vectors, w, b = self._vectors(query.dtype)
        slope, concat = self.negative_slope, self.concat
        return simd.gat_single(query, keys, values, features, vectors, w, b, slope, concat, mask)

    def _plain_edges(self, keys: np.ndarray, metadata: GraphMetadata | None) -> Any:
        """Return the edge features (N, e) of one query, None if none are used, or False if the metadata is unusual."""
        if not self.edge_dim:
            return None if metadata is None else False
        features = metadata.edge_features if type(metadata) is GraphMetadata else None
        if type(features) is not np.ndarray or features.dtype != keys.dtype:
            return False
        return features if features.shape == (len(keys), self.edge_dim) else False

    def _vectors(self, dtype: np.dtype[Any]) -> tuple[Any, ...]:
        """Return the factors (H, ...) of a query, a key and an edge in the scores, W, and the bias of the output."""
        cast: dict[Any, Any] = self._cast  # type: ignore[attr-defined]
        found: tuple[Any, ...] | None = cast.get(("vectors", dtype))
        if found is None:
            with silence():
                p = self._params(dtype)
                named = (("w", "a_query"), ("w", "a_key"), *((("w_e", "a_edge"),) if self.edge_dim else ()))
                factors = [np.einsum("hdc,hc->hd", p[w], p[a]) for w, a in named]
            found = cast["vectors", dtype] = (*(*factors, None)[:3], p["w"], p.get("bias"))
        return found

    def _single_vjp(self, query: np.ndarray, keys: np.ndarray, metadata: GraphMetadata | None) -> SingleScores | None:
        features = self._plain_edges(keys, metadata)
        if self.variant != "gat" or self.add_self_loops or features is False or not all_finite(query):
            return None
        by_query, by_key, by_edge, *_ = self._vectors(query.dtype)
        bias = simd.matmul_nt(by_query, query)
        if features is not None:
            if not all_finite(features):
                return None
            bias = simd.matmul_nt(by_edge, features) + bias
        p = self._params(query.dtype)
        vectors = np.stack((p["a_query"], p["a_key"]), axis=1)

        def pull(g_rows: np.ndarray, gk: np.ndarray, gs: np.ndarray) -> tuple[np.ndarray, np.ndarray, Grads, Grads]:
            total = gs.sum(axis=-1)
            by_vectors = np.stack((total[:, None] * query, g_rows), axis=1)  # gradients of W a_query and W a_key
            a_query, a_key = simd.matmul(by_vectors, p["w"]).swapaxes(0, 1)
            gp = {"w": simd.matmul_tn(by_vectors, vectors), "a_query": a_query, "a_key": a_key}
            gm: Grads = {}
            if features is not None:
                gp |= gat.vector_grads(simd.matmul(gs, features), p, "w_e", "a_edge")
                gm["edge_features"] = simd.matmul_tn(gs, by_edge)
            return total[None] @ by_query, gk, gp, gm

        return SingleScores(by_key, {"scale": 1.0, "bias": bias, "slope": self.negative_slope}, pull)

    def _finish_single_vjp(
        self, query: np.ndarray, average: np.ndarray, weights: np.ndarray
    ) -> tuple[np.ndarray, Callable[..., tuple[np.ndarray, None, Grads]]]:
        # Σ w (W v) = W Σ w v
        p = self._params(average.dtype)
        out, pull = self._finish(simd.matmul(average[:, None], p["w"]), p)

        def pullback(g: np.ndarray) -> tuple[np.ndarray, None, Grads]:
            g_mixed, gp = pull(g)
            g_average = simd.matmul_nt(g_mixed, p["w"])[:, 0]
            return g_average, None, gp | {"w": average[..., None] * g_mixed}

        return out, pullback

    # -- stages ------------------------------------------------------------------------------------------------

    def _project(
        self, q: np.ndarray, k: np.ndarray, v: np.ndarray | None, p: Params
    ) -> tuple[tuple[Any, Any, Any], Callable[..., Any]]:
        return gat.project(q, k, v, p, self.variant)

    def _scores(self, q: np.ndarray, k: np.ndarray, meta: Params, p: Params) -> tuple[np.ndarray, Callable[..., Any]]:
        features = meta["edge_features"] if self.edge_dim else None
        s, pull_s = gat.scores(q, k, features, p, self.variant, self.negative_slope)

        def pull(gs: np.ndarray) -> tuple[np.ndarray, np.ndarray, Grads, Grads]:
            gq, gk, ge, gp = pull_s(gs)
            return gq, gk, gp, {} if ge is None else {"edge_features": ge}

        return s, pull

    def _finish(self, out: np.ndarray, p: Params) -> tuple[np.ndarray, Callable[..., Any]]:
        return gat.finish(out, p.get("bias"), self.concat)

"""Attention in two spaces: over graph neighbours and over latent neighbours."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import numpy as np

from .. import simd
from .._float64_fallback import silence
from .._validate import ArrayLike, check_length
from .._vjp import unbroadcast
from ..functional.dot_product import dot_product_attention
from ..functional.multi_head import linear, linear_pullback
from ..functional.softmax import softmax_pullback
from ..graph import GraphMetadata, NeighborGraph
from ._attend import check_graph, check_nodes, defaulted
from ._base import Attention
from ._boundary import Call, Context, cotangent
from ._gradients import CoreGradients, CoreResult, Gradients, Grads, Params, add_grads
from ._one_query import OneQuery, Sums
from ._options import option
from ._scaled_dot import DotProduct
from ._size_limit import reserve
from .scaled_dot_product import ScaledDotProductAttention


class CrossSpaceParts(NamedTuple):
    """The three attentions before fusion, and their weights."""

    graph: np.ndarray
    latent: np.ndarray
    cross: np.ndarray
    graph_weights: np.ndarray
    latent_weights: np.ndarray
    cross_weights: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class CrossSpaceAttention(DotProduct):
    """Dual-space attention: over graph neighbours, over latent neighbours, and from the first to the second.

    Three scaled dot-product attentions are computed: graph = A(query, keys, values), latent = A(query, latent_keys,
    latent_values) and cross = A(graph, latent_keys, latent_values). Then they are fused: "concat" projects [graph,
    latent, cross] by ``w_fusion`` (3D, D) and ``b_fusion``; "gated" mixes them with softmax([graph, latent, cross] @
    ``w_gate`` + ``b_gate``); "mean" averages them. The weights are those of the graph part; `parts` returns all.

    In `attend`, a node's latent neighbours are the `latent_neighbors` nodes with the nearest keys. They are searched
    again only if the keys differ from those of the last call. `with_latent_graph` sets known neighbours instead.

    Args:
        dim: Width D of queries, keys, values and output.
        fusion: "concat", "gated" or "mean".
        latent_neighbors: Number of nearest nodes that `attend` uses as latent neighbours.
        temperature: Divides the scores.
        scale: Factor of the dot products, 1/√D by default.
        dropout: Probability of dropping a weight of the graph part in training.
        seed: Seed of the initial projections.
        check_finite: Whether NaN and infinity in the inputs raise an error.

    Source:
        Cross-attention of Vaswani et al. 2017, section 3.2.3, between the neighbours in a graph and in a latent space.

    Example:
        >>> import numpy as np, graphattend as ga
        >>> x = np.random.default_rng(0).standard_normal((5, 4))
        >>> attn = ga.CrossSpaceAttention(4, fusion="mean")
        >>> attn.forward(x[0], x[1:3], x[1:3], metadata=ga.GraphMetadata(latent_keys=x[3:])).shape
        (4,)
    """

    #: Latent neighbours from the caller, and those of the last search. Copies with other parameters share them.
    _given: NeighborGraph | None = dataclasses.field(default=None, init=False, repr=False)
    _searched: dict[Any, NeighborGraph] = dataclasses.field(default_factory=dict, init=False, repr=False)

    fusion: str = option("str", "concat", "how the three parts are joined", choices=("concat", "gated", "mean"))
    latent_neighbors: int = option("int", 8, "number of nearest nodes that attend uses as latent neighbours", minimum=1)

    key: ClassVar[str] = "cross_space"
    family: ClassVar[str] = "graph"
    complexity: ClassVar[str] = "O(M·(N + L)·D + M·D²)"
    needs: ClassVar[tuple[str, ...]] = ("latent_keys",)
    uses: ClassVar[tuple[str, ...]] = ("latent_values",)
    laws: ClassVar[frozenset[str]] = frozenset({"permutation"})

    @classmethod
    def example(cls, rng: np.random.Generator, n: int, dim: int = 8) -> tuple[Attention, dict[str, Any]]:
        """Return an example with as many latent neighbours as keys."""
        attn, inputs = super().example(rng, n, dim)
        latent = rng.standard_normal((2, n, dim))
        inputs["metadata"] = GraphMetadata(latent_keys=latent[0], latent_values=latent[1])
        return attn, inputs

    def _init_parameters(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        d = self.dim
        if self.fusion == "mean":
            return {}
        name, width = ("fusion", d) if self.fusion == "concat" else ("gate", 3)
        reserve(3 * d, width)
        limit = np.sqrt(6 / (3 * d + width))
        return {f"w_{name}": rng.uniform(-limit, limit, (3 * d, width)), f"b_{name}": np.zeros(width)}

    def _check_metadata(self, metadata: Params) -> None:
        keys = metadata["latent_keys"]
        check_length(keys, "metadata.latent_keys", -1, self.dim, "the mechanism's dim")
        if "latent_values" in metadata:
            values = metadata["latent_values"]
            check_length(values, "metadata.latent_values", -1, self.dim, "the mechanism's dim")
            check_length(values, "metadata.latent_values", -2, keys.shape[-2], "one value per latent key")

    def with_latent_graph(self, graph: NeighborGraph) -> CrossSpaceAttention:
        """Return a copy whose `attend` and `attend_vjp` take the latent neighbours from a graph instead of a search.

        Args:
            graph: Row i lists the latent neighbours of node i, for example from `NeighborGraph.knn` or an HNSW index.

        Returns:
            The mechanism. `to_config` and `save` do not store the graph.

        Raises:
            InvalidConfigError: `graph` is not a `NeighborGraph`.

        Example:
            >>> import numpy as np, graphattend as ga
            >>> x = np.random.default_rng(0).standard_normal((6, 4))
            >>> near = ga.NeighborGraph.knn(x, 2)
            >>> ga.CrossSpaceAttention(4).with_latent_graph(near).attend(near, x).shape
            (6, 4)
        """
        check_graph(graph)
        other = copy.copy(self)
        object.__setattr__(other, "_given", graph)
        return other

    @property
    def sees_all_nodes(self) -> bool:
        """True, because latent neighbours are searched among all nodes (unless `with_latent_graph` set them)."""
        return True

    def _neighbors(self, keys: np.ndarray) -> NeighborGraph:
        """Return the latent neighbours of all nodes: those given, or the nearest, cached for the same keys."""
        if self._given is not None:
            check_length(keys, "keys", 0, self._given.num_nodes, "one row per node of the latent graph")
            return self._given
        digest = hashlib.blake2b(np.ascontiguousarray(keys), digest_size=16).digest()
        wanted = (digest, keys.shape, keys.dtype)
        found = self._searched.get(wanted)
        if found is None:
            found = NeighborGraph.knn(keys, min(self.latent_neighbors, keys.shape[0] - 1))
            self._searched.clear()  # keep only the last search
            self._searched[wanted] = found
        return found

    def parts(
        self,
        query: ArrayLike,
        keys: ArrayLike,
        values: ArrayLike,
        *,
        metadata: GraphMetadata,
        attn_mask: ArrayLike | None = None,
    ) -> CrossSpaceParts:
        """Compute the three attentions before fusion and their weights.

        Args:
            query: (D,) or (..., M, D).
            keys: (..., N, D).
            values: (..., N, D).
            metadata: With ``latent_keys``, and ``latent_values`` if these differ from the keys.
            attn_mask: Mask of the graph part, as for `forward`.

        Returns:
            Outputs shaped like those of `forward`, and weights over keys and latent keys.

        Example:
            >>> import numpy as np, graphattend as ga
            >>> x = np.random.default_rng(0).standard_normal((5, 4))
            >>> latent = ga.GraphMetadata(latent_keys=x[3:])
            >>> ga.CrossSpaceAttention(4).parts(x[0], x[:3], x[:3], metadata=latent).cross_weights.shape
            (2,)
        """
        x = self._check(query, keys, values, attn_mask, metadata)
        assert x.v is not None
        l_k, l_v = self._latent(x.metadata)
        graph, w_g, _ = self._one(x.q, x.k, x.v, x.mask, None)
        latent, w_l, _ = self._one(x.q, l_k, l_v, None, None)
        cross, w_c, _ = self._one(graph, l_k, l_v, None, None)
        found = (graph, latent, cross, w_g, w_l, w_c)
        return CrossSpaceParts(*(a[..., 0, :] for a in found) if x.single else found)

    def _fused_metadata(self, query: Any, keys: Any, values: Any, metadata: Any) -> np.ndarray | None:
        return None if values is None else self._fused_output(query, keys, values, metadata)

    def _fused_weights(
        self, query: Any, keys: Any, values: Any, metadata: Any, mask: Any = None
    ) -> tuple[Any, np.ndarray] | None:
        if values is None or not simd.is_single(query, keys, values, self.dim):
            return None
        weights = np.empty(len(keys), query.dtype)
        out = self._fused_output(query, keys, values, metadata, weights, mask)
        return None if out is None else (out, weights)

    def _fused_output(
        self, query: Any, keys: Any, values: Any, metadata: Any, weights: np.ndarray | None = None, mask: Any = None
    ) -> np.ndarray | None:
        """Compute one query in one kernel call, which may also fill the weights, or return None."""
        if not simd.is_single(query, keys, values, self.dim) or values.shape[1] != self.dim:
            return None
        latent = self._plain_latent(query, metadata)
        if latent is None:
            return None
        p = self._params(query.dtype)
        name = "gate" if self.fusion == "gated" else "fusion"
        fusion = p.get(f"w_{name}"), p.get(f"b_{name}")
        return simd.cross_single(query, keys, values, *latent, fusion, self.factor, name == "gate", weights, mask)

    def _plain_latent(self, query: np.ndarray, metadata: GraphMetadata | None) -> tuple[np.ndarray, np.ndarray] | None:
        """Return the latent keys and values (L, D) for one query, or None if the metadata is unusual."""
        if type(metadata) is not GraphMetadata:
            return None
        k: Any = metadata.latent_keys
        v: Any = k if metadata.latent_values is None else metadata.latent_values
        if not simd.is_single(query, k, v, self.dim) or v.shape[1] != self.dim:
            return None
        return k, v

    def _fused_vjp(self, query: Any, keys: Any, values: Any, metadata: Any, mask: Any = None) -> OneQuery | None:
        """Run `_fused_weights` with gradients; the two attentions over the latent keys share their kernel calls."""
        if values is None or not simd.is_single(query, keys, values, self.dim) or values.shape[1] != self.dim:
            return None
        latent_arrays = self._plain_latent(query, metadata)
        if latent_arrays is None:
            return None
        (l_k, l_v), own_values = latent_arrays, metadata.latent_values is not None
        options = {"scale": self.factor}
        with silence():
            found = simd.single_with_weights(query[None], keys, values, {**options, "mask": mask})
            if found is None:
                return None
            graph, w = found
            rows = np.concatenate((query[None], graph))
            found = simd.single_with_weights(rows, l_k, l_v, options)
            if found is None:
                return None
            latent, w_latent = found
            out, pull_fusion = self._fuse((graph, latent[:1], latent[1:]), self._params(query.dtype))

        def pull(g: np.ndarray, gw: np.ndarray | None, sums: Sums | None) -> CoreGradients | None:
            (g_graph, *g_latent), gp = pull_fusion(g[None])
            by_rows = simd.single_vjp(rows, l_k, l_v, w_latent, np.concatenate(g_latent), **options)
            if by_rows is None:
                return None
            g_rows, gl_k, gl_v = by_rows[:3]
            own = {"grad_weights": None if gw is None else gw[None], "sums": sums, **options}
            grads = simd.single_vjp(query[None], keys, values, w, g_graph + g_rows[1:], **own)
            if grads is None:
                return None
            gm = {"latent_keys": gl_k, "latent_values": gl_v} if own_values else {"latent_keys": gl_k + gl_v}
            return CoreGradients(grads[0][0] + g_rows[0], grads[1], grads[2], gp, gm)

        return OneQuery(out[0], w[0], pull)

    def _latent(self, meta: Params) -> tuple[np.ndarray, np.ndarray]:
        return meta["latent_keys"], meta.get("latent_values", meta["latent_keys"])

    def _one(
        self, q: np.ndarray, k: np.ndarray, v: np.ndarray | None, mask: np.ndarray | None, drop: np.ndarray | None
    ) -> tuple[Any, Any, Callable[..., Any]]:
        """Compute one scaled dot-product attention; return output, weights and ``pull(g, gw) -> (gq, gk, gv)``."""
        out, w, pull_all = dot_product_attention(q, k, v, scale=self.factor, mask=mask, drop=drop, need_weights=True)

        def pull(g: np.ndarray, gw: np.ndarray | None = None) -> tuple[np.ndarray, ...]:
            assert v is not None
            return tuple(unbroadcast(a, x.shape) for a, x in zip(pull_all(g, gw), (q, k, v), strict=True))

        return out, w, pull

    def _thirds(self, x: np.ndarray) -> list[np.ndarray]:
        """Split (..., 3 D) into three parts."""
        return [x[..., i * self.dim : (i + 1) * self.dim] for i in range(3)]

    def _fuse(
        self, parts: tuple[np.ndarray, ...], p: Params
    ) -> tuple[np.ndarray, Callable[[np.ndarray], tuple[list[np.ndarray], Grads]]]:
        if self.fusion == "mean":
            third = parts[0].dtype.type(1 / 3)
            return sum(parts[1:], parts[0]) * third, lambda g: ([g * third] * 3, {})
        if not parts[0].shape == parts[1].shape == parts[2].shape:
            parts = tuple(np.broadcast_arrays(*parts))
        joined = np.concatenate(parts, axis=-1)
        if self.fusion == "concat":

            def pull_concat(g: np.ndarray) -> tuple[list[np.ndarray], Grads]:
                gx, gw, gb = linear_pullback(joined, p["w_fusion"], g)
                return self._thirds(gx), {"w_fusion": gw, "b_fusion": gb}

            return linear(joined, p["w_fusion"], p["b_fusion"]), pull_concat
        gate = simd.softmax(linear(joined, p["w_gate"], p["b_gate"]))
        stack = np.stack(parts, axis=-2)  # (..., M, 3, D)

        def pull_gated(g: np.ndarray) -> tuple[list[np.ndarray], Grads]:
            g_gate = softmax_pullback(gate, np.einsum("...sd,...d->...s", stack, g))
            gx, gw, gb = linear_pullback(joined, p["w_gate"], g_gate)
            direct = [gate[..., i, None] * g for i in range(3)]
            return [a + b for a, b in zip(direct, self._thirds(gx), strict=True)], {"w_gate": gw, "b_gate": gb}

        return np.einsum("...s,...sd->...d", gate, stack), pull_gated

    def _core(self, q: np.ndarray, k: np.ndarray, v: np.ndarray | None, context: Context) -> CoreResult:
        mask, meta, p, drop = context.mask, context.metadata, context.parameters, context.drop
        graph, w, pull_g = self._one(q, k, v, mask, drop)
        if v is None:
            return None, w, lambda *_: None  # type: ignore[return-value]
        l_k, l_v = self._latent(meta)
        latent, _, pull_l = self._one(q, l_k, l_v, None, None)
        cross, _, pull_c = self._one(graph, l_k, l_v, None, None)
        out, pull_f = self._fuse((graph, latent, cross), p)

        def pullback(g: np.ndarray, g_weights: np.ndarray | None = None) -> CoreGradients:
            (g_graph, g_latent, g_cross), gp = pull_f(g)
            g_from_cross, gk_c, gv_c = pull_c(unbroadcast(g_cross, cross.shape))
            gq_l, gk_l, gv_l = pull_l(unbroadcast(g_latent, latent.shape))
            gq, gk, gv = pull_g(unbroadcast(g_graph, graph.shape) + g_from_cross, g_weights)
            gm = {"latent_keys": gk_c + gk_l, "latent_values": gv_c + gv_l}
            if "latent_values" not in meta:
                gm = {"latent_keys": add_grads({"x": gm["latent_keys"]}, {"x": gm["latent_values"]})["x"]}
            return CoreGradients(gq + gq_l, gk, gv, gp, gm)

        return out, w, pullback

    def _attend(
        self, graph: NeighborGraph, queries: ArrayLike, keys: ArrayLike | None, values: ArrayLike | None, call: Call
    ) -> tuple[np.ndarray, np.ndarray | None, Callable[..., Gradients]]:
        q, k, v = check_nodes(self, graph, queries, keys, values)
        near = self._neighbors(k) if k.shape[0] > 1 else graph
        plain = ScaledDotProductAttention(
            self.dim, temperature=self.temperature, scale=self.scale, dropout=self.dropout, check_finite=False
        )
        latent = Call(differentiate=call.differentiate)
        g_out, weights, pull_g = plain._attend(graph, q, k, v, call)
        l_out, _, pull_l = plain._attend(near, q, k, v, latent)
        c_out, _, pull_c = plain._attend(near, g_out, k, v, latent)
        out, pull_f = self._fuse((g_out, l_out, c_out), self._params(q.dtype))

        def pullback(grad_output: ArrayLike, grad_weights: ArrayLike | None = None) -> Gradients:
            (g_graph, g_latent, g_cross), gp = pull_f(cotangent(grad_output, "grad_output", out.shape, q.dtype))
            c, l = pull_c(g_cross), pull_l(g_latent)
            d = pull_g(g_graph + c.query, grad_weights)
            gq, gk, gv = d.query + l.query, d.keys + l.keys + c.keys, d.values + l.values + c.values
            return defaulted(gq, gk, gv, gp, {}, values is None, keys is None)

        return out, weights, pullback

    def _node_metadata(self, graph: NeighborGraph, node: int, row: int, keys: np.ndarray, values: np.ndarray) -> Any:
        near = self._neighbors(keys)
        latent = near.indices[near.indptr[node] : near.indptr[node + 1]]
        return GraphMetadata(latent_keys=keys[latent], latent_values=values[latent])

"""Mechanisms that mix other mechanisms by a router, which reads the query."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any, Self

import numpy as np

from .._validate import ArrayLike
from .._vjp import unbroadcast
from ..errors import InvalidConfigError
from ..functional.multi_head import linear_pullback
from ..graph import NeighborGraph
from ._attend import check_nodes
from ._base import Attention
from ._boundary import (
    PLAIN,
    Call,
    Context,
    Inputs,
    check_inputs,
    cotangent,
)
from ._expert_graphs import add_edge_weights, adds_edges, edge_weights, graph_of_expert
from ._gradients import Arrays, CoreGradients, CoreResult, Gradients, Grads, Params, add_grads, no_pullback
from ._router import Gates, Router
from ._row_subsets import RowSubset, subsets
from ._size_limit import reserve


@dataclasses.dataclass(frozen=True, eq=False)
class Routed(Router):
    """Base class of mixtures, with output Σ_x share_x(query) · expert_x(query, keys, values).

    Experts that no row uses are not computed. The parameters are ``w_router`` (D, X), ``b_router`` (X,), and those of
    expert x as ``experts/x/name``.
    """

    # -- parameters --------------------------------------------------------------------------------------------

    def _init_parameters(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        count = len(self._members)
        reserve(self.dim, count)
        limit = np.sqrt(6 / (self.dim + count))
        p = {"w_router": rng.uniform(-limit, limit, (self.dim, count)), "b_router": np.zeros(count)}
        for i, member in enumerate(self._members):
            p |= {f"experts/{i}/{name}": a for name, a in member.parameters().items()}
        return p

    def with_parameters(self, parameters: Mapping[str, Any]) -> Self:
        """Return a mechanism with some or all parameters replaced, those of expert x as ``experts/x/name``."""
        other = super().with_parameters(parameters)
        current: dict[str, np.ndarray] = other._parameters  # type: ignore[attr-defined]
        members = tuple(
            m.with_parameters({n: current[f"experts/{i}/{n}"] for n in m.parameters()})
            for i, m in enumerate(self._members)
        )
        other = copy.copy(other)
        object.__setattr__(other, self._members_field, members)
        return other

    @cached_property
    def needed(self) -> tuple[str, ...]:
        """Metadata fields that any expert requires."""
        return tuple(dict.fromkeys(name for m in self._members for name in m.needed))

    @cached_property
    def used(self) -> tuple[str, ...]:
        """Metadata fields that are optional for any expert."""
        return tuple(dict.fromkeys(name for m in self._members for name in m.used))

    @cached_property
    def unread(self) -> dict[str, str]:
        """Metadata fields that no expert reads, although some would with other options: field → option."""
        read = self.needed + self.used
        found = [
            (field, f"experts/{i}/{option}") for i, m in enumerate(self._members) for field, option in m.unread.items()
        ]
        return {field: option for field, option in reversed(found) if field not in read}

    @property
    def rows_are_positions(self) -> bool:
        """Whether the rows are positions for any expert."""
        return any(self._positioned)

    @cached_property
    def _positioned(self) -> tuple[bool, ...]:
        return tuple(m.rows_are_positions for m in self._members)

    @property
    def sees_all_nodes(self) -> bool:
        """Whether any expert may read all nodes."""
        return any(m.sees_all_nodes for m in self._members)

    @property
    def adds_edges(self) -> bool:
        """Whether any expert adds edges."""
        return any(m.adds_edges for m in self._members)

    @property
    def input_manifolds(self) -> tuple[Any, ...]:
        """The input manifolds of all experts, which share their inputs."""
        return tuple(space for m in self._members for space in m.input_manifolds)

    def _check_metadata(self, metadata: Params) -> None:
        for m in self._members:
            if m._reads:
                m._check_metadata(_restrict(metadata, m))

    # -- routing -----------------------------------------------------------------------------------------------

    def _query(self, query: ArrayLike) -> Inputs:
        # The router reads only the query, so no metadata is required.
        return check_inputs(self._expected._replace(needs=()), query, np.zeros((1, self.dim)), None, weights_only=True)

    def router_logits(self, query: ArrayLike) -> np.ndarray:
        """Return the router's logits, (X,) for a single query, else (..., M, X)."""
        x = self._query(query)
        logits = self._logits(x.q, self._params(x.q.dtype))
        return logits[0] if x.single else logits

    def shares(self, query: ArrayLike) -> np.ndarray:
        """Return the share of every expert, (X,) for a single query, else (..., M, X). Rows sum to one."""
        x = self._query(query)
        shares = self._gates(self._logits(x.q, self._params(x.q.dtype))).shares
        return shares[0] if x.single else shares

    # -- the passes --------------------------------------------------------------------------------------------

    def _run(self, x: Inputs, call: Call) -> tuple[Any, Any, Any]:
        call = Call(call.need_weights, differentiate=call.differentiate)  # experts do not drop weights
        if call.differentiate or x.v is None:
            return super()._run(x, call)
        gates = self._gates(self._logits(x.q, self._params(x.q.dtype)))

        def run(i: int, rows: RowSubset) -> tuple[Any, Any, None]:
            member, part = self._members[i], self._part(i, rows, x, call.need_weights)
            out = _in_kernel(member, part, call.need_weights)
            return (*member._run(part, call)[:2], None) if out is None else (out, None, None)

        return (*self._mix(x, gates, call.need_weights, run)[:2], None)

    def _part(self, i: int, rows: RowSubset, x: Inputs, need_weights: bool) -> Inputs:
        """Return the inputs of expert i."""
        member = self._members[i]
        mask = x.mask
        if mask is not None and mask.ndim > 2 and member.heads is not None:
            mask = mask[..., None, :, :]
        metadata = _restrict(x.metadata, member) if x.metadata else x.metadata
        part = rows.take(Inputs(x.q, x.k, x.v, mask, metadata, x.batch, False), member.heads is not None)
        if need_weights and member._columns(part) != x.k.shape[-2]:
            raise adds_edges(i, member)
        return part

    def _subsets(self, shares: np.ndarray, batch: tuple[int, ...]) -> list[RowSubset | None]:
        """Return the rows that each expert computes."""
        return subsets(shares != 0, batch, self._positioned)

    def _mix(
        self, x: Inputs, gates: Gates, need_weights: bool, run: Callable[[int, RowSubset], tuple[Any, Any, Any]]
    ) -> tuple[Any, Any, list[tuple[RowSubset | None, Any, Any, Any]]]:
        """Mix the experts that `run` computes; return the output, the weights, and each expert's rows and results."""
        m_rows = x.q.shape[-2]
        out = None if x.v is None else np.zeros((*x.batch, m_rows, x.v.shape[-1]), x.q.dtype)
        weights = np.zeros((*x.batch, m_rows, x.k.shape[-2]), x.q.dtype) if need_weights else None
        runs: list[tuple[RowSubset | None, Any, Any, Any]] = []
        for i, (member, rows) in enumerate(zip(self._members, self._subsets(gates.shares, x.batch), strict=True)):
            if rows is None:
                runs.append((None, None, None, None))
                continue
            o, w, pull = run(i, rows)
            share = rows.rows(gates.shares[..., i, None])
            if w is not None and member.heads is not None:
                w = w.mean(axis=-3)
            if out is not None:
                rows.add(out, share * o)
            if weights is not None:
                rows.add(weights, share * w)
            runs.append((rows, o, w, pull))
        return out, weights, runs

    def _core(self, q: np.ndarray, k: np.ndarray, v: np.ndarray | None, context: Context) -> CoreResult:
        mask, meta, p, need_weights = context.mask, context.metadata, context.parameters, context.need_weights
        gates = self._gates(self._logits(q, p))
        batch = np.broadcast_shapes(*(a.shape[:-2] for a in (q, k, v) if a is not None))
        x = Inputs(q, k, v, mask, meta, batch, False)
        m_rows = q.shape[-2]

        def run(i: int, rows: RowSubset, weighted: bool = need_weights) -> tuple[Any, Any, Any]:
            return self._members[i]._run(
                self._part(i, rows, x, weighted), Call(weighted or v is None, differentiate=True)
            )

        out, weights, runs = self._mix(x, gates, need_weights, run)

        def pullback(g: np.ndarray, g_weights: np.ndarray | None = None) -> CoreGradients:
            assert v is not None
            gq, gk, gv = (np.zeros(a.shape, q.dtype) for a in (q, k, v))
            g_share = np.zeros((*batch, m_rows, len(self._members)), q.dtype)
            gp: Grads = {}
            gm: Grads = {}
            for i, (rows, o, w, pull) in enumerate(runs):
                if rows is None:
                    if not self.all_in_backward:
                        continue
                    rows = RowSubset(batch)
                    o, w, pull = run(i, rows)
                    if w is not None and self._members[i].heads is not None:
                        w = w.mean(axis=-3)
                elif self.all_in_backward and not rows.complete:
                    everything = RowSubset(batch)
                    o_all = run(i, everything)[0]
                    g_share[..., i] += (g * o_all).sum(axis=-1)
                if g_weights is not None and w is None:
                    o, w, pull = run(i, rows, True)
                    w = w if self._members[i].heads is None else w.mean(axis=-3)
                share, g_i = rows.rows(gates.shares[..., i, None]), rows.rows(g)
                if not self.all_in_backward or rows.complete:
                    rows.add(g_share[..., i, None], (g_i * o).sum(axis=-1, keepdims=True))
                gw_i = None
                if g_weights is not None and w is not None:
                    gw_i = rows.rows(g_weights)
                    rows.add(g_share[..., i, None], (gw_i * w).sum(axis=-1, keepdims=True))
                    gw_i = share * gw_i
                    heads = self._members[i].heads
                    if heads is not None:
                        gw_i = np.repeat(gw_i[..., None, :, :] / heads, heads, axis=-3)
                c = pull(share * g_i, gw_i)
                gq += rows.gradient(c.q, q.shape, of_rows=True)
                gk += rows.gradient(c.k, k.shape)
                gv += rows.gradient(c.v, v.shape)
                gp = add_grads(gp, {f"experts/{i}/{n}": a for n, a in c.parameters.items()})
                gm = add_grads(gm, {n: rows.metadata(a, meta[n]) for n, a in c.metadata.items()})
            g_logits = gates.pull(unbroadcast(g_share, gates.shares.shape))
            gx, gp["w_router"], gp["b_router"] = linear_pullback(q, p["w_router"], g_logits)
            return CoreGradients(gq + gx, gk, gv, gp, gm)

        return out, weights, pullback

    def _attend(
        self, graph: NeighborGraph, queries: ArrayLike, keys: ArrayLike | None, values: ArrayLike | None, call: Call
    ) -> tuple[np.ndarray, np.ndarray | None, Callable[..., Gradients]]:
        q, k, v = check_nodes(self, graph, queries, keys, values)
        members = [_trusting(m) for m in self._members]
        for member in members:  # before the graph is restricted to each expert's rows
            if graph.edge_features is not None and "edge_features" in member.needed + member.used:
                member._check_metadata({"edge_features": graph.edge_features})
        p = self._params(q.dtype)
        gates = self._gates(self._logits(q, p))
        if not call.differentiate:
            found = self._attend_added(graph, (q, k, v), members, gates, call)
            if found is not None:
                return (*found, no_pullback)
        out: Any = None
        scaled: Any = None
        weights = np.zeros(graph.indices.size, q.dtype) if call.need_weights else None
        inner = call._replace(need_weights=call.need_weights or call.differentiate)
        runs: list[tuple[Any, ...]] = []
        edges = graph.num_edges
        for i, member in enumerate(members):
            chosen = gates.shares[:, i] != 0
            if self.all_in_backward and call.differentiate:
                chosen = np.ones_like(chosen)
            if not chosen.any():
                continue
            part, kept = graph_of_expert(member, graph, chosen)
            # Pass defaulted inputs as None: an expert may compute them faster.
            o, w, pull = member._attend(part, q, None if keys is None else k, None if values is None else v, inner)
            share = gates.shares[:, i, None]
            if call.differentiate:
                runs.append((i, o, share, pull, w, part, kept))
            if out is None:
                out = np.multiply(o, share, out=None if call.differentiate else o)
            else:
                scaled = np.multiply(o, share, out=scaled if call.differentiate else o)
                out += scaled
            if weights is not None:
                add_edge_weights(weights, kept, gates.shares[:, i], w, part, i, member)

        def pullback(grad_output: ArrayLike, grad_weights: ArrayLike | None = None) -> Gradients:
            g = cotangent(grad_output, "grad_output", out.shape, q.dtype)
            gw = None
            if grad_weights is not None:
                gw = cotangent(grad_weights, "grad_weights", (edges,), q.dtype)
            # Those of defaulted inputs are included in the gradients of the inputs they default to, and stay zero.
            total: list[np.ndarray | None] = [None, None, None]
            defaults = False, keys is None, values is None
            g_share = np.zeros_like(gates.shares)
            gp: Grads = {}
            for i, o, share, pull, w, part, kept in runs:
                g_share[:, i] = np.einsum("ve,ve->v", g, o)
                gw_i = None
                if gw is not None:
                    rows, gw_i = part.targets, gw[kept]
                    mine = gw_i * edge_weights(w, part, i, self._members[i])
                    g_share[:, i] += np.bincount(rows, weights=mine, minlength=q.shape[0]).astype(q.dtype)
                    gw_i = gw_i * gates.shares[rows, i]
                    if w.ndim == 2:
                        gw_i = np.repeat(gw_i[:, None] / w.shape[1], w.shape[1], axis=1)
                c = pull(share * g, gw_i)
                for j, a in enumerate(c[:3]):
                    if not defaults[j]:
                        total[j] = a if (sum_j := total[j]) is None else np.add(sum_j, a, out=sum_j)
                gp = add_grads(gp, {f"experts/{i}/{n}": a for n, a in c.parameters.items()})
            gx, gp["w_router"], gp["b_router"] = linear_pullback(q, p["w_router"], gates.pull(g_share))
            gq, gk, gv = (np.zeros(x.shape, x.dtype) if a is None else a for a, x in zip(total, (q, k, v), strict=True))
            gq += gx
            return Gradients(gq, gk, gv, {n: gp.get(n, np.zeros_like(a)) for n, a in p.items()}, {})

        return out, weights, pullback

    def _attend_added(
        self, graph: NeighborGraph, inputs: Arrays, members: list[Attention], gates: Gates, call: Call
    ) -> tuple[np.ndarray, np.ndarray | None] | None:
        """Return output and weights, to which every expert adds its part, or None if a kernel failed halfway."""
        q, k, v = inputs
        out = np.zeros((len(q), v.shape[1]), q.dtype)
        weights = np.zeros(graph.indices.size, q.dtype) if call.need_weights else None
        inner = PLAIN._replace(need_weights=call.need_weights)
        for i, (member, share) in enumerate(zip(members, np.ascontiguousarray(gates.shares.T), strict=True)):
            chosen = share != 0
            if not chosen.any():
                continue
            done = member._attend_into(graph, inputs, out, weights, share)
            if done is None:
                return None
            if not done:
                part, kept = graph_of_expert(member, graph, chosen)
                o, w, _ = member._attend(part, q, None if k is q else k, None if v is k else v, inner)
                out += share[:, None] * o
                if weights is not None:
                    add_edge_weights(weights, kept, share, w, part, i, member)
        return out, weights

    def _node_metadata(self, graph: NeighborGraph, node: int, row: int, keys: np.ndarray, values: np.ndarray) -> Any:
        for m in self._members:
            if "latent_keys" in m.needed:
                return m._node_metadata(graph, node, row, keys, values)
        return super()._node_metadata(graph, node, row, keys, values)


def _trusting(member: Attention) -> Attention:
    """Return a copy of an expert without `check_finite`, because the mixture has already checked the nodes."""
    other = copy.copy(member)
    object.__setattr__(other, "check_finite", False)
    vars(other).pop("_expected", None)  # cached with the old option
    return other


def _in_kernel(member: Attention, x: Inputs, need_weights: bool) -> np.ndarray | None:
    """Compute the output of checked inputs by the kernel that `forward` would call, or return None."""
    if x.v is None or x.mask is not None or x.metadata or need_weights:
        return None
    if x.q.ndim != 2 or len(x.q) > 1:
        return member._fused(x.q, x.k, x.v)
    out = member._fused(x.q[0], x.k, x.v)
    return None if out is None else out[None]


def _restrict(metadata: Params, member: Attention) -> dict[str, np.ndarray]:
    """Return the metadata fields that the member reads."""
    return {name: metadata[name] for name in member._reads if name in metadata}


def as_members(value: object, dim: int, argument: str) -> tuple[Attention, ...]:
    """Convert mechanisms or their configs to a tuple of experts, which must have this dim."""
    from . import from_config

    if isinstance(value, (str, Mapping)) or not isinstance(value, Sequence) or not value:
        expected = "a list of mechanisms or their configs"
        raise InvalidConfigError.of(argument, expected, value, got=f"{value!r:.80}")
    members = tuple(from_config(m) if isinstance(m, Mapping) else m for m in value)
    for m in members:
        if not isinstance(m, Attention):
            raise InvalidConfigError.of(argument, "mechanisms", type(m).__name__)
        if m.dim != dim:
            raise InvalidConfigError.of(
                argument, dim, m.dim, text=f"mechanisms of dim {dim}", got=f"{m.key} of {m.dim}"
            )
    return members

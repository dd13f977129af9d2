"""The router of a mixture: the shares of its experts, and one query in few kernel calls, for unchecked arguments."""

from __future__ import annotations

import dataclasses
import functools
import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import numpy as np

from .. import simd
from .._float64_fallback import silence
from .._validate import ArrayLike, all_finite
from ..functional.multi_head import linear, linear_pullback
from ..graph import GraphMetadata
from ._base import Attention
from ._boundary import WITH_PULLBACK, check_metadata, refuse_unread
from ._gradients import CoreGradients, Gradients, Grads, Params, VjpResult, add_grads
from ._one_query import Again, result


class Gates(NamedTuple):
    """The share of every expert in every row (..., M, X), zero for unused experts, and ``pull(g) -> g_logits``."""

    shares: np.ndarray
    pull: Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False)
class Router(Attention):
    """Base class of `Routed` with its router, and its passes for one query."""

    #: Name of the option that holds the experts.
    _members_field: ClassVar[str] = "experts"
    #: Whether the gradient of the shares also needs unused experts (straight-through).
    all_in_backward: ClassVar[bool] = False

    @property
    def _members(self) -> tuple[Attention, ...]:
        """The experts, in order."""
        members: tuple[Attention, ...] = getattr(self, self._members_field)
        return members

    @abstractmethod
    def _gates(self, logits: np.ndarray) -> Gates:
        """Compute the shares from the router's logits (..., M, X)."""

    def _logits(self, q: np.ndarray, p: Params) -> np.ndarray:
        return linear(q, p["w_router"], p["b_router"])

    @abstractmethod
    def _routes(self, logits: list[float]) -> list[tuple[int, float]]:
        """Return the experts of one query and their shares from its logits (X,), as `_gates` does for many queries."""

    def _experts_of(self, query: object, keys: Any, metadata: GraphMetadata | None) -> list[tuple[int, float]] | None:
        """Return the indices of a query's (D,) experts and their shares, or None if the checked pass is needed."""
        if type(query) is not np.ndarray or query.shape != (self.dim,) or not simd.has_kernels(query.dtype):
            return None
        if metadata is not None and (type(keys) is not np.ndarray or keys.ndim != 2):
            return None
        p = self._params(query.dtype)
        with silence():
            logits = (query @ p["w_router"] + p["b_router"]).tolist()
        if not all(map(math.isfinite, logits)):
            return None
        chosen = self._routes(logits)
        if metadata is None:
            return None if self.needed else chosen
        # Check all metadata, including fields that the chosen experts do not read.
        refuse_unread(self.unread, metadata)
        self._check_metadata(check_metadata(metadata, self.needed, self.used, (), 1, len(keys), query.dtype))
        return chosen

    def _fused(self, query: Any, keys: Any, values: Any) -> np.ndarray | None:
        return self._fused_metadata(query, keys, values, None)

    def _fused_metadata(self, query: Any, keys: Any, values: Any, metadata: Any) -> np.ndarray | None:
        if simd._kernels is None:
            return None
        chosen = self._experts_of(query, keys, metadata)
        out: np.ndarray | None = None
        for i, share in chosen or ():
            member = self._members[i]
            if self.check_finite and not member.check_finite:
                return None
            if metadata is None or not member._reads:
                part = member._fused(query, keys, values)
            else:
                part = member._fused_metadata(query, keys, values, metadata)
            if part is None:
                return None
            part *= part.dtype.type(share)
            out = part if out is None else out + part
        return out

    def _fused_weights(self, query: Any, keys: Any, values: Any, metadata: Any) -> tuple[Any, np.ndarray] | None:
        chosen = self._experts_of(query, keys, metadata)
        total: list[Any] = [None, None]
        for i, share in chosen or ():
            member = self._members[i]
            if self.check_finite and not member.check_finite:
                return None
            found = member._fused_weights(query, keys, values, metadata if member._reads else None)
            if found is None or found[1].shape[-1] != len(keys):
                return None
            out, weights = found
            parts = out, weights if weights.ndim == 1 else weights.mean(axis=0)
            factor = weights.dtype.type(share)
            for at, part in enumerate(parts):
                if part is not None:
                    total[at] = part * factor if total[at] is None else total[at] + part * factor
        return None if total[1] is None else (total[0], total[1])

    def _fused_vjp(self, query: Any, keys: Any, values: Any, metadata: Any, again: Again) -> VjpResult | None:
        if self.all_in_backward or not simd.is_single(query, keys, values, self.dim):
            return None
        if values is None or values.shape[1] != self.dim:
            return None
        chosen = self._experts_of(query, keys, metadata)
        if chosen is None:
            return None
        parts: list[VjpResult] = []
        out, total = np.zeros(self.dim, query.dtype), np.zeros(len(keys), query.dtype)
        for i, share in chosen:
            member = self._members[i]
            arguments = query, keys, values, metadata if member._reads else None
            if self.check_finite and not member.check_finite:
                return None
            found = member._fused_vjp(*arguments, functools.partial(_checked, member, *arguments))
            if found is None or found[1] is None or found[1].shape[-1] != len(keys):
                return None
            parts.append((found[0], found[1] if member.heads is None else found[1].mean(axis=0), found[2]))
            out += parts[-1][0] * out.dtype.type(share)
            total += parts[-1][1] * out.dtype.type(share)

        def pull(g: np.ndarray, gw: np.ndarray | None) -> CoreGradients | None:
            p, logits = self._params(g.dtype), np.zeros((1, len(self._members)), g.dtype)
            gates = self._gates(self._logits(query[None], p))
            sums: list[Gradients] = []
            gp: Grads = {}
            for (i, share), (o, w, pull_part) in zip(chosen, parts, strict=True):
                member, f, by_weights = self._members[i], g.dtype.type(share), None
                logits[0, i] = g @ o
                if gw is not None:
                    logits[0, i] += gw @ w
                    by_weights = f * gw
                    if member.heads is not None:
                        by_weights = np.repeat(by_weights[None] / g.dtype.type(member.heads), member.heads, axis=0)
                sums.append(pull_part(f * g, by_weights))
                gp |= {f"experts/{i}/{n}": a for n, a in sums[-1].parameters.items()}
            by_query, gp["w_router"], gp["b_router"] = linear_pullback(query[None], p["w_router"], gates.pull(logits))
            gk, gv = sums[0].keys, sums[0].values
            for c in sums[1:]:
                gk += c.keys
                gv += c.values
            if not all_finite(gk, gv):
                return None
            gq = sum((c.query for c in sums), by_query[0])
            return CoreGradients(gq, gk, gv, gp, add_grads(*(c.metadata for c in sums)))

        return result(self, out, total, pull, metadata, again)


def _checked(
    member: Attention, query: ArrayLike, keys: ArrayLike, values: ArrayLike, metadata: GraphMetadata | None
) -> VjpResult:
    """Run the checked pass of an expert with gradients."""
    return member._vjp_checked(query, keys, values, None, metadata, WITH_PULLBACK)

"""The router of a mixture: the shares of its experts, and one query in few kernel calls, for unchecked arguments."""

from __future__ import annotations

import dataclasses
import math
import operator
from abc import abstractmethod
from collections.abc import Callable
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np

from .. import simd
from .._validate import all_finite
from ..functional.multi_head import linear, linear_pullback
from ..graph import GraphMetadata
from ..simd.kernel_ops import block
from ._base import Attention
from ._boundary import axes_of, check_metadata, refuse_unread
from ._gradients import CoreGradients, Grads, Params, add_grads
from ._one_query import OneQuery, Sums


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
    def _routes(self, logits: list[float]) -> dict[int, float]:
        """Return the shares of a query's experts by index, from its logits (X,), as `_gates` does for many queries."""

    def _experts_of(self, query: object, keys: Any, metadata: GraphMetadata | None) -> dict[int, float] | None:
        """Return the shares of the experts of a query (D,) by index, or None if the checked pass is needed."""
        if type(query) is not np.ndarray or query.shape != (self.dim,) or not simd.has_kernels(query.dtype):
            return None
        if metadata is not None and (type(keys) is not np.ndarray or keys.ndim != 2):
            return None
        # Between the experts' passes over the keys, every line of Python runs from a cold cache; this has few.
        p = self._params(query.dtype)
        products = simd.single_product(query, p["w_router"])
        if products is None:
            return None
        logits = list(map(operator.add, products.tolist(), p["b_router"].tolist()))
        if not math.isfinite(sum(logits)):
            return None
        chosen = self._routes(logits)
        if metadata is None:
            return None if self.needed else chosen
        # Check all metadata, including fields that the chosen experts do not read.
        if self.unread:
            refuse_unread(self.unread, metadata)
        if not self._is_plain(metadata, len(keys), query.dtype):
            self._check_metadata(check_metadata(metadata, self.needed, self.used, (), 1, len(keys), query.dtype))
        return chosen

    @cached_property
    def _plain_fields(self) -> tuple[tuple[str, tuple[int, ...]], ...] | None:
        """The metadata fields that experts read, with their axes after the keys'; None if one is not plain."""
        found: dict[str, tuple[int, ...]] = {}
        for m in self._members:
            for name in m._reads:
                axes = axes_of(name, m._widths.get(name, (None, ""))[0])
                if axes is None or type(m)._check_metadata is not Attention._check_metadata:
                    return None
                if found.setdefault(name, axes) != axes:
                    return None
        return tuple(found.items())

    def _is_plain(self, metadata: GraphMetadata, n_keys: int, dtype: np.dtype[Any]) -> bool:
        """Whether the metadata pass all checks, in the usual case: every field that an expert reads is given as is."""
        if self._plain_fields is None or type(metadata) is not GraphMetadata:
            return False
        for name, axes in self._plain_fields:
            x = getattr(metadata, name)
            if type(x) is not np.ndarray or x.dtype != dtype or x.shape != (n_keys, *axes) or not all_finite(x):
                return False
        return True

    def _fused(self, query: Any, keys: Any, values: Any) -> np.ndarray | None:
        return self._fused_metadata(query, keys, values, None)

    def _fused_metadata(self, query: Any, keys: Any, values: Any, metadata: Any) -> np.ndarray | None:
        chosen = None if simd._kernels is None else self._experts_of(query, keys, metadata)
        if chosen is None:
            return None
        parts = []
        for i in chosen:
            member = self._members[i]
            if self.check_finite and not member.check_finite:
                return None
            if metadata is None or not member._reads:
                part = member._fused(query, keys, values)
            else:
                part = member._fused_metadata(query, keys, values, metadata)
            if part is None:
                return None
            parts.append(part)
        return simd.single_product(np.array([*chosen.values()], query.dtype), np.array(parts))

    def _fused_weights(
        self, query: Any, keys: Any, values: Any, metadata: Any, mask: Any = None
    ) -> tuple[Any, np.ndarray] | None:
        chosen = self._experts_of(query, keys, metadata)
        if chosen is None:
            return None
        total: list[Any] = [None, None]
        for i, share in chosen.items():
            member = self._members[i]
            if self.check_finite and not member.check_finite:
                return None
            found = member._fused_weights(query, keys, values, metadata if member._reads else None, mask)
            if found is None or found[1].shape[-1] != len(keys):
                return None
            out, weights = found
            parts = out, weights if weights.ndim == 1 else weights.mean(axis=0)
            factor = weights.dtype.type(share)
            for at, part in enumerate(parts):
                if part is not None:
                    total[at] = part * factor if total[at] is None else total[at] + part * factor
        return None if total[1] is None else (total[0], total[1])

    def _fused_vjp(self, query: Any, keys: Any, values: Any, metadata: Any, mask: Any = None) -> OneQuery | None:
        if self.all_in_backward or not simd.is_single(query, keys, values, self.dim):
            return None
        if values is None or values.shape[1] != self.dim:
            return None
        chosen = self._experts_of(query, keys, metadata)
        if chosen is None:
            return None
        parts: list[tuple[int, Any, OneQuery, np.ndarray]] = []
        out, total = np.zeros(self.dim, query.dtype), np.zeros(len(keys), query.dtype)
        for i, share in chosen.items():
            member, factor = self._members[i], query.dtype.type(share)
            if self.check_finite and not member.check_finite:
                return None
            found = member._fused_vjp(query, keys, values, metadata if member._reads else None, mask)
            if found is None or found.weights.shape[-1] != len(keys):
                return None
            weights = found.weights if member.heads is None else found.weights.mean(axis=0)
            parts.append((i, factor, found, weights))
            out += found.out * factor
            total += weights * factor
        parts.sort(key=lambda part: part[2].adds)  # only the first one writes to the sums without adding

        def pull(g: np.ndarray, gw: np.ndarray | None, sums: Sums | None) -> CoreGradients | None:
            p, logits = self._params(g.dtype), np.zeros((1, len(self._members)), g.dtype)
            gates = self._gates(self._logits(query[None], p))
            sums = sums or Sums(*block(g.dtype, keys.shape, values.shape))
            gq, gp, gm = np.zeros_like(query), Grads(), Grads()
            for i, factor, found, weights in parts:
                member, by_weights = self._members[i], None
                logits[0, i] = g @ found.out
                if gw is not None:
                    logits[0, i] += gw @ weights
                    by_weights = factor * gw
                    if member.heads is not None:
                        by_weights = np.repeat(by_weights[None] / g.dtype.type(member.heads), member.heads, axis=0)
                c = found.pull(factor * g, by_weights, sums)
                if c is None:
                    return None
                sums = sums.plus(c.k, c.v)
                gq += c.q
                gp |= {f"experts/{i}/{n}": a for n, a in c.parameters.items()}
                gm = add_grads(gm, c.metadata)
            if not all_finite(sums.keys, sums.values):
                return None
            by_query, gp["w_router"], gp["b_router"] = linear_pullback(query[None], p["w_router"], gates.pull(logits))
            return CoreGradients(gq + by_query[0], sums.keys, sums.values, gp, gm)

        return OneQuery(out, total, pull)

"""Subsets of a batch, for experts that compute only some of its query rows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .._vjp import unbroadcast
from ._boundary import Inputs


class RowSubset(NamedTuple):
    """The subset of a batch for an expert: everything, query rows, or whole batch entries.

    Without leading axes all queries share the keys, and the subset is a set of rows. With leading axes it is a set of
    entries.

    Args:
        batch: Leading axes.
        chosen: Indices of the rows, or of the entries if there are leading axes; None for everything.
    """

    batch: tuple[int, ...]
    chosen: np.ndarray | None = None

    @property
    def complete(self) -> bool:
        return self.chosen is None

    def _entries(self, x: np.ndarray, core: int) -> np.ndarray:
        full = np.broadcast_to(x, (*self.batch, *x.shape[x.ndim - core :]))
        return full.reshape(-1, *full.shape[len(self.batch) :])[self.chosen]

    def rows(self, x: np.ndarray) -> np.ndarray:
        """Return the subset of x ([batch...,] M, E)."""
        if self.chosen is None:
            return x
        return self._entries(x, 2) if self.batch else x[self.chosen]

    def take(self, x: Inputs, heads: bool) -> Inputs:
        """Return the subset of all inputs; `heads` tells whether the mask may have a head axis."""
        index = self.chosen
        if index is None:
            return x
        mask = x.mask
        if not self.batch:
            if mask is not None and mask.ndim > 1 and mask.shape[-2] > 1:
                mask = mask[..., index, :]
            meta = {n: a[index] if n.startswith("query") and _per_row(n, a) else a for n, a in x.metadata.items()}
            return x._replace(q=x.q[index], mask=mask, metadata=meta)
        core = 3 if heads else 2
        if mask is not None and mask.ndim > core:
            mask = self._entries(mask, core)
        meta = {n: self._entries(a, _core_axes(n)) if a.ndim > _core_axes(n) else a for n, a in x.metadata.items()}
        v = None if x.v is None else self._entries(x.v, 2)
        return Inputs(self._entries(x.q, 2), self._entries(x.k, 2), v, mask, meta, (int(index.size),), False)

    def add(self, target: np.ndarray, part: np.ndarray) -> None:
        """Add the subset's part to target (batch..., M, E) in place."""
        if self.chosen is None:
            target += part
        else:
            target[np.unravel_index(self.chosen, self.batch) if self.batch else self.chosen] += part

    def gradient(self, part: np.ndarray, shape: tuple[int, ...], *, of_rows: bool = False) -> np.ndarray:
        """Expand the gradient of a subset to the whole array of this shape; `of_rows` if the array is the queries.

        Axes that broadcast are summed unless the expert has already done so.
        """
        if self.chosen is None or not (self.batch or of_rows):
            return unbroadcast(part, shape)
        out = np.zeros((*self.batch, *shape[-2:]), part.dtype)
        self.add(out, part)
        return unbroadcast(out, shape)

    def metadata(self, part: np.ndarray, like: np.ndarray) -> np.ndarray:
        """Expand a metadata gradient to the shape of the whole field."""
        if self.chosen is None or not self.batch or part.shape == like.shape:
            return unbroadcast(part, like.shape)
        out = np.zeros((*self.batch, *part.shape[1:]), part.dtype)
        self.add(out, part)
        return unbroadcast(out, like.shape)


def subsets(used: np.ndarray, batch: tuple[int, ...], positions: tuple[bool, ...]) -> list[RowSubset | None]:
    """Return the subset of each of X experts, or None for an expert that no row uses.

    Args:
        used: Whether a row uses an expert, ([batch...,] M, X).
        batch: Leading axes.
        positions: For each expert, whether rows are positions, so that an expert must see all rows.
    """
    used = np.broadcast_to(used, (*batch, *used.shape[-2:])) if batch else used
    rows = used.reshape(-1, used.shape[-1])
    counts = np.count_nonzero(rows, axis=0).tolist()
    # With leading axes, an expert computes the whole entries in which any row uses it.
    units = used.any(axis=-2).reshape(-1, used.shape[-1]) if batch else rows
    out: list[RowSubset | None] = []
    for i, (count, together) in enumerate(zip(counts, positions, strict=True)):
        if not count:
            out.append(None)
        elif count == len(rows) or (together and not batch):
            out.append(RowSubset(batch))
        else:
            out.append(RowSubset(batch, np.flatnonzero(units[:, i])))
    return out


def _core_axes(name: str) -> int:
    """Return the number of axes of a metadata field, without leading axes."""
    return 1 if name in ("edge_weights", "distances", "hnsw_layers", "query_layer") else 2


def _per_row(name: str, a: np.ndarray) -> bool:
    return a.ndim >= _core_axes(name) and a.shape[-_core_axes(name)] > 1

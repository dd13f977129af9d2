"""The base of the classes whose methods `NeighborGraph` inherits."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from .neighbor_graph import NeighborGraph


class Part:
    """A part of `NeighborGraph`."""

    @property
    def _graph(self) -> NeighborGraph:
        return cast("NeighborGraph", self)

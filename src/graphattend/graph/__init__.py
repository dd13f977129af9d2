"""Graphs: the neighbours that each node attends to, and measures of the graph's structure."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .metadata import GraphMetadata
from .neighbor_graph import NeighborGraph

if TYPE_CHECKING:
    from . import patterns as patterns
    from .properties import Hyperbolicity, delta_hyperbolicity, density, is_undirected
    from .spectral import spectral_embedding

_LAZY = {
    "Hyperbolicity": "properties",
    "delta_hyperbolicity": "properties",
    "density": "properties",
    "is_undirected": "properties",
    "spectral_embedding": "spectral",
}

__all__ = [
    "GraphMetadata",
    "Hyperbolicity",
    "NeighborGraph",
    "delta_hyperbolicity",
    "density",
    "is_undirected",
    "patterns",
    "spectral_embedding",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)
    if name == "patterns":
        return importlib.import_module(".patterns", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

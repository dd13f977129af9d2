"""Graphs: who attends to whom, and what the structure says about the nodes."""

from .metadata import GraphMetadata
from .neighbor_graph import NeighborGraph

__all__ = ["GraphMetadata", "NeighborGraph"]

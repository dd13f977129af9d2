"""Metadata of a neighbourhood: edge features, weights, distances, layers and structural features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .._arguments import TypedArguments


@dataclass(frozen=True, eq=False)
class GraphMetadata(metaclass=TypedArguments):
    """Side information for one call of a mechanism, with one row per key.

    Leading axes are the keys' leading axes and broadcast like them. The mechanism that reads a field validates it.

    Args:
        edge_features: Features of the edge from the query to each key, (..., N, e).
        edge_weights: Weight of each edge, (..., N).
        distances: Distance between the query and each key, (..., N), not negative.
        hnsw_layers: Layer of each key, (..., N), whole numbers.
        query_layer: Layer of the query, a whole number (or one per query).
        structural_features: Structural features of each key, (..., N, F).
        query_structural: Structural features of the query, (..., F).
        latent_keys: Keys in the latent space, (..., L, D), if they differ from the graph's neighbours.
        latent_values: Values of the latent keys, (..., L, E).

    Example:
        >>> import numpy as np
        >>> from graphattend.graph import GraphMetadata
        >>> GraphMetadata(distances=np.array([1.0, 2.0])).distances.shape
        (2,)
    """

    edge_features: np.ndarray | None = None
    edge_weights: np.ndarray | None = None
    distances: np.ndarray | None = None
    hnsw_layers: np.ndarray | None = None
    query_layer: int | np.ndarray | None = None
    structural_features: np.ndarray | None = None
    query_structural: np.ndarray | None = None
    latent_keys: np.ndarray | None = None
    latent_values: np.ndarray | None = None


class NodeMetadata(GraphMetadata):
    """The metadata of one node of a graph. Its structural features are computed when they are first read.

    They depend on the whole graph (betweenness visits all pairs of nodes), and few mechanisms read them.

    Args:
        features: Function that returns the structural features of all nodes, (V, F).
        node: The querying node.
        neighbors: The nodes it attends to, (N,).
        given: The other fields.
    """

    def __init__(
        self, features: Callable[[], np.ndarray], node: int, neighbors: np.ndarray, **given: np.ndarray | None
    ) -> None:
        super().__init__(**given)
        for name in ("structural_features", "query_structural"):
            del self.__dict__[name]  # would hide the properties below
        self.__dict__["_source"] = (features, node, neighbors)

    @cached_property
    def structural_features(self) -> np.ndarray:
        """Structural features of the neighbours, (N, F)."""
        features, _, neighbors = self.__dict__["_source"]
        found: np.ndarray = features()[neighbors]
        return found

    @cached_property
    def query_structural(self) -> np.ndarray:
        """Structural features of the node, (F,)."""
        features, node, _ = self.__dict__["_source"]
        found: np.ndarray = features()[node]
        return found

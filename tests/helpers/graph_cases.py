"""Graphs with all data that mechanisms read."""

import numpy as np

import graphattend as ga
from graphattend.mechanisms import mechanism_class

NODES = 60


def made_graph(rng, edges=400, width=3):
    """Draw a graph of 60 nodes, some without neighbours, with edge features of this width."""
    pairs = rng.integers(0, NODES, (2, edges))
    pairs[1] %= NODES - 3
    return ga.NeighborGraph.from_edge_index(
        pairs,
        NODES,
        edge_features=rng.standard_normal((edges, width)),
        edge_weights=rng.random(edges),
        distances=rng.random(edges),
        layers=rng.integers(0, 3, NODES),
    )


def case(key, rng, dtype=np.float64):
    """Return a mechanism, a graph with all data it reads, and nodes in its space."""
    attn, inputs = mechanism_class(key).example(rng, NODES)
    features = getattr(inputs.get("metadata"), "edge_features", None)
    graph = made_graph(rng, width=3 if features is None else features.shape[-1])
    return attn, graph, np.asarray(inputs["keys"], dtype)

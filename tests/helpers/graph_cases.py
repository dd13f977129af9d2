"""Graphs with everything that a mechanism may read of them."""

import numpy as np

import graphattend as ga
from graphattend.mechanisms import mechanism_class

NODES = 60


def made_graph(rng, edges=400, width=3):
    """A random graph of 60 nodes, some of which attend to nobody, with edge features of a width."""
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
    """A mechanism, a graph with all that it reads, and nodes in its space."""
    attn, inputs = mechanism_class(key).example(rng, NODES)
    features = getattr(inputs.get("metadata"), "edge_features", None)
    graph = made_graph(rng, width=3 if features is None else features.shape[-1])
    return attn, graph, np.asarray(inputs["keys"], dtype)

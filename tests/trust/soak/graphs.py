"""Calls of functions of graphs."""

from __future__ import annotations

import numpy as np

import graphattend as ga

from .draw import Draw
from .watch import REFUSED, Watch

#: Method → arguments.
METHODS = {
    "degree": lambda d: (),
    "closeness": lambda d: (),
    "betweenness": lambda d: (),
    "pagerank": lambda d: (d.pick((0.85, 0.0, 0.5)),),
    "clustering": lambda d: (),
    "shortest_path_lengths": lambda d: (None, d.pick((None, 0.0, 2.0))),
    "laplacian": lambda d: (d.chance(0.5),),
    "structural_features": lambda d: (),
    "transpose": lambda d: (),
    "with_self_loops": lambda d: (),
    "to_edge_index": lambda d: (),
}


def _graph(d: Draw, call: Watch) -> object:
    nodes, count = d.pick((1, 2, 6)), d.pick((0, 1, 4, 15))
    edges = d.rng.integers(0, nodes, (2, count))
    extra = {}
    if d.chance(0.5):
        extra["edge_weights"] = np.abs(d.array(count, dtype=d.dtype()))
    if d.chance(0.5):
        extra["distances"] = np.abs(d.array(count, dtype=d.dtype()))
    return call("NeighborGraph.from_edge_index", ga.NeighborGraph.from_edge_index, edges, nodes, **extra)


def case(d: Draw, call: Watch) -> None:
    """Compute a measure of a random graph, or the graph of random points."""
    if d.chance(0.2):
        x = d.array(d.pick((2, 5)), 3, dtype=d.dtype())
        call("NeighborGraph.knn", ga.NeighborGraph.knn, x, 1)
        return
    graph = _graph(d, call)
    if graph is REFUSED:
        return
    if d.chance(0.1):
        dim = d.pick((1, 2))
        may = (ga.NumericalInstabilityError, ga.InvalidConfigError)  # if there are fewer nodes than dimensions
        call("spectral_embedding", ga.graph.spectral_embedding, graph, dim, may=may)
        return
    name = d.pick(list(METHODS))
    finite = name != "shortest_path_lengths"  # unreachable nodes have distance infinity
    out = call(f"NeighborGraph.{name}", getattr(graph, name), *METHODS[name](d), finite=finite)
    if out is not REFUSED and not finite:
        call.check((out >= 0).all(), "a negative distance")

"""Conversion of graphs to networkx and SciPy."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InvalidConfigError, UnsupportedError
from . import _csr

if TYPE_CHECKING:
    from .neighbor_graph import NeighborGraph


def need(module: str, package: str) -> Any:
    """Import an optional package, or raise an error that names it."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise UnsupportedError(
            f"{package}: this needs the package {package}, which is not installed", expected=package
        ) from None


def to_networkx(graph: NeighborGraph) -> Any:
    """See `NeighborGraph.to_networkx`."""
    nx = need("networkx", "networkx")
    nodes = list(range(graph.num_nodes)) if graph.names is None else list(graph.names)
    if len(set(nodes)) != len(nodes):
        raise InvalidConfigError(
            "names: networkx needs a different name for every node", argument="names", expected="different names"
        )
    sources, targets = graph.to_edge_index()
    repeated = len(_csr.distinct(_csr.joined(targets, sources, graph.num_nodes))) < graph.num_edges
    result = nx.MultiDiGraph() if repeated else nx.DiGraph()
    layers = None if graph.layers is None else graph.layers.tolist()
    result.add_nodes_from((n, {} if layers is None else {"layer": layers[i]}) for i, n in enumerate(nodes))
    attributes = edge_attributes(graph)
    pairs = zip(sources.tolist(), targets.tolist(), attributes, strict=True)
    result.add_edges_from((nodes[j], nodes[i], data) for j, i, data in pairs)
    return result


def edge_attributes(graph: NeighborGraph) -> list[dict[str, Any]]:
    """Return the attributes of each edge: weight, distance, features."""
    columns = {"weight": graph.edge_weights, "distance": graph.distances, "features": graph.edge_features}
    given = {name: a.tolist() for name, a in columns.items() if a is not None}
    return [{name: values[k] for name, values in given.items()} for k in range(graph.num_edges)]


def to_scipy(graph: NeighborGraph) -> Any:
    """See `NeighborGraph.to_scipy`."""
    sparse = need("scipy.sparse", "scipy")
    data = np.ones(graph.num_edges) if graph.edge_weights is None else graph.edge_weights.copy()
    return sparse.csr_array((data, graph.indices.copy(), graph.indptr.copy()), shape=(graph.num_nodes,) * 2)

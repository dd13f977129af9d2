"""``graphattend info``: describe the installation or a graph file."""

from __future__ import annotations

import argparse
import platform
from typing import Any

from ..graph.files import Told
from ..graph.properties import count_edges
from ._common import add_output, add_reading, print_rows, read_graph

HELP = "print the version and the backend, or describe a graph file"
EXAMPLES = (
    "graphattend info",
    "graphattend info --graph network.gexf",
)


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    command.add_argument("--graph", metavar="FILE", help="graph file in any supported format; - for standard input")
    add_reading(command)
    add_output(command)


def run(arguments: argparse.Namespace) -> None:
    """Print the description."""
    facts = _machine() if arguments.graph is None else _graph(read_graph(arguments))
    print_rows(("what", "value"), [(k, str(v)) for k, v in facts.items()], arguments, facts)


def _machine() -> dict[str, Any]:
    from .. import __version__, backend_info, list_mechanisms

    facts = {"graphattend": __version__, "python": platform.python_version(), "mechanisms": len(list_mechanisms())}
    return facts | backend_info()


def _graph(told: Told) -> dict[str, Any]:
    graph = told.graph
    edges, directed = count_edges(graph, told.directed)
    degree = graph.degree()
    return {
        "nodes": graph.num_nodes,
        "edges": edges,
        "directed": directed,
        "loops": int((graph.indices == graph.targets).sum()),
        "most_neighbours": int(degree.max()),
        "without_neighbours": int((degree == 0).sum()),
        "names": graph.names is not None,
        "weights": graph.edge_weights is not None,
        "distances": graph.distances is not None,
        "edge_features": 0 if graph.edge_features is None else graph.edge_features.shape[1],
        "layers": 0 if graph.layers is None else int(graph.layers.max()) + 1,
    }

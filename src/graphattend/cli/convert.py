"""``graphattend convert``: convert a graph from one format to another."""

from __future__ import annotations

import argparse

from ..errors import InvalidConfigError
from ..graph.properties import described
from ..storage import same_file
from ._common import add_reading, read_graph

HELP = "convert a graph file; the suffixes choose the formats"
EXAMPLES = (
    "graphattend convert network.gexf network.json.gz",
    "zcat trips.csv.gz | graphattend convert - trips.npz --format csv --undirected",
)


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    command.add_argument("graph", metavar="FROM", help="graph file in any supported format; - for standard input")
    command.add_argument("output", metavar="TO", help="output file, such as graph.json, graph.graphml or graph.csv.gz")
    add_reading(command)


def run(arguments: argparse.Namespace) -> None:
    """Read, write and describe the graph."""
    if same_file(arguments.graph, arguments.output):
        raise InvalidConfigError(f"TO: {arguments.output!r:.80} is the input", argument="TO")
    graph, directed = read_graph(arguments)
    graph.write(arguments.output)
    print(described(graph, directed))

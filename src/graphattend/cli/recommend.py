"""``graphattend recommend``: recommend a mechanism for a graph, by rules or by measuring."""

from __future__ import annotations

import argparse
import json

from ._common import add_graph, add_output, end_progress, print_rows, progress, read_graph

HELP = "recommend a mechanism for a graph, with the reasons"
EXAMPLES = (
    "graphattend recommend --graph graph.csv",
    "graphattend recommend --graph graph.csv --measure",
)


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_graph(command, required=True, embeddings=False)
    command.add_argument("--dim", type=int, help="width of the mechanism")
    command.add_argument(
        "--measure", action="store_true", help="train the candidates and compare them on held-out links first"
    )
    add_output(command)


def run(arguments: argparse.Namespace) -> None:
    """Print the recommendation and its reasons."""
    from ..recommendation import recommend

    graph = read_graph(arguments).graph
    try:
        found = recommend(graph, dim=arguments.dim, measure=arguments.measure, on_progress=progress())
    finally:
        end_progress()
    data = {"key": found.key, "options": found.options, "reasons": list(found.reasons)}
    rows = [(found.key, json.dumps(found.options), reason) for reason in found.reasons]
    if arguments.json or arguments.csv:
        print_rows(("mechanism", "options", "reason"), rows, arguments, data)
    else:
        print(found.key, *(f"{name}={json.dumps(value)}" for name, value in found.options.items()))
        for reason in found.reasons:
            print(f"  {reason}")

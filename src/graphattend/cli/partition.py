"""``graphattend partition``: cut a graph into parts on disk."""

from __future__ import annotations

import argparse
import json
from typing import Any

from ._common import add_reading, end_progress, progress, read_graph

HELP = "cut a graph into parts on the disk, for graphs larger than memory; edge lists are streamed"
EXAMPLES = (
    "graphattend partition --graph edges.txt.gz --parts 64 --out parts",
    "graphattend partition --graph graph.npz --parts 8 --method metis --out parts --json",
)


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    command.add_argument(
        "--graph", required=True, metavar="FILE", help="graph file in any supported format; - for standard input"
    )
    add_reading(command)
    command.add_argument("--parts", type=int, required=True, metavar="N", help="number of parts")
    command.add_argument("--out", required=True, metavar="FOLDER", help="output folder; an older partition is replaced")
    command.add_argument(
        "--method",
        choices=("metis", "rcm", "range"),
        help="metis, reverse Cuthill-McKee, or the order as it is; by default the best there is, range for a stream",
    )
    command.add_argument(
        "--structural", action="store_true", help="also store structural metadata (computed in memory)"
    )
    command.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> None:
    """Cut the graph and print the sizes of the parts."""
    from ..dask import partition

    options: dict[str, Any] = {"directed": arguments.directed}
    graph = arguments.graph
    whole = arguments.weights is not None or arguments.edge_features is not None or arguments.format is not None
    if graph == "-" or whole:
        graph, options = read_graph(arguments).graph, {}
    show = progress()
    try:
        layout = partition(
            graph,
            arguments.out,
            arguments.parts,
            method=arguments.method,
            structural_features=arguments.structural,
            on_progress=None if show is None else lambda done, total: show(done, total, "parts"),
            **options,
        )
    finally:
        end_progress()
    if arguments.json:
        found = {
            "folder": arguments.out,
            "nodes": layout.num_nodes,
            "edges": layout.num_edges,
            "parts": layout.num_parts,
            "method": layout.method,
            "halo_share": layout.halo_share,
        }
        print(json.dumps(found))
    else:
        print(
            f"{layout.num_nodes} nodes with {layout.num_edges} neighbours in {layout.num_parts} parts"
            f" ({layout.method}); halo: {layout.halo_share:.3g} nodes per node"
        )

"""``graphattend embed``: compute a vector for every node of a graph."""

from __future__ import annotations

import argparse

from ._common import add_graph, add_output, end_progress, print_graph, print_rows, progress, read_graph, told
from ._learning import add_settings, settings
from ._writing import check_out, write_matrix

HELP = "compute a vector for every node: from the graph's spectrum, or learned from its links"
EXAMPLES = (
    "graphattend embed --graph graph.csv --dim 32 --out embeddings.csv",
    "graphattend embed --graph graph.csv --dim 32 --mechanism multi_head --out embeddings.npy",
)


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_graph(command, required=True, embeddings=False)
    command.add_argument("--dim", type=int, default=16, help="dimension of the vectors (16)")
    command.add_argument(
        "--mechanism", metavar="KEY", help="learn from the links with this mechanism (default: spectral embedding)"
    )
    command.add_argument("--out", required=True, metavar="FILE", help="output file: .npy, .npz or .csv")
    command.add_argument("--seed", type=int, default=0, help="random seed (0)")
    add_settings(command, seeds=False, hidden=False)
    add_output(command)


def run(arguments: argparse.Namespace) -> None:
    """Compute and write the vectors."""
    check_out(arguments.out, "--out", (".npy", ".npz", ".csv"), arguments.graph)
    read = read_graph(arguments)
    graph = read.graph
    metrics = {}
    if arguments.mechanism is None:
        from ..graph import spectral_embedding

        found = spectral_embedding(graph, arguments.dim, seed=arguments.seed)
    else:
        from ..evaluation import fit

        call = settings(arguments) | {"hidden": arguments.dim, "seed": arguments.seed}
        try:
            trained = fit(graph, "links", arguments.mechanism, on_progress=progress(), **call)
        finally:
            end_progress()
        assert trained is not None  # the progress line never cancels
        found, metrics = trained.output, trained.metrics
    write_matrix(arguments.out, found, graph)
    told(arguments.out)
    data = {"nodes": len(found), "dim": found.shape[1], "out": arguments.out, "metrics": metrics}
    rows = [("nodes", len(found)), ("coordinates", found.shape[1]), *metrics.items()]
    print_graph(read, arguments)
    print_rows(("what", "value"), rows, arguments, data)

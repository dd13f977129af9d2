"""``graphattend analyze``: show which nodes of a graph attend to which."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

from .._validate import as_int
from ..analysis import analyze, text_table
from ._common import (
    add_graph,
    add_mechanisms,
    add_output,
    add_plot,
    end_progress,
    options,
    print_rows,
    progress,
    read_embeddings,
    read_graph,
    told,
)
from ._workers import add_workers, workers

HELP = "show who attends to whom in a graph, under every applicable mechanism"
EXAMPLES = (
    "graphattend analyze --graph graph.csv --plot report.html",
    "graphattend analyze --graph graph.csv --mechanism hyperbolic --option curvature=-2",
    "graphattend analyze --graph graph.csv --model model.npz --embeddings latents.npy",
)


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_graph(command, required=True)
    command.add_argument("--dim", type=int, default=16, help="dimension of the spectral embedding (16)")
    command.add_argument("--nodes", type=int, default=5, help="number of nodes in the table (5)")
    command.add_argument(
        "--model",
        action="append",
        metavar="FILE",
        default=[],
        help="saved mechanism, applied to --embeddings unchanged (repeatable)",
    )
    add_plot(command)
    add_mechanisms(command)
    add_workers(command)
    add_output(command)


def run(arguments: argparse.Namespace) -> None:
    """Read and analyse the graph; print and draw the result."""
    from ..drawing import check_plot_path
    from ..mechanisms._files import load
    from ..report import write_plot

    as_int(arguments.nodes, "--nodes", minimum=0)
    if arguments.plot is not None:
        check_plot_path(arguments.plot, arguments.graph, arguments.embeddings)
    graph, directed = read_graph(arguments)
    embeddings = read_embeddings(arguments.embeddings, graph)
    models = {Path(path).name: load(path) for path in arguments.model}
    try:
        with workers(arguments):
            found = analyze(
                graph,
                embeddings,
                arguments.mechanism,
                options(arguments.option),
                dim=arguments.dim,
                seed=arguments.seed,
                models=models,
                on_progress=progress(),
            )
    finally:
        end_progress()
    found = dataclasses.replace(found, directed=directed)
    if arguments.plot is not None:
        write_plot(found, arguments.plot)
        told(arguments.plot)
    if arguments.json:
        print(json.dumps(found.to_dict(), allow_nan=False))
    elif arguments.csv:
        names = found.names
        rows = [
            (r.key, names[i], names[j], float(w))
            for r in found.results
            for i, j, w in zip(found.graph.targets, found.graph.indices, r.weights, strict=True)
        ]
        print_rows(("mechanism", "node", "neighbour", "weight"), rows, arguments, None)
    else:
        print(text_table(found, nodes=arguments.nodes))

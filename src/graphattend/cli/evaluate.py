"""``graphattend evaluate``: train every mechanism and compare its predictions of held-out links or labels."""

from __future__ import annotations

import argparse
import json

from ._common import (
    add_graph,
    add_output,
    add_plot,
    end_progress,
    print_graph,
    print_rows,
    progress,
    read_embeddings,
    read_graph,
    told,
)
from ._learning import add_settings, add_task, check_task, read_labels, settings
from ._workers import add_workers, workers

HELP = "train every mechanism on a graph and compare their predictions of held-out links or labels"
EXAMPLES = (
    "graphattend evaluate --graph graph.csv --task links --seeds 5 --plot evaluation.html",
    "graphattend evaluate --graph graph.csv --task labels --labels labels.csv --cache runs",
)


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_graph(command, required=True)
    add_task(command)
    command.add_argument(
        "--mechanism", action="append", metavar="KEY", help="a mechanism, see `graphattend list` (repeatable)"
    )
    add_settings(command)
    add_workers(command)
    command.add_argument("--cache", metavar="FOLDER", help="folder that caches finished runs")
    add_plot(command)
    add_output(command)


def run(arguments: argparse.Namespace) -> None:
    """Evaluate the mechanisms; print and draw the result."""
    from ..drawing import check_plot_path
    from ..evaluation import evaluate
    from ..evaluation.results import sorted_rows

    check_task(arguments)
    if arguments.plot is not None:
        check_plot_path(arguments.plot, arguments.graph, arguments.embeddings, arguments.labels)
    read = read_graph(arguments)
    graph = read.graph
    try:
        with workers(arguments):
            found = evaluate(
                graph,
                arguments.task,
                mechanisms=arguments.mechanism,
                x=read_embeddings(arguments.embeddings, graph),
                labels=read_labels(arguments.labels, graph),
                cache=arguments.cache,
                on_progress=progress(),
                **settings(arguments),
            )
    finally:
        end_progress()
    if arguments.plot is not None:
        found.plot(arguments.plot)
        told(arguments.plot)
    print_graph(read, arguments)
    if arguments.json:
        print(json.dumps(found.to_dict(), allow_nan=False))
    elif arguments.csv:
        header = ["mechanism", *(f"{m}_{part}" for m in found.metrics for part in ("mean", "sd"))]
        header += ["p_value", "calibration_error", "seconds_per_epoch", "epochs", "parameters", "memory", "baseline"]
        rows = [
            [row["mechanism"], *(x for m in found.metrics for x in row[m]), *(row[name] for name in header[-7:])]
            for row in sorted_rows(found)
        ]
        print_rows(header, rows, arguments, None)
    else:
        print(found.table())

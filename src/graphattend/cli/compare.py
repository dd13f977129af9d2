"""``graphattend compare``: compare the mechanisms' weights on a graph, or how well they predict."""

from __future__ import annotations

import argparse

from ..analysis import analyze
from ..errors import InvalidConfigError
from . import evaluate
from ._common import (
    add_graph,
    add_mechanisms,
    add_output,
    add_plot,
    end_progress,
    options,
    print_graph,
    print_rows,
    progress,
    read_embeddings,
    read_graph,
    told,
)
from ._learning import add_settings, add_task
from ._workers import add_workers, workers

HELP = "compare mechanisms on a graph: their agreement, or with --task their predictions"
EXAMPLES = (
    "graphattend compare --graph graph.csv --plot agreement.svg",
    "graphattend compare --graph graph.csv --task links --seeds 5",
)


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_graph(command, required=True)
    add_plot(command)
    add_mechanisms(command)
    add_workers(command)
    add_task(command, required=False)
    add_settings(command)
    command.add_argument("--cache", metavar="FOLDER", help="with --task: folder that caches finished runs")
    add_output(command)


def run(arguments: argparse.Namespace) -> None:
    """Print and draw the agreement matrix (the weight two mechanisms share, averaged over nodes), or evaluate."""
    if arguments.task is not None:
        if arguments.option or arguments.seed:
            raise InvalidConfigError.of("--task", "no --option and no --seed beside it (see --seeds)", arguments.task)
        evaluate.run(arguments)
        return
    if arguments.labels is not None or arguments.cache is not None:
        raise InvalidConfigError.of("--task", "links or labels, beside --labels or --cache", None)
    from ..drawing import check_plot_path
    from ..report import write_plot

    if arguments.plot is not None:
        check_plot_path(arguments.plot, arguments.graph, arguments.embeddings)
    read = read_graph(arguments)
    graph = read.graph
    embeddings = read_embeddings(arguments.embeddings, graph)
    try:
        with workers(arguments):
            found = analyze(
                graph,
                embeddings,
                arguments.mechanism,
                options(arguments.option),
                seed=arguments.seed,
                on_progress=progress(),
            )
    finally:
        end_progress()
    if arguments.plot is not None:
        write_plot(found, arguments.plot, picture="agreement")
        told(arguments.plot)
    keys = [r.key for r in found.results]
    rows = [(key, *(round(float(a), 3) for a in row)) for key, row in zip(keys, found.agreement, strict=True)]
    data = {"mechanisms": keys, "agreement": found.agreement.tolist()}
    numbers = [str(i + 1) for i in range(len(keys))]
    if not (arguments.csv or arguments.json):  # the names would be too wide for a terminal
        rows = [(f"{i + 1} {row[0]}", *row[1:]) for i, row in enumerate(rows)]
    print_graph(read, arguments)
    print_rows(("mechanism", *(keys if arguments.csv else numbers)), rows, arguments, data)

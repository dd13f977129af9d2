"""``graphattend compare``: how alike the mechanisms' weights are on a graph."""

from __future__ import annotations

import argparse

from ..analysis import analyze
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

HELP = "how much the mechanisms agree on a graph: mean over nodes of the weight they share"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    add_graph(command, required=True)
    add_plot(command)
    add_mechanisms(command)
    add_output(command)


def run(arguments: argparse.Namespace) -> None:
    """Analyse, print the agreement matrix, draw."""
    from ..drawing import check_plot_path
    from ..report import write_plot

    if arguments.plot is not None:
        check_plot_path(arguments.plot, arguments.graph, arguments.embeddings)
    graph = read_graph(arguments).graph
    embeddings = read_embeddings(arguments.embeddings, graph)
    try:
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
    keys = [r.key for r in found.results]
    rows = [(key, *(round(float(a), 3) for a in row)) for key, row in zip(keys, found.agreement, strict=True)]
    data = {"mechanisms": keys, "agreement": found.agreement.tolist()}
    numbers = [str(i + 1) for i in range(len(keys))]
    if not (arguments.csv or arguments.json):  # names as columns would not fit a terminal
        rows = [(f"{i + 1} {row[0]}", *row[1:]) for i, row in enumerate(rows)]
    print_rows(("mechanism", *(keys if arguments.csv else numbers)), rows, arguments, data)
    if arguments.plot is not None:
        write_plot(found, arguments.plot, picture="agreement")
        told(arguments.plot)

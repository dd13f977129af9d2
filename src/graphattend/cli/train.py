"""``graphattend train``: train one mechanism, and write it to a file for `ga.load` and the browser."""

from __future__ import annotations

import argparse

from ..errors import InvalidConfigError
from ._common import (
    add_graph,
    add_output,
    end_progress,
    print_graph,
    print_rows,
    progress,
    read_embeddings,
    read_graph,
    told,
)
from ._learning import add_settings, add_task, check_task, read_labels, settings
from ._writing import check_out, write_matrix

HELP = "train one mechanism on held-out links or labels, and write it to a file"
EXAMPLES = (
    "graphattend train --graph graph.csv --task links --mechanism hyperbolic --out model.npz --latents latents.npy",
)


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_graph(command, required=True)
    add_task(command)
    command.add_argument(
        "--mechanism", required=True, metavar="KEY", help="key of the mechanism, see `graphattend list`"
    )
    command.add_argument("--out", required=True, metavar="FILE", help="output file: .npz or .safetensors")
    command.add_argument("--latents", metavar="FILE", help="also write the learned embeddings: .npy, .npz or .csv")
    command.add_argument("--seed", type=int, default=0, help="seed of the split and the parameters (0)")
    add_settings(command, seeds=False)
    add_output(command)


def run(arguments: argparse.Namespace) -> None:
    """Train and write the mechanism; print the test metrics."""
    from ..evaluation import fit

    check_task(arguments)
    inputs = (arguments.graph, arguments.embeddings, arguments.labels)
    check_out(arguments.out, "--out", (".npz", ".safetensors"), *inputs)
    if arguments.latents is not None:
        check_out(arguments.latents, "--latents", (".npy", ".npz", ".csv"), *inputs, arguments.out)
    read = read_graph(arguments)
    graph = read.graph
    try:
        found = fit(
            graph,
            arguments.task,
            arguments.mechanism,
            x=read_embeddings(arguments.embeddings, graph),
            labels=read_labels(arguments.labels, graph),
            seed=arguments.seed,
            on_progress=progress(),
            **settings(arguments),
        )
    finally:
        end_progress()
    if found is None:
        raise InvalidConfigError.of("--epochs", "a run that is not cancelled", "a cancelled one")
    found.attention.save(arguments.out)
    told(arguments.out)
    if arguments.latents is not None:
        write_matrix(arguments.latents, found.latents, graph)
        told(arguments.latents)
    data = {"mechanism": found.attention.key, "metrics": found.metrics, "epochs": found.epochs, "out": arguments.out}
    print_graph(read, arguments)
    print_rows(("metric", "value"), list(found.metrics.items()), arguments, data)

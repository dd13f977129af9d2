"""What the commands that train share: the task, its labels, and how long to train."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InvalidConfigError, LoadError
from ..graph import NeighborGraph
from ._common import MAX_BYTES

#: Values of the command line by argument of `ga.evaluate`.
SETTINGS = ("seeds", "epochs", "patience", "hidden", "lr")


def add_task(command: argparse.ArgumentParser, *, required: bool = True) -> None:
    """``--task`` and ``--labels``."""
    command.add_argument("--task", required=required, choices=("links", "labels"), help="what to predict")
    command.add_argument(
        "--labels", metavar="FILE", help="file of classes: one label per line in node order, or NODE,LABEL"
    )


def add_settings(command: argparse.ArgumentParser, *, seeds: bool = True, hidden: bool = True) -> None:
    """Arguments for the number of runs and their length."""
    if seeds:
        command.add_argument("--seeds", type=int, default=3, help="number of random splits and initialisations (3)")
    if hidden:
        command.add_argument("--hidden", type=int, default=32, help="width of the mechanisms (32)")
    command.add_argument("--epochs", type=int, default=200, help="maximum number of epochs per run (200)")
    command.add_argument(
        "--patience", type=int, default=30, help="stop after this many epochs without improvement (30)"
    )
    command.add_argument("--lr", type=float, default=0.01, help="learning rate (0.01)")


def settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """The keyword arguments of `ga.evaluate` for these options."""
    return {name: getattr(arguments, name) for name in SETTINGS if name in arguments}


def read_labels(path: str | None, graph: NeighborGraph) -> np.ndarray | None:
    """The class of every node as text; "" (a line without one) means unknown."""
    if path is None:
        return None
    try:
        if Path(path).stat().st_size > MAX_BYTES:
            raise LoadError(f"{path}: larger than {MAX_BYTES >> 20} MB", argument="--labels")
        lines = Path(path).read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise LoadError(f"{path}: cannot be read ({error})"[:200], argument="--labels") from None
    rows = [line.replace("\t", ",").split(",") for line in lines if line.strip()]
    if all(len(row) == 1 for row in rows):
        found = [row[0].strip() for row in rows]
        if len(found) != graph.num_nodes:
            raise LoadError(f"{path}: {len(found)} labels for {graph.num_nodes} nodes", argument="--labels")
        return np.array(found)
    names = [str(i) for i in range(graph.num_nodes)] if graph.names is None else [str(n) for n in graph.names]
    place = {name: i for i, name in enumerate(names)}
    labels = np.full(graph.num_nodes, "", object)
    for number, row in enumerate(rows, 1):
        if len(row) != 2:
            raise LoadError(f"{path}, line {number}: expected NODE,LABEL, got {len(row)} fields", argument="--labels")
        node, label = (part.strip() for part in row)
        if node in place:
            labels[place[node]] = label
        elif number > 1:  # the first line may name the columns
            raise LoadError(f"{path}, line {number}: no node {node!r:.60} in the graph", argument="--labels")
    return labels.astype(str)


def check_task(arguments: argparse.Namespace) -> None:
    """Labels are given for the task "labels", and only for it."""
    if (arguments.task == "labels") != (arguments.labels is not None):
        raise InvalidConfigError.of("--labels", "a file for --task labels, and only for it", arguments.labels)

"""Shared code of the commands that train: the task, its labels, and the length of training."""

from __future__ import annotations

import argparse
import contextlib
from typing import Any

import numpy as np

from ..errors import InvalidConfigError
from ..graph import NeighborGraph
from ..graph.files import content_of, suffixes_of
from ..graph.formats._text import SEPARATORS, Row, decode, split
from ..storage import load_errors
from ..storage_checks import Refused
from ._common import MAX_BYTES

#: Arguments of `ga.evaluate` that are options of the command line.
SETTINGS = ("seeds", "epochs", "patience", "hidden", "lr", "layers")


def add_task(command: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Add ``--task`` and ``--labels``."""
    command.add_argument("--task", required=required, choices=("links", "labels"), help="what to predict")
    command.add_argument(
        "--labels", metavar="FILE", help="file of classes: one label per line in node order, or NODE,LABEL"
    )


def add_settings(command: argparse.ArgumentParser, *, seeds: bool = True, hidden: bool = True) -> None:
    """Add the options for the number and length of the runs."""
    if seeds:
        command.add_argument("--seeds", type=int, default=3, help="number of random splits and initialisations (3)")
    if hidden:
        command.add_argument("--hidden", type=int, default=32, help="width of the mechanisms (32)")
    command.add_argument("--layers", type=int, choices=(1, 2), default=1, help="attention layers of the network (1)")
    command.add_argument("--epochs", type=int, default=200, help="maximum number of epochs per run (200)")
    command.add_argument(
        "--patience", type=int, default=30, help="stop after this many epochs without improvement (30)"
    )
    command.add_argument("--lr", type=float, default=0.01, help="learning rate (0.01)")


def settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the keyword arguments of `ga.evaluate` for these options."""
    return {name: getattr(arguments, name) for name in SETTINGS if name in arguments}


def read_labels(path: str | None, graph: NeighborGraph) -> np.ndarray | None:
    """Read the class of every node as text; "" means unknown."""
    if path is None:
        return None
    with load_errors(path):
        compression = suffixes_of(path)[1]
        lines = decode(content_of(path, compression, MAX_BYTES)).splitlines()
        names = [str(i) for i in range(graph.num_nodes)] if graph.names is None else list(graph.names)
        rows = _rows(lines, set(names))
        such = f"NODE,LABEL with nodes such as {names[0]!r:.40}"
        if not rows:
            found = [line.strip() for line in lines if line.strip()]
            if len(found) != graph.num_nodes:
                raise Refused(f"{len(found)} labels for {graph.num_nodes} nodes; expected one a line, or {such}")
            if len(set(found)) == len(found) > 2:
                raise Refused(f"all lines differ, so there are no classes; expected {such}, or labels that repeat")
            return np.array(found)
        places = {name: i for i, name in enumerate(names)}
        labels = np.full(graph.num_nodes, "", object)
        for k, (line, cells) in enumerate(rows):
            if len(cells) != 2:
                raise Refused(f"line {line}: expected NODE,LABEL, got {len(cells)} fields")
            if cells[0] in places:
                labels[places[cells[0]]] = cells[1]
            elif k:  # the first line may be a header
                raise Refused(f"line {line}: no node {cells[0]!r:.60} in the graph; expected {such}")
        return labels.astype(str)


def _rows(lines: list[str], names: set[str]) -> list[Row]:
    """Split lines at the separator that makes the first field a node in most lines; return [] if none does."""
    best: list[Row] = []
    most = 0
    for separator in SEPARATORS:
        with contextlib.suppress(Refused):  # quote characters that are not quotes
            rows = list(split(lines, separator))
            found = sum(len(row.cells) > 1 and row.cells[0] in names for row in rows)
            best, most = (rows, found) if found > most else (best, most)
    return best


def check_task(arguments: argparse.Namespace) -> None:
    """Raise unless ``--labels`` is given exactly for the task "labels"."""
    if (arguments.task == "labels") != (arguments.labels is not None):
        raise InvalidConfigError.of("--labels", "a file for --task labels, and only for it", arguments.labels)

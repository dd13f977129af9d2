"""Shared code of the commands: arguments, options of mechanisms, files, progress and output."""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ..errors import InvalidConfigError
from ..graph import NeighborGraph, embeddings
from ..graph.files import Told, parse, read
from ..graph.properties import described
from ..storage_checks import read_most

#: Moves to the start of a terminal's line and clears it.
CLEAR = "\r\x1b[K"
#: Maximum number of bytes read from the standard input.
MAX_BYTES = 1 << 30


def add_output(command: argparse.ArgumentParser) -> None:
    """Add ``--json`` and ``--csv``."""
    form = command.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--csv", action="store_true", help="print CSV")


def add_mechanisms(command: argparse.ArgumentParser) -> None:
    """Add ``--mechanism``, ``--option`` and ``--seed``."""
    command.add_argument(
        "--mechanism", action="append", metavar="KEY", help="key of a mechanism, see `graphattend list` (repeatable)"
    )
    command.add_argument(
        "--option", action="append", metavar="NAME=VALUE", default=[], help="option of the mechanisms (repeatable)"
    )
    command.add_argument("--seed", type=int, default=0, help="seed of the parameters and of generated data (0)")


def add_graph(command: argparse.ArgumentParser, *, required: bool, embeddings: bool = True) -> None:
    """Add ``--graph``, its reading options, and ``--embeddings``."""
    command.add_argument(
        "--graph", required=required, metavar="FILE", help="graph file in any supported format; - for standard input"
    )
    add_reading(command)
    if not embeddings:
        return
    command.add_argument(
        "--embeddings",
        metavar="FILE",
        help="latent vectors, by node name or one row per node: .npy, .npz, .csv, word2vec",
    )


def add_reading(command: argparse.ArgumentParser) -> None:
    """Add ``--directed``, ``--undirected``, ``--weights``, ``--edge-features`` and ``--format``."""
    ways = command.add_mutually_exclusive_group()
    ways.add_argument(
        "--directed",
        action="store_const",
        const=True,
        dest="directed",
        help="treat edges as directed, whatever the file says",
    )
    ways.add_argument(
        "--undirected",
        action="store_const",
        const=False,
        dest="directed",
        help="treat edges as undirected, whatever the file says",
    )
    command.add_argument("--weights", metavar="COLUMN", help="column (edge attribute) to use as the weight")
    command.add_argument("--edge-features", metavar="A,B", help="columns to use as edge features, in order")
    command.add_argument(
        "--format", metavar="NAME", help="format, such as csv or graphml, where the file name does not say"
    )


def add_plot(command: argparse.ArgumentParser) -> None:
    """Add ``--plot``."""
    command.add_argument("--plot", metavar="FILE", help="write a picture: .html, .svg, or .png (needs matplotlib)")


def told(path: str) -> None:
    """Print the path of a written file if stderr is a terminal."""
    if sys.stderr.isatty():
        print(path, file=sys.stderr)


def options(pairs: Iterable[str]) -> dict[str, Any]:
    """Parse ``name=value`` pairs; a value is parsed as JSON if possible, otherwise kept as text."""
    out: dict[str, Any] = {}
    for pair in pairs:
        name, sign, text = pair.partition("=")
        if not sign or not name:
            raise InvalidConfigError(f"--option: expected NAME=VALUE, got {pair!r:.60}", argument="--option")
        try:
            out[name.replace("-", "_")] = json.loads(text)
        except (json.JSONDecodeError, RecursionError):
            out[name.replace("-", "_")] = text
    return out


def read_graph(arguments: argparse.Namespace) -> Told:
    """Read the graph of ``--graph``, and whether its edges are directed; ``-`` is the standard input."""
    features = None if arguments.edge_features is None else [n for n in arguments.edge_features.split(",") if n]
    wanted = {
        "directed": arguments.directed,
        "weights": arguments.weights,
        "edge_features": features,
        "format": arguments.format,
    }
    if arguments.graph != "-":
        return read(arguments.graph, **wanted)
    return parse(read_most(sys.stdin.buffer, MAX_BYTES + 1), "standard input", **wanted)


def read_embeddings(path: str | None, graph: NeighborGraph | None) -> np.ndarray | None:
    """Read the vectors of ``--embeddings``, one row per node of the graph; all rows without a graph."""
    return None if path is None else embeddings.read_embeddings(path, graph=graph)[1]


def progress() -> Callable[[int, int, str], None] | None:
    """Return a function that shows progress and the estimated time left, or None if stderr is not a terminal."""
    if not sys.stderr.isatty():
        return None
    start = time.monotonic()

    def show(done: int, total: int, what: str) -> None:
        width = 24
        bar = "#" * (width * done // max(total, 1))
        left = (time.monotonic() - start) * (total - done) / done if done else None
        told = "" if left is None else f", {int(left) // 60}:{int(left) % 60:02} left"
        print(f"{CLEAR}[{bar:<{width}}] {done}/{total} {what}{told}", end="", file=sys.stderr, flush=True)

    return show


class Terminal(io.StringIO):
    """Collects the text for a terminal, but shows the progress line at once."""

    def isatty(self) -> bool:
        """Return True, as a terminal does."""
        return True

    def write(self, text: str) -> int:
        """Show a progress line, or collect the text."""
        if not text.startswith(CLEAR):
            return super().write(text)
        assert sys.__stderr__ is not None
        sys.__stderr__.write(text)
        sys.__stderr__.flush()
        return len(text)


def end_progress() -> None:
    """Clear the progress line."""
    if sys.stderr.isatty():
        print(CLEAR, end="", file=sys.stderr, flush=True)


def print_graph(told: Told, arguments: argparse.Namespace) -> None:
    """Print how many nodes and edges were read and whether they are directed, unless the output is JSON or CSV."""
    if not (arguments.json or arguments.csv):
        print(f"{described(*told)}\n")


def print_rows(
    header: Sequence[str], rows: Sequence[Sequence[Any]], arguments: argparse.Namespace, data: object
) -> None:
    """Print a table as text or CSV, or `data` as JSON."""
    if arguments.json:
        print(json.dumps(data, allow_nan=False))
    elif arguments.csv:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
        print(text.getvalue(), end="")
    else:
        shown = [[_cell(c) for c in row] for row in rows]
        if sys.stdout.isatty() and _rich_table(header, shown):
            return
        widths = [max(len(r[i]) for r in [list(header), *shown]) for i in range(len(header))]
        for row in [list(header), *shown]:
            print("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip())


def _rich_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Print a table that fits the terminal; return False if rich is not installed."""
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        return False
    table = Table(*header, header_style="bold")
    for row in rows:
        table.add_row(*row)
    Console(markup=False, highlight=False).print(table)
    return True


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)

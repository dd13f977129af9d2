"""``graphattend benchmark``: measure the speed of the mechanisms on this machine."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import mechanisms
from .._validate import as_int, as_number
from ..analysis import check_options, latents, make, option_names, scaled_latents, with_distances
from ..errors import AttentionError, InvalidConfigError
from ..graph import NeighborGraph
from ..mechanisms._base import Attention
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

HELP = "time the mechanisms: single-query calls, or every node of a graph over its neighbours"
EXAMPLES = (
    "graphattend benchmark --neighbors 1000 --dim 128",
    "graphattend benchmark --graph graph.csv --mechanism flash --plot times.svg",
)


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_graph(command, required=False)
    command.add_argument("--neighbors", type=int, default=1000, help="number of keys if there is no graph (1000)")
    command.add_argument("--dim", type=int, default=128, help="width of the vectors (128)")
    command.add_argument("--seconds", type=float, default=0.5, help="time spent on each mechanism (0.5)")
    add_plot(command)
    add_mechanisms(command)
    add_output(command)


def example(key: str, n: int, dim: int, seed: int, given: dict[str, Any]) -> tuple[Attention, dict[str, Any]]:
    """Return a mechanism and arguments for a valid call in single precision."""
    cls = mechanisms.mechanism_class(key)
    attn, inputs = cls.example(np.random.default_rng(seed), n, dim)
    chosen = {name: value for name, value in given.items() if name in option_names(key)}
    if chosen:
        config = attn.to_config()
        attn = mechanisms.from_config({**config, "options": {**config["options"], **chosen}})
    arrays = {k: np.asarray(a, np.float32) if isinstance(a, np.ndarray) else a for k, a in inputs.items()}
    return attn, arrays


def run(arguments: argparse.Namespace) -> None:
    """Measure, print and draw the times."""
    from ..drawing import check_plot_path, write_bars

    as_int(arguments.neighbors, "--neighbors", minimum=1)
    as_int(arguments.dim, "--dim", minimum=8)
    as_int(arguments.seed, "--seed", minimum=0)
    as_number(arguments.seconds, "--seconds", above=0)
    if arguments.plot is not None:
        check_plot_path(arguments.plot, arguments.graph, arguments.embeddings)
    keys = arguments.mechanism or mechanisms.list_mechanisms()
    given = options(arguments.option)
    check_options(keys, given)
    read = read_graph(arguments) if arguments.graph else None
    call_of = _over_keys(arguments, given) if read is None else _over_graph(read.graph, arguments, given)
    show = progress()
    rows = []
    try:
        for i, key in enumerate(keys):
            if show:
                show(i, len(keys), key)
            try:
                rows.append((key, *_time(call_of(key), arguments.seconds)))
            except AttentionError:
                if arguments.mechanism or not arguments.graph:
                    raise  # otherwise the mechanism does not apply to this graph
    finally:
        end_progress()
    if arguments.plot is not None:
        write_bars(arguments.plot, "Calls per second", {row[0]: row[3] for row in rows})
        told(arguments.plot)
    if read is not None:
        print_graph(read, arguments)
    header = ("mechanism", "ms_p50", "ms_p95", "ops_per_second")
    print_rows(header, rows, arguments, [dict(zip(header, row, strict=True)) for row in rows])


def _over_keys(arguments: argparse.Namespace, given: dict[str, Any]) -> Callable[[str], Callable[[], Any]]:
    if arguments.embeddings is not None:
        raise InvalidConfigError("--embeddings: expected along with --graph", argument="--embeddings")

    def call_of(key: str) -> Callable[[], Any]:
        attn, call = example(key, arguments.neighbors, arguments.dim, arguments.seed, given)
        return lambda: attn.forward(**call)

    return call_of


def _over_graph(
    graph: NeighborGraph, arguments: argparse.Namespace, given: dict[str, Any]
) -> Callable[[str], Callable[[], Any]]:
    graph = with_distances(graph)
    x = latents(graph, read_embeddings(arguments.embeddings, graph), arguments.dim)

    def call_of(key: str) -> Callable[[], Any]:
        attn = make(key, graph, x.shape[1], given, arguments.seed)
        scaled = scaled_latents(attn, x).astype(np.float32)
        return lambda: attn.attend(graph, scaled)

    return call_of


def _time(call: Callable[[], Any], seconds: float) -> tuple[float, float, float]:
    # Time several calls together, because browsers round their clock, Firefox to a millisecond. One slow call does not
    # settle how many: when later calls take too little time together, more are taken, and the times begin anew.
    calls, times, end = 1, list[float](), time.perf_counter() + seconds
    while len(times) < 5 or time.perf_counter() < end:
        start = time.perf_counter()
        for _ in range(calls):
            call()
        took = time.perf_counter() - start
        if took < 10e-3:
            calls, times = calls * 4, []
        else:
            times.append(took / calls)
    median = statistics.median(times)
    return median * 1e3, float(np.quantile(times, 0.95)) * 1e3, 1 / median

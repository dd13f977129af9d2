"""``graphattend attend``: let every node of a partitioned graph attend over its neighbours, and write a file."""

from __future__ import annotations

import argparse
import json

import numpy as np

from ..analysis import check_options, make
from ..errors import InvalidConfigError
from ..mechanisms._base import Attention
from ..mechanisms._files import load
from ._common import add_mechanisms, end_progress, options, progress
from ._workers import add_workers, workers
from ._writing import check_out

HELP = "attend over a partitioned graph, every node over its neighbours, and write the output to a file"
EXAMPLES = (
    "graphattend attend parts --embeddings x.npy --mechanism scaled_dot_product --out y.npy --workers 2",
    "graphattend attend parts --embeddings x.npy --model model.npz --out y.npy --scheduler tcp://10.0.0.1:8786",
)


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    command.add_argument("folder", metavar="FOLDER", help="folder written by `graphattend partition`")
    command.add_argument(
        "--embeddings", required=True, metavar="FILE", help="features, one row per node: .npy or .zarr"
    )
    command.add_argument("--out", required=True, metavar="FILE", help="output file: .npy or .zarr")
    command.add_argument("--model", metavar="FILE", help="trained mechanism, as written by `graphattend train`")
    add_mechanisms(command)  # several mechanisms are layers in this order
    add_workers(command)
    command.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> None:
    """Attend and print the written file. The same command resumes an interrupted run."""
    from ..dask import Layout, attend
    from ..dask._arrays import opened
    from ..dask._attend import probe

    check_out(arguments.out, "--out", (".npy", ".zarr"), arguments.embeddings, arguments.model)
    if (arguments.model is None) == (arguments.mechanism is None):
        raise InvalidConfigError.of("--mechanism", "either --mechanism or --model", None, got="both or neither")
    layout = Layout.open(arguments.folder)
    x = opened(arguments.embeddings, "--embeddings")
    layers: list[Attention]
    if arguments.model is not None:
        layers = [load(arguments.model)]
    else:
        given = options(arguments.option)
        check_options(arguments.mechanism, given)
        width = int(np.shape(x)[-1]) if np.ndim(x) == 2 else 1
        layers = [make(key, probe(layout), width, given, arguments.seed) for key in arguments.mechanism]
    show = progress()
    try:
        with workers(arguments):
            out = attend(
                layers,
                arguments.folder,
                x,
                arguments.out,
                threads=arguments.threads,
                on_progress=None if show is None else lambda done, total: show(done, total, "parts"),
            )
    finally:
        end_progress()
    found = {"out": arguments.out, "shape": list(out.shape), "dtype": str(out.dtype)}
    if arguments.json:
        print(json.dumps(found | {"mechanisms": [layer.key for layer in layers], "parts": layout.num_parts}))
    else:
        print(f"{arguments.out}: {out.shape[0]} nodes, {out.shape[1]} coordinates, {out.dtype}")

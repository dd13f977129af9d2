"""``graphattend compress``: compress embeddings and report the error."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from ._common import add_output, options, print_rows, read_embeddings, told
from ._writing import check_out

HELP = "compress embeddings and report the error"
EXAMPLES = (
    "graphattend compress --embeddings latents.npy --option bits=4 --out latents-4bit.npz",
    "graphattend compress --embeddings latents.npy --codec low_rank --option rank=8 --out latents.npz",
)


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    command.add_argument(
        "--embeddings", required=True, metavar="FILE", help="embeddings, one vector per row: .npy, .npz, .csv or text"
    )
    command.add_argument("--codec", default="quantizer", metavar="KEY", help="name of the codec (default: quantizer)")
    command.add_argument(
        "--option", action="append", metavar="NAME=VALUE", default=[], help="option of the codec (repeatable)"
    )
    command.add_argument("--out", required=True, metavar="FILE", help="output file: .npz or .safetensors")
    add_output(command)


def run(arguments: argparse.Namespace) -> None:
    """Compress and write the embeddings; print size and error."""
    from ..compression import CODECS

    check_out(arguments.out, "--out", (".npz", ".safetensors"), arguments.embeddings)
    codec: Any = CODECS.find(arguments.codec, "--codec")(**options(arguments.option))
    x = read_embeddings(arguments.embeddings, None)
    assert x is not None
    compressed = codec.encode(x)
    error = np.asarray(codec.decode(compressed), np.float64) - x
    compressed.save(arguments.out)
    told(arguments.out)
    data = {
        "bytes": int(compressed.nbytes),
        "ratio": float(compressed.ratio),
        "largest_error": float(np.abs(error).max()),
        "rms_error": float(np.sqrt(np.mean(error**2))),
    }
    print_rows(("what", "value"), list(data.items()), arguments, data | {"out": arguments.out})

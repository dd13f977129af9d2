"""Output files of commands."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InvalidConfigError
from ..graph import NeighborGraph
from ..storage import load_errors, write_atomically


def check_out(path: str, argument: str, suffixes: tuple[str, ...], *inputs: str | None) -> None:
    """Raise an error, before the work starts, if a file cannot be written or would overwrite an input."""
    if Path(path).suffix.lower() not in suffixes:
        raise InvalidConfigError.of(argument, f"a name ending in {', '.join(suffixes)}", path, got=f"{path!r:.80}")
    if not Path(path).resolve().parent.is_dir():
        raise InvalidConfigError.of(argument, "a folder that exists", str(Path(path).parent))
    for name in inputs:
        if name is not None and os.path.realpath(name) == os.path.realpath(path):
            raise InvalidConfigError.of(argument, "another file than the inputs", path, got=f"{path!r:.80}")


def write_matrix(path: str, x: np.ndarray, graph: NeighborGraph) -> None:
    """Write one vector per node: .npy, .npz (``embeddings`` and ``names``) or .csv with the node's name first."""
    names: Any = np.arange(graph.num_nodes) if graph.names is None else np.asarray(graph.names)
    data = io.BytesIO()
    suffix = Path(path).suffix.lower()
    if suffix == ".npy":
        np.save(data, x)
    elif suffix == ".npz":
        np.savez(data, embeddings=x, names=names.astype(str))
    else:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["id", *range(x.shape[1])])
        writer.writerows([str(name), *map(float, row)] for name, row in zip(names, x, strict=True))
        data.write(text.getvalue().encode())
    with load_errors(path):
        write_atomically(path, data.getvalue())

"""Reading latent vectors from files and matching them to the nodes of a graph by name."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import InvalidConfigError
from ..storage import load_errors
from ..storage_checks import Refused
from .files import as_path, content_of, suffixes_of
from .formats import COMPRESSIONS, VECTORS, ogb
from .neighbor_graph import NeighborGraph

__all__ = ["read_embeddings"]

_MAX_BYTES = 1 << 30


def read_embeddings(
    path: str | os.PathLike[str], *, names: Sequence[str] | None = None, graph: NeighborGraph | None = None
) -> tuple[list[str] | None, np.ndarray]:
    """Read latent vectors, one per node, from a file. The suffix determines the format.

    The formats are ``.npy``; ``.npz`` with one array; text (``.txt .csv .tsv .vec .emb .emd .glove``); word2vec's
    ``.bin``; Planetoid's ``ind.NAME.allx``; OGB's folder. Text holds rows of numbers, rows of a name and numbers as
    in word2vec and GloVe, or a table with a header and a column of names (``id``, ``node``, ``word``, …). A further
    suffix ``.gz``, ``.bz2`` or ``.xz`` means compression.

    Args:
        path: The file.
        names: Names of the rows to return, in this order. By default all rows, in the order of the file.
        graph: Return the vectors of its nodes, found by its `names`, or by node number if it has none.

    Returns:
        The names of the rows, or None if neither the file nor the caller has names, and the vectors, (V, D).

    Raises:
        LoadError: The file cannot be read, a name is missing, or the numbers of rows and names differ.
        InvalidConfigError: Both `names` and `graph` are given, or `names` is not a sequence of strings.

    Example:
        >>> import pathlib, tempfile
        >>> import graphattend as ga
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "words.txt")
        ...     _ = path.write_text("ann 0.5 1\\nbob 2 3\\n")
        ...     ga.read_embeddings(path, names=["bob", "ann"])
        (['bob', 'ann'], array([[2. , 3. ],
               [0.5, 1. ]]))
    """
    name = as_path(path)
    wanted = _wanted(names, graph)
    with load_errors(name):
        found, x = _read(name)
        if x.ndim != 2 or not x.size or x.dtype.kind not in "iuf":
            raise Refused(f"expected numbers of shape (V, D), got {x.dtype} of shape {x.shape}")
        if x.dtype.kind != "f":
            x = x.astype(np.float64)
        if wanted is not None:
            x = x[_places(found, wanted, len(x))]
        bad = ~np.isfinite(x).all(axis=1)
        if bad.any():
            row = int(np.argmax(bad))
            shown = (wanted or found or [str(i) for i in range(len(x))])[row]
            raise Refused(f"the vector of {shown!r:.60} holds NaN or infinity")
    return found if wanted is None else wanted, x


def _wanted(names: object, graph: object) -> list[str] | None:
    if graph is not None:
        if names is not None or not isinstance(graph, NeighborGraph):
            raise InvalidConfigError.of("graph", "a NeighborGraph, without names beside it", type(graph).__name__)
        return [str(i) for i in range(graph.num_nodes)] if graph.names is None else list(graph.names)
    if names is None:
        return None
    if isinstance(names, str) or not isinstance(names, Sequence) or not all(isinstance(n, str) for n in names):
        raise InvalidConfigError.of("names", "a sequence of strings", type(names).__name__)
    return list(names)


def _read(name: str) -> tuple[list[str] | None, np.ndarray]:
    if os.path.isdir(name):
        return None, ogb.node_features(name)
    suffix, compression = suffixes_of(name)
    if suffix not in VECTORS:
        raise Refused(f"expected a name ending in {', '.join(VECTORS)} (and maybe {', '.join(COMPRESSIONS)})")
    return VECTORS[suffix](content_of(name, compression, _MAX_BYTES))


def _places(found: list[str] | None, wanted: list[str], rows: int) -> Any:
    """Return the row indices of the wanted names."""
    if found is None:
        if rows != len(wanted):
            raise Refused(f"expected {len(wanted)} rows, one per node, or names in front of them; got {rows} rows")
        return slice(None)
    places: dict[str, int] = {}
    twice: set[str] = set()
    for i, name in enumerate(found):
        if places.setdefault(name, i) != i:
            twice.add(name)
    missing = [name for name in wanted if name not in places]
    if missing:
        some = ", ".join(repr(name)[:40] for name in missing[:5]) + (", …" if len(missing) > 5 else "")
        raise Refused(
            f"has no vectors of {len(missing)} of {len(wanted)} nodes: {some}; it has names such as {found[0]!r:.40}"
        )
    double = next((name for name in wanted if name in twice), None)
    if double is not None:
        raise Refused(f"has two vectors of {double!r:.60}")
    return [places[name] for name in wanted]

"""Partitioning of a graph into a folder of parts."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .._validate import as_bool, as_choice, as_int
from ..errors import CancelledError, InvalidConfigError
from ..graph import NeighborGraph, _csr
from ..graph.blocks import localized, ranges
from ..graph.conversions import need
from ..graph.transforms import edge_data
from ._layout import JSON, METHODS, NODE_ARRAYS, UNFINISHED, Layout, PartSize, part_folder, save, write_json

Say = Callable[[int, int], None]


def partition(
    graph_or_path: object,
    folder: str | os.PathLike[str],
    parts: int,
    *,
    method: str | None = None,
    directed: bool | None = None,
    structural_features: bool = False,
    on_progress: Callable[[int, int], Any] | None = None,
) -> Layout:
    """Partition a graph: contiguous ranges of nodes with one hop of halo, as memory maps in a folder.

    The layout is that of DGL's ``partition_graph``; see the page "Growth". The parts have about equal work (the number
    of their nodes and of the edges into them). The methods are:

    - "metis": minimises the number of edges between parts, with `pymetis`.
    - "rcm": ranges of the reverse Cuthill–McKee order (SciPy), which places neighbours near each other.
    - "range": ranges of the given order, for orders that keep neighbours together. Files that are read in blocks
      need it.

    An edge list of whole numbers (``source target [weight]`` per line in .txt, .edges, .edgelist, .el, .csv or .tsv,
    also compressed; or an ``edge_index`` (2, K) in .npy) is never in memory as a whole. Three passes over the file sort
    its edges into pieces on disk, with memory for a few arrays per node and 8 M edges. Nodes are numbered as by
    `NeighborGraph.read`. Other files, and all files with "metis" and "rcm", are read into memory first.

    Args:
        graph_or_path: A `NeighborGraph` or a file.
        folder: The destination, which is created if necessary. It must be empty or hold an older partition, which is
            replaced.
        parts: Number of parts, 1 … V.
        method: By default, the first of the three whose library is installed; "range" for one part and for files that
            are read in blocks. The JSON records the method.
        directed: As in `NeighborGraph.read`, for a file.
        structural_features: Whether to store them, for mechanisms that read them. The whole graph must fit into memory.
        on_progress: Called as ``on_progress(done, total)`` with the number of written parts; returning False cancels.

    Returns:
        The `Layout`.

    Raises:
        InvalidConfigError: An argument has the wrong type, there are more parts than nodes, or the folder has other
            content.
        LoadError: The file cannot be read.
        UnsupportedError: The library that `method` needs is not installed.
        CancelledError: `on_progress` returned False.

    Source:
        Karypis & Kumar 1998, "A Fast and High Quality Multilevel Scheme for Partitioning Irregular Graphs"; Cuthill &
        McKee 1969, "Reducing the bandwidth of sparse symmetric matrices"; Zheng et al. 2020, "DistDGL".

    Example:
        >>> import os, tempfile, graphattend as ga
        >>> ring = ga.NeighborGraph.from_edge_index([[1, 2, 3, 0], [0, 1, 2, 3]], 4)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     layout = ga.dask.partition(ring, folder, 2, method="range")
        ...     sorted(os.listdir(folder))
        ['graph.json', 'part-0', 'part-1']
        >>> [p.num_halo_nodes for p in layout.parts]
        [1, 1]
    """
    count = as_int(parts, "parts", minimum=1)
    if method is not None:
        as_choice(method, "method", METHODS)
    if directed is not None:
        as_bool(directed, "directed")
    if on_progress is not None and not callable(on_progress):
        raise InvalidConfigError.of("on_progress", "a function", type(on_progress).__name__)
    whole = as_bool(structural_features, "structural_features")
    if not isinstance(graph_or_path, (NeighborGraph, str, os.PathLike)):
        raise InvalidConfigError.of("graph_or_path", "a NeighborGraph or a path", type(graph_or_path).__name__)
    if not isinstance(folder, (str, os.PathLike)):
        raise InvalidConfigError.of("folder", "a path", type(folder).__name__)
    place = os.path.abspath(os.fsdecode(folder))

    def say(done: int, total: int) -> None:
        if on_progress is not None and on_progress(done, total) is False and done < total:
            raise CancelledError("on_progress: the caller stopped the work", argument="on_progress")

    if not isinstance(graph_or_path, NeighborGraph):
        from ._stream import edge_file, stream

        source = None if whole or method in ("metis", "rcm") else edge_file(graph_or_path, directed)
        if source is not None:
            stream(source, place, count, say)
            return Layout.open(place)
        graph_or_path = NeighborGraph.read(graph_or_path, directed=directed)
    elif directed is not None:
        raise InvalidConfigError.of("directed", "None for a graph, which says itself how its edges run", directed)
    _write(graph_or_path, place, count, method, whole, say)
    return Layout.open(place)


def check_parts(parts: int, num_nodes: int) -> None:
    """Raise an error if there are more parts than nodes."""
    if parts > num_nodes:
        raise InvalidConfigError.of("parts", f"at most {num_nodes}, the nodes", parts)


def prepare(folder: str) -> None:
    """Create an empty folder that is marked as incomplete. An older partition in it is deleted."""
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise InvalidConfigError.of("folder", "a folder", folder, got=f"the file {folder!r:.80}")
    os.makedirs(folder, exist_ok=True)
    known = {JSON, UNFINISHED, *(f"{name}.npy" for name in NODE_ARRAYS), "buckets"}
    entries = os.listdir(folder)
    ours = {JSON, UNFINISHED} & set(entries)
    others = [e for e in entries if e not in known and not (e.startswith("part-") and e[5:].isdigit())]
    if others or (entries and not ours):
        other = (others or entries)[0]
        raise InvalidConfigError.of(
            "folder", "an empty folder or an older partition", other, got=f"{other!r:.60} in it"
        )
    Path(folder, UNFINISHED).touch()
    for entry in sorted(entries, key=lambda e: e != JSON):  # first the JSON, which marks a complete folder
        path = os.path.join(folder, entry)
        if os.path.isdir(path):
            shutil.rmtree(path)
        elif entry != UNFINISHED:
            os.unlink(path)


def index_dtype(num_nodes: int) -> np.dtype[Any]:
    """Return the integer dtype for node numbers: 32 bits if they suffice, else 64."""
    return np.dtype("<i4") if num_nodes < 1 << 31 else np.dtype("<i8")


def _write(graph: NeighborGraph, folder: str, count: int, method: str | None, whole: bool, say: Say) -> None:
    check_parts(count, graph.num_nodes)
    method, order, ends = _ordered(graph, count, method)
    prepare(folder)
    dtype = index_dtype(graph.num_nodes)
    arrays = {}
    number = None
    if order is not None:
        arrays["order"] = save(folder, "order", order.astype(dtype))
        number = np.empty(graph.num_nodes, np.intp)
        number[order] = np.arange(graph.num_nodes)
    nodes = {"layers": graph.layers, "structural_features": graph.structural_features() if whole else None}
    for name, a in nodes.items():
        if a is not None:
            a = a.astype("<i8") if name == "layers" else a
            arrays[name] = save(folder, name, a if order is None else a[order])
    parts = []
    for i in range(count):
        say(i, count)
        start, stop = int(ends[i]), int(ends[i + 1])
        own = np.arange(start, stop) if order is None else order[start:stop]
        degree = graph.indptr[own + 1] - graph.indptr[own]
        edges = _csr.ranges(graph.indptr[own], degree)
        sources = graph.indices[edges] if number is None else number[graph.indices[edges]]
        indices, halo = localized(sources, start, stop, graph.num_nodes)
        where = part_folder(folder, i)
        os.mkdir(where)
        shapes = {
            "indptr": save(where, "indptr", np.concatenate([[0], np.cumsum(degree, dtype="<i8")])),
            "indices": save(where, "indices", indices.astype(dtype)),
            "halo": save(where, "halo", halo.astype(dtype)),
            **{name: save(where, name, a) for name, a in edge_data(graph, edges).items()},
        }
        parts.append(PartSize(stop - start, len(edges), len(halo), shapes))
    write_json(folder, method, parts, arrays)
    say(count, count)


def _ordered(graph: NeighborGraph, count: int, method: str | None) -> tuple[str, np.ndarray | None, np.ndarray]:
    """Return the method, the order of the nodes (None if unchanged), and the bounds of the parts in this order."""
    if method is None:
        libraries = {"metis": "pymetis", "rcm": "scipy"}
        found = [m for m, library in libraries.items() if count > 1 and importlib.util.find_spec(library) is not None]
        method = (found or ["range"])[0]
    if method == "range":
        return method, None, ranges(graph.indptr, count)
    if method == "rcm":
        csgraph = need("scipy.sparse.csgraph", "scipy")
        order = np.asarray(csgraph.reverse_cuthill_mckee(graph.to_scipy(), symmetric_mode=False), np.intp)
        return method, order, _ends(graph, order, count)
    pymetis = need("pymetis", "pymetis")
    back = graph.transpose()
    both = NeighborGraph.from_edge_index(
        np.concatenate([graph.to_edge_index(), back.to_edge_index()], axis=1), graph.num_nodes
    )
    indptr, indices = _csr.simple(both.indptr, both.indices)
    _, member = pymetis.part_graph(count, pymetis.CSRAdjacency(indptr, indices))
    member = np.asarray(member, np.intp)
    order = np.argsort(member, kind="stable")
    sizes = np.bincount(member, minlength=count)
    # METIS may leave parts of small graphs empty. Then cut its order into ranges.
    ends = np.concatenate([[0], np.cumsum(sizes)]) if sizes.all() else _ends(graph, order, count)
    return method, order, ends


def _ends(graph: NeighborGraph, order: np.ndarray, count: int) -> np.ndarray:
    return ranges(np.concatenate([[0], np.cumsum(graph.degree()[order])]), count)

"""Partitioning an edge list that does not fit into memory: count its edges, sort them into pieces on disk, write parts.

The first pass over the file counts the edges into every node. One more pass (two for undirected edges) appends every
edge to the piece that contains its target. Each piece is then sorted in memory. Within a row, edges keep the order of
the file, as in `NeighborGraph.from_edge_index`.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from ..errors import LoadError
from ..graph.blocks import ranges
from ._arrays import changed, created
from ._edges import ArrayFile, Edges, TextFile, edge_file
from ._layout import PartSize, Shape, part_folder, save, write_json
from ._partition import check_parts, index_dtype, prepare

__all__ = ["edge_file", "stream"]

#: Number of edges of a piece, and of a step over the edges of a part.
PIECE = 1 << 23
#: Upper bound of node numbers, which index arrays.
MOST_NUMBER = 1 << 32


@dataclass
class _Counts:
    """The counts of the first pass, indexed by the node numbers of the file."""

    seen: np.ndarray
    into: np.ndarray
    out_of: np.ndarray
    loops: np.ndarray
    #: Sums over all edges of a hash of (source, target, weight) and of (target, source, weight).
    forth: int = 0
    back: int = 0


def stream(source: ArrayFile | TextFile, folder: str, count: int, say: Callable[[int, int], None]) -> None:
    """Write the parts of a graph from a file of edges, keeping the order of the nodes."""
    counts = _counted(source)
    size = len(counts.seen)
    if not size:
        raise LoadError(f"{source.path}: holds no edges", argument="graph_or_path")
    # As in NeighborGraph.read, edges are not doubled if the file already has all of them in both directions.
    if counts.forth == counts.back and not source.directed:
        source = replace(source, directed=True)
    ids = number = None
    degree = counts.into if source.directed else counts.into + counts.out_of - counts.loops
    if source.has_gaps and not counts.seen.all():
        ids = np.flatnonzero(counts.seen)
        number = np.cumsum(counts.seen) - 1
        degree, size = degree[ids], len(ids)
    check_parts(count, size)
    indptr = np.concatenate([[0], np.cumsum(degree, dtype=np.int64)])
    ends = ranges(indptr, count)
    prepare(folder)
    arrays = {} if ids is None else {"ids": save(folder, "ids", ids.astype("<i8"))}
    pieces = _pieces(indptr, ends)
    buckets = _sorted_into(_both_ways(source, number), os.path.join(folder, "buckets"), pieces, size, source.weighted)
    parts = []
    local = np.empty(size, index_dtype(size))  # local number of each node; valid only for nodes of the current part
    for i in range(count):
        say(i, count)
        parts.append(_write_part(folder, i, indptr, (int(ends[i]), int(ends[i + 1])), pieces, buckets, local))
    shutil.rmtree(os.path.join(folder, "buckets"))
    write_json(folder, "range", parts, arrays)
    say(count, count)


def _counted(source: ArrayFile | TextFile) -> _Counts:
    counts = _Counts(np.zeros(0, bool), np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64))
    held = ("seen", "into") if source.directed else ("seen", "into", "out_of", "loops")
    for edges in source.blocks():
        if not len(edges.sources):
            continue
        top = int(max(edges.sources.max(), edges.targets.max())) + 1
        if top > MOST_NUMBER:
            raise LoadError(f"{source.path}: expected numbers of nodes below {MOST_NUMBER}, got {top - 1}")
        if top > len(counts.seen):
            grown = max(top, min(2 * len(counts.seen), MOST_NUMBER))
            for name in held:
                a = getattr(counts, name)
                setattr(counts, name, np.concatenate([a, np.zeros(grown - len(a), a.dtype)]))
        counts.seen[edges.sources] = counts.seen[edges.targets] = True
        _add(counts.into, edges.targets)
        if not source.directed:
            _add(counts.out_of, edges.sources)
            _add(counts.loops, edges.sources[edges.sources == edges.targets])
            counts.forth += _hash_sum(edges.sources, edges.targets, edges.weights)
            counts.back += _hash_sum(edges.targets, edges.sources, edges.weights)
    last = int(np.flatnonzero(counts.seen)[-1]) + 1 if counts.seen.any() else 0
    counts.forth, counts.back = counts.forth % (1 << 64), counts.back % (1 << 64)
    for name in held:
        setattr(counts, name, getattr(counts, name)[:last])
    return counts


def _add(counts: np.ndarray, nodes: np.ndarray) -> None:
    if 4 * len(nodes) > len(counts):
        counts += np.bincount(nodes, minlength=len(counts))
    else:
        np.add.at(counts, nodes, 1)


def _hash_sum(a: np.ndarray, b: np.ndarray, weights: np.ndarray | None) -> int:
    """Return the sum of a hash of every edge, which does not depend on the order of the edges."""
    x = _mixed(a.astype(np.uint64)) + b.astype(np.uint64)
    if weights is not None:
        x = _mixed(x) + weights.astype(np.float64).view(np.uint64)
    return int(_mixed(x).sum(dtype=np.uint64))


def _mixed(x: np.ndarray) -> np.ndarray:
    """Mix the bits of x as in splitmix64 (Steele et al. 2014)."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _both_ways(source: ArrayFile | TextFile, number: np.ndarray | None) -> Iterator[Edges]:
    """Yield all edges; if they are undirected, then also yield their reverses, except for loops."""
    for turned in (False,) if source.directed else (False, True):
        for sources, targets, weights in source.blocks():
            if turned:
                kept = sources != targets
                sources, targets = targets[kept], sources[kept]
                weights = None if weights is None else weights[kept]
            if number is not None:
                sources, targets = number[sources], number[targets]
            yield Edges(sources, targets, weights)


def _pieces(indptr: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return the first rows of the pieces and V. Pieces end at the ends of parts and after about `PIECE` edges."""
    cuts = np.searchsorted(indptr, np.arange(PIECE, int(indptr[-1]), PIECE))
    return np.unique(np.concatenate([ends, cuts]))


@dataclass(frozen=True)
class _Buckets:
    """Files of edges, one per piece."""

    folder: str
    dtype: np.dtype[np.void]

    def path(self, piece: int) -> str:
        return os.path.join(self.folder, f"{piece}.edges")

    def read(self, piece: int) -> np.ndarray:
        """Return the edges of a piece, stably sorted by target."""
        if not os.path.exists(self.path(piece)):
            return np.zeros(0, self.dtype)
        edges = np.fromfile(self.path(piece), self.dtype)
        return edges[np.argsort(edges["target"], kind="stable")]


def _sorted_into(blocks: Iterator[Edges], folder: str, pieces: np.ndarray, size: int, weighted: bool) -> _Buckets:
    """Append every edge to the file of the piece that contains its target."""
    os.makedirs(folder)
    node = index_dtype(size)
    fields = [("source", node), ("target", node)] + ([("weight", "<f8")] if weighted else [])
    buckets = _Buckets(folder, np.dtype(fields))
    for edges in blocks:
        piece = np.searchsorted(pieces, edges.targets, side="right") - 1
        order = np.argsort(piece, kind="stable")
        records = np.empty(len(order), buckets.dtype)
        records["source"], records["target"] = edges.sources[order], edges.targets[order]
        if edges.weights is not None:
            records["weight"] = edges.weights[order]
        cuts = np.concatenate([[0], np.cumsum(np.bincount(piece, minlength=len(pieces) - 1))])
        for i in np.flatnonzero(np.diff(cuts)):
            with open(buckets.path(int(i)), "ab") as file:
                records[cuts[i] : cuts[i + 1]].tofile(file)
    return buckets


class _Sources:
    """The set of a part's neighbours: a boolean array if the part has many edges, else sorted lists."""

    def __init__(self, start: int, stop: int, size: int, total: int) -> None:
        self._own = (start, stop)
        self._seen = np.zeros(size, bool) if 16 * total > size else None
        self._found: list[np.ndarray] = []

    def add(self, sources: np.ndarray) -> None:
        """Add the neighbours of some rows."""
        if self._seen is not None:
            self._seen[sources] = True
        else:
            self._found.append(np.unique(sources))

    def halo(self) -> np.ndarray:
        """Return the neighbours outside the part, in increasing order."""
        start, stop = self._own
        if self._seen is not None:
            self._seen[start:stop] = False
            return np.flatnonzero(self._seen)
        found = np.unique(np.concatenate(self._found)) if self._found else np.zeros(0, np.intp)
        return found[(found < start) | (found >= stop)]


def _write_part(
    folder: str,
    i: int,
    indptr: np.ndarray,
    rows: tuple[int, int],
    pieces: np.ndarray,
    buckets: _Buckets,
    local: np.ndarray,
) -> PartSize:
    start, stop = rows
    where = part_folder(folder, i)
    os.mkdir(where)
    size, first = len(indptr) - 1, int(indptr[start])
    total = int(indptr[stop]) - first
    dtype = index_dtype(size)
    shapes = {"indptr": save(where, "indptr", indptr[start : stop + 1] - first)}
    fields = {"indices": ("source", dtype)}
    if "weight" in (buckets.dtype.names or ()):
        fields["edge_weights"] = ("weight", np.dtype("<f8"))
    paths = {name: os.path.join(where, f"{name}.npy") for name in fields}
    near = _Sources(start, stop, size, total)
    with contextlib.ExitStack() as stack:
        arrays = {}
        for name, (_, kind) in fields.items():
            created(paths[name], kind, (total,))
            if total:
                arrays[name] = stack.enter_context(changed(paths[name]))
        for piece in range(int(np.searchsorted(pieces, start)), int(np.searchsorted(pieces, stop))):
            edges = buckets.read(piece)
            at = int(indptr[pieces[piece]]) - first
            near.add(edges["source"])
            for name, array in arrays.items():
                array[at : at + len(edges)] = edges[fields[name][0]]
        halo = near.halo()
        local[halo] = np.arange(stop - start, stop - start + len(halo))
        local[start:stop] = np.arange(stop - start)
        for at in range(0, total, PIECE):
            arrays["indices"][at : at + PIECE] = local[arrays["indices"][at : at + PIECE]]
    shapes |= {name: Shape(kind.str, (total,)) for name, (_, kind) in fields.items()}
    shapes["halo"] = save(where, "halo", halo.astype(dtype))
    return PartSize(stop - start, total, len(halo), shapes)

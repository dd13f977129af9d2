"""The folder of a partitioned graph. Its files are checked when they are read.

    graph.json          sizes, named as in DGL's `partition_graph`; written last, so it marks a complete folder
    order.npy           (V,) the node of the graph that is node i of the parts; absent if the order is the same
    ids.npy             (V,) the number of each node in the edge list, if these numbers have gaps
    layers.npy, structural_features.npy
    part-0/indptr.npy   (n + 1,) row offsets of the part's n nodes
    part-0/indices.npy  (k,) local numbers of the neighbours: own nodes first, then the halo
    part-0/halo.npy     (h,) neighbours that belong to other parts, in increasing order
    part-0/edge_features.npy, edge_weights.npy, distances.npy

Part p owns the nodes node_map[p][0] … node_map[p][1] - 1, in the order of the parts.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .._validate import as_choice
from ..errors import InvalidConfigError, LoadError, OutOfBoundsError
from ..graph.blocks import EDGE_FIELDS, Block
from ..storage import load_errors, write_atomically
from ..storage_checks import Refused, parse_json

KIND, VERSION = "graphattend-partition", 1
JSON = "graph.json"
#: Marks a folder that is being written, or whose writing was interrupted.
UNFINISHED = "graph.json.unfinished"
METHODS = ("metis", "rcm", "range")
NODE_ARRAYS = ("order", "ids", "layers", "structural_features")
PART_ARRAYS = ("indptr", "indices", "halo", *EDGE_FIELDS)


class Shape(NamedTuple):
    """The dtype and shape of an array in the JSON."""

    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class PartSize:
    """Sizes of one part.

    Args:
        num_nodes: Number n of own nodes.
        num_edges: Number k of edges into own nodes.
        num_halo_nodes: Number h of neighbours that belong to other parts.
        arrays: Shapes of the arrays in its folder.
    """

    num_nodes: int
    num_edges: int
    num_halo_nodes: int
    arrays: dict[str, Shape]


class Part(NamedTuple):
    """One part: its range of nodes, its block, and the data of its edges."""

    start: int
    stop: int
    block: Block
    data: dict[str, np.ndarray]


@dataclass(frozen=True)
class Layout:
    """A partitioned graph, as `partition` wrote it.

    Args:
        folder: Path of the folder.
        num_nodes: Number of nodes V.
        num_edges: Number of edges K.
        method: "metis", "rcm" or "range".
        parts: Sizes of the parts.
        arrays: Shapes of the per-node arrays.
        digest: Hash of the JSON.

    Example:
        >>> import tempfile, graphattend as ga
        >>> ring = ga.NeighborGraph.from_edge_index([[1, 2, 3, 0], [0, 1, 2, 3]], 4)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     layout = ga.dask.partition(ring, folder, 2, method="range")
        ...     again = ga.dask.Layout.open(folder)
        >>> again.num_parts, again.halo_share, again == layout
        (2, 0.5, True)
    """

    folder: str
    num_nodes: int
    num_edges: int
    method: str
    parts: tuple[PartSize, ...]
    arrays: dict[str, Shape]
    digest: str

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> Layout:
        """Read the sizes of a partitioned graph.

        Args:
            folder: The folder that `partition` wrote.

        Returns:
            The layout. Arrays are read and checked when a part is opened.

        Raises:
            LoadError: The folder does not exist or is incomplete, or its sizes are inconsistent.
        """
        if not isinstance(folder, (str, os.PathLike)):
            raise InvalidConfigError.of("folder", "a path", type(folder).__name__)
        name = os.path.abspath(os.fsdecode(folder))
        if not os.path.isdir(name):
            raise LoadError(f"{name}: no such folder", argument="folder")
        path = os.path.join(name, JSON)
        with load_errors(path):
            if not os.path.exists(path):
                done = "an unfinished partition" if os.path.exists(os.path.join(name, UNFINISHED)) else "no partition"
                raise Refused(f"is missing, so this is {done}; `graphattend.dask.partition` writes one")
            text = Path(path).read_bytes()
            try:
                return _parsed(name, parse_json(text, JSON), blake2b(text, digest_size=16).hexdigest())
            except (KeyError, TypeError, IndexError) as error:
                raise Refused(f"lacks an entry or has one of the wrong kind ({error!r:.60})") from None

    @property
    def num_parts(self) -> int:
        """Number of parts P."""
        return len(self.parts)

    @cached_property
    def starts(self) -> np.ndarray:
        """The first node of every part, followed by V, (P + 1,)."""
        return np.concatenate([[0], np.cumsum([p.num_nodes for p in self.parts], dtype=np.int64)])

    @property
    def halo_share(self) -> float:
        """Halo nodes of all parts per node: the fraction of the features that is read repeatedly."""
        return sum(p.num_halo_nodes for p in self.parts) / self.num_nodes

    def traffic(self, row_bytes: int, out_bytes: int | None = None) -> int:
        """Return the bytes that one layer reads and writes: features of own and halo nodes, edges, and the output.

        Args:
            row_bytes: Bytes of a row of features.
            out_bytes: Bytes of a row of the output, `row_bytes` by default.

        Returns:
            The number of bytes.
        """
        rows = sum(p.num_nodes + p.num_halo_nodes for p in self.parts)
        arrays = [(a.dtype, a.shape) for p in self.parts for a in p.arrays.values()]
        stored = sum(np.dtype(d).itemsize * int(np.prod(s, dtype=np.int64)) for d, s in arrays)
        return rows * row_bytes + stored + self.num_nodes * (row_bytes if out_bytes is None else out_bytes)

    def node_array(self, name: str) -> np.ndarray | None:
        """Return `order`, `ids`, `layers` or `structural_features` as a memory map, or None if the folder lacks it."""
        return _load(os.path.join(self.folder, f"{name}.npy"), self.arrays[name]) if name in self.arrays else None

    def own(self, number: int) -> Any:
        """Return the nodes of a part, as an index into arrays of the graph's nodes.

        Args:
            number: 0 … P - 1.

        Returns:
            A slice, or an array if the parts reorder the nodes.
        """
        nodes = slice(int(self.starts[number]), int(self.starts[number + 1]))
        order = self.node_array("order")
        return nodes if order is None else order[nodes]

    def part(self, number: int) -> Part:
        """Map and check the arrays of one part.

        Args:
            number: 0 … P - 1.

        Returns:
            The part.

        Raises:
            LoadError: A file is missing or truncated, its shape differs from the JSON, or it has invalid node numbers.
            OutOfBoundsError: The part does not exist.
        """
        if not 0 <= number < self.num_parts:
            raise OutOfBoundsError(
                f"number: expected 0 <= index < {self.num_parts}, got {number}",
                index=number,
                length=self.num_parts,
                argument="number",
            )
        size, folder = self.parts[number], part_folder(self.folder, number)
        arrays = {name: _load(os.path.join(folder, f"{name}.npy"), shape) for name, shape in size.arrays.items()}
        start = int(self.starts[number])
        indptr, indices, halo = (arrays.pop(name) for name in ("indptr", "indices", "halo"))
        with load_errors(folder):
            if indptr[0] != 0 or indptr[-1] != size.num_edges or (indptr[1:] < indptr[:-1]).any():
                raise Refused("indptr.npy: expected offsets that rise from 0 to the number of edges")
            if indices.size and not 0 <= indices.min() <= indices.max() < size.num_nodes + halo.size:
                raise Refused("indices.npy: names a node that the part does not have")
            stop = start + size.num_nodes
            if halo.size and not (halo[0] >= 0 and halo[-1] < self.num_nodes and (halo[1:] > halo[:-1]).all()):
                raise Refused("halo.npy: expected rising numbers of nodes")
            if np.searchsorted(halo, stop) != np.searchsorted(halo, start):
                raise Refused("halo.npy: names nodes of the part itself")
        return Part(start, stop, Block(indptr, indices, halo), arrays)


@lru_cache(maxsize=64)
def _part_once(folder: str, digest: str, number: int) -> Part:
    return Layout.open(folder).part(number)


def part_once(layout: Layout, number: int) -> Part:
    """Return `Layout.part`, cached so that many small reads in a process check a part once."""
    return _part_once(layout.folder, layout.digest, number)


def part_folder(folder: str, number: int) -> str:
    """Return the folder of a part."""
    return os.path.join(folder, f"part-{number}")


def _load(path: str, expected: Shape) -> np.ndarray:
    with load_errors(path):
        empty = not np.prod(expected.shape, dtype=np.int64)  # empty arrays cannot be mapped
        array = np.load(path, mmap_mode=None if empty else "r", allow_pickle=False)
        if (array.dtype.str, array.shape) != expected:
            found = f"{array.dtype.str} of shape {array.shape}"
            raise Refused(f"expected {expected.dtype} of shape {expected.shape} as {JSON} says, got {found}")
        return np.asarray(array)


def save(folder: str, name: str, array: np.ndarray) -> Shape:
    """Write an array and return its dtype and shape."""
    np.save(os.path.join(folder, f"{name}.npy"), array, allow_pickle=False)
    return Shape(array.dtype.str, array.shape)


# -- the JSON ----------------------------------------------------------------------------------------------------------


def write_json(folder: str, method: str, parts: list[PartSize], arrays: dict[str, Shape]) -> None:
    """Complete a folder by writing its JSON atomically."""
    nodes = np.concatenate([[0], np.cumsum([p.num_nodes for p in parts])]).tolist()
    edges = np.concatenate([[0], np.cumsum([p.num_edges for p in parts])]).tolist()
    content: dict[str, Any] = {
        "kind": KIND,
        "version": VERSION,
        "num_nodes": nodes[-1],
        "num_edges": edges[-1],
        "num_parts": len(parts),
        "part_method": method,
        "halo_hops": 1,
        "node_map": [nodes[i : i + 2] for i in range(len(parts))],
        "edge_map": [edges[i : i + 2] for i in range(len(parts))],
        "arrays": _told(arrays),
    }
    for i, p in enumerate(parts):
        content[f"part-{i}"] = {
            "num_nodes": p.num_nodes,
            "num_edges": p.num_edges,
            "num_halo_nodes": p.num_halo_nodes,
            "arrays": _told(p.arrays),
        }
    write_atomically(os.path.join(folder, JSON), json.dumps(content, indent=1).encode())
    os.unlink(os.path.join(folder, UNFINISHED))


def _told(arrays: dict[str, Shape]) -> dict[str, Any]:
    return {name: {"dtype": a.dtype, "shape": list(a.shape)} for name, a in arrays.items()}


def _parsed(folder: str, content: dict[str, Any], digest: str) -> Layout:
    if content["kind"] != KIND or content["version"] != VERSION or content["halo_hops"] != 1:
        raise Refused(f"expected {KIND!r}, version {VERSION}, with one hop of halo")
    count = _number(content["num_parts"], "num_parts")
    method = as_choice(content["part_method"], "part_method", METHODS)
    parts = [_part(content[f"part-{i}"], f"part-{i}") for i in range(count)]
    arrays = _shapes(content["arrays"], "arrays", NODE_ARRAYS)
    nodes, edges = _number(content["num_nodes"], "num_nodes"), _number(content["num_edges"], "num_edges")
    for name, total, sizes in (
        ("node", nodes, [p.num_nodes for p in parts]),
        ("edge", edges, [p.num_edges for p in parts]),
    ):
        ends = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).tolist()
        if not parts or ends[-1] != total or content[f"{name}_map"] != [ends[i : i + 2] for i in range(count)]:
            raise Refused(f"num_{name}s, {name}_map and the sizes of the parts contradict each other")
    wanted = {"order": (nodes,), "ids": (nodes,), "layers": (nodes,), "structural_features": (nodes, 5)}
    for name, a in arrays.items():
        if a.shape != wanted[name]:
            raise Refused(f"arrays, {name}: expected shape {wanted[name]}, got {a.shape}")
    return Layout(folder, nodes, edges, method, tuple(parts), arrays, digest)


def _part(content: Mapping[str, Any], where: str) -> PartSize:
    n, k, h = (_number(content[f"num_{w}"], f"{where}, num_{w}") for w in ("nodes", "edges", "halo_nodes"))
    arrays = _shapes(content["arrays"], where, PART_ARRAYS)
    wanted = {"indptr": (n + 1,), "indices": (k,), "halo": (h,)} | dict.fromkeys(EDGE_FIELDS, (k,))
    for name, a in arrays.items():
        if (a.shape[:1] if name == "edge_features" else a.shape) != wanted[name]:
            raise Refused(f"{where}, {name}: expected shape {wanted[name]}, got {a.shape}")
    for name in ("indptr", "indices", "halo"):
        if arrays[name].dtype not in ("<i4", "<i8"):
            raise Refused(f"{where}, {name}: expected whole numbers, got {arrays[name].dtype!r:.20}")
    return PartSize(n, k, h, arrays)


def _shapes(content: Mapping[str, Any], where: str, known: tuple[str, ...]) -> dict[str, Shape]:
    found = {}
    for name, a in content.items():
        if name not in known or a["dtype"] not in ("<i4", "<i8", "<f4", "<f8"):
            raise Refused(f"{where}: expected arrays of numbers among {', '.join(known)}, got {name!r:.40}")
        found[name] = Shape(a["dtype"], tuple(_number(n, f"{where}, {name}") for n in a["shape"]))
    return found


def _number(value: object, where: str) -> int:
    if type(value) is not int or value < 0:
        raise Refused(f"{where}: expected a whole number >= 0, got {value!r:.40}")
    return value

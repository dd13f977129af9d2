"""`EdgeTable`, the content of a graph file: edges with data columns, and their conversion to a graph."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from ..._printable import printable
from ...storage_checks import Refused
from ..constructors import from_pairs
from ..neighbor_graph import NeighborGraph
from ..properties import is_undirected

#: Columns with a special meaning, compared by their `plain` names.
WEIGHT, DISTANCE, FEATURES = "weight", "distance", "features"
#: Whole numbers without a sign or leading zeros that fit into 64 bits.
WHOLE = re.compile(r"0|[1-9][0-9]{0,17}")
#: Largest number of nodes that a file may announce, because nodes cost memory even without edges.
MAX_NODES = 10_000_000

#: Placeholder in a column for an edge without a value.
MISSING: Any = type("Missing", (), {"__slots__": (), "__repr__": lambda self: "nothing"})()

_log = logging.getLogger("graphattend.graph.formats")


class Cells(list[str]):
    """A column of a text file. Unlike JSON strings, cells that spell a number are numbers."""


class Wanted(NamedTuple):
    """The caller's options for the edges; None uses what the file specifies."""

    directed: bool | None = None
    weights: str | None = None
    edge_features: Sequence[str] | None = None


@dataclass(frozen=True)
class Places:
    """The location of each edge in the file, for messages: text around `numbers[k]`, or k + `first` by default."""

    before: str
    after: str = ""
    numbers: Any = None
    first: int = 0

    def __call__(self, k: int) -> str:
        """Return the location of edge k."""
        return f"{self.before}{self.first + k if self.numbers is None else self.numbers[k]}{self.after}"


EDGES = Places("edge ", first=1)


def _of_kept(where: Callable[[int], str], kept: np.ndarray, k: int) -> str:
    return where(int(kept[k]))


@dataclass(frozen=True, kw_only=True)
class EdgeTable:
    """Edges and their data, in the order of the file.

    Args:
        sources: Node numbers, (K,).
        targets: Node numbers, (K,).
        num_nodes: Number of nodes V.
        names: V names, or None if they are 0 … V - 1.
        directed: Whether edges run one way: for all edges, per edge (K,), or None if the file does not specify it.
        columns: Data of the edges by name: an array (K,) or (K, e), `Cells`, or a list of numbers, lists of numbers,
            text, None or `MISSING`.
        weight: Name of the column of weights if the caller names none, normalised by `plain`.
        ids: Columns that identify edges; they do not become features.
        twice: Whether an undirected edge is listed at both endpoints.
        layers: Layer of each node, (V,).
        where: Function that returns the location of edge k in the file, for messages.

    Example:
        >>> from graphattend.graph.formats.edge_table import EdgeTable, Wanted
        >>> table = EdgeTable(sources=[0], targets=[1], num_nodes=2, columns={"weight": [2.5], "kind": ["bus"]})
        >>> table.graph(Wanted(directed=False, edge_features=[])).edge_weights
        array([2.5, 2.5])
    """

    sources: Any
    targets: Any
    num_nodes: int
    names: Sequence[str] | None = None
    directed: bool | np.ndarray | None = None
    columns: Mapping[str, Any] = field(default_factory=dict)
    weight: str = WEIGHT
    ids: Sequence[str] = ()
    twice: bool = False
    layers: Any = None
    where: Callable[[int], str] = EDGES

    @classmethod
    def of(cls, graph: NeighborGraph, **more: Any) -> EdgeTable:
        """Build the table of a whole graph."""
        columns = {WEIGHT: graph.edge_weights, DISTANCE: graph.distances, FEATURES: graph.edge_features}
        return cls(
            sources=graph.indices,
            targets=graph.targets,
            num_nodes=graph.num_nodes,
            names=graph.names,
            columns={name: a for name, a in columns.items() if a is not None},
            layers=graph.layers,
            **more,
        )

    def graph(self, wanted: Wanted) -> NeighborGraph:
        """Build the graph, with weights and features from the columns that the caller names, or from known columns."""
        directed = self.directed if wanted.directed is None else wanted.directed
        if directed is False and self.twice:
            return self._once().graph(wanted)
        data = self._data(wanted)
        if directed is False and self.directed is not False:
            graph = self._build(data, True)
            if is_undirected(graph):  # the file already has every edge in both directions
                return graph
        return self._build(data, True if directed is None else directed)

    def _build(self, data: dict[str, np.ndarray | None], directed: bool | np.ndarray) -> NeighborGraph:
        sources, targets = np.asarray(self.sources, dtype=np.intp), np.asarray(self.targets, dtype=np.intp)
        return from_pairs(sources, targets, self.num_nodes, directed, data, layers=self.layers, names=self.names)

    def _once(self) -> EdgeTable:
        """Return the table with each undirected edge once."""
        first, second = np.asarray(self.sources, dtype=np.intp), np.asarray(self.targets, dtype=np.intp)
        kept = _once(first, second, self.where)
        columns = {name: _at(values, kept) for name, values in self.columns.items()}
        return replace(
            self,
            sources=first[kept],
            targets=second[kept],
            columns=columns,
            twice=False,
            where=partial(_of_kept, self.where, kept),
        )

    def _data(self, wanted: Wanted) -> dict[str, np.ndarray | None]:
        known = {plain(name): name for name in self.columns}
        rest = [name for name in self.columns if name not in self.ids]
        taken = {} if wanted.weights is None else {WEIGHT: self._name(wanted.weights)}
        chosen = None if wanted.edge_features is None else [self._name(name) for name in wanted.edge_features]
        for role, asked in ((WEIGHT, self.weight), (DISTANCE, DISTANCE)):
            name = known.get(asked)
            if role not in taken and name in rest and name not in taken.values() and name not in (chosen or ()):
                taken[role] = name
        columns = {role: self._numbers(name, 1.0 if role == WEIGHT else None) for role, name in taken.items()}
        for role, values in columns.items():
            if values.ndim != 1:
                raise Refused(f"column {taken[role]!r:.60}: expected one number for every edge")
        if chosen is None:
            chosen = self._numeric([name for name in rest if name not in taken.values()])
        features = [self._numbers(name, None) for name in chosen]
        count = len(self.sources)
        return {
            "edge_weights": columns.get(WEIGHT),
            "distances": columns.get(DISTANCE),
            "edge_features": np.concatenate([f.reshape(count, -1) for f in features], axis=1)
            if features and count
            else None,
        }

    def _name(self, asked: str) -> str:
        """Return the column with exactly this name, or the only one with the same `plain` name."""
        if asked in self.columns:
            return asked
        like = [name for name in self.columns if plain(name) == plain(asked)]
        if len(like) != 1:
            there = ", ".join(repr(name) for name in self.columns) or "none"
            raise Refused(f"has no column {asked!r:.60} for its edges; there are: {there:.200}")
        return like[0]

    def _numeric(self, names: Sequence[str]) -> list[str]:
        """Return the columns that hold a number on every edge, and log a notice that names the others."""
        kept, left = [], []
        for name in names:
            values = self.columns[name]
            if not isinstance(values, np.ndarray) and all(v is None or v is MISSING or v == "" for v in values):
                continue  # an empty column
            if plain(name) == FEATURES or (plain(name) != "label" and as_numbers(values) is not None):
                kept.append(name)
            else:
                left.append(name)
        if left:
            names = printable(", ".join(left)[:200])
            _log.warning("columns left out, because they do not have a number on every edge: %s", names)
        return kept

    def _numbers(self, name: str, missing: float | None) -> np.ndarray:
        """Convert a column to float64. An error gives the location of an entry that is not a number."""
        values = self.columns[name]
        if missing is not None and not isinstance(values, np.ndarray):
            values = type(values)(missing if v is MISSING else v for v in values)
        found = as_numbers(values)
        if found is None:
            as_list = Cells if isinstance(values, Cells) else list
            k = next((k for k, v in enumerate(values) if as_numbers(as_list([v])) is None), 0)
            got = ascii(values[k])[:60]
            raise Refused(f"{self.where(k)}, column {name!r:.60}: expected a finite number, got {got}")
        return found


def _at(values: Sequence[Any] | np.ndarray, places: np.ndarray) -> Any:
    if isinstance(values, np.ndarray):
        return values[places]
    return (Cells if isinstance(values, Cells) else list)(values[k] for k in places.tolist())


def as_numbers(values: Any) -> np.ndarray | None:
    """Convert numbers (K,), or lists of numbers (K, e), to floats; return None if an entry is not a finite number.

    Underscores, which Python allows, are not part of a number in a file.
    """
    if isinstance(values, Cells):
        if any("_" in v for v in values):
            return None
    elif not isinstance(values, np.ndarray) and any(isinstance(v, (str, bool)) for v in values):
        return None
    try:
        found = np.array(values) if not isinstance(values, Cells) else np.array(values, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):
        return None
    if found.dtype.kind in "iu":
        found = found.astype(np.float64)
    return found if found.dtype.kind == "f" and found.ndim in (1, 2) and np.isfinite(found).all() else None


def plain(name: str) -> str:
    """Return a column's name in lower case, without blanks, hyphens and underscores."""
    return re.sub(r"[\s_-]+", "", name.lower())


def numbered(sources: list[str], targets: list[str]) -> tuple[np.ndarray, list[str]]:
    """Number the nodes; return the node numbers (2, K) of the edges and the names of the nodes.

    The nodes are in numeric order if all names are whole numbers, else in order of appearance. Names with leading
    zeros are text: ``01`` and ``1`` are two nodes.
    """
    ends = sources + targets
    if all(map(WHOLE.fullmatch, set(ends))):
        values, numbers = np.unique(np.array([int(end) for end in ends], dtype=np.int64), return_inverse=True)
        return numbers.reshape(2, -1).astype(np.intp), [str(v) for v in values.tolist()]
    order: dict[str, int] = {}
    for source, target in zip(sources, targets, strict=True):
        order.setdefault(source, len(order))
        order.setdefault(target, len(order))
    return np.array([order[end] for end in ends], dtype=np.intp).reshape(2, -1), list(order)


def needed(names: Sequence[str]) -> Sequence[str] | None:
    """Return the names, or None if they equal the node numbers."""
    return None if all(name == str(i) for i, name in enumerate(names)) else names


def check_count(text: str, what: str, most: int = MAX_NODES) -> int:
    """Parse a count that a file announces: an integer from 0 up to a limit."""
    if not WHOLE.fullmatch(text) or int(text) > most:
        raise Refused(f"{what}: expected a whole number up to {most}, got {ascii(text)[:40]}")
    return int(text)


def columns_of(records: Sequence[Mapping[str, Any]], without: Sequence[str] = ()) -> dict[str, list[Any]]:
    """Convert records to columns by name, except the names in `without`."""
    names = dict.fromkeys(name for record in records for name in record if name not in without)
    return {str(name): [record.get(name, MISSING) for record in records] for name in names}


def value_or_weight(columns: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Return the columns, and the name of the weight column (``value`` in d3). If both exist, they must agree."""
    if WEIGHT in columns and "value" in columns:
        weight, value = ([1.0 if v is MISSING else v for v in columns[name]] for name in (WEIGHT, "value"))
        if weight != value:
            raise Refused("edges have both 'weight' and 'value', which differ; remove one of them")
        columns = {name: a for name, a in columns.items() if name != "value"}
    return columns, "value" if "value" in columns else WEIGHT


def layers_of(values: Sequence[Any]) -> np.ndarray | None:
    """Return the layers of the nodes, or None if no node has one."""
    if all(v is MISSING for v in values):
        return None
    layers = as_numbers(values)
    if layers is None or layers.ndim != 1 or (layers != np.round(layers)).any() or np.abs(layers).max() > 2**31:
        raise Refused("nodes: expected layers that are whole numbers on every node")
    return layers.astype(np.intp)


class Nodes:
    """The nodes that a file lists, by id, to look up the endpoints of edges."""

    def __init__(self, ids: Sequence[Any], what: str = "node") -> None:
        if not ids:
            raise Refused("holds no nodes")
        self.what = what
        self.numbers = {key: i for i, key in enumerate(ids)}
        if len(self.numbers) != len(ids):
            double = next(key for i, key in enumerate(ids) if self.numbers[key] != i)
            raise Refused(f"two nodes have the id {ascii(double)[:60]}")

    def number(self, key: object, where: str) -> int:
        """Return the number of the node with this key; `where` is the key's location, for messages."""
        found = self.numbers.get(key)
        if found is None:
            raise Refused(f"{where}: {ascii(key)[:60]} is no {self.what} of the file")
        return found

    def all(self, keys: Sequence[object], where: Callable[[int], str]) -> list[int]:
        """Return the numbers of the nodes with these keys; `where` returns the location of key k, for messages."""
        found = [self.numbers.get(key, -1) for key in keys]
        if -1 in found:
            k = found.index(-1)
            self.number(keys[k], where(k))
        return found


def names_of(ids: Sequence[Any], labels: Sequence[Any] = ()) -> Sequence[str] | None:
    """Return the labels if they are distinct text for every node, else the ids, or None if these are 0 … V - 1."""
    if labels and all(isinstance(label, str) and label for label in labels) and len(set(labels)) == len(labels):
        return list(labels)
    return needed([str(i) for i in ids])


def number_or_text(text: str) -> float | str:
    """Return the value of a cell: a number if it spells one, else the text."""
    try:
        return text if "_" in text else float(text)
    except ValueError:
        return text


def _once(first: np.ndarray, second: np.ndarray, where: Callable[[int], str]) -> np.ndarray:
    """Return one entry (E,) for each edge that is listed at both endpoints: the one at the smaller endpoint, or a loop.

    An edge that is not listed equally often at both endpoints raises an error.
    """
    up, down = first < second, first > second
    pairs = [np.stack([a, b], axis=1)[mask] for a, b, mask in ((first, second, up), (second, first, down))]
    there, back = (p[np.lexsort(p.T)] for p in pairs)
    if not np.array_equal(there, back):
        more = min(len(there), len(back))
        differ = np.flatnonzero((there[:more] != back[:more]).any(axis=1))
        k = int(differ[0]) if len(differ) else more
        i, j = (there if k < len(there) else back)[k]
        entry = int(np.argmax((np.minimum(first, second) == i) & (np.maximum(first, second) == j)))
        raise Refused(f"{where(entry)}: an undirected edge that is not listed equally often at both its ends")
    return np.flatnonzero(~down)

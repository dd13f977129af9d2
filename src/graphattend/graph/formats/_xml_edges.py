"""Edges of XML documents, collected one by one, and the attributes that the documents declare for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...storage_checks import Refused
from ._xml import Element
from .edge_table import MISSING, EdgeTable, Nodes, Places, number_or_text


class Declared(NamedTuple):
    """An attribute that a document declares: its name, whether it is a number, and its default."""

    name: str
    is_number: bool
    default: str = ""

    def value(self, text: str) -> Any:
        """Convert a text to the attribute's value."""
        return number_or_text(text) if self.is_number else text.strip()


class _Cells(NamedTuple):
    """An attribute's edges and texts, and the line of the first one."""

    line: int
    edges: list[int]
    texts: list[str]


class Edges:
    """Collected edges: endpoints, lines, kinds of direction, and texts by the id of the declared attribute."""

    def __init__(self) -> None:
        self.sources: list[str] = []
        self.targets: list[str] = []
        self.lines: list[int] = []
        self.kinds: list[str | None] = []
        self._cells: dict[str | Declared, _Cells] = {}

    def add(self, edge: Element, kind: str) -> None:
        """Add an edge. Its attribute `kind` tells whether it is directed."""
        self.sources.append(edge.required("source"))
        self.targets.append(edge.required("target"))
        self.lines.append(edge.line)
        self.kinds.append(edge.attributes.get(kind))

    def put(self, key: str | Declared, text: str, line: int) -> None:
        """Add an attribute's text to the edge that was added last."""
        cells = self._cells.get(key)
        if cells is None:
            cells = self._cells[key] = _Cells(line, [], [])
        cells.edges.append(len(self.lines) - 1)
        cells.texts.append(text)

    def columns(self, declared: Mapping[str, Declared], what: str) -> dict[str, list[Any]]:
        """Convert the texts to columns. Columns with a default come first."""
        size = len(self.lines)
        found = {d.name: [d.value(d.default)] * size for d in declared.values() if d.default}
        for key, (line, edges, texts) in self._cells.items():
            of = key if isinstance(key, Declared) else declared.get(key)
            if of is None:
                raise Refused(f"line {line}: no {what} {key!r:.60} is declared")
            column = found.setdefault(of.name, [MISSING] * size)
            for k, text in zip(edges, texts, strict=True):
                column[k] = of.value(text)
        return found

    def table(
        self,
        nodes: list[str],
        directed: list[bool],
        default: bool,
        *,
        names: Sequence[str] | None,
        columns: Mapping[str, list[Any]],
        ids: tuple[str, ...],
        layers: np.ndarray | None = None,
    ) -> EdgeTable:
        """Return the table of the edges between nodes with these ids. Without edges, `default` is the direction."""
        known = Nodes(nodes)
        where = Places("line ", numbers=self.lines)
        return EdgeTable(
            sources=known.all(self.sources, lambda k: f"{where(k)}, source"),
            targets=known.all(self.targets, lambda k: f"{where(k)}, target"),
            num_nodes=len(nodes),
            directed=np.array(directed) if len(set(directed)) > 1 else directed[0] if directed else default,
            names=names,
            columns=columns,
            ids=ids,
            layers=layers,
            where=where,
        )

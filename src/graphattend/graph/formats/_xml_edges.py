"""Edges of XML documents, gathered one by one, and the data that the documents declare for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...storage_checks import Refused
from ._xml import Element
from .edge_table import MISSING, EdgeTable, Nodes, Places, number_or_text


class Declared(NamedTuple):
    """Data that a document declares: their name, whether they are numbers, and their value where none is given."""

    name: str
    is_number: bool
    default: str = ""

    def value(self, text: str) -> Any:
        """What a text means."""
        return number_or_text(text) if self.is_number else text.strip()


class _Cells(NamedTuple):
    """A text for some edges, and the line of the first."""

    line: int
    edges: list[int]
    texts: list[str]


class Edges:
    """Edges as they come: ends, lines, the word for their direction, and texts by the id of what declares them."""

    def __init__(self) -> None:
        self.sources: list[str] = []
        self.targets: list[str] = []
        self.lines: list[int] = []
        self.kinds: list[str | None] = []
        self._cells: dict[str | Declared, _Cells] = {}

    def add(self, edge: Element, kind: str) -> None:
        """An edge, the attribute `kind` of which says whether it is directed."""
        self.sources.append(edge.required("source"))
        self.targets.append(edge.required("target"))
        self.lines.append(edge.line)
        self.kinds.append(edge.attributes.get(kind))

    def put(self, key: str | Declared, text: str, line: int) -> None:
        """A text of the edge that was added last."""
        cells = self._cells.get(key)
        if cells is None:
            cells = self._cells[key] = _Cells(line, [], [])
        cells.edges.append(len(self.lines) - 1)
        cells.texts.append(text)

    def columns(self, declared: Mapping[str, Declared], what: str) -> dict[str, list[Any]]:
        """The texts as columns, those with a default first."""
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
        """The table of these edges between nodes with these ids; `default` is the direction if there are no edges."""
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

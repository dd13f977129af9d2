"""Edge lists and tables of edges."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence

import numpy as np

from ..storage_checks import Refused
from .constructors import from_pairs
from .neighbor_graph import NeighborGraph

# networkx writes edge data as a Python dict; only its weight is looked for, and nothing is evaluated.
_DICT_WEIGHT = re.compile(r"""['"]weight['"]\s*:\s*([-+.\w]+)""")
_MAX_DIGITS = 18


def decode(data: bytes) -> str:
    """Text, or a refusal of what is not."""
    if b"\0" in data:
        raise Refused("is not a text file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused(f"is not UTF-8 text (byte {error.start})") from None


def edge_list(data: bytes, directed: bool | None) -> NeighborGraph:
    """Lines ``source target [weight]``."""
    sources: list[str] = []
    targets: list[str] = []
    weights: list[float] = []
    separator: str | None = None
    width = 0
    for number, line in enumerate(decode(data).splitlines(), 1):
        text = line.split("#", 1)[0].strip()
        if not text or text[0] == "%":
            continue
        if not width:
            separator = "\t" if "\t" in text else "," if "," in text else None
        text, brace, attributes = text.partition("{")
        parts = [part.strip() for part in text.strip().split(separator)]
        found = _DICT_WEIGHT.search(attributes) if brace else None
        if found:
            parts.append(found[1])
        width = width or len(parts)
        if len(parts) != width or width not in (2, 3) or "" in parts[:2]:
            expected = (
                f"{width} columns as above" if width in (2, 3) and len(parts) != width else "source target [weight]"
            )
            raise Refused(f"line {number}: expected {expected}, got {_shown(line)}")
        sources.append(parts[0])
        targets.append(parts[1])
        if width == 3:
            weights.append(number_of(parts[2], f"line {number}"))
    if not sources:
        raise Refused("holds no edges")
    columns = {"edge_weights": np.array(weights) if weights else None}
    return _graph(sources, targets, directed, columns)


def table(data: bytes, directed: bool | None) -> NeighborGraph:
    """A header with source and target, then one row per edge."""
    text = decode(data)
    head = text.split("\n", 1)[0]
    rows = csv.reader(io.StringIO(text), delimiter=next((c for c in "\t;" if c in head and "," not in head), ","))
    try:
        header = [name.strip().lower() for name in next(rows, [])]
        if "source" not in header or "target" not in header or len(set(header)) != len(header):
            raise Refused(f"line 1: expected a header source,target[,weight,...], got {_shown(head)}")
        kept = [(rows.line_num, row) for row in rows if row and any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise Refused(f"line {rows.line_num}: {error}") from None
    for number, row in kept:
        if len(row) != len(header):
            raise Refused(f"line {number}: expected {len(header)} columns, got {len(row)}")
    if not kept:
        raise Refused("holds no edges")
    ends = {n: [row[header.index(n)].strip() for _, row in kept] for n in ("source", "target")}
    for (number, _), source, target in zip(kept, ends["source"], ends["target"], strict=True):
        if not source or not target:
            raise Refused(f"line {number}: expected a source and a target")
    values = {
        name: np.array([number_of(row[i], f"line {number}, column {name!r}") for number, row in kept])
        for i, name in enumerate(header)
        if name not in ends
    }
    columns: dict[str, np.ndarray | None] = {
        "edge_weights": values.pop("weight", None),
        "distances": values.pop("distance", None),
    }
    if values:
        columns["edge_features"] = np.stack(list(values.values()), axis=1)
    return _graph(ends["source"], ends["target"], directed, columns)


def number_of(text: str, where: str) -> float:
    """A finite number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise Refused(f"{where}: expected a finite number, got {_shown(text)}")
    return value


def _shown(text: str) -> str:
    return ascii(text.strip()[:40])


def _graph(
    sources: list[str], targets: list[str], directed: bool | None, columns: dict[str, np.ndarray | None]
) -> NeighborGraph:
    (first, second), names = _numbered(sources, targets)
    return from_pairs(first, second, len(names), directed is not False, columns, names=_needed(names))


def _numbered(sources: list[str], targets: list[str]) -> tuple[np.ndarray, list[str]]:
    """Node numbers (2, K) and names: in numeric order if all are whole numbers, else as they appear."""
    ends = sources + targets
    if all(len(end) <= _MAX_DIGITS and end.isdecimal() and end.isascii() for end in ends):
        values, numbers = np.unique(np.array([int(end) for end in ends], dtype=np.intp), return_inverse=True)
        return numbers.reshape(2, -1), [str(v) for v in values.tolist()]
    order: dict[str, int] = {}
    for source, target in zip(sources, targets, strict=True):
        order.setdefault(source, len(order))
        order.setdefault(target, len(order))
    return np.array([order[end] for end in ends], dtype=np.intp).reshape(2, -1), list(order)


def _needed(names: Sequence[str]) -> Sequence[str] | None:
    """None where the names say no more than the numbers do."""
    return None if all(name == str(i) for i, name in enumerate(names)) else names

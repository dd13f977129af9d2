"""Vectors as text: rows of numbers, or of a name and numbers as in word2vec and GloVe."""

from __future__ import annotations

import io
import re

import numpy as np

from ...storage_checks import Refused
from ._text import decode, is_number, separator_of, shown, split
from .edge_table import plain

#: Names, compared by `plain`, of a column of row numbers, and of a column of names.
_INDEX = ("", "unnamed:0", "index")
_IDS = (*_INDEX, "id", "node", "nodeid", "name", "nodename", "word", "token", "label", "key", "entity")
_WHOLE = re.compile(r"[0-9]+")


def vectors(data: bytes) -> tuple[list[str] | None, np.ndarray]:
    """Return the names (or None) and the vectors (V, D) of a text.

    Without a header, the first column holds names if a line ``V D`` comes first (word2vec) or if one of its entries is
    not a number (GloVe). With a header, the names are in the column of words or in the id column. Distinct whole
    numbers before numbers with decimals may be names or coordinates and raise an error.
    """
    lines = [line.strip() for line in re.split(r"\r\n|\r|\n", decode(data))]
    rows = [(n, line) for n, line in enumerate(lines, 1) if line and line[0] != "#"]
    if not rows:
        raise Refused("holds no vectors")
    separator = _separator([line for _, line in rows])
    cells = [(n, line, _cut(line, separator)) for n, line in rows]
    sizes = cells[0][2]
    announced = len(sizes) == 2 and all(map(_WHOLE.fullmatch, sizes)) and int(sizes[0]) == len(cells) - 1
    named = any(not is_number(row[0]) for _, _, row in cells)
    if announced and len(cells) > 1 and all(len(row) == int(sizes[1]) + 1 for _, _, row in cells[1:]):
        if int(sizes[1]) == 1 and not named:
            raise Refused(f"line {cells[0][0]}: {shown(cells[0][1])} may be the sizes of word vectors or a vector")
        return [row[0] for _, _, row in cells[1:]], _matrix([(n, row[1:]) for n, _, row in cells[1:]])
    if _is_header(cells[0][2], [row for _, _, row in cells[1:]]):
        return _below_header(cells[0][2], [(n, row) for n, _, row in cells[1:]])
    if named:
        # A word may start with #.
        width = len(sizes)
        words = [(n, row) for n, line in enumerate(lines, 1) if line and len(row := _cut(line, separator)) == width]
        if width < 2 or len(words) < len(cells):
            odd = next(((n, line) for n, line, row in cells if len(row) != width), (cells[0][0], cells[0][1]))
            raise Refused(f"line {odd[0]}: expected a name and {max(width - 1, 1)} numbers, got {shown(odd[1])}")
        return [row[0] for _, row in words], _matrix([(n, row[1:]) for n, row in words])
    firsts = [row[0] for _, _, row in cells]
    if (
        len(cells) > 1
        and all(map(_WHOLE.fullmatch, firsts))
        and len(set(firsts)) == len(firsts)
        and len(sizes) > 1
        and not any(_WHOLE.fullmatch(cell.lstrip("-")) for _, _, row in cells for cell in row[1:])
    ):
        raise Refused(
            "the first column holds whole numbers, each once, before numbers with decimals: they may be names or"
            " coordinates; add a header id,x,y,…, or write the coordinates with decimals"
        )
    return None, _matrix([(n, row) for n, _, row in cells])


def _is_header(first: list[str], rest: list[list[str]]) -> bool:
    """Return whether the first row is a header: an id and numbers from 0 or 1, or words above columns of numbers."""
    if not rest or any(len(row) != len(first) for row in rest) or len(first) < 2:
        return False
    counted = [name for name in first if plain(name) not in _IDS]
    if counted in ([str(i + k) for i in range(len(counted))] for k in (0, 1)):  # pandas names columns by numbers
        return len(counted) < len(first) or not any(_WHOLE.fullmatch(cell) for row in rest for cell in row)
    below = [all(is_number(row[i]) for row in rest) for i in range(1, len(first))]
    return any(numbers and not is_number(name) for name, numbers in zip(first[1:], below, strict=True))


def _below_header(header: list[str], rows: list[tuple[int, list[str]]]) -> tuple[list[str] | None, np.ndarray]:
    words = [i for i in range(len(header)) if not all(is_number(row[i]) for _, row in rows)]
    ids = [i for i, name in enumerate(header) if plain(name) in _IDS]
    if len(words) > 1:
        number, row = next((n, row) for n, row in rows if not is_number(row[words[1]]))
        where = f"line {number}, column {header[words[1]]!r:.40}"
        raise Refused(f"{where}: expected a number, got {shown(row[words[1]])}; only one column may hold names")
    index = [i for i in ids if plain(header[i]) in _INDEX and i not in words]
    named = sorted({*words, *ids} - {*index}) or index
    if len(named) > 1:
        raise Refused(f"columns {', '.join(repr(header[i]) for i in named)[:80]} may all be the names; one is enough")
    left = {*named, *index}
    matrix = _matrix([(n, [cell for i, cell in enumerate(row) if i not in left]) for n, row in rows])
    return ([row[named[0]] for _, row in rows] if named else None), matrix


def _separator(lines: list[str]) -> str:
    if len(lines[0].split()) == 1 and not any(c in lines[0] for c in ",;\t"):
        return " "  # one number per line
    return separator_of(lines, "\t;, ", lambda cells: False)


def _cut(line: str, separator: str) -> list[str]:
    if separator != " " and '"' in line:
        return next(iter(split([line], separator))).cells
    return line.split() if separator == " " else [cell.strip() for cell in line.split(separator)]


def _matrix(rows: list[tuple[int, list[str]]]) -> np.ndarray:
    width = len(rows[0][1])
    for number, row in rows:
        if len(row) != width:
            raise Refused(f"line {number}: expected {width} numbers as above, got {len(row)}")
    if not width:
        raise Refused("holds names alone, and no numbers")
    text = "\n".join(" ".join(row) for _, row in rows)
    try:
        if not text.strip():  # NumPy would warn of empty text
            raise ValueError
        return np.loadtxt(io.StringIO(text), ndmin=2, dtype=np.float64, comments=None).reshape(len(rows), width)
    except ValueError:
        number, cell = next((n, c) for n, row in rows for c in row if not is_number(c))
        raise Refused(f"line {number}: expected a number, got {shown(cell)}") from None

"""Parsing of text tables: line endings, comments, and detection of the separator, which must be unambiguous."""

from __future__ import annotations

import codecs
import csv
import io
import math
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

from ...storage_checks import Refused


class Row(NamedTuple):
    """The number of a line, and its cells."""

    line: int
    cells: list[str]


_LINE_END = re.compile(r"\r\n|\r|\n")
#: A comment at the end of a line follows a blank, so that names such as C# stay intact.
_TRAILING_COMMENT = re.compile(r"\s#.*$")
#: Names of the separators in messages, the most reliable first.
SEPARATORS = {"\t": "tabs", ";": "semicolons", ",": "commas", " ": "blanks"}
#: Number of rows that are read to test a separator.
_SAMPLE = 1000


def decode(data: bytes) -> str:
    """Decode UTF-8, or UTF-16 with a byte order mark (as Excel writes it). Other content raises an error."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            return data.decode("utf-16")
        except UnicodeDecodeError as error:
            raise Refused(f"is not UTF-16 text (byte {error.start})") from None
    if (zero := data.find(b"\0")) >= 0:
        raise Refused(f"line {_line_of(data, zero)}: a zero byte; is not a text file, or UTF-16: save it as UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = _line_of(data, error.start)
        raise Refused(f"line {line}: is not UTF-8 text (byte {error.start}); save it as UTF-8") from None


def _line_of(data: bytes, at: int) -> int:
    return data.count(b"\n", 0, at) + 1


def shown(text: str) -> str:
    """Return the start of a line for messages."""
    return ascii(text.strip()[:40])


def as_number(text: str) -> float:
    """Return the number in a cell, or NaN. Underscores, which Python allows, are not part of a number in a file."""
    try:
        return math.nan if "_" in text else float(text)
    except ValueError:
        return math.nan


def is_number(text: str) -> bool:
    """Return whether a cell holds a finite number."""
    return math.isfinite(as_number(text))


def lines_of(text: str, *, trailing: bool) -> tuple[list[str], dict[int, str]]:
    """Return the lines, with comments replaced by empty lines, and the comments by line number from 1.

    Args:
        text: The file's content.
        trailing: Whether a comment may also follow data on the same line.
    """
    lines = _LINE_END.split(text) if "\r" in text else text.split("\n")
    comments: dict[int, str] = {}
    if "#" not in text and "%" not in text and "//" not in text:
        return lines, comments
    for i, line in enumerate(lines):
        if line.lstrip().startswith(("#", "%", "//")):
            comments[i + 1], lines[i] = line, ""
        elif trailing and "#" in line:
            lines[i] = _TRAILING_COMMENT.sub("", line)
    return lines, comments


def split(lines: Sequence[str], separator: str) -> Iterator[Row]:
    """Yield the rows of all non-blank lines. A quoted cell may contain separators and line ends."""
    if separator == " ":
        for number, line in enumerate(lines, 1):
            cells = _quoted(line, number) if '"' in line else line.split()
            if cells:
                yield Row(number, cells)
        return
    reader = _csv(lines, separator)
    try:
        for cells in reader:
            stripped = list(map(str.strip, cells))
            if any(stripped):
                yield Row(reader.line_num, stripped)
    except csv.Error as error:
        raise Refused(f"line {reader.line_num}: {error}") from None


def _quoted(line: str, number: int) -> list[str]:
    try:
        cells: list[str] = next(_csv([" ".join(line.split())], " "))
    except csv.Error as error:
        raise Refused(f"line {number}: {error}") from None
    return cells


def _csv(lines: Sequence[str], separator: str) -> Any:
    text = io.StringIO("\n".join(lines) + "\n", newline="")
    return csv.reader(text, delimiter=separator, skipinitialspace=True, strict=True)


def separator_of(lines: Sequence[str], likely: str, is_header: Callable[[list[str]], bool]) -> str:
    """Detect the separator of the cells.

    The separator splits all lines into the same number of cells, at least two. If several separators do, one whose
    first row is a known header is preferred. Tabs are never part of a name, and blanks are not the separator if
    another separator leaves no blanks inside cells.

    Args:
        lines: The lines without comments.
        likely: The usual separators of this kind of file. The others are used only if none of these fits.
        is_header: Function that tells whether cells are a header.

    Raises:
        Refused: There is no separator, or it is ambiguous.
    """
    found: dict[str, list[Row]] = {}
    first: dict[str, list[Row]] = {}
    failure: Refused | None = None
    for separator in SEPARATORS:
        try:
            rows = list(islice(split(lines, separator), _SAMPLE))
        except Refused as error:
            failure = failure or error
            continue
        if rows and len(rows[0].cells) > 1:
            first[separator] = rows
            if len({len(row.cells) for row in rows}) == 1:
                found[separator] = rows
    found = {s: rows for s, rows in found.items() if s in likely} or found
    if len(found) > 1:
        found = {s: rows for s, rows in found.items() if is_header(rows[0].cells)} or found
    if len(found) > 1 and "\t" in found:
        columns = " " in found and all(is_number(cell) for row in found[" "] for cell in row.cells)
        return " " if columns else "\t"  # columns of numbers, some of them padded with tabs
    if len(found) == 2 and " " in found:
        (other,) = set(found) - {" "}
        if not any(" " in cell for row in found[other] for cell in row.cells):
            return other
    if len(found) > 1:
        words = " or at ".join(SEPARATORS[s] for s in found)
        row = next(iter(found.values()))[0]
        raise Refused(f"line {row.line}: {shown(lines[row.line - 1])} can be split at {words}; add a header")
    if found or first:  # if lines differ in their number of cells, the reader reports which
        return next(iter(found or first))
    if failure is not None:
        raise failure
    number, line = next(((n, line) for n, line in enumerate(lines, 1) if line.strip()), (1, ""))
    if not line:
        raise Refused("holds no edges")
    raise Refused(f"line {number}: expected source target [weight], got {shown(line)}")

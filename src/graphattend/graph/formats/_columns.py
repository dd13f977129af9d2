"""What the columns of a table of edges are, by their names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from ...storage_checks import Refused

#: Names of the two ends, compared without case, blanks, hyphens and underscores.
ENDS = (
    ("source", "target"),
    ("sourceid", "targetid"),
    ("from", "to"),
    ("fromnode", "tonode"),
    ("fromnodeid", "tonodeid"),
    ("src", "dst"),
    ("node1", "node2"),
    ("head", "tail"),
    ("u", "v"),
)
#: These may as well be the names of two nodes.
_SHORT = ("u", "v")
#: Numbers of rows: an edge's own number, and the index that pandas writes in front without a name.
_NUMBERS = ("id", "edgeid")
_INDEX = ("", "unnamed:0", "index")


class Roles(NamedTuple):
    """Positions of the columns; None where there is no such column."""

    source: int
    target: int
    weight: int | None
    distance: int | None
    kind: int | None
    label: int | None
    numbers: tuple[int, ...]
    row_numbers: tuple[int, ...]
    features: tuple[int, ...]
    #: Whether the names of the ends are no names of nodes.
    sure: bool


def plain(name: str) -> str:
    """A column's name without case, blanks, hyphens and underscores."""
    return re.sub(r"[\s_-]+", "", name.lower())


def roles(header: Sequence[str]) -> Roles | None:
    """What the columns are, or None if no two of them are known as source and target.

    Args:
        header: The columns' names.

    Raises:
        Refused: Two columns have the same name, or two pairs of columns may be the ends.

    ``weight``, ``distance``, Gephi's ``Type`` (directed or not), ``Label`` and ``Id`` and a nameless index are known;
    all others are features.
    """
    names = [plain(name) for name in header]
    pairs = [pair for pair in ENDS if pair[0] in names and pair[1] in names]
    if not pairs:
        return None
    if len(pairs) > 1:
        raise Refused(f"line 1: {' and '.join('/'.join(pair) for pair in pairs)} may both be source and target")
    double = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if double is not None:
        raise Refused(f"line 1: two columns are named {double!r:.40}")
    places = {name: i for i, name in enumerate(names)}
    source, target = (places.pop(end) for end in pairs[0])
    weight, distance, kind, label = (places.pop(name, None) for name in ("weight", "distance", "type", "label"))
    numbers = tuple(places.pop(name) for name in _NUMBERS if name in places)
    index = tuple(places.pop(name) for name in _INDEX if name in places)
    rest = tuple(sorted(places.values()))
    return Roles(source, target, weight, distance, kind, label, numbers, index, rest, pairs[0] != _SHORT)

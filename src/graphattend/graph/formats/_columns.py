"""The roles of an edge table's columns, determined by the column names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ...storage_checks import Refused
from .edge_table import plain

#: Names of the endpoint columns, compared without case, blanks, hyphens and underscores.
ENDS = (
    ("source", "target"),
    ("sourceid", "targetid"),
    ("sourcenode", "targetnode"),
    ("from", "to"),
    ("fromid", "toid"),
    ("fromnode", "tonode"),
    ("fromnodeid", "tonodeid"),
    ("source", "destination"),
    ("sourceid", "destinationid"),
    ("src", "dst"),
    ("src", "dest"),
    ("srcid", "dstid"),
    ("node1", "node2"),
    ("id1", "id2"),
    ("nodea", "nodeb"),
    ("vertex1", "vertex2"),
    ("protein1", "protein2"),
    ("startnode", "endnode"),
    ("head", "tail"),
    ("origin", "destination"),
    (":startid", ":endid"),
    ("u", "v"),
)
#: These may also be the names of two nodes.
_SHORT = ("u", "v")
#: Columns that number the rows: edge ids, and the index that pandas writes first, without a name.
_NUMBERS = ("id", "edgeid")
_INDEX = ("", "unnamed:0", "index")


class Roles(NamedTuple):
    """Positions of the columns."""

    source: int
    target: int
    #: Names and positions of the columns other than the endpoints.
    data: dict[str, int]
    #: Name of Gephi's column that tells whether an edge is directed, or None.
    kind: str | None = None
    #: Columns that number the rows: ids by name, and positions of nameless ones, which must count from 0 or 1.
    ids: tuple[str, ...] = ()
    rows: tuple[int, ...] = ()
    #: Whether the endpoint names cannot be names of nodes.
    sure: bool = True


def roles(header: Sequence[str]) -> Roles | None:
    """Find the roles of the columns, or return None if no two columns are named source and target.

    Args:
        header: The columns' names.

    Raises:
        Refused: Two columns have the same name, or two pairs of columns may be the endpoints.
    """
    names = [plain(name) for name in header]
    pairs = [pair for pair in ENDS if pair[0] in names and pair[1] in names]
    if not pairs:
        return None
    beside = (f"{pairs[0][0]}id", f"{pairs[0][1]}id")  # node numbers in addition to node names
    numbers = (*_NUMBERS, *(beside if beside in pairs else ()))
    pairs = [pair for pair in pairs if pair != beside]
    if len(pairs) > 1:
        raise Refused(f"line 1: {' and '.join('/'.join(pair) for pair in pairs)} may both be source and target")
    double = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if double is not None:
        raise Refused(f"line 1: two columns are named {double!r:.40}")
    source, target = (names.index(end) for end in pairs[0])
    rows = tuple(i for i, name in enumerate(names) if name in _INDEX)
    data = {header[i]: i for i in range(len(names)) if i not in (source, target, *rows)}
    kind = next((name for name in data if plain(name) == "type"), None)
    ids = tuple(name for name in data if plain(name) in numbers)
    return Roles(source, target, data, kind, ids, rows, pairs[0] != _SHORT)

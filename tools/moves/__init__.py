"""The rows of docs/move.md, as code: their call and ours on the same numbers. tools/check_moves.py runs them.

Every module is named as the distribution it needs. A function is one row of a table: it is called with a generator of
random numbers, and yields pairs that have to agree.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

Row = Callable[[np.random.Generator], Iterator[tuple[Any, Any]]]


def table() -> tuple[dict[str, Row], Callable[[str], Callable[[Row], Row]]]:
    """An empty table, and the decorator that puts a function into it under the first cell of its row."""
    rows: dict[str, Row] = {}

    def row(cell: str) -> Callable[[Row], Row]:
        def add(function: Row) -> Row:
            rows[cell] = function
            return function

        return add

    return rows, row

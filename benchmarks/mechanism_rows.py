"""Every registered mechanism, forward and over a graph, compared with scaled dot products and with a lower bound.

The bound is the longer of two times: reading the inputs once (over a graph, a key and a value for each edge), and one
multiply-add for each of these numbers at the speed of the peak loop.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from benchmarks.results_file import Results, peak, speed

#: Largest allowed time relative to dot products; LIMIT for all other mechanisms.
FORWARD_LIMITS = {"manifold": 20.0}
ATTEND_LIMITS = {"multi_head": 4.0, "manifold": 15.0, "cross_space": 20.0}
LIMIT, WEIGHTS_LIMIT, BACKWARD_LIMIT, EXPERTS_LIMIT = 3.0, 1.5, 3.0, 1.2
SHARE_LIMIT, MEMORY_LIMIT = 0.4, 20e6


class Cell(NamedTuple):
    """A figure (None if not measured) with its limit, a lower bound if `least`."""

    value: float | None
    limit: float
    least: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the figure meets the limit, or None if not measured."""
        if self.value is None:
            return None
        return self.value >= self.limit if self.least else self.value <= self.limit


def keys_of(results: Results, kind: str) -> list[str]:
    """Return the mechanisms that were measured in the workloads of a kind, "mechanism" or "attend"."""
    return [name.partition(":")[2] for name in results["workloads"] if name.startswith(f"{kind}:")]


def _seconds(results: Results, name: str, runtime: str, contender: str = "graphattend") -> float | None:
    found = speed(results, name, runtime, contender)
    return 1 / found if found else None


def _over(a: float | None, b: float | None) -> float | None:
    return a / b if a and b else None


def bound(results: Results, name: str, runtime: str) -> float | None:
    """Return a lower bound of the mechanism's time in seconds."""
    reading, most = _seconds(results, name, runtime, "reading"), peak(results, runtime)
    if reading is None:
        return None
    return max(reading * results.get("reads", {}).get(name, 1.0), results["flops"][name] / most if most else 0.0)


def experts(results: Results, name: str, runtime: str) -> float | None:
    """Return the time of a mixture's experts alone, in seconds."""
    found = results["workloads"][name].get(runtime, {})
    times = [_seconds(results, name, runtime, contender) for contender in found if contender.startswith("expert ")]
    return sum(t for t in times if t) or None


def cells(results: Results, kind: str, key: str, runtime: str) -> dict[str, Cell]:
    """Return the figures of a mechanism in a runtime with their limits."""
    name = f"{kind}:{key}"
    ours, dots = (_seconds(results, name, runtime, c) for c in ("graphattend", "sdpa"))
    alone = experts(results, name, runtime)
    limits = FORWARD_LIMITS if kind == "mechanism" else ATTEND_LIMITS
    mixture = kind == "mechanism" and alone is not None
    found = {
        "of dot products": Cell(_over(ours, dots), math.inf if mixture else limits.get(key, LIMIT)),
        **({"of its experts": Cell(_over(ours, alone), EXPERTS_LIMIT)} if mixture else {}),
        "share of its bound": Cell(_over(bound(results, name, runtime), ours), SHARE_LIMIT, least=True),
        "with weights": Cell(_over(_seconds(results, name, runtime, "weights"), ours), WEIGHTS_LIMIT),
    }
    if kind == "mechanism":
        for what, contender in (("weights alone", "attention_weights"), ("masked", "masked"), ("prepared", "prepared")):
            found[what] = Cell(_over(_seconds(results, name, runtime, contender), ours), WEIGHTS_LIMIT)
    backward = _over(_seconds(results, name, runtime, "backward"), ours)
    found["backward"] = Cell(None if backward is None else backward - 1, BACKWARD_LIMIT)
    if kind == "attend":
        memory = min(results["workloads"][name].get(runtime, {}).get("memory", []), default=None)
        found["MB beyond the result"] = Cell(None if memory is None else memory / 1e6, MEMORY_LIMIT / 1e6)
    return found


def shown(cell: Cell | None) -> str:
    """Format a figure, bold if it misses its limit."""
    if cell is None or cell.value is None:
        return "–"
    text = f"{100 * cell.value:.0f} %" if cell.least else f"{cell.value:.3g}"
    return f"**{text}**" if cell.met is False else text


def rows(results: Results, kind: str, runtime: str) -> tuple[list[str], list[list[str]]]:
    """Return header and body of the table of a runtime."""
    unit, factor = ("µs", 1e6) if kind == "mechanism" else ("ms", 1e3)
    found = {key: cells(results, kind, key, runtime) for key in keys_of(results, kind)}
    columns = list(dict.fromkeys(column for row in sorted(found.values(), key=len, reverse=True) for column in row))
    body = []
    for key, row in found.items():
        ours = _seconds(results, f"{kind}:{key}", runtime)
        time = "–" if ours is None else f"{ours * factor:.3g}"
        body.append([f"`{key}`", time, *(shown(row.get(column)) for column in columns)])
    return ["mechanism", unit, *columns], body


def misses(results: Results, kind: str, runtime: str) -> Iterator[tuple[str, int, int, list[str]]]:
    """Return for each limit its name, how many mechanisms meet it, of how many, and which do not."""
    found: dict[str, list[tuple[str, Cell]]] = {}
    for key in keys_of(results, kind):
        for what, cell in cells(results, kind, key, runtime).items():
            if cell.value is not None:
                found.setdefault(what, []).append((key, cell))
    for what, measured in found.items():
        late = [f"{key} {shown(cell).strip('*')}" for key, cell in measured if not cell.met]
        yield what, len(measured) - len(late), len(measured), late

"""Time and memory of calls, measured in Python; the same file runs in CPython and in Pyodide.

A sample is the fastest of several short batches of calls, because on a shared machine slower batches were interrupted.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from typing import Any

Call = Callable[[], Any]

#: Seconds that a batch takes, if a call is shorter.
BATCH = 1e-3

_counts: dict[Call, int] = {}


def forget() -> None:
    """Release the calls that were timed."""
    _counts.clear()


def rate(call: Call, seconds: float) -> float:
    """Return calls per second of the fastest batch within `seconds`."""
    count = _counts.get(call) or calibrate(call)
    _counts[call] = count
    best = 0.0
    end = time.perf_counter() + seconds
    while not best or time.perf_counter() < end:
        best = max(best, count / batch(call, count))
    return best


def calibrate(call: Call) -> int:
    """Return how many warm calls fill a batch, from three tries, because an interruption lengthens a short batch."""
    call()
    count = 1
    while count < 1 << 20:
        times = [batch(call, count)]
        while times[-1] < 20 * BATCH and len(times) < 3:
            times.append(batch(call, count))
        if min(times) >= BATCH:
            break
        count *= 2
    return count


def batch(call: Call, count: int) -> float:
    """Return the seconds that `count` calls take."""
    start = time.perf_counter()
    for _ in range(count):
        call()
    return time.perf_counter() - start


def beyond_result(call: Call) -> float:
    """Return the peak memory that a call allocates beyond its result, in bytes."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    out = call()
    peak = tracemalloc.get_traced_memory()[1] - before - out.nbytes
    tracemalloc.stop()
    return float(peak)

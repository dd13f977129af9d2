"""The number of threads of a kernel call.

Rows are split into independent blocks, so the result is bitwise equal for every number of threads.
"""

from __future__ import annotations

import contextlib
import itertools
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from .._validate import as_int
from ..errors import UnsupportedError

T = TypeVar("T")

#: Largest number of threads. WebAssembly has one; there, JavaScript's pool of workers replaces threads.
MOST = 1 if sys.platform == "emscripten" else 256
#: Blocks start at multiples of this number, which are also the starts of the kernels' tiles of rows.
ALIGN = 64
#: Fewer multiplications than this are not worth the start of a thread.
MIN_WORK = 1 << 21

_default = 1
_here = threading.local()
_pool: tuple[int, ThreadPoolExecutor] | None = None


def checked(threads: object) -> int:
    """Check a number of threads.

    Raises:
        InvalidConfigError: Not a whole number from 1 to 256.
        UnsupportedError: More than one thread in WebAssembly.
    """
    n = as_int(threads, "threads", minimum=1, maximum=256)
    if n > MOST:
        raise UnsupportedError(
            f"threads: expected 1 in WebAssembly, got {n} (from JavaScript: connect({{ workers }}))",
            argument="threads",
            expected=1,
            actual=n,
        )
    return n


def set_num_threads(threads: int) -> None:
    """Set the number of threads of calls that do not specify it.

    Large products over many rows (`forward` of many queries, `attend` over a graph and its gradients) are split. The
    result is bitwise equal to that with one thread.

    Args:
        threads: 1 … 256.

    Raises:
        InvalidConfigError: `threads` is not a whole number from 1 to 256.
        UnsupportedError: `threads` is more than 1 in WebAssembly, which has no threads.

    Example:
        >>> import graphattend as ga
        >>> ga.set_num_threads(1)
        >>> ga.get_num_threads()
        1
    """
    global _default
    _default = checked(threads)


def get_num_threads() -> int:
    """Return the number of threads that a call uses by default.

    Returns:
        The number from `set_num_threads`, initially 1. Inside a call with ``threads``, that number.

    Example:
        >>> import graphattend as ga
        >>> ga.get_num_threads()
        1
    """
    return getattr(_here, "count", None) or _default


@contextlib.contextmanager
def num_threads(threads: int | None) -> Iterator[None]:
    """Use this number of threads in a ``with`` block of the current thread. None leaves the number unchanged."""
    if threads is None:
        yield
        return
    before = getattr(_here, "count", None)
    _here.count = checked(threads)
    try:
        yield
    finally:
        _here.count = before


def blocks(weight: np.ndarray | int, work: float, align: int = ALIGN) -> list[slice]:
    """Split rows into one block per thread, of about equal weight.

    Args:
        weight: Number of rows, or the cumulative sum of their weights, (M+1,), such as CSR row starts.
        work: Total number of multiplications. Little work is not split.
        align: Blocks start at multiples of this number.

    Returns:
        Slices that cover the rows, in order.
    """
    rows = weight if isinstance(weight, int) else len(weight) - 1
    count = min(get_num_threads(), max(int(work // MIN_WORK), 1), max(rows // align, 1))
    if count == 1:
        return [slice(0, rows)]
    shares = np.linspace(0, rows if isinstance(weight, int) else float(weight[-1]), count + 1)[1:-1]
    cuts = shares if isinstance(weight, int) else np.searchsorted(weight, shares)
    edges = sorted({0, rows, *(min(round(float(c) / align) * align, rows) for c in cuts)})
    if not isinstance(weight, int):  # merge blocks without weight with the previous one
        edges = [0, *(b for a, b in itertools.pairwise(edges[:-1]) if weight[a] < weight[b] < weight[-1]), rows]
    return [slice(a, b) for a, b in itertools.pairwise(edges)]


def run(work: Callable[[slice], T], parts: list[slice]) -> list[T]:
    """Call `work` for each part, the first in this thread and all with its `np.errstate`; return the results."""
    if len(parts) == 1:
        return [work(parts[0])]
    flags = np.geterr()

    def elsewhere(part: slice) -> T:
        with np.errstate(**flags):
            return work(part)

    others = [_executor(len(parts) - 1).submit(elsewhere, part) for part in parts[1:]]
    first = work(parts[0])
    return [first, *(future.result() for future in others)]


def _executor(size: int) -> ThreadPoolExecutor:
    global _pool
    if _pool is None or _pool[0] < size:
        _pool = (size, ThreadPoolExecutor(size, thread_name_prefix="graphattend"))
    return _pool[1]

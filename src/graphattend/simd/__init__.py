"""Which arithmetic runs: chosen once, reported, never changed in silence.

The functions here take checked arrays. Each has its NumPy formulation in `numpy_ops`; where kernels are
loaded and apply to the arrays at hand, they run instead and give the same result.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast

import numpy as np

from . import backends, numpy_ops
from .accelerate import Acceleration as Acceleration
from .accelerate import accelerate_numpy as accelerate_numpy
from .accelerate import accelerated

F = TypeVar("F", bound=Callable[..., Any])

#: The module whose functions of the same names run first, or None. A kernel returns None where it does not apply.
_kernels: Any = None


def _op(reference: F) -> F:
    name = reference.__name__

    def op(*args: Any, **options: Any) -> Any:
        if _kernels is not None:
            fast = getattr(_kernels, name, None)
            if fast is not None:
                result = fast(*args, **options)
                if result is not None:
                    return result
        return reference(*args, **options)

    op.__name__ = name
    op.__doc__ = reference.__doc__
    return cast("F", op)


matmul = _op(numpy_ops.matmul)
matmul_nt = _op(numpy_ops.matmul_nt)
matmul_tn = _op(numpy_ops.matmul_tn)
exp = _op(numpy_ops.exp)
softmax = _op(numpy_ops.softmax)
segment_softmax = _op(numpy_ops.segment_softmax)
segment_sum = numpy_ops.segment_sum
scatter_add = numpy_ops.scatter_add
attention = _op(numpy_ops.attention)
attention_vjp = _op(numpy_ops.attention_vjp)


def backend_info() -> dict[str, Any]:
    """What does the arithmetic.

    Returns:
        ``backend`` ("wasm-relaxed-simd", "wasm-simd128" or "numpy"), ``available`` (all that can be used here),
        ``reason`` (why this one), ``platform``, ``numpy`` (its version) and ``numpy_loops`` (what `accelerated` tells).

    Example:
        >>> import graphattend as ga
        >>> ga.backend_info()["backend"] in ga.backend_info()["available"]
        True
    """
    return {
        "backend": _current.name,
        "available": [name for name in backends.NAMES if backends.load(name) is not None],
        "reason": _current.reason,
        "platform": sys.platform,
        "numpy": np.__version__,
        "numpy_loops": accelerated(),
    }


@contextlib.contextmanager
def use_backend(name: str) -> Iterator[None]:
    """Do the arithmetic with another backend inside a ``with`` block.

    Args:
        name: "wasm-relaxed-simd", "wasm-simd128" or "numpy".

    Returns:
        A context manager; leaving it restores the backend from before.

    Raises:
        UnsupportedError: Unknown, or not available here.

    Example:
        >>> import graphattend as ga
        >>> with ga.use_backend("numpy"):
        ...     print(ga.backend_info()["backend"])
        numpy
    """
    chosen = backends.require(name, "asked for by use_backend")
    before = _current
    _activate(chosen)
    try:
        yield
    finally:
        _activate(before)


def _activate(backend: backends.Backend) -> None:
    global _current, _kernels
    _current = backend
    _kernels = backend.ops


_current: backends.Backend
_activate(backends.choose())

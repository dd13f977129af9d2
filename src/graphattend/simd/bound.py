"""Kernel calls bound to their arrays, which can be repeated by address without Python.

Python determines which kernel a function calls with which arrays, and writes the checked call into memory. JavaScript
shares this memory; it changes the numbers in the arrays and calls the kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from . import kernel_ops

#: Size in bytes of a bound call (python/arguments.h): the kernel's address, then from byte 8 its arguments.
SIZE = 4096


class KernelCall(NamedTuple):
    """A kernel call: the module's method, its arguments, and its return value."""

    kernel: Any
    arguments: tuple[Any, ...]
    answer: Any


class Bound(NamedTuple):
    """A bound call, which can be repeated while this object is alive.

    Args:
        kernel: The module's method.
        arguments: Its arguments, with the arrays that it reads and writes.
        memory: (SIZE,) of int8, the same for a caller without Python.
    """

    kernel: Callable[..., Any]
    arguments: tuple[Any, ...]
    memory: np.ndarray

    def repeat(self) -> bool:
        """Call the kernel; return False if it declines these numbers."""
        return self.kernel(*self.arguments) is True

    @property
    def address(self) -> int:
        """The address of the call."""
        return address(self.memory)


class _Recorder:
    """A proxy of the kernel module that records every call."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self.calls: list[KernelCall] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        kernel = getattr(self._module, name)

        def call(*arguments: Any) -> Any:
            answer = kernel(*arguments)
            self.calls.append(KernelCall(kernel, arguments, answer))
            return answer

        return call


def recorded(run: Callable[[], Any]) -> tuple[Any, list[KernelCall]]:
    """Call a function; return its result and the kernel calls that it made."""
    module = kernel_ops.current()
    if module is None:
        return run(), []
    recorder: Any = _Recorder(module)
    kernel_ops.use(recorder)
    try:
        return run(), recorder.calls
    finally:
        kernel_ops.use(module)


def bind(run: Callable[[], Any], outs: tuple[np.ndarray, ...], given: tuple[np.ndarray, ...]) -> Bound | None:
    """Bind the single kernel call that `run` makes, with its results in `outs`.

    Args:
        run: A function that makes one kernel call on the given arrays and on constants, and returns its output, or a
            tuple of its outputs, unchanged. It is called twice.
        outs: (…) contiguous each, with the shapes and dtypes of the results.
        given: The arrays whose numbers will change. The kernel must receive each of them as a whole.

    Returns:
        The bound call, or None if `run` does anything else.
    """
    _, before = recorded(run)
    again, now = recorded(run)
    if len(before) != 1 or len(now) != 1 or not (before[0].answer is now[0].answer is True):
        return None
    results = again if isinstance(again, tuple) else (again,)
    if len(results) != len(outs) or not all(map(_same_form, results, outs)):
        return None
    places = {(address(x), x.size): out for x, out in zip(results, outs, strict=True)}
    kernel, arguments, _ = now[0]
    operands = [line.split() for line in kernel.__doc__.splitlines()]
    bound: list[Any] = []
    for (*_, use), x, earlier in zip(operands, arguments, before[0].arguments, strict=True):
        if not isinstance(x, np.ndarray):
            if x != earlier:
                return None
        elif use in ("WRITE", "MAYBE_WRITE"):
            if (address(x), x.size) in places:
                x = places.pop((address(x), x.size)).reshape(x.shape)
        # Constants and given arrays have the same address in both runs. Temporaries do not.
        elif address(x) != address(earlier) or x.strides != earlier.strides:
            return None
        bound.append(x)
    if places:
        return None
    looked_at = [x for x in bound if isinstance(x, np.ndarray)]
    if not all(any(address(x) == address(g) and x.size == g.size for x in looked_at) for g in given):
        return None
    memory = np.zeros(SIZE, np.int8)
    return Bound(kernel, tuple(bound), memory) if kernel(*bound, memory) else None


def _same_form(x: object, out: np.ndarray) -> bool:
    """Return whether x is an array whose numbers a kernel may write to `out` instead."""
    if not isinstance(x, np.ndarray) or x.shape != out.shape or x.dtype != out.dtype:
        return False
    return bool(x.flags.c_contiguous and out.flags.c_contiguous)


def address(x: np.ndarray) -> int:
    """Return the address of an array's data."""
    place: int = x.__array_interface__["data"][0]
    return place

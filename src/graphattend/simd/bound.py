"""A kernel call bound to its arrays, which can be repeated by its address without Python.

Python finds out which kernel a function calls, with which arrays, and writes the checked call into memory; JavaScript,
which shares that memory, then changes the numbers in the arrays and calls the kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from . import kernel_ops

#: Bytes that hold any bound call (python/arguments.h): the kernel's address, and from byte 8 on its arguments.
SIZE = 4096


class KernelCall(NamedTuple):
    """A call of a kernel: the module's method, its arguments, and what it answered."""

    kernel: Any
    arguments: tuple[Any, ...]
    answer: Any


class Bound(NamedTuple):
    """A call that can be repeated as long as this object lives.

    Args:
        memory: (SIZE,) of int8.
        arguments: The arrays that it reads and writes.
    """

    memory: np.ndarray
    arguments: tuple[Any, ...]

    @property
    def address(self) -> int:
        """The address of the call."""
        return address(self.memory)


class _Recorder:
    """Stands in for the module of kernels and notes every call."""

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
    """What a function returns, and the kernel calls it made."""
    module = kernel_ops.current()
    if module is None:
        return run(), []
    recorder: Any = _Recorder(module)
    kernel_ops.use(recorder)
    try:
        return run(), recorder.calls
    finally:
        kernel_ops.use(module)


def bind(run: Callable[[], Any], out: np.ndarray, given: tuple[np.ndarray, ...]) -> Bound | None:
    """The one kernel call that `run` consists of, with its result in `out`.

    Args:
        run: What is to be repeated: a kernel call on the given arrays and on constants, whose output it returns as it
            is. It is called twice.
        out: (…) contiguous, of the shape and dtype of the result.
        given: The arrays whose numbers will change; the kernel has to look at all of each.

    Returns:
        The bound call, or None where `run` does something else.
    """
    result, before = recorded(run)
    again, now = recorded(run)
    if len(before) != 1 or len(now) != 1 or not (before[0].answer is now[0].answer is True):
        return None
    if not isinstance(result, np.ndarray) or not result.flags.c_contiguous:
        return None
    if result.shape != out.shape or result.dtype != out.dtype or not out.flags.c_contiguous:
        return None
    kernel, arguments, _ = now[0]
    operands = [line.split() for line in kernel.__doc__.splitlines()]
    bound: list[Any] = []
    for (*_, use), x, earlier in zip(operands, arguments, before[0].arguments, strict=True):
        if not isinstance(x, np.ndarray):
            if x != earlier:
                return None
        elif use in ("WRITE", "MAYBE_WRITE"):
            if address(x) == address(again) and x.size == again.size:
                x = out.reshape(x.shape)
        # Constants and given arrays lie where they lay; what is made anew each time is neither.
        elif address(x) != address(earlier) or x.strides != earlier.strides:
            return None
        bound.append(x)
    if not any(isinstance(x, np.ndarray) and address(x) == address(out) for x in bound):
        return None
    looked_at = [x for x in bound if isinstance(x, np.ndarray)]
    if not all(any(address(x) == address(g) and x.size == g.size for x in looked_at) for g in given):
        return None
    memory = np.zeros(SIZE, np.int8)
    return Bound(memory, tuple(bound)) if kernel(*bound, memory) else None


def address(x: np.ndarray) -> int:
    """The address of an array's data."""
    place: int = x.__array_interface__["data"][0]
    return place

"""SIMD loops for NumPy itself, in Pyodide.

The official NumPy wheel for Pyodide has neither SIMD instructions nor a BLAS. :func:`accelerate_numpy` replaces loops
of NumPy's ufuncs by SIMD loops, through NumPy's public C-API (``PyUFunc_ReplaceLoopBySignature``). This accelerates all
NumPy code, including code that does not use this library. Element-wise arithmetic, square roots, comparisons,
``maximum``/``minimum`` and sums stay bitwise equal; ``exp``, ``log``, ``tanh``, ``sin`` and ``cos`` are accurate to 2
units in the last place; ``matmul`` adds in another order.

The replacement affects the whole interpreter. It is therefore opt-in, and the returned object undoes it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.machinery import ExtensionFileLoader, ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path
from time import perf_counter
from types import ModuleType
from typing import Any

import numpy as np

from . import numpy_ops
from .backends import VARIABLE
from .thresholds import numpy_build

_FOLDER = Path(__file__).parent
_FILES = {"wasm-relaxed-simd": "ufuncs_relaxed.wasm", "wasm-simd128": "ufuncs_simd128.wasm"}
# Smallest speed-up for which a loop is replaced, because a replacement affects the whole interpreter.
_WORTHWHILE = 1.5
# Smallest time to measure, because browsers round the clock to 0.1 ms or even 1 ms.
_MEASURABLE = 4e-3
_PATIENCE = 40
#: Loops that are scalar even in NumPy's WASM-SIMD build (see recipes/numpy).
_BEYOND_SIMD = {("exp", "float64")}


class _Loops:
    """The extension module, its loops that are faster than NumPy's, and the `Acceleration` objects that use them."""

    def __init__(self, module: ModuleType, variant: str) -> None:
        self.module = module
        self.variant = variant
        self.names: tuple[tuple[str, str], ...] = module.loops()
        self.capsule = import_module("numpy._core._multiarray_umath")._UFUNC_API
        self.wanted = self._faster_than_numpy()
        self.users: list[Acceleration] = []
        self.einsum = False

    def _indices(self, matmul: bool) -> list[int]:
        return [i for i, (ufunc, _) in enumerate(self.names) if (ufunc == "matmul") == matmul]

    def _faster_than_numpy(self) -> list[int]:
        """Return the indices of the loops that are faster than NumPy's."""
        line = np.linspace(-5, 5, 4096, dtype=np.float32)
        square = line[:2304].reshape(48, 48)
        build = numpy_build()
        matmul, others = self._indices(matmul=True), self._indices(matmul=False)
        groups: list[tuple[Callable[[], object], list[int]]] = []
        if build["blas"] is None:
            groups.append((lambda: square @ square, matmul))
        if build["simd"]:
            double = line.astype(np.float64)
            groups += [(partial(getattr(np, self.names[i][0]), double), [i]) for i in others if self._is_beyond_simd(i)]
        else:
            groups.append((lambda: np.exp(line), others))
        return [i for probe, indices in groups if self._gains(probe, indices) for i in indices]

    def _is_beyond_simd(self, index: int) -> bool:
        return self.names[index] in _BEYOND_SIMD

    def _gains(self, probe: Callable[[], object], indices: list[int]) -> bool:
        calls = 1
        # The less of two, because a single call that was interrupted would end the search too early.
        while (before := min(_seconds(probe, calls) for _ in range(2))) < _MEASURABLE:
            calls *= 2
        self._replace(indices)
        try:
            # The engine optimises a loop only after some use, so measure repeatedly before rejecting it.
            return any(before > _WORTHWHILE * _seconds(probe, calls) for _ in range(_PATIENCE))
        finally:
            self._restore(indices)

    def _replace(self, indices: list[int]) -> tuple[tuple[str, str], ...]:
        done = [i for i in indices if self.module.replace(self.capsule, getattr(np, self.names[i][0]), i)]
        return tuple(self.names[i] for i in done)

    def _restore(self, indices: list[int]) -> None:
        for i in indices:
            self.module.restore(self.capsule, getattr(np, self.names[i][0]), i)

    def add_user(self, user: Acceleration) -> tuple[tuple[str, str], ...]:
        if not self.users:
            # With the SIMD loops, `@` is faster than einsum.
            self.einsum = numpy_ops.prefer_einsum(False)
        self.users.append(user)
        return self._replace(self.wanted)

    def remove_user(self, user: Acceleration) -> None:
        if user in self.users:
            self.users.remove(user)
            if not self.users:
                self._restore(self.wanted)
                numpy_ops.prefer_einsum(self.einsum)


_loaded: _Loops | str | None = None  # str: why there are no loops


class Acceleration:
    """The result of :func:`accelerate_numpy`, and a context manager that undoes it.

    Attributes:
        active: Whether this object keeps the loops in place.
        replaced: Pairs (ufunc, dtype) of the replaced loops; empty if there are none.
        backend: ``"wasm-relaxed-simd"``, ``"wasm-simd128"``, or ``"numpy"`` if nothing was replaced.
        reason: Why nothing was replaced, or None if loops were replaced.

    Example:
        >>> import numpy as np
        >>> from graphattend.simd import accelerate_numpy
        >>> with accelerate_numpy() as acceleration:
        ...     product = np.ones((2, 3)) @ np.ones((3, 2))
        >>> product
        array([[3., 3.],
               [3., 3.]])
        >>> acceleration.active
        False
    """

    def __init__(self, loops: _Loops | None, reason: str | None) -> None:
        self._loops = loops
        self.active = loops is not None
        self.reason = reason
        self.backend = "numpy" if loops is None else loops.variant
        self.replaced: tuple[tuple[str, str], ...] = () if loops is None else loops.add_user(self)

    def undo(self) -> None:
        """Restore NumPy's loops if no other `Acceleration` is active. Further calls do nothing."""
        if self._loops is not None:
            self._loops.remove_user(self)
        self.active = False

    def __enter__(self) -> Acceleration:
        return self

    def __exit__(self, *exception: object) -> None:
        self.undo()

    def __repr__(self) -> str:
        state = f"{len(self.replaced)} loops, {self.backend}" if self.reason is None else self.reason
        return f"<Acceleration {'active' if self.active else 'inactive'}: {state}>"


def accelerate_numpy() -> Acceleration:
    """Replace loops of NumPy's ufuncs by SIMD loops if NumPy has none (in Pyodide).

    Calls may be nested and repeated. NumPy's own loops return when all returned objects have been undone. If there is
    nothing to gain (outside Pyodide, or with a NumPy that has SIMD and a BLAS), nothing changes, and ``reason`` of the
    returned object explains why.

    Returns:
        An :class:`Acceleration`. Use it in a ``with`` statement, call its ``undo()``, or keep the loops.

    Source:
        NumPy C-API, ``PyUFunc_ReplaceLoopBySignature``; the functions follow S. Moshier's Cephes library.

    Example:
        >>> import numpy as np
        >>> from graphattend.simd import accelerate_numpy
        >>> acceleration = accelerate_numpy()
        >>> bool(np.sqrt(np.float32([4.0]))[0] == 2.0)
        True
        >>> acceleration.undo()
    """
    loops = _load()
    return Acceleration(None, loops) if isinstance(loops, str) else Acceleration(loops, None)


def accelerated() -> dict[str, Any]:
    """Report whether NumPy currently uses the SIMD loops.

    Returns:
        A dict with ``active`` (bool), ``backend`` (as in :class:`Acceleration`) and ``loops`` (names such as
        ``"exp:float32"``).

    Example:
        >>> from graphattend.simd import accelerated
        >>> sorted(accelerated())
        ['active', 'backend', 'loops']
    """
    if not isinstance(_loaded, _Loops) or not _loaded.users:
        return {"active": False, "backend": "numpy", "loops": []}
    names = [":".join(pair) for pair in _loaded.users[-1].replaced]
    return {"active": True, "backend": _loaded.variant, "loops": names}


def _seconds(function: Callable[[], object], calls: int) -> float:
    start = perf_counter()
    for _ in range(calls):
        function()
    return perf_counter() - start


def _load() -> _Loops | str:
    """Load the extension once and return its loops, or a string that explains why it cannot be loaded."""
    global _loaded
    if _loaded is None:
        _loaded = _first_that_loads() if sys.platform == "emscripten" else f"not in Pyodide, but on {sys.platform}"
    return _loaded


def _first_that_loads() -> _Loops | str:
    forced = os.environ.get(VARIABLE)
    files = {forced: _FILES[forced]} if forced in _FILES else _FILES
    if forced == "numpy":
        return f"{VARIABLE} is numpy"
    failures = []
    for variant, filename in files.items():
        try:
            module = _extension(_FOLDER / filename)
        except ImportError as error:
            failures.append(f"{filename}: {error}")
            continue
        loops = _Loops(module, variant)
        return loops if loops.wanted else "this NumPy is as fast as our loops"
    return "no loops for this engine: " + "; ".join(failures)


def _extension(path: Path) -> ModuleType:
    """Load a build of `kernels/ufunc_*.c`. Raise ImportError if it is missing or the engine lacks its instructions."""
    loader = ExtensionFileLoader("graphattend.simd._ufuncs", str(path))
    module = module_from_spec(ModuleSpec(loader.name, loader, origin=str(path)))
    loader.exec_module(module)
    return module

"""Finding the backends: which kernels this machine can run, and which one is used at import."""

from __future__ import annotations

import os
import sys
from typing import Any, Final, NamedTuple

from .._validate import near_miss
from ..errors import UnsupportedError

#: Fastest first; the last one works everywhere.
NAMES: Final = ("wasm-relaxed-simd", "wasm-simd128", "numpy")
_VARIANTS: Final = {"wasm-relaxed-simd": "relaxed", "wasm-simd128": "simd128"}
VARIABLE: Final = "GRAPHATTEND_BACKEND"


class Backend(NamedTuple):
    """A backend, its compiled kernels (None for plain NumPy), and why it was chosen."""

    name: str
    kernels: Any
    reason: str


_loaded: dict[str, Backend | None] = {"numpy": Backend("numpy", None, "")}


def load(name: str) -> Backend | None:
    """The backend, or None where this engine or this build cannot run it."""
    if name not in _loaded:
        _loaded[name] = None
        if sys.platform == "emscripten":
            from . import wasm_ops

            module = wasm_ops.variant(_VARIANTS[name])
            if module is not None:
                _loaded[name] = Backend(name, module, "")
    return _loaded[name]


def require(name: Any, reason: str) -> Backend:
    """The backend, or UnsupportedError saying which there are."""
    found = load(name) if isinstance(name, str) and name in NAMES else None
    if found is None:
        available = [n for n in NAMES if load(n) is not None]
        problem = "not available here" if name in NAMES else f"unknown{near_miss(name, NAMES)}"
        raise UnsupportedError(
            f"backend: expected one of {', '.join(available)}, got {name!r:.60} ({problem})",
            argument="backend",
            expected=available,
            actual=name,
        )
    return found._replace(reason=reason)


def choose() -> Backend:
    """The backend of this process: the environment's, else the fastest that loads."""
    wanted = os.environ.get(VARIABLE)
    if wanted:
        return require(wanted, f"asked for by {VARIABLE}")
    for name in NAMES:
        found = load(name)
        if found is not None:
            why = "the fastest that this engine runs" if name != "numpy" else f"no kernels for {sys.platform}"
            return found._replace(reason=why)
    raise AssertionError("the NumPy backend is always there")

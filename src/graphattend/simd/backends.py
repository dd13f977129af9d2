"""Detection of the backends that this machine can run, and the selection at import."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Final, NamedTuple

from .._validate import near_miss
from ..errors import UnsupportedError

#: The file and the module in it of each backend with kernels, fastest first; see `kernels/build.py`.
FILES: Final = {
    "native-avx512": ("kernels", "_kernels_avx512"),
    "native-avx2": ("kernels", "_kernels_avx2"),
    "native-sse4": ("kernels", "_kernels_sse4"),
    "native-neon": ("kernels", "_kernels_neon"),
    "wasm-relaxed-simd": ("kernels_relaxed", "_kernels"),
    "wasm-simd128": ("kernels_simd128", "_kernels"),
}
#: All backends, fastest first. The last one works everywhere.
NAMES: Final = (*FILES, "numpy")
VARIABLE: Final = "GRAPHATTEND_BACKEND"


class Backend(NamedTuple):
    """A backend, its compiled kernels (None for plain NumPy), and why it was chosen."""

    name: str
    kernels: Any
    reason: str


_loaded: dict[str, Backend | None] = {"numpy": Backend("numpy", None, "")}


def load(name: str) -> Backend | None:
    """Load a backend, or return None if this engine or this build cannot run it."""
    if name not in _loaded:
        module = _module(name)
        _loaded[name] = None if module is None else Backend(name, module, "")
    return _loaded[name]


def look_again() -> None:
    """Forget backends that failed to load, because a restored interpreter may run on another engine."""
    for name in [n for n, backend in _loaded.items() if backend is None]:
        del _loaded[name]


def _module(name: str) -> Any:
    """Return the backend's compiled kernels, or None if they are not installed or this machine cannot run them."""
    file, module = FILES[name]
    path = Path(__file__).with_name(file + _suffix(name.startswith("wasm")))
    if not path.exists():
        return None
    from . import kernel_ops

    try:
        return kernel_ops.load(path, module)
    except ImportError:
        return None


def _suffix(wasm: bool) -> str:
    """Return the suffix of extension modules that this Python can load."""
    if wasm != (sys.platform == "emscripten") or sys.implementation.name != "cpython":
        return ".none"
    if wasm:
        return ".wasm"
    # The stable ABI excludes free-threaded Pythons, whose object layout differs.
    if "free-threading" in sys.version:
        return ".none"
    return ".pyd" if sys.platform == "win32" else ".abi3.so"


def require(name: object, reason: str) -> Backend:
    """Return the backend, or raise UnsupportedError, which lists the available ones."""
    found = load(name) if isinstance(name, str) and name in NAMES else None
    if found is None:
        available = [n for n in NAMES if load(n) is not None]
        problem = (
            "not available here" if isinstance(name, str) and name in NAMES else f"unknown{near_miss(name, NAMES)}"
        )
        raise UnsupportedError(
            f"backend: expected one of {', '.join(available)}, got {name!r:.60} ({problem})",
            argument="backend",
            expected=available,
            actual=name,
        )
    return found._replace(reason=reason)


def choose() -> Backend:
    """Return the backend of this process: the one set in the environment, else the fastest that loads."""
    wanted = os.environ.get(VARIABLE)
    if wanted:
        return require(wanted, f"asked for by {VARIABLE}")
    for name in NAMES:
        found = load(name)
        if found is not None:
            why = "the fastest that runs here" if name != "numpy" else f"no kernels for {sys.platform}"
            return found._replace(reason=why)
    raise AssertionError("the NumPy backend is always there")

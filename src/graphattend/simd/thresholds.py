"""Sizes at which another method is faster than a kernel.

They were measured by ``benchmarks/kernels/crossover.py``, natively and in Pyodide 314.0.3.

exp, softmax and attention need no threshold: their kernels are faster from one element on, also natively and in both
dtypes. In float64 they are 1.3 to 32 times as fast as native NumPy (AVX-512; scaled dot product over 1 000 keys 3.5
times, flash of 128 queries 1.8, hyperbolic 9.9, multi-head 3.8).
"""

from __future__ import annotations

import sys
from typing import Any, Final

import numpy as np

#: Largest number of queries for which one pass over the keys, which also returns weights, beats matrix products.
FEW_ROWS: Final = 8


def numpy_build() -> dict[str, Any]:
    """Return information about NumPy's build.

    Returns:
        ``blas`` (its name, or None) and ``simd`` (the instruction sets in use, ``["SIMD128"]`` in WebAssembly). The
        official NumPy for WebAssembly has neither.
    """
    config: dict[str, Any] = getattr(np.__config__, "CONFIG", {})
    blas = config.get("Build Dependencies", {}).get("blas", {})
    options = str(config.get("Compilers", {}).get("c", {}).get("args", ""))
    sets = config.get("SIMD Extensions", {})
    names = [*sets.get("baseline", []), *sets.get("found", [])]
    if "-msimd128" in options:
        names = ["SIMD128"]
    return {"blas": blas.get("name", "unnamed") if blas.get("found") else None, "simd": names}


def has_blas() -> bool:
    """Return whether this NumPy was built with a BLAS."""
    return numpy_build()["blas"] is not None


#: Number of multiply-adds below which ``@`` is faster than a kernel call in Pyodide. With the official NumPy it is
#: between 8³ and 16³. NumPy's WASM-SIMD build uses the same kernel with less overhead; there a kernel call, which may
#: use relaxed SIMD, is faster from 48³ on.
MATMUL_MIN_WORK: Final = 100_000 if has_blas() else 2048

#: Whether products use the BLAS. Natively it is as fast as the kernel at 8³ multiply-adds and faster for larger
#: products (1.5 times at 32³, 2.3 at 128³; similarly for single rows and batches of 16³).
MATMUL_IN_BLAS: Final = sys.platform != "emscripten" and has_blas()

"""Sizes at which another method is faster than a kernel.

From ``benchmarks/kernels/crossover.py``, natively and in Pyodide 314.0.3.

exp, softmax and attention need no entry: their kernels win from one element on, natively, too, in both dtypes. In
float64 they are 1.3 to 32 times as fast as NumPy natively (AVX-512; scaled dot product over 1 000 keys 3.5 times, flash
of 128 queries 1.8, hyperbolic 9.9, multi-head 3.8).
"""

from __future__ import annotations

import sys
from typing import Any, Final

import numpy as np

#: Queries up to which a pass over the keys that also gives the weights is faster than products of matrices.
FEW_ROWS: Final = 8


def numpy_build() -> dict[str, Any]:
    """What NumPy says of its build.

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
    """Whether this NumPy was built with a BLAS."""
    return numpy_build()["blas"] is not None


#: Multiply-adds of a matrix product below which ``@`` is faster than a kernel call in Pyodide. With the official NumPy
#: that is between 8³ and 16³. The WASM-SIMD build computes with the same kernel, called faster: there ours, which may
#: use relaxed SIMD, is ahead from 48³ on.
MATMUL_MIN_WORK: Final = 100_000 if has_blas() else 2048

#: Natively a BLAS is as fast as the kernel at 8³ multiply-adds and faster beyond (1.5 times at 32³, 2.3 at 128³; single
#: rows and batches of 16³ likewise), so products stay with it.
MATMUL_IN_BLAS: Final = sys.platform != "emscripten" and has_blas()

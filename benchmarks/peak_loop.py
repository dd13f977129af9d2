"""The speed of multiply-adds that neither load nor store, with which WebAssembly's kernels are compared."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from graphattend import simd

#: Independent sums, enough to hide the latency of a multiply-add.
SUMS = 12
TURNS = 50_000


class Loop(NamedTuple):
    """A call and its floating-point operations."""

    run: Callable[[], Any]
    flops: float


@cache
def loop() -> Loop | None:
    """Return the peak loop of Pyodide's engine with the multiply-add of the kernels in use, or None elsewhere."""
    backend = simd.backend_info()["backend"]
    if sys.platform != "emscripten" or not backend.startswith("wasm"):
        return None
    start = importlib.import_module("pyodide.code").run_js(
        "bytes => new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports.run"
    )
    code = importlib.import_module("pyodide.ffi").to_js(module(backend == "wasm-relaxed-simd"))
    run = start(code)
    return Loop(lambda: run(TURNS), TURNS * SUMS * 4 * 2.0)


def module(relaxed: bool) -> bytes:
    """Return WebAssembly that exports `run(n)`: n times one multiply-add on each of the sums, four numbers wide.

    The instructions are written here, so that the wheel does not contain them and no compiler is needed.
    """

    def leb(n: int) -> bytes:
        return bytes([n & 0x7F | 0x80]) + leb(n >> 7) if n > 0x7F else bytes([n])

    def section(number: int, content: bytes) -> bytes:
        return bytes([number]) + leb(len(content)) + content

    def constant(value: float) -> bytes:  # f32.const, f32x4.splat
        return b"\x43" + np.array(value, "<f4").tobytes() + b"\xfd\x13"

    def get(local: int) -> bytes:
        return bytes([0x20, local])

    def put(local: int) -> bytes:
        return bytes([0x21, local])

    madd = b"\xfd\x85\x02" if relaxed else b"\xfd\xe6\x01" + get(1) + b"\xfd\xe4\x01"
    sums = range(3, 3 + SUMS)  # locals after n, the summand and the factor
    start = constant(1e-3) + put(1) + constant(0.999) + put(2)
    step = b"".join(get(i) + get(2) + (get(1) if relaxed else b"") + madd + put(i) for i in sums)
    turn = b"\x03\x40" + step + get(0) + b"\x41\x01\x6b\x22\x00\x0d\x00\x0b"  # loop ... while --n
    total = get(3) + b"".join(get(i) + b"\xfd\xe4\x01" for i in sums[1:]) + b"\xfd\x1f\x00"
    body = b"\x01" + leb(2 + SUMS) + b"\x7b" + start + turn + total + b"\x0b"
    kind = section(1, b"\x01\x60\x01\x7f\x01\x7d")  # (i32) -> f32
    export = section(7, b"\x01\x03run\x00\x00")
    return b"\0asm\1\0\0\0" + kind + section(3, b"\x01\x00") + export + section(10, b"\x01" + leb(len(body)) + body)

"""Where NumPy is faster than a kernel: what `simd/thresholds.py` is made from. Run inside Pyodide.

Times both on growing sizes and prints, for each operation, the first size from which the kernel wins and stays ahead.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from graphattend.simd import backends, kernel_ops, numpy_ops

SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


def compare(kernel: Callable[[], Any], reference: Callable[[], Any], rounds: int = 15) -> tuple[float, float]:
    """Best seconds per call of both, measured in turns."""
    best = [float("inf"), float("inf")]
    for _ in range(rounds):
        for i, call in enumerate((kernel, reference)):
            start = time.perf_counter()
            for _ in range(200):
                call()
            best[i] = min(best[i], (time.perf_counter() - start) / 200)
    return best[0], best[1]


def crossover(label: str, pair: Callable[[int], tuple[Callable[[], Any], Callable[[], Any]]]) -> None:
    """Print both times for every size."""
    wins: list[int] = []
    for n in SIZES:
        fast, slow = compare(*pair(n))
        wins = [*wins, n] if fast < slow else []
        print(f"{label:24s} n={n:4d} kernel {fast * 1e6:7.2f} us, NumPy {slow * 1e6:7.2f} us")
    print(f"{label:24s} kernel from {wins[0] if wins else 'never'}")


def main() -> None:
    """Print all crossovers for the module in use."""
    rng = np.random.default_rng(0)

    def f(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32)

    def elementwise(name: str, n: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
        x = f(n)
        return partial(getattr(kernel_ops, name), x), partial(getattr(numpy_ops, name), x)

    def square(n: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
        a, b = f(n, n), f(n, n)
        return partial(kernel_ops.matmul, a, b), partial(numpy_ops.matmul, a, b)

    def attend(n: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
        q, k, v = f(1, 16), f(n, 16), f(n, 16)
        call = partial(numpy_ops.attention, q, k, v, scale=0.25)
        return partial(kernel_ops.attention, q, k, v, scale=0.25), call

    if kernel_ops.current() is None:
        kernel_ops.use(next(found.kernels for name in backends.FILES if (found := backends.load(name)) is not None))
    crossover("exp (n,)", partial(elementwise, "exp"))
    crossover("softmax (n,)", partial(elementwise, "softmax"))
    crossover("matmul (n, n)", square)
    crossover("attention (1, n, 16)", attend)


if __name__ == "__main__":
    main()

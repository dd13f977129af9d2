"""Runs inside Pyodide: plain NumPy results that a build with SIMD instructions may change, as lists."""

from typing import Any

import numpy as np


def bits(x: Any) -> list[int]:
    """Return bit patterns, with one pattern for all NaN."""
    x = np.ascontiguousarray(x)
    x = np.where(np.isnan(x), x.dtype.type(np.nan), x) if x.dtype.kind == "f" else x
    unsigned: list[int] = x.reshape(-1).view(f"u{x.dtype.itemsize}").tolist()
    return unsigned


def numbers(dtype: Any, size: int = 1003) -> np.ndarray:
    """Draw random numbers with special values among them."""
    rng = np.random.default_rng(7)
    x = rng.standard_normal(size).astype(dtype) * 10
    x[:9] = [0, -0.0, np.inf, -np.inf, np.nan, np.finfo(dtype).tiny / 4, np.finfo(dtype).max, -100, 88.8]
    return x


def exact() -> dict[str, list[int]]:
    """Compute results that every build gives bit for bit."""
    found: dict[str, list[int]] = {}
    with np.errstate(all="ignore"):
        for dtype in (np.float32, np.float64):
            x, name = numbers(dtype), np.dtype(dtype).name
            finite = x[9:]
            for operation in (np.add, np.multiply, np.divide, np.maximum, np.less):
                found[f"{operation.__name__} {name}"] = bits(operation(x, x[::-1]))
            for operation in (np.sqrt, np.rint, np.floor, np.abs, np.square):
                found[f"{operation.__name__} {name}"] = bits(operation(x))
            for n in (1, 7, 8, 9, 129, finite.size):
                found[f"sum {name} {n}"] = bits(finite[:n].sum())
            found[f"sum of every third {name}"] = bits(finite[::3].sum())
            found[f"cumsum {name}"] = bits(finite.cumsum())
            for n in (300, x.size):
                found[f"sort {name} {n}"] = bits(np.sort(x[:n]) + 0)  # 0 and -0 are equal, in any order
                found[f"argsort {name} {n}"] = bits(x[np.argsort(x[:n])] + 0)
            found[f"argmax {name}"] = bits(finite.argmax())
            found[f"x[index] {name}"] = bits(x[np.argsort(finite, kind="stable")])
        for dtype in (np.int8, np.int16, np.int32, np.int64, np.uint32, np.uint64):
            whole, name = np.arange(-500, 503).astype(dtype) * dtype(7919 % 127), np.dtype(dtype).name
            for n in (300, whole.size):
                found[f"sort {name} {n}"] = bits(np.sort(whole[:n]))
                found[f"argsort {name} {n}"] = bits(whole[np.argsort(whole[:n])])
            found[f"floor_divide {name}"] = bits(whole // dtype(7))
            found[f"max {name}"] = bits(whole.max())
    return found


def functions() -> dict[str, list[list[float]]]:
    """Return results of float32 functions in float64, with exact values and the spacing of float32 there."""
    found: dict[str, list[list[float]]] = {}
    x = numbers(np.float32)
    with np.errstate(all="ignore"):
        for name in ("exp", "log", "tanh", "sin", "cos"):
            function = getattr(np, name)
            given = np.abs(x) if name == "log" else x
            wanted = function(given.astype(np.float64))
            spacing = np.spacing(np.abs(wanted).astype(np.float32)).astype(np.float64)
            strided = np.repeat(given, 3)[::3]
            assert bits(function(given)) == bits(function(strided)) == bits(function(given[::-1])[::-1]), name
            rounded = wanted.astype(np.float32).astype(np.float64)
            single = np.where(np.isinf(rounded), rounded, wanted)
            found[name] = [
                np.nan_to_num(values, nan=1e300, posinf=1e301, neginf=-1e301).tolist()
                for values in (function(given).astype(np.float64), single, spacing)
            ]
    return found


def products() -> dict[str, float]:
    """Return the largest error of matrix products, in units of the rounding error that the sums allow."""
    rng = np.random.default_rng(3)
    found = {}
    for letter in "fdFD":
        both = rng.standard_normal((2, 70, 70)) + 1j * rng.standard_normal((2, 70, 70)) * (letter in "FD")
        a, b = (both if letter in "FD" else both.real).astype(letter)
        precise = a.astype(np.clongdouble)
        wanted = precise @ b
        unit = np.finfo(letter).eps * 70 * (np.abs(a) @ np.abs(b)).max()
        for name, product in {
            "matmul": a @ b,
            "of transposes": (b.T @ a.T).T,
            "dot": np.dot(a, b),
            "einsum": np.einsum("ij,jk->ik", a, b),
            "inner": np.inner(a, b.T),
            "slices": np.matmul(np.repeat(a, 2, 1)[:, ::2], b),
        }.items():
            found[f"{name} {letter}"] = float(np.abs(product - wanted).max() / unit)
        found[f"gram {letter}"] = float(np.abs(a @ a.T - precise @ a.T).max() / unit)
        found[f"vector {letter}"] = float(np.abs(a @ b[0] - precise @ b[0]).max() / unit)
    return found


def of_graphattend() -> dict[str, Any]:
    """Compare kernels and NumPy's formulations on this build: largest difference of a mechanism's results, and facts."""
    import graphattend as ga
    from graphattend.simd import accelerate_numpy

    rng = np.random.default_rng(1)
    difference = 0.0
    for name in ("scaled_dot_product", "multi_head", "hyperbolic", "flash"):
        attention = ga.create(name, dim=16)
        query, keys = (np.float32(0.2) * rng.standard_normal((n, 16), np.float32) for n in (5, 40))
        fast = attention.forward(query, keys, keys)
        with ga.use_backend("numpy"):
            plain = attention.forward(query, keys, keys)
        difference = max(difference, float(np.abs(fast - plain).max()))
    with accelerate_numpy() as acceleration:
        replaced = [":".join(pair) for pair in acceleration.replaced]
    return {"difference": difference, "replaced": replaced, "reason": acceleration.reason, **ga.backend_info()}

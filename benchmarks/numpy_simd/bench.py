"""Plain NumPy calls timed inside Pyodide, on one NumPy wheel, without and with `accelerate_numpy()`."""

import contextlib
from collections.abc import Callable
from time import perf_counter

import numpy as np

#: Minimum duration of a batch, because browsers round the clock.
BATCH = 5e-3

_calls: dict[str, Callable[[], object]] = {}
_counts: dict[tuple[str, bool], int] = {}


def _products(rng: np.random.Generator) -> None:
    for letter, dtype, sizes in (("f32", np.float32, (16, 64, 128, 512, 1024)), ("f64", np.float64, (64, 512))):
        for n in sizes:
            a, b = rng.standard_normal((2, n, n)).astype(dtype)
            _calls[f"matmul {letter} {n}"] = lambda a=a, b=b: a @ b
    a, b = rng.standard_normal((2, 512, 512), np.float32)
    _calls["dot f32 512"] = lambda: np.dot(a, b)
    _calls["matmul f32 512, A @ A.T"] = lambda: a @ a.T
    c = a[:128, :128] + 1j * b[:128, :128]
    _calls["matmul c64 128"] = lambda: c @ c
    keys = rng.standard_normal((1000, 128), np.float32)
    query, weights = keys[0].copy(), rng.standard_normal(1000, np.float32)
    _calls["matrix · vector f32 1000×128"] = lambda: keys @ query
    _calls["vector · matrix f32 1000×128"] = lambda: weights @ keys
    _calls["einsum ij,kj->ik f32 1000×128, 64"] = lambda: np.einsum("ij,kj->ik", keys, keys[:64])
    _calls["einsum ij,ij->i f32 1000×128"] = lambda: np.einsum("ij,ij->i", keys, keys)
    _calls["einsum ij->j f32 1000×128"] = lambda: np.einsum("ij->j", keys)


def _elementwise(rng: np.random.Generator) -> None:
    for letter, dtype in (("f32", np.float32), ("f64", np.float64)):
        x, y = rng.standard_normal((2, 100_000)).astype(dtype)
        positive, out, mask = np.abs(x), np.empty_like(x), np.empty(x.shape, bool)
        for name in ("exp", "log", "tanh", "sin", "cos", "sqrt", "rint", "absolute"):
            function, given = getattr(np, name), positive if name in ("log", "sqrt") else x
            _calls[f"{name} {letter} 1e5"] = lambda f=function, x=given, out=out: f(x, out=out)
        for name in ("add", "multiply", "divide", "maximum"):
            function = getattr(np, name)
            _calls[f"{name} {letter} 1e5"] = lambda f=function, x=x, y=y, out=out: f(x, y, out=out)
        _calls[f"less {letter} 1e5"] = lambda x=x, y=y, mask=mask: np.less(x, y, out=mask)
    integers = rng.integers(-1000, 1000, (2, 100_000), dtype=np.int32)
    _calls["add i32 1e5"] = lambda: np.add(integers[0], integers[1])
    _calls["floor_divide i32 1e5, by 7"] = lambda: np.floor_divide(integers[0], 7)
    logits = rng.standard_normal((256, 1000), np.float32)

    def softmax() -> object:
        e = np.exp(logits - logits.max(1, keepdims=True))
        return e / e.sum(1, keepdims=True)

    _calls["softmax f32 256×1000"] = softmax


def _reductions(rng: np.random.Generator) -> None:
    for letter, dtype in (("f32", np.float32), ("f64", np.float64)):
        x = rng.standard_normal(1_000_000).astype(dtype)
        square = x.reshape(1000, 1000)
        _calls[f"sum {letter} 1e6"] = lambda x=x: x.sum()
        _calls[f"sum {letter} 1e3"] = lambda x=x[:1000]: x.sum()
        _calls[f"sum {letter} 1000², rows"] = lambda x=square: x.sum(1)
        _calls[f"sum {letter} 1000², columns"] = lambda x=square: x.sum(0)
        _calls[f"max {letter} 1e6"] = lambda x=x: x.max()
        _calls[f"argmax {letter} 1e6"] = lambda x=x: x.argmax()
        _calls[f"cumsum {letter} 1e6"] = lambda x=x: x.cumsum()
    mask = rng.random(1_000_000) < 0.5
    _calls["count_nonzero bool 1e6"] = lambda: np.count_nonzero(mask)
    never = np.zeros(1_000_000, bool)
    _calls["any bool 1e6"] = never.any


def _order(rng: np.random.Generator) -> None:
    x = rng.standard_normal(100_000)
    for letter, values in (
        ("f32", x.astype(np.float32)),
        ("f64", x),
        ("i32", (1e6 * x).astype(np.int32)),
        ("i64", (1e6 * x).astype(np.int64)),
    ):
        _calls[f"sort {letter} 1e5"] = lambda x=values: np.sort(x)
    single = x.astype(np.float32)
    _calls["argsort f32 1e5"] = lambda: np.argsort(single)
    _calls["partition f32 1e5, 100"] = lambda: np.partition(single, 100)
    _calls["median f32 1e5"] = lambda: np.median(single)
    repeated = (1e3 * x).astype(np.int32)
    _calls["unique i32 1e5"] = lambda: np.unique(repeated)


def _indexing(rng: np.random.Generator) -> None:
    x = rng.standard_normal(1_000_000, np.float32)
    index, mask = rng.integers(0, x.size, 100_000), rng.random(x.size) < 0.5
    square = x.reshape(1000, 1000)
    table, rows = x[:128_000].reshape(1000, 128), rng.integers(0, 1000, 5000)
    _calls["x[index] f32 1e5 of 1e6"] = lambda: x[index]
    _calls["x[rows] f32 5000 of 1000×128"] = lambda: table[rows]
    _calls["take rows f32 5000 of 1000×128"] = lambda: table.take(rows, 0)
    _calls["x[mask] f32 1e6"] = lambda: x[mask]
    _calls["where f32 1e6"] = lambda: np.where(mask, x, np.float32(0))
    _calls["copy of the transpose f32 1000²"] = lambda: square.T.copy()
    _calls["f32 to f64 1e6"] = lambda: x.astype(np.float64)


def names() -> list[str]:
    """Return the names of all calls."""
    if not _calls:
        rng = np.random.default_rng(0)
        for group in (_products, _elementwise, _reductions, _order, _indexing):
            group(rng)
    return list(_calls)


def facts() -> dict[str, str]:
    """Return facts about the build."""
    from graphattend import backend_info

    return {"numpy": np.__version__, "backend": backend_info()["backend"]}


def measure(name: str, accelerated: bool, seconds: float) -> float:
    """Return the milliseconds of one call in the fastest batch within `seconds`."""
    from graphattend.simd import accelerate_numpy

    names()
    function, key = _calls[name], (name, accelerated)
    with accelerate_numpy() if accelerated else contextlib.nullcontext():
        best, end = float("inf"), perf_counter() + seconds
        while best == float("inf") or perf_counter() < end:
            count = _counts.get(key, 1)
            start = perf_counter()
            for _ in range(count):
                function()
            spent = perf_counter() - start
            if spent < BATCH:
                _counts[key] = 2 * count
            else:
                best = min(best, spent / count)
    return 1e3 * best

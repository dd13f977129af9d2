"""The project's speed targets, each with its measured value; missed targets are listed, too."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator

from benchmarks import mechanism_rows
from benchmarks.results_file import PEERS, Results, against_fastest, ratio, scaled, share_of_peak, speed

WASM = ("chromium", "node")
TITLES = {
    "chromium": "Chromium",
    "node": "Node.js",
    "native": "native",
    "native-avx2": "native, AVX2",
    "native-sse4": "native, SSE4",
}

ROWS = {
    "query-100": "1 query, N = 100, D = 128",
    "query-1000": "1 query, N = 1 000",
    "query-10000": "1 query, N = 10 000",
    "query-1000-copied": "1 query, N = 1 000, JavaScript arrays copied in",
    "queries-1000": "1 000 queries × 1 000 keys",
    "exact-1024": "exact attention 1024², d = 64",
    "heads-1": "multi-head, 4 heads, 1 query, N = 1 000",
    "heads-128": "multi-head, 4 heads, 128 queries",
    "gemm-512": "matrix product 512³",
    "softmax": "softmax of 1000 × 1000",
    "gat": "GAT layer, Cora's size, 8 heads of 8",
}
PEAK_SHARES = {
    "gemm-256": ("matrix product 256³", 0.8),
    "gemm-512": ("matrix product 512³", 0.8),
    "gemm-1024": ("matrix product 1024³", 0.8),
    "projection": ("projection 1000×128×128", 0.8),
    "exact-1024": ("flash 1024², d = 64", 0.7),
    "exact-1024-backward": ("its backward", 0.5),
}
FORWARD = {
    ("query-1000", "graphattend"): ("scaled dot product, forward", 22_000, 1),
    ("heads-1", "graphattend"): ("multi-head, forward", 10_000, 1),
    ("flash", "graphattend"): ("flash, forward", 12_000, 1),
    ("hyperbolic", "graphattend"): ("hyperbolic, forward", 10_000, 1),
    ("mechanism:local_global", "graphattend"): ("local+global, forward", 15_000, 1),
    ("query-1000", "kernel"): ("the fused kernel alone", 35_000, 1),
    ("queries-1000", "graphattend"): ("queries in a batch of 1 000", 60_000, 1_000),
}
ACCELERATE = {
    "matmul f32 512": 18,
    "matmul f64 512": 12,
    "exp f32 1e6": 4,
    "tanh f32 1e6": 4,
    "add f32 1e6": 3,
    "maximum f32 1e6": 3,
}
FLOAT64 = {
    "float64:scaled_dot_product": "scaled dot product",
    "float64:flash": "flash, 1 query",
    "float64:hyperbolic": "hyperbolic",
    "float64:multi_head": "multi-head",
    "float64:local_global": "local+global",
    "float64:gat": "graph attention layer",
}
GRAPH = {
    "graph:scaled_dot_product": "scaled dot product",
    "graph-float64:scaled_dot_product": "scaled dot product, float64",
    "graph:multi_head": "multi-head",
    "graph:edge_featured": "graph attention layer",
    "graph:hyperbolic": "hyperbolic",
}
#: Native targets on one thread: speed relative to another contender of the same workload.
NATIVE = {
    ("query-100", "numpy"): 1.2,
    ("query-1000", "numpy"): 1.2,
    ("query-10000", "numpy"): 1.2,
    ("exact-1024", "torch"): 1.0,
    ("softmax", "torch"): 1.0,
}
#: Limits in µs of native forward passes, where dot products in bare NumPy take `NUMPY_US`: 1 query, N = 1 000.
NATIVE_FORWARD = {"hyperbolic": 60, "local_global": 30, "graph_rope": 100, "linear": 100}
NUMPY_US = 23
#: Lower targets for memory-bound work.
MEMORY_BOUND = {"softmax": 1.1, "query-10000": 1.1}
GROWTH = (100, 1_000, 10_000, 100_000)


def _shared(percent: int) -> str:
    """Explain why two threads do not halve the time: `percent` is the share of one thread's time in what they share."""
    most = 1 / (1 - percent / 200)
    return (
        f"{percent} % of one thread's time is spent in what threads share: {most:.2f}× at most, and two processes that"
        " share nothing reached 1.66× (arithmetic) to 1.80× (copies) on the machine where this was measured"
    )


#: For the calls of one mechanism compared with each other.
_DIFFERENT = (
    "in most runs one or two mechanisms miss it, each time others, on a machine whose speed varies within a run"
)

#: Reasons of misses that were investigated, by the beginning of the target's name.
REASONS = {
    "matrix product 512³, against": "the peer reaches 55 % of the peak loop, so that 1.5 times is 83 % of it",
    "1 000 queries × 1 000 keys, against": "the peer reaches 50 % of the peak loop, so that 1.5 times is 75 % of it, and the"
    " million exponentials, which are not in it, take 0.7 of 13 ms",
    "multi-head, 4 heads, 128 queries, against": "the peer reaches 48 % of the peak loop, so that 1.5 times is 73 % of it, and"
    " half a million exponentials, which are not in it, take 0.4 of 3.8 ms",
    "exact attention 1024², d = 64, against the": "the peer reaches 46 % of the peak loop, so that 1.5 times is 69 % of it, and"
    " exponentials are not in it",
    "matrix product": "the peak loop neither loads nor stores; 512³ reached 78 to 81 % in different runs on a quiet machine with"
    " 2 MB of second-level cache for each core, and 48 to 50 % on one with 0.5 MB whose speed varied by a third within a run",
    "projection": "as for matrix products",
    "multi-head, forward, a second": "its kernel takes 56 of 62 µs",
    "flash 1024², d = 64, share": "the million exponentials, which are not in the peak loop, take 0.7 of 6.4 ms",
    "linear, forward, 1 query": "its features of all keys alone are 4.1 MFLOP, eight times those of dot products",
    "attend, scaled dot product: forward and pullback": "the forward pass reads two rows for each edge and the pullback four,"
    " so that three times is the least",
    "attend, scaled dot product, float64: forward and pullback": "as for float32",
    "attend, graph attention layer: the pullback": "as for multi-head: a product of matrices has two in the pullback, and a row"
    " that is read for an edge two",
    "attend, multi-head: forward and pullback": "a product of matrices has two in the pullback, and a row that is read for an"
    " edge two, so that three times is the least; projections, weights and their gradients lie outside of the cache",
    "attend, graph attention layer: forward and pullback": "as for multi-head; without gradients, no weight is stored",
    "attend, hyperbolic: the pullback": "it gathers four rows for each edge, the forward pass two; of 29 ms, 17 are the slopes of"
    " the distances, with two dot products for each edge where the forward pass (10 ms) has one, 8 the sums for each key, and 3"
    " the curvature's gradient and the search for NaN",
    "attend, hyperbolic: forward and pullback": "as for scaled dot products, three times is the least; the slopes of the"
    " distances have two dot products for each edge, and 4 of 40 ms are the curvature's gradient and the search for NaN",
    "mechanisms forward, share": "the bound counts multiply-adds or bytes alone: no exponentials, no search for NaN, no steps of"
    " Python",
    "mechanisms over a graph, share": "the bound counts multiply-adds or bytes alone: no exponentials, no rows gathered by index,"
    " no search for NaN",
    "mechanisms over a graph, backward": "a product of matrices has two in the pullback, and a row read for an edge two;"
    " the experts of `moe` alone take 3.3 (Node.js) to 3.7 times their forward passes, and it picks each expert's edges and"
    " sorts them by key, 15 of 84 ms, as to filter the sorted edges of the whole graph takes as long; `graph_rope` turns each"
    " edge in both sums, twice 8"
    " ms where sums without turning take 2; of 14 ms of `linear`, 2 to 3 pull its features back",
    "1 query, N = 10 000": "of 0.24 ms, 0.14 to 0.18 go into reading one number of each cache line, whoever does it",
    "1 query, N = 1 000, against": "of 27 µs, 12 go into reading one number of each cache line; Python's call adds 2 to 3",
    "mechanisms forward, of dot products": "each is one kernel call, which in Node.js takes 52 of 63 µs of"
    " `hyperbolic`, 69 of 79 of `mixed_curvature`, 55 of 71 of `graph_rope`, 81 of 97 of `cross_space`, whose three passes read"
    " twice the numbers, and nearly all 121 of `linear`, whose features are 4.1 MFLOP, 70 µs at the peak loop's speed; dot"
    " products take 19 (27 in the run of `cross_space`)",
    "multi-head, 4 heads, 1 query": "1.5 to 1.8 times in the ten runs before; its kernel takes 56 of 62 µs",
    "mechanisms forward, with weights": _DIFFERENT,
    "mechanisms forward, weights alone": _DIFFERENT,
    "mechanisms forward, masked": _DIFFERENT,
    "mechanisms forward, prepared": _DIFFERENT,
    "mechanisms over a graph, with weights": _DIFFERENT,
    "mechanisms forward, of its experts": "natively, on a busy machine, the kernels of the two experts of `moe` take 77 of 107 µs"
    " and the calls of these kernels 7; the router takes 10, the check of fields that no chosen expert reads 4, the weighted"
    " sum 7. Each pass over the keys fills the second-level cache, so that Python's steps between take twice as long as alone",
    "mechanisms forward, backward": "to copy 1 000 keys and values, as their gradients are written, takes twice as long as"
    " a forward pass of dot products; those of a mixture are written by the first expert and added to by the"
    " others in the same pass, so that `moe` takes 5.6 to 5.7 times its forward pass and its hyperbolic expert alone 5.4 to 5.5;"
    " of `edge_featured`, `cross_space` and `dynamic_heads` the forward pass is one kernel call and the pullback several",
    "float64 against float32, scaled dot product": "keys and values are 2 MB then, as large as the second-level cache, and are"
    " read at 45 GB/s; in float32 at 60. Of 500 keys it is 2.15. The exponentials are 4 % of it, so that a table in the"
    " place of their polynomial would not help",
    "float64 against float32, flash": "as for scaled dot products, whose kernel it is",
    "float64 against float32, multi-head": "as for scaled dot products: its kernel takes 40 of 40 µs in float32 and 80 of 82",
    "float64 against float32, local+global": "of 22 µs, 13 are the search for NaN in all keys and values, and 31 of 53 in"
    " float64, whose 2 MB are as large as the second-level cache",
    "growth from N": "1 MB of keys and values (N = 1 000) is read from the second-level cache at 60 GB/s, 10 MB at 32,"
    " 102 MB at 12",
    "mechanisms over a graph, of dot products": "of `multi_head` and `dynamic_heads` a third is projections, 0.33 GFLOP at the"
    " speed of matrix products, and nearly all else the pass, which has an exponential for each edge and head; of"
    " `mixed_curvature` nine tenths are the pass by distance: half of it the differences in three spaces, each with rows and"
    " facts gathered by index, a quarter the sums; `manifold` takes two steps of Newton's method for each mean, with 4.4"
    " products with the Hessian; `learned_routing` and `moe` are the kernels of their experts;"
    " `edge_featured` and `rl_navigator` are above 3 in some runs (at most 3.7) and below in others",
    "local+global, forward": "22 300 to 39 000 in the runs before, on machines up to twice as fast as this one",
    "local_global, forward, 1 query": "of 22 µs, 13 are the search for NaN in all keys and values, which bare NumPy does not"
    " make; 1.0 to 1.1 times on a machine with 2 MB of second-level cache for each core",
    "attend, scaled dot product: two threads": _shared(87),
    "attend, scaled dot product: gradients, two threads": _shared(90),
    "attend, scaled dot product, float64: two threads": _shared(92),
    "attend, scaled dot product, float64: gradients, two threads": _shared(94),
    "attend, multi-head: two threads": _shared(88),
    "attend, multi-head: gradients, two threads": _shared(86),
    "attend, graph attention layer: two threads": _shared(81),
    "attend, graph attention layer: gradients, two threads": _shared(75),
    "attend, hyperbolic: two threads": _shared(92),
    "attend, hyperbolic: gradients, two threads": _shared(91),
    "first answer of a page": "on a machine where an empty page takes 35 ms, a first visit took 1 310 to 1 440 ms, a second one 514"
    " to 738, and without Python 96 to 133; in this run an empty page takes 80",
    "kernel payload": "the kernels of float64 are half of it",
    "accelerate_numpy(): add": "touching each cache line of the three arrays (12 MB) takes as long as adding them",
}


@dataclasses.dataclass(frozen=True)
class Target:
    """One line of the report."""

    what: str
    runtime: str
    wanted: str
    measured: str
    met: bool | None  # None: not measured

    @property
    def why(self) -> str:
        """The reason of a miss, or "" if it is unknown."""
        known = [reason for start, reason in REASONS.items() if self.what.startswith(start)]
        return known[0] if known and self.met is False else ""


def number(value: float) -> str:
    """Format a number with few digits and separated thousands."""
    if value >= 1_000:
        return f"{round(value, -2 if value >= 10_000 else -1):,.0f}".replace(",", " ")
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def line(
    what: str, runtime: str, wanted: float, value: float | None, unit: str, *, most: bool = False, note: str = ""
) -> Target:
    """Compare a figure with its lower (or upper) bound."""
    sign = "≤" if most else "≥"
    met = None if value is None else (value <= wanted if most else value >= wanted)
    measured = "not measured" if value is None else f"{number(value)}{unit}{note}"
    return Target(what, TITLES.get(runtime, runtime), f"{sign} {number(wanted)}{unit}", measured, met)


def growth(results: Results, runtime: str) -> float | None:
    """Return the slope of log time against log N; 1 is linear."""
    speeds = [speed(results, f"query-{n}", runtime) for n in GROWTH]
    if None in speeds:
        return None
    x, y = [math.log(n) for n in GROWTH], [-math.log(s) for s in speeds if s]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    return sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / sum((a - mean_x) ** 2 for a in x)


def in_runtime(results: Results, runtime: str) -> Iterator[Target]:
    """Yield the targets of one WebAssembly runtime."""
    for workload, (title, wanted) in PEAK_SHARES.items():
        share = share_of_peak(results, workload, runtime)
        yield line(f"{title}, share of the peak loop", runtime, 100 * wanted, share and 100 * share, " %")
    for (workload, contender), (title, wanted, per_call) in FORWARD.items():
        value = scaled(results, workload, runtime, contender)
        raw = speed(results, workload, runtime, contender)
        note = f" (here {number(raw * per_call)})" if raw else ""
        yield line(f"{title}, a second", runtime, wanted, value and value * per_call, "", note=note)
    value = scaled(results, "query-10", runtime)
    raw = speed(results, "query-10", runtime)
    note = f" (here {number(1e6 / raw)} µs)" if raw else ""
    yield line("one call of forward, N = 10", runtime, 25, value and 1e6 / value, " µs", most=True, note=note)
    value = ratio(results, "query-1000", runtime, "graphattend", other_runtime="native")
    bare = ratio(results, "query-1000", runtime, "numpy", other_runtime="native")
    note = f" ({number(bare)}× of bare NumPy code)" if bare else ""
    yield line("1 query, N = 1 000, against the same class natively", runtime, 0.6, value, "×", note=note)
    for workload, title in ROWS.items():
        found = against_fastest(results, workload, runtime)
        note = f" ({found[1]})" if found else ""
        wanted = MEMORY_BOUND.get(workload, 1.5)
        yield line(f"{title}, against the fastest peer", runtime, wanted, found and found[0], "×", note=note)
    for workload, title in FLOAT64.items():
        slower = ratio(results, workload, runtime, "graphattend", ours="float32")
        yield line(f"float64 against float32, {title}", runtime, 2.2, slower, " times as slow", most=True)
    for loop, wanted in ACCELERATE.items():
        gain = results.get("accelerate", {}).get(runtime, {}).get(loop)
        yield line(f"accelerate_numpy(): {loop}", runtime, wanted, gain, "×")
    yield line("growth from N = 100 to 100 000, exponent", runtime, 1.1, growth(results, runtime), "", most=True)
    memory = results["runtimes"].get(runtime, {}).get("extra_memory")
    yield line("flash at N = 10 000, extra memory", runtime, 1.0, memory and memory / 1e6, " MB", most=True)


def every_mechanism(results: Results) -> Iterator[Target]:
    """Yield for each limit how many mechanisms meet it, and which do not."""
    for runtime in TITLES:
        if runtime not in results["runtimes"]:
            continue
        for kind, title in (("mechanism", "forward"), ("attend", "over a graph")):
            for what, reached, count, late in mechanism_rows.misses(results, kind, runtime):
                note = f"; not: {', '.join(late)}" if late else ""
                where = TITLES[runtime]
                yield Target(f"mechanisms {title}, {what}", where, "all", f"{reached} of {count}{note}", not late)


def natively(results: Results, runtime: str) -> Iterator[Target]:
    """Yield the targets of CPython with one instruction set; those against PyTorch only if it is installed."""
    for (workload, other), wanted in NATIVE.items():
        value = ratio(results, workload, runtime, other)
        if value is not None or other == "numpy":
            yield line(f"{ROWS[workload]}, against {other}", runtime, wanted, value, "×")
    slower = ratio(results, "large-graph", runtime, "graphattend", ours="scaled_dot_product")
    if slower is not None:
        what = "hyperbolic over 100 000 nodes and a million edges, against dot products"
        yield line(what, runtime, 3, slower, " times the time", most=True)
    bare = speed(results, "query-1000", runtime, "numpy")
    for key, most in NATIVE_FORWARD.items():
        ours = speed(results, f"mechanism:{key}", runtime)
        if bare and ours:
            what = f"{key}, forward, 1 query, N = 1 000, against dot products in bare NumPy"
            yield line(what, runtime, most / NUMPY_US, bare / ours, " times the time", most=True)
    for workload, title in GRAPH.items():
        found = {name: speed(results, workload, runtime, name) for name in ("graphattend", "pullback", "gradients")}
        for name, what in (("pullback", "the pullback"), ("gradients", "forward and pullback")):
            a, b = found["graphattend"], found[name]
            value = a / b if a and b else None
            yield line(f"attend, {title}: {what}, against forward", runtime, 3, value, " times", most=True)
        for name, alone in (("two threads", "graphattend"), ("gradients, two threads", "gradients")):
            value = ratio(results, workload, runtime, alone, ours=name)
            yield line(f"attend, {title}: {name}", runtime, 1.8, value, "×")


def javascript(results: Results) -> Iterator[Target]:
    """Yield the overheads and gains of the npm package: one query, N = 1 000, D = 128, unless stated."""
    found = results.get("javascript", {})

    def both(a: str, b: str, compute: Callable[[float, float], float]) -> float | None:
        return compute(found[a], found[b]) if a in found and b in found else None

    def over(a: str, b: str) -> float | None:
        return both(a, b, lambda x, y: x - y)

    def times(a: str, b: str) -> float | None:
        return both(a, b, lambda x, y: x / y)

    where = "npm, Node.js"
    for suffix, what in (("", ""), ("_weights", " with weights"), ("_metadata", " with metadata (`graph_rope`)")):
        value = over(f"resident{suffix}_us", f"python{suffix}_us")
        yield line(f"resident tensors{what}, over Python's own time", where, 60, value, " µs", most=True)
    value = over("transferred_us", "python_us")
    yield line("worker, keys transferred, over Python's own time", where, 400, value, " µs", most=True)
    value = times("connect_ms", "bare_ms")
    yield line("connect() to the first result, of bare Pyodide + NumPy", where, 1.3, value, "×", most=True)
    yield line("resident tensors, against a plain loop", where, 4, times("loop_us", "resident_us"), "×")
    yield line("arrays copied in, against a plain loop", where, 1.5, times("loop_us", "copied_us"), "×")
    yield line("arrays copied in, against ruvector", where, 50, times("ruvector_us", "copied_us"), "×")


#: Title in without_python.mjs, the peer, and the npm package's target speed relative to the peer.
PAGE = [
    ("one query, 100 keys (µs)", "onnxruntime", 3),
    ("one query, 1000 keys (µs)", "onnxruntime", 1.3),
    ("one query, 10000 keys (µs)", "onnxruntime", 1.05),
    ("softmax 1000 × 1000 (µs)", "tfjs", 1.1),
]


def in_page(results: Results) -> Iterator[Target]:
    """Yield the targets of the npm package in a page, with resident tensors."""
    page = results.get("page", {})
    for title, peer, wanted in PAGE:
        found = page.get(title, {})
        value = found[peer] / found["package"] if {peer, "package"} <= found.keys() else None
        what = f"{title.removesuffix(' (µs)')}, against {PEERS[peer]}"
        yield line(what, "npm, Chromium", wanted, value, "×")
    found = page.get("first answer after opening the page (ms)", {})
    for name, title, most in (("worker", "first visit", 1500), ("worker again", "second visit", 600)):
        yield line(f"first answer of a page, {title}", "npm, Chromium", most, found.get(name), " ms", most=True)
    yield line("first answer of a page, without Python", "npm, Chromium", 100, found.get("kernels"), " ms", most=True)


def targets(results: Results) -> list[Target]:
    """Return every target."""
    found = [target for runtime in WASM if runtime in results["runtimes"] for target in in_runtime(results, runtime)]
    sets = [name for name in results["runtimes"] if name.startswith("native")]
    found += [target for runtime in sets for target in natively(results, runtime)]
    payload = results.get("payload_kb", {})
    found += every_mechanism(results)
    found += [*javascript(results), *in_page(results)]
    return [*found, line("kernel payload, gzipped", "wheel", 100, payload.get("loaded"), " kB", most=True)]

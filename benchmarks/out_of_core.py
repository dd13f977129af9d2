"""Graphs larger than memory: time, memory, halo and bytes of one attention layer, part by part.

    python -m benchmarks.out_of_core --folder SCRATCH [--edges 100e6] [--out benchmarks/results/out_of_core.json]

Every step runs in its own process, so that its peak memory is its own. The peak includes mapped pages of files. The graph
comes from a seeded generator: ten neighbours per node, of which 95 % have a number within 1 000 of the node's and the others
are uniform.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

import graphattend as ga
import graphattend.dask  # before the timed calls

PAGE = Path(__file__).resolve().parent.parent / "docs" / "scale.md"
DEGREE, DIM, NEAR, FAR_SHARE = 10, 32, 1000, 0.05
#: Approximate number of nodes per part.
PART = 50_000
MECHANISMS = {"scaled_dot_product": {}, "edge_featured": {"num_heads": 4}}


def generate(folder: Path, nodes: int) -> None:
    """Write edges (2, K) and features (V, D), block by block."""
    rng = np.random.default_rng(0)
    edges = np.lib.format.open_memmap(folder / "edges.npy", mode="w+", dtype="<i4", shape=(2, nodes * DEGREE))
    x = np.lib.format.open_memmap(folder / "x.npy", mode="w+", dtype="<f4", shape=(nodes, DIM))
    for start in range(0, nodes, 1 << 19):
        targets = np.repeat(np.arange(start, min(start + (1 << 19), nodes)), DEGREE)
        near = targets + rng.integers(-NEAR, NEAR + 1, targets.size)
        sources = np.where(rng.random(targets.size) < FAR_SHARE, rng.integers(0, nodes, targets.size), near % nodes)
        place = slice(start * DEGREE, start * DEGREE + targets.size)
        edges[0, place], edges[1, place] = sources, targets
        rows = targets.size // DEGREE
        x[start : start + rows] = rng.standard_normal((rows, DIM), np.float32)


def parts_of(nodes: int) -> int:
    """Return the number of parts of about `PART` nodes each."""
    return max(1, round(nodes / PART))


def mechanism(key: str) -> ga.Attention:
    """Create one of the two measured mechanisms."""
    return ga.create(key, DIM, **MECHANISMS[key])


def timed(function) -> float:
    """Return the seconds that one call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def measured(function) -> dict:
    """Return the wall-clock time of one call, and the process's CPU time, which varies less on a busy machine."""
    start = time.process_time()
    seconds = timed(function)
    return {"seconds": seconds, "cpu_seconds": time.process_time() - start}


def step_generate(folder: Path, nodes: int) -> dict:
    return {"seconds": timed(lambda: generate(folder, nodes))}


def step_partition(folder: Path, nodes: int, parts: int) -> dict:
    found = measured(lambda: ga.dask.partition(folder / "edges.npy", folder / "parts", parts))
    layout = ga.dask.Layout.open(folder / "parts")
    bytes_moved = layout.traffic(4 * DIM)
    return found | {"parts": parts, "halo_share": layout.halo_share, "bytes_moved": bytes_moved}


def layer(attn: ga.Attention, folder: Path, parts: str = "parts") -> None:
    """Apply one layer, from file to file."""
    ga.dask.attend(attn, folder / parts, folder / "x.npy", folder / "y.npy")


def cleared(folder: Path, function, timer=timed):
    """Time a call that writes ``y.npy``; the output of an earlier call is removed before the clock starts."""
    (folder / "y.npy").unlink(missing_ok=True)
    return timer(function)


def step_attend(folder: Path, key: str) -> dict:
    attn = mechanism(key)
    attn.attend(ga.NeighborGraph([0, 1], [0]), np.ones((1, DIM), np.float32))  # loads the kernels
    return cleared(folder, lambda: layer(attn, folder), measured)


def step_overhead(folder: Path, repeats: int) -> dict:
    """Compare one part on disk with the same in memory (read arrays, attend, write the output), in turns."""
    attn = mechanism("scaled_dot_product")
    ga.dask.partition(folder / "edges.npy", folder / "one", 1)
    part = folder / "one" / "part-0"

    def in_memory() -> None:
        graph = ga.NeighborGraph(np.load(part / "indptr.npy"), np.load(part / "indices.npy"))
        np.save(folder / "y.npy", attn.attend(graph, np.load(folder / "x.npy")))

    found, outputs = {"in_memory": [], "one_part": []}, {}
    for _ in range(repeats):
        for name, run in (("in_memory", in_memory), ("one_part", lambda: layer(attn, folder, "one"))):
            found[name].append(cleared(folder, run))
            outputs[name] = np.load(folder / "y.npy")
    same = np.array_equal(*outputs.values())
    best = {name: min(times) for name, times in found.items()}
    return {**best, "overhead": best["one_part"] / best["in_memory"] - 1, "same_bits": same}


def step_processes(folder: Path, repeats: int) -> dict:
    """Compare one process with two, in turns, after a warm-up."""
    found = {"machine": scaling(repeats)}
    for key in MECHANISMS:
        attn = mechanism(key)
        alone, both = [], []
        with ga.parallel(2):
            layer(attn, folder)
            for _ in range(repeats):
                both.append(cleared(folder, lambda attn=attn: layer(attn, folder)))
                with ga.parallel(1):
                    alone.append(cleared(folder, lambda attn=attn: layer(attn, folder)))
        found[key] = {"one": min(alone), "two": min(both), "speedup": min(alone) / min(both)}
    return found


def scaling(repeats: int) -> dict:
    """Return the speedup of two processes on this machine without shared data: for arithmetic, and for memory copies."""
    found = {}
    with ga.parallel(2) as pool:
        for work in (arithmetic, copying):
            pool.map(work, None, [0, 1])
            alone, both = [], []
            for _ in range(repeats):
                both.append(timed(lambda work=work: pool.map(work, None, [0, 1])))
                alone.append(timed(lambda work=work: [work(None, i) for i in (0, 1)]))
            found[work.__name__] = min(alone) / min(both)
    return found


def arithmetic(common, task) -> None:
    """Multiply in the cache for half a second."""
    x = np.full(2048, 1.0, np.float32)
    for _ in range(400_000):
        np.multiply(x, x, out=x)


def copying(common, task) -> None:
    """Copy from memory to memory for half a second."""
    x = np.ones(1 << 25, np.float32)
    y = np.empty_like(x)
    for _ in range(20):
        np.copyto(y, x)


STEPS = {name.removeprefix("step_"): f for name, f in list(globals().items()) if name.startswith("step_")}


def apart(step: str, folder: Path, *arguments: object) -> dict:
    """Run a step in its own process; return its result with the peak memory of the process and of its children."""
    words = [sys.executable, "-m", "benchmarks.out_of_core", "--step", step, "--folder", folder, *arguments]
    alone = os.environ | {"OPENBLAS_NUM_THREADS": "1"}  # one core for each process, also for the product of matrices
    done = subprocess.run([str(w) for w in words], check=True, capture_output=True, text=True, env=alone)
    found = json.loads(done.stdout.splitlines()[-1])
    print(f"{step} {' '.join(map(str, arguments))}: {found}", flush=True)
    return found


def series(scratch: Path, sizes: list[int]) -> list[dict]:
    """Generate, cut and attend a graph of each size."""
    rows = []
    for nodes in sizes:
        folder = scratch / "graph"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        row: dict = {"nodes": nodes, "edges": nodes * DEGREE, "generate": apart("generate", folder, nodes)}
        row["partition"] = apart("partition", folder, nodes, parts_of(nodes))
        for key in MECHANISMS:
            # In the first run the system may have to free memory.
            row[key] = min((apart("attend", folder, key) for _ in range(3)), key=lambda found: found["cpu_seconds"])
        rows.append(row)
        shutil.rmtree(folder)
    return rows


def exponent(rows: list[dict], key: str) -> float:
    """Return the slope of log CPU time against log number of edges."""
    seconds = np.log([row[key]["cpu_seconds"] for row in rows])
    return float(np.polyfit(np.log([row["edges"] for row in rows]), seconds, 1)[0])


def tables(found: dict) -> str:
    """Format the figures as Markdown."""
    names = {"scaled_dot_product": "dot products", "edge_featured": "GAT, 4 heads"}
    lines = [
        "| nodes | edges | parts | halo, nodes per node | cutting, s (of the processor) | GB a layer moves | "
        + " | ".join(f"{n}, s (of the processor) | peak GB" for n in names.values())
        + " |",
        "|" + "---:|" * (6 + 2 * len(names)),
    ]
    for row in found["rows"]:
        cut = row["partition"]
        cells = [f"{row['nodes']:,}", f"{row['edges']:,}", cut["parts"], f"{cut['halo_share']:.2f}"]
        cells += [f"{cut['seconds']:.1f} ({cut['cpu_seconds']:.1f})", f"{cut['bytes_moved'] / 1e9:.2f}"]
        for key in names:
            found_here = row[key]
            cells += [f"{found_here['seconds']:.2f} ({found_here['cpu_seconds']:.2f})"]
            cells += [f"{found_here['peak_bytes'] / 1e9:.2f}"]
        lines.append("| " + " | ".join(str(c).replace(",", " ") for c in cells) + " |")
    peak = max(row["partition"]["peak_bytes"] for row in found["rows"]) / 1e9
    slopes = ", ".join(f"{found['exponents'][key]:.2f} ({n})" for key, n in names.items())
    processes = found["processes"]
    speed = ", ".join(f"{processes[key]['speedup']:.2f} ({n})" for key, n in names.items())
    limits = "{arithmetic:.2f} (arithmetic in the cache) and {copying:.2f} (copies of memory)".format(
        **processes["machine"]
    )
    lines += [
        "",
        f"- Cutting held at most {peak:.1f} GB.",
        f"- Exponent of the processor's time in the edges: {slopes}.",
        f"- One part against `attend` in memory, both from file to file: {100 * found['overhead']['overhead']:+.0f} %.",
        f"- Two processes against one: {speed} times as fast. Two processes with nothing in common: {limits}.",
    ]
    return "\n".join(lines) + "\n"


def put(text: str) -> None:
    """Put the tables into the page."""
    start, end = "<!-- out_of_core:start -->\n", "<!-- out_of_core:end -->"
    before, rest = PAGE.read_text().split(start)
    PAGE.write_text(before + start + text + end + rest.split(end)[1])


def main() -> None:
    """Measure, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, required=True, help="scratch: 70 bytes per edge")
    parser.add_argument("--edges", type=float, default=100e6, help="of the largest graph")
    parser.add_argument("--middle", type=float, default=30e6, help="edges of the graph for overhead and processes")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("arguments", nargs="*", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step:
        words = [int(w) if w.isdigit() else w for w in given.arguments]
        found = STEPS[given.step](given.folder, *words)
        kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        peaks = [resource.getrusage(kind).ru_maxrss * 1024 for kind in kinds]
        print(json.dumps(found | {"peak_bytes": peaks[0], "peak_bytes_of_a_child": peaks[1]}))
        return
    folder = given.folder / "middle"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    nodes = int(given.middle) // DEGREE
    apart("generate", folder, nodes)
    overhead = apart("overhead", folder, given.repeats)
    apart("partition", folder, nodes, parts_of(nodes))
    processes = apart("processes", folder, given.repeats)
    shutil.rmtree(folder)
    top = int(given.edges)
    rows = series(given.folder, [n // DEGREE for n in (top // 100, top // 30, top // 10, top // 3, top)])
    found = {
        "rows": rows,
        "exponents": {key: exponent(rows, key) for key in MECHANISMS},
        "overhead": overhead,
        "processes": processes,
        "backend": ga.backend_info()["backend"],
        "dim": DIM,
    }
    print(json.dumps(found["exponents"]))
    if given.out is not None:
        given.out.write_text(json.dumps(found, indent=1) + "\n")
        put(tables(found))


if __name__ == "__main__":
    main()

"""Results of `make bench`: reading them, and ratios between contenders measured side by side."""

from __future__ import annotations

from typing import Any

#: One JSON object: "runtimes" (facts by runtime), "workloads" (workload → runtime → contender → one figure per round in
#: calls per second; for "peak" in flop/s), "flops" and "reads" (number of times the inputs are read) by workload,
#: "accelerate" (runtime → loop → ratio), "payload_kb", "javascript" (times from js.mjs), "page" (results of
#: without_python.mjs: title → contender → µs per call, or ms).
Results = dict[str, Any]

#: Speed of the peak loop in flop/s, on the machine for which the targets in operations per second were set.
REFERENCE_PEAK = {"wasm-relaxed-simd": 59e9, "wasm-simd128": 47e9}

PEERS = {"onnxruntime": "onnxruntime-web", "tfjs": "tfjs-wasm", "javascript": "plain JS"}
OTHERS = {"einsum": "NumPy einsum", "numpy": "NumPy @", "ruvector": "ruvector"}


def rounds(results: Results, workload: str, runtime: str, contender: str) -> list[float]:
    """Return the figures of all rounds, or an empty list."""
    return results["workloads"].get(workload, {}).get(runtime, {}).get(contender, [])


def speed(results: Results, workload: str, runtime: str, contender: str = "graphattend") -> float | None:
    """Return the fastest round, because other load on the machine can only slow a round down."""
    return max(rounds(results, workload, runtime, contender), default=None)


def ratio(
    results: Results, workload: str, runtime: str, other: str, *, ours: str = "graphattend", other_runtime: str = ""
) -> float | None:
    """Return our speed relative to another contender's, each in its fastest round."""
    a = speed(results, workload, runtime, ours)
    b = speed(results, workload, other_runtime or runtime, other)
    return a / b if a and b else None


def against_fastest(results: Results, workload: str, runtime: str) -> tuple[float, str] | None:
    """Return the smallest speed ratio to a peer, and the peer's title."""
    found = [(ratio(results, workload, runtime, name), title) for name, title in PEERS.items()]
    known = [(value, title) for value, title in found if value is not None]
    return min(known) if known else None


def peak(results: Results, runtime: str) -> float | None:
    """Return the peak loop's fastest flop/s of all workloads; a lower figure would flatter the workloads."""
    return max((s for name in results["workloads"] if (s := speed(results, name, runtime, "peak"))), default=None)


def share_of_peak(results: Results, workload: str, runtime: str, contender: str = "graphattend") -> float | None:
    """Return the share of the peak loop's flop/s."""
    found, most = speed(results, workload, runtime, contender), peak(results, runtime)
    return found * results["flops"][workload] / most if found and most else None


def scaled(results: Results, workload: str, runtime: str, contender: str = "graphattend") -> float | None:
    """Return calls per second, scaled by the peak loop to the machine for which the targets were set."""
    found, most = speed(results, workload, runtime, contender), peak(results, runtime)
    backend = results["runtimes"].get(runtime, {}).get("backend", "")
    return found * REFERENCE_PEAK[backend] / most if found and most and backend in REFERENCE_PEAK else None

"""What a run of `make bench` measured: reading it, and ratios between contenders that stood side by side."""

from __future__ import annotations

from typing import Any

#: One JSON object: "runtimes" (facts by runtime), "workloads" (workload → runtime → contender → one figure a round,
#: calls per second; of "peak" flop/s), "flops" and "reads" (how often its inputs are read) by workload, "accelerate"
#: (runtime → loop → ratio), "payload_kb", "javascript" (times that js.mjs takes), "page" (what without_python.mjs finds:
#: title → contender → µs a call, or ms).
Results = dict[str, Any]

#: The speed of the peak loop on the machine that the targets in operations per second were set on, flop/s.
REFERENCE_PEAK = {"wasm-relaxed-simd": 59e9, "wasm-simd128": 47e9}

PEERS = {"onnxruntime": "onnxruntime-web", "tfjs": "tfjs-wasm", "javascript": "plain JS"}
OTHERS = {"einsum": "NumPy einsum", "numpy": "NumPy @", "ruvector": "ruvector"}


def rounds(results: Results, workload: str, runtime: str, contender: str) -> list[float]:
    """The figures of every round, or none."""
    return results["workloads"].get(workload, {}).get(runtime, {}).get(contender, [])


def speed(results: Results, workload: str, runtime: str, contender: str = "graphattend") -> float | None:
    """Fastest of the rounds: whatever else the machine does only slows down."""
    return max(rounds(results, workload, runtime, contender), default=None)


def ratio(
    results: Results, workload: str, runtime: str, other: str, *, ours: str = "graphattend", other_runtime: str = ""
) -> float | None:
    """How many times as fast ours is as another contender, each in its fastest round."""
    a = speed(results, workload, runtime, ours)
    b = speed(results, workload, other_runtime or runtime, other)
    return a / b if a and b else None


def against_fastest(results: Results, workload: str, runtime: str) -> tuple[float, str] | None:
    """The smallest of the ratios to the peers, and whose it is."""
    found = [(ratio(results, workload, runtime, name), title) for name, title in PEERS.items()]
    known = [(value, title) for value, title in found if value is not None]
    return min(known) if known else None


def peak(results: Results, runtime: str) -> float | None:
    """The peak loop's flop/s, the fastest beside any workload: a low figure here would flatter the others."""
    return max((s for name in results["workloads"] if (s := speed(results, name, runtime, "peak"))), default=None)


def share_of_peak(results: Results, workload: str, runtime: str, contender: str = "graphattend") -> float | None:
    """Share of the peak loop's multiply-adds."""
    found, most = speed(results, workload, runtime, contender), peak(results, runtime)
    return found * results["flops"][workload] / most if found and most else None


def scaled(results: Results, workload: str, runtime: str, contender: str = "graphattend") -> float | None:
    """Calls per second as they would be on the machine the targets were set on: by the peak loop."""
    found, most = speed(results, workload, runtime, contender), peak(results, runtime)
    backend = results["runtimes"].get(runtime, {}).get("backend", "")
    return found * REFERENCE_PEAK[backend] / most if found and most and backend in REFERENCE_PEAK else None

"""The benchmark's runtime in CPython: reads one JSON request per line and answers with one JSON line."""

import json
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]


def timed_import(name: str) -> float:
    """Return the time to import a module in milliseconds."""
    start = time.perf_counter()
    __import__(name)
    return (time.perf_counter() - start) * 1e3


def main() -> None:
    """Answer requests until the input ends."""
    imports = {"numpy_ms": timed_import("numpy"), "graphattend_ms": timed_import("graphattend")}
    from benchmarks import workloads

    calls: dict[str, Any] = {
        "contenders": workloads.contenders,
        "rate": workloads.rate,
        "memory": workloads.memory,
        "facts": lambda: workloads.facts() | imports,
        "extraMemory": workloads.extra_memory,
    }
    print('{"value": "ready"}', flush=True)
    for line in sys.stdin:
        name, *given = json.loads(line)
        try:
            answer = {"value": calls[name](*given)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()

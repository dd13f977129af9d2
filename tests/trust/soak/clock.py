"""The processor time of the tests that limit it."""

import sys
import time


def processor_time() -> float:
    """Return the seconds of processor time so far; in browsers, which do not tell it, of time.

    `time.process_time` in WebAssembly goes on while other processes run, and ends after 2^31 microseconds.
    """
    if sys.platform != "emscripten":
        return time.process_time()
    node = getattr(__import__("js"), "process", None)
    if node is None:
        return time.perf_counter()
    used = node.cpuUsage()
    return float(used.user + used.system) / 1e6

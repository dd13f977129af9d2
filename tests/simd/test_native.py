"""Native kernels: every instruction set of this machine loads, and kernels run in parallel threads."""

from __future__ import annotations

import platform
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import graphattend as ga
from graphattend.simd import backends

pytestmark = pytest.mark.native

FLAGS = {"native-avx512": "avx512vl", "native-avx2": "avx2", "native-sse4": "sse4_2"}


def test_the_processors_instruction_sets_are_available():
    available = ga.backend_info()["available"]
    if platform.machine() in ("aarch64", "arm64"):
        assert "native-neon" in available
    elif Path("/proc/cpuinfo").exists():
        words = set(Path("/proc/cpuinfo").read_text().split())
        assert [n for n in available if n.startswith("native")] == [n for n, flag in FLAGS.items() if flag in words]


def test_the_fastest_one_is_the_default():
    code = "import graphattend as ga; print(ga.backend_info()['backend'])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PATH": ""})
    assert run.stdout.strip() == ga.backend_info()["available"][0]


def test_same_bits_every_time(rng):
    q, k, v = (rng.standard_normal((n, 33)).astype(np.float32) for n in (70, 90, 90))
    for name in ga.backend_info()["available"]:
        with ga.use_backend(name):
            first, second = (ga.functional.scaled_dot_product_attention(q, k, v) for _ in range(2))
        assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize("name", [n for n in backends.FILES if backends.load(n)])
def test_other_threads_run_while_a_kernel_computes(name, rng):
    kernels = backends.load(name).kernels
    q, k, v = (rng.standard_normal((n, 64)).astype(np.float32) for n in (4096, 4096, 4096))
    out, stats = np.empty_like(q), np.empty((4096, 2), np.float32)
    done, ticks = threading.Event(), []

    def compute():
        kernels.attend(q, k, v, out, stats, 0.125, None, False, None)
        ticks.append(seen[0])
        done.set()

    # The main thread counts; it stops while a kernel holds the interpreter lock, whatever the switch interval.
    seen = [0]
    thread = threading.Thread(target=compute)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    try:
        thread.start()
        while not done.is_set():
            seen[0] += 1
            done.wait(0.001)
        thread.join()
    finally:
        sys.setswitchinterval(before)
    assert ticks[0] > 2

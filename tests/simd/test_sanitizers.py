"""Kernels built with sanitizers: the fuzz test for memory errors and undefined behaviour, threads for data races."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def run(library, module, script, *words):
    """Run a script on a build with sanitizers, whose library has to be preloaded."""
    preload = subprocess.run(["gcc", f"-print-file-name={library}"], capture_output=True, text=True, check=True)
    environment = {
        **os.environ,
        "LD_PRELOAD": preload.stdout.strip(),
        "ASAN_OPTIONS": "detect_leaks=0",
        "TSAN_OPTIONS": "halt_on_error=1",
        "PYTHONMALLOC": "malloc",
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
        "OPENBLAS_NUM_THREADS": "1",
    }
    return subprocess.run(
        [sys.executable, str(HERE / script), str(module), *words],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.native
def test_memory_and_undefined_behaviour(builder):
    done = run("libasan.so", builder.build_sanitized(), "test_fuzz.py", "1", "12")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]


@pytest.mark.native
def test_threads(builder):
    module = builder.build_sanitized("thread")
    done = run("libtsan.so", module, "race_check.py", "split")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]
    assert int(done.stdout.split()[0]) > 30
    race = run("libtsan.so", module, "race_check.py", "race")
    assert race.returncode != 0
    assert "data race" in race.stderr

"""Kernels built with sanitizers: the fuzz test for memory errors and undefined behaviour, threads for data races."""

from __future__ import annotations

import json
import os

import pytest
from run_fuzz import sanitized

pytestmark = pytest.mark.native
ROUNDS = "12" if os.environ.get("GRAPHATTEND_ALL") else "6"


def test_memory_and_undefined_behaviour(builder):
    done = sanitized("libasan.so", builder.build_sanitized(), "test_fuzz.py", "1", ROUNDS)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]


def test_threads(builder):
    module = builder.build_sanitized("thread")
    done = sanitized("libtsan.so", module, "race_check.py", "split")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-6000:]
    assert json.loads(done.stdout)["calls"] > 30
    race = sanitized("libtsan.so", module, "race_check.py", "race")
    assert race.returncode != 0
    assert "data race" in race.stderr

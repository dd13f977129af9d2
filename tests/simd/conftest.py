"""The kernels under test: every instruction set that the processor or Pyodide's engine supports."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import kernel_numbers
import numpy as np
import pytest

from graphattend import simd
from graphattend.simd import backends, kernel_ops

KERNELS = Path(kernel_ops.__file__).parent / "kernels"


def load_builder() -> ModuleType:
    """Import `kernels/build.py`, which is not part of the package."""
    spec = importlib.util.spec_from_file_location("graphattend_kernels_build", KERNELS / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


#: Every build of the kernels that this machine runs.
LOADED = {name: found.kernels for name in backends.FILES if (found := backends.load(name)) is not None}


@pytest.fixture(params=sorted(LOADED))
def kernels(request: pytest.FixtureRequest) -> Iterator[ModuleType]:
    """Return a kernel module, to which `kernel_ops` sends its calls."""
    before = kernel_ops.current()
    module = LOADED[request.param]
    kernel_ops.use(module)
    yield module
    kernel_ops.use(before)


@pytest.fixture(params=["float32", "float64"])
def real(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a test in both dtypes of the kernels: set `kernel_numbers.REAL`, and PRECISION, a factor of tolerances."""
    wide = request.param == "float64"
    monkeypatch.setattr(kernel_numbers, "REAL", np.float64 if wide else np.float32)
    monkeypatch.setattr(kernel_numbers, "PRECISION", 1e-7 if wide else 1.0)


@pytest.fixture
def both(kernels: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], tuple[Any, Any]]:
    """Return a function that calls its argument with the kernels and on plain NumPy, and returns both results."""

    def run(function: Callable[[], Any]) -> tuple[Any, Any]:
        results = []
        for module in (kernel_ops, None):
            monkeypatch.setattr(simd, "_kernels", module)
            results.append(function())
        return results[0], results[1]

    return run


@pytest.fixture
def builder() -> ModuleType:
    """Return the module that compiles the kernels."""
    return load_builder()

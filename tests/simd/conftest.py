"""The kernels under test: every WebAssembly variant inside Pyodide, a build for this machine elsewhere."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from graphattend import simd
from graphattend.simd import wasm_ops

KERNELS = Path(wasm_ops.__file__).parent / "kernels"
BACKENDS = wasm_ops.VARIANTS if sys.platform == "emscripten" else ("native",)


def load_builder() -> ModuleType:
    """`kernels/build.py`, which is no part of the package."""
    spec = importlib.util.spec_from_file_location("graphattend_kernels_build", KERNELS / "build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load_kernels(name: str) -> ModuleType | None:
    """One build of the kernels, or None where this engine cannot run it."""
    if name == "native":
        return wasm_ops.load(load_builder().build_native())
    return wasm_ops.variant(name)


LOADED = {name: module for name in BACKENDS if (module := load_kernels(name)) is not None}


@pytest.fixture(params=sorted(LOADED))
def kernels(request: pytest.FixtureRequest) -> Iterator[ModuleType]:
    """A kernel module, with `wasm_ops` sending its calls there."""
    before = wasm_ops.current()
    module = LOADED[request.param]
    wasm_ops.use(module)
    yield module
    wasm_ops.use(before)


@pytest.fixture
def both(kernels: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], Any]], tuple[Any, Any]]:
    """A function that calls its argument with the kernels and on plain NumPy, and returns both results."""

    def run(function: Callable[[], Any]) -> tuple[Any, Any]:
        results = []
        for module in (wasm_ops, None):
            monkeypatch.setattr(simd, "_kernels", module)
            results.append(function())
        return results[0], results[1]

    return run


@pytest.fixture
def builder() -> ModuleType:
    """The module that compiles the kernels."""
    return load_builder()

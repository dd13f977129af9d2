"""Wheel build hook: compiles the WebAssembly kernels into the wheel, which stays pure (py3-none-any)."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


def _builder(root: str) -> ModuleType:
    path = Path(root) / "src" / "graphattend" / "simd" / "kernels" / "build.py"
    spec = importlib.util.spec_from_file_location("graphattend_kernels_build", path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class KernelBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds ``graphattend/simd/*.wasm`` to a wheel; an sdist or an editable install needs no compiler."""

    PLUGIN_NAME = "custom"

    def _compiles(self, version: str) -> bool:
        return self.target_name == "wheel" and version == "standard"

    def dependencies(self) -> list[str]:
        """The compiler, unless Emscripten is at hand (under ``pyodide build``)."""
        builder = _builder(self.root)
        return [] if builder.emscripten() else [builder.ZIG_REQUIREMENT]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the modules and list them among the wheel's files."""
        if not self._compiles(version):
            return
        builder = _builder(self.root)
        for path in builder.build(builder.CACHE / "wheel"):
            build_data["force_include"][str(path)] = f"graphattend/simd/{path.name}"

"""Wheel build hook: compiles the kernels into the wheel, and adds a software bill of materials.

``GRAPHATTEND_BUILD`` says which: "universal" makes the wheel for every platform (py3-none-any), with kernels for
Pyodide; one of `build.PLATFORMS` makes that platform's wheel, with native kernels; "host", the default, this machine's,
or a wheel without kernels where they cannot be compiled. Under ``pyodide build`` it is always "universal".
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


def _builder(root: str) -> ModuleType:
    return _load(Path(root) / "src" / "graphattend" / "simd" / "kernels" / "build.py", "graphattend_kernels_build")


def _load(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class KernelBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the kernels to a wheel; an sdist or an editable install needs no compiler."""

    PLUGIN_NAME = "custom"

    def _what(self, builder: ModuleType) -> str:
        if builder.emscripten():
            return "universal"
        wanted = os.environ.get("GRAPHATTEND_BUILD", "host")
        known = ("host", "universal", *builder.PLATFORMS)
        if wanted not in known:
            raise ValueError(f"GRAPHATTEND_BUILD: expected one of {', '.join(known)}, got {wanted!r}")
        return wanted

    def dependencies(self) -> list[str]:
        """The compiler, unless Emscripten is at hand (under ``pyodide build``) or there is nothing to compile."""
        builder = _builder(self.root)
        what = self._what(builder)
        if builder.emscripten() or (what == "host" and builder.host() is None):
            return []
        return [builder.ZIG_REQUIREMENT]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the modules, list them among the wheel's files and name the platform they are for."""
        if self.target_name != "wheel" or version != "standard":
            return
        builder = _builder(self.root)
        what = self._what(builder)
        if what == "universal":
            self._include(builder.build(builder.CACHE / "wheel"), build_data)
            return
        name = builder.host() if what == "host" else what
        try:
            built = builder.build_native(name, builder.CACHE / f"wheel-{name}")
        except RuntimeError as problem:
            if what != "host":
                raise
            self.app.display_warning(f"graphattend is built without kernels and computes with NumPy alone: {problem}")
            self._include([], build_data)
            return
        self._include(built, build_data)
        build_data["pure_python"] = False
        build_data["tag"] = f"cp311-abi3-{builder.wheel_platform(name)}"

    def _include(self, files: list[Path], build_data: dict[str, Any]) -> None:
        for path in files:
            build_data["force_include"][str(path)] = f"graphattend/simd/{path.name}"
        builder, sbom = _builder(self.root), _load(Path(self.root) / "tools" / "sbom.py", "graphattend_sbom")
        about = self.metadata.core
        compiler = [] if builder.emscripten() or not files else [builder.ZIG_REQUIREMENT]
        text = sbom.wheel(
            about.name,
            self.metadata.version,
            about.license_expression,
            about.dependencies,
            about.optional_dependencies,
            ["hatchling", *compiler],
            files,
        )
        folder = builder.CACHE / f"sbom-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / sbom.NAME).write_text(text, encoding="utf-8")
        build_data["sbom_files"].append(str(folder / sbom.NAME))

"""Building the kernels: cached by content, and with Emscripten."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.native

FAKE = """#!{python}
import sys
if "--version" in sys.argv:
    print("emcc (Emscripten gcc/clang-like replacement) {version}")
else:
    print("cache:INFO: generating system headers (this will be cached for subsequent builds)", file=sys.stderr)
    open(sys.argv[sys.argv.index("-o") + 1], "w").write(" ".join(sys.argv[1:]))
"""


def write_compiler(script: Path, version: str = "5.0.3") -> None:
    """Write a stand-in for Emscripten's compiler, which writes its arguments to the output file."""
    script.write_text(FAKE.format(python=sys.executable, version=version))
    script.chmod(0o755)


@pytest.fixture
def emcc(tmp_path, monkeypatch, builder):
    """Return `builder` with a stand-in for Emscripten's compiler in ``$CC``."""
    write_compiler(tmp_path / "emcc")
    monkeypatch.setenv("CC", str(tmp_path / "emcc"))
    monkeypatch.setattr(builder, "CACHE", tmp_path / "cache")
    return builder


def test_emscripten_is_used_when_it_is_the_compiler(emcc, tmp_path):
    written = emcc.build(tmp_path / "out")
    assert {p.name for p in written} >= {"kernels_relaxed.wasm", "kernels_simd128.wasm"}
    relaxed = (tmp_path / "out" / "kernels_relaxed.wasm").read_text()
    assert "-sSIDE_MODULE=2" in relaxed
    objects = {p.name.split("-")[0]: p.read_text() for p in (tmp_path / "cache").glob("gemm-f32-relaxed-*.o")}
    assert "-mrelaxed-simd" in objects["gemm"]
    assert "-msimd128" in objects["gemm"]
    assert "-Xclang -O3" in objects["gemm"], "pyodide build adds -Oz behind our flags"


def test_another_compiler_is_not_taken_for_emscripten(builder, monkeypatch):
    monkeypatch.setenv("CC", sys.executable)
    assert builder.emscripten() is None


def test_pyodide_build_needs_no_other_compiler_although_it_sets_cc_late(builder, tmp_path, monkeypatch):
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.delenv("PYODIDE_ROOT", raising=False)
    write_compiler(tmp_path / "emcc")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert builder.emscripten() is None, "that emcc is installed says nothing about what is being built"
    monkeypatch.setenv("PYODIDE_ROOT", str(tmp_path))
    assert builder.emscripten() == ("emcc",)


def test_pyodide_build_without_emscripten_falls_back_to_zig(builder, tmp_path, monkeypatch):
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PYODIDE_ROOT", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert builder.emscripten() is None


def test_another_version_of_the_compiler_builds_anew(emcc, tmp_path):
    emcc.build(tmp_path / "out")
    before = set((tmp_path / "cache").iterdir())
    write_compiler(tmp_path / "emcc", "6.0.5")
    emcc._version.cache_clear()
    emcc.build(tmp_path / "out")
    assert len(set((tmp_path / "cache").iterdir())) == 2 * len(before)


def test_a_compiler_that_fails_is_quoted(emcc, tmp_path):
    write_compiler(tmp_path / "emcc")
    script = (tmp_path / "emcc").read_text()
    (tmp_path / "emcc").write_text(
        script.replace("import sys\n", "import sys\nif '-c' in sys.argv: sys.exit('no such thing')\n")
    )
    with pytest.raises(RuntimeError, match=r"(?s)emcc.* -c .*no such thing"):
        emcc.build(tmp_path / "out")


def test_building_again_does_nothing(emcc, tmp_path):
    emcc.build(tmp_path / "out")
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()}
    emcc.build(tmp_path / "out")
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()} == before


def test_a_platform_that_nobody_builds_for_is_refused(builder):
    with pytest.raises(RuntimeError, match="no platform 'sun-sparc'"):
        builder.build_native("sun-sparc")
    with pytest.raises(RuntimeError, match="no native kernels for this Python"):
        builder.build_native(None)


def test_another_platform_needs_zig(builder, monkeypatch):
    monkeypatch.setattr(builder, "has_zig", lambda: False)
    other = next(name for name in builder.PLATFORMS if name != builder.host())
    with pytest.raises(RuntimeError, match=f"no compiler for {other}: ziglang is not installed"):
        builder.build_native(other)

"""Building the kernels: cached by content, with Emscripten where that is the compiler."""

from __future__ import annotations

import sys

import pytest

pytestmark = pytest.mark.native

FAKE = """#!{python}
import sys
if "--version" in sys.argv:
    print("emcc (Emscripten gcc/clang-like replacement) 5.0.3")
else:
    open(sys.argv[sys.argv.index("-o") + 1], "w").write(" ".join(sys.argv[1:]))
"""


@pytest.fixture
def emcc(tmp_path, monkeypatch, builder):
    """`builder` with a stand-in for Emscripten's compiler, which writes its arguments where the result should go."""
    script = tmp_path / "emcc"
    script.write_text(FAKE.format(python=sys.executable))
    script.chmod(0o755)
    monkeypatch.setenv("CC", str(script))
    monkeypatch.setattr(builder, "CACHE", tmp_path / "cache")
    return builder


def test_emscripten_is_used_when_it_is_the_compiler(emcc, tmp_path):
    written = emcc.build(tmp_path / "out")
    assert {p.name for p in written} >= {"kernels_relaxed.wasm", "kernels_simd128.wasm"}
    relaxed = (tmp_path / "out" / "kernels_relaxed.wasm").read_text()
    assert "-sSIDE_MODULE=2" in relaxed
    objects = {p.name.split("-")[0]: p.read_text() for p in (tmp_path / "cache").glob("gemm-relaxed-*.o")}
    assert "-mrelaxed-simd" in objects["gemm"]
    assert "-msimd128" in objects["gemm"]


def test_another_compiler_is_not_taken_for_emscripten(builder, monkeypatch):
    monkeypatch.setenv("CC", sys.executable)
    assert builder.emscripten() is None


def test_building_again_does_nothing(emcc, tmp_path):
    emcc.build(tmp_path / "out")
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()}
    emcc.build(tmp_path / "out")
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()} == before

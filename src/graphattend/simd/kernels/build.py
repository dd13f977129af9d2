"""Compile the C sources beside this file into WebAssembly extension modules.

Run as a script it writes the modules where the package looks for them (a source tree then works in Pyodide
like an installed wheel)::

    python src/graphattend/simd/kernels/build.py [output folder]

Two toolchains give the same modules: `ziglang` from PyPI (one pip install, no Emscripten), or the compiler
in ``$CC`` when that is Emscripten's, as under ``pyodide build``. Objects and modules are cached by the hash of
everything that went into them, so building again without a change does nothing.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path

SOURCES = Path(__file__).resolve().parent
REPOSITORY = SOURCES.parents[3]
CACHE = REPOSITORY / ".cache" / "kernels"
ZIG_REQUIREMENT = "ziglang==0.17.1"

#: Instruction sets beyond SIMD128 of each variant; the loader tries them in this order.
VARIANTS: dict[str, tuple[str, ...]] = {"relaxed": ("relaxed_simd",), "simd128": ()}

# -ffreestanding and -fno-builtin: nothing may turn into a call of libc, which the main module need not export.
# The sources are vectorised and unrolled by hand; what the compiler would add to their remainders only costs size.
# -Werror, not a look at stderr: Emscripten also tells there that it fills its cache.
COMMON_FLAGS = (
    *("-std=gnu11", "-O3", "-fPIC", "-fvisibility=hidden", "-ffreestanding", "-fno-builtin", "-g0", "-Wall", "-Werror"),
    *("-fno-vectorize", "-fno-slp-vectorize", "-mllvm", "-unroll-runtime=0"),
)


def modules() -> dict[str, list[Path]]:
    """The extension modules and their sources: `kernels`, and `ufuncs` from the files named ``ufunc_*.c``."""
    files = sorted(SOURCES.glob("*.c"))
    ufuncs = [f for f in files if f.name.startswith("ufunc_")]
    parts = {"kernels": [f for f in files if f not in ufuncs], "ufuncs": ufuncs}
    return {name: sources for name, sources in parts.items() if sources}


@cache
def _version(command: tuple[str, ...]) -> str:
    """What a compiler says of itself, or nothing if there is no such program."""
    if not command or shutil.which(command[0]) is None:
        return ""
    return subprocess.run([*command, "--version"], capture_output=True, text=True, check=False).stdout


def emscripten() -> tuple[str, ...] | None:
    """The command of Emscripten's compiler if it is to be used, else None.

    That is ``$CC`` if it is Emscripten's. ``pyodide build`` sets it only after it has asked what the build requires;
    all the time it has ``$PYODIDE_ROOT`` and ``emcc`` on the path.
    """
    commands = [tuple(shlex.split(os.environ.get("CC", "")))]
    if "PYODIDE_ROOT" in os.environ:
        commands.append(("emcc",))
    return next((c for c in commands if any(word in _version(c).lower() for word in ("emscripten", "emcc"))), None)


def _compile_command(variant: str) -> list[str]:
    if command := emscripten():
        extra = ["-mrelaxed-simd"] if "relaxed_simd" in VARIANTS[variant] else []
        # The compiler under `pyodide build` adds -Oz behind these, which makes a product of matrices seven times as
        # slow; what is passed on to clang itself comes later still.
        return [*command, *COMMON_FLAGS, "-Xclang", "-O3", "-msimd128", *extra, "-c"]
    cpu = "+".join(["generic", "simd128", *VARIANTS[variant]])
    return [sys.executable, "-m", "ziglang", "cc", "-target", "wasm32-emscripten", f"-mcpu={cpu}", *COMMON_FLAGS, "-c"]


def _link_command() -> list[str]:
    if command := emscripten():
        return [*command, "-O3", "-sSIDE_MODULE=2", "-sWASM_BIGINT", "-Werror"]
    ld = [sys.executable, "-m", "ziglang", "wasm-ld", "-shared", "--experimental-pic", "--no-entry", "-s"]
    return [*ld, "--unresolved-symbols=import-dynamic", "--fatal-warnings"]


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{shlex.join(command)}\n{done.stdout}{done.stderr}")


def _key(command: Iterable[str], files: Iterable[Path]) -> str:
    compiler = _version(emscripten() or ()) or ZIG_REQUIREMENT
    digest = hashlib.sha256("\0".join([compiler, *command]).encode())
    for file in files:
        digest.update(file.name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:32]


def _cached(name: str, command: list[str], inputs: list[Path], hashed: list[Path]) -> Path:
    """The output of `command` on `inputs`, from the cache if nothing that matters has changed."""
    CACHE.mkdir(parents=True, exist_ok=True)
    stem, suffix = name.rsplit(".", 1)
    target = CACHE / f"{stem}-{_key(command, hashed)}.{suffix}"
    if not target.exists():
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:  # written whole or not at all
            fresh = Path(folder) / name
            _run([*command, *map(str, inputs), "-o", str(fresh)])
            fresh.replace(target)
    return target


def build(output: Path | None = None) -> list[Path]:
    """Build every module in every variant into `output` (default: the package's `simd` folder).

    Returns:
        The files written: ``kernels_relaxed.wasm``, ``kernels_simd128.wasm``, ...
    """
    output = output or SOURCES.parent
    output.mkdir(parents=True, exist_ok=True)
    headers = sorted(SOURCES.glob("*.h"))
    written = []
    for module, sources in modules().items():
        for variant in VARIANTS:
            compiler = _compile_command(variant)
            objects = [
                _cached(f"{source.stem}-{variant}.o", compiler, [source], [source, *headers]) for source in sources
            ]
            linked = _cached(f"{module}_{variant}.wasm", _link_command(), objects, objects)
            target = output / f"{module}_{variant}.wasm"
            if not target.exists() or target.read_bytes() != linked.read_bytes():
                shutil.copyfile(linked, target)
            written.append(target)
    return written


def build_native(*, sanitize: bool = False) -> Path:
    """Build the kernels for this machine's own Python, for tests (it is never shipped).

    Args:
        sanitize: Add AddressSanitizer and UndefinedBehaviorSanitizer (needs a compiler that brings their libraries;
            the Python that loads the result must have been started with the former preloaded).
    """
    host = next((c for c in (os.environ.get("CC"), "cc", "gcc", "clang") if c and shutil.which(c)), None)
    compiler = [host] if host else [sys.executable, "-m", "ziglang", "cc"]
    flags = ["-std=gnu11", "-O2", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror", "-Wno-psabi"]
    flags += ["-shared"]
    if sanitize:
        flags += ["-g", "-fno-omit-frame-pointer", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
    if sys.platform == "darwin":
        flags += ["-undefined", "dynamic_lookup"]
    sources = modules()["kernels"]
    name = f"kernels_{'sanitized' if sanitize else 'native'}.so"
    return _cached(name, [*compiler, *flags], sources, [*sources, *sorted(SOURCES.glob("*.h"))])


if __name__ == "__main__":
    for path in build(Path(sys.argv[1]) if len(sys.argv) > 1 else None):
        print(f"{path}  {path.stat().st_size} bytes")

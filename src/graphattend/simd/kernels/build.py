"""Compile the C sources in this folder into extension modules: WebAssembly for Pyodide, and native ones.

As a script, it writes the modules where the package looks for them. A source tree then works like an installed wheel::

    python src/graphattend/simd/kernels/build.py [wasm | host | PLATFORM] [output folder]

`ziglang` from PyPI compiles for every platform on any machine. The compiler in ``$CC`` is used instead if it is
Emscripten's, as under ``pyodide build``, and for this machine if ziglang is missing. Objects and modules are cached by
the hash of all their inputs, so a second build without changes does nothing.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

SOURCES = Path(__file__).resolve().parent
REPOSITORY = SOURCES.parents[3]
CACHE = REPOSITORY / ".cache" / "kernels"
ZIG_REQUIREMENT = "ziglang==0.17.1"

#: Instruction sets of each variant in addition to SIMD128. The loader tries the variants in this order.
VARIANTS: dict[str, tuple[str, ...]] = {"relaxed": ("relaxed_simd",), "simd128": ()}

# -ffreestanding and -fno-builtin: no code may become a call of libc, which the main module may not export.
# The sources are vectorised and unrolled by hand; further unrolling of remainders by the compiler only adds size.
# -Werror instead of reading stderr, where Emscripten also reports that it fills its cache.
COMMON_FLAGS = (
    *("-std=gnu11", "-O3", "-fPIC", "-fvisibility=hidden", "-ffreestanding", "-fno-builtin", "-g0", "-Wall", "-Werror"),
    *("-fno-vectorize", "-fno-slp-vectorize", "-mllvm", "-unroll-runtime=0"),
)


#: Kernels that are compiled for size in native wheels, because double divisions and roots take most of their time.
SMALL = frozenset({"frechet", "mean"})

#: Sources that AVX-512 takes from AVX2, because they compute with four lanes and call nothing that is faster with more.
#: `favor` is a small part of every call; `favor_one` would be faster, but wheels have to stay below 1 MiB.
NARROW = frozenset({"ball", "favor", "favor_one", "finite", "frechet", "head_dots", "mask", "mean"})

#: What a native module contains for each instruction set besides the kernels. It runs before the processor is known, so
#: it is compiled for the oldest one.
IN_EACH_SET = frozenset({"cpu", "module"})

#: Flags that compile a kernel for each dtype.
ELEMENTS: dict[str, tuple[str, ...]] = {"f32": (), "f64": ("-DF64",)}


class Unit(NamedTuple):
    """One compilation: a source, its flags in addition to the common ones, and the name of its object."""

    source: Path
    flags: tuple[str, ...]
    name: str


def modules() -> dict[str, list[Unit]]:
    """Return the extension modules and their compilations.

    `kernels` consists of the sources in this folder, once for each dtype, and those in `host/` and `python/`, once.
    `ufuncs` consists of the files ``ufunc_*.c`` and the matrix products, once for each dtype, and ``ufunc_module.c``.
    """
    files = sorted(SOURCES.glob("*.c"))
    loops = [f for f in files if f.name.startswith("ufunc_")]
    module, products = SOURCES / "ufunc_module.c", [SOURCES / name for name in ("gemm.c", "rows.c")]
    once = [f for folder in ("host", "python") for f in sorted((SOURCES / folder).glob("*.c"))]
    return {
        "kernels": _in_each_dtype([f for f in files if f not in loops]) + _units(once),
        "ufuncs": _in_each_dtype([*(f for f in loops if f != module), *products]) + _units([module]),
    }


def _units(sources: list[Path]) -> list[Unit]:
    return [Unit(f, (), f.stem) for f in sources]


def _in_each_dtype(sources: list[Path]) -> list[Unit]:
    return [Unit(f, flags, f"{f.stem}-{dtype}") for f in sources for dtype, flags in ELEMENTS.items()]


def headers() -> list[Path]:
    """Return the files that the sources include."""
    return sorted([*SOURCES.rglob("*.h"), *SOURCES.glob("*.def")])


@cache
def _version(command: tuple[str, ...]) -> str:
    """Return the version text of a compiler, or an empty text if there is no such program."""
    if not command or shutil.which(command[0]) is None:
        return ""
    return subprocess.run([*command, "--version"], capture_output=True, text=True, check=False).stdout


def emscripten() -> tuple[str, ...] | None:
    """Return the command of Emscripten's compiler if it should be used, else None.

    The command is ``$CC`` if it is Emscripten's. ``pyodide build`` sets ``$CC`` only after querying the build's
    requirements, but always sets ``$PYODIDE_ROOT`` and has ``emcc`` on the path.
    """
    commands = [tuple(shlex.split(os.environ.get("CC", "")))]
    if "PYODIDE_ROOT" in os.environ:
        commands.append(("emcc",))
    return next((c for c in commands if any(word in _version(c).lower() for word in ("emscripten", "emcc"))), None)


def _compile_command(variant: str) -> list[str]:
    if command := emscripten():
        extra = ["-mrelaxed-simd"] if "relaxed_simd" in VARIANTS[variant] else []
        # The compiler under `pyodide build` appends -Oz, which makes a matrix product seven times as slow. Flags that
        # are passed to clang itself come later and take precedence.
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


def _cached(
    name: str, command: list[str], inputs: list[Path], hashed: list[Path], output: tuple[str, ...] = ("-o",)
) -> Path:
    """Return the output of `command` for `inputs`, from the cache if no input has changed."""
    CACHE.mkdir(parents=True, exist_ok=True)
    stem, suffix = name.rsplit(".", 1)
    target = CACHE / f"{stem}-{_key(command, hashed)}.{suffix}"
    if not target.exists():
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:  # so that the output appears atomically
            fresh = Path(folder) / name
            _run([*command, *map(str, inputs), *output, str(fresh)])
            fresh.replace(target)
    return target


def build(output: Path | None = None) -> list[Path]:
    """Build every module in every variant into `output` (default: the package's `simd` folder).

    Returns:
        The files that were written: ``kernels_relaxed.wasm``, ``kernels_simd128.wasm``, ...
    """
    output = output or SOURCES.parent
    output.mkdir(parents=True, exist_ok=True)
    included = headers()
    written = []
    for module, units in modules().items():
        for variant in VARIANTS:
            compiler = _compile_command(variant)
            objects = [
                _cached(f"{unit.name}-{variant}.o", [*compiler, *unit.flags], [unit.source], [unit.source, *included])
                for unit in units
            ]
            linked = _cached(f"{module}_{variant}.wasm", _link_command(), objects, objects)
            written.append(_install(linked, output / f"{module}_{variant}.wasm"))
    return written


def _install(built: Path, target: Path) -> Path:
    """Copy a module unless the target is equal. Processes that have loaded the old file keep its content."""
    if not target.exists() or target.read_bytes() != built.read_bytes():
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".kernels-") as folder:
            shutil.copyfile(built, Path(folder) / target.name).replace(target)
    return target


class Platform(NamedTuple):
    """A platform for native modules: the compiler's target, the wheel's tag, and the instruction sets.

    Attributes:
        target: Zig's target triple. A version in it is the oldest libc or system on which the modules run.
        tag: The wheel's platform tag.
        sets: Maps backend suffixes to the compiler's CPU and the processor level that `cpu.c` requires.
        suffix: Suffix of the modules' file names.
        link: Additional arguments for the linker.
    """

    target: str
    tag: str
    sets: dict[str, tuple[str, int]]
    suffix: str = ".abi3.so"
    link: tuple[str, ...] = ("-nostdlib",)


_X86 = {"avx512": ("x86_64_v4", 4), "avx2": ("x86_64_v3", 3), "sse4": ("x86_64_v2", 2)}
_ARM = {"neon": ("generic", 1)}
_WINDOWS = ("-nostdlib", "-Wl,/Brepro")  # no build time in the file
# The module is loaded by its path. Without an install name, it would contain the path where it was linked.
_DARWIN = ("-nostdlib", "-Wl,-undefined,dynamic_lookup", "-Wl,-install_name,@rpath/graphattend")
# The modules need no libc, so the same file runs with glibc and musl. On Windows too: see python/windows.c.
_LINUX = "manylinux_2_17_{0}.manylinux2014_{0}.musllinux_1_1_{0}"

#: Every platform with native kernels.
PLATFORMS: dict[str, Platform] = {
    "linux-x86_64": Platform("x86_64-linux-gnu.2.17", _LINUX.format("x86_64"), _X86),
    "linux-aarch64": Platform("aarch64-linux-gnu.2.17", _LINUX.format("aarch64"), _ARM),
    "macos-x86_64": Platform("x86_64-macos.11.0", "macosx_11_0_x86_64", _X86, link=_DARWIN),
    "macos-arm64": Platform("aarch64-macos.11.0", "macosx_11_0_arm64", _ARM, link=_DARWIN),
    "windows-amd64": Platform("x86_64-windows-gnu", "win_amd64", _X86, ".pyd", _WINDOWS),
    "windows-arm64": Platform("aarch64-windows-gnu", "win_arm64", _ARM, ".pyd", _WINDOWS),
}
NATIVE_FLAGS = (
    *("-std=gnu11", "-O3", "-fPIC", "-fvisibility=hidden", "-ffreestanding", "-fno-builtin", "-g0", "-fno-math-errno"),
    *("-Wall", "-Wextra", "-Werror", "-Wno-psabi"),
    *("-fno-unwind-tables", "-fno-asynchronous-unwind-tables"),  # no exception passes through the kernels
)
# As in COMMON_FLAGS, for clang only: unrolled remainders make modules a third larger. Only the innermost loops of these
# sources are faster with them, by 4 to 40 %.
ZIG_FLAGS = ("-fno-vectorize", "-fno-slp-vectorize")
PLAIN_REMAINDERS = ("-mllvm", "-unroll-runtime=0")
UNROLLED = {"flash", "flash_vjp", "panel", "row", "single", "softmax"}


def host() -> str | None:
    """Return the platform of the running Python, or None if it cannot load native kernels (such as free-threaded)."""
    system = {"linux": "linux", "darwin": "macos", "win32": "windows"}.get(sys.platform, "")
    name = f"{system}-{platform.machine()}".lower()
    gil = sys.implementation.name == "cpython" and "free-threading" not in sys.version
    return name if name in PLATFORMS and gil and sys.maxsize > 2**32 else None


def has_zig() -> bool:
    """Return whether ziglang is installed for the running Python."""
    return importlib.util.find_spec("ziglang") is not None


def wheel_platform(name: str) -> str:
    """Return the platform tag of a wheel with the modules that `build_native` builds."""
    # Compilers other than Zig use the libraries of this machine.
    return PLATFORMS[name].tag if has_zig() else re.sub(r"[-.]", "_", sysconfig.get_platform())


def _zig(*command: str) -> list[str]:
    return [sys.executable, "-m", "ziglang", *command]


def _python_library(target: Platform) -> list[str]:
    """Build the import library that Windows needs to resolve names, with the declarations of `pyabi.h`."""
    if target.suffix != ".pyd":
        return []
    header = (SOURCES / "python" / "pyabi.h").read_text()
    declared = re.findall(r"^PYTHON(_DATA)? .*?\b(\w+)(?:\(.*\))?;$", header, re.MULTILINE)
    names = [name + (" DATA" if data else "") for data, name in declared]
    text = "\n".join(["LIBRARY python3.dll", "EXPORTS", *names, ""])
    definition = CACHE / f"python3-{hashlib.sha256(text.encode()).hexdigest()[:32]}.def"
    definition.parent.mkdir(parents=True, exist_ok=True)
    definition.write_text(text)
    machine = {"x86_64": "i386:x86-64", "aarch64": "arm64"}[target.target.split("-")[0]]
    tool = _zig("dlltool", "-m", machine, "-d", str(definition), "-l")
    return [str(_cached(f"python3-{machine[-2:]}.lib", tool, [], [definition], output=()))]


def build_native(name: str | None, output: Path | None = None) -> list[Path]:
    """Build the kernels for one of `PLATFORMS` into `output` (default: the package's `simd` folder).

    The compiler is ziglang. Without ziglang, it is ``$CC``, cc, gcc or clang, which build only for this machine; `name`
    must then be the result of `host`.

    Returns:
        The file that was written, ``kernels.abi3.so``. It contains a Python module for each instruction set.

    Raises:
        RuntimeError: There is no compiler, it failed, or the platform is unknown.
    """
    if name not in PLATFORMS:
        raise RuntimeError("there are no native kernels for this Python" if name is None else f"no platform {name!r}")
    goal, output = PLATFORMS[name], output or SOURCES.parent
    output.mkdir(parents=True, exist_ok=True)
    compiler, link = _toolchain(name)
    included = headers()

    def compiled(unit: Unit, where: str, *flags: str) -> Path:
        command = [*compiler, *flags, *_remainders(unit), *unit.flags, "-c"]
        return _cached(f"{unit.name}-{where}.o", command, [unit.source], [unit.source, *included])

    units = modules()["kernels"]
    once = [unit for unit in units if unit.source.parent != SOURCES and unit.name not in IN_EACH_SET]
    found = [(unit.source.stem, "", compiled(unit, name)) for unit in once]
    for instructions, (cpu, level) in goal.sets.items():
        shared = NARROW if instructions == "avx512" else frozenset()
        which = [f"-DSET=_{instructions}", *(f"-D{f}_avx512={f}_avx2" for f in _functions(shared))]
        for unit in units:
            if unit.name in IN_EACH_SET:
                flags = [*which, f"-DLEVEL={level}"]
            elif unit in once or unit.source.stem in shared:
                continue
            else:
                # Processors before 2013 get the small code of every kernel, which saves a fifth of it.
                small = instructions == "sse4" or unit.source.stem in SMALL
                flags = [*which, _cpu_flag(cpu), *(["-Os"] if small else [])]
            found.append((unit.source.stem, instructions, compiled(unit, f"{name}-{instructions}", *flags)))
    # What is compiled from one source is alike. Side by side, it takes an eighth less in the compressed wheel.
    objects = [path for _, _, path in sorted(found)]
    linked = _cached(f"{name}-kernels{goal.suffix}", [*link, *_python_library(goal)], objects, objects)
    return [_install(linked, output / f"kernels{goal.suffix}")]


def _functions(stems: Iterable[str]) -> list[str]:
    """Return the names, with the dtype, of the functions that other files can call in these sources."""
    declared = "|".join(
        re.findall(r"^#define (\w+) K\(\1\)$", "\n".join(f.read_text() for f in headers()), re.MULTILINE)
    )
    found = []
    for stem in sorted(stems):
        text = (SOURCES / f"{stem}.c").read_text()
        found += [f"kernel_{name}" for name in re.findall(r"^Status KERNEL\((\w+)\)", text, re.MULTILINE)]
        found += re.findall(rf"^\w[\w *]*\b({declared})\(", text, re.MULTILINE)
    return [f"{name}_{dtype}" for name in found for dtype in ELEMENTS]


def _toolchain(name: str) -> tuple[list[str], list[str]]:
    """Return the commands that compile and link for a platform."""
    goal = PLATFORMS[name]
    if has_zig():
        zig = _zig("cc", "-target", goal.target)
        return [*zig, *NATIVE_FLAGS, *ZIG_FLAGS], [*zig, "-shared", "-s", *goal.link]
    compiler = _host_compiler(name)
    return [*compiler, *NATIVE_FLAGS], [*compiler, "-shared", *(_DARWIN[1:] if sys.platform == "darwin" else ["-s"])]


def _remainders(unit: Unit) -> tuple[str, ...]:
    return PLAIN_REMAINDERS if has_zig() and unit.source.stem not in UNROLLED else ()


def _cpu_flag(cpu: str) -> str:
    if has_zig() or cpu == "generic":
        return f"-mcpu={cpu}"
    return "-march=" + cpu.replace("_", "-")  # x86-64-v3, ...


def _host_compiler(name: str) -> list[str]:
    command = next((c for c in (os.environ.get("CC"), "cc", "gcc", "clang") if c and shutil.which(c.split()[0])), None)
    if command is None or name != host():
        raise RuntimeError(f"no compiler for {name}: ziglang is not installed")
    return shlex.split(command)


def build_sanitized(sanitizers: str = "address,undefined") -> Path:
    """Build the kernels for this machine with AddressSanitizer and UndefinedBehaviorSanitizer, or "thread", for tests.

    The compiler must provide the sanitizers' libraries. The Python that loads the result must be started with
    AddressSanitizer's library preloaded.
    """
    flags = ["-std=gnu11", "-O1", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror", "-Wno-psabi", "-g"]
    flags += ["-fno-omit-frame-pointer", f"-fsanitize={sanitizers}", "-fno-sanitize-recover=undefined"]
    command, included = [*_host_compiler(host() or ""), *flags], headers()
    objects = [
        _cached(f"{unit.name}-sanitized.o", [*command, *unit.flags, "-c"], [unit.source], [unit.source, *included])
        for unit in modules()["kernels"]
    ]
    return _cached("kernels_sanitized.so", [*command, "-shared"], objects, objects)


def main(what: str = "wasm", folder: str | None = None) -> None:
    """Build, and print the files that were written."""
    output = Path(folder) if folder else None
    written = build(output) if what == "wasm" else build_native(host() or "" if what == "host" else what, output)
    for path in written:
        print(f"{path}  {path.stat().st_size} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])

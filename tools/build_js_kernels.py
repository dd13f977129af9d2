"""Compile the kernels for JavaScript: freestanding WebAssembly without Python, into build/js-kernels.

The sources are those of the Python library (`src/graphattend/simd/kernels`) and the two files of js/kernels that stand
in for CPython and NumPy. What is exported is declared in js/src/kernels/entries.ts. Building again without a change
does nothing; the same sources give the same bytes.
"""

import hashlib
import importlib.util
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
HERE = ROOT / "js" / "kernels"
OUTPUT = ROOT / "build" / "js-kernels"
ENTRIES = ROOT / "js" / "src" / "kernels" / "entries.ts"
STAMP = OUTPUT / "stamp"
#: Python's module itself, the probing of native processors, and what only NumPy needs.
LEFT_OUT = re.compile(r"module|cpu|ufunc_.*")
#: Functions of host.c.
HOST = (
    *("array_axes", "array_bytes", "begin", "describe", "failure", "kind_of", "most_axes", "none", "number_bytes"),
    *("number_value", "out_of_memory", "setup", "truth"),
)
#: 2 GiB, so that no difference of addresses overflows; the stack lies below the data and cannot run into it.
LINK = ("--no-entry", "--gc-sections", "--strip-all", "--stack-first", "--max-memory=2147483648", "--fatal-warnings")


def python_build() -> ModuleType:
    """The build of Python's modules: flags and instruction sets are the same."""
    path = ROOT / "src" / "graphattend" / "simd" / "kernels" / "build.py"
    spec = importlib.util.spec_from_file_location("graphattend_kernels_build", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def entries() -> list[str]:
    """The entry points that JavaScript calls, from their declaration."""
    return re.findall(r"^  (\w+): \[", ENTRIES.read_text(), re.MULTILINE)


def sources() -> list[Path]:
    """What the modules are made from."""
    folder = ROOT / "src" / "graphattend" / "simd" / "kernels"
    return [*(f for f in sorted(folder.glob("*.c")) if not LEFT_OUT.fullmatch(f.stem)), *sorted(HERE.glob("*.c"))]


def fingerprint() -> str:
    """Hash of all that the modules depend on."""
    headers = sorted((ROOT / "src" / "graphattend" / "simd" / "kernels").glob("*.h"))
    build = ROOT / "src" / "graphattend" / "simd" / "kernels" / "build.py"
    digest = hashlib.sha256()
    for path in [*sources(), *headers, build, ENTRIES, Path(__file__)]:
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _run(*command: str) -> None:
    done = subprocess.run([sys.executable, "-m", "ziglang", *command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


def build() -> list[Path]:
    """Build both modules unless they are up to date; their paths."""
    python = python_build()
    built = [OUTPUT / f"kernels_{variant}.wasm" for variant in python.VARIANTS]
    wanted = fingerprint()
    if all(path.exists() for path in built) and STAMP.exists() and STAMP.read_text() == wanted:
        return built
    OUTPUT.mkdir(parents=True, exist_ok=True)
    flags = [flag for flag in python.COMMON_FLAGS if flag != "-fPIC"]
    include = f"-I{ROOT / 'src' / 'graphattend' / 'simd' / 'kernels'}"
    exports = [f"--export={name}" for name in [*HOST, *(f"kernel_{name}" for name in entries())]]
    with tempfile.TemporaryDirectory(dir=OUTPUT, prefix=".build-") as temporary:
        for variant, extra in python.VARIANTS.items():
            cpu = "+".join(["generic", "simd128", "bulk_memory", *extra])
            objects = []
            for source in sources():
                objects.append(str(Path(temporary) / f"{variant}-{source.stem}.o"))
                compiler = ("cc", "-target", "wasm32-freestanding", f"-mcpu={cpu}", *flags, "-ffunction-sections")
                _run(*compiler, "-fdata-sections", include, "-c", str(source), "-o", objects[-1])
            fresh = Path(temporary) / f"kernels_{variant}.wasm"
            _run("wasm-ld", *LINK, *exports, *objects, "-o", str(fresh))
            fresh.replace(OUTPUT / fresh.name)
    STAMP.write_text(wanted)
    return built


if __name__ == "__main__":
    for module in build():
        print(module)

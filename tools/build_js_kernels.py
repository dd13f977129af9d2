"""Compile the kernels for JavaScript: freestanding WebAssembly without Python, into build/js-kernels.

The sources are the float32 kernels of the Python library and the two files of js/kernels that call them. The kernels
are declared in kernels.def and js/kernels/steps.def; js/src/kernels/entries.gen.ts contains the declarations of the
kernels that TypeScript calls (``--check`` checks that it is current). Nothing is built if the sources are unchanged;
equal sources give equal bytes.
"""

import hashlib
import importlib.util
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
KERNELS = ROOT / "src" / "graphattend" / "simd" / "kernels"
HERE = ROOT / "js" / "kernels"
OUTPUT = ROOT / "build" / "js-kernels"
ENTRIES = ROOT / "js" / "src" / "kernels" / "entries.gen.ts"
STAMP = OUTPUT / "stamp"
DECLARATIONS = (KERNELS / "kernels.def", HERE / "steps.def")
#: Functions of host.c.
HOST = (*("arguments", "array_axes", "array_bytes", "begin", "describe", "kind_of", "most_axes", "numbers", "problem"),)
#: 2 GiB, so that no difference of addresses overflows. The stack lies below the data and cannot overwrite it.
LINK = ("--no-entry", "--gc-sections", "--strip-all", "--stack-first", "--max-memory=2147483648", "--fatal-warnings")
HEADER = """// Written by tools/build_js_kernels.py from kernels.def and js/kernels/steps.def; do not edit.

/** The kernels that are called, each with its operands in order; `?` marks one that may be null. */
export const ENTRIES = {
"""


def python_build() -> ModuleType:
    """Return the module that builds Python's kernels; flags and instruction sets are the same."""
    path = KERNELS / "build.py"
    spec = importlib.util.spec_from_file_location("graphattend_kernels_build", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def entries() -> dict[str, list[str]]:
    """Return every declared kernel with its operands."""
    found: dict[str, list[str]] = {}
    for path in DECLARATIONS:
        text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
        for name in re.findall(r"^KERNEL_BEGIN\((\w+)\)", text, re.MULTILINE):
            pattern = rf"^OPERAND\({name}, (\w+), \w+, \d+, \d+, (\w+)\)"
            operands = re.findall(pattern, text, re.MULTILINE)
            found[name] = [operand + "?" * use.startswith("MAYBE") for operand, use in operands]
    return found


def called() -> list[str]:
    """Return the kernels that TypeScript calls; the module contains only these."""
    code = "".join(path.read_text() for path in sorted(ENTRIES.parent.glob("*.ts")))
    return [name for name in entries() if re.search(rf'\b(call|must)\(\s*"{name}"', code)]


def declaration() -> str:
    """Return the declarations of the kernels that TypeScript calls, for its types."""
    used = called()
    lines = [f"  {name}: {json.dumps(operands)},\n" for name, operands in entries().items() if name in used]
    return HEADER + "".join(lines) + "} as const;\n"


def sources() -> list[Path]:
    """Return the C sources of the modules."""
    once = [f for f in sorted(KERNELS.glob("*.c")) if not f.name.startswith("ufunc_")]
    return [*once, *sorted((KERNELS / "host").glob("*.c")), *sorted(HERE.glob("*.c"))]


def fingerprint() -> str:
    """Return the hash of all files that the modules depend on."""
    headers = sorted([*KERNELS.rglob("*.h"), *HERE.glob("*.h"), *DECLARATIONS])
    digest = hashlib.sha256()
    digest.update(" ".join(called()).encode())
    for path in [*sources(), *headers, KERNELS / "build.py", Path(__file__)]:
        digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _run(*command: str) -> None:
    done = subprocess.run([sys.executable, "-m", "ziglang", *command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")


def build() -> list[Path]:
    """Build both modules unless they are up to date, and return their paths."""
    python = python_build()
    built = [OUTPUT / f"kernels_{variant}.wasm" for variant in python.VARIANTS]
    wanted = fingerprint()
    if all(path.exists() for path in built) and STAMP.exists() and STAMP.read_text() == wanted:
        return built
    OUTPUT.mkdir(parents=True, exist_ok=True)
    flags = [flag for flag in python.COMMON_FLAGS if flag != "-fPIC"]
    exports = [f"--export={name}" for name in [*HOST, *(f"call_{name}" for name in called())]]
    with tempfile.TemporaryDirectory(dir=OUTPUT, prefix=".build-") as temporary:
        for variant, extra in python.VARIANTS.items():
            cpu = "+".join(["generic", "simd128", "bulk_memory", *extra])
            objects = []
            for source in sources():
                objects.append(str(Path(temporary) / f"{variant}-{source.stem}.o"))
                compiler = (
                    "cc",
                    "-target",
                    "wasm32-freestanding",
                    f"-mcpu={cpu}",
                    *flags,
                    "-DFOR_PAGES",
                    "-ffunction-sections",
                )
                _run(*compiler, "-fdata-sections", "-c", str(source), "-o", objects[-1])
            fresh = Path(temporary) / f"kernels_{variant}.wasm"
            _run("wasm-ld", *LINK, *exports, *objects, "-o", str(fresh))
            fresh.replace(OUTPUT / fresh.name)
    STAMP.write_text(wanted)
    return built


def main() -> None:
    """Build, or check the declaration."""
    if "--check" in sys.argv[1:]:
        if ENTRIES.read_text() != declaration():
            sys.exit(f"{ENTRIES.relative_to(ROOT)} is stale: run tools/build_js_kernels.py")
        return
    if not ENTRIES.exists() or ENTRIES.read_text() != declaration():
        ENTRIES.write_text(declaration())
    for module in build():
        print(module)


if __name__ == "__main__":
    main()

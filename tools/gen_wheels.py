"""Write the table of wheels in CONTRIBUTING.md: what is in each, how large it is, which libraries it needs, and who checks it.

    .venv/bin/python tools/gen_wheels.py                 # build the wheels of all platforms and write the table
    .venv/bin/python tools/gen_wheels.py linux-x86_64    # only the rows of these; the others stay
    .venv/bin/python tools/gen_wheels.py --check         # fail if a row is stale; sizes may differ by a few percent

A compiler's version changes a wheel by some bytes, so that only larger changes of its size make a row stale.
"""

import io
import re
import struct
import sys
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import build_wheel
import pefile
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile

PAGE = build_wheel.ROOT / "CONTRIBUTING.md"
START, END = "<!-- wheels:start -->", "<!-- wheels:end -->"
HEADER = ("wheel", "bytes", "instruction sets", "libraries", "checked by")
#: A cell of a wheel that was not built.
UNKNOWN = "–"
#: Relative difference of sizes that does not make a row stale.
TOLERANCE = 0.03
#: Title and checks by the name of the build.
WHEELS = {
    "universal": ("Pyodide, and every other Python", "the whole suite in Node.js and Chromium"),
    "linux-x86_64": ("Linux x86-64 (glibc 2.17, musl)", "the whole suite; abi3audit, auditwheel"),
    "linux-aarch64": ("Linux aarch64 (glibc 2.17, musl)", "the suite under qemu-user; abi3audit, auditwheel"),
    "macos-x86_64": ("macOS 11 x86-64", "abi3audit"),
    "macos-arm64": ("macOS 11 arm64", "abi3audit"),
    "windows-amd64": ("Windows x86-64", "abi3audit"),
    "windows-arm64": ("Windows arm64", "abi3audit"),
}
SETS = {
    "relaxed": "relaxed SIMD",
    "simd128": "SIMD128",
    "avx512": "AVX-512",
    "avx2": "AVX2",
    "sse4": "SSE4",
    "neon": "NEON",
}
#: Mach-O: the magic number of 64-bit files, the commands that load a library, and the sizes of the headers.
MACH_O, LOAD_LIBRARY, MACH_HEADER = 0xFEEDFACF, {0xC, 0x80000018, 0x8000001F}, 32


class Row(NamedTuple):
    """One wheel; its size is 0 if it was not built."""

    title: str
    size: int
    sets: str
    libraries: str
    checks: str

    def cells(self) -> list[str]:
        """Return the row's cells as Markdown."""
        size = f"{self.size:,}".replace(",", " ") if self.size else UNKNOWN
        return [self.title, size, self.sets, self.libraries, self.checks]


def libraries(binary: bytes) -> list[str]:
    """Return the names of the shared libraries that a module of any system loads."""
    if binary.startswith(b"\x7fELF"):
        sections = ELFFile(io.BytesIO(binary)).iter_sections()
        dynamic = [s for s in sections if isinstance(s, DynamicSection)]
        return [tag.needed for section in dynamic for tag in section.iter_tags("DT_NEEDED")]
    if binary.startswith(b"MZ"):
        found = getattr(pefile.PE(data=binary), "DIRECTORY_ENTRY_IMPORT", [])
        return sorted(entry.dll.decode() for entry in found)
    magic, *_, count, _, _, _ = struct.unpack_from("<8I", binary)
    if magic != MACH_O:
        raise ValueError("expected a module of Linux, macOS or Windows")
    found, at = [], MACH_HEADER
    for _ in range(count):
        command, length, name = struct.unpack_from("<3I", binary, at)
        if command in LOAD_LIBRARY:
            found.append(binary[at + name : at + length].rstrip(b"\0").decode())
        at += length
    return found


def described(name: str, wheel: Path) -> Row:
    """Read a wheel's row from the wheel itself."""
    title, checks = WHEELS[name]
    with zipfile.ZipFile(wheel) as archive:
        modules = {n: archive.read(n) for n in archive.namelist() if n.endswith((".so", ".pyd", ".wasm"))}
    # A wheel's sets are in the names of its modules, or one module has a function for each.
    has = [s for s in SETS if any(s in n or f"_{s}".encode() in data for n, data in modules.items())]
    native = [data for n, data in modules.items() if not n.endswith(".wasm")]
    needed = sorted({library for data in native for library in libraries(data)})
    return Row(title, wheel.stat().st_size, named(has), ", ".join(needed) or "none", checks)


def named(sets: Iterable[str]) -> str:
    """Return instruction sets in a reader's words."""
    return ", ".join(SETS[name] for name in sets)


def expected(name: str) -> Row:
    """Return the row of a wheel that was not built."""
    title, checks = WHEELS[name]
    goal = build_wheel.kernel_builder().PLATFORMS.get(name)
    return Row(title, 0, named(goal.sets if goal else ("relaxed", "simd128")), UNKNOWN, checks)


def rows(text: str) -> dict[str, Row]:
    """Return the rows of the page by their titles."""
    table = text.partition(START)[2].partition(END)[0]
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line[:1] == "|"]
    return {title: Row(title, int(re.sub(r"\D", "", size) or 0), *rest) for title, size, *rest in found[2:]}


def is_fresh(name: str, wheel: Path) -> bool:
    """Return whether the page says of a wheel what is in it, and nearly its size."""
    now, said = described(name, wheel), rows(PAGE.read_text("utf-8")).get(WHEELS[name][0])
    return said is not None and said._replace(size=now.size) == now and abs(said.size / now.size - 1) <= TOLERANCE


def written(text: str, found: list[Row]) -> str:
    """Return the page with the table of these wheels."""
    table = [HEADER, ("---", "---:", "---", "---", "---"), *(row.cells() for row in found)]
    before, _, rest = text.partition(START)
    lines = "\n".join(f"| {' | '.join(cells)} |" for cells in table)
    return f"{before}{START}\n{lines}\n{END}{rest.partition(END)[2]}"


def main() -> None:
    """Write or check."""
    names = [name for name in sys.argv[1:] if name != "--check"] or list(WHEELS)
    if unknown := set(names) - set(WHEELS):
        sys.exit(f"No wheel {', '.join(sorted(unknown))}; there are {', '.join(WHEELS)}")
    wheels = {name: build_wheel.build(name) for name in names}
    if "--check" in sys.argv[1:]:
        if stale := [name for name, wheel in wheels.items() if not is_fresh(name, wheel)]:
            sys.exit(f"{PAGE.name}: out of date: {', '.join(stale)}; run tools/gen_wheels.py")
        return
    text = PAGE.read_text("utf-8")
    known = {name: rows(text).get(title, expected(name)) for name, (title, _) in WHEELS.items()}
    new = known | {name: described(name, wheel) for name, wheel in wheels.items()}
    PAGE.write_text(written(text, list(new.values())), "utf-8")


if __name__ == "__main__":
    main()

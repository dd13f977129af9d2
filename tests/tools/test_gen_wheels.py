"""The table of wheels in CONTRIBUTING.md."""

import struct
import zipfile
from pathlib import Path

import build_wheel
import gen_wheels
import numpy as np
import pytest

pytestmark = pytest.mark.native

LIBRARY = b"/usr/lib/libSystem.B.dylib\0\0"
#: A file of macOS with two commands: a segment's, and one that loads a library.
MACH_O = (
    struct.pack("<8I", 0xFEEDFACF, 0x0100000C, 0, 8, 2, 0, 0, 0)
    + struct.pack("<4I", 0x19, 16, 0, 0)
    + struct.pack("<6I", 0xC, 24 + len(LIBRARY), 24, 2, 0x10000, 0x10000)
    + LIBRARY
)


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    """Return a wheel with a module of two instruction sets."""
    path = tmp_path / "graphattend-0-cp311-abi3-macosx_11_0_x86_64.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("graphattend/simd/kernels.abi3.so", MACH_O + b"PyInit__kernels_avx512 PyInit__kernels_avx2")
        archive.writestr("graphattend/data.bin", bytes(10_000))
    return path


def test_libraries_of_macos() -> None:
    assert gen_wheels.libraries(MACH_O) == ["/usr/lib/libSystem.B.dylib"]


def test_libraries_of_this_machine() -> None:
    found = gen_wheels.libraries(Path(np._core._multiarray_umath.__file__).read_bytes())
    assert {"libc.so.6", "/usr/lib/libSystem.B.dylib"} & set(found)


def test_what_is_no_module_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a module"):
        gen_wheels.libraries(bytes(64))


def test_the_page_says_what_is_in_the_wheel(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = gen_wheels.described("macos-x86_64", wheel)
    assert (row.sets, row.libraries) == ("AVX-512, AVX2", "/usr/lib/libSystem.B.dylib")
    page = tmp_path / "page.md"
    monkeypatch.setattr(gen_wheels, "PAGE", page)

    def fresh(said: gen_wheels.Row) -> bool:
        page.write_text(gen_wheels.written("before\n<!-- wheels:start -->\n<!-- wheels:end -->\nafter\n", [said]))
        return gen_wheels.is_fresh("macos-x86_64", wheel)

    assert fresh(row)
    assert page.read_text().startswith("before\n")
    assert page.read_text().endswith("\nafter\n")
    assert fresh(row._replace(size=round(row.size * 1.02)))
    assert not fresh(row._replace(size=round(row.size * 1.05)))
    assert not fresh(row._replace(sets="AVX2"))
    assert not fresh(row._replace(libraries="none"))
    assert not fresh(row._replace(title="another"))


def test_each_platform_has_a_row() -> None:
    assert set(gen_wheels.WHEELS) == {"universal", *build_wheel.kernel_builder().PLATFORMS}
    assert set(gen_wheels.rows(gen_wheels.PAGE.read_text("utf-8"))) == {
        title for title, _ in gen_wheels.WHEELS.values()
    }

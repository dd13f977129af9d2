"""The recipe for NumPy's WASM-SIMD build: its CBLAS against NumPy, and consistent parts. These tests do not build it."""

import ctypes
import hashlib
import importlib.util
import itertools
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.native

ROOT = Path(__file__).resolve().parent.parent
RECIPE = ROOT / "recipes" / "numpy"
ROW, COLUMN = 101, 102
PLAIN, TRANSPOSED, CONJUGATE = 111, 112, 113
LETTERS = {"s": np.float32, "d": np.float64, "c": np.complex64, "z": np.complex128}
TOLERANCE = {"s": 1e-4, "d": 1e-12, "c": 1e-4, "z": 1e-12}


@pytest.fixture(scope="module")
def blas(tmp_path_factory):
    """Compile the CBLAS for this machine from the sources that the recipe compiles for WebAssembly."""
    pytest.importorskip("ziglang")
    folder = tmp_path_factory.mktemp("blas")
    kernels = ROOT / "src" / "graphattend" / "simd" / "kernels"
    compiler = [
        sys.executable,
        "-m",
        "ziglang",
        "cc",
        "-std=gnu11",
        "-O2",
        "-fPIC",
        "-fno-sanitize=undefined",
        f"-I{kernels}",
    ]
    objects = []
    for source in (RECIPE / "blas" / "cblas.c", kernels / "gemm.c", kernels / "rows.c"):
        for kind in ([], ["-DF64"]):
            objects.append(str(folder / f"{source.stem}{len(kind)}.o"))
            subprocess.run([*compiler, *kind, "-c", str(source), "-o", objects[-1]], check=True)
    library = folder / "blas.so"
    subprocess.run([sys.executable, "-m", "ziglang", "cc", "-shared", *objects, "-o", str(library)], check=True)
    return ctypes.CDLL(str(library))


def scalar(letter, value):
    """Return a number as CBLAS takes it: by value if real, by address if complex."""
    if letter in "cz":
        return np.array(value, LETTERS[letter]).ctypes.data_as(ctypes.c_void_p)
    return (ctypes.c_float if letter == "s" else ctypes.c_double)(value)


def at(a, offset=0):
    return ctypes.c_void_p(a.ctypes.data + offset * a.itemsize)


def made(rng, letter, *shape):
    a = rng.standard_normal(shape)
    return (a + 1j * rng.standard_normal(shape) if letter in "cz" else a).astype(LETTERS[letter])


def stored(a, order, extra):
    """Store a matrix with a leading dimension larger than needed; return the array and that dimension."""
    a = a if order == ROW else a.T
    room = np.zeros((a.shape[0], a.shape[1] + extra), a.dtype)
    room[:, : a.shape[1]] = a
    return room, max(room.shape[1], 1)


def applied(a, transpose):
    return {PLAIN: a, TRANSPOSED: a.T, CONJUGATE: a.conj().T}[transpose]


@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.parametrize("order", [ROW, COLUMN])
@pytest.mark.parametrize("ta", [PLAIN, TRANSPOSED, CONJUGATE])
@pytest.mark.parametrize("tb", [PLAIN, TRANSPOSED, CONJUGATE])
def test_gemm(blas, rng, letter, order, ta, tb):
    for m, n, k, alpha, beta, extra in [
        (1, 1, 1, 1, 0, 0),
        (3, 5, 7, 1, 0, 2),
        (17, 33, 65, 1, 1, 1),
        (9, 4, 300, -0.5, 2, 0),
        (40, 50, 3, 1, 0, 3),
        (5, 6, 0, 1, 0.5, 0),
    ]:
        a, b, c = made(rng, letter, m, k), made(rng, letter, k, n), made(rng, letter, m, n)
        given_a, lda = stored(applied(a, ta), order, extra)
        given_b, ldb = stored(applied(b, tb), order, extra)
        given_c, ldc = stored(c, order, extra)
        numbers = [scalar(letter, x) for x in (alpha, beta)]
        call = [order, ta, tb, m, n, k, numbers[0], at(given_a), lda, at(given_b), ldb, numbers[1], at(given_c), ldc]
        getattr(blas, f"cblas_{letter}gemm")(*call)
        found = given_c[:, : given_c.shape[1] - extra]
        found = found if order == ROW else found.T
        wanted = alpha * a.astype(np.complex128) @ b + beta * c
        np.testing.assert_allclose(found, wanted, atol=TOLERANCE[letter] * max(k, 1) ** 0.5)
        assert not given_c[:, given_c.shape[1] - extra :].any() if extra else True


def test_gemm_with_beta_zero_overwrites_nan(blas, rng):
    a, b = made(rng, "s", 4, 5), made(rng, "s", 5, 6)
    c = np.full((4, 6), np.nan, np.float32)
    numbers = ctypes.c_float(1), ctypes.c_float(0)
    blas.cblas_sgemm(ROW, PLAIN, PLAIN, 4, 6, 5, numbers[0], at(a), 5, at(b), 6, numbers[1], at(c), 6)
    np.testing.assert_allclose(c, a @ b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.parametrize("order", [ROW, COLUMN])
@pytest.mark.parametrize("transpose", [PLAIN, TRANSPOSED, CONJUGATE])
@pytest.mark.parametrize(("step_x", "step_y"), [(1, 1), (2, 3), (-1, -2)])
def test_gemv(blas, rng, letter, order, transpose, step_x, step_y):
    for rows, columns, alpha, beta in [(1, 1, 1, 0), (7, 13, 1, 0), (70, 37, -0.5, 2), (4, 0, 1, 0.5)]:
        a = made(rng, letter, rows, columns)
        m, n = (rows, columns) if transpose == PLAIN else (columns, rows)
        x, y = made(rng, letter, n), made(rng, letter, m)
        room_x = np.zeros(max(n, 1) * abs(step_x), x.dtype)
        room_y = np.zeros(max(m, 1) * abs(step_y), x.dtype)
        room_x[:: abs(step_x)][:n] = x[:: 1 if step_x > 0 else -1]
        room_y[:: abs(step_y)][:m] = y[:: 1 if step_y > 0 else -1]
        given, lda = stored(a, order, 2)
        numbers = [scalar(letter, v) for v in (alpha, beta)]
        call = [
            order,
            transpose,
            rows,
            columns,
            numbers[0],
            at(given),
            lda,
            at(room_x),
            step_x,
            numbers[1],
            at(room_y),
            step_y,
        ]
        getattr(blas, f"cblas_{letter}gemv")(*call)
        found = room_y[:: abs(step_y)][:m][:: 1 if step_y > 0 else -1]
        np.testing.assert_allclose(found, alpha * (applied(a, transpose) @ x) + beta * y, atol=20 * TOLERANCE[letter])


@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.parametrize("order", [ROW, COLUMN])
@pytest.mark.parametrize("triangle", [121, 122])
@pytest.mark.parametrize("transpose", [PLAIN, TRANSPOSED])
def test_syrk(blas, rng, letter, order, triangle, transpose):
    n, k = 150, 40
    a = made(rng, letter, n, k)
    given, lda = stored(a if transpose == PLAIN else a.T, order, 1)
    c = np.zeros((n, n), a.dtype)
    numbers = [scalar(letter, v) for v in (1, 0)]
    call = [order, triangle, transpose, n, k, numbers[0], at(given), lda, numbers[1], at(c), n]
    getattr(blas, f"cblas_{letter}syrk")(*call)
    found = c if order == ROW else c.T
    part = np.triu_indices(n) if triangle == 121 else np.tril_indices(n)
    np.testing.assert_allclose(found[part], (a @ a.T)[part], atol=20 * TOLERANCE[letter])


@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.parametrize(("step_x", "step_y"), [(1, 1), (3, 2), (-2, 1)])
def test_dot_and_axpy(blas, rng, letter, step_x, step_y):
    for n in (0, 1, 5, 64, 301):
        x, y = made(rng, letter, n), made(rng, letter, n)
        room_x, room_y = np.zeros(max(n, 1) * abs(step_x), x.dtype), np.zeros(max(n, 1) * abs(step_y), x.dtype)
        room_x[:: abs(step_x)][:n] = x[:: 1 if step_x > 0 else -1]
        room_y[:: abs(step_y)][:n] = y
        if letter in "sd":
            function = getattr(blas, f"cblas_{letter}dot")
            function.restype = ctypes.c_float if letter == "s" else ctypes.c_double
            found = {"dot": function(n, at(room_x), step_x, at(room_y), step_y)}
        else:
            found = {}
            for name in ("dotu_sub", "dotc_sub"):
                out = np.zeros(1, x.dtype)
                getattr(blas, f"cblas_{letter}{name}")(n, at(room_x), step_x, at(room_y), step_y, at(out))
                found[name] = out[0]
        for name, value in found.items():
            wanted = np.vdot(x, y) if name == "dotc_sub" else x @ y
            np.testing.assert_allclose(value, wanted, atol=20 * TOLERANCE[letter])
        getattr(blas, f"cblas_{letter}axpy")(n, scalar(letter, 1.5), at(room_x), step_x, at(room_y), step_y)
        np.testing.assert_allclose(room_y[:: abs(step_y)][:n], y + 1.5 * x, atol=TOLERANCE[letter])


RADIX = """
#include "wasm_radix.hpp"
using namespace np::wasm_sort;
#define EACH(T)                                                                                              \\
    extern "C" bool sort_##T(T *x, size_t n, bool down)                                                      \\
    {                                                                                                        \\
        return down ? radix_sort<T, true>(x, n) : radix_sort<T, false>(x, n);                                \\
    }                                                                                                        \\
    extern "C" bool argsort_##T(const T *x, intptr_t *indices, size_t n, bool down)                          \\
    {                                                                                                        \\
        return down ? radix_argsort<T, true>(x, indices, n) : radix_argsort<T, false>(x, indices, n);        \\
    }
EACH(int32_t) EACH(uint32_t) EACH(int64_t) EACH(uint64_t) EACH(float) EACH(double)
"""
NUMBERS = {
    "int32_t": np.int32,
    "uint32_t": np.uint32,
    "int64_t": np.int64,
    "uint64_t": np.uint64,
    "float": np.float32,
    "double": np.float64,
}


def created(patch, name):
    """Return a file that a patch creates."""
    _, _, rest = patch.read_text("utf-8").partition(f"+++ b/{name}\n")
    lines = itertools.takewhile(lambda line: line.startswith("+"), rest.splitlines()[1:])
    return "".join(f"{line[1:]}\n" for line in lines)


@pytest.fixture(scope="module")
def radix(tmp_path_factory):
    """Compile the radix sort of NumPy's patches, the same for every version, for this machine."""
    pytest.importorskip("ziglang")
    patches = sorted(RECIPE.glob("patches/*/0004-*.patch"))
    (header,) = {created(patch, "numpy/_core/src/npysort/wasm_radix.hpp") for patch in patches}
    folder = tmp_path_factory.mktemp("radix")
    (folder / "wasm_radix.hpp").write_text(header, "utf-8")
    (folder / "radix.cpp").write_text(RADIX, "utf-8")
    zig = [sys.executable, "-m", "ziglang"]
    flags = ["-std=c++17", "-O2", "-fPIC", "-fno-exceptions", "-fno-rtti", "-Wall", "-Werror"]
    subprocess.run([*zig, "c++", *flags, "-c", "radix.cpp", "-o", "radix.o"], cwd=folder, check=True)
    subprocess.run([*zig, "cc", "-shared", "radix.o", "-o", "radix.so"], cwd=folder, check=True)
    return ctypes.CDLL(str(folder / "radix.so"))


def unsorted(rng, dtype, n):
    """Yield arrays of all kinds: random bits (with NaN of both signs), few values, sorted, all equal."""
    anything = rng.integers(0, 256, n * np.dtype(dtype).itemsize, np.uint8).view(dtype)
    with np.errstate(invalid="ignore"):  # signalling NaN
        anything[anything == 0] = 0  # NumPy treats -0 and 0 as equal
    special = anything.copy()
    if special.dtype.kind == "f":
        special[::3] = rng.choice([np.nan, -np.nan, np.inf, -np.inf, 0, 5e-324], special[::3].size)
    return [anything, special, rng.integers(0, 5, n).astype(dtype), np.sort(anything), np.full(n, 7, dtype)]


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("n", [0, 1, 2, 1000, 70_001])
def test_radix_sort(radix, rng, name, n):
    for x in unsorted(rng, NUMBERS[name], n):
        for down in (False, True):
            turned = (-x if x.dtype.kind == "f" else ~x) if down else x
            wanted = np.argsort(turned, kind="stable")
            indices, found = np.arange(n, dtype=np.intp), x.copy()
            assert getattr(radix, f"argsort_{name}")(at(x), at(indices), ctypes.c_size_t(n), down)
            np.testing.assert_array_equal(indices, wanted)
            assert getattr(radix, f"sort_{name}")(at(found), ctypes.c_size_t(n), down)
            np.testing.assert_array_equal(found, x[wanted])


def test_radix_sort_of_more_than_fits_into_memory_is_refused(radix):
    x, indices = np.zeros(1), np.zeros(1, np.intp)
    for n in (2**62, 2**60):
        assert not radix.argsort_double(at(x), at(indices), ctypes.c_size_t(n), False) & 1
        assert not radix.sort_double(at(x), ctypes.c_size_t(n), False) & 1


def test_every_version_has_its_patches():
    versions = tomllib.loads((RECIPE / "versions.toml").read_text("utf-8"))["numpy"]
    assert {p.name for p in (RECIPE / "patches").iterdir()} == set(versions)
    names = [[p.name for p in sorted((RECIPE / "patches" / v).iterdir())] for v in versions]
    assert names[0] == names[1]
    for version in versions:
        for patch in (RECIPE / "patches" / version).iterdir():
            lines = patch.read_text("utf-8").splitlines()
            for i, line in enumerate(lines):
                if match := re.match(r"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@", line):
                    body = []
                    for following in lines[i + 1 :]:
                        if following.startswith(("@@", "--- ")):
                            break
                        body.append(following[:1] or " ")
                    old, new = (int(n) if n else 1 for n in match.groups())
                    assert (len(body) - body.count("+"), len(body) - body.count("-")) == (old, new), patch.name


def test_recipe_of_pyodide_build(monkeypatch):
    loader = pytest.importorskip("pyodide_build.recipe.loader")
    monkeypatch.setattr(sys.modules["__main__"], "__file__", sys.argv[0], raising=False)  # it reads this attribute
    from pyodide_build.pypabuild import parse_backend_flags

    config = loader.load_recipes(RECIPE.parent, ["numpy"])["numpy"]
    versions = tomllib.loads((RECIPE / "versions.toml").read_text("utf-8"))["numpy"]
    assert config.source.sha256 == versions[config.package.version]
    assert [RECIPE / p for p in config.source.patches] == sorted(
        (RECIPE / "patches" / config.package.version).iterdir()
    )
    flags = parse_backend_flags(config.build.backend_flags)
    for option in ("--cross-file=${MESON_CROSS_FILE}", "-Dblas=graphattend-blas"):
        assert option in flags["setup-args"]
    for given in (config.build.cflags, config.build.cxxflags):
        assert {"-O3", "-msimd128", "-msse4.2"} <= set(given.split())
    assert config.build.ldflags == "-O2"


def test_packages_are_pinned():
    lines = (RECIPE / "debian.lock").read_text().splitlines()
    assert len(lines) > 100
    assert all(re.fullmatch(r"[0-9a-f]{64}  [\w.+%~-]+\.deb", line) for line in lines)
    assert any("emscripten" in line for line in lines)


def test_a_wheel_packs_to_the_same_bytes(tmp_path):
    # Import by path, because other modules are also called build.
    spec = importlib.util.spec_from_file_location("numpy_recipe", RECIPE / "build.py")
    recipe = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recipe)
    package, tree = tmp_path / "numpy", tmp_path / "tree"
    (package / "__pycache__").mkdir(parents=True)
    (package / "__init__.py").write_text("x = 1\n")
    (package / "__pycache__" / "a.pyc").write_bytes(b"x")
    tree.mkdir()
    (tree / "PKG-INFO").write_text("Metadata-Version: 2.4\nName: numpy\nVersion: 2.4.3\nLicense-File: LICENSE.txt\n")
    (tree / "LICENSE.txt").write_text("BSD")
    first, second = (recipe.pack(package, tree, tmp_path / name) for name in "ab")
    assert first.name == "numpy-2.4.3+simd.1-cp314-cp314-pyemscripten_2026_0_wasm32.whl"
    assert hashlib.sha256(first.read_bytes()).digest() == hashlib.sha256(second.read_bytes()).digest()
    import zipfile

    with zipfile.ZipFile(first) as archive:
        names = archive.namelist()
        assert "numpy/__pycache__/a.pyc" not in names
        record = archive.read("numpy-2.4.3+simd.1.dist-info/RECORD").decode().split("\n")
        assert {line.split(",")[0] for line in record if line} == set(names)

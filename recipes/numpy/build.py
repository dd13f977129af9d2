"""Build NumPy for Pyodide with WebAssembly SIMD128, on a machine that reaches Debian, PyPI and npm only.

    python recipes/numpy/build.py [--numpy VERSION] [--work FOLDER] [--out FOLDER] [--relock]

Takes about ten minutes on two cores, most of it NumPy's compilation. Everything that is downloaded is pinned by hash in
``versions.toml`` and ``debian.lock``, and kept in the working folder, by default in the machine's cache. The same
inputs give the same bytes. Where pyodide-build has its cross-build environment, ``pyodide build-recipes numpy
--recipe-dir recipes`` makes the same from ``meta.yaml``.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
import urllib.parse
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(ROOT / "tools")]

import tool_root  # noqa: E402
from distribution import wheels_folder  # noqa: E402
from downloads import only_one  # noqa: E402
from tool_root import BuildError  # noqa: E402

KERNELS = ROOT / "src" / "graphattend" / "simd" / "kernels"
VERSIONS = tomllib.loads((HERE / "versions.toml").read_text("utf-8"))
TAG = "cp314-cp314-pyemscripten_2026_0_wasm32"
LOCAL_VERSION = "simd.1"
SYSCONFIG = "_sysconfigdata__emscripten_wasm32-emscripten.py"


def step(text: str) -> None:
    """Say what comes."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def checked(path: Path, expected: str) -> Path:
    """The file, if it has the expected SHA-256."""
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != expected:
        path.unlink()
        raise BuildError(f"{path.name}: expected sha256 {expected}, found {found}; removed")
    return path


def index() -> str:
    """The package index that pip uses on this machine."""
    command = [sys.executable, "-m", "pip", "config", "get", "global.index-url"]
    found = os.environ.get("PIP_INDEX_URL") or subprocess.run(command, capture_output=True, text=True).stdout.strip()
    return (found or "https://pypi.org/simple").rstrip("/")


def source_distribution(version: str, folder: Path) -> Path:
    """NumPy's source distribution. pip would build it to learn its name, so it is taken from the index itself."""
    path = folder / f"numpy-{version}.tar.gz"
    if not path.exists():
        page_url = f"{index()}/numpy/"
        with urllib.request.urlopen(page_url, timeout=60) as answer:
            page = answer.read().decode()
        found = re.search(rf'href="([^"#]*{re.escape(path.name)})[#"]', page)
        if found is None:
            raise BuildError(f"the package index has no {path.name}")
        with urllib.request.urlopen(urllib.parse.urljoin(page_url, found[1]), timeout=600) as answer:
            path.write_bytes(answer.read())
    return checked(path, VERSIONS["numpy"][version])


def standard_library(folder: Path) -> Path:
    """Pyodide's standard library, out of its npm package: it says how Pyodide's CPython was configured."""
    pyodide = VERSIONS["pyodide"]
    tarball = folder / f"pyodide-{pyodide['version']}.tgz"
    if not tarball.exists():
        subprocess.run(
            ["npm", "pack", "--silent", f"pyodide@{pyodide['version']}"],
            cwd=folder,
            check=True,
            stdout=subprocess.DEVNULL,
        )
    checked(tarball, pyodide["sha256"])
    with tarfile.open(tarball) as archive:
        archive.extract("package/python_stdlib.zip", folder, filter="data")
    return folder / "package" / "python_stdlib.zip"


def patched_tree(sdist: Path, version: str, folder: Path) -> Path:
    """NumPy's sources with the patches of this version."""
    tree = folder / f"numpy-{version}"
    shutil.rmtree(tree, ignore_errors=True)
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    for patch in sorted((HERE / "patches" / version).glob("*.patch")):
        done = subprocess.run(
            ["patch", "-p1", "--fuzz=0", "-s", "-i", str(patch)], cwd=tree, capture_output=True, text=True
        )
        if done.returncode:
            raise BuildError(f"{patch.name} does not apply: {done.stdout.strip()[-300:]}")
    return tree


def python_headers(root: Path, sysconfig: Path) -> None:
    """Give the tool root's pyconfig.h the values of Pyodide's CPython. The tool root compiles nothing for itself."""
    spec = importlib.util.spec_from_file_location("sysconfigdata", sysconfig)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    values: dict[str, Any] = module.build_time_vars

    def line(match: re.Match[str]) -> str:
        indent, name = match[1], match[2]
        if name not in values:
            return match[0]
        value = values[name]
        if value == 0 and not name.startswith("HAVE_DECL_"):
            return f"/* #undef {name} */"
        return f"#{indent}define {name} {value}".rstrip()

    template = (root / "usr/include/x86_64-linux-gnu/python3.14/pyconfig.h").read_text("utf-8")
    text = re.sub(r"^#( *)define (\w+)[^\n]*$", line, template, flags=re.MULTILINE)
    text = re.sub(r"^/\* #( *)undef (\w+) \*/$", line, text, flags=re.MULTILINE)
    (root / "usr/include/python3.14/pyconfig.h").write_text(text, "utf-8")


def prepare(root: Path, tree: Path, stdlib: Path) -> None:
    """Put everything that the build needs into /w of the tool root."""
    w = root / "w"
    for name in ("numpy", "blas", "kernels", "bin", "sysconfigdata"):
        shutil.rmtree(w / name, ignore_errors=True)
    shutil.copytree(tree, w / "numpy")
    shutil.copytree(KERNELS, w / "kernels")
    shutil.copytree(HERE / "blas", w / "blas")
    (w / "sysconfigdata").mkdir()
    with zipfile.ZipFile(stdlib) as archive:
        archive.extract(SYSCONFIG, w / "sysconfigdata")
    python_headers(root, w / "sysconfigdata" / SYSCONFIG)
    (w / "bin").mkdir()
    for name in ("emcc-side", "em++-side"):
        shutil.copy(HERE / "emcc_side.py", w / "bin" / name)
        (w / "bin" / name).chmod(0o755)
    shutil.copy(HERE / "python_cross.sh", w / "bin" / "python-cross")
    (w / "bin" / "python-cross").chmod(0o755)
    shutil.copy(HERE / "pyodide.cross", w / "pyodide.cross")


def compile_blas(root: Path, log: Path) -> None:
    """The CBLAS, from the kernels' sources, as a static library that pkg-config knows."""
    tool_root.run(root, log, "sh /w/blas/build.sh /w/kernels /w/blas")


def compile_numpy(root: Path, log: Path) -> Path:
    """NumPy installed into the tool root: the folder that holds the package."""
    options = "--buildtype=release -Dblas=graphattend-blas -Dallow-noblas=true --prefix=/usr"
    meson = "cd /w/numpy && python3.14 vendored-meson/meson/meson.py"
    tool_root.run(root, log, f"{meson} setup build --cross-file=/w/pyodide.cross {options}")
    step("Compiling NumPy")
    tool_root.run(root, log, "cd /w/numpy && ninja -C build")
    tags = "--tags=runtime,python-runtime,devel"
    tool_root.run(root, log, f"{meson} install -C build --no-rebuild {tags} --destdir /w/numpy/dest")
    (package,) = (p for p in (root / "w/numpy/dest").rglob("numpy") if p.parent.name.endswith("-packages"))
    return package


def pack(package: Path, tree: Path, out: Path) -> Path:
    """A wheel of the installed package with the metadata of its sources; the same files give the same bytes."""
    metadata = (tree / "PKG-INFO").read_text("utf-8")
    found = re.search(r"^Version: (.*)$", metadata, re.MULTILINE)
    assert found is not None
    version = f"{found[1]}+{LOCAL_VERSION}"
    metadata = metadata.replace(found[0], f"Version: {version}", 1)
    info = f"numpy-{version}.dist-info"
    files = {f"numpy/{p.relative_to(package).as_posix()}": p.read_bytes() for p in package.rglob("*") if _belongs(p)}
    for name in re.findall(r"^License-File: (.*)$", metadata, re.MULTILINE):
        files[f"{info}/licenses/{name}"] = (tree / name).read_bytes()
    files[f"{info}/METADATA"] = metadata.encode()
    files[f"{info}/WHEEL"] = (
        f"Wheel-Version: 1.0\nGenerator: graphattend\nRoot-Is-Purelib: false\nTag: {TAG}\n".encode()
    )
    files[f"{info}/entry_points.txt"] = (HERE / "entry_points.txt").read_bytes()
    record = [f"{name},sha256={_digest(data)},{len(data)}" for name, data in sorted(files.items())]
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""]).encode()
    out.mkdir(parents=True, exist_ok=True)
    wheel = out / f"numpy-{version}-{TAG}.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, data in sorted(files.items()):
            entry = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, data, compresslevel=9)
    return wheel


def _belongs(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts


def _digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def check_imports(wheel: Path, folder: Path) -> None:
    """Refuse a wheel with a module that imports what Pyodide does not have: it would link, and fail when called."""
    runtime = folder / "package"
    with tarfile.open(folder / f"pyodide-{VERSIONS['pyodide']['version']}.tgz") as archive:
        archive.extractall(folder, filter="data")
    with tempfile.TemporaryDirectory() as unpacked:
        with zipfile.ZipFile(wheel) as zipped:
            zipped.extractall(unpacked, [name for name in zipped.namelist() if name.endswith(".so")])
        done = subprocess.run(
            ["node", str(HERE / "unresolved.mjs"), str(runtime), unpacked], capture_output=True, text=True, check=True
        )
    unresolved = {name: symbols for name, symbols in json.loads(done.stdout).items() if symbols}
    if unresolved:
        raise BuildError(f"symbols that Pyodide does not have: {unresolved}")


def build(version: str, work: Path, out: Path, *, relock: bool = False) -> Path:
    """Build the wheel.

    Args:
        version: A version of NumPy with patches.
        work: Folder for downloads and the tool root.
        out: Folder for the wheel.
        relock: Take the versions that Debian's mirror has now.

    Returns:
        Path of the wheel.
    """
    if version not in VERSIONS["numpy"]:
        raise BuildError(f"NumPy {version}: no patches; there are some for {', '.join(VERSIONS['numpy'])}")
    for program in ("apt-get", "dpkg-deb", "unshare", "patch", "npm", "node"):
        if shutil.which(program) is None:
            raise BuildError(f"{program} is missing")
    downloads = work / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    log = work / f"build-{version}.log"
    log.write_text("")
    step("Tools")
    root = tool_root.make(work, relock=relock)
    tree = patched_tree(source_distribution(version, downloads), version, downloads)
    step("CBLAS")
    prepare(root, tree, standard_library(downloads))
    compile_blas(root, log)
    step("Configuring NumPy")
    wheel = pack(compile_numpy(root, log), tree, out)
    step("Checking imports")
    check_imports(wheel, downloads)
    return wheel


def main() -> None:
    """Build, and print the wheel's path as the last line."""
    options = argparse.ArgumentParser(description="NumPy for Pyodide with WebAssembly SIMD128.")
    options.add_argument("--numpy", default=next(iter(VERSIONS["numpy"])), help="version (the one Pyodide ships)")
    options.add_argument("--work", type=Path, default=wheels_folder() / "work", help="downloads and tools, 2 GB")
    options.add_argument(
        "--out", type=Path, default=wheels_folder(), help="where the wheel goes, and tests look for it"
    )
    options.add_argument("--relock", action="store_true", help="take Debian's versions of today and write debian.lock")
    given = options.parse_args()
    work, out = given.work.resolve(), given.out.resolve()
    work.mkdir(parents=True, exist_ok=True)
    try:
        with only_one(work / "lock"):
            wheel = build(given.numpy, work, out, relock=given.relock)
    except BuildError as error:
        sys.exit(f"recipes/numpy: {error}")
    print(f"sha256 {hashlib.sha256(wheel.read_bytes()).hexdigest()}, {wheel.stat().st_size} bytes", file=sys.stderr)
    print(wheel)


if __name__ == "__main__":
    main()

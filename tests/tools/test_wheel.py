"""The wheel, installed as users install it."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import build_wheel
import gen_wheels
import packages
import pytest

pytestmark = pytest.mark.native

#: Both kinds of instructions; `make test-all` adds other systems' object files, which take minutes to compile.
PLATFORMS = ["linux-aarch64", "linux-x86_64"]
if os.environ.get("GRAPHATTEND_ALL"):
    PLATFORMS = sorted(build_wheel.kernel_builder().PLATFORMS)


@pytest.fixture(scope="module")
def wheel() -> Path:
    return build_wheel.build()


def test_pure_wheel_with_types_and_licence(wheel: Path) -> None:
    assert wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (metadata,) = (archive.read(name).decode() for name in names if name.endswith("/METADATA"))
    assert "graphattend/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    requirements = [line for line in metadata.splitlines() if line.startswith("Requires-Dist:") and "extra" not in line]
    assert requirements == ["Requires-Dist: numpy>=1.26"]
    assert gen_wheels.is_fresh("universal", wheel), "run tools/gen_wheels.py"


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_wheel_for_each_platform(platform: str) -> None:
    goal = build_wheel.kernel_builder().PLATFORMS[platform]
    wheel = build_wheel.build(platform)
    assert wheel.name.endswith(f"-cp311-abi3-{goal.tag}.whl")
    # 570 kB of Python and 150 kB per instruction set.
    assert wheel.stat().st_size < 1 << 20
    with zipfile.ZipFile(wheel) as archive:
        modules = {name for name in archive.namelist() if name.endswith((".so", ".pyd", ".wasm"))}
    assert modules == {f"graphattend/simd/kernels{goal.suffix}"}
    packages.check_wheel(wheel)
    assert gen_wheels.is_fresh(platform, wheel), "run tools/gen_wheels.py"


def test_without_a_compiler_the_wheel_is_pure_and_says_so(tmp_path: Path) -> None:
    fake = tmp_path / "ziglang"
    fake.mkdir()
    (fake / "__init__.py").touch()
    (fake / "__main__.py").write_text("raise SystemExit('no compiler today')")
    command = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--skip-dependency-check",
        "--outdir",
        tmp_path,
    ]
    source = tmp_path / "source"  # with its own cache of compiled modules
    for name in ("src", *build_wheel.METADATA):
        copy = shutil.copytree if (build_wheel.ROOT / name).is_dir() else shutil.copyfile
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        copy(build_wheel.ROOT / name, source / name)
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "GRAPHATTEND_BUILD": "host"}
    done = subprocess.run([*command, source], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "computes with NumPy alone" in done.stdout + done.stderr
    assert [wheel.name[-16:] for wheel in tmp_path.glob("*.whl")] == ["py3-none-any.whl"]


def test_unchanged_sources_are_not_built_again(wheel: Path) -> None:
    before = wheel.stat().st_mtime_ns
    assert build_wheel.build() == wheel
    assert wheel.stat().st_mtime_ns == before


@pytest.mark.parametrize(
    "python", [pytest.param(path, id=f"3.{minor}") for minor, path in packages.interpreters().items()]
)
def test_installs_with_numpy_alone(wheel: Path, python: str, tmp_path: Path) -> None:
    inside = packages.environment(python, tmp_path / "environment", wheel)
    program = (
        "import graphattend, importlib.metadata as metadata\n"
        "print(sorted({d.name.lower() for d in metadata.distributions()} - {'pip', 'setuptools', 'wheel'}))\n"
        "print(graphattend.__version__)"
    )
    options = {"cwd": tmp_path, "env": {"PATH": os.environ["PATH"]}, "capture_output": True, "text": True}
    result = subprocess.run([inside, "-c", program], check=True, **options)
    assert result.stdout.splitlines() == ["['graphattend', 'numpy']", wheel.name.split("-")[1]]

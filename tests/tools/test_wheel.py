"""The wheel, installed the way users install it."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

build_wheel = pytest.importorskip("build_wheel", reason="the tools are not part of what runs inside Pyodide")

pytestmark = pytest.mark.native

MINIMUM, MAXIMUM = 11, 14


def interpreters() -> dict[int, str]:
    """One Python of every supported minor version on this machine."""
    found = {sys.version_info.minor: sys.executable}
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for minor in range(MINIMUM, MAXIMUM + 1):
        on_path = shutil.which(f"python3.{minor}")
        for candidate in [on_path, *sorted(pyenv.glob(f"3.{minor}.*/bin/python"))]:
            works = candidate and subprocess.run([candidate, "-c", "import venv"], capture_output=True).returncode == 0
            if works and minor not in found:
                found[minor] = str(candidate)
    return dict(sorted(found.items()))


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


def test_unchanged_sources_are_not_built_again(wheel: Path) -> None:
    before = wheel.stat().st_mtime_ns
    assert build_wheel.build() == wheel
    assert wheel.stat().st_mtime_ns == before


@pytest.mark.parametrize("python", [pytest.param(path, id=f"3.{minor}") for minor, path in interpreters().items()])
def test_installs_with_numpy_alone(wheel: Path, python: str, tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    subprocess.run([python, "-m", "venv", environment], check=True)
    inside = environment / "bin" / "python"
    subprocess.run([inside, "-m", "pip", "install", "-qq", "--disable-pip-version-check", wheel], check=True)
    program = (
        "import graphattend, importlib.metadata as metadata\n"
        "print(sorted({d.name.lower() for d in metadata.distributions()} - {'pip', 'setuptools', 'wheel'}))\n"
        "print(graphattend.__version__)"
    )
    options = {"cwd": tmp_path, "env": {"PATH": os.environ["PATH"]}, "capture_output": True, "text": True}
    result = subprocess.run([inside, "-c", program], check=True, **options)
    assert result.stdout.splitlines() == ["['graphattend', 'numpy']", wheel.name.split("-")[1]]

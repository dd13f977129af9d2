"""Tools delete only what they have created themselves."""

import os
import subprocess
import venv
import zipfile
from pathlib import Path

import bootstrap
import build_wheel
import clean
import pyodide_dist
import pytest

pytestmark = pytest.mark.native


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the path of the development environment; creating it writes one file."""
    folder = tmp_path / ".venv"
    monkeypatch.setattr(bootstrap, "ENVIRONMENT", folder)
    monkeypatch.setattr(bootstrap, "STAMP", folder / "graphattend-stamp")
    monkeypatch.setattr(bootstrap, "pip", lambda *_: None)
    monkeypatch.setattr(venv, "create", lambda folder, **_: (Path(folder) / "pyvenv.cfg").write_text("new"))
    return folder


def test_an_environment_of_somebody_else_stays(environment: Path) -> None:
    environment.mkdir()
    (environment / "pyvenv.cfg").write_text("mine")
    with pytest.raises(SystemExit, match="move or remove it"):
        bootstrap.main()
    assert (environment / "pyvenv.cfg").read_text() == "mine"


def test_an_environment_of_ours_is_made_anew_also_if_it_was_left_unfinished(
    environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(bootstrap, "pip", interrupted)
        with pytest.raises(KeyboardInterrupt):
            bootstrap.main()
    (environment / "debris").write_text("")
    bootstrap.main()
    assert sorted(path.name for path in environment.iterdir()) == ["graphattend-stamp", "pyvenv.cfg"]


def test_building_a_wheel_removes_the_last_one_built_here_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_wheel, "OUTPUT", tmp_path)

    def run(command: list[str], **_: object) -> "subprocess.CompletedProcess[str]":
        folder = Path(command[command.index("--outdir") + 1])
        zipfile.ZipFile(folder / f"graphattend-{version}-py3-none-any.whl", "w").close()
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", run)
    (tmp_path / "graphattend-0.0.9-py3-none-any.whl").write_text("a release kept here")
    for version in ("0.1.0", "0.2.0"):
        monkeypatch.setattr(build_wheel, "fingerprint", lambda version=version: version)
        build_wheel.build()
    wheels = sorted(path.name for path in tmp_path.glob("*.whl"))
    assert wheels == ["graphattend-0.0.9-py3-none-any.whl", "graphattend-0.2.0-py3-none-any.whl"]


def test_old_distributions_are_forgotten_and_nothing_else_in_the_cache(tmp_path: Path) -> None:
    names = ["dist-0123456789abcdef", ".new-abcd_123", "dist-of-mine", "dist-0123456789abcdef.backup", ".new-thesis"]
    for name in names:
        (tmp_path / "pyodide" / name).mkdir(parents=True)
        os.utime(tmp_path / "pyodide" / name, (0, 0))
    pyodide_dist.forget_old(tmp_path)
    assert sorted(path.name for path in (tmp_path / "pyodide").iterdir()) == sorted(names[2:])


def test_clean_removes_what_the_tools_made_and_names_what_stays(tmp_path: Path) -> None:
    made = [
        ".venv/graphattend-stamp",
        "js/node_modules/.graphattend-stamp",
        "js/dist/graphattend.whl",
        "js/dist/index.js",
        "build/site/index.html",
        "build/coverage.xml",
        "dist/graphattend-0.1.0-py3-none-any.whl",
        "out/les_miserables.html",
        "src/graphattend/simd/kernels.abi3.so",
        ".cache/kernels/exp.o",
        ".mypy_cache/cache",
        ".coverage",
    ]
    mine = ["web/node_modules/package/index.js", "dist/graphattend-0.0.9-py3-none-any.whl", "out/my-report.html"]
    for name in made + mine:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    (tmp_path / "dist" / ".wheel-stamp-universal").write_text("hash graphattend-0.1.0-py3-none-any.whl")
    left = clean.clean(tmp_path)
    assert sorted(str(path.relative_to(tmp_path)) for path in left) == ["dist", "out", "web/node_modules"]
    found = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()]
    assert sorted(found) == sorted(mine)
    assert clean.clean(tmp_path) == left

"""Published archives are complete, and have the same bytes when built elsewhere."""

import json
import shutil
import subprocess
import sys
import tarfile
import tomllib
from pathlib import Path

import packages
import pytest
from pyodide_build.recipe import spec

pytestmark = pytest.mark.native


@pytest.fixture(scope="module")
def source() -> Path:
    packages.OUTPUT.mkdir(exist_ok=True)
    return packages.sdist()


def test_the_sdist_holds_what_a_wheel_is_built_from(source: Path) -> None:
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    tracked = subprocess.run(["git", "ls-files", "src"], cwd=packages.ROOT, capture_output=True, text=True, check=True)
    assert set(tracked.stdout.split()) <= names
    assert {"pyproject.toml", "hatch_build.py", "tools/sbom.py", "LICENSE", "README.md", "PKG-INFO"} <= names
    assert not [name for name in names if name.endswith((".so", ".wasm")) or "node_modules" in name]


def test_the_same_bytes_elsewhere(source: Path, tmp_path: Path) -> None:
    here = packages.build_wheel.build()
    elsewhere = tmp_path / "another" / "place"
    packages.copy_of_sources(elsewhere)
    # Most objects come from this tree, to save a minute; the copy compiles some sources and links everything.
    objects = packages.build_wheel.kernel_builder().CACHE
    reused = [path for path in objects.glob("*.o") if not path.name.startswith(("ball-", "softmax-"))]
    (elsewhere / objects.relative_to(packages.ROOT)).mkdir(parents=True)
    for path in reused:
        shutil.copyfile(path, elsewhere / path.relative_to(packages.ROOT))
    program = "import build_wheel, packages; print(build_wheel.build(), packages.sdist(), sep='\\n')"
    paths = {"PYTHONPATH": f"{elsewhere / 'tools'}:{elsewhere / 'src'}"}
    again = [Path(line) for line in packages.run(sys.executable, "-c", program, cwd=elsewhere, **paths).splitlines()]
    for first, second in zip([here, source], again, strict=True):
        assert elsewhere in second.parents
        assert (second.name, packages.sha256(second)) == (first.name, packages.sha256(first))


def test_the_recipe_for_pyodide(source: Path, tmp_path: Path) -> None:
    ours = spec.MetaConfig.from_yaml(packages.RECIPE)
    assert (packages.RECIPE.parent / "../..").resolve() == ours.source.path.resolve() == packages.ROOT
    (tmp_path / "meta.yaml").write_text(packages.recipe(source))
    theirs = spec.MetaConfig.from_yaml(tmp_path / "meta.yaml")
    assert theirs.source.path is None
    assert theirs.source.url.endswith(f"/{source.name}")
    assert theirs.source.sha256 == packages.sha256(source)
    project = tomllib.loads((packages.ROOT / "pyproject.toml").read_text())["project"]
    for recipe in (ours, theirs):
        assert source.name == f"{recipe.package.name}-{recipe.package.version}.tar.gz"
        assert recipe.requirements.run == [line.partition(">")[0] for line in project["dependencies"]]
        assert recipe.about.license == project["license"]


def test_what_is_written_beside_the_archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "OUTPUT", tmp_path)
    files = [tmp_path / name for name in ("b.whl", "a.tar.gz", "c.tgz")]
    for path in files:
        path.write_text(path.name)
    entry = {"name": "graphattend", "file_name": "b.whl"}
    (tmp_path / "pyodide-lock.json").write_text(json.dumps({"packages": {"graphattend": entry, "numpy": {}}}))
    sums, lock, _ = packages.describe(files, tmp_path)
    checked = subprocess.run(["sha256sum", "--check", "--strict", sums], cwd=tmp_path, capture_output=True, text=True)
    assert checked.stdout == "a.tar.gz: OK\nb.whl: OK\nc.tgz: OK\n"
    assert json.loads(lock.read_text()) == {"graphattend": entry}


def test_a_command_that_fails_is_told_with_what_it_said() -> None:
    with pytest.raises(SystemExit, match=r"(?s)exit 3.*no luck"):
        packages.run(sys.executable, "-c", "import sys; print('no luck'); sys.exit(3)")

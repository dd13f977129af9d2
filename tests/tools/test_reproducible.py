"""Two builds in different folders at different times give byte-identical wheels."""

import os
import shutil
import subprocess
import sys

import build_wheel
import pytest

pytestmark = pytest.mark.native

#: `make test-all` adds the other kinds of object files.
KINDS = ["universal", "linux-x86_64"]
if os.environ.get("GRAPHATTEND_ALL"):
    KINDS += ["macos-arm64", "windows-amd64"]


def build(folder, what, when, left_out):
    """Build a wheel from a copy of the sources, which compiles some kernels and takes the others from the cache."""
    for source in build_wheel.sources():
        target = folder / source.relative_to(build_wheel.ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        os.utime(target, (when, when))
    cache = build_wheel.kernel_builder().CACHE
    kept = shutil.ignore_patterns(
        "tmp*", "wheel*", *(f"{name}-*" for name in left_out), "kernels_*", "*-kernels_*", "ufuncs_*"
    )
    shutil.copytree(cache, folder / cache.relative_to(build_wheel.ROOT), ignore=kept)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder / "out", folder]
    environment = os.environ | {"GRAPHATTEND_BUILD": what}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = (folder / "out").glob("*.whl")
    return wheel


@pytest.mark.parametrize("what", KINDS)
def test_the_same_bytes(tmp_path, what):
    build_wheel.build(what)  # puts the kernels into the cache
    first = build(tmp_path / "one", what, 1_000_000_000, ["softmax"])
    second = build(tmp_path / "another place", what, 1_700_000_000, ["mask", "module"])
    assert first.name == second.name
    assert first.read_bytes() == second.read_bytes()

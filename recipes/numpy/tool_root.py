"""A private folder with Debian's Emscripten and Python 3.14, in which commands run as in a small machine of their own.

Nothing is installed: packages are downloaded by apt with a configuration of its own, compared with the hashes in
``debian.lock``, and unpacked. Commands run in a mount namespace; an ordinary user needs unprivileged user namespaces
for that.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
import debian

HERE = Path(__file__).resolve().parent
LOCK = HERE / "debian.lock"
PACKAGES = (
    *("base-files", "bash", "coreutils", "dash", "sed", "grep", "findutils", "tar", "gzip", "libc-bin"),
    *("emscripten", "python3.14", "python3.14-dev", "cython3", "ninja-build", "pkgconf-bin"),
)
SUITE = "sid"
ENVIRONMENT = {
    "HOME": "/w",
    "PATH": "/w/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
    "EM_CACHE": "/w/emcache",
    "PYTHONDONTWRITEBYTECODE": "1",
    "SOURCE_DATE_EPOCH": "1577836800",
}


#: What is missing, or which command failed.
BuildError = debian.DebianError


def make(work: Path, *, relock: bool = False) -> Path:
    """Download, check and unpack the packages, once per content of the lock file.

    Args:
        work: Folder of the build.
        relock: Take the versions that the mirror has now, and write the lock file anew.

    Returns:
        The folder to run commands in.
    """
    root, ready = work / "root", work / "root.ready"
    if not relock and ready.exists() and ready.read_bytes() == LOCK.read_bytes():
        return root
    print("Fetching Debian's Emscripten (400 MB)", file=sys.stderr, flush=True)
    apt = debian.Apt(work / "apt", SUITE)
    apt.get("update")
    if relock:
        for old in apt.archives.glob("*.deb"):
            old.unlink()
        apt.get("--download-only", "install", *PACKAGES)
        debian.write_lock(LOCK, apt.hashes())
    else:
        pinned = debian.read_lock(LOCK)
        apt.get("--download-only", "--no-install-recommends", "install", *debian.exact(pinned))
        debian.compare(apt.hashes(), pinned, LOCK)
    debian.unpack(apt.archives, root)
    for folder in ("proc", "dev", "tmp", "w"):
        (root / folder).mkdir(exist_ok=True)
    ready.write_bytes(LOCK.read_bytes())
    return root


def run(root: Path, log: Path, command: str) -> None:
    """Run a shell command inside the folder; its output goes to a log, whose end is shown if it fails."""
    mounts = f'mount --rbind /dev "{root}/dev" && mount -t proc proc "{root}/proc"'
    inside = f'{mounts} && exec chroot "{root}" /usr/bin/env -i "$@"'
    namespaces = ["unshare", "--mount", "--pid", "--fork"] + ([] if os.geteuid() == 0 else ["--map-root-user"])
    variables = [f"{name}={value}" for name, value in ENVIRONMENT.items()]
    with log.open("ab") as file:
        done = subprocess.run(
            [*namespaces, "bash", "-c", inside, "bash", *variables, "bash", "-euo", "pipefail", "-c", command],
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    if done.returncode:
        tail = log.read_text("utf-8", "replace").splitlines()[-15:]
        hint = "" if os.geteuid() == 0 else "\n(without root this needs unprivileged user namespaces)"
        raise BuildError("\n".join([f"failed ({done.returncode}): {command[:120]}", *tail]) + hint)

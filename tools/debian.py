"""Fetch Debian packages by apt, compare them with the hashes of a lock file, and unpack them into a private folder.

apt runs with its own configuration, without any installed packages. It needs no root rights and does not change the
machine. Standard library only.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


class DebianError(Exception):
    """A program or package is missing, or apt failed."""


def mirror() -> str:
    """Return the Debian mirror that this machine's apt uses."""
    files = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    text = "\n".join(path.read_text("utf-8") for path in files if path.is_file())
    found = re.search(r"^(?:URIs:|deb(?:\s+\[[^\]]*\])?)\s+(\S+/debian)/?(?:\s|$)", text, re.MULTILINE)
    if found is None:
        raise DebianError("apt's sources name no Debian mirror: Debian's packages are needed")
    return found[1]


class Apt:
    """apt-get with its state below `home`, for the given suites; "X-security" is beside the mirror's main archive."""

    def __init__(self, home: Path, *suites: str) -> None:
        self.home = home
        self.archives = home / "var/cache/apt/archives"
        for folder in ("etc/apt/apt.conf.d", "etc/apt/preferences.d", "var/lib/apt/lists/partial", "var/lib/dpkg"):
            (home / folder).mkdir(parents=True, exist_ok=True)
        (self.archives / "partial").mkdir(parents=True, exist_ok=True)
        (home / "var/lib/dpkg/status").touch()
        lines = [
            f"deb [signed-by={KEYRING}] {mirror()}{'-security' if suite.endswith('-security') else ''} {suite} main\n"
            for suite in suites
        ]
        (home / "etc/apt/sources.list").write_text("".join(lines))
        settings = {
            "Dir": home,
            "Dir::State::status": home / "var/lib/dpkg/status",
            "APT::Architecture": "amd64",
            "APT::Install-Recommends": "false",
            "Acquire::Languages": "none",
            "APT::Sandbox::User": "root",
            "Acquire::Check-Valid-Until": "false",  # a mirror may lag behind; the hashes of the lock file decide
        }
        text = [f'{name} "{value}";' for name, value in settings.items()]
        (home / "apt.conf").write_text("\n".join([*text, 'APT::Architectures {"amd64";};', ""]))

    def get(self, *arguments: str, folder: Path | None = None) -> None:
        """Run apt-get."""
        done = subprocess.run(
            ["apt-get", "-qq", "-y", *arguments],
            env=os.environ | {"APT_CONFIG": str(self.home / "apt.conf")},
            cwd=folder,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise DebianError(f"apt-get {arguments[0]}: {done.stderr.strip()[-500:]}")

    def hashes(self) -> dict[str, str]:
        """Return the hashes of the downloaded packages by file name."""
        return hashes(self.archives)


def hashes(folder: Path) -> dict[str, str]:
    """Return the hashes of the packages in a folder by file name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("*.deb"))}


def read_lock(lock: Path) -> dict[str, str]:
    """Read hashes by file name from lines in the format of sha256sum."""
    return dict(reversed(line.split()) for line in lock.read_text().splitlines())


def write_lock(lock: Path, found: dict[str, str]) -> None:
    """Write a lock file."""
    lock.write_text("".join(f"{digest}  {name}\n" for name, digest in found.items()))


def exact(names: Iterable[str]) -> list[str]:
    """Return apt's "name=version" for each file name."""
    return ["{}={}".format(*name.replace("%3a", ":").split("_")[:2]) for name in names]


def compare(found: dict[str, str], pinned: dict[str, str], lock: Path) -> None:
    """Raise unless the packages are those of the lock file."""
    wrong = {name for name, digest in found.items() if pinned.get(name) != digest} | (pinned.keys() - found.keys())
    if wrong:
        raise DebianError(f"not the packages of {lock.name}: {', '.join(sorted(wrong)[:5])}")


def unpack(archives: Path, root: Path) -> None:
    """Unpack all packages of a folder into a new folder."""
    shutil.rmtree(root, ignore_errors=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for archive in sorted(archives.glob("*.deb")):
        files = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", archive], stdout=subprocess.PIPE)
        subprocess.run(
            ["tar", "-x", "--no-same-owner", "--keep-directory-symlink", "-C", root, "-f", "-"],
            stdin=files.stdout,
            check=True,
        )
        if files.wait():
            raise DebianError(f"{archive.name} cannot be unpacked")

"""A private folder with Debian's Emscripten and Python 3.14, in which commands run as in a small machine of their own.

Nothing is installed: packages are downloaded by apt with a configuration of its own, compared with the hashes in
``debian.lock``, and unpacked. Commands run in a mount namespace; an ordinary user needs unprivileged user namespaces
for that.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
LOCK = HERE / "debian.lock"
PACKAGES = (
    *("base-files", "bash", "coreutils", "dash", "sed", "grep", "findutils", "tar", "gzip", "libc-bin"),
    *("emscripten", "python3.14", "python3.14-dev", "cython3", "ninja-build", "pkgconf-bin"),
)
SUITE = "sid"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
ENVIRONMENT = {
    "HOME": "/w",
    "PATH": "/w/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
    "EM_CACHE": "/w/emcache",
    "PYTHONDONTWRITEBYTECODE": "1",
    "SOURCE_DATE_EPOCH": "1577836800",
}


class BuildError(Exception):
    """What is missing, or which command failed."""


def mirror() -> str:
    """The Debian mirror that this machine's apt uses."""
    files = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    text = "\n".join(path.read_text("utf-8") for path in files if path.is_file())
    found = re.search(r"^(?:URIs:|deb(?:\s+\[[^\]]*\])?)\s+(\S+/debian/?)(?:\s|$)", text, re.MULTILINE)
    if found is None:
        raise BuildError("apt's sources name no Debian mirror: this build needs Debian's packages")
    return found[1]


def apt(work: Path, *arguments: str) -> None:
    """Run apt-get with a configuration of its own: another suite, and a state that knows no installed package."""
    home = work / "apt"
    for folder in ("etc/apt/apt.conf.d", "etc/apt/preferences.d", "var/lib/apt/lists/partial", "var/lib/dpkg"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    (home / "var/cache/apt/archives/partial").mkdir(parents=True, exist_ok=True)
    (home / "var/lib/dpkg/status").touch()
    (home / "etc/apt/sources.list").write_text(f"deb [signed-by={KEYRING}] {mirror()} {SUITE} main\n")
    settings = {
        "Dir": home,
        "Dir::State::status": home / "var/lib/dpkg/status",
        "APT::Architecture": "amd64",
        "APT::Install-Recommends": "false",
        "Acquire::Languages": "none",
        "APT::Sandbox::User": "root",
        "Acquire::Check-Valid-Until": "false",  # a mirror may lag behind; the hashes below decide
    }
    lines = [f'{name} "{value}";' for name, value in settings.items()]
    lines.append('APT::Architectures {"amd64";};')
    (home / "apt.conf").write_text("\n".join(lines) + "\n")
    command = ["apt-get", "-qq", "-y", *arguments]
    done = subprocess.run(
        command, env=os.environ | {"APT_CONFIG": str(home / "apt.conf")}, capture_output=True, text=True
    )
    if done.returncode:
        raise BuildError(f"apt-get {arguments[0]}: {done.stderr.strip()[-500:]}")


def archives(work: Path) -> dict[str, str]:
    """The hashes of the downloaded packages by file name."""
    folder = work / "apt/var/cache/apt/archives"
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("*.deb"))}


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
    apt(work, "update")
    pinned = dict(reversed(line.split()) for line in LOCK.read_text().splitlines()) if not relock else {}
    if relock:
        for old in (work / "apt/var/cache/apt/archives").glob("*.deb"):
            old.unlink()
        apt(work, "--download-only", "install", *PACKAGES)
        LOCK.write_text("".join(f"{digest}  {name}\n" for name, digest in archives(work).items()))
    else:
        exact = ["{}={}".format(*name.replace("%3a", ":").split("_")[:2]) for name in pinned]
        apt(work, "--download-only", "--no-install-recommends", "install", *exact)
        wrong = {name for name, digest in archives(work).items() if pinned.get(name) != digest} | (
            pinned.keys() - archives(work)
        )
        if wrong:
            raise BuildError(f"not the packages of debian.lock: {', '.join(sorted(wrong)[:5])}")
    unpack(work, root)
    ready.write_bytes(LOCK.read_bytes())
    return root


def unpack(work: Path, root: Path) -> None:
    """Lay all packages over one another."""
    shutil.rmtree(root, ignore_errors=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for archive in sorted((work / "apt/var/cache/apt/archives").glob("*.deb")):
        files = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", archive], stdout=subprocess.PIPE)
        subprocess.run(
            ["tar", "-x", "--no-same-owner", "--keep-directory-symlink", "-C", root, "-f", "-"],
            stdin=files.stdout,
            check=True,
        )
        if files.wait():
            raise BuildError(f"{archive.name} cannot be unpacked")
    for folder in ("proc", "dev", "tmp", "w"):
        (root / folder).mkdir(exist_ok=True)


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

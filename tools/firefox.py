"""Print the path of a Firefox to test with: one that is installed, else Debian's, unpacked into the machine's cache.

    python tools/firefox.py [--relock]

Order: the FIREFOX environment variable, a browser on the machine, the packages of firefox.lock (Firefox ESR and the
libraries that a plain machine lacks), without root rights. If the mirror has replaced a pinned version, its newest
version, signed by Debian, is used and a message printed; `--relock` writes a new lock file.
"""

import hashlib
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import browsers
import debian
import pyodide_dist

LOCK = Path(__file__).with_name("firefox.lock")
PROGRAMS = ["firefox", "firefox-esr", "/Applications/Firefox.app/Contents/MacOS/firefox"]
SUITES = ["bookworm", "bookworm-security"]

#: Libraries of the machine that must not be mixed with those of the packages.
OF_THE_MACHINE = {"libc6", "libgcc-s1", "libstdc++6"}
#: Packages that are needed although they are not libraries.
FONTS = {"fontconfig-config", "fonts-dejavu-core"}
LIBRARIES = "usr/lib/x86_64-linux-gnu"

#: Script that starts the browser with its own libraries and fonts, from any folder.
START = """#!/bin/sh
root=$(dirname "$(readlink -f "$0")")/root
export LD_LIBRARY_PATH="$root/usr/lib/x86_64-linux-gnu" FONTCONFIG_SYSROOT="$root"
export GDK_PIXBUF_MODULE_FILE=/dev/null GTK_PATH=/nonexistent XDG_DATA_DIRS="$root/usr/share"
exec "$root/usr/lib/firefox-esr/firefox-esr" "$@"
"""


def relock() -> None:
    """Write the lock file for the versions that the mirror has now."""
    with tempfile.TemporaryDirectory() as folder:
        apt, root = debian.Apt(Path(folder) / "apt", *SUITES), Path(folder) / "root"
        apt.get("update")
        apt.get("--download-only", "install", "firefox-esr", *FONTS)
        debian.unpack(apt.archives, root)
        loaded = subprocess.run(
            ["ldd", *sorted((root / "usr/lib/firefox-esr").glob("*.so"))],
            env=os.environ | {"LD_LIBRARY_PATH": str(root / LIBRARIES)},
            capture_output=True,
            text=True,
        ).stdout
        wanted = set(re.findall(rf"{re.escape(str(root))}/\S*/(\S+)", loaded))
        found = {}
        for name, digest in apt.hashes().items():
            package = name.split("_")[0]
            listed = subprocess.run(["dpkg-deb", "--contents", apt.archives / name], capture_output=True, text=True)
            files = {line.split(" -> ")[0].rpartition("/")[2] for line in listed.stdout.splitlines()}
            if package in {"firefox-esr"} | FONTS or (files & wanted and package not in OF_THE_MACHINE):
                found[name] = digest
        debian.write_lock(LOCK, found)


def fill(apt: debian.Apt, root: Path) -> None:
    """Download and unpack the pinned packages, or the versions that replace them."""
    pinned = debian.read_lock(LOCK)
    print(f"Fetching Debian's Firefox and its libraries ({len(pinned)} packages, once)", file=sys.stderr, flush=True)
    apt.get("update")
    try:
        apt.get("download", *debian.exact(pinned), folder=apt.archives)
    except debian.DebianError as error:
        print(f"{error}\n{LOCK.name} is out of date: taking the mirror's newest, as signed by Debian", file=sys.stderr)
        apt.get("download", *(name.split("_")[0] for name in pinned), folder=apt.archives)
    else:
        debian.compare(apt.hashes(), pinned, LOCK)
    debian.unpack(apt.archives, root)


def fetched() -> str | None:
    """Return the path of Debian's Firefox in the cache, unpacked once per lock file; None if it is not available."""
    key = hashlib.sha256(LOCK.read_bytes() + START.encode()).hexdigest()[:16]
    return browsers.from_debian(pyodide_dist.cache_folder() / "firefox" / key / "firefox", START, SUITES, fill)


def find() -> str:
    """Return the path of a Firefox; fetch one if the machine has none."""
    return browsers.find("firefox", lambda: browsers.on_machine(*PROGRAMS), fetched)


if __name__ == "__main__":
    if "--relock" in sys.argv[1:]:
        relock()
    print(find())

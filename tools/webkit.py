"""Print the path of a WebKit to test with: Playwright's, or a WebKitWebDriver, which is WebKitGTK's.

Order: the WEBKIT environment variable, the browser that Playwright downloaded, a driver on the machine, Debian's
packages, unpacked into the machine's cache. WebKitGTK's paths are compiled into it, so its packages and all their
dependencies are unpacked as a root file system, in which the driver is started. This needs Linux namespaces (`unshare`),
but no root rights.
"""

import os
import subprocess
import sys
from pathlib import Path

import browsers
import debian
import pyodide_dist

DRIVER = "WebKitWebDriver"
SUITE = "bookworm"
PACKAGES = ["webkit2gtk-driver", "xvfb", "dash", "coreutils", "fontconfig-config", "fonts-dejavu-core"]

#: Commands that the packages' scripts would run: GTK's schemas, file types and image loaders.
PREPARED = [
    "glib-2.0/glib-compile-schemas /usr/share/glib-2.0/schemas",
    "gdk-pixbuf-2.0/gdk-pixbuf-query-loaders --update-cache",
]
LIBRARIES = "/usr/lib/x86_64-linux-gnu"

#: Script that starts the driver in its root with a virtual screen; its child processes end with it.
START = """#!/bin/sh
root=$(dirname "$(readlink -f "$0")")/root
exec unshare --map-root-user --mount --pid --fork --kill-child sh -c '
root=$1; shift
for folder in dev sys tmp; do mkdir -p "$root/$folder"; mount --rbind "/$folder" "$root/$folder"; done
mkdir -p "$root/proc"; mount -t proc proc "$root/proc"
told=$(mktemp)
chroot "$root" Xvfb -displayfd 3 -nolisten tcp 3>"$told" 2>/dev/null &
while [ ! -s "$told" ]; do sleep 0.1; done
exec chroot "$root" env -i PATH=/usr/bin HOME=/tmp LANG=C.UTF-8 DISPLAY=":$(cat "$told")" GDK_BACKEND=x11 \
    LIBGL_ALWAYS_SOFTWARE=1 NO_AT_BRIDGE=1 WebKitWebDriver "$@"' sh "$root" "$@"
"""


def prepare(root: Path) -> None:
    """Create the files that GTK reads."""
    commands = [*(f"{LIBRARIES}/{command}" for command in PREPARED), "/usr/bin/update-mime-database /usr/share/mime"]
    for command in commands:
        inside = ["unshare", "--map-root-user", "chroot", str(root), *command.split()]
        done = subprocess.run(inside, capture_output=True, text=True)
        if done.returncode:
            raise debian.DebianError(f"{command}: {done.stderr.strip()[-300:]}")


def fill(apt: debian.Apt, root: Path) -> None:
    """Create a root file system of the packages and all their dependencies."""
    print("Fetching Debian's WebKit and all that it needs (once)", file=sys.stderr, flush=True)
    apt.get("update")
    apt.get("--download-only", "install", *PACKAGES)
    debian.unpack(apt.archives, root)
    prepare(root)


def fetched() -> str | None:
    """Return the path of Debian's driver in the cache, or None if it is not available."""
    start = pyodide_dist.cache_folder() / "webkit" / "newest" / DRIVER
    return browsers.from_debian(start, START, [SUITE, f"{SUITE}-security"], fill)


def installed() -> str | None:
    """Return the path of the driver on the machine, or None."""
    return browsers.on_machine(DRIVER)


def find() -> str:
    """Return the path of a WebKit; fetch one if the machine has none."""
    return browsers.find("webkit", lambda: browsers.playwrights_own("webkit"), installed, fetched)


def driver() -> str | None:
    """Return the path of a driver, also where `find` returns Playwright's WebKit, which has none; None if there is none."""
    given = os.environ.get("WEBKIT", "")
    own = given if Path(given).name == DRIVER else None
    return own or installed() or fetched()


if __name__ == "__main__":
    print(find())

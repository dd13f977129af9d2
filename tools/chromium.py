"""Print the path of a Chromium to test with: one that is installed, else one installed now.

Order: the CHROMIUM environment variable, a browser on the machine, Debian's package (as root), Playwright's download.
"""

import os
import shutil
import subprocess
import sys

import browsers

PROGRAMS = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
]
FLAGS = browsers.OPTIONS["chromium"]["args"]


def installed() -> str | None:
    """Return the path of a browser on this machine, or None."""
    return browsers.on_machine(*PROGRAMS) or browsers.playwrights_own("chromium")


def run(*command: str) -> bool:
    """Run an installer with its output on stderr; returns whether it succeeded."""
    print("+ " + " ".join(command), file=sys.stderr, flush=True)
    return subprocess.run(command, stdout=sys.stderr, stdin=subprocess.DEVNULL).returncode == 0


def install() -> str | None:
    """Install a browser with the installers of this machine; returns its path."""
    if shutil.which("apt-get") and os.geteuid() == 0:
        apt = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300"]
        run(*apt, "update")
        if run(*apt, "install", "-y", "--no-install-recommends", "chromium"):
            return installed()
    run(sys.executable, "-m", "playwright", "install", "chromium")
    return installed()


def find() -> str:
    """Return the path of a Chromium; install one if the machine has none."""
    return browsers.find("chromium", installed, install)


if __name__ == "__main__":
    print(find())

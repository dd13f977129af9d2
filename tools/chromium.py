"""Print the path of a Chromium to test with: one that is installed, else one installed now.

Order: the CHROMIUM environment variable, a browser on the machine, Debian's package (as root), Playwright's download.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
PLACES = [Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")]

#: Flags for tests: no sandbox (root in containers), nothing that talks to the network on its own.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


def installed() -> str | None:
    """Path of a browser already on this machine."""
    for name in NAMES:
        path = shutil.which(name)
        if path:
            return path
    for place in PLACES:
        if place.exists():
            return str(place)
    return playwrights_own()


def playwrights_own() -> str | None:
    """Path of the browser Playwright downloaded, if it has."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


def run(*command: str) -> bool:
    """Run an installer with its output on stderr; returns whether it succeeded."""
    print("+ " + " ".join(command), file=sys.stderr, flush=True)
    return subprocess.run(command, stdout=sys.stderr, stdin=subprocess.DEVNULL).returncode == 0


def install() -> None:
    """Install a browser with the installers of this machine."""
    if shutil.which("apt-get") and os.geteuid() == 0:
        apt = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300"]
        run(*apt, "update")
        if run(*apt, "install", "-y", "--no-install-recommends", "chromium"):
            return
    run(sys.executable, "-m", "playwright", "install", "chromium")


def find() -> str:
    """Path of a Chromium, installing one when the machine has none."""
    given = os.environ.get("CHROMIUM")
    if given:
        if shutil.which(given) is None:
            sys.exit(f"CHROMIUM={given} is not a program that can be run")
        return given
    path = installed()
    if path is None:
        install()
        path = installed()
    if path is None:
        sys.exit(
            "No Chromium found and none could be installed: install chromium or Chrome, or set CHROMIUM=/path/to/it"
        )
    return path


if __name__ == "__main__":
    print(find())

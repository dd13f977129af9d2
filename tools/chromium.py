"""Print the path of a Chromium to test with: one that is installed, else one installed now.

Order: the CHROMIUM environment variable, a browser on the machine, Debian's package (as root), Playwright's download.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import browsers

PROGRAMS = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
]
FLAGS = browsers.OPTIONS["chromium"]["args"]

#: Asked in a process of its own, because Playwright's synchronous interface cannot be opened twice in one thread.
ASK_PLAYWRIGHT = """
from playwright.sync_api import sync_playwright
with sync_playwright() as playwright:
    print(playwright.chromium.executable_path)
"""


def installed() -> str | None:
    """Path of a browser already on this machine."""
    return browsers.on_machine(*PROGRAMS) or playwrights_own()


def playwrights_own() -> str | None:
    """Path of the browser that Playwright has downloaded, if there is one."""
    asked = subprocess.run([sys.executable, "-c", ASK_PLAYWRIGHT], capture_output=True, text=True)
    path = asked.stdout.strip()
    return path if path and Path(path).exists() else None


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
    """Path of a Chromium, installing one when the machine has none."""
    return browsers.find("chromium", installed, install)


if __name__ == "__main__":
    print(find())

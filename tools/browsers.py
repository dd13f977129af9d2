"""Find browsers for the tests, and their start options."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import debian
import downloads
import pyodide_dist

#: Options of Playwright's `launch`, with their JavaScript names. Chromium runs without its sandbox, which needs more
#: rights than root has in a container. Firefox is Mozilla's or Debian's build, driven over WebDriver BiDi. Neither uses
#: the network on its own.
OPTIONS = json.loads(Path(__file__).with_name("browsers.json").read_text(encoding="utf-8"))

#: Firefox's options, with their Python names.
FIREFOX = {"channel": OPTIONS["firefox"]["channel"], "firefox_user_prefs": OPTIONS["firefox"]["firefoxUserPrefs"]}


def on_machine(*programs: str) -> str | None:
    """Return the path of the first of these programs that is on PATH, or is an existing path."""
    return next(filter(None, map(shutil.which, programs)), None)


def playwrights_own(name: str) -> str | None:
    """Return the path of the browser that Playwright has downloaded, or None."""
    # In a separate process, because Playwright's synchronous interface cannot be opened twice in one thread.
    ask = (
        "from playwright.sync_api import sync_playwright\n"
        f"with sync_playwright() as playwright: print(playwright.{name}.executable_path)"
    )
    asked = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True)
    path = asked.stdout.strip()
    return path if path and Path(path).exists() else None


def from_debian(start: Path, script: str, suites: list[str], fill: Callable[[debian.Apt, Path], None]) -> str | None:
    """Return the path of a start script in the cache, beside a root that `fill` creates from Debian packages once.

    Return None if the packages are not available, and print the reason on stderr.
    """
    try:
        with downloads.only_one(start.parent.parent / "lock"):
            if not start.exists():
                with pyodide_dist.new_folder(start.parent) as temporary:
                    apt = debian.Apt(temporary / "apt", *suites)
                    fill(apt, temporary / "root")
                    shutil.rmtree(temporary / "apt")
                    (temporary / start.name).write_text(script)
                    (temporary / start.name).chmod(0o755)
    except (debian.DebianError, OSError) as error:
        print(error, file=sys.stderr)
        return None
    return str(start)


def find(name: str, *searches: Callable[[], str | None]) -> str:
    """Return the path of a browser: the environment variable of its name in capitals, else the first search result."""
    variable = name.upper()
    if given := os.environ.get(variable):
        if shutil.which(given) is None:
            sys.exit(f"{variable}={given} is not a program that can be run")
        return given
    if found := next(filter(None, (search() for search in searches)), None):
        return found
    sys.exit(f"No {name.capitalize()} found and none could be installed: install it, or set {variable}=/path/to/it")

"""How a browser for the tests is found, and what it is started with."""

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

#: Options of Playwright's `launch`, under their names in JavaScript. Chromium runs without its sandbox, which needs more
#: rights than root has in a container. Firefox is one as Mozilla or Debian build it, driven over WebDriver BiDi. Neither
#: talks to the network on its own.
OPTIONS = json.loads(Path(__file__).with_name("browsers.json").read_text(encoding="utf-8"))


def on_machine(*programs: str) -> str | None:
    """Path of the first of these programs that is on PATH, or that exists if it is a path itself."""
    return next(filter(None, map(shutil.which, programs)), None)


def playwrights_own(name: str) -> str | None:
    """Path of the browser that Playwright has downloaded, if there is one."""
    # In a process of its own, because Playwright's synchronous interface cannot be opened twice in one thread.
    ask = (
        "from playwright.sync_api import sync_playwright\n"
        f"with sync_playwright() as playwright: print(playwright.{name}.executable_path)"
    )
    asked = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True)
    path = asked.stdout.strip()
    return path if path and Path(path).exists() else None


def from_debian(start: Path, script: str, suites: list[str], fill: Callable[[debian.Apt, Path], None]) -> str | None:
    """Path of a start script in the machine's cache, beside a root that `fill` makes of Debian's packages, once.

    None if they cannot be had, with the reason on stderr.
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
    """Path of a browser: the value of the variable of its name in capitals, else what the first successful search finds."""
    variable = name.upper()
    if given := os.environ.get(variable):
        if shutil.which(given) is None:
            sys.exit(f"{variable}={given} is not a program that can be run")
        return given
    if found := next(filter(None, (search() for search in searches)), None):
        return found
    sys.exit(f"No {name.capitalize()} found and none could be installed: install it, or set {variable}=/path/to/it")

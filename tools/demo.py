"""Write the demo as a folder for any static host: the page, Python, and a service worker for later visits."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyodide_dist
import serve

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "build" / "demo"


def write(folder: Path = OUT) -> Path:
    """Write the folder, replacing an old one, and return its path."""
    page, distribution = serve.build(), pyodide_dist.assemble()
    if folder.exists():
        shutil.rmtree(folder)
    shutil.copytree(page, folder)
    index = folder / "index.html"
    # The page under development has no service worker, which would serve old files.
    index.write_text(index.read_text(encoding="utf-8").replace("<html ", "<html data-offline ", 1), encoding="utf-8")
    command = ["node", "js/dist/cli.js", "vendor", str(folder / "pyodide"), "--from", str(distribution)]
    if subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=sys.stderr, env=os.environ).returncode:
        sys.exit("Writing Python's files failed.")
    return folder


if __name__ == "__main__":
    print(write())

"""Install the npm packages of the given folders from their lock files if a lock file has changed."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def install(folder: Path) -> None:
    """Run `npm ci` in one folder unless its `node_modules` already matches its lock file."""
    lock = folder / "package-lock.json"
    if not lock.exists():
        return
    content = lock.read_text()
    if '"resolved": "http' in content:
        sys.exit(f"{lock.relative_to(ROOT)} names a registry; regenerate it with omit-lockfile-registry-resolved=true")
    stamp = folder / "node_modules" / ".graphattend-stamp"
    wanted = hashlib.sha256(content.encode()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    if shutil.which("npm") is None:
        sys.exit("npm is missing: install Node.js 20 or newer")
    print(f"Installing npm packages in {folder.relative_to(ROOT)}/", flush=True)
    subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=folder, check=True)
    stamp.parent.mkdir(exist_ok=True)
    stamp.write_text(wanted)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        install(ROOT / name)

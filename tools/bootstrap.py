"""Create the development environment `.venv` with the pinned tools once; later calls only compare a stamp.

It runs before anything is installed, so it uses only the standard library.
"""

import hashlib
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = ROOT / ".venv"
PYTHON = ENVIRONMENT / "bin" / "python"
STAMP = ENVIRONMENT / "graphattend-stamp"
REQUIREMENTS = ROOT / "requirements-dev.txt"
INPUTS = [REQUIREMENTS, ROOT / "pyproject.toml"]


def fingerprint() -> str:
    """Return the hash of all inputs of the environment, including its location."""
    digest = hashlib.sha256(str(ROOT).encode())
    for path in INPUTS:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def pip(*arguments: str) -> None:
    """Run pip inside the environment."""
    subprocess.run([PYTHON, "-m", "pip", "--disable-pip-version-check", *arguments], check=True)


def build() -> None:
    """Create the environment and install the pinned requirements and the library (editable)."""
    updating = Path(sys.prefix) == ENVIRONMENT
    if not updating:
        if ENVIRONMENT.exists():
            if not STAMP.exists() and any(ENVIRONMENT.iterdir()):
                sys.exit(f"{ENVIRONMENT} was not made by this tool: move or remove it")
            shutil.rmtree(ENVIRONMENT)
        print(f"Creating .venv with Python {sys.version.split()[0]}", flush=True)
        ENVIRONMENT.mkdir()
        STAMP.write_text("")  # first, so that an unfinished environment is recognised as ours
        venv.create(ENVIRONMENT, with_pip=True)
    print(f"Installing {REQUIREMENTS.name} (once; about a minute)", flush=True)
    pip("install", "-qq", "--require-hashes", "--requirement", str(REQUIREMENTS))
    pip("install", "-qq", "--no-deps", "--no-build-isolation", "--editable", str(ROOT))


def main() -> None:
    """Bring `.venv` up to date."""
    wanted = fingerprint()
    if STAMP.exists() and STAMP.read_text() == wanted:
        return
    try:
        build()
    except subprocess.CalledProcessError as failure:
        sys.exit(f"Setting up .venv failed: {' '.join(map(str, failure.cmd))} (exit {failure.returncode})")
    STAMP.write_text(wanted)


if __name__ == "__main__":
    main()

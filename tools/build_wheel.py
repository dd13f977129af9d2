"""Build the wheel into `dist/`, unless its sources are unchanged; its path is the last line printed."""

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "dist"
STAMP = OUTPUT / ".wheel-stamp"
METADATA = ["pyproject.toml", "hatch_build.py", "README.md", "LICENSE"]
BUILT = {".pyc", ".o", ".wasm", ".so"}


def sources() -> list[Path]:
    """Every file the wheel is made from, in a fixed order."""
    found = [ROOT / name for name in METADATA if (ROOT / name).exists()]
    return found + sorted(path for path in (ROOT / "src").rglob("*") if path.is_file() and path.suffix not in BUILT)


def fingerprint() -> str:
    """Hash of the names and contents of the sources."""
    digest = hashlib.sha256()
    for path in sources():
        content = path.read_bytes()
        digest.update(f"{path.relative_to(ROOT).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def build() -> Path:
    """Path of the wheel, built now unless the last one has the same sources.

    The build runs in the development environment (which pins what `[build-system] requires` asks for), so it needs
    no network; `python -m build` stops with a clear message when a requirement is missing there.
    """
    wanted = fingerprint()
    known, _, last = STAMP.read_text().partition(" ") if STAMP.exists() else ("", "", "")
    if known == wanted and (OUTPUT / last).exists():
        return OUTPUT / last
    OUTPUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=OUTPUT, prefix=".wheel-") as temporary:
        command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", temporary, str(ROOT)]
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode:
            sys.exit(f"{result.stdout}{result.stderr}\nBuilding the wheel failed.")
        (built,) = Path(temporary).glob("*.whl")
        wheel = built.replace(OUTPUT / built.name)
    if last and last != wheel.name:  # other wheels in the folder are not from here
        (OUTPUT / last).unlink(missing_ok=True)
    STAMP.write_text(f"{wanted} {wheel.name}")
    return wheel


if __name__ == "__main__":
    print(build())

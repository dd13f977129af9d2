"""Build the npm package in js/ unless its sources and the wheel in it are unchanged."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import build_js_kernels
import build_wheel
import downloads

ROOT = Path(__file__).resolve().parent.parent
JS = ROOT / "js"
STAMP = JS / "dist" / ".graphattend-stamp"


def fingerprint() -> str:
    """Return the hash of the package's sources."""
    digest = hashlib.sha256((build_wheel.fingerprint() + build_js_kernels.fingerprint()).encode())
    names = ["package-lock.json", "package.json", "build.mjs", "sbom.mjs"]
    for path in [*(JS / name for name in names), *sorted((JS / "src").rglob("*.ts"))]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def build() -> None:
    """Build the package if its sources changed; one process at a time."""
    with downloads.only_one(ROOT / ".cache" / "js.lock"):
        wanted = fingerprint()
        if STAMP.exists() and STAMP.read_text() == wanted:
            return
        wheel = build_wheel.build()
        kernels = build_js_kernels.build()[0].parent
        environment = os.environ | {"GRAPHATTEND_WHEEL": str(wheel), "GRAPHATTEND_KERNELS": str(kernels)}
        result = subprocess.run(["npm", "run", "--silent", "build"], cwd=JS, env=environment)
        if result.returncode:
            sys.exit("Building js/ failed.")
        STAMP.write_text(wanted)


if __name__ == "__main__":
    build()

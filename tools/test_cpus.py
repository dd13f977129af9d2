"""Run the native suite as other processors would: environment variables select NumPy's loops and OpenBLAS's kernels.

    python tools/test_cpus.py [SETTING...] [-- PYTEST_ARGUMENTS...]

A setting has effect only in a new process. A setting that this machine's NumPy cannot run (because the processor lacks
the instructions, or a kernel crashes on a plain product, as several of the OpenBLAS in NumPy 2.5.5 do) is reported as
such, not as a failure. `PYTHONPATH` may name a folder with another NumPy. A setting takes a few minutes, so `make test`
does not include it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = {
    "as-it-is": {},
    "no-avx512": {"NPY_DISABLE_CPU_FEATURES": "X86_V4"},
    "no-avx2": {"NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4"},
    "haswell": {"OPENBLAS_CORETYPE": "Haswell"},
    "zen": {"OPENBLAS_CORETYPE": "Zen"},
    "skylakex": {"OPENBLAS_CORETYPE": "SkylakeX"},
    "nehalem": {"OPENBLAS_CORETYPE": "Nehalem"},
    "prescott": {"OPENBLAS_CORETYPE": "Prescott"},
}
#: Runs NumPy without graphattend. NumPy warns if it cannot switch off the requested instructions.
PROBE = """
import numpy as np
for dtype in "f", "d":
    for m in 1, 5, 20, 33, 64, 200:
        for n in 1, 7, 64, 600, 1000:
            a, b = np.ones((m, n), dtype), np.ones((n, 64), dtype)
            assert (a @ b == n).all() and (a @ b[:, 0] == n).all() and (a @ a.T == n).all()
"""


def unable(environment: dict[str, str]) -> str:
    """Return the reason why NumPy cannot run with this environment, or an empty string."""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROBE], env=environment, capture_output=True, text=True
    )
    if result.returncode < 0:
        return f"plain NumPy products end by {signal.Signals(-result.returncode).name}"
    return result.stderr.strip().splitlines()[-1] if result.returncode else ""


def main() -> None:
    """Run the settings named on the command line, or all."""
    words = sys.argv[1:]
    cut = words.index("--") if "--" in words else len(words)
    names, arguments = words[:cut] or list(SETTINGS), words[cut + 1 :] or ["--doctest-modules", "src", "tests"]
    if unknown := set(names) - set(SETTINGS):
        sys.exit(f"No setting {', '.join(sorted(unknown))}; there are {', '.join(SETTINGS)}")
    command = [sys.executable, "-m", "pytest", "-q", "-n", str(os.cpu_count() or 1), *arguments]
    clean = {k: v for k, v in os.environ.items() if k not in ("NPY_DISABLE_CPU_FEATURES", "OPENBLAS_CORETYPE")}
    lines, failed = [], False
    for name in names:
        environment = clean | {"OPENBLAS_NUM_THREADS": "1"} | SETTINGS[name]
        shown = " ".join(f'{k}="{v}"' for k, v in SETTINGS[name].items())
        print(f"\n=== {name} {shown}", flush=True)
        start = time.monotonic()
        if reason := unable(environment):
            lines.append(f"{name:<12}cannot run here: {reason}")
        else:
            status = subprocess.run(command, cwd=ROOT, env=environment).returncode
            failed |= status != 0
            lines.append(f"{name:<12}{'FAILED' if status else 'ok':<8}{time.monotonic() - start:6.0f} s")
        print(lines[-1], flush=True)
    print("\n" + "\n".join(lines))
    sys.exit(failed)


if __name__ == "__main__":
    main()

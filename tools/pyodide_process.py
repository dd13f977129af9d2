"""Functions of the tests, called inside Pyodide in Node.js."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PACKAGES = ("graphattend", "pytest", "hypothesis", "networkx", "mpmath", "autograd")


class PyodideError(Exception):
    """A call failed inside Pyodide, or Node.js ended."""


def distribution() -> Path:
    """Return the folder of the Pyodide distribution with these sources, made now if it does not exist."""
    made = subprocess.run(
        [sys.executable, str(HERE / "pyodide_dist.py")], stdout=subprocess.PIPE, text=True, check=True
    )
    return Path(made.stdout.splitlines()[-1])


class PyodideProcess:
    """A process of Node.js with Pyodide, this package and the tests.

    Args:
        folder: The distribution.
        backend: As for GRAPHATTEND_BACKEND.
        packages: Names in the lock file of the distribution, or paths of wheels.
        node: The program.
    """

    def __init__(self, folder: Path, backend: str, packages: Sequence[str] = PACKAGES, node: str = "node") -> None:
        told = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
        # Node.js 20 has relaxed SIMD behind a flag, which later versions do not know.
        flags = ["--experimental-wasm-relaxed-simd"] if int(told.lstrip("v").split(".")[0]) < 22 else []
        command = [
            node,
            "--no-warnings",
            *flags,
            str(HERE / "pyodide_process.mjs"),
            str(folder),
            str(HERE.parent),
            backend,
            *packages,
        ]
        # In a session of its own, because Ctrl-C lets a call end. The process ends when its input does.
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        self.memory = 0  # bytes of WebAssembly's memory after the last call
        self.seconds = 0.0  # of processor time since the start

    def __call__(self, module: str, function: str, *arguments: Any) -> Any:
        """Call a function of a module of the tests; its arguments and its result have to be JSON."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps([module, function, arguments]) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # the empty line below says so
        line = self.process.stdout.readline()
        if not line:
            raise PyodideError(f"Node.js ended with {self.process.wait()} in {module}.{function}{arguments}")
        answer = json.loads(line)
        self.memory, self.seconds = answer["memory"], answer["seconds"]
        if "error" in answer:
            raise PyodideError(answer["error"])
        return answer["result"]

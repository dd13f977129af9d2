"""The program ``graphattend``, which is also ``python -m graphattend``.

Everything else is imported inside of `main`, because importing NumPy takes a while, and Ctrl-C may come then.
"""

import os
import sys


def main() -> int:
    """Run the command line as a process.

    Returns:
        The exit status.

    Example:
        >>> import sys
        >>> from graphattend.__main__ import main
        >>> sys.exit(main())  # doctest: +SKIP
    """
    try:
        _open_streams()
        from .cli import main as run

        return run()
    except KeyboardInterrupt:
        import signal

        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a second Ctrl-C ends Python while it leaves, and says nothing
        print("graphattend: interrupted", file=sys.stderr)
        return 130


def _open_streams() -> None:
    """Replace streams that the caller has closed, and let the output escape what its encoding does not have."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w"))  # noqa: SIM115
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")


if __name__ == "__main__":
    sys.exit(main())

"""Ctrl-C in tests that start programs."""

import signal


def heard() -> None:
    """Let a child process hear Ctrl-C (as its `preexec_fn`): a shell's background jobs ignore it, and so do their children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)

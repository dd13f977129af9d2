"""``graphattend info``: what runs here."""

from __future__ import annotations

import argparse
import platform

from ._common import add_output, print_rows

HELP = "tell the version and what does the arithmetic"


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    add_output(command)


def run(arguments: argparse.Namespace) -> None:
    """Print the facts."""
    from .. import __version__, backend_info, list_mechanisms

    facts = {"graphattend": __version__, "python": platform.python_version(), "mechanisms": len(list_mechanisms())}
    facts |= backend_info()
    print_rows(("what", "value"), [(k, str(v)) for k, v in facts.items()], arguments, facts)

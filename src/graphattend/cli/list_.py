"""``graphattend list``: list the mechanisms."""

from __future__ import annotations

import argparse

from .._schema import schema
from ._common import add_output, print_rows

HELP = "list the mechanisms"
EXAMPLES = (
    "graphattend list",
    "graphattend list --json",
)


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    add_output(command)


def run(arguments: argparse.Namespace) -> None:
    """Print the registered mechanisms."""
    found = schema()
    rows = [
        (key, s["x-family"], s["x-complexity"], ", ".join(s["x-needs"]) or "-", s["description"])
        for key, s in found.items()
    ]
    print_rows(("key", "family", "cost", "needs", "what"), rows, arguments, found)

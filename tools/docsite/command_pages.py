"""The help of every command, as the command line prints it."""

from __future__ import annotations

import argparse
import os
from unittest import mock

from graphattend import cli


def helps() -> dict[str, str]:
    """The help of every command by name."""
    with mock.patch.dict(os.environ, {"COLUMNS": "92", "NO_COLOR": "1"}):
        (commands,) = [a for a in cli.parser()._actions if isinstance(a, argparse._SubParsersAction)]
        return {name: parser.format_help() for name, parser in commands.choices.items()}


def page(written: str) -> str:
    """The page that is written by hand, and after it the help of every command."""
    blocks = "".join(f"\n### {name}\n\n```text\n{text.rstrip()}\n```\n" for name, text in helps().items())
    return written.rstrip() + "\n\n## Every option\n" + blocks

"""``graphattend --print-completion SHELL``: what Tab offers."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

from ..errors import UnsupportedError

#: Metavars of arguments that are files.
FILES = ("FILE", "FOLDER", "FROM", "TO")


class PrintCompletion(argparse.Action):
    """Print the completion script of a shell, made by shtab, and leave."""

    def __call__(self, parser: argparse.ArgumentParser, _namespace: Any, values: Any, _option: Any = None) -> None:
        """Print it."""
        try:
            import shtab
        except ImportError:
            raise UnsupportedError(
                "--print-completion: needs shtab (pip install 'graphattend[cli]')", argument="--print-completion"
            ) from None
        from ..mechanisms import list_mechanisms

        for action in _actions(parser):
            if action.metavar in FILES:
                action.complete = shtab.FILE  # type: ignore[attr-defined]
            elif action.metavar == "KEY" and "--mechanism" in action.option_strings:
                action.choices = list_mechanisms()
        print(shtab.complete(parser, values))
        parser.exit()


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """The actions of a parser and of its commands."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)

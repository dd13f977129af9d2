"""The command line: ``graphattend COMMAND``, one command per file.

Exit status: 0 on success, 2 on wrong usage or bad input (one line on stderr names it), 130 on Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

from ..errors import AttentionError
from ..registry import Registry
from ._completion import SHELLS, PrintCompletion

#: Commands by name: modules with ``HELP``, ``EXAMPLES``, ``add_arguments(parser)`` and ``run(arguments)``.
COMMANDS: Registry[Any] = Registry(
    "command",
    {
        "list": "graphattend.cli.list_",
        "info": "graphattend.cli.info",
        "analyze": "graphattend.cli.analyze",
        "compare": "graphattend.cli.compare",
        "evaluate": "graphattend.cli.evaluate",
        "recommend": "graphattend.cli.recommend",
        "train": "graphattend.cli.train",
        "embed": "graphattend.cli.embed",
        "compress": "graphattend.cli.compress",
        "convert": "graphattend.cli.convert",
        "partition": "graphattend.cli.partition",
        "attend": "graphattend.cli.attend",
        "benchmark": "graphattend.cli.benchmark",
    },
)


class _Parser(argparse.ArgumentParser):
    """Parser that reports an error in one line."""

    def error(self, message: str) -> None:  # type: ignore[override]
        """Print one line and exit with status 2."""
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands.

    Example:
        >>> from graphattend.cli import parser
        >>> parser().parse_args(["list", "--json"]).json
        True
    """
    from .. import __version__

    top = _Parser(prog="graphattend", description="Attention mechanisms for graph latent spaces.")
    top.add_argument("--version", action="version", version=f"graphattend {__version__}")
    top.add_argument(
        "--print-completion",
        action=PrintCompletion,
        choices=SHELLS,
        help="print a completion script for a shell",
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    for name, module in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=module.HELP,
            description=module.HELP,
            epilog="\n".join(["examples:", *(f"  {line}" for line in module.EXAMPLES)]),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Arguments without the program's name; by default ``sys.argv[1:]``.

    Returns:
        The exit status.

    Example:
        >>> from graphattend.cli import main
        >>> main(["analyze", "--graph", "no-such-file.csv"])
        2
    """
    try:
        arguments = parser().parse_args(argv)
        arguments.run(arguments)
        sys.stdout.flush()
    except AttentionError as error:
        text = " ".join(str(error).split())
        print(f"graphattend: {text}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("graphattend: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader (head, less) has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 0
    return 0
